//! Lists that the service keeps up to date by itself: fetched, built and processed in the background, while the data set of
//! before is served.

use crate::configuration::ListSettings;
use crate::low_priority;
use crate::service::error::ServiceError;
use error_reporter::Report;
use list_update::{Configuration, Update, UpdateError, Updated};
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use unix_clock::Timestamp;

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
    /// What is served after a reload is not what was made.
    #[error(
        "what is served is not what was made of the lists: its files change while they are read, or another configuration \
         is served; it is tried again"
    )]
    NotServed,
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
    /// What the last update did that did not fail; before the first one, what is there from earlier runs.
    pub updated: Option<Updated>,
    /// Whether what was made last is served; `None` before the first update.
    pub is_served: Option<bool>,
    /// What the last update did that changed something.
    pub last_change: Option<Updated>,
}

/// The lists of a service.
pub(crate) struct Lists {
    pub(crate) settings: ListSettings,
    /// When the service was started.
    started: Timestamp,
    status: Mutex<ListsStatus>,
}

/// What earlier runs have made, and when.
fn last(settings: &ListSettings) -> Result<Option<(Updated, Timestamp)>, ListsError> {
    Ok(Updated::last(&Configuration::read(&settings.file)?)?)
}

/// The tag of what was made last, whichever run has made it; `None` if there is nothing whole.
pub(crate) fn tag_of_last(settings: &ListSettings) -> Option<String> {
    Some(last(settings).ok()??.0.tag)
}

/// What earlier runs have made, as their status.
fn known(settings: &ListSettings) -> ListsStatus {
    match last(settings) {
        Ok(None) => ListsStatus::default(),
        Ok(Some((updated, at))) => ListsStatus {
            last_update: Some(at),
            last_success: Some(at),
            updated: Some(updated),
            ..ListsStatus::default()
        },
        Err(error) => {
            let error = Report::new(&error).to_string();
            tracing::warn!(error, "it is not known what earlier updates of the lists have made");
            ListsStatus { error: Some(error), ..ListsStatus::default() }
        }
    }
}

impl Lists {
    /// Lists whose status is that of earlier runs. Reads their record.
    pub(crate) fn new(settings: ListSettings, now: Timestamp) -> Self {
        let status = Mutex::new(known(&settings));
        Self { settings, started: now, status }
    }

    /// When the last update ended that did not fail. If none did, when the service was started: since then it should have.
    pub(crate) fn updated_at(&self) -> Timestamp {
        self.status().last_success.unwrap_or(self.started)
    }

    pub(crate) fn status(&self) -> ListsStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records an update. `is_served` says whether what was made last is served, as far as the update came to know.
    pub(crate) fn record(
        &self,
        now: Timestamp,
        is_served: Option<bool>,
        outcome: Result<&Updated, String>,
    ) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.last_update = Some(now);
        status.is_served = is_served.or(status.is_served);
        match outcome {
            Ok(updated) => {
                status.last_success = Some(now);
                status.error = None;
                let is_later = |change: &Updated| change.built_at != updated.built_at;
                if !updated.is_unchanged() {
                    status.last_change = Some(updated.clone());
                } else if status.last_change.as_ref().is_some_and(is_later) {
                    // Another program has updated them since, and what it changed is not known.
                    status.last_change = None;
                }
                status.updated = Some(updated.clone());
            }
            Err(error) => status.error = Some(error),
        }
    }
}

/// Runs an update on a thread of its own, at a low priority. It reads the configuration anew, so that changes of it count at the next update.
pub(crate) async fn run(settings: &ListSettings) -> Result<(Updated, Duration), ListsError> {
    let settings = settings.clone();
    let work = move || -> Result<(Updated, Duration), ListsError> {
        let configuration = Configuration::read(&settings.file)?;
        let update = Update::new(&configuration)
            .allow_private(settings.allow_private)
            .jobs(low_priority::max_threads());
        Ok((update.run()?, configuration.interval))
    };
    let outcome = low_priority::spawn("lists", work).map_err(|_| ListsError::Thread)?;
    outcome.await.map_err(|_| ListsError::Thread)?
}
