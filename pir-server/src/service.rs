//! The service behind its endpoints: what they share, how it is opened, reloaded and maintained.

pub(crate) mod error;
#[cfg(feature = "lists")]
mod lists;
mod live;
mod maintenance;
mod open;
mod refresh;
mod reload;
mod settings;

pub use crate::blocking::TaskFailed;
pub use crate::catalog::ServedUseCase;
pub use crate::data_set_error::{DataSetError, Difference, Mismatch};
pub use crate::issuer::IssuerError;
#[cfg(feature = "lists")]
pub use crate::lists::{ListsError, ListsStatus};
pub use crate::prefilter::PrefilterError;
pub use crate::subscriptions::SubscriptionError;
pub use crate::tls::{ServerTls, TlsError};
pub use error::ServiceError;
pub use live::Loaded;
pub use open::Checked;

use crate::body_budget::BodyBudget;
use crate::configuration::{Configuration, ConfigurationError, Limits};
use crate::gateway::Gateway;
use crate::issuer::Issuer;
use crate::key_cache::KeyCache;
#[cfg(feature = "lists")]
use crate::lists::Lists;
use crate::metrics::{Levels, ListLevel, Metrics};
use crate::nonces_in_use::NoncesInUse;
use crate::peer_budget::PeerBudget;
use crate::store::Store;
use crate::subscriptions::Subscriptions;
use crate::tier::Tier;
use crate::tls::Certificates;
use crate::traffic::Traffic;
use crate::user_tokens::{HookError, UserTokens};
use crate::work::WorkPool;
use arc_swap::{ArcSwap, ArcSwapOption};
use live::Live;
pub(crate) use live::NO_USER_TOKEN;
use pir_dataset::publication::UseCaseStatus;
pub(crate) use refresh::RefreshedFile;
use refresh::Refreshes;
use settings::Settings;
use std::fmt;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use tokio::sync::Mutex;
use unix_clock::{Clock, Timestamp};

/// Reads the configuration for a reload. May block.
pub type Source = Arc<dyn Fn() -> Result<Configuration, ConfigurationError> + Send + Sync>;

/// A running service: what it serves, its state and its metrics.
///
/// [`endpoints::router`](crate::endpoints::router) answers devices and
/// [`admin::router`](crate::admin::router) operators; [`Service::maintain_always`] must run for keys to
/// rotate and for files to be read again.
pub struct Service {
    clock: Arc<dyn Clock>,
    source: Option<Source>,
    settings: Settings,
    /// What is probably not meant in the configuration that is in use.
    advice: ArcSwap<Vec<String>>,
    live: ArcSwap<Live>,
    subscriptions: Subscriptions,
    #[cfg(feature = "lists")]
    lists: Option<Lists>,
    /// One reload at a time.
    reloading: Mutex<()>,
    /// Why the last reload failed, if it did.
    reload_failure: ArcSwapOption<String>,
    /// How the last reads of files went that are read again when they change.
    refreshes: Refreshes,
    store: Arc<dyn Store>,
    issuer: Arc<Issuer>,
    gateway: Option<Arc<Gateway>>,
    user_tokens: UserTokens,
    certificates: Option<Arc<Certificates>>,
    keys: KeyCache,
    pool: WorkPool,
    metrics: Metrics,
    traffic: Traffic,
    bodies: BodyBudget,
    unauthenticated: PeerBudget,
    nonces_in_use: NoncesInUse,
    ready: AtomicBool,
    /// Unix seconds of the last garbage collection; 0 before the first.
    last_collection: AtomicU64,
}

/// From how many percent on `/readyz` says how full the store is.
const NEARLY_FULL_PERCENT: u64 = 90;
/// From how many percent on the store cannot be expected to accept nonces.
const FULL_PERCENT: u64 = 99;

/// Whether requests should be sent to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    /// Ready, but the store is full to this percentage.
    StoreNearlyFull(u64),
    /// [`Service::retire`] was called.
    Stopping,
    /// A published release should be served and is not.
    Late,
    /// Nothing was published yet of a use case.
    NothingPublished,
    /// The publication of a use case cannot be followed, and no release of it is here.
    PublicationUnusable,
    /// The lists are fetched and processed for the first time.
    FirstUpdate,
    /// The store has no memory for nonces.
    StoreFull,
}

impl Readiness {
    pub(crate) fn is_ready(self) -> bool {
        matches!(self, Self::Ready | Self::StoreNearlyFull(_))
    }
}

/// The body of `/readyz`.
impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::StoreNearlyFull(percent) => {
                write!(f, "ready; the store is {percent} percent full")
            }
            Self::Stopping => f.write_str("not ready: the service stops"),
            Self::Late => f.write_str("not ready: a published release is not served yet"),
            Self::NothingPublished => f.write_str(
                "not ready: nothing was published yet for a use case; the first release is served as soon as it is \
                 (urlfilter publish)",
            ),
            Self::PublicationUnusable => f.write_str(
                "not ready: the publication of a use case cannot be followed, and no release of it is here; the admin page \
                 and the log say why",
            ),
            Self::FirstUpdate => f.write_str(
                "not ready: the lists are fetched and processed for the first time; the log says what they lack",
            ),
            Self::StoreFull => f.write_str("not ready: the store is full; no token can be spent"),
        }
    }
}

