//! Use cases whose data sets come from publications: releases are fetched and verified ahead of time, and
//! served from their activation time on.

mod backoff;
mod error;
mod serve;

pub use error::SubscriptionError;
pub(crate) use serve::Serve;

use crate::blocking::blocking;
use crate::configuration::{Configuration, ShardCount, ShardFiles, UseCase, UseCaseSource};
use crate::data_set::DataSet;
use crate::prefilter::{PrefilterError, ServedPrefilter};
use arc_swap::{ArcSwap, ArcSwapOption};
use backoff::Backoff;
use error::store_error;
use error_reporter::Report;
use futures_util::future::join_all;
use pir_dataset::publication::{
    Fetched, Release, ReleaseStore, ReleaseStoreError, Replica, ReplicaStatus, UseCaseStatus,
};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use unix_clock::Timestamp;

/// The subscription of one use case.
struct Subscription {
    use_case: String,
    state: Mutex<SubscriptionState>,
    /// A copy for readers that cannot wait until a download is finished.
    snapshot: ArcSwap<Snapshot>,
    /// Why the publication could not be followed when it was looked at last.
    problem: ArcSwapOption<String>,
}

struct SubscriptionState {
    replica: Replica,
    /// The data set of the release that is ready.
    opened: Option<OpenedRelease>,
    /// The release whose prefilter is given out here, or has none that can be.
    filter_of: Option<String>,
    /// Since the store has not answered.
    silence: Option<Backoff>,
    /// The same for prefilters.
    prefilter_silence: Option<Backoff>,
}

enum OpenedRelease {
    Usable(String, Arc<DataSet>),
    /// It cannot be served. Opening the same files again would give the same result.
    Unusable(String),
}

#[derive(Clone, Default)]
struct Snapshot {
    status: ReplicaStatus,
    /// The files that are served.
    served: Option<ShardFiles>,
}

/// How long a store may take to say which release counts.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// The problem of a publication that has had releases.
const EMPTIED: &str = "nothing is published there any more";

fn release_files(replica: &Replica, release: &Release) -> ShardFiles {
    let count = ShardCount::Release(release.shard_count);
    ShardFiles { stem: replica.files(release).stem().to_owned(), count }
}

impl Snapshot {
    fn of(replica: &Replica) -> Self {
        let served = replica.active().map(|release| release_files(replica, release));
        Self { status: replica.status(), served }
    }

    /// Whether a release is served, and none is published.
    fn is_emptied(&self) -> bool {
        self.status.active.is_some() && self.status.published.is_none()
    }

    /// Since when another release should have been served.
    fn late_since(&self, now: Timestamp) -> Option<Timestamp> {
        let at = self.status.activate_at.filter(|&at| at <= now)?;
        (self.status.active != self.status.published).then_some(at)
    }
}

/// The subscriptions of all use cases that have a publication.
#[derive(Default)]
pub(crate) struct Subscriptions {
    subscriptions: Vec<Subscription>,
    poll_interval: Duration,
    /// How long a node that is late is not ready.
    late_limit: Duration,
}

