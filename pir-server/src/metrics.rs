//! What the service tells Prometheus.
//!
//! Labels are types here: endpoints, reasons, stages and tiers are closed sets, and names of use cases
//! come from the configuration. Nothing that a client sends can become a label.

use crate::configuration::Tier;
use crate::gateway::GatewayRefusal;
use keyword_pir::StageTimes;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::fmt::Write;
use std::time::Duration;

/// A closed set of words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// The word in metrics and logs.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
                encoder.write_str(self.name())
            }
        }
    };
}

words! {
    /// Where a request went.
    Endpoint {
        /// The issuer directory.
        Directory = "directory",
        /// The key of a user token's tier.
        TokenKey = "token_key",
        /// Issuing.
        Issue = "issue",
        /// Configurations.
        Config = "config",
        /// Evaluation keys.
        Key = "key",
        /// Queries.
        Queries = "queries",
        /// Reports.
        Report = "report",
        /// The gateway; what was in its requests is counted at its own endpoint, too.
        Gateway = "gateway",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// A step of the work on a query.
    Stage {
        /// Waiting for a core.
        Queue = "queue",
        /// Expanding the query.
        Expansion = "expansion",
        /// Products with the database.
        First = "first_dimension",
        /// Products of ciphertexts.
        Second = "second_dimension",
        /// The reply.
        Reply = "reply",
    }
}

words! {
    /// Why no token was issued, or one was not accepted.
    TokenRefusal {
        /// No header, or another scheme.
        Missing = "missing",
        /// Not a token.
        Malformed = "malformed",
        /// Of a key that is not accepted.
        UnknownKey = "unknown_key",
        /// The signature does not hold.
        Signature = "signature",
        /// Spent before.
        Spent = "spent",
        /// The user token is not known.
        User = "user_token",
        /// A request that is not one.
        Request = "request",
    }
}

words! {
    /// How something ended.
    Outcome {
        /// Well.
        Done = "done",
        /// Not.
        Failed = "failed",
    }
}

impl EncodeLabelValue for GatewayRefusal {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        encoder.write_str(match self {
            Self::Key => "key",
            Self::Message => "message",
            Self::Target => "target",
            Self::Origin => "origin",
        })
    }
}

impl EncodeLabelValue for Tier {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        encoder.write_str(self.name())
    }
}

/// Endpoint and status.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: Endpoint,
    status: u16,
}

/// Endpoint alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabel {
    endpoint: Endpoint,
}

/// Use case and stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    usecase: String,
    stage: Stage,
}

/// Use case alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UseCaseLabel {
    usecase: String,
}

/// Tier alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TierLabel {
    tier: Tier,
}

/// Reason alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabel {
    reason: TokenRefusal,
}

/// Reason alone, at the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GatewayLabel {
    reason: GatewayRefusal,
}

/// Outcome alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: Outcome,
}

/// Use case and outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UseCaseOutcomeLabels {
    usecase: String,
    outcome: Outcome,
}

/// Half a millisecond to half a minute.
#[derive(Clone)]
struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(0.0005, 2.0, 17))
    }
}

type Latency<L> = Family<L, Histogram, Seconds>;

/// All metrics.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Latency<EndpointLabel>,
    request_bytes: Family<EndpointLabel, Counter>,
    response_bytes: Family<EndpointLabel, Counter>,
    stage_seconds: Latency<StageLabels>,
    queries: Family<UseCaseLabel, Counter>,
    queue: Gauge,
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
    cached_keys: Gauge,
    cached_key_bytes: Gauge,
    key_cache_hits: Counter,
    key_cache_misses: Counter,
    stored_keys: Gauge,
    stored_key_bytes: Gauge,
    stored_nonces: Gauge,
    connections: Gauge,
    reports: Family<OutcomeLabel, Counter>,
    store_failures: Counter,
}

