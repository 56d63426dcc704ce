//! What a run returns. The fields are those of the JSON report.

use super::layout::LayoutName;
use super::trial::Costs;
use crate::configuration::Rounding;
use crate::manifest::ShardRecord;
use serde::Serialize;

/// What became of the layouts of the previous data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Layouts {
    /// There was no previous data set, or the run was to ignore it.
    New,
    /// The rows were put into the previous layouts.
    Kept,
    /// The previous layouts could not be kept.
    Renewed,
}

/// A finished data set.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Summary {
    /// Number of rows.
    pub rows: u64,
    /// Number of shards.
    pub shard_count: u32,
    /// Shards that an earlier run had made from the same rows and settings.
    pub reused_shards: u32,
    /// SHA-256 of the configuration of the data set, hexadecimal: what clients know it by.
    pub config_id: String,
    /// SHA-256 of the evaluation key configuration, hexadecimal.
    pub evaluation_key_config_sha256: String,
    /// Number of rows of the previous data set.
    pub rows_before: Option<u64>,
    /// The layout of the shards.
    pub layout: LayoutName,
    /// What a lookup would cost with the cheap layout, as a share of what it costs; `None` unless the data set keeps a
    /// dearer one because it had it before.
    pub cheaper_layout: Option<f64>,
    /// What rounding the number of shards to a power of two costs.
    pub rounding: Option<Rounding>,
    /// What became of the previous layouts.
    pub layouts: Layouts,
    /// Why the previous layouts were not kept.
    pub renewed_because: Option<String>,
    /// Whether devices keep their configuration; `None` without a previous data set.
    pub same_configuration: Option<bool>,
    /// Whether devices keep their evaluation keys; `None` without a previous data set.
    pub same_evaluation_keys: Option<bool>,
    /// Path of the manifest.
    pub manifest: String,
    /// How long the run took.
    pub seconds: f64,
    /// The shards, in the order of their numbers.
    pub shards: Vec<ShardSummary>,
}

/// Some finished shards of a data set that is not finished.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PartSummary {
    /// Number of rows of all shards.
    pub rows: u64,
    /// Number of shards of the whole data set.
    pub shard_count: u32,
    /// The first shard of the selection.
    pub first_shard: u32,
    /// The shard after the last one of the selection.
    pub end_shard: u32,
    /// Shards of the selection that an earlier run had made from the same rows and settings.
    pub reused_shards: u32,
    /// How long the run took.
    pub seconds: f64,
    /// The shards of the selection, in the order of their numbers.
    pub shards: Vec<ShardSummary>,
}

/// The result of a run.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a run has a selection or has none")]
pub enum Outcome {
    /// The data set is finished and in its place.
    Whole(Summary),
    /// The selected shards are finished; a run without a selection has to follow.
    Part(PartSummary),
}

/// One shard.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ShardSummary {
    /// The record of the manifest.
    #[serde(flatten)]
    pub record: ShardRecord,
    /// Whether an earlier run had made the shard.
    pub reused: bool,
    /// Plaintexts that were copied from the earlier shard, because nothing in them changed.
    pub copied_plaintexts: u64,
    /// How its tables are filled; `None` if it was reused, and for databases by number.
    pub table: Option<TableFacts>,
    /// What its test queries cost; `None` if there were none.
    pub costs: Option<Costs>,
}

/// How the cuckoo tables of a shard are filled.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TableFacts {
    /// Used share of the space, from 0 to 1.
    pub load: f64,
    /// Slots of the fullest bucket.
    #[serde(rename = "mostSlots")]
    pub max_slots: usize,
    /// Rows that were moved to make room for others.
    pub evictions: u64,
    /// How many times the tables were enlarged.
    pub expansions: u32,
}