impl Subscriptions {
    /// Fetches the effective release of each use case. If a publication cannot be reached, the release that
    /// was served last is served again. A use case of which nothing was published yet is waited for.
    ///
    /// # Errors
    /// [`SubscriptionError`], if a publication cannot be reached and no release is here.
    pub(crate) async fn open(
        configuration: &Configuration,
        now: Timestamp,
    ) -> Result<Self, SubscriptionError> {
        let settings = &configuration.publications;
        let mut subscriptions = Vec::new();
        for use_case in configuration.use_cases.iter().filter(|use_case| use_case.is_served()) {
            let Some(address) = use_case.published() else { continue };
            let failed = store_error(&use_case.name);
            let store = ReleaseStore::open(address, &settings.options).map_err(&failed)?;
            let folder = settings.directory.join(&use_case.name);
            let replica = Replica::new(store, use_case.name.clone(), folder);
            let replica = replica.with_max_bytes(settings.max_release_bytes);
            let mut replica = replica.with_keys(settings.keys.clone());
            let fetched = match replica.poll().await {
                Ok(()) => replica.fetch_effective(now).await,
                Err(error) => Err(error),
            };
            log_fetched(&use_case.name, &mut replica, Fetched::default());
            let mut problem = None;
            let release = match fetched {
                Ok(Some(release)) => Some(release),
                Ok(None) => {
                    let last = last_of_nothing(&replica, &use_case.name, address).await;
                    problem = last.as_ref().map(|_| EMPTIED.to_owned());
                    last
                }
                Err(error) => {
                    problem = Some(Report::new(&error).to_string());
                    Some(last_active(&replica, &use_case.name, error).await?)
                }
            };
            match release {
                Some(release) => replica.record_active(release).await.map_err(&failed)?,
                None => tracing::warn!(
                    use_case = use_case.name,
                    address,
                    "nothing was published there yet (`urlfilter publish`); waiting for it"
                ),
            }
            subscriptions.push(Subscription {
                use_case: use_case.name.clone(),
                snapshot: ArcSwap::from_pointee(Snapshot::of(&replica)),
                problem: ArcSwapOption::from_pointee(problem),
                state: Mutex::new(SubscriptionState {
                    replica,
                    opened: None,
                    filter_of: None,
                    silence: None,
                    prefilter_silence: None,
                }),
            });
        }
        Ok(Self {
            subscriptions,
            poll_interval: settings.poll_interval,
            late_limit: settings.max_late,
        })
    }

    /// Reads the publications of a configuration, and fetches nothing. Returns a sentence for each.
    ///
    /// # Errors
    /// [`SubscriptionError`], if a publication cannot be read.
    pub(crate) async fn check(
        configuration: &Configuration,
    ) -> Result<Vec<String>, SubscriptionError> {
        let mut found = Vec::new();
        for use_case in configuration.use_cases.iter().filter(|use_case| use_case.is_served()) {
            let Some(address) = use_case.published() else { continue };
            let failed = store_error(&use_case.name);
            let store = ReleaseStore::open(address, &configuration.publications.options)
                .map_err(&failed)?;
            let current = store.current(None).await.map_err(&failed)?;
            let Some((current, _)) = current else {
                found.push(format!(
                    "use case {}: nothing was published at {address} yet (`urlfilter publish`)",
                    use_case.name
                ));
                continue;
            };
            if let Some(keys) = &configuration.publications.keys {
                current.verify(&use_case.name, keys).map_err(|source| {
                    failed(ReleaseStoreError::Trust { name: address.to_owned(), source })
                })?;
            }
            let release = store.release(&current.release).await.map_err(&failed)?;
            found.push(format!(
                "use case {}: {} shards, release {}",
                use_case.name, release.shard_count, release.id
            ));
        }
        Ok(found)
    }

    /// Use cases with the files that are served. A use case that got its publication since the start is left
    /// out; it is served from the next start on.
    pub(crate) fn resolve(&self, use_cases: &[UseCase]) -> Vec<(UseCase, ShardFiles)> {
        let resolve = |use_case: &UseCase| {
            let files = match use_case.source() {
                UseCaseSource::Files(files) => files.clone(),
                UseCaseSource::Published { .. } => {
                    let mut all = self.subscriptions.iter();
                    let subscription = all.find(|known| known.use_case == use_case.name())?;
                    subscription.snapshot.load().served.clone()?
                }
            };
            Some((use_case.clone(), files))
        };
        use_cases.iter().filter_map(resolve).collect()
    }

