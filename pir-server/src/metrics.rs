//! Metrics for Prometheus.
//!
//! `labels` has what metrics are broken down by, `register` their names and descriptions.

mod ages;
mod labels;
mod register;

pub(crate) use labels::{Closing, Endpoint, Outcome, TokenRefusal};

use crate::catalog::ServedUseCase;
use crate::gateway::GatewayRefusal;
use crate::tier::Tier;
use ages::Ages;
pub(crate) use ages::{ListLevel, resident_bytes};
use keyword_pir::StageTimes;
use labels::{
    ClosingLabel, EndpointLabel, GatewayLabel, OutcomeLabel, RefusalLabel, RequestLabels, Stage,
    StageLabels, TierLabel, UseCaseLabel, UseCaseOutcomeLabels,
};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::time::Duration;
use unix_clock::Timestamp;

/// Histograms from half a millisecond to half a minute.
#[derive(Clone)]
struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(0.0005, 2.0, 17))
    }
}

type Latency<L> = Family<L, Histogram, Seconds>;

/// All metrics of the service.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Latency<EndpointLabel>,
    request_bytes: Family<EndpointLabel, Counter>,
    response_bytes: Family<EndpointLabel, Counter>,
    stage_seconds: Latency<StageLabels>,
    queries: Family<UseCaseLabel, Counter>,
    queue: Gauge,
    dropped: Counter,
    busy: Family<EndpointLabel, Counter>,
    tokens_issued: Family<TierLabel, Counter>,
    tokens_refused: Family<RefusalLabel, Counter>,
    tokens_accepted: Family<TierLabel, Counter>,
    gateway_refused: Family<GatewayLabel, Counter>,
    versions: Family<UseCaseLabel, Gauge>,
    shards: Family<UseCaseLabel, Gauge>,
    release_checks: Family<UseCaseOutcomeLabels, Counter>,
    release_late: Family<UseCaseLabel, Gauge>,
    reloads: Family<OutcomeLabel, Counter>,
    last_reload: Gauge,
    ages: Ages,
    cached_keys: Gauge,
    cached_key_bytes: Gauge,
    key_cache_hits: Counter,
    key_cache_misses: Counter,
    stored_keys: Gauge,
    stored_key_bytes: Gauge,
    stored_nonces: Gauge,
    store_used_bytes: Gauge,
    store_capacity_bytes: Gauge,
    connections: Gauge,
    connections_ended: Family<ClosingLabel, Counter>,
    reports: Family<OutcomeLabel, Counter>,
    report_counts_sent: Family<OutcomeLabel, Counter>,
    report_files_removed_early: Counter,
    store_failures: Counter,
}

/// Values that are read when the metrics are requested.
#[derive(Clone, Debug, Default)]
pub(crate) struct Levels {
    /// Number of tasks that wait or run.
    pub(crate) queue: usize,
    /// Number of evaluation keys in the cache.
    pub(crate) cached_keys: usize,
    /// Memory of the cached evaluation keys, in bytes.
    pub(crate) cached_key_bytes: u64,
    /// Number and size of what the store holds.
    pub(crate) store: crate::store::StoreStatistics,
    /// When the certificate ends.
    pub(crate) certificate_end: Option<Timestamp>,
    /// The lists that the service keeps up to date.
    pub(crate) lists: Vec<ListLevel>,
    /// When the last update of lists ended that did not fail.
    pub(crate) lists_updated: Option<Timestamp>,
    /// Whether what was made of the lists last is served.
    pub(crate) lists_served: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut all = Self {
            registry: Registry::with_prefix("pir"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(Seconds),
            request_bytes: Family::default(),
            response_bytes: Family::default(),
            stage_seconds: Family::new_with_constructor(Seconds),
            queries: Family::default(),
            queue: Gauge::default(),
            dropped: Counter::default(),
            busy: Family::default(),
            tokens_issued: Family::default(),
            tokens_refused: Family::default(),
            tokens_accepted: Family::default(),
            gateway_refused: Family::default(),
            versions: Family::default(),
            shards: Family::default(),
            release_checks: Family::default(),
            release_late: Family::default(),
            reloads: Family::default(),
            last_reload: Gauge::default(),
            ages: Ages::default(),
            cached_keys: Gauge::default(),
            cached_key_bytes: Gauge::default(),
            key_cache_hits: Counter::default(),
            key_cache_misses: Counter::default(),
            stored_keys: Gauge::default(),
            stored_key_bytes: Gauge::default(),
            stored_nonces: Gauge::default(),
            store_used_bytes: Gauge::default(),
            store_capacity_bytes: Gauge::default(),
            connections: Gauge::default(),
            connections_ended: Family::default(),
            reports: Family::default(),
            report_counts_sent: Family::default(),
            report_files_removed_early: Counter::default(),
            store_failures: Counter::default(),
        };
        all.register();
        all
    }
}

impl Metrics {
    /// A request was answered.
    pub(crate) fn answered(
        &self,
        endpoint: Endpoint,
        status: u16,
        time: Duration,
        received: u64,
        sent: u64,
    ) {
        self.requests.get_or_create(&RequestLabels { endpoint, status }).inc();
        let label = EndpointLabel { endpoint };
        self.request_seconds.get_or_create(&label).observe(time.as_secs_f64());
        self.request_bytes.get_or_create(&label).inc_by(received);
        self.response_bytes.get_or_create(&label).inc_by(sent);
    }

