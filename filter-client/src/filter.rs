//! Verdicts for URLs: the prefilter first, then a private lookup of what hits it.

use crate::client::{PirClient, Source};
use crate::error::Error;
use crate::prefilter::{Loaded, PrefilterError, PrefilterSource};
use crate::transport::{HttpTransport, Transport};
use arc_swap::ArcSwap;
use filter_core::sub_url::{DeviceUrl, SubUrlRule, SubUrls, UrlError};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Shortest time between looks for a newer prefilter, as on devices.
pub const LEAST_REFRESH: Duration = Duration::from_secs(2700);

/// What is known of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Neither it nor any of its sub-URLs is on the list.
    Allow,
    /// A sub-URL is on the list.
    Deny {
        /// The sub-URL.
        matched: String,
    },
    /// It may be on the list, and whether it is could not be found out.
    Unknown,
}

/// What is done with a URL that nothing is known of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is let through.
    #[default]
    Open,
    /// It is blocked.
    Closed,
}

/// What a decision rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Nothing hit the prefilter: nobody was asked.
    Prefilter,
    /// The service's answer.
    Service,
    /// Answers that were remembered.
    Memory,
    /// Answers that are too old: the service could not be asked.
    Stale,
    /// No answer, and the caller lets such URLs through.
    FailedOpen,
    /// No answer, and the caller blocks such URLs.
    FailedClosed,
}

/// A verdict, what follows from it, and what it rests on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether to block the URL.
    pub blocked: bool,
    /// What that rests on.
    pub basis: Basis,
    /// Sub-URLs that hit the prefilter.
    pub hits: usize,
    /// Why the verdict is [`Verdict::Unknown`].
    pub failure: Option<Failure>,
}

/// Why nothing is known of a URL.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// It is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// More of its sub-URLs hit the prefilter than are asked about.
    #[error("{0} sub-URLs hit the prefilter; {1} are asked about")]
    TooManyHits(usize, usize),
    /// The lookup failed.
    #[error(transparent)]
    Lookup(#[from] Arc<Error>),
}

/// How a filter decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterOptions {
    /// What is done with URLs that nothing is known of.
    pub on_failure: OnFailure,
    /// The rule that makes sub-URLs, if it is not that of the prefilter's metadata.
    pub rule: Option<SubUrlRule>,
    /// How often a newer prefilter is looked for; none for only when asked to. At least
    /// [`LEAST_REFRESH`].
    pub refresh_every: Option<Duration>,
    /// Sub-URLs of one URL that are asked about.
    pub most_hits: usize,
}

impl Default for FilterOptions {
    fn default() -> Self {
        Self {
            on_failure: OnFailure::Open,
            rule: None,
            refresh_every: Some(Duration::from_secs(86_400)),
            most_hits: 64,
        }
    }
}

/// Decides about URLs as a device does. Clones share everything.
#[derive(Clone)]
pub struct UrlFilter(Arc<Inner>);

struct Inner {
    source: PrefilterSource,
    loaded: ArcSwap<Loaded>,
    client: PirClient,
    options: FilterOptions,
    transport: Arc<dyn Transport>,
    begun: Instant,
    /// Milliseconds from `begun` to the last look for a newer prefilter.
    looked_at: AtomicU64,
    refreshing: AtomicBool,
}

impl UrlFilter {
    /// Loads the prefilter. The client is asked only about what hits it.
    ///
    /// # Errors
    /// If there is no prefilter to begin with.
    pub async fn new(
        source: PrefilterSource,
        client: PirClient,
        options: FilterOptions,
    ) -> Result<Self, PrefilterError> {
        let transport = Arc::new(HttpTransport::new(Duration::from_secs(60))?);
        Self::with_transport(source, client, options, transport).await
    }