    /// The subscriptions of use cases that the present configuration has. The others are left alone.
    fn present(&self, service: &impl Serve) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.iter().filter(|known| service.use_case(&known.use_case).is_some())
    }

    /// How far this node is with each use case.
    #[must_use]
    pub(crate) fn statuses(&self, service: &impl Serve) -> Vec<UseCaseStatus> {
        let status = |subscription: &Subscription| {
            let snapshot = subscription.snapshot.load();
            let late = snapshot.late_since(service.now()).is_some();
            let problem = subscription.problem.load().as_deref().cloned();
            UseCaseStatus::new(subscription.use_case.clone(), snapshot.status.clone(), late)
                .with_problem(problem)
        };
        self.present(service).map(status).collect()
    }

    /// Whether a use case has no release to serve: nothing was published yet when this node last looked.
    #[must_use]
    pub(crate) fn is_waiting(&self, service: &impl Serve) -> bool {
        self.present(service).any(Subscription::is_waiting)
    }

    /// Whether one of those that [wait](Self::is_waiting) has a publication that cannot be followed.
    #[must_use]
    pub(crate) fn waits_in_vain(&self, service: &impl Serve) -> bool {
        let mut all = self.present(service);
        all.any(|known| known.is_waiting() && known.problem.load().is_some())
    }

    /// Whether a use case is one of those that [wait](Self::is_waiting).
    #[must_use]
    pub(crate) fn waits_for(&self, service: &impl Serve, use_case: &str) -> bool {
        self.present(service).any(|known| known.use_case == use_case && known.is_waiting())
    }

    /// Whether this node serves the release that it should. A node that is late for longer than
    /// `publications`' limit counts as in step again: the cause is then probably not this node, and an old data
    /// set is better than none.
    #[must_use]
    pub(crate) fn is_in_step(&self, service: &impl Serve) -> bool {
        let now = service.now();
        let lags = |subscription: &Subscription| {
            let late_since = subscription.snapshot.load().late_since(now);
            late_since.is_some_and(|since| now < since + self.late_limit)
        };
        !self.present(service).any(lags)
    }

    /// Polls all publications once: prepares new releases, and serves the effective ones.
    ///
    /// # Errors
    /// The last failure, after all publications were polled.
    pub(crate) async fn poll(&self, service: &impl Serve) -> Result<(), SubscriptionError> {
        let polled = join_all(self.subscriptions.iter().map(|one| one.poll(service))).await;
        polled.into_iter().rfind(Result::is_err).unwrap_or(Ok(()))
    }

    /// Polls each publication for as long as the future is awaited. A slow store of one use case does not delay the others.
    pub(crate) async fn run(&self, service: &impl Serve) {
        join_all(self.subscriptions.iter().map(|one| one.run(service, self.poll_interval))).await;
    }
}

/// Logs what was fetched since a time, and why it was more than deltas.
fn log_fetched(use_case: &str, replica: &mut Replica, before: Fetched) {
    if let Some(error) = replica.take_unusable_delta() {
        tracing::warn!(
            use_case,
            error = %Report::new(&error),
            "a delta of the publication cannot be used; whole files are fetched instead"
        );
    }
    let now = replica.fetched();
    if now != before {
        tracing::info!(
            use_case,
            files = now.whole - before.whole,
            deltas = now.by_delta - before.by_delta,
            bytes = now.bytes - before.bytes,
            "files of a release fetched"
        );
    }
}

/// The release that was served last, if nothing is published where it was: whoever emptied a store did not mean that nothing is
/// blocked.
async fn last_of_nothing(replica: &Replica, use_case: &str, address: &str) -> Option<Release> {
    let release = match replica.load_last_active().await {
        Ok(release) => release?,
        Err(unusable) => {
            tracing::error!(
                use_case, error = %Report::new(&unusable),
                "the release that was served last cannot be read"
            );
            return None;
        }
    };
    tracing::error!(
        use_case,
        address,
        release = release.id,
        "nothing is published there any more; the release that was served last is served again"
    );
    Some(release)
}

/// The release that was served last, because the publication cannot be read.
async fn last_active(
    replica: &Replica,
    use_case: &str,
    error: ReleaseStoreError,
) -> Result<Release, SubscriptionError> {
    match replica.load_last_active().await {
        Ok(Some(release)) => {
            tracing::error!(
                use_case, release = release.id, error = %Report::new(&error),
                "the publication cannot be followed; the release that was served last is served again"
            );
            Ok(release)
        }
        Ok(None) => Err(store_error(use_case)(error)),
        Err(unusable) => {
            tracing::error!(
                use_case, error = %Report::new(&unusable),
                "the release that was served last cannot be read"
            );
            Err(store_error(use_case)(error))
        }
    }
}

impl Subscription {
    fn is_waiting(&self) -> bool {
        self.snapshot.load().served.is_none()
    }

    /// Time until the next poll: the interval, or less if a release is activated before.
    fn pause(&self, now: Timestamp, poll_interval: Duration) -> Duration {
        let activate_at = self.snapshot.load().status.activate_at.filter(|&at| at > now);
        activate_at.map_or(poll_interval, |at| poll_interval.min(at.since(now)))
    }

