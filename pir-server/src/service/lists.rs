//! Keeps the lists of a service up to date.

use super::Service;
use crate::blocking::{TaskFailed, blocking};
use crate::configuration::ListSettings;
use crate::lists::{self, ListsError, ListsStatus};
use error_reporter::Report;
use list_update::{UpdateError, Updated};
use std::sync::Arc;
use std::time::Duration;

/// How long it takes until an update that failed is tried again, at most.
const RETRY: Duration = Duration::from_secs(300);

impl Service {
    /// Updates the lists once, and serves what was made of them if it is not what is served, whichever run has made it.
    /// What is served stays until the new data set is verified.
    ///
    /// # Errors
    /// [`ListsError`]; what is served has not changed then.
    pub async fn update_lists(self: &Arc<Self>) -> Result<Updated, ListsError> {
        self.update_lists_timed().await.map(|(updated, _)| updated)
    }

    async fn update_lists_timed(self: &Arc<Self>) -> Result<(Updated, Duration), ListsError> {
        let lists = self.lists().ok_or(ListsError::None)?;
        let run = lists::run(&lists.settings).await;
        let served = match &run {
            Ok((updated, _)) => Some(self.serve_lists(Some(&updated.tag)).await),
            // What cannot be delivered elsewhere is whole, and served here.
            Err(ListsError::Update(UpdateError::Deliver { .. })) => {
                Some(self.serve_lists(None).await)
            }
            Err(_) => None,
        };
        let is_served = match &served {
            Some(served) => Some(served.is_ok()),
            None => self.serves_what_is_made(&lists.settings, run.as_ref().err()).await,
        };
        let outcome = served.unwrap_or(Ok(())).and(run);
        let recorded = match &outcome {
            Ok((updated, _)) => Ok(updated),
            Err(error) => Err(Report::new(error).to_string()),
        };
        lists.record(self.now(), is_served, recorded);
        outcome
    }

    /// Serves the data set that is there, unless it is served. Its prefilter has this tag, if it is known.
    async fn serve_lists(self: &Arc<Self>, tag: Option<&str>) -> Result<(), ListsError> {
        if self.serves_lists(tag).await {
            return Ok(());
        }
        self.reload_in_background().await.map_err(Box::new)?;
        match self.serves_lists(tag).await {
            true => Ok(()),
            false => Err(ListsError::NotServed),
        }
    }

    /// Whether what was made last is served, after an update that failed: another run may have made it. `None` if that cannot be
    /// known, as while another run is writing.
    async fn serves_what_is_made(
        &self,
        settings: &ListSettings,
        error: Option<&ListsError>,
    ) -> Option<bool> {
        if matches!(error, Some(ListsError::Update(UpdateError::Busy { .. }))) {
            return None;
        }
        let settings = settings.clone();
        let read = blocking(move || Ok::<_, TaskFailed>(lists::tag_of_last(&settings)));
        let tag = read.await.ok()??;
        Some(self.serves_lists(Some(&tag)).await)
    }

    async fn serves_lists(&self, tag: Option<&str>) -> bool {
        let (live, tag) = (self.live(), tag.map(str::to_owned));
        let read = blocking(move || Ok::<_, TaskFailed>(live.serves_files(tag.as_deref())));
        read.await.unwrap_or(false)
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
                    let error = Report::new(&error).to_string();
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
