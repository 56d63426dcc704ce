//! Lists that the service keeps up to date by itself: fetched, built and processed in the background, while the data set of
//! before is served.

use crate::causes::WithCauses;
use crate::configuration::ListSettings;
use crate::service::{Service, ServiceError};
use list_update::{Configuration, Update, UpdateError, Updated};
use serde::Serialize;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;
use unix_clock::Timestamp;

/// How long it takes until an update that failed is tried again, at most.
const RETRY: Duration = Duration::from_secs(300);

/// An update of lists did not come to its end, or its result cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListsError {
    /// The service has no lists.
    #[error("the service was started without lists")]
    None,
    /// The list configuration cannot be used.
    #[error(transparent)]
    Configuration(#[from] list_update::ConfigurationError),
    /// The update failed.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The thread of the update ended before its end.
    #[error("the update ended with an error of the program")]
    Thread,
    /// The result cannot be served.
    #[error("the updated lists cannot be served")]
    Service(#[from] Box<ServiceError>),
}

/// How the lists of a service are.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ListsStatus {
    /// When the last update ended, in Unix seconds.
    pub last_update: Option<Timestamp>,
    /// When the last update ended that did not fail.
    pub last_success: Option<Timestamp>,
    /// Why the last update failed, if it did.
    pub error: Option<String>,
    /// What the last update did that did not fail.
    pub updated: Option<Updated>,
    /// What the last update did that changed something.
    pub last_change: Option<Updated>,
}

/// The lists of a service.
pub(crate) struct Lists {
    settings: ListSettings,
    status: Mutex<ListsStatus>,
}

impl Lists {
    pub(crate) fn new(settings: ListSettings) -> Self {
        Self { settings, status: Mutex::default() }
    }

    pub(crate) fn status(&self) -> ListsStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record(&self, now: Timestamp, outcome: Result<&Updated, String>) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.last_update = Some(now);
        match outcome {
            Ok(updated) => {
                status.last_success = Some(now);
                status.error = None;
                if !updated.is_unchanged() {
                    status.last_change = Some(updated.clone());
                }
                status.updated = Some(updated.clone());
            }
            Err(error) => status.error = Some(error),
        }
    }
}

/// Runs an update on a thread of its own. It reads the configuration anew, so that changes of it count at the next update.
async fn run(settings: &ListSettings) -> Result<(Updated, Duration), ListsError> {
    let (settings, (done, outcome)) = (settings.clone(), oneshot::channel());
    let work = move || -> Result<(Updated, Duration), ListsError> {
        let configuration = Configuration::read(&settings.file)?;
        // Queries have the other half of the cores to themselves.
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let jobs = NonZero::new(cores / 2).unwrap_or(NonZero::<usize>::MIN);
        let update = Update::new(&configuration).allow_private(settings.allow_private).jobs(jobs);
        Ok((update.run()?, configuration.interval))
    };
    let spawned = thread::Builder::new().name("lists".to_owned()).spawn(move || {
        // Nobody waits any more when the service has stopped.
        let _ = done.send(work());
    });
    spawned.map_err(|_| ListsError::Thread)?;
    outcome.await.map_err(|_| ListsError::Thread)?
}

impl Service {
    /// Updates the lists once, and serves the result if it has changed. What is served stays until the new data set is
    /// verified.
    ///
    /// # Errors
    /// [`ListsError`]; what is served has not changed then.
    pub async fn update_lists(self: &Arc<Self>) -> Result<Updated, ListsError> {
        self.update_lists_timed().await.map(|(updated, _)| updated)
    }

    async fn update_lists_timed(self: &Arc<Self>) -> Result<(Updated, Duration), ListsError> {
        let lists = self.lists().ok_or(ListsError::None)?;
        let outcome = async {
            let (updated, interval) = run(&lists.settings).await?;
            if !updated.is_unchanged() || self.awaits_lists() {
                self.reload().await.map_err(Box::new)?;
            }
            Ok((updated, interval))
        };
        let outcome: Result<_, ListsError> = outcome.await;
        let recorded = match &outcome {
            Ok((updated, _)) => Ok(updated),
            Err(error) => Err(WithCauses(error).to_string()),
        };
        lists.record(self.now(), recorded);
        outcome
    }

    /// How the lists are; `None` without lists.
    #[must_use]
    pub fn lists_status(&self) -> Option<ListsStatus> {
        self.lists().map(|lists| lists.status())
    }

    /// Updates the lists for as long as the future is awaited.
    pub(crate) async fn update_lists_always(self: &Arc<Self>) {
        if self.lists().is_none() {
            return;
        }
        let mut pause = RETRY;
        loop {
            match self.update_lists_timed().await {
                Ok((updated, interval)) => {
                    pause = interval;
                    log(&updated);
                    tokio::time::sleep(pause).await;
                }
                Err(error) => {
                    let error = WithCauses(&error).to_string();
                    tracing::error!(error, "the lists cannot be updated; what is served stays");
                    tokio::time::sleep(pause.min(RETRY)).await;
                }
            }
        }
    }
}

fn log(updated: &Updated) {
    for source in updated.old_sources() {
        let problem = source.problem.as_deref().unwrap_or_default();
        tracing::warn!(list = source.name, problem, "an old copy of a list is used");
    }
    let (keys, seconds) = (updated.keys, updated.seconds);
    if updated.is_unchanged() {
        tracing::info!(keys, seconds, "the lists have not changed");
    } else {
        let (keys_in, keys_out) = (updated.keys_in, updated.keys_out);
        tracing::info!(
            keys,
            keys_in,
            keys_out,
            tag = updated.tag,
            seconds,
            "the lists are updated"
        );
    }
}
