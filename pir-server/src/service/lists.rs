//! Keeps the lists of a service up to date.

use super::Service;
use crate::causes::WithCauses;
use crate::lists::{self, ListsError, ListsStatus};
use list_update::Updated;
use std::sync::Arc;
use std::time::Duration;

/// How long it takes until an update that failed is tried again, at most.
const RETRY: Duration = Duration::from_secs(300);

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
            let (updated, interval) = lists::run(&lists.settings).await?;
            if !updated.is_unchanged() || self.awaits_lists() {
                self.reload_in_background().await.map_err(Box::new)?;
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
