//! Opening a service, and checking a configuration without serving it.

use super::error::{ServiceError, io_error};
use super::live::{Live, Loaded};
use super::refresh::Refreshes;
use super::settings::Settings;
use super::{Service, certificate_warnings, worker_count};
use crate::blocking::blocking;
use crate::body_budget::BodyBudget;
use crate::configuration::{Configuration, read_users, token_warnings};
use crate::gateway::Gateway;
use crate::issuer::Issuer;
use crate::key_cache::KeyCache;
#[cfg(feature = "lists")]
use crate::lists::Lists;
use crate::metrics::Metrics;
use crate::nonces_in_use::NoncesInUse;
use crate::peer_budget::PeerBudget;
#[cfg(feature = "redis")]
use crate::store::RedisStore;
use crate::store::{EmbeddedStore, Store};
use crate::subscriptions::Subscriptions;
use crate::tls::Certificates;
use crate::traffic::Traffic;
use crate::user_tokens::UserTokens;
use crate::work::{WorkLimits, WorkPool};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::{fs, io};
use tokio::sync::Mutex;
use unix_clock::{Clock, Timestamp};

/// What [`Service::check`] found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checked {
    /// What the files on this machine would serve.
    pub loaded: Loaded,
    /// One sentence for each published release. It was not downloaded.
    pub releases: Vec<String>,
}

