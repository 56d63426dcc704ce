//! Private lookups of keywords, with whatever a lookup needs first: tokens, configuration and keys.

mod builder;
mod options;
mod outage;
mod posting;
mod querying;
mod setup;

pub use builder::ClientBuilder;
pub use options::ClientOptions;

use crate::answers::Answers;
use crate::background::BackgroundTask;
use crate::caller::HttpCaller;
use crate::costs::Costs;
use crate::endpoint::ServiceUrls;
use crate::error::Error;
use crate::issuance::Issuer;
use crate::session::Session;
use crate::state::{ClientState, StoredConfig, StoredSecret};
use crate::wallet::Wallet;
use http::HeaderValue;
use outage::Outage;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use unix_clock::{Clock, Timestamp};

/// Looks keywords up without revealing them to the service. Clones share everything.
///
/// Its asynchronous functions need a Tokio runtime with time enabled; [`blocking`](crate::blocking) has
/// one of its own.
#[derive(Clone)]
pub struct PirClient(Arc<Inner>);

struct Inner {
    urls: ServiceUrls,
    issuer: Option<Issuer>,
    use_case: String,
    pseudonym: HeaderValue,
    options: ClientOptions,
    caller: HttpCaller,
    answers: Answers,
    state: Mutex<State>,
    revision: AtomicU64,
    /// Held while a configuration is fetched and keys are uploaded.
    setting_up: tokio::sync::Mutex<()>,
    /// Held while tokens are fetched that a request waits for.
    fetching: tokio::sync::Mutex<()>,
    /// Fetches tokens in the background.
    refill: BackgroundTask,
    clock: Arc<dyn Clock>,
}

struct State {
    user_identifier: String,
    secrets: Vec<StoredSecret>,
    config: Option<StoredConfig>,
    wallet: Wallet,
    session: Option<Arc<Session>>,
    /// When the configuration was last compared with the service's.
    checked_at: Option<Timestamp>,
    outage: Outage,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The service, in this lookup.
    Service,
    /// The cache, with an answer that is [fresh](crate::AnswerPolicy::fresh_for).
    Cache,
    /// The cache, with an answer that is [stale](crate::AnswerPolicy::stale_for): the service could not
    /// answer.
    StaleCache,
}

/// The answer to a keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Answer {
    /// The value; `None` if the data set does not have the keyword.
    pub value: Option<Vec<u8>>,
    /// Where the answer came from.
    pub source: Source,
}

impl PirClient {
    /// Starts to build a client for a use case: `<app bundle id>.url.filtering` for a URL filter. The
    /// address of the service is an origin, or a path below which its endpoints are.
    pub fn builder(service: impl Into<String>, use_case: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(service.into(), use_case.into())
    }

