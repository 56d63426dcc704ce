//! Replacing what is served while requests go on.

use super::error::{ServiceError, io_error};
use super::live::{Live, Loaded};
use super::settings::Settings;
use super::{Service, worker_count};
use crate::blocking::blocking;
use crate::configuration::{ShardFiles, UseCase};
use crate::data_set::DataSet;
use crate::file_mark::FileMark;
use crate::metrics::Outcome;
use crate::prefilter::{Prefilters, ServedPrefilter};
use crate::subscriptions::{Serve, SubscriptionError};
use error_reporter::Report;
use std::io;
use std::sync::Arc;
use tokio::sync::MutexGuard;
use unix_clock::Timestamp;

/// Threads for opening data sets, apart from those that answer queries. Each begins with `begin`.
fn loading_threads(count: usize, begin: fn()) -> Result<rayon::ThreadPool, ServiceError> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(count);
    let threads = threads.start_handler(move |_| begin()).build();
    threads.map_err(|error| io_error("start threads for loading")(io::Error::other(error)))
}

impl Service {
    /// Reads the configuration again, opens its data sets next to those in use, and then switches to
    /// all of them at once. If anything is wrong, everything stays as it was.
    ///
    /// # Errors
    /// [`ServiceError::NoSource`] without [`Service::with_source`], otherwise what is wrong with the
    /// configuration or a data set.
    pub async fn reload(self: &Arc<Self>) -> Result<Loaded, ServiceError> {
        self.reload_with(|| {}).await
    }

    /// As [`reload`](Self::reload), below the priority of queries.
    #[cfg(feature = "lists")]
    pub(super) async fn reload_in_background(self: &Arc<Self>) -> Result<Loaded, ServiceError> {
        self.reload_with(crate::low_priority::lower).await
    }

    async fn reload_with(self: &Arc<Self>, begin: fn()) -> Result<Loaded, ServiceError> {
        let source = self.source.clone().ok_or(ServiceError::NoSource)?;
        let _one = self.reloading.lock().await;
        let service = Arc::clone(self);
        let outcome = blocking(move || {
            let configuration = source()?;
            let threads = loading_threads(worker_count(&configuration).div_ceil(2), begin)?;
            let earlier = service.live.load_full();
            let (tokens, now) = (&service.user_tokens, service.now());
            let subscriptions = &service.subscriptions;
            let live = threads.install(|| {
                Live::load(&configuration, subscriptions, tokens, Some(&earlier), now)
            })?;
            if let (Some(certificates), Some(tls)) = (&service.certificates, &configuration.tls) {
                certificates.reload(tls)?;
            }
            service.live.store(Arc::new(live));
            service.advice.store(Arc::new(configuration.warnings()));
            let mut loaded = service.loaded();
            loaded.after_restart = service.settings.changed(&Settings::of(&configuration));
            Ok::<_, ServiceError>(loaded)
        })
        .await;
        match &outcome {
            Ok(loaded) => self.metrics.loaded(&loaded.use_cases, self.now()),
            Err(_) => self.metrics.load_failed(),
        }
        let failure = outcome.as_ref().err().map(|error| Arc::new(Report::new(error).to_string()));
        self.reload_failure.store(failure);
        outcome
    }

    /// Reads the file of user tokens again if it has changed, and returns whether it had. A file that
    /// cannot be read changes nothing.
    ///
    /// # Errors
    /// [`ServiceError::Io`] and [`ServiceError::Configuration`] if the file cannot be read.
    pub async fn refresh_users(self: &Arc<Self>) -> Result<bool, ServiceError> {
        let Some((path, mark)) = self.live.load().users_file.clone() else { return Ok(false) };
        let _one = self.reloading.lock().await;
        let service = Arc::clone(self);
        blocking(move || {
            let action = format!("read userTokens.file {}", path.display());
            if FileMark::of(&path).map_err(io_error(action))? == mark {
                return Ok(false);
            }
            let mut live = Live::clone(&service.live.load());
            live.read_users_file(&path, &service.user_tokens)?;
            service.live.store(Arc::new(live));
            Ok(true)
        })
        .await
    }

    /// Stops serving superseded versions whose time has passed.
    pub(super) async fn expire_versions(&self) {
        if !self.live.load().catalog.is_due(self.now()) {
            return;
        }
        let _one = self.reloading.lock().await;
        let mut live = Live::clone(&self.live.load());
        live.catalog.expire(self.now());
        self.metrics.versions(&live.loaded().use_cases);
        self.live.store(Arc::new(live));
        tracing::info!("superseded versions are no longer served");
    }

    /// Runs `work` on threads apart from those that answer queries, half as many.
    async fn on_loading_threads<T, E>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        E: Into<ServiceError> + 'static,
    {
        let count = self.pool.threads().div_ceil(2);
        blocking(move || {
            let threads = loading_threads(count, || {})?;
            threads.install(move || work().map_err(Into::into))
        })
        .await
    }
}

impl Serve for Service {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn use_case(&self, name: &str) -> Option<UseCase> {
        self.live().followed(name).cloned()
    }

    async fn open_data_set(
        &self,
        use_case: UseCase,
        files: ShardFiles,
    ) -> Result<Arc<DataSet>, SubscriptionError> {
        let name = use_case.name().to_owned();
        let max_memory = self.settings.limits.data_set_bytes;
        let open = move || {
            DataSet::open(&use_case, &files, max_memory).map_err(|source| ServiceError::DataSet {
                use_case: use_case.name().to_owned(),
                source,
            })
        };
        self.on_loading_threads(open).await.map(Arc::new).map_err(|error| {
            // The use case is told once.
            let source: Box<dyn std::error::Error + Send + Sync> = match error {
                ServiceError::DataSet { source, .. } => Box::new(source),
                error => Box::new(error),
            };
            SubscriptionError::DataSet { use_case: name, source }
        })
    }

    async fn lock_reloads(&self) -> MutexGuard<'_, ()> {
        self.reloading.lock().await
    }

    fn put_version(&self, use_case: &str, data: Arc<DataSet>) {
        let mut live = Live::clone(&self.live.load());
        if let Some(use_case) = live.followed(use_case).cloned() {
            live.catalog.put(&use_case, data, self.settings.limits.memory(), self.now());
            self.metrics.loaded(&live.loaded().use_cases, self.now());
            self.live.store(Arc::new(live));
        }
    }

    async fn put_prefilters(&self, use_case: &str, prefilters: Vec<(String, ServedPrefilter)>) {
        let _one = self.reloading.lock().await;
        let mut live = Live::clone(&self.live.load());
        live.prefilters.retain(|(name, _), _| name != use_case);
        for (level, prefilter) in prefilters {
            let key = (use_case.to_owned(), level);
            live.prefilters.insert(key, Prefilters::published(prefilter));
        }
        self.live.store(Arc::new(live));
    }

    fn polled(&self, use_case: &str, succeeded: bool, late: bool) {
        let outcome = if succeeded { Outcome::Success } else { Outcome::Failure };
        self.metrics.polled(use_case, outcome, late);
    }
}

#[cfg(all(test, feature = "lists", target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn data_sets_of_an_update_are_opened_below_the_priority_of_queries() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let of = |begin| loading_threads(2, begin).unwrap().broadcast(|_| nice());
        assert_eq!(of(|| {}), [nice(), nice()]);
        let low = of(crate::low_priority::lower);
        assert!(low.iter().all(|low| *low > nice() || nice() == 19), "{low:?}");
    }
}