impl Service {
    /// Opens the store that a configuration names, reads its issuer keys or generates them, and opens
    /// all data sets. Takes from a second to minutes, depending on the size of the data sets.
    ///
    /// # Errors
    /// A [`ServiceError`] for the first part that cannot be opened.
    pub async fn open(
        configuration: &Configuration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServiceError> {
        let settings = configuration.store.clone();
        #[cfg(feature = "redis")]
        if let Some(redis) = &settings.redis {
            let store = RedisStore::open(redis, &settings).await?;
            return Self::with_store(configuration, Arc::new(store), clock).await;
        }
        let store =
            blocking(move || Ok::<_, ServiceError>(EmbeddedStore::open(&settings)?)).await?;
        Self::with_store(configuration, Arc::new(store), clock).await
    }

    /// Opens a service over a store that is already open; `store` in the configuration is ignored.
    ///
    /// # Errors
    /// A [`ServiceError`] for the first part that cannot be opened.
    pub async fn with_store(
        configuration: &Configuration,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServiceError> {
        let issuer = Issuer::open(Arc::clone(&store), &configuration.issuer, clock.now()).await?;
        let issuer = Arc::new(issuer);
        let user_tokens =
            UserTokens::new(&configuration.user_tokens).map_err(io_error("prepare userTokens"))?;
        let certificates = configuration.tls.as_ref().map(Certificates::open).transpose()?;
        let subscriptions = Subscriptions::open(configuration, clock.now()).await?;
        let (user_tokens, subscriptions, live) = {
            let (configuration, now) = (configuration.clone(), clock.now());
            blocking(move || {
                let live = Live::load(&configuration, &subscriptions, &user_tokens, None, now)?;
                Ok::<_, ServiceError>((user_tokens, subscriptions, live))
            })
            .await?
        };
        let limits = &configuration.limits;
        let gateway = match &configuration.gateway {
            Some(settings) => {
                let (max, timeout) = (limits.body_bytes, limits.request_timeout);
                let store = Arc::clone(&store);
                let gateway = Gateway::open(store, settings, max, timeout, clock.now()).await?;
                Some(Arc::new(gateway))
            }
            None => None,
        };
        let metrics = Metrics::default();
        let work =
            WorkLimits { queue: limits.queue, batch: limits.batch, max_wait: limits.max_wait };
        let pool = WorkPool::new(worker_count(configuration), work, metrics.dropped())
            .map_err(io_error("start threads for queries"))?;
        metrics.loaded(&live.loaded().use_cases, clock.now());
        Ok(Self {
            source: None,
            settings: Settings::of(configuration),
            advice: ArcSwap::from_pointee(configuration.warnings()),
            live: ArcSwap::from_pointee(live),
            subscriptions,
            #[cfg(feature = "lists")]
            lists: configuration.lists.clone().map(|lists| Lists::new(lists, clock.now())),
            reloading: Mutex::default(),
            reload_failure: ArcSwapOption::empty(),
            refreshes: Refreshes::default(),
            keys: KeyCache::new(limits.key_cache_bytes),
            bodies: BodyBudget::new(limits.bodies_in_flight_bytes, limits.body_bytes),
            unauthenticated: PeerBudget::new(limits.unauthenticated_bytes),
            nonces_in_use: NoncesInUse::default(),
            store,
            issuer,
            gateway,
            user_tokens,
            certificates,
            pool,
            metrics,
            traffic: Traffic::default(),
            ready: AtomicBool::new(true),
            last_collection: AtomicU64::new(0),
            clock,
        })
    }

    /// Opens and checks everything a configuration names, without serving or changing any of it: neither
    /// the store nor the issuer keys are touched. Takes as long as [`Service::open`].
    ///
    /// # Errors
    /// A [`ServiceError`] for the first part that cannot be used.
    pub async fn check(configuration: &Configuration) -> Result<Checked, ServiceError> {
        check_places(configuration)?;
        let releases = Subscriptions::check(configuration).await?;
        let user_tokens =
            UserTokens::new(&configuration.user_tokens).map_err(io_error("prepare userTokens"))?;
        let certificates = configuration.tls.as_ref().map(Certificates::open).transpose()?;
        let quiet = Configuration { report_directory: None, ..configuration.clone() };
        let nothing = Subscriptions::default();
        let load = move || -> Result<Loaded, ServiceError> {
            Ok(Live::load(&quiet, &nothing, &user_tokens, None, Timestamp::MIN)?.loaded())
        };
        let mut loaded = blocking(load).await?;
        if let Some(path) = configuration.user_tokens.file.clone() {
            let read = move || Ok::<_, ServiceError>(read_users(&path)?);
            loaded.warnings.extend(token_warnings("userTokens.file: ", &blocking(read).await?));
        }
        let now = std::time::SystemTime::now().into();
        loaded.warnings.extend(certificate_warnings(certificates.as_deref(), now));
        Ok(Checked { loaded, releases })
    }
}

/// Checks, without changing anything, that the folders of a service can be made, that the store's addresses and files can be
/// used, and that the command for user tokens is there. What stands in the store is not looked at.
fn check_places(configuration: &Configuration) -> Result<(), ServiceError> {
    #[cfg(feature = "redis")]
    if let Some(redis) = &configuration.store.redis {
        RedisStore::check(redis)?;
    }
    let has_redis = configuration.store.redis.is_some();
    let store = Some(&configuration.store.directory).filter(|_| !has_redis);
    let reports = configuration.report_directory.as_ref();
    for (key, path) in [("store.directory", store), ("reportDirectory", reports)] {
        if let Some(path) = path {
            let failed = io_error(format!("use {key} {}", path.display()));
            check_folder(path).map_err(failed)?;
        }
    }
    if let Some(program) = configuration.user_tokens.program() {
        let failed = io_error(format!("run userTokens.command {}", program.display()));
        find_program(program).map_err(failed)?;
    }
    Ok(())
}

/// Whether a path is a folder, or one can be made there.
fn check_folder(path: &Path) -> io::Result<()> {
    for part in path.ancestors().filter(|part| !part.as_os_str().is_empty()) {
        match fs::metadata(part) {
            Ok(about) if about.is_dir() => return Ok(()),
            Ok(_) => {
                let text = format!("expected a folder, and {} is none", part.display());
                return Err(io::Error::new(io::ErrorKind::NotADirectory, text));
            }
            // What lies above decides.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether a program can be run, by its path or from one of the folders of `PATH`.
fn find_program(program: &Path) -> io::Result<()> {
    if program.components().count() > 1 {
        let about = fs::metadata(program)?;
        return match is_program(&about) {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::PermissionDenied, "expected a program")),
        };
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let is_in =
        |folder: PathBuf| fs::metadata(folder.join(program)).is_ok_and(|about| is_program(&about));
    match std::env::split_paths(&folders).any(is_in) {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::NotFound, "no folder of PATH has it")),
    }
}

fn is_program(about: &fs::Metadata) -> bool {
    #[cfg(unix)]
    let may_run = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let may_run = true;
    about.is_file() && may_run
}
