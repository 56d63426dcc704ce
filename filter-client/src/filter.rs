//! Verdicts for URLs: the prefilter first, then a private lookup of what hits it.

use crate::background::BackgroundTask;
use crate::check::{Check, Decision, FilterOptions};
use crate::client::PirClient;
use crate::prefilter::{Loaded, PrefilterError, PrefilterSource};
use crate::transport::Transport;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Shortest time between two checks for a newer prefilter, as on devices: 45 minutes.
pub const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(2700);

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
    /// Milliseconds from `start` to the last check for a newer prefilter.
    checked_at: AtomicU64,
    refresh: BackgroundTask,
}

impl UrlFilter {
    /// Loads the prefilter, over the built-in transport if it is on a server.
    ///
    /// # Errors
    /// [`PrefilterError`] if there is no prefilter that can be used.
    #[cfg(feature = "http")]
    pub async fn new(
        source: PrefilterSource,
        client: PirClient,
        options: FilterOptions,
    ) -> Result<Self, PrefilterError> {
        Self::with_transport(source, client, options, default_transport()?).await
    }

    /// Loads the prefilter, over a given transport if it is on a server. The client has a transport of
    /// its own.
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
        client.set_rows(loaded.prefilter.filter().estimated_key_count());
        Ok(Self(Arc::new(Inner {
            source,
            loaded: ArcSwap::from_pointee(loaded),
            client,
            options,
            transport,
            start: Instant::now(),
            checked_at: AtomicU64::new(0),
            refresh: BackgroundTask::default(),
        })))
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
        let millis = u64::try_from(inner.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        inner.checked_at.store(millis, Ordering::Relaxed);
        let current = inner.loaded.load_full();
        let Some(newer) = inner.source.load(&inner.transport, Some(&current)).await? else {
            return Ok(false);
        };
        inner.client.set_rows(newer.prefilter.filter().estimated_key_count());
        inner.loaded.store(Arc::new(newer));
        // The list changed, so answers from the old one may be wrong.
        inner.client.reset_answers();
        Ok(true)
    }

    /// Checks for a newer prefilter in the background when it is time.
    fn refresh_if_due(&self) {
        let inner = &self.0;
        let Some(every) = inner.options.refresh_every else { return };
        let checked_at = Duration::from_millis(inner.checked_at.load(Ordering::Relaxed));
        let age = inner.start.elapsed().saturating_sub(checked_at);
        if !is_due(age, every) {
            return;
        }
        let Some(running) = inner.refresh.try_start() else { return };
        let filter = self.clone();
        tokio::spawn(async move {
            // On failure the current prefilter stays in use until the next check.
            drop(filter.refresh().await);
            drop(running);
        });
    }

    /// Decides about one URL.
    #[expect(clippy::missing_panics_doc, reason = "one URL has one decision")]
    pub async fn check(&self, url: &str) -> Decision {
        self.check_all(&[url]).await.pop().expect("one URL has one decision")
    }

    /// Decides about several URLs, in their order. What hits the prefilter is looked up together.
    pub async fn check_all(&self, urls: &[&str]) -> Vec<Decision> {
        let inner = &self.0;
        self.refresh_if_due();
        let loaded = inner.loaded.load_full();
        let check = Check::new(&loaded.prefilter, &inner.options, urls);
        let keywords: Vec<&[u8]> = check.keywords().iter().map(String::as_bytes).collect();
        let answers = match keywords.is_empty() {
            true => Vec::new(),
            false => inner.client.answers(&keywords).await,
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

/// Whether it is time for a check, `age` after the last one.
fn is_due(age: Duration, every: Duration) -> bool {
    age >= every.max(MIN_REFRESH_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_for_a_newer_prefilter_are_no_more_frequent_than_those_of_devices() {
        let second = Duration::from_secs(1);
        for every in [Duration::ZERO, MIN_REFRESH_INTERVAL - second, MIN_REFRESH_INTERVAL] {
            assert!(!is_due(MIN_REFRESH_INTERVAL - second, every), "{every:?}");
            assert!(is_due(MIN_REFRESH_INTERVAL, every), "{every:?}");
            assert!(is_due(MIN_REFRESH_INTERVAL + second, every), "{every:?}");
        }
        let every = MIN_REFRESH_INTERVAL + second;
        assert!(!is_due(MIN_REFRESH_INTERVAL, every) && is_due(every, every));
    }
}
