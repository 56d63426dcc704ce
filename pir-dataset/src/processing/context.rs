//! What the shards of one run have in common.

use super::fingerprint;
use super::format::DatabaseFormat;
use super::reuse::{self, ReusedLayout};
use super::rows::RowStore;
use crate::configuration::Configuration;
use keyword_pir::plan::Plan;
use keyword_pir::{Scheme, ShardParameters};

pub(super) struct Context<'r> {
    pub(super) configuration: &'r Configuration,
    /// The plan of the run, with the public key of a symmetric database.
    pub(super) plan: &'r Plan,
    pub(super) format: DatabaseFormat,
    /// Bits of noise budget that a test query must leave.
    pub(super) min_noise_budget: f64,
    pub(super) rows: &'r RowStore,
    pub(super) scheme: &'r Scheme,
    /// Of all rows, in bytes.
    pub(super) longest_value: usize,
    /// See [`fingerprint::settings`].
    pub(super) settings: String,
    /// Layouts of the previous data set, if the rows are to be put into them.
    pub(super) reused: Option<&'r ReusedLayout>,
}

impl Context<'_> {
    pub(super) fn input_sha256(&self, rows: &[u32]) -> String {
        hex::encode(self.rows.digest(self.settings.as_bytes(), rows))
    }

    pub(super) fn layout_sha256(&self, shard: u32) -> String {
        fingerprint::layout_digest(&self.plan_of(shard), self.longest_value)
    }

    /// The parameters that a shard is to keep.
    pub(super) fn reused_parameters(&self, shard: u32) -> Option<&ShardParameters> {
        self.reused?.shard(shard)
    }

    pub(super) fn plan_of(&self, shard: u32) -> Plan {
        match self.reused_parameters(shard) {
            Some(parameters) => reuse::plan_of(self.plan, parameters),
            None => self.plan.clone(),
        }
    }
}
