//! Use cases whose data sets come from publications: brought here, checked, and served when their time
//! has come.

use crate::causes::WithCauses;
use crate::configuration::{Configuration, UseCase};
use crate::data_set::{DataSet, DataSetError};
use crate::metrics::Outcome;
use crate::publication::{Follower, Place, PlaceError, Release, Standing};
use crate::service::{Clock, Service, ServiceError};
use arc_swap::ArcSwap;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// One use case that is followed.
struct Followed {
    use_case: String,
    follower: Mutex<Following>,
    /// The last that is known, for those who cannot wait for a download.
    standing: ArcSwap<Known>,
}

struct Following {
    follower: Follower,
    /// The data set of the release that is ready.
    opened: Option<Opened>,
}

enum Opened {
    Good(String, Arc<DataSet>),
    /// It cannot be served. Another look at the same files will not help.
    Bad(String),
}

#[derive(Clone, Default)]
struct Known {
    standing: Standing,
    /// Where the files are that are served, and how many shards they make.
    served: Option<(String, u32)>,
}

/// All use cases that are followed.
#[derive(Default)]
pub struct Publications {
    followed: Vec<Followed>,
    poll: Duration,
    late_seconds: u64,
}

/// How far a use case is, for operators and publishers.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UseCaseStanding {
    /// Its name.
    pub use_case: String,
    /// How far this node is with it.
    #[serde(flatten)]
    pub standing: Standing,
    /// Whether another release should be served by now.
    pub late: bool,
}

impl Known {
    fn of(follower: &Follower) -> Self {
        let served = follower
            .active()
            .map(|release| (follower.stem(release).display().to_string(), release.shard_count));
        Self { standing: follower.standing(), served }
    }

    fn late_since(&self, now: u64) -> Option<u64> {
        let at = self.standing.activate_at.filter(|&at| at <= now)?;
        (self.standing.active != self.standing.published).then_some(at)
    }
}

impl Publications {
    /// Brings the release of each use case here that counts now. If a publication cannot be reached,
    /// the one that was served last does.
    ///
    /// # Errors
    /// If a use case has neither.
    pub async fn open(configuration: &Configuration, clock: &Clock) -> Result<Self, ServiceError> {
        let settings = &configuration.publications;
        let mut followed = Vec::new();
        for use_case in configuration.use_cases.iter().filter(|use_case| use_case.is_served()) {
            let Some(address) = &use_case.published else { continue };
            let place = Place::open(address, &settings.options)?;
            let folder = settings.directory.join(&use_case.name);
            let mut follower = Follower::new(place, use_case.name.clone(), folder);
            let fetched = match follower.look().await {
                Ok(()) => follower.fetch_counting(clock()).await,
                Err(error) => Err(error),
            };
            let release = match fetched {
                Ok(Some(release)) => release,
                Ok(None) => return Err(ServiceError::NothingPublished(address.clone())),
                Err(error) => match follower.recall().await {
                    Some(release) => {
                        tracing::error!(
                            use_case = use_case.name, release = release.id, error = %WithCauses(&error),
                            "the publication cannot be followed; what was served last is served again"
                        );
                        release
                    }
                    None => return Err(error.into()),
                },
            };
            follower.activated(release).await?;
            followed.push(Followed {
                use_case: use_case.name.clone(),
                standing: ArcSwap::from_pointee(Known::of(&follower)),
                follower: Mutex::new(Following { follower, opened: None }),
            });
        }
        let poll = Duration::from_secs(settings.poll_seconds);
        Ok(Self { followed, poll, late_seconds: settings.late_seconds })
    }

    /// Looks whether what a configuration names is there, and brings nothing here.
    pub async fn check(configuration: &Configuration) -> Result<Vec<String>, ServiceError> {
        let mut found = Vec::new();
        for use_case in configuration.use_cases.iter().filter(|use_case| use_case.is_served()) {
            let Some(address) = &use_case.published else { continue };
            let place = Place::open(address, &configuration.publications.options)?;
            let current = place.current(None).await?;
            let (current, _) =
                current.ok_or_else(|| ServiceError::NothingPublished(address.clone()))?;
            let release = place.release(&current.release).await?;
            found.push(format!(
                "use case {}: {} shards, release {}",
                use_case.name, release.shard_count, release.id
            ));
        }
        Ok(found)
    }

    /// Use cases with the files that are served. Those that follow a publication since the
    /// configuration changed are left out: they come with the next start.
    pub fn resolve(&self, use_cases: &[UseCase]) -> Vec<UseCase> {
        let resolve = |use_case: &UseCase| {
            if use_case.published.is_none() {
                return Some(use_case.clone());
            }
            let known = self.known(&use_case.name)?.load_full();
            let (file_stem, shard_count) = known.served.clone()?;
            Some(UseCase { file_stem, shard_count, ..use_case.clone() })
        };
        use_cases.iter().filter_map(resolve).collect()
    }

    fn known(&self, name: &str) -> Option<&ArcSwap<Known>> {
        let followed = self.followed.iter().find(|followed| followed.use_case == name)?;
        Some(&followed.standing)
    }

    /// How far each use case is.
    pub fn standings(&self, now: u64) -> Vec<UseCaseStanding> {
        let standing = |followed: &Followed| {
            let known = followed.standing.load();
            UseCaseStanding {
                use_case: followed.use_case.clone(),
                standing: known.standing.clone(),
                late: known.late_since(now).is_some(),
            }
        };
        self.followed.iter().map(standing).collect()
    }

