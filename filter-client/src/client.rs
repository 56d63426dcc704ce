//! Private lookups of keywords, with Tokio.

mod builder;
mod driver;

pub use builder::ClientBuilder;

use crate::costs::Costs;
use crate::error::Error;
use crate::sans_io::{self, Answer, Keywords, Lookup, OperationId, Outcome, Source};
use crate::state::ClientState;
use driver::{Driver, Store, Transports};
use std::sync::Arc;
use std::time::Instant;
use unix_clock::Clock;

/// Looks keywords up without revealing them to the service. Clones share everything.
///
/// Its asynchronous functions need a Tokio runtime with time enabled; [`blocking`](crate::blocking) has
/// one of its own. A lookup that was started runs to its end, even if its future is dropped: what a client
/// sends does not depend on what its caller does with an answer.
#[derive(Clone)]
pub struct PirClient(Arc<Driver>);

impl PirClient {
    /// Starts to build a client for a use case: `<app bundle id>.url.filtering` for a URL filter. The
    /// address of the service is an origin, or a path below which its endpoints are.
    pub fn builder(service: impl Into<String>, use_case: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(sans_io::Client::builder(service, use_case))
    }

    fn new(
        client: sans_io::ClientBuilder,
        transports: Transports,
        clock: Arc<dyn Clock>,
        store: Option<Store>,
    ) -> Result<Self, Error> {
        let driver = Arc::new(Driver::new(client, transports, clock, store)?);
        driver.begin();
        Ok(Self(driver))
    }

    /// Whether requests to the service take another way than the built-in one.
    #[cfg(feature = "http")]
    pub(crate) fn has_own_transport(&self) -> bool {
        self.0.has_own_transport()
    }

    /// The value of each keyword; `None` for a keyword that the data set does not have. Keywords without a fresh cached answer are asked
    /// for, in as few requests as the options allow. They count as those of one URL: for others see [`PirClient::answers_to`].
    ///
    /// # Errors
    /// If any keyword has no fresh answer, or one that cannot be read ([`Error::Unreadable`]); [`PirClient::answers`] has the
    /// others. The answers that did arrive are cached.
    #[expect(clippy::missing_panics_doc, reason = "it does not panic")]
    pub async fn lookup(&self, keywords: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Arc<Error>> {
        let (answers, failure) = self.look_up(&of_one_url(keywords)).await;
        let value = |answer: Result<Answer, Arc<Error>>| match answer? {
            Answer { source: Source::StaleCache, .. } => {
                let failure = failure.as_ref();
                Err(Arc::clone(failure.expect("stale answers are used if there is a failure")))
            }
            Answer { is_readable: false, .. } => Err(Arc::new(Error::Unreadable)),
            answer => Ok(answer.value),
        };
        answers.into_iter().map(value).collect()
    }

    /// The answer to each keyword, on its own: if the service cannot answer some, others may be cached,
    /// and stale answers are used where there are any. The keywords count as those of one URL.
    pub async fn answers(&self, keywords: &[&[u8]]) -> Vec<Result<Answer, Arc<Error>>> {
        self.answers_to(&of_one_url(keywords)).await
    }

    /// As [`PirClient::answers`], for keywords of several URLs.
    pub async fn answers_to(&self, keywords: &Keywords) -> Vec<Result<Answer, Arc<Error>>> {
        self.look_up(keywords).await.0
    }

    /// Asks for keywords, and leaves their replies encrypted. Whoever looks several things up, one after the other, asks
    /// for all of them first and calls [`Lookup::answers`] afterwards: how long that takes depends on what replies
    /// hold, and shows in the time of the next request otherwise.
    pub async fn fetch(&self, keywords: &Keywords) -> Lookup {
        if let Some(lookup) = self.0.fresh(keywords) {
            return lookup;
        }
        let keywords = keywords.clone();
        match self.run(|client, now| client.start_lookup(keywords, now)).await {
            Outcome::Lookup(lookup) => lookup,
            Outcome::Other(_) => unreachable!("a lookup ends as a lookup"),
        }
    }

    async fn look_up(
        &self,
        keywords: &Keywords,
    ) -> (Vec<Result<Answer, Arc<Error>>>, Option<Arc<Error>>) {
        let lookup = self.fetch(keywords).await;
        // Not on a thread that sends and receives: how long it takes must not show there.
        let answers = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            (lookup.answers(), lookup.failure().cloned(), begun.elapsed())
        });
        let (answers, failure, computing) = answers.await.expect("decryption does not panic");
        self.0.add_computing(computing);
        (answers, failure)
    }

    async fn run(
        &self,
        start: impl FnOnce(&mut sans_io::Client, sans_io::Now) -> OperationId,
    ) -> Outcome {
        self.0.run(start).await
    }

    async fn run_other(
        &self,
        start: impl FnOnce(&mut sans_io::Client, sans_io::Now) -> OperationId,
    ) -> Result<(), Error> {
        match self.run(start).await {
            Outcome::Other(outcome) => outcome.map_err(|error| *error),
            Outcome::Lookup(_) => unreachable!("only a lookup ends as one"),
        }
    }

    /// Fetches what the first lookup would have to fetch: tokens, the configuration, and keys. If there are no tokens, an
    /// issuer that is also the service sees whose pseudonym asks for the configuration then: call
    /// [`PirClient::fetch_tokens`] hours before to avoid it.
    ///
    /// # Errors
    /// If any of it cannot be fetched.
    pub async fn prepare(&self) -> Result<(), Error> {
        self.run_other(sans_io::Client::start_preparation).await
    }

    /// Fetches tokens ahead of many lookups, in addition to those at hand.
    ///
    /// # Errors
    /// If the issuer cannot be reached or refuses.
    pub async fn fetch_tokens(&self, count: usize) -> Result<(), Error> {
        self.run_other(|client, now| client.start_fetching_tokens(count, now)).await
    }

    /// Fetches the configuration again, as after a change of the service's parameters.
    ///
    /// # Errors
    /// As [`PirClient::prepare`].
    pub async fn refresh(&self) -> Result<(), Error> {
        self.run_other(sans_io::Client::start_refresh).await
    }

    /// Empties the cache of answers, as after a change of the data set.
    pub fn reset_answers(&self) {
        self.0.read(sans_io::Client::reset_answers);
    }

    /// Tells how many rows the data set has, see [`sans_io::Client::set_rows`]. A
    /// [`UrlFilter`](crate::UrlFilter) does it.
    pub fn set_rows(&self, rows: u64) {
        self.0.read(|client| client.set_rows(rows));
    }

    /// What the next run needs. [`ClientBuilder::store_state`] stores it whenever it must be stored.
    #[must_use]
    pub fn state(&self) -> ClientState {
        self.0.read(sans_io::Client::state)
    }

    /// A number that grows whenever the state changes.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.0.read(sans_io::Client::revision)
    }

    /// The number of tokens at hand.
    #[must_use]
    pub fn token_count(&self) -> usize {
        self.0.read(sans_io::Client::token_count)
    }

    /// Why the latest refill brought no tokens, see [`sans_io::Client::refill_failure`].
    #[must_use]
    pub fn refill_failure(&self) -> Option<Arc<Error>> {
        self.0.read(sans_io::Client::refill_failure)
    }

    /// What was sent, received and computed so far.
    #[must_use]
    pub fn costs(&self) -> Costs {
        Costs { computing: self.0.computing(), ..self.0.read(sans_io::Client::costs) }
    }
}

fn of_one_url(keywords: &[&[u8]]) -> Keywords {
    Keywords::of_one_url(keywords.iter().map(|keyword| keyword.to_vec()).collect())
}