    /// The same with another way to the server that has the prefilter.
    ///
    /// # Errors
    /// As [`UrlFilter::new`].
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
            begun: Instant::now(),
            looked_at: AtomicU64::new(0),
            refreshing: AtomicBool::new(false),
        })))
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &PirClient {
        &self.0.client
    }

    /// The tag of the prefilter in use.
    #[must_use]
    pub fn prefilter_tag(&self) -> String {
        self.0.loaded.load().tag.clone()
    }

    /// Looks for a newer prefilter, and tells whether there was one. If it cannot be had, the earlier
    /// one stays.
    ///
    /// # Errors
    /// If it cannot be had.
    pub async fn refresh(&self) -> Result<bool, PrefilterError> {
        let inner = &self.0;
        let millis = u64::try_from(inner.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        inner.looked_at.store(millis, Ordering::Relaxed);
        let current = inner.loaded.load_full();
        let newer = inner.source.load(&inner.transport, Some(&current)).await?;
        let is_newer = newer.is_some();
        if let Some(newer) = newer {
            inner.loaded.store(Arc::new(newer));
            // A new list: what was answered from the old one does not hold.
            inner.client.reset_answers();
        }
        Ok(is_newer)
    }

    /// Looks for a newer prefilter in the background when it is time.
    fn refresh_if_due(&self) {
        let inner = &self.0;
        let Some(every) = inner.options.refresh_every else { return };
        let looked_at = Duration::from_millis(inner.looked_at.load(Ordering::Relaxed));
        if inner.begun.elapsed().saturating_sub(looked_at) < every.max(LEAST_REFRESH)
            || inner.refreshing.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let filter = self.clone();
        tokio::spawn(async move {
            // A failure leaves the earlier one, and the next round tries again.
            let _ = filter.refresh().await;
            filter.0.refreshing.store(false, Ordering::Release);
        });
    }

    /// Decides about one URL.
    pub async fn check(&self, url: &str) -> Decision {
        let mut decisions = self.check_all(&[url]).await;
        // One URL, one decision.
        decisions.pop().unwrap_or_else(|| self.unknown(0, Failure::TooManyHits(0, 0)))
    }

    /// Decides about several URLs; what hits the prefilter is asked about together.
    pub async fn check_all(&self, urls: &[&str]) -> Vec<Decision> {
        let inner = &self.0;
        self.refresh_if_due();
        let loaded = inner.loaded.load_full();
        let options = &inner.options;
        let rule = options.rule.clone().or_else(|| loaded.prefilter.description.rule.clone());
        let rule = rule.unwrap_or_default();
        let most = options.most_hits;
        let hits: Vec<Result<Vec<String>, Failure>> = urls
            .iter()
            .map(|url| {
                let url = DeviceUrl::parse(url, rule.case())?;
                let hits = loaded.prefilter.filter.hits(&SubUrls::new(&url, &rule));
                match hits.len() > most {
                    true => Err(Failure::TooManyHits(hits.len(), most)),
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
        let answers: std::collections::HashMap<_, _> = keywords.iter().zip(&answers).collect();
        let decide = |hits: &Result<Vec<String>, Failure>| match hits {
            Err(failure) => self.unknown(0, failure.clone()),
            Ok(hits) => {
                let answers = hits.iter().map(|hit| (hit, answers.get(&hit.as_str())));
                self.decide(answers.filter_map(|(hit, answer)| Some((hit, *answer?))), hits.len())
            }
        };
        hits.iter().map(decide).collect()
    }

    /// One hit that is on the list is enough; that none is takes all answers.
    fn decide<'a>(
        &self,
        answers: impl Iterator<Item = (&'a String, &'a Result<crate::client::Answer, Arc<Error>>)>,
        hits: usize,
    ) -> Decision {
        let (mut basis, mut failure) = (Basis::Prefilter, None);
        for (hit, answer) in answers {
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    failure.get_or_insert_with(|| Failure::Lookup(Arc::clone(error)));
                    continue;
                }
            };
            let from = match answer.source {
                Source::Memory => Basis::Memory,
                Source::Service => Basis::Service,
                Source::Stale => Basis::Stale,
            };
            if answer.value.is_some() {
                let verdict = Verdict::Deny { matched: hit.clone() };
                return Decision { verdict, blocked: true, basis: from, hits, failure: None };
            }
            // The weakest of the answers: what is too old, then what was asked.
            basis = match (basis, from) {
                (Basis::Stale, _) | (_, Basis::Stale) => Basis::Stale,
                (Basis::Service, _) | (_, Basis::Service) => Basis::Service,
                _ => from,
            };
        }
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