    /// Whether requests are better sent to nodes that are up to date. After a while they are not: then
    /// it is not this node that is slow.
    pub fn is_in_step(&self, now: u64) -> bool {
        let lags = |followed: &Followed| {
            let late = followed.standing.load().late_since(now);
            late.is_some_and(|since| now < since.saturating_add(self.late_seconds))
        };
        !self.followed.iter().any(lags)
    }

    /// How long until something is to be done.
    fn pause(&self, now: u64) -> Duration {
        let due = |followed: &Followed| {
            let known = followed.standing.load();
            known.standing.activate_at.filter(|&at| at > now).map(|at| at - now)
        };
        let next = self.followed.iter().filter_map(due).min();
        next.map_or(self.poll, |seconds| self.poll.min(Duration::from_secs(seconds)))
    }
}

impl Service {
    /// Looks at all publications once: gets ready what is new, and serves what counts.
    ///
    /// # Errors
    /// The last one, after all were looked at.
    pub async fn follow(self: &Arc<Self>) -> Result<(), ServiceError> {
        let mut outcome = Ok(());
        for followed in &self.publications().followed {
            let followed_now = self.follow_one(followed).await;
            let outcome_now = if followed_now.is_ok() { Outcome::Done } else { Outcome::Failed };
            let late = followed.standing.load().late_since(self.now()).is_some();
            self.metrics().followed(&followed.use_case, outcome_now, late);
            if let Err(error) = followed_now {
                outcome = Err(error);
            }
        }
        outcome
    }

    async fn follow_one(self: &Arc<Self>, followed: &Followed) -> Result<(), ServiceError> {
        let mut following = followed.follower.lock().await;
        // What is known already is served in time, whether there is news or not.
        let news = following.follower.look().await;
        let prepared = self.prepare(followed, &mut following).await;
        followed.standing.store(Arc::new(Known::of(&following.follower)));
        if following.follower.is_due(self.now()) {
            self.serve_ready(followed, &mut following).await?;
        }
        news?;
        prepared
    }

    async fn prepare(
        self: &Arc<Self>,
        followed: &Followed,
        following: &mut Following,
    ) -> Result<(), ServiceError> {
        let is_new = following.follower.prepare().await?;
        let Some(release) = following.follower.ready().cloned() else {
            following.opened = None;
            return Ok(());
        };
        let id = match &following.opened {
            Some(Opened::Good(id, _) | Opened::Bad(id)) if !is_new => id.as_str(),
            _ => "",
        };
        if id == release.id {
            return Ok(());
        }
        let opened = self.open_release(followed, &following.follower, &release).await;
        following.opened = Some(match &opened {
            Ok(data) => Opened::Good(release.id.clone(), Arc::clone(data)),
            Err(_) => Opened::Bad(release.id.clone()),
        });
        opened?;
        tracing::info!(use_case = followed.use_case, release = release.id, "ready to be served");
        Ok(())
    }

    async fn open_release(
        self: &Arc<Self>,
        followed: &Followed,
        follower: &Follower,
        release: &Release,
    ) -> Result<Arc<DataSet>, ServiceError> {
        let gone = || ServiceError::NothingPublished(followed.use_case.clone());
        let use_case = self.use_case(&followed.use_case).ok_or_else(gone)?;
        let file_stem = follower.stem(release).display().to_string();
        let use_case = UseCase { file_stem, shard_count: release.shard_count, ..use_case };
        let open = move || -> Result<_, DataSetError> { Ok(Arc::new(DataSet::open(&use_case)?)) };
        self.aside(open).await
    }

    async fn serve_ready(
        self: &Arc<Self>,
        followed: &Followed,
        following: &mut Following,
    ) -> Result<(), ServiceError> {
        let Some(release) = following.follower.ready().cloned() else { return Ok(()) };
        let data = match &following.opened {
            Some(Opened::Good(id, data)) if *id == release.id => Arc::clone(data),
            _ => return Ok(()),
        };
        let (id, shards) = (release.id.clone(), release.shard_count);
        // A reload takes either both, the data set and where its files are, or neither.
        let reloading = self.reloading().await;
        self.put_version(&followed.use_case, data);
        let noted = following.follower.activated(release).await;
        following.opened = None;
        followed.standing.store(Arc::new(Known::of(&following.follower)));
        drop(reloading);
        tracing::info!(use_case = followed.use_case, release = id, shards, "served from now on");
        noted?;
        Ok(following.follower.clean().await?)
    }

    /// Follows all publications for as long as the service lives.
    pub async fn follow_always(self: Arc<Self>) {
        if self.publications().followed.is_empty() {
            return;
        }
        let mut last_failure = String::new();
        loop {
            match self.follow().await {
                Ok(()) => last_failure.clear(),
                Err(error) if error.to_string() == last_failure => {}
                Err(error) => {
                    tracing::error!(
                        error = %WithCauses(&error),
                        "a publication cannot be followed; the earlier state stays"
                    );
                    last_failure = error.to_string();
                }
            }
            tokio::time::sleep(self.publications().pause(self.now())).await;
        }
    }
}

impl From<PlaceError> for ServiceError {
    fn from(error: PlaceError) -> Self {
        Self::Publication(Box::new(error))
    }
}
