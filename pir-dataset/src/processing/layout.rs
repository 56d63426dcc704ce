//! Which layout the shards of a run get, where the configuration leaves it open.

use super::fingerprint;
use super::format::DatabaseFormat;
use super::reuse;
use super::rows::{RowStore, value_bytes_of};
use crate::configuration::{Configuration, DatabaseType, Layout};
use crate::files;
use crate::manifest::{Manifest, ShardRecord};
use keyword_pir::cost::LookupCounts;
use keyword_pir::plan::Plan;
use serde::Serialize;

/// The layout of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum LayoutName {
    /// That of the reference's tool: two hash functions.
    Reference,
    /// One hash function and large buckets, with the least work for the server.
    Cheap,
    /// As the configuration has it.
    Configured,
}

/// The layout of a run.
pub(super) struct Chosen {
    pub(super) plan: Plan,
    pub(super) name: LayoutName,
    /// The plan of the cheap layout, where it would be possible and the data set keeps another.
    pub(super) cheaper: Option<Plan>,
}

/// What a choice depends on, beside the configuration.
pub(super) struct Circumstances<'c> {
    pub(super) format: DatabaseFormat,
    /// Of all rows, in bytes.
    pub(super) longest_value: usize,
    /// The data set that is there, unless it is to be ignored.
    pub(super) previous: Option<&'c Manifest>,
    /// Shards that runs have finished which are not finished themselves.
    pub(super) journaled: &'c [ShardRecord],
}

/// Chooses the layout: what is there keeps its own, because clients know it.
pub(super) fn choose(
    configuration: &Configuration,
    plan: Plan,
    about: &Circumstances<'_>,
) -> Chosen {
    let reference = |plan| Chosen { plan, name: LayoutName::Reference, cheaper: None };
    let cheap = |plan: Plan| match plan.clone().cheap(about.longest_value) {
        Some(plan) => Chosen { plan, name: LayoutName::Cheap, cheaper: None },
        None => reference(plan),
    };
    match configuration.layout {
        Layout::Configured => Chosen { plan, name: LayoutName::Configured, cheaper: None },
        Layout::Cheap => cheap(plan),
        Layout::Automatic => {
            let is_open = configuration.database_type == DatabaseType::Keyword
                && about.format == DatabaseFormat::Native
                && plan.symmetric.is_none();
            if !is_open {
                return reference(plan);
            }
            let has = |plan: &Plan, records: &[ShardRecord]| {
                let layout = fingerprint::layout_digest(plan, about.longest_value);
                records.iter().any(|record| record.layout_sha256 == layout)
            };
            let keeps_reference = match about.previous {
                None => has(&plan, about.journaled),
                Some(previous) => {
                    let path = configuration.output_parameters.of_shard(0);
                    let has_cheap = match files::read_parameters(&path) {
                        Ok(parameters) => reuse::is_cheap(&parameters),
                        // Files that are lost or damaged are made again as the manifest describes them.
                        Err(_) => plan
                            .clone()
                            .cheap(about.longest_value)
                            .is_some_and(|cheap| has(&cheap, &previous.shards)),
                    };
                    !has_cheap
                }
            };
            match keeps_reference {
                true => {
                    Chosen { cheaper: plan.clone().cheap(about.longest_value), ..reference(plan) }
                }
                false => cheap(plan),
            }
        }
    }
}

/// The cost of a lookup in a shard of so many of these rows, in any unit; infinite if there can be no such shard.
pub(super) fn lookup_cost(
    configuration: &Configuration,
    plan: &Plan,
    store: &RowStore,
) -> impl Fn(u64) -> f64 + use<> {
    let (rows, bytes) = (store.len() as u64, store.value_bytes());
    let longest = store.longest_value();
    let is_index = configuration.database_type == DatabaseType::Index;
    let encodes_size = configuration.encoding_entry_size;
    let plan = plan.clone();
    move |shard_rows| {
        let value_bytes = value_bytes_of(shard_rows, rows, bytes);
        let parameters = match is_index {
            true => plan.index_shard(shard_rows.max(1), longest as u64, encodes_size),
            false => plan.expected_shard(shard_rows, value_bytes, longest),
        };
        let counts = parameters.and_then(|parameters| LookupCounts::of(&parameters));
        counts.map_or(f64::INFINITY, |counts| counts.work(&plan.encryption))
    }
}
