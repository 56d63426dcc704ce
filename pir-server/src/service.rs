//! The service behind its endpoints: what they share, how it is opened, reloaded and maintained.

use crate::catalog::Catalog;
use crate::causes::WithCauses;
use crate::configuration::{
    Configuration, ConfigurationError, GatewaySettings, IssuerSettings, Limits,
    PublicationSettings, StoreSettings, Tier, UseCase, UserTokenSettings, read_users,
};
use crate::data_set::{DataSet, DataSetError};
use crate::file_mark::FileMark;
use crate::gateway::{Gateway, GatewayError};
use crate::issuer::{Issuer, IssuerError};
use crate::key_cache::KeyCache;
use crate::metrics::{Levels, Metrics, Outcome};
use crate::reports::ReportLog;
#[cfg(feature = "redis")]
use crate::store::RedisStore;
use crate::store::{EmbeddedStore, Store, StoreError};
use crate::subscriptions::{Serve, SubscriptionError, Subscriptions};
use crate::tls::{Certificates, TlsError};
use crate::user_tokens::{HookError, UserTable, UserTokens};
use crate::work::WorkPool;
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{io, thread};
use tokio::sync::{Mutex, MutexGuard, Semaphore};
use unix_clock::Timestamp;

/// Seconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The clock of the system.
pub fn system_clock() -> Clock {
    Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()))
}

fn present(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

/// How often issuer keys are looked at: another node may have changed them.
const ROTATION_EVERY: Duration = Duration::from_secs(15);
/// How often evaluation keys that were not used for long are looked for.
const GARBAGE_EVERY: u64 = 3600;
/// How often files of user tokens and certificates are looked at.
const FILES_EVERY: Duration = Duration::from_secs(2);

/// The service cannot be opened or reloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The configuration is not usable.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// A data set cannot be served.
    #[error("use case data: {0}")]
    DataSet(#[from] DataSetError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Issuer keys cannot be had.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The gateway cannot be opened.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// TLS cannot be offered.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Something else failed.
    #[error("{what}: {source}")]
    Io {
        /// What it was for.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A publication cannot be read, or has no release that can be served.
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    /// There is no file to read the configuration from.
    #[error("the service was not started from a configuration file")]
    NoSource,
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> ServiceError {
    let what = what.into();
    move |source| ServiceError::Io { what, source }
}

/// Gives the configuration anew, for a reload.
pub type Source = Arc<dyn Fn() -> Result<Configuration, ConfigurationError> + Send + Sync>;

/// What a reload replaces, all of it at once.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) catalog: Catalog,
    /// As the configuration has them.
    use_cases: Vec<UseCase>,
    users: UserTable,
    /// What [`Live::users`] had from the configuration itself.
    configured_users: UserTable,
    users_file: Option<(PathBuf, FileMark)>,
    pub(crate) issuer_request_uri: String,
    pub(crate) reports: Option<Arc<ReportLog>>,
}

/// What a reload found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Use cases, each with its versions and the shards of the newest one.
    pub use_cases: Vec<(String, usize, usize)>,
    /// User tokens.
    pub user_tokens: usize,
    /// Settings that differ from those in use, and count from the next start only.
    pub after_restart: Vec<&'static str>,
    /// What is served all the same, and should be looked at.
    pub warnings: Vec<String>,
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What is on this machine.
    pub loaded: Loaded,
    /// What is published, in a sentence each. It was not brought here.
    pub releases: Vec<String>,
}

/// The service.
pub struct Service {
    clock: Clock,
    source: Option<Source>,
    settings: Settings,
    live: ArcSwap<Live>,
    subscriptions: Subscriptions,
    /// One reload at a time.
    reloading: Mutex<()>,
    store: Arc<dyn Store>,
    issuer: Arc<Issuer>,
    gateway: Option<Arc<Gateway>>,
    user_tokens: UserTokens,
    certificates: Option<Arc<Certificates>>,
    keys: KeyCache,
    pool: WorkPool,
    metrics: Metrics,
    bodies: Arc<Semaphore>,
    ready: AtomicBool,
    last_collection: AtomicU64,
}

/// Settings that stay as they are until the next start.
struct Settings {
    limits: Limits,
    listen: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    tls: bool,
    store: StoreSettings,
    workers: Option<usize>,
    issuer: IssuerSettings,
    user_tokens: UserTokenSettings,
    gateway: Option<GatewaySettings>,
    publications: PublicationSettings,
    /// Use cases that are followed, and where.
    published: Vec<(String, String)>,
}

impl Settings {
    fn of(configuration: &Configuration) -> Self {
        Self {
            limits: configuration.limits.clone(),
            listen: configuration.listen.clone(),
            admin: configuration.admin,
            tls: configuration.tls.is_some(),
            store: configuration.store.clone(),
            workers: configuration.workers,
            issuer: configuration.issuer.clone(),
            user_tokens: configuration.user_tokens.clone(),
            gateway: configuration.gateway.clone(),
            publications: configuration.publications.clone(),
            published: configuration
                .use_cases
                .iter()
                .filter_map(|use_case| Some((use_case.name.clone(), use_case.published.clone()?)))
                .collect(),
        }
    }

    fn changed(&self, other: &Self) -> Vec<&'static str> {
        let pairs = [
            ("listen", self.listen == other.listen),
            ("admin", self.admin == other.admin),
            ("tls", self.tls == other.tls),
            ("store", self.store == other.store),
            ("limits", self.limits == other.limits),
            ("workers", self.workers == other.workers),
            ("issuer", self.issuer == other.issuer),
            ("userTokens", self.user_tokens == other.user_tokens),
            ("gateway", self.gateway == other.gateway),
            ("publications", self.publications == other.publications),
            ("usecases.published", self.published == other.published),
        ];
        pairs.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
    }
}