/// From how many days before its end on a certificate is warned of.
const CERTIFICATE_WARNING: std::time::Duration = std::time::Duration::from_secs(21 * 86_400);

/// A sentence about a certificate that has not begun, has ended, or ends soon.
fn certificate_warning(
    begin: Option<Timestamp>,
    end: Option<Timestamp>,
    now: Timestamp,
) -> Option<String> {
    let days = |span: std::time::Duration| span.as_secs() / 86_400;
    if let Some(begin) = begin.filter(|&begin| begin > now) {
        let days = days(begin.since(now));
        return Some(format!(
            "tls: the certificate is not valid yet, for {days} more days, and no client accepts it; serve another one until \
             then, or set the clock of this machine if it is wrong"
        ));
    }
    let end = end?;
    let replace = "replace its files; the service reads them again by itself";
    if end <= now {
        let days = days(now.since(end));
        return Some(format!(
            "tls: the certificate has expired, {days} days ago, and no client accepts it; {replace}"
        ));
    }
    let left = end.since(now);
    // Certificates that live for days are renewed in the last quarter of their time.
    let quarter = begin.map_or(CERTIFICATE_WARNING, |begin| end.since(begin) / 4);
    (left < CERTIFICATE_WARNING.min(quarter))
        .then(|| format!("tls: the certificate expires in {} days; {replace}", days(left)))
}

/// What operators should know about the certificates that are served.
fn certificate_warnings(certificates: Option<&Certificates>, now: Timestamp) -> Vec<String> {
    let Some(certificates) = certificates else { return Vec::new() };
    let time = match certificates.end() {
        Some(end) => certificate_warning(certificates.begin(), Some(end), now),
        None => Some(
            "tls: the certificate cannot be read here, so that its end is not known".to_owned(),
        ),
    };
    let chain = certificates.chain_problem().map(|problem| format!("tls: {problem}"));
    time.into_iter().chain(chain).collect()
}

/// Threads that compute: as configured, or one for each core.
fn worker_count(configuration: &Configuration) -> usize {
    let cores = || thread::available_parallelism().map_or(1, NonZero::get);
    configuration.workers.unwrap_or_else(cores)
}