    async fn run(&self, service: &impl Serve, poll_interval: Duration) {
        // The same failure is logged once, not at every poll.
        let mut last_failure = String::new();
        loop {
            match self.poll(service).await {
                Ok(()) => last_failure.clear(),
                Err(error) => {
                    let failure = Report::new(&error).to_string();
                    if failure != last_failure {
                        tracing::error!(
                            error = failure,
                            "a publication cannot be followed; the earlier state stays"
                        );
                        last_failure = failure;
                    }
                }
            }
            tokio::time::sleep(self.pause(service.now(), poll_interval)).await;
        }
    }

    /// Polls once, and records what came of it.
    async fn poll(&self, service: &impl Serve) -> Result<(), SubscriptionError> {
        if service.use_case(&self.use_case).is_none() {
            return Ok(());
        }
        let polled = self.follow(service).await;
        let snapshot = self.snapshot.load();
        let problem = match &polled {
            Err(error) => Some(Report::new(error).to_string()),
            Ok(()) => snapshot.is_emptied().then(|| EMPTIED.to_owned()),
        };
        let late = snapshot.late_since(service.now()).is_some();
        service.polled(&self.use_case, problem.is_none(), late);
        self.problem.store(problem.map(Arc::new));
        polled
    }

    /// Follows the publication, unless its store has just not answered. Such a store is asked again after a pause that doubles:
    /// a read of a folder that hangs keeps a thread for as long as it does.
    async fn follow(&self, service: &impl Serve) -> Result<(), SubscriptionError> {
        let mut state = self.state.lock().await;
        let before = state.silence;
        let followed = match before.is_some_and(Backoff::is_on) {
            true => Err(SubscriptionError::Silent { use_case: self.use_case.clone() }),
            false => {
                let followed = self.ask_store(service, &mut state).await;
                let is_silent = followed.as_ref().is_err_and(SubscriptionError::is_silence);
                state.silence = is_silent.then(|| Backoff::after(before));
                match followed {
                    Ok(()) => self.fetch_prefilters_in_time(service, &mut state).await,
                    failed => failed,
                }
            }
        };
        // A release that is ready is activated in time, whatever the store does.
        if state.replica.is_due(service.now()) {
            self.activate(service, &mut state).await?;
        }
        self.snapshot.store(Arc::new(Snapshot::of(&state.replica)));
        followed
    }

    /// Asks the store which release counts, and fetches what is missing of it.
    async fn ask_store(
        &self,
        service: &impl Serve,
        state: &mut SubscriptionState,
    ) -> Result<(), SubscriptionError> {
        let polled = match tokio::time::timeout(STORE_TIMEOUT, state.replica.poll()).await {
            Ok(polled) => polled.map_err(store_error(&self.use_case)),
            Err(_) => return Err(SubscriptionError::Silent { use_case: self.use_case.clone() }),
        };
        // Before the next one is fetched.
        if state.replica.is_due(service.now()) {
            self.activate(service, state).await?;
        }
        let prepared = self.prepare(service, state).await;
        self.snapshot.store(Arc::new(Snapshot::of(&state.replica)));
        if state.replica.is_due(service.now()) {
            self.activate(service, state).await?;
        }
        polled.and(prepared)
    }

    /// Fetches prefilters, unless their store has just not answered. The release that counts is looked for all the same.
    async fn fetch_prefilters_in_time(
        &self,
        service: &impl Serve,
        state: &mut SubscriptionState,
    ) -> Result<(), SubscriptionError> {
        let before = state.prefilter_silence;
        if before.is_some_and(Backoff::is_on) {
            return Err(SubscriptionError::Silent { use_case: self.use_case.clone() });
        }
        let fetched = self.fetch_prefilters(service, state).await;
        let is_silent = fetched.as_ref().is_err_and(SubscriptionError::is_silence);
        state.prefilter_silence = is_silent.then(|| Backoff::after(before));
        fetched
    }

