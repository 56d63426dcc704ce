//! Verdicts for URLs: the prefilter first, then a private lookup of what hits it.

use crate::background::BackgroundTask;
use crate::check::{Check, Decision, FilterOptions};
use crate::client::PirClient;
use crate::prefilter::{Loaded, PrefilterError, PrefilterSource};
use crate::sans_io::retry::random_share;
use crate::transport::Transport;
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Shortest time between two checks for a newer prefilter, as on devices: 45 minutes.
pub const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(2700);
/// Shortest time from the start of the timer to a check for a newer prefilter. A check of a URL may start the timer.
const MIN_TIMER_DELAY: Duration = Duration::from_secs(60);
/// Longest random time in addition to that.
const TIMER_SPREAD: Duration = Duration::from_secs(540);

/// Decides about URLs as a device does. Clones share everything.
///
/// Its asynchronous functions need a Tokio runtime with time enabled; [`blocking`](crate::blocking) has
/// one of its own.
#[derive(Clone)]
pub struct UrlFilter(Arc<Inner>);

struct Inner {
    source: PrefilterSource,
    loaded: ArcSwap<Loaded>,
    client: PirClient,
    options: FilterOptions,
    transport: Arc<dyn Transport>,
    start: Instant,
    /// Milliseconds from `start` to the next check for a newer prefilter.
    due_at: AtomicU64,
    timer: BackgroundTask,
    timer_task: Mutex<Option<AbortHandle>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = self.timer_task.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

impl UrlFilter {
    /// Loads the prefilter, over the built-in transport if it is on a server. A client whose requests to the service take
    /// another way, such as one through a relay, needs [`UrlFilter::with_transport`] then.
    ///
    /// # Errors
    /// [`PrefilterError::NoTransport`], or another [`PrefilterError`] if there is no prefilter that can be used.
    #[cfg(feature = "http")]
    pub async fn new(
        source: PrefilterSource,
        client: PirClient,
        options: FilterOptions,
    ) -> Result<Self, PrefilterError> {
        if source.is_on_a_server() && client.has_own_transport() {
            return Err(PrefilterError::NoTransport);
        }
        Self::with_transport(source, client, options, default_transport()?).await
    }