/// Reads all that a configuration names. Takes long. Files of publications are those that are here.
fn load(
    configuration: &Configuration,
    subscriptions: &Subscriptions,
    user_tokens: &UserTokens,
    earlier: Option<&Live>,
    now: u64,
) -> Result<Live, ServiceError> {
    let none = Catalog::default();
    let earlier_catalog = earlier.map_or(&none, |live| &live.catalog);
    let catalog =
        Catalog::open(&subscriptions.resolve(&configuration.use_cases), earlier_catalog, now)?;
    let configured_users = UserTable::new(user_tokens.hasher(), &configuration.users);
    let mut live = Live {
        catalog,
        use_cases: configuration.use_cases.clone(),
        users: configured_users.clone(),
        configured_users,
        users_file: None,
        issuer_request_uri: configuration
            .issuer_request_uri
            .clone()
            .unwrap_or_else(|| "/issue".to_owned()),
        reports: open_reports(configuration, earlier)?,
    };
    if let Some(path) = &configuration.user_tokens.file {
        live.read_users_file(path, user_tokens)?;
    }
    Ok(live)
}

fn open_reports(
    configuration: &Configuration,
    earlier: Option<&Live>,
) -> Result<Option<Arc<ReportLog>>, ServiceError> {
    let Some(directory) = &configuration.report_directory else { return Ok(None) };
    if let Some(log) = earlier.and_then(|live| live.reports.as_ref())
        && log.directory() == directory
        && *log.settings() == configuration.reports
    {
        return Ok(Some(Arc::clone(log)));
    }
    let log = ReportLog::open(directory, &configuration.reports)
        .map_err(io_error(format!("reportDirectory {}", directory.display())))?;
    Ok(Some(Arc::new(log)))
}

impl Live {
    fn read_users_file(&mut self, path: &Path, tokens: &UserTokens) -> Result<(), ServiceError> {
        let what = || format!("userTokens.file {}", path.display());
        // Looked at before it is read: a change in between is seen the next time.
        let mark = FileMark::of(path).map_err(io_error(what()))?;
        let groups = read_users(path)?;
        self.users = self.configured_users.with(tokens.hasher(), &groups);
        self.users_file = Some((path.to_owned(), mark));
        Ok(())
    }

    fn loaded(&self) -> Loaded {
        let use_cases = self
            .catalog
            .newest_of_all()
            .map(|(name, newest, versions)| (name.to_owned(), versions, newest.shard_count()));
        let use_cases: Vec<(String, usize, usize)> = use_cases.collect();
        let odd = use_cases.iter().filter(|(_, _, shards)| !shards.is_power_of_two());
        let warnings = odd.map(|(name, _, shards)| {
            format!(
                "use case {name}: {shards} shards; devices from iOS and macOS 27.3 on take powers of \
                 two only (process with requirePowerOfTwoShardCount)"
            )
        });
        Loaded {
            warnings: warnings.collect(),
            user_tokens: self.users.len(),
            after_restart: Vec::new(),
            use_cases,
        }
    }
}