    /// Gives out the prefilters of the release that is served, as soon as its publisher does.
    async fn fetch_prefilters(
        &self,
        service: &impl Serve,
        state: &mut SubscriptionState,
    ) -> Result<(), SubscriptionError> {
        let Some(id) = state.replica.active().map(|release| release.id.clone()) else {
            return Ok(());
        };
        if state.filter_of.as_ref() == Some(&id) {
            return Ok(());
        }
        // The next release does not wait for the prefilter of the one before it.
        let is_ready = matches!(state.opened, Some(OpenedRelease::Usable(..)));
        let left = match state.replica.status().activate_at.filter(|_| is_ready) {
            Some(at) => at.since(service.now()),
            None => Duration::MAX,
        };
        let Ok(fetched) = tokio::time::timeout(left, state.replica.fetch_filters()).await else {
            return Ok(());
        };
        let Some(fetched) = fetched.map_err(store_error(&self.use_case))? else { return Ok(()) };
        let failed = |source: Box<dyn Error + Send + Sync>| SubscriptionError::Prefilter {
            use_case: self.use_case.clone(),
            source,
        };
        let read = blocking(move || {
            let read = |(level, path): (String, std::path::PathBuf)| {
                Ok((level, ServedPrefilter::read(&path)?))
            };
            fetched.into_iter().map(read).collect::<Result<Vec<_>, PrefilterError>>()
        });
        let read = read.await;
        // Reading them again would give the same result, unless the file system failed.
        if !read.as_ref().is_err_and(PrefilterError::may_pass) {
            state.filter_of = Some(id);
        }
        let prefilters = read.map_err(|error| failed(Box::new(error)))?;
        for (level, prefilter) in &prefilters {
            tracing::info!(
                use_case = self.use_case,
                level_name = level,
                tag = prefilter.tag(),
                "prefilter given out"
            );
        }
        service.put_prefilters(&self.use_case, prefilters).await;
        Ok(())
    }

    /// Fetches the release that was published last, and opens its data set.
    async fn prepare(
        &self,
        service: &impl Serve,
        state: &mut SubscriptionState,
    ) -> Result<(), SubscriptionError> {
        let before = state.replica.fetched();
        let prepared = state.replica.prepare().await;
        log_fetched(&self.use_case, &mut state.replica, before);
        let is_new = prepared.map_err(store_error(&self.use_case))?;
        let Some(release) = state.replica.ready().cloned() else {
            state.opened = None;
            return Ok(());
        };
        if let Some(OpenedRelease::Usable(id, _) | OpenedRelease::Unusable(id)) = &state.opened
            && !is_new
            && *id == release.id
        {
            return Ok(());
        }
        let opened = self.open_release(service, &state.replica, &release).await;
        state.opened = Some(match &opened {
            Ok(data) => OpenedRelease::Usable(release.id.clone(), Arc::clone(data)),
            Err(_) => OpenedRelease::Unusable(release.id.clone()),
        });
        opened?;
        tracing::info!(use_case = self.use_case, release = release.id, "ready to be served");
        Ok(())
    }

    async fn open_release(
        &self,
        service: &impl Serve,
        replica: &Replica,
        release: &Release,
    ) -> Result<Arc<DataSet>, SubscriptionError> {
        let use_case = service
            .use_case(&self.use_case)
            .ok_or_else(|| SubscriptionError::Removed { use_case: self.use_case.clone() })?;
        service.open_data_set(use_case, release_files(replica, release)).await
    }

    /// Serves the release that is ready, if its data set can be served.
    async fn activate(
        &self,
        service: &impl Serve,
        state: &mut SubscriptionState,
    ) -> Result<(), SubscriptionError> {
        let Some(release) = state.replica.ready().cloned() else { return Ok(()) };
        let data = match &state.opened {
            Some(OpenedRelease::Usable(id, data)) if *id == release.id => Arc::clone(data),
            _ => return Ok(()),
        };
        let failed = store_error(&self.use_case);
        let (id, shards) = (release.id.clone(), release.shard_count);
        if let Some(served) = state.replica.active()
            && served.published_at > release.published_at
        {
            tracing::warn!(
                use_case = self.use_case,
                served = served.id,
                release = id,
                "an older release takes the place of a newer one"
            );
        }
        // A reload sees both the data set and where its files are, or neither.
        let reloads = service.lock_reloads().await;
        service.put_version(&self.use_case, data);
        let recorded = state.replica.record_active(release).await;
        state.opened = None;
        self.snapshot.store(Arc::new(Snapshot::of(&state.replica)));
        drop(reloads);
        tracing::info!(use_case = self.use_case, release = id, shards, "served from now on");
        recorded.map_err(&failed)?;
        state.replica.clean().await.map_err(&failed)
    }
}
