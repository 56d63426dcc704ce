//! The layouts of an earlier data set, into which changed rows are put again: as long as every shard's
//! rows fit, clients keep their configuration and their keys.

use super::manifest::Manifest;
use super::shard;
use keyword_pir::cuckoo::BucketCount;
use keyword_pir::plan::Plan;
use keyword_pir::{DatabaseKind, ShardParameters};
use pir_api::processing::{Configuration, DatabaseType};
use rayon::prelude::*;

/// Parameters of every shard, as they were.
pub(crate) struct Kept(Vec<ShardParameters>);

impl Kept {
    /// Those of an earlier run, if this one's settings give the like. None where layouts do not depend
    /// on rows anyway.
    pub(crate) fn read(
        configuration: &Configuration,
        before: &Manifest,
        count: u32,
    ) -> Result<Option<Self>, &'static str> {
        let plan = &configuration.plan;
        let follows_rows = configuration.database_type == DatabaseType::Keyword
            && !plan.use_max_bucket_size
            && matches!(plan.buckets, BucketCount::Expandable { .. });
        if !follows_rows {
            return Ok(None);
        }
        if before.shard_count != count {
            return Err("another number of shards");
        }
        let read = |shard| {
            let path = configuration.output_parameters.of_shard(shard);
            let parameters = shard::read_parameters(&path, &path)
                .map_err(|_| "the earlier parameters cannot be read")?;
            match like(plan, &parameters) {
                true => Ok(parameters),
                false => Err("other settings"),
            }
        };
        (0..count).into_par_iter().map(read).collect::<Result<_, _>>().map(|all| Some(Self(all)))
    }

    pub(crate) fn shard(&self, shard: u32) -> Option<&ShardParameters> {
        self.0.get(shard as usize)
    }
}

/// Whether parameters are what a plan would give for some rows.
fn like(plan: &Plan, parameters: &ShardParameters) -> bool {
    let description = parameters.description();
    let kind = DatabaseKind::Keyword {
        hash_functions: plan.hash_functions,
        sharding: plan.sharding,
        symmetric: plan.symmetric.clone(),
    };
    let fits = plan.max_bucket_size.is_none_or(|size| description.entry_size <= size as u64);
    description.encryption == plan.encryption && description.kind == kind && fits
}

/// A plan that gives tables of that shape.
pub(crate) fn plan_of(plan: &Plan, parameters: &ShardParameters) -> Plan {
    let description = parameters.description();
    Plan {
        buckets: BucketCount::Fixed(description.entries * plan.hash_functions as u64),
        max_bucket_size: Some(description.entry_size as usize),
        ..plan.clone()
    }
}