/// Runs what takes long.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    let task = tokio::task::spawn_blocking(work);
    task.await.unwrap_or_else(|error| Err(io_error("loading")(io::Error::other(error))))
}

fn some_threads(count: usize) -> Result<rayon::ThreadPool, ServiceError> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(count).build();
    threads.map_err(|error| io_error("threads")(io::Error::other(error)))
}

/// Threads that compute, by the configuration or the machine.
fn workers(configuration: &Configuration) -> usize {
    let cores = || thread::available_parallelism().map_or(1, NonZero::get);
    configuration.workers.unwrap_or_else(cores)
}

impl Service {
    /// Opens the store that a configuration names, reads issuer keys or draws them, and opens all data
    /// sets. Takes long.
    pub async fn open(configuration: &Configuration, clock: Clock) -> Result<Self, ServiceError> {
        let settings = configuration.store.clone();
        #[cfg(feature = "redis")]
        if let Some(redis) = &settings.redis {
            let store = RedisStore::open(redis, settings.evaluation_key_days).await?;
            return Self::with_store(configuration, Arc::new(store), clock).await;
        }
        let store = blocking(move || Ok(EmbeddedStore::open(&settings)?)).await?;
        Self::with_store(configuration, Arc::new(store), clock).await
    }

    /// The same with a store that is open already.
    pub async fn with_store(
        configuration: &Configuration,
        store: Arc<dyn Store>,
        clock: Clock,
    ) -> Result<Self, ServiceError> {
        let issuer = Issuer::open(Arc::clone(&store), &configuration.issuer, clock()).await?;
        let issuer = Arc::new(issuer);
        let user_tokens =
            UserTokens::new(&configuration.user_tokens).map_err(io_error("userTokens"))?;
        let certificates = configuration.tls.as_ref().map(Certificates::open).transpose()?;
        let subscriptions = Subscriptions::open(configuration, present(clock())).await?;
        let (user_tokens, subscriptions, live) = {
            let (configuration, now) = (configuration.clone(), clock());
            blocking(move || {
                let live = load(&configuration, &subscriptions, &user_tokens, None, now)?;
                Ok((user_tokens, subscriptions, live))
            })
            .await?
        };
        let limits = &configuration.limits;
        let gateway = match &configuration.gateway {
            Some(settings) => {
                let (most, time) = (limits.body_bytes, limits.request_time());
                let gateway = Gateway::open(Arc::clone(&store), settings, most, time, clock());
                Some(Arc::new(gateway.await?))
            }
            None => None,
        };
        let pool = WorkPool::new(workers(configuration), limits.queue)
            .map_err(io_error("threads for queries"))?;
        let metrics = Metrics::default();
        let loaded = live.loaded();
        metrics.loaded(&loaded, clock());
        Ok(Self {
            source: None,
            settings: Settings::of(configuration),
            live: ArcSwap::from_pointee(live),
            subscriptions,
            reloading: Mutex::default(),
            keys: KeyCache::new(limits.key_cache_bytes),
            bodies: Arc::new(Semaphore::new(limits.bodies_in_flight_bytes.div_ceil(1024))),
            store,
            issuer,
            gateway,
            user_tokens,
            certificates,
            pool,
            metrics,
            ready: AtomicBool::new(true),
            last_collection: AtomicU64::new(0),
            clock,
        })
    }

    /// Where [`Service::reload`] has the configuration from.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// What a configuration names, opened and checked, and nothing of it served or changed: neither
    /// the store nor issuer keys are touched. Takes long.
    pub async fn check(configuration: &Configuration) -> Result<Checked, ServiceError> {
        let releases = Subscriptions::check(configuration).await?;
        let user_tokens =
            UserTokens::new(&configuration.user_tokens).map_err(io_error("userTokens"))?;
        configuration.tls.as_ref().map(Certificates::open).transpose()?;
        let quiet = Configuration { report_directory: None, ..configuration.clone() };
        let nothing = Subscriptions::default();
        let load = move || Ok(load(&quiet, &nothing, &user_tokens, None, 0)?.loaded());
        Ok(Checked { loaded: blocking(load).await?, releases })
    }

