//! Names, units and descriptions of all metrics.

use super::Metrics;
use prometheus_client::registry::Unit;

impl Metrics {
    /// Adds every metric to the registry. Operators' dashboards and alerts depend on the names.
    pub(super) fn register(&mut self) {
        let registry = &mut self.registry;
        self.ages.register(registry);
        registry.register("requests", "Requests by endpoint and status", self.requests.clone());
        registry.register_with_unit(
            "request",
            "Time from the head of a request to its answer",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        registry.register_with_unit(
            "request",
            "Bytes of bodies received",
            Unit::Bytes,
            self.request_bytes.clone(),
        );
        registry.register_with_unit(
            "response",
            "Bytes of bodies sent",
            Unit::Bytes,
            self.response_bytes.clone(),
        );
        registry.register_with_unit(
            "stage",
            "Time of a query by stage; over several cores their sum",
            Unit::Seconds,
            self.stage_seconds.clone(),
        );
        registry.register("queries", "Keywords answered", self.queries.clone());
        registry.register("queue_depth", "Work that waits or runs", self.queue.clone());
        registry.register(
            "dropped",
            "Work that waited until its client had given up, and was not done",
            self.dropped.clone(),
        );
        registry.register(
            "busy",
            "Requests answered with 503, which clients try again",
            self.busy.clone(),
        );
        registry.register("tokens_issued", "Tokens issued", self.tokens_issued.clone());
        registry.register(
            "tokens_refused",
            "Tokens not issued or not accepted, by reason",
            self.tokens_refused.clone(),
        );
        registry.register("tokens_accepted", "Tokens spent", self.tokens_accepted.clone());
        registry.register(
            "gateway_refused",
            "Encapsulated requests that were not passed on, by reason",
            self.gateway_refused.clone(),
        );
        registry.register("versions", "Versions served", self.versions.clone());
        registry.register("shards", "Shards of the newest version", self.shards.clone());
        registry.register(
            "release_checks",
            "Looks at publications by outcome",
            self.release_checks.clone(),
        );
        registry.register(
            "release_late",
            "1 where another release should be served than is",
            self.release_late.clone(),
        );
        registry.register("reloads", "Attempts to load data sets", self.reloads.clone());
        registry.register_with_unit(
            "last_reload",
            "Replaced by pir_last_reload_timestamp_seconds",
            Unit::Seconds,
            self.last_reload.clone(),
        );
        registry.register("cached_keys", "Parsed evaluation keys", self.cached_keys.clone());
        registry.register_with_unit(
            "cached_key",
            "Memory of parsed evaluation keys",
            Unit::Bytes,
            self.cached_key_bytes.clone(),
        );
        registry.register(
            "key_cache_hits",
            "Evaluation keys found parsed",
            self.key_cache_hits.clone(),
        );
        registry.register(
            "key_cache_misses",
            "Evaluation keys read from the store",
            self.key_cache_misses.clone(),
        );
        registry.register("stored_keys", "Stored evaluation keys", self.stored_keys.clone());
        registry.register_with_unit(
            "stored_key",
            "Bytes of stored evaluation keys",
            Unit::Bytes,
            self.stored_key_bytes.clone(),
        );
        registry.register("stored_nonces", "Spent nonces", self.stored_nonces.clone());
        registry.register_with_unit(
            "store_used",
            "Memory that the shared store uses",
            Unit::Bytes,
            self.store_used_bytes.clone(),
        );
        registry.register_with_unit(
            "store_capacity",
            "Memory that the shared store has, or 0",
            Unit::Bytes,
            self.store_capacity_bytes.clone(),
        );
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register(
            "connections_ended",
            "Connections that the service ended or did not take, by reason",
            self.connections_ended.clone(),
        );
        registry.register("reports", "Reports by outcome", self.reports.clone());
        registry.register(
            "report_counts_sent",
            "Attempts to send counts of reports, by outcome",
            self.report_counts_sent.clone(),
        );
        registry.register(
            "report_files_removed_early",
            "Files of reports that were removed before reports.days, because there were too many",
            self.report_files_removed_early.clone(),
        );
        registry.register("store_failures", "Failures of the store", self.store_failures.clone());
    }
}
