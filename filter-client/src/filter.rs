//! Verdicts for URLs: the prefilter first, then a private lookup of what hits it.

use crate::background::BackgroundTask;
use crate::client::{Answer, PirClient, Source};
use crate::error::Error;
use crate::prefilter::{Loaded, PrefilterError, PrefilterSource};
use crate::transport::Transport;
use arc_swap::ArcSwap;
use filter_core::sub_url::{SubUrlRule, UrlError};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Shortest time between two checks for a newer prefilter, as on devices: 45 minutes.
pub const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(2700);

/// Whether a URL is on the list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Verdict {
    /// Neither the URL nor any of its sub-URLs is on the list.
    Allow,
    /// A sub-URL is on the list.
    Deny {
        /// The sub-URL.
        matched: String,
    },
    /// A sub-URL hits the prefilter, and whether it is on the list could not be found out; or the text is
    /// not a URL.
    Unknown,
}

/// What happens to URLs whose verdict is [`Verdict::Unknown`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// They are allowed (fail open).
    #[default]
    Open,
    /// They are blocked (fail closed).
    Closed,
}

/// What a decision is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Basis {
    /// No sub-URL hits the prefilter; the service was not asked.
    Prefilter,
    /// An answer of the service.
    Service,
    /// Cached answers.
    Cache,
    /// Cached answers, a stale one among them: the service could not answer.
    StaleCache,
    /// There is no answer, and [`OnFailure::Open`] allows the URL.
    FailedOpen,
    /// There is no answer, and [`OnFailure::Closed`] blocks the URL.
    FailedClosed,
}

/// A verdict, what follows from it, and what it is based on.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether to block the URL.
    pub blocked: bool,
    /// What the decision is based on.
    pub basis: Basis,
    /// The number of sub-URLs that hit the prefilter; 0 if they were not looked up.
    pub hits: usize,
    /// Why the verdict is [`Verdict::Unknown`].
    pub failure: Option<Failure>,
}

/// Why a verdict is [`Verdict::Unknown`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The text is not a URL that a device would check.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// More sub-URLs hit the prefilter than [`FilterOptions::max_hits`].
    #[error("{found} sub-URLs hit the prefilter; at most {max} are looked up")]
    TooManyHits {
        /// The number of hits.
        found: usize,
        /// The largest number of hits that are looked up.
        max: usize,
    },
    /// The lookup failed.
    #[error(transparent)]
    Lookup(#[from] Arc<Error>),
}

/// How a filter decides. Make one from [`FilterOptions::default`] and change its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilterOptions {
    /// What happens to URLs whose verdict is unknown. Default: they are allowed.
    pub on_failure: OnFailure,
    /// The rule that makes sub-URLs. Default: the rule in the prefilter's metadata, or else the latest
    /// system's.
    pub rule: Option<SubUrlRule>,
    /// How often to check for a newer prefilter, at least [`MIN_REFRESH_INTERVAL`]; `None` for only on
    /// [`UrlFilter::refresh`]. Default: one day.
    pub refresh_every: Option<Duration>,
    /// Largest number of prefilter hits that are looked up for one URL. With more, the verdict is
    /// unknown. Default: 64.
    pub max_hits: usize,
}

impl Default for FilterOptions {
    fn default() -> Self {
        Self {
            on_failure: OnFailure::Open,
            rule: None,
            refresh_every: Some(Duration::from_secs(86_400)),
            max_hits: 64,
        }
    }
}

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
        if age < every.max(MIN_REFRESH_INTERVAL) {
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
        let options = &inner.options;
        let rule = options.rule.as_ref().unwrap_or_else(|| loaded.prefilter.rule());
        let max = options.max_hits;
        let hits: Vec<Result<Vec<String>, Failure>> = urls
            .iter()
            .map(|url| {
                let hits = rule.parse(url)?.sub_urls().hits_in(loaded.prefilter.filter());
                match hits.len() > max {
                    true => Err(Failure::TooManyHits { found: hits.len(), max }),
                    false => Ok(hits),
                }
            })
            .collect();
        let mut seen = HashSet::new();
        let keywords: Vec<&str> = hits
            .iter()
            .flatten()
            .flatten()
            .map(String::as_str)
            .filter(|hit| seen.insert(*hit))
            .collect();
        let bytes: Vec<&[u8]> = keywords.iter().map(|keyword| keyword.as_bytes()).collect();
        let answers = match bytes.is_empty() {
            true => Vec::new(),
            false => inner.client.answers(&bytes).await,
        };
        let answers: HashMap<&str, &Result<Answer, Arc<Error>>> =
            keywords.iter().copied().zip(&answers).collect();
        let decide = |hits: &Result<Vec<String>, Failure>| match hits {
            Err(failure) => self.unknown(0, failure.clone()),
            Ok(hits) => self.decide(hits, &answers),
        };
        hits.iter().map(decide).collect()
    }

    /// A single hit on the list denies the URL; to allow it, every hit needs an answer.
    fn decide(
        &self,
        hits: &[String],
        answers: &HashMap<&str, &Result<Answer, Arc<Error>>>,
    ) -> Decision {
        let (mut basis, mut failure) = (Basis::Prefilter, None);
        for hit in hits {
            let answer = answers.get(hit.as_str()).expect("every hit was looked up");
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    failure.get_or_insert_with(|| Failure::Lookup(Arc::clone(error)));
                    continue;
                }
            };
            let from = match answer.source {
                Source::Service => Basis::Service,
                Source::Cache => Basis::Cache,
                Source::StaleCache => Basis::StaleCache,
            };
            if answer.value.is_some() {
                let verdict = Verdict::Deny { matched: hit.clone() };
                let hits = hits.len();
                return Decision { verdict, blocked: true, basis: from, hits, failure: None };
            }
            // The weakest basis counts: a stale answer, then one of the service.
            basis = match (basis, from) {
                (Basis::StaleCache, _) | (_, Basis::StaleCache) => Basis::StaleCache,
                (Basis::Service, _) | (_, Basis::Service) => Basis::Service,
                _ => from,
            };
        }
        let hits = hits.len();
        match failure {
            Some(failure) => self.unknown(hits, failure),
            None => {
                Decision { verdict: Verdict::Allow, blocked: false, basis, hits, failure: None }
            }
        }
    }

    fn unknown(&self, hits: usize, failure: Failure) -> Decision {
        let (blocked, basis) = match self.0.options.on_failure {
            OnFailure::Open => (false, Basis::FailedOpen),
            OnFailure::Closed => (true, Basis::FailedClosed),
        };
        Decision { verdict: Verdict::Unknown, blocked, basis, hits, failure: Some(failure) }
    }
}

/// The built-in transport with a timeout that suffices for a large prefilter.
#[cfg(feature = "http")]
pub(crate) fn default_transport() -> Result<Arc<dyn Transport>, PrefilterError> {
    let transport = crate::http_transport::HttpTransport::new(Duration::from_secs(60));
    Ok(Arc::new(transport.map_err(PrefilterError::Transport)?))
}