    /// Reads the configuration again, opens its data sets beside those in use, and takes all of it in
    /// one step. If anything is wrong, all stays as it is.
    pub async fn reload(self: &Arc<Self>) -> Result<Loaded, ServiceError> {
        let source = self.source.clone().ok_or(ServiceError::NoSource)?;
        let _one = self.reloading.lock().await;
        let service = Arc::clone(self);
        let outcome = blocking(move || {
            let configuration = source()?;
            // Threads of its own: queries go on meanwhile.
            let threads = some_threads(workers(&configuration).div_ceil(2))?;
            let earlier = service.live.load_full();
            let (tokens, now) = (&service.user_tokens, service.now());
            let subscriptions = &service.subscriptions;
            let live = threads
                .install(|| load(&configuration, subscriptions, tokens, Some(&earlier), now))?;
            if let (Some(certificates), Some(tls)) = (&service.certificates, &configuration.tls) {
                certificates.reload(tls)?;
            }
            let mut loaded = live.loaded();
            loaded.after_restart = service.settings.changed(&Settings::of(&configuration));
            service.live.store(Arc::new(live));
            Ok(loaded)
        })
        .await;
        match &outcome {
            Ok(loaded) => self.metrics.loaded(loaded, self.now()),
            Err(_) => self.metrics.load_failed(),
        }
        outcome
    }

    /// Reads the file of user tokens again if it changed. One that cannot be read changes nothing.
    pub async fn refresh_users(self: &Arc<Self>) -> Result<bool, ServiceError> {
        let Some((path, mark)) = self.live.load().users_file.clone() else { return Ok(false) };
        let _one = self.reloading.lock().await;
        let service = Arc::clone(self);
        blocking(move || {
            let what = format!("userTokens.file {}", path.display());
            if FileMark::of(&path).map_err(io_error(what))? == mark {
                return Ok(false);
            }
            let mut live = Live::clone(&service.live.load());
            live.read_users_file(&path, &service.user_tokens)?;
            service.live.store(Arc::new(live));
            Ok(true)
        })
        .await
    }

    /// Stops serving versions whose time is over.
    async fn expire_versions(&self) {
        if !self.live.load().catalog.is_due(self.now()) {
            return;
        }
        let _one = self.reloading.lock().await;
        let mut live = Live::clone(&self.live.load());
        live.catalog.expire(self.now());
        self.metrics.versions(&live.loaded());
        self.live.store(Arc::new(live));
        tracing::info!("superseded versions are not served any more");
    }