    /// The value of each keyword; `None` for a keyword that the data set does not have. Keywords without a
    /// fresh cached answer are asked for, in as few requests as the options allow.
    ///
    /// # Errors
    /// If any keyword has no fresh answer. The answers that did arrive are cached.
    pub async fn lookup(&self, keywords: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Arc<Error>> {
        let (found, failure) = self.find(keywords).await;
        let value = |keyword: &&[u8]| match found.get(keyword) {
            Some(answer) => Ok(answer.value.clone()),
            None => Err(reason(&failure)),
        };
        keywords.iter().map(value).collect()
    }

    /// The answer to each keyword, on its own: if the service cannot answer some, others may be cached,
    /// and stale answers are used where there are any.
    pub async fn answers(&self, keywords: &[&[u8]]) -> Vec<Result<Answer, Arc<Error>>> {
        let (found, failure) = self.find(keywords).await;
        let now = self.0.now();
        let answer = |keyword: &&[u8]| {
            if let Some(answer) = found.get(keyword) {
                return Ok(answer.clone());
            }
            match self.0.answers.stale(keyword, now) {
                Some(value) => Ok(Answer { value, source: Source::StaleCache }),
                None => Err(reason(&failure)),
            }
        };
        keywords.iter().map(answer).collect()
    }

    /// Cached and new answers. If a keyword has none, the failure says why.
    async fn find<'k>(
        &self,
        keywords: &[&'k [u8]],
    ) -> (HashMap<&'k [u8], Answer>, Option<Arc<Error>>) {
        let inner = &self.0;
        let now = inner.now();
        let mut found: HashMap<&[u8], Answer> = HashMap::new();
        let mut seen = HashSet::new();
        let mut missing: Vec<&[u8]> = Vec::new();
        for &keyword in keywords.iter().filter(|keyword| seen.insert(**keyword)) {
            match inner.answers.fresh(keyword, now) {
                Some(value) => {
                    found.insert(keyword, Answer { value, source: Source::Cache });
                }
                None => missing.push(keyword),
            }
        }
        if missing.is_empty() {
            return (found, None);
        }
        let failure = self.ask(&missing, &mut found).await.err().map(Arc::new);
        (found, failure)
    }

    /// Asks the service for keywords and caches the answers. On success every keyword has an answer.
    async fn ask<'k>(
        &self,
        keywords: &[&'k [u8]],
        found: &mut HashMap<&'k [u8], Answer>,
    ) -> Result<(), Error> {
        let inner = &self.0;
        let max = inner.options.max_keywords;
        if keywords.len() > max {
            return Err(Error::TooManyKeywords { found: keywords.len(), max });
        }
        inner.lock().outage.check(Instant::now())?;
        let work = async {
            for batch in keywords.chunks(inner.options.batch_size.max(1)) {
                let values = inner.ask_batch(batch).await?;
                let now = inner.now();
                for (&keyword, value) in batch.iter().zip(values) {
                    inner.answers.put(keyword, value.clone(), now);
                    found.insert(keyword, Answer { value, source: Source::Service });
                }
            }
            Ok(())
        };
        let outcome = inner.within_timeout(work).await;
        self.refill();
        outcome
    }

    /// Fetches what the first lookup would have to fetch: tokens, the configuration, and keys.
    ///
    /// # Errors
    /// If any of it cannot be fetched.
    pub async fn prepare(&self) -> Result<(), Error> {
        let inner = &self.0;
        let outcome = inner.within_timeout(inner.session(None)).await;
        self.refill();
        outcome.map(drop)
    }

    /// Fetches tokens ahead of many lookups, in addition to those at hand.
    ///
    /// # Errors
    /// If the issuer cannot be reached or refuses.
    pub async fn fetch_tokens(&self, count: usize) -> Result<(), Error> {
        self.0.fetch_tokens(count).await
    }

    /// Fetches the configuration again, as after a change of the service's parameters.
    ///
    /// # Errors
    /// As [`PirClient::prepare`].
    pub async fn refresh(&self) -> Result<(), Error> {
        let session = self.0.lock().session.clone();
        self.0.session(session.as_ref()).await.map(drop)
    }

    /// Empties the cache of answers, as after a change of the data set.
    pub fn reset_answers(&self) {
        self.0.answers.clear();
    }

    /// What the next run needs. Store it where secrets are kept, whenever [`PirClient::revision`] has
    /// changed and at the end. A state that is older than the last lookup contains tokens that were spent
    /// since: the service refuses them, and the client fetches new ones.
    #[must_use]
    pub fn state(&self) -> ClientState {
        let state = self.0.lock();
        ClientState {
            user_identifier: state.user_identifier.clone(),
            secrets: state.secrets.clone(),
            tokens: state.wallet.tokens().to_vec(),
            config: state.config.clone(),
        }
    }

    /// A number that grows whenever the state changes.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.0.revision.load(Ordering::Relaxed)
    }

    /// The number of tokens at hand.
    #[must_use]
    pub fn token_count(&self) -> usize {
        self.0.lock().wallet.tokens().len()
    }

    /// What was sent, received and computed so far.
    #[must_use]
    pub fn costs(&self) -> Costs {
        self.0.caller.counters.snapshot()
    }

    /// Fetches tokens in the background when few are left.
    fn refill(&self) {
        let inner = &self.0;
        if inner.issuer.is_none() || inner.lock().wallet.refill_count(inner.now()) == 0 {
            return;
        }
        let Some(running) = inner.refill.try_start() else { return };
        let inner = Arc::clone(inner);
        tokio::spawn(async move {
            let count = inner.lock().wallet.refill_count(inner.now());
            // A failure appears in the lookup that needs a token. The next lookup tries again.
            drop(inner.fetch_tokens(count).await);
            drop(running);
        });
    }
}

/// Why a keyword has no answer.
fn reason(failure: &Option<Arc<Error>>) -> Arc<Error> {
    Arc::clone(failure.as_ref().expect("a keyword without an answer has a failure"))
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn note_change(&self) {
        self.revision.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs a lookup's work within its timeout, and notes whether the service fails.
    async fn within_timeout<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let outcome = tokio::time::timeout(self.options.lookup_timeout, work).await;
        let outcome = outcome.unwrap_or(Err(Error::Deadline));
        self.lock().outage.note(&outcome, self.options.outage_backoff, Instant::now());
        outcome
    }
}
