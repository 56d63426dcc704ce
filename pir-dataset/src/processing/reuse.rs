//! Layouts of the previous data set, into which changed rows are put: as long as the rows of every shard
//! fit, clients keep their configuration and their keys.

use crate::configuration::{Configuration, DatabaseType, Layout};
use crate::files;
use crate::manifest::Manifest;
use keyword_pir::cuckoo::BucketCount;
use keyword_pir::plan::Plan;
use keyword_pir::shape::DimensionRule;
use keyword_pir::{DatabaseKind, ShardParameters};
use rayon::prelude::*;

/// The parameters that every shard had.
pub(super) struct ReusedLayout(Vec<ShardParameters>);

/// Why the layouts of the previous data set cannot be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotReusable {
    ShardCount,
    Unreadable,
    Settings,
    LongValues,
}

/// As the report has it.
impl std::fmt::Display for NotReusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ShardCount => "another number of shards",
            Self::Unreadable => "the earlier parameters cannot be read",
            Self::Settings => "other settings",
            Self::LongValues => "values that are too long for the cheap layout",
        })
    }
}

impl ReusedLayout {
    /// The layouts of the previous data set, if the settings of this run give such layouts; `None` if
    /// layouts do not depend on the rows anyway.
    pub(super) fn read(
        configuration: &Configuration,
        plan: &Plan,
        previous: &Manifest,
        shard_count: u32,
    ) -> Result<Option<Self>, NotReusable> {
        let depends_on_rows = configuration.database_type == DatabaseType::Keyword
            && matches!(plan.buckets, BucketCount::Expandable { .. });
        if !depends_on_rows {
            return Ok(None);
        }
        if previous.shard_count != shard_count {
            return Err(NotReusable::ShardCount);
        }
        let read = |shard| {
            let path = configuration.output_parameters.of_shard(shard);
            let parameters = files::read_parameters(&path).map_err(|_| NotReusable::Unreadable)?;
            match is_possible(plan, &parameters) {
                true => Ok(parameters),
                false
                    if is_cheap(&parameters)
                        && plan.hash_functions > 1
                        && configuration.layout != Layout::Configured =>
                {
                    Err(NotReusable::LongValues)
                }
                false => Err(NotReusable::Settings),
            }
        };
        let all = (0..shard_count).into_par_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Some(Self(all)))
    }

    pub(super) fn shard(&self, shard: u32) -> Option<&ShardParameters> {
        self.0.get(shard as usize)
    }
}

/// Whether these are parameters of the cheap layout: of one hash function.
pub(super) fn is_cheap(parameters: &ShardParameters) -> bool {
    matches!(parameters.description().kind, DatabaseKind::Keyword { hash_functions: 1, .. })
}

/// Whether a plan gives these parameters for some rows.
fn is_possible(plan: &Plan, parameters: &ShardParameters) -> bool {
    let description = parameters.description();
    let kind = DatabaseKind::Keyword {
        hash_functions: plan.hash_functions,
        sharding: plan.sharding,
        symmetric: plan.symmetric.clone(),
    };
    let fits = plan.max_bucket_size.is_none_or(|size| match plan.use_max_bucket_size {
        true => description.entry_size == size as u64,
        false => description.entry_size <= size as u64,
    });
    // Other rules follow from the number of entries, or may choose otherwise in another version.
    let has_dimensions = match plan.dimensions {
        DimensionRule::Fixed(dimensions) => description.dimensions == dimensions,
        DimensionRule::Reference | DimensionRule::Cheapest => true,
    };
    description.encryption == plan.encryption && description.kind == kind && fits && has_dimensions
}

/// A plan that gives tables of the shape of these parameters.
pub(super) fn plan_of(plan: &Plan, parameters: &ShardParameters) -> Plan {
    let description = parameters.description();
    let mut reused = plan.clone();
    reused.buckets = BucketCount::Fixed(description.entries * plan.hash_functions as u64);
    reused.max_bucket_size = Some(description.entry_size as usize);
    if let (DimensionRule::Cheapest, &[rows, columns]) =
        (plan.dimensions, &description.dimensions[..])
    {
        reused.dimensions = DimensionRule::Fixed([rows, columns]);
    }
    reused
}
