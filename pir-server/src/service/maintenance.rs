//! What the service does on its own: keys rotate, state that is no longer needed is removed, changed files
//! are read again.

use super::Service;
use super::error::{ServiceError, io_error};
use super::refresh::RefreshedFile;
use crate::blocking::blocking;
use crate::metrics::Outcome;
use crate::reports::{self, ReportLog};
use error_reporter::Report;
use futures_util::FutureExt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use unix_clock::Timestamp;

/// How often issuer keys are compared with the store's: another node may have changed them.
const ROTATION_INTERVAL: Duration = Duration::from_secs(15);
/// How often evaluation keys that have not been used for long are collected.
const COLLECTION_INTERVAL: Duration = Duration::from_secs(3600);
/// How often it is looked whether the counts of a day can be sent.
const WEBHOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Longest time between two attempts to send them.
const MAX_WEBHOOK_INTERVAL: Duration = Duration::from_secs(3600);
/// How long work waits that has panicked.
const RESTART_PAUSE: Duration = Duration::from_secs(15);
/// How often files of user tokens and certificates are compared with those in use.
const FILE_INTERVAL: Duration = Duration::from_secs(2);

/// Runs work until it ends by itself. If it panics, it begins again after a pause.
async fn keep_running<F: Future<Output = ()>>(what: &'static str, work: impl Fn() -> F) {
    while AssertUnwindSafe(work()).catch_unwind().await.is_err() {
        tracing::error!(
            "{what} panicked and begins again; this is an error of the program, please report it"
        );
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}

impl Service {
    /// One round of maintenance: rotates issuer and gateway keys that are due, and drops versions,
    /// nonces and evaluation keys that are no longer needed.
    ///
    /// # Errors
    /// If the store fails. The next round tries again.
    pub async fn maintain(self: &Arc<Self>) -> Result<(), ServiceError> {
        self.expire_versions().await;
        let retired = self.issuer.maintain(self.now()).await?;
        if let Some(gateway) = &self.gateway {
            gateway.maintain(self.now()).await?;
        }
        self.store.refresh().await?;
        let now = self.now();
        let last = self.last_collection.load(Ordering::Relaxed);
        // Also in the first round: the process may have crashed between a rotation and this.
        if retired || last == 0 {
            self.store.retain_nonces(&self.issuer.key_ids()).await?;
        }
        let collected_at = Timestamp::from_unix_seconds(last);
        // A time later than now was noted while the clock was ahead.
        if collected_at > now || now.since(collected_at) >= COLLECTION_INTERVAL {
            self.store.collect_garbage(now).await?;
            if let Some(log) = self.live().reports.clone() {
                let maintained = Arc::clone(&log).maintain(now).await;
                self.note_removed_reports(&log);
                maintained.map_err(io_error("remove old reports"))?;
            }
            self.last_collection.store(now.unix_seconds().max(1), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Reads the files of user tokens and of the certificate again if they have changed. Those that cannot be read change
    /// nothing, and are problems of the page and of `/status` until they can.
    pub async fn refresh_files(self: &Arc<Self>) {
        self.refreshes.note(RefreshedFile::UserTokens, self.refresh_users().await);
        if let Some(certificates) = self.certificates.clone() {
            let refresh = move || certificates.refresh().map_err(ServiceError::from);
            self.refreshes.note(RefreshedFile::Certificate, blocking(refresh).await);
        }
    }

    /// Maintains the service until the future is dropped. Work of one kind that panics begins again, and ends no other.
    pub async fn maintain_always(self: Arc<Self>) {
        futures_util::future::join5(
            keep_running("maintenance of keys and nonces", || self.rotate_always()),
            keep_running("refreshing of files", || self.refresh_files_always()),
            keep_running("following of publications", || self.subscriptions.run(&*self)),
            keep_running("updating of lists", || async {
                #[cfg(feature = "lists")]
                self.update_lists_always().await;
            }),
            keep_running("sending of counts of reports", || self.send_reports_always()),
        )
        .await;
    }

    async fn rotate_always(self: &Arc<Self>) {
        let mut ticks = tokio::time::interval(ROTATION_INTERVAL);
        loop {
            ticks.tick().await;
            if let Err(error) = self.maintain().await {
                self.metrics.store_failed();
                tracing::error!(error = %Report::new(&error), "maintenance failed and will be retried");
            }
        }
    }

    async fn refresh_files_always(self: &Arc<Self>) {
        let mut ticks = tokio::time::interval(FILE_INTERVAL);
        loop {
            ticks.tick().await;
            self.refresh_files().await;
        }
    }

    /// Tells that reports are lost whose counts may not have been read or sent yet.
    pub(crate) fn note_removed_reports(&self, log: &ReportLog) {
        let removed = log.take_removed_early();
        if removed == 0 {
            return;
        }
        self.metrics.report_files_removed_early(removed);
        tracing::warn!(
            files = removed,
            max = log.settings().files,
            "reports were removed before reports.days, since there were more than reports.files files; counts of them may not have \
             been read or sent"
        );
    }

    /// Sends the counts of reports of finished days to `reports.webhook`, if there is one and they were not sent. Returns
    /// for how many days there were reports.
    ///
    /// # Errors
    /// [`ServiceError::Reports`] if they cannot be counted or sent.
    pub async fn send_reports(&self) -> Result<usize, ServiceError> {
        let Some(log) = self.live().reports.clone() else { return Ok(0) };
        let Some(url) = &log.settings().webhook else { return Ok(0) };
        let (folder, min_count) = (log.directory().to_owned(), log.settings().min_count);
        let sent = reports::deliver(folder, url, min_count, self.now()).await;
        match &sent {
            Ok(0) => {}
            Ok(_) => self.metrics.report_counts_sent(Outcome::Success),
            Err(_) => self.metrics.report_counts_sent(Outcome::Failure),
        }
        sent.map_err(|error| ServiceError::Reports(error.into()))
    }

    async fn send_reports_always(&self) {
        let mut wait = WEBHOOK_INTERVAL;
        loop {
            match self.send_reports().await {
                Ok(_) => wait = WEBHOOK_INTERVAL,
                Err(error) => {
                    let error = Report::new(&error).to_string();
                    tracing::error!(
                        error,
                        "counts of reports cannot be sent; they will be sent later"
                    );
                    wait = (wait * 2).min(MAX_WEBHOOK_INTERVAL);
                }
            }
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[tokio::test(start_paused = true)]
    async fn work_that_panics_begins_again_and_ends_no_other() {
        let (begun, other) = (AtomicU32::new(0), AtomicU32::new(0));
        let panics_twice = || async {
            tokio::task::yield_now().await;
            assert!(begun.fetch_add(1, Ordering::Relaxed) >= 2, "on purpose");
        };
        let works = || async {
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                other.fetch_add(1, Ordering::Relaxed);
            }
        };
        let both = (keep_running("one", panics_twice), keep_running("other", works));
        futures_util::future::join(both.0, both.1).await;
        assert_eq!((begun.load(Ordering::Relaxed), other.load(Ordering::Relaxed)), (3, 100));
    }
}