/// Amounts that are read when someone asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Levels {
    /// Work that waits or runs.
    pub queue: usize,
    /// Parsed evaluation keys.
    pub cached_keys: usize,
    /// Their bytes.
    pub cached_key_bytes: u64,
    /// What the store holds.
    pub store: crate::store::StoreStatistics,
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
            cached_keys: Gauge::default(),
            cached_key_bytes: Gauge::default(),
            key_cache_hits: Counter::default(),
            key_cache_misses: Counter::default(),
            stored_keys: Gauge::default(),
            stored_key_bytes: Gauge::default(),
            stored_nonces: Gauge::default(),
            connections: Gauge::default(),
            reports: Family::default(),
            store_failures: Counter::default(),
        };
        all.register();
        all
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
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
            "When data sets were loaded, since 1970",
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
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register("reports", "Reports by outcome", self.reports.clone());
        registry.register("store_failures", "Failures of the store", self.store_failures.clone());
    }

    /// A request was answered.
    pub fn answered(
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
    pub fn query(&self, use_case: &str, waited: Duration, times: &StageTimes) {
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

    /// A request was refused for want of time or room.
    pub fn refused_busy(&self, endpoint: Endpoint) {
        self.busy.get_or_create(&EndpointLabel { endpoint }).inc();
    }

    /// A token was issued.
    pub fn token_issued(&self, tier: Tier) {
        self.tokens_issued.get_or_create(&TierLabel { tier }).inc();
    }

    /// A token was spent.
    pub fn token_accepted(&self, tier: Tier) {
        self.tokens_accepted.get_or_create(&TierLabel { tier }).inc();
    }

    /// A token was not issued, or not accepted.
    pub fn token_refused(&self, reason: TokenRefusal) {
        self.tokens_refused.get_or_create(&RefusalLabel { reason }).inc();
    }

    /// An encapsulated request was not passed on.
    pub fn gateway_refused(&self, reason: GatewayRefusal) {
        self.gateway_refused.get_or_create(&GatewayLabel { reason }).inc();
    }

    /// An evaluation key was found parsed, or not.
    pub fn key_cache(&self, hit: bool) {
        if hit {
            self.key_cache_hits.inc()
        } else {
            self.key_cache_misses.inc()
        };
    }

    /// A report was stored, or could not be.
    pub fn report(&self, outcome: Outcome) {
        self.reports.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// The store failed.
    pub fn store_failed(&self) {
        self.store_failures.inc();
    }

    /// A connection was opened.
    pub fn connection_opened(&self) {
        self.connections.inc();
    }

    /// A connection was closed.
    pub fn connection_closed(&self) {
        self.connections.dec();
    }

    /// Data sets were loaded.
    pub fn loaded(&self, loaded: &crate::service::Loaded, now: u64) {
        self.versions(loaded);
        self.reloads.get_or_create(&OutcomeLabel { outcome: Outcome::Done }).inc();
        self.last_reload.set(i64::try_from(now).unwrap_or(i64::MAX));
    }

    /// What is served has changed.
    pub fn versions(&self, loaded: &crate::service::Loaded) {
        self.versions.clear();
        self.shards.clear();
        for (name, versions, shards) in &loaded.use_cases {
            let label = UseCaseLabel { usecase: name.clone() };
            self.versions.get_or_create(&label).set(*versions as i64);
            self.shards.get_or_create(&label).set(*shards as i64);
        }
    }

    /// A publication was polled.
    pub fn polled(&self, use_case: &str, outcome: Outcome, late: bool) {
        let usecase = use_case.to_owned();
        self.release_late
            .get_or_create(&UseCaseLabel { usecase: usecase.clone() })
            .set(late.into());
        self.release_checks.get_or_create(&UseCaseOutcomeLabels { usecase, outcome }).inc();
    }

    /// Data sets could not be loaded.
    pub fn load_failed(&self) {
        self.reloads.get_or_create(&OutcomeLabel { outcome: Outcome::Failed }).inc();
    }

    /// The text of all metrics.
    pub fn text(&self, levels: &Levels) -> String {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.queue.set(levels.queue as i64);
        self.cached_keys.set(levels.cached_keys as i64);
        self.cached_key_bytes.set(signed(levels.cached_key_bytes));
        self.stored_keys.set(signed(levels.store.evaluation_keys));
        self.stored_key_bytes.set(signed(levels.store.evaluation_key_bytes));
        self.stored_nonces.set(signed(levels.store.nonces));
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