    /// Loads the prefilter, over a given transport if it is on a server. The client has a transport of
    /// its own. Whoever serves the prefilter sees the address that this transport shows, at the times at which newer ones
    /// are looked for.
    ///
    /// # Errors
    /// [`PrefilterError`] if there is no prefilter that can be used.
    pub async fn with_transport(
        source: PrefilterSource,
        client: PirClient,
        options: FilterOptions,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, PrefilterError> {
        let loaded = source.load(&transport, None).await?;
        let loaded = loaded.ok_or(PrefilterError::Status(304))?;
        client.set_rows(loaded.prefilter.rows(options.max_false_positive_rate));
        let filter = Self(Arc::new(Inner {
            source,
            loaded: ArcSwap::from_pointee(loaded),
            client,
            options,
            transport,
            start: Instant::now(),
            due_at: AtomicU64::new(0),
            timer: BackgroundTask::default(),
            timer_task: Mutex::default(),
        }));
        filter.0.note_refresh();
        filter.start_timer();
        Ok(filter)
    }

    /// The client that looks hits up.
    #[must_use]
    pub fn client(&self) -> &PirClient {
        &self.0.client
    }

    /// The tag of the prefilter in use: SHA-256 of its bits, in hexadecimal.
    #[must_use]
    pub fn prefilter_tag(&self) -> String {
        self.0.loaded.load().tag.clone()
    }

    /// Loads a newer prefilter if there is one, and returns whether there was. On failure the current one
    /// stays in use.
    ///
    /// # Errors
    /// [`PrefilterError`] if it cannot be loaded.
    pub async fn refresh(&self) -> Result<bool, PrefilterError> {
        let inner = &self.0;
        inner.note_refresh();
        let current = inner.loaded.load_full();
        let Some(newer) = inner.source.load(&inner.transport, Some(&current)).await? else {
            return Ok(false);
        };
        let max = inner.options.max_false_positive_rate;
        newer.prefilter.check(max)?;
        let newer = newer.replacing(&current);
        inner.client.set_rows(newer.prefilter.rows(max));
        inner.loaded.store(Arc::new(newer));
        // The list changed, so answers from the old one may be wrong.
        inner.client.reset_answers();
        Ok(true)
    }

    /// Starts the timer by which newer prefilters are looked for, unless it runs. It ends with the runtime that it was
    /// started on.
    fn start_timer(&self) {
        let inner = &self.0;
        if inner.options.refresh_every.is_none() {
            return;
        }
        let Some(running) = inner.timer.try_start() else { return };
        let filter = Arc::downgrade(inner);
        let task = tokio::spawn(async move {
            keep_current(filter).await;
            drop(running);
        });
        let mut handle = inner.timer_task.lock().unwrap_or_else(PoisonError::into_inner);
        *handle = Some(task.abort_handle());
    }

    /// Decides about one URL.
    #[expect(clippy::missing_panics_doc, reason = "one URL has one decision")]
    pub async fn check(&self, url: &str) -> Decision {
        self.check_all(&[url]).await.pop().expect("one URL has one decision")
    }

    /// Decides about several URLs, in their order. What hits the prefilter is looked up together: all requests are sent
    /// before the first reply is decrypted. Whoever checks URLs one after the other, and waits for each decision, shows
    /// the service with the time of the next request how long that took.
    pub async fn check_all(&self, urls: &[&str]) -> Vec<Decision> {
        let inner = &self.0;
        self.start_timer();
        let loaded = inner.loaded.load_full();
        let check = Check::new(&loaded.prefilter, &inner.options, urls);
        let answers = match check.keywords().is_empty() {
            true => Vec::new(),
            false => inner.client.answers_to(check.keywords()).await,
        };
        check.decide(&answers)
    }
}

/// The built-in transport with a timeout that suffices for a large prefilter.
#[cfg(feature = "http")]
pub(crate) fn default_transport() -> Result<Arc<dyn Transport>, PrefilterError> {
    let transport = crate::http_transport::HttpTransport::new(Duration::from_secs(60));
    Ok(Arc::new(transport.map_err(PrefilterError::Transport)?))
}

impl Inner {
    /// Plans the next check for a newer prefilter: at a random time, so that it tells nothing about this one or about URLs.
    fn note_refresh(&self) {
        let Some(every) = self.options.refresh_every else { return };
        let due = self.start.elapsed().saturating_add(interval(every, random_share()));
        let millis = u64::try_from(due.as_millis()).unwrap_or(u64::MAX);
        self.due_at.store(millis, Ordering::Relaxed);
    }

    fn until_due(&self) -> Duration {
        let due = Duration::from_millis(self.due_at.load(Ordering::Relaxed));
        due.saturating_sub(self.start.elapsed())
    }
}

/// Loads newer prefilters when it is time, as long as the filter is in use.
async fn keep_current(filter: Weak<Inner>) {
    loop {
        let Some(wait) = filter.upgrade().map(|inner| inner.until_due()) else { return };
        tokio::time::sleep(wait.max(MIN_TIMER_DELAY + TIMER_SPREAD.mul_f64(random_share()))).await;
        let Some(inner) = filter.upgrade() else { return };
        // The application may have loaded one meanwhile.
        if inner.until_due().is_zero() {
            // On failure the current prefilter stays in use until the next time.
            drop(UrlFilter(inner).refresh().await);
        }
    }
}

/// The time from one check for a newer prefilter to the next: a random one from `every` to a quarter more.
fn interval(every: Duration, share: f64) -> Duration {
    let every = every.max(MIN_REFRESH_INTERVAL);
    every.saturating_add((every / 4).mul_f64(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_for_a_newer_prefilter_are_no_more_frequent_than_those_of_devices() {
        let second = Duration::from_secs(1);
        for every in [Duration::ZERO, MIN_REFRESH_INTERVAL - second, MIN_REFRESH_INTERVAL] {
            assert_eq!(interval(every, 0.0), MIN_REFRESH_INTERVAL, "{every:?}");
            assert_eq!(interval(every, 1.0), MIN_REFRESH_INTERVAL * 5 / 4, "{every:?}");
        }
        let every = MIN_REFRESH_INTERVAL + second;
        assert_eq!(interval(every, 0.0), every);
        assert!(interval(Duration::MAX, 1.0) > Duration::MAX / 2);
    }
}