    /// A keyword was answered.
    pub(crate) fn query(&self, use_case: &str, waited: Duration, times: &StageTimes) {
        let usecase = use_case.to_owned();
        for (stage, time) in [
            (Stage::Queue, waited),
            (Stage::Expansion, times.expansion),
            (Stage::First, times.first_dimension),
            (Stage::Second, times.second_dimension),
            (Stage::Reply, times.reply),
        ] {
            let labels = StageLabels { usecase: usecase.clone(), stage };
            self.stage_seconds.get_or_create(&labels).observe(time.as_secs_f64());
        }
        self.queries.get_or_create(&UseCaseLabel { usecase }).inc();
    }

    /// Counts tasks that were dropped because their clients have given up.
    pub(crate) fn dropped(&self) -> Counter {
        self.dropped.clone()
    }

    /// A request was refused with 503.
    pub(crate) fn refused_busy(&self, endpoint: Endpoint) {
        self.busy.get_or_create(&EndpointLabel { endpoint }).inc();
    }

    /// A token was issued.
    pub(crate) fn token_issued(&self, tier: Tier) {
        self.tokens_issued.get_or_create(&TierLabel { tier }).inc();
    }

    /// A token was spent.
    pub(crate) fn token_accepted(&self, tier: Tier) {
        self.tokens_accepted.get_or_create(&TierLabel { tier }).inc();
    }

    /// A token was not issued, or not accepted.
    pub(crate) fn token_refused(&self, reason: TokenRefusal) {
        self.tokens_refused.get_or_create(&RefusalLabel { reason }).inc();
    }

    /// An encapsulated request was not passed on.
    pub(crate) fn gateway_refused(&self, reason: GatewayRefusal) {
        self.gateway_refused.get_or_create(&GatewayLabel { reason }).inc();
    }

    /// An evaluation key was in the cache, or was not.
    pub(crate) fn key_cache(&self, hit: bool) {
        if hit {
            self.key_cache_hits.inc()
        } else {
            self.key_cache_misses.inc()
        };
    }

    /// A report was stored, or could not be.
    pub(crate) fn report(&self, outcome: Outcome) {
        self.reports.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts of reports were sent, or could not be.
    pub(crate) fn report_counts_sent(&self, outcome: Outcome) {
        self.report_counts_sent.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Files of reports were removed before their days had passed.
    pub(crate) fn report_files_removed_early(&self, files: usize) {
        self.report_files_removed_early.inc_by(files as u64);
    }

    /// The store failed.
    pub(crate) fn store_failed(&self) {
        self.store_failures.inc();
    }

    /// A connection was opened.
    pub(crate) fn connection_opened(&self) {
        self.connections.inc();
    }

    /// A connection was closed.
    pub(crate) fn connection_closed(&self) {
        self.connections.dec();
    }

    /// The service ended a connection, or did not take it.
    pub(crate) fn connection_ended(&self, reason: Closing) {
        self.connections_ended.get_or_create(&ClosingLabel { reason }).inc();
    }

    /// Data sets were loaded.
    pub(crate) fn loaded(&self, served: &[ServedUseCase], now: Timestamp) {
        self.versions(served);
        self.reloads.get_or_create(&OutcomeLabel { outcome: Outcome::Success }).inc();
        self.last_reload.set(i64::try_from(now.unix_seconds()).unwrap_or(i64::MAX));
        self.ages.reloaded(now);
    }

    /// What is served has changed.
    pub(crate) fn versions(&self, served: &[ServedUseCase]) {
        self.versions.clear();
        self.shards.clear();
        for use_case in served {
            let label = UseCaseLabel { usecase: use_case.name.clone() };
            self.versions.get_or_create(&label).set(use_case.versions as i64);
            self.shards.get_or_create(&label).set(use_case.shards as i64);
        }
        self.ages.served(served);
    }

    /// A publication was polled.
    pub(crate) fn polled(&self, use_case: &str, outcome: Outcome, late: bool) {
        let usecase = use_case.to_owned();
        self.release_late
            .get_or_create(&UseCaseLabel { usecase: usecase.clone() })
            .set(late.into());
        self.release_checks.get_or_create(&UseCaseOutcomeLabels { usecase, outcome }).inc();
    }

    /// Data sets could not be loaded.
    pub(crate) fn load_failed(&self) {
        self.reloads.get_or_create(&OutcomeLabel { outcome: Outcome::Failure }).inc();
    }

    /// The text of all metrics.
    pub(crate) fn text(&self, levels: &Levels) -> String {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.queue.set(levels.queue as i64);
        self.cached_keys.set(levels.cached_keys as i64);
        self.cached_key_bytes.set(signed(levels.cached_key_bytes));
        self.stored_keys.set(signed(levels.store.evaluation_keys));
        self.stored_key_bytes.set(signed(levels.store.evaluation_key_bytes));
        self.stored_nonces.set(signed(levels.store.nonces));
        self.store_used_bytes.set(signed(levels.store.used_bytes));
        self.store_capacity_bytes.set(signed(levels.store.capacity_bytes));
        self.ages.now(levels);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode_registry(&mut text, &self.registry);
        let _ = encode_registry(&mut text, self.ages.process());
        let _ = encode_eof(&mut text);
        text
    }
}

#[cfg(test)]
mod tests;