    /// One round of maintenance: issuer keys rotate, what is not needed any more goes.
    pub async fn maintain(self: &Arc<Self>) -> Result<(), ServiceError> {
        self.expire_versions().await;
        let retired = self.issuer.maintain(self.now()).await?;
        if let Some(gateway) = &self.gateway {
            gateway.maintain(self.now()).await?;
        }
        let now = self.now();
        let last = self.last_collection.load(Ordering::Relaxed);
        // At the first round, too: a crash may have come between a rotation and this.
        if retired || last == 0 {
            self.store.retain_nonces(&self.issuer.key_ids()).await?;
        }
        if now.saturating_sub(last) >= GARBAGE_EVERY {
            self.store.collect_garbage(now).await?;
            self.last_collection.store(now.max(1), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Maintains the service for as long as it lives.
    pub async fn maintain_always(self: Arc<Self>) {
        let rotation = async {
            let mut ticks = tokio::time::interval(ROTATION_EVERY);
            loop {
                ticks.tick().await;
                if let Err(error) = self.maintain().await {
                    self.metrics.store_failed();
                    tracing::error!(error = %WithCauses(&error), "maintenance failed and will be tried again");
                }
            }
        };
        let files = async {
            let mut ticks = tokio::time::interval(FILES_EVERY);
            let (mut users, mut certificate) =
                (Refresh::of("user tokens"), Refresh::of("certificate"));
            loop {
                ticks.tick().await;
                users.tell(self.refresh_users().await);
                if let Some(certificates) = self.certificates.clone() {
                    let task = tokio::task::spawn_blocking(move || certificates.refresh());
                    certificate.tell(task.await.unwrap_or(Ok(false)).map_err(ServiceError::from));
                }
            }
        };
        let subscriptions = self.subscriptions.run(&*self);
        futures_util::future::join3(rotation, files, subscriptions).await;
    }

    pub(crate) fn now(&self) -> u64 {
        (self.clock)()
    }

    pub(crate) fn present(&self) -> Timestamp {
        present(self.now())
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.settings.limits
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

    pub(crate) fn bodies(&self) -> &Arc<Semaphore> {
        &self.bodies
    }

    /// What is served.
    pub fn loaded(&self) -> Loaded {
        self.live().loaded()
    }

    /// Its metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The text of the metrics.
    pub fn metrics_text(&self) -> String {
        self.metrics.text(&Levels {
            queue: self.pool.depth(),
            cached_keys: self.keys.len(),
            cached_key_bytes: self.keys.bytes(),
            store: self.store.statistics(),
        })
    }

    /// The tier of a user token.
    pub(crate) async fn user_tier(&self, token: &str) -> Result<Option<Tier>, HookError> {
        self.user_tokens.tier(&self.live().users, token).await
    }

    /// What TLS connections are accepted with, if the configuration has a certificate.
    ///
    /// # Errors
    /// If the library refuses it.
    pub fn tls(&self) -> Result<Option<Arc<rustls::ServerConfig>>, TlsError> {
        self.certificates.as_ref().map(Certificates::server_config).transpose()
    }

    /// The publications that the service follows.
    pub fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    /// Polls all publications once: prepares new releases, and serves the effective ones.
    ///
    /// # Errors
    /// The last failure, after all publications were polled.
    pub async fn poll_publications(&self) -> Result<(), ServiceError> {
        Ok(self.subscriptions.poll(self).await?)
    }

    /// Runs what takes long on threads of its own: queries go on meanwhile.
    pub(crate) async fn aside<T: Send + 'static, E: Into<ServiceError> + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let count = self.pool.threads().div_ceil(2);
        blocking(move || some_threads(count)?.install(move || work().map_err(Into::into))).await
    }

    /// Whether requests should be sent here.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && self.subscriptions.is_in_step(self.present())
    }

    /// From now on the service says that it is not ready; what comes is still answered.
    pub fn retire(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }
}

impl Serve for Service {
    fn now(&self) -> Timestamp {
        self.present()
    }

    fn use_case(&self, name: &str) -> Option<UseCase> {
        self.live().use_cases.iter().find(|use_case| use_case.name == name).cloned()
    }

    async fn open_data_set(&self, use_case: UseCase) -> Result<Arc<DataSet>, SubscriptionError> {
        let name = use_case.name.clone();
        let opened = self.aside(move || DataSet::open(&use_case)).await;
        opened
            .map(Arc::new)
            .map_err(|error| SubscriptionError::DataSet { use_case: name, source: Box::new(error) })
    }

    async fn lock_reloads(&self) -> MutexGuard<'_, ()> {
        self.reloading.lock().await
    }

    fn put_version(&self, use_case: &str, data: Arc<DataSet>) {
        let mut live = Live::clone(&self.live.load());
        if let Some(use_case) = live.use_cases.iter().find(|known| known.name == use_case) {
            live.catalog.put(use_case, data, self.now());
            self.metrics.loaded(&live.loaded(), self.now());
            self.live.store(Arc::new(live));
        }
    }

    fn polled(&self, use_case: &str, succeeded: bool, late: bool) {
        let outcome = if succeeded { Outcome::Done } else { Outcome::Failed };
        self.metrics.polled(use_case, outcome, late);
    }
}

/// What became of a file that is looked at again and again.
struct Refresh {
    what: &'static str,
    last_failure: String,
}

impl Refresh {
    fn of(what: &'static str) -> Self {
        Self { what, last_failure: String::new() }
    }

    /// Notes it; the same failure again and again is told once.
    fn tell(&mut self, outcome: Result<bool, ServiceError>) {
        let what = self.what;
        match outcome {
            Ok(false) => {}
            Ok(true) => {
                self.last_failure.clear();
                tracing::info!(what, "read again");
            }
            Err(error) if error.to_string() == self.last_failure => {}
            Err(error) => {
                tracing::error!(what, error = %WithCauses(&error), "cannot be read again; the earlier state stays");
                self.last_failure = error.to_string();
            }
        }
    }
}