impl Service {
    /// Sets where [`Service::reload`] reads the configuration from.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// The path at which devices send reports.
    pub(crate) fn report_path(&self) -> &str {
        &self.settings.report_path
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn issuer(&self) -> &Arc<Issuer> {
        &self.issuer
    }

    pub(crate) fn gateway(&self) -> Option<&Arc<Gateway>> {
        self.gateway.as_ref()
    }

    pub(crate) fn keys(&self) -> &KeyCache {
        &self.keys
    }

    pub(crate) fn pool(&self) -> &WorkPool {
        &self.pool
    }

    pub(crate) fn body_budget(&self) -> &BodyBudget {
        &self.bodies
    }

    /// The memory of requests before their token was verified.
    pub(crate) fn unauthenticated_budget(&self) -> &PeerBudget {
        &self.unauthenticated
    }

    /// The tokens of requests that are in progress.
    pub(crate) fn nonces_in_use(&self) -> &NoncesInUse {
        &self.nonces_in_use
    }

    /// What is served at present.
    #[must_use]
    pub fn loaded(&self) -> Loaded {
        let mut loaded = self.live().loaded();
        loaded.warnings.extend(self.advice.load().iter().cloned());
        loaded.warnings.extend(certificate_warnings(self.certificates.as_deref(), self.now()));
        loaded
    }

    /// When the certificate ends; `None` without one.
    pub(crate) fn certificate_end(&self) -> Option<Timestamp> {
        self.certificates.as_ref()?.end()
    }

    #[cfg(feature = "lists")]
    fn list_levels(&self) -> Vec<ListLevel> {
        self.lists_status().and_then(|status| status.updated).map_or_else(Vec::new, |updated| {
            let level = |source: &list_update::SourceReport| ListLevel {
                name: source.name.clone(),
                fetched_at: source.fetched_at,
                entries: source.entries,
                is_old: source.state == list_update::SourceState::Old,
            };
            updated.sources.iter().map(level).collect()
        })
    }

    #[cfg(not(feature = "lists"))]
    fn list_levels(&self) -> Vec<ListLevel> {
        Vec::new()
    }

    #[cfg(feature = "lists")]
    fn lists_updated(&self) -> Option<Timestamp> {
        Some(self.lists()?.updated_at())
    }

    #[cfg(feature = "lists")]
    fn serves_lists_made(&self) -> bool {
        self.lists_status().and_then(|status| status.is_served).unwrap_or(true)
    }

    #[cfg(not(feature = "lists"))]
    fn serves_lists_made(&self) -> bool {
        true
    }

    #[cfg(not(feature = "lists"))]
    fn lists_updated(&self) -> Option<Timestamp> {
        None
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The file with the last findings of the doctor.
    pub(crate) fn doctor_report(&self) -> Option<&Path> {
        self.settings.doctor_report.as_deref()
    }

    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// All metrics as OpenMetrics text.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.metrics.text(&Levels {
            queue: self.pool.depth(),
            cached_keys: self.keys.len(),
            cached_key_bytes: self.keys.bytes(),
            store: self.store.statistics(),
            certificate_end: self.certificate_end(),
            lists: self.list_levels(),
            lists_updated: self.lists_updated(),
            lists_served: self.serves_lists_made(),
        })
    }

    /// Whether a use case has nothing to serve yet, and is waited for.
    pub(crate) fn waits_for_any(&self) -> bool {
        self.subscriptions.is_waiting(self) || self.live().awaits_any_files()
    }

    /// Whether a use case is configured and nothing was published of it yet.
    pub(crate) fn waits_for(&self, use_case: &str) -> bool {
        self.subscriptions.waits_for(self, use_case) || self.live().awaits_files(use_case)
    }

    /// The lists that this service keeps up to date.
    #[cfg(feature = "lists")]
    pub(crate) fn lists(&self) -> Option<&Lists> {
        self.lists.as_ref()
    }

    /// The tier of a user token; `None` if it is not valid.
    pub(crate) async fn user_tier(&self, token: &str) -> Result<Option<Tier>, HookError> {
        self.user_tokens.tier(&self.live().users, token).await
    }

    /// How TLS connections are accepted; `None` if the configuration has no `tls`.
    ///
    /// # Errors
    /// [`TlsError::Refused`] if the TLS library refuses its settings.
    pub fn tls(&self) -> Result<Option<ServerTls>, TlsError> {
        self.certificates.as_ref().map(Certificates::server_tls).transpose()
    }

    /// How far this node is with the published releases of its use cases, as `GET /releases` of the admin
    /// address tells it.
    #[must_use]
    pub fn release_statuses(&self) -> Vec<UseCaseStatus> {
        self.subscriptions.statuses(self)
    }

    /// Polls all publications once: prepares new releases, and serves the effective ones.
    ///
    /// # Errors
    /// The last failure, after all publications were polled.
    pub async fn poll_publications(&self) -> Result<(), ServiceError> {
        Ok(self.subscriptions.poll(self).await?)
    }

    /// Whether load balancers should send requests here: not after [`Service::retire`], not while this node
    /// is late with a published release or waits for the first one, and not while the store has no memory for nonces.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.readiness().is_ready()
    }

    /// [`Service::is_ready`], and why not.
    pub(crate) fn readiness(&self) -> Readiness {
        if !self.ready.load(Ordering::Relaxed) {
            return Readiness::Stopping;
        }
        if self.live().awaits_any_files() {
            return Readiness::FirstUpdate;
        }
        if self.subscriptions.waits_in_vain(self) {
            return Readiness::PublicationUnusable;
        }
        if self.subscriptions.is_waiting(self) {
            return Readiness::NothingPublished;
        }
        if !self.subscriptions.is_in_step(self) {
            return Readiness::Late;
        }
        match self.store.statistics().fill_percent() {
            Some(percent) if percent >= FULL_PERCENT => Readiness::StoreFull,
            Some(percent) if percent >= NEARLY_FULL_PERCENT => Readiness::StoreNearlyFull(percent),
            _ => Readiness::Ready,
        }
    }

    /// Files that changed and could not be read again, and why.
    pub(crate) fn refresh_failures(&self) -> Vec<(RefreshedFile, String)> {
        self.refreshes.failures()
    }

    /// Why the last reload failed, if it did.
    pub(crate) fn reload_failure(&self) -> Option<String> {
        self.reload_failure.load().as_deref().cloned()
    }

    /// Reports the service as not ready from now on. Requests are still answered.
    pub fn retire(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_certificate_is_warned_of_three_weeks_before_its_end() {
        let now = Timestamp::from_unix_seconds(1_795_000_000);
        let day = Duration::from_secs(86_400);
        let warning = |end| certificate_warning(None, Some(end), now);
        assert_eq!(certificate_warning(None, None, now), None);
        let begins = |begin| certificate_warning(Some(begin), Some(begin + 90 * day), now);
        assert_eq!(begins(now), None);
        let text = begins(now + 5 * day).unwrap();
        assert!(text.contains("not valid yet, for 5 more days"), "{text}");
        assert_eq!(warning(now + 22 * day), None);
        assert_eq!(warning(now + 21 * day), None);
        let text = warning(now + 21 * day - Duration::from_secs(1)).unwrap();
        assert!(text.contains("expires in 20 days"), "{text}");
        let text = warning(now + Duration::from_secs(1)).unwrap();
        assert!(text.contains("expires in 0 days"), "{text}");
        // One that lives for 15 days, in the last quarter of its time.
        let short = |left| {
            certificate_warning(Some(now + left * day - 15 * day), Some(now + left * day), now)
        };
        assert_eq!(short(4), None);
        assert!(short(3).unwrap().contains("expires in 3 days"));
        for (end, days) in [(now, 0), (now - 2 * day, 2)] {
            let text = warning(end).unwrap();
            assert!(text.contains(&format!("has expired, {days} days ago")), "{text}");
        }
    }
}
