//! The client without I/O: requests and answers out, responses and the time in.
//!
//! [`Client`] opens no connection, runs on no runtime and reads no clock. Its caller sends the requests
//! that it makes, over whatever network stack there is, hands it the responses, and tells it the time.
//! [`PirClient`](crate::PirClient) does that with Tokio. A phone's or a browser's own network stack can do
//! it as well.
//!
//! ```
//! use bytes::Bytes;
//! use filter_client::sans_io::{Client, Now, Outcome, Output};
//! use std::time::Duration;
//! use unix_clock::Timestamp;
//!
//! let now = Now::new(Timestamp::from_unix_seconds(1_800_000_000), Duration::ZERO);
//! let mut client =
//!     Client::builder("https://pir.example", "com.example.app.url.filtering").build(now)?;
//! let lookup = client.start_lookup(vec![b"blocked.example".to_vec()], now);
//!
//! // Before anything is sent, the state is stored.
//! let Some(Output::Store) = client.next_output() else { panic!() };
//! let _stored = client.state().to_bytes();
//!
//! // Send what there is to send. This service knows no use case.
//! let Some(Output::Send(request)) = client.next_output() else { panic!() };
//! assert_eq!(request.request.uri().path(), "/config");
//! let mut response = http::Response::new(Bytes::new());
//! *response.status_mut() = http::StatusCode::NOT_FOUND;
//! client.handle_response(request.id, Ok(response), now);
//!
//! let Some(Output::Done(id, Outcome::Lookup(outcome))) = client.next_output() else { panic!() };
//! assert_eq!(id, lookup);
//! assert!(outcome.answers()[0].is_err());
//! # Ok::<(), filter_client::Error>(())
//! ```
//!
//! # What a caller does
//!
//! After each call, take all of [`Client::next_output`], and call [`Client::handle_time`] no later than
//! [`Client::next_timeout`] says. Requests to the issuer name the user, requests to the service name a
//! pseudonym: connections, TLS sessions and addresses that both travel over tie the two together, see
//! [`Request::party`].
//!
//! # What is stored before anything is sent
//!
//! Some things must not be done twice under one pseudonym, whenever a process ends: a token is sent once, a
//! keyword is asked for under numbers of shards that nest, the service gets the evaluation key of a secret
//! key that this client still has, and the issuer's key changes once a day at most. Each request that matters
//! for this follows an [`Output::Store`]: a caller that keeps the state between runs writes
//! [`Client::state`] to durable storage before it takes the next output. A client that goes on from what was
//! stored last repeats nothing of this, wherever it was stopped.
//!
//! # What replies decrypt to
//!
//! What a client sends, and when, is a function of what anyone on the wire could compute from the replies:
//! their status, their size, and whether they are well formed. No request depends on what a reply decrypts
//! to. A reply is cached when it arrives and decrypted when [`Lookup::answers`] is called, outside of the
//! client. One that decrypts to nonsense counts as the answer that the keyword is absent.

mod answers;
mod builder;
mod caller;
mod io;
mod issuance;
mod lookup;
mod outage;
mod posting;
mod retry;
mod session;
mod setup;
mod sharding;
mod wallet;

pub use answers::AnswerPolicy;
#[cfg(feature = "tokio")]
pub(crate) use answers::Answers;
pub use builder::ClientBuilder;
pub use retry::RetryPolicy;
pub use sharding::{ShardingError, ShardingPolicy};
pub use wallet::{EmptyWallet, WalletPolicy};

use crate::costs::Costs;
use crate::endpoint::ServiceUrls;
use crate::error::{Error, Party};
use crate::options::ClientOptions;
use crate::state::{ClientState, PinnedSharding, SeenIssuerKey, StoredConfig, StoredSecret};
use crate::transport::TransportError;
use answers::Reply;
use bytes::Bytes;
use caller::HttpCaller;
use http::HeaderValue;
use io::Task;
use issuance::Issuer;
use outage::Outage;
use session::Session;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use unix_clock::Timestamp;
use wallet::Wallet;

/// The present time, as the caller's clocks tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Now {
    /// The time of day. It may jump in both directions.
    pub unix: Timestamp,
    /// The time since a fixed moment, such as the start of the process. It never goes back.
    pub elapsed: Duration,
}

impl Now {
    /// A time.
    #[must_use]
    pub const fn new(unix: Timestamp, elapsed: Duration) -> Self {
        Self { unix, elapsed }
    }
}

/// Identifies a request of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

/// Identifies a lookup, or another operation, of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperationId(u64);

/// A request that the caller sends. It cannot be printed: its headers hold secrets.
#[non_exhaustive]
pub struct Request {
    /// Names the request when its response is handed over.
    pub id: RequestId,
    /// Who receives it. Requests to the issuer carry the user token, requests to the service a pseudonym:
    /// they must share no connection and no TLS session.
    pub party: Party,
    /// The request, with an absolute address. It is sent once: the token in it is good once.
    pub request: http::Request<Bytes>,
    /// Largest length of the response's body, in bytes. A longer one is [`TransportError::TooLong`].
    pub max_body: usize,
}

/// What a client has for its caller.
#[non_exhaustive]
pub enum Output {
    /// [`Client::state`] has changed. Whoever keeps it between runs stores it durably before taking the
    /// next output: what follows depends on it, see the [module](self). If it cannot be stored, nothing
    /// may be sent: hand [`TransportError::NotStored`] over as the response to each request that
    /// follows, until it could be stored. The first output of a client is this one.
    Store,
    /// A request to send.
    Send(Box<Request>),
    /// The response to a request is not waited for any more: its connection may be given up.
    Cancel(RequestId),
    /// An operation has ended.
    Done(OperationId, Outcome),
}

/// How an operation ended.
#[non_exhaustive]
pub enum Outcome {
    /// A lookup.
    Lookup(Lookup),
    /// Another operation.
    Other(Result<(), Box<Error>>),
}

/// The reply to a keyword and where it came from, or why there is none.
type FoundReply = Result<(Arc<Reply>, Source), Arc<Error>>;

/// The outcome of a lookup. It cannot be printed: it holds keywords and keys.
#[must_use]
pub struct Lookup {
    replies: Vec<FoundReply>,
    failure: Option<Arc<Error>>,
}

impl Lookup {
    /// The answer to each keyword, in the order in which they were given. Decrypts the replies, which takes
    /// about a millisecond each: do it where nothing waits that sends or receives, so that the time shows
    /// nowhere.
    #[must_use]
    pub fn answers(&self) -> Vec<Result<Answer, Arc<Error>>> {
        let answer = |found: &FoundReply| match found {
            Ok((reply, source)) => Ok(reply.answer(*source)),
            Err(error) => Err(Arc::clone(error)),
        };
        self.replies.iter().map(answer).collect()
    }

    /// Why the service could not be asked for all keywords; some answers may be cached nevertheless.
    #[must_use]
    pub fn failure(&self) -> Option<&Arc<Error>> {
        self.failure.as_ref()
    }

    /// The answers to keywords that are all cached and fresh.
    #[cfg(feature = "tokio")]
    pub(crate) fn of_cached(keywords: &[&[u8]], answers: &Answers, now: Timestamp) -> Option<Self> {
        let reply = |keyword: &&[u8]| Some(Ok((answers.fresh(keyword, now)?, Source::Cache)));
        let replies = keywords.iter().map(reply).collect::<Option<_>>()?;
        Some(Self { replies, failure: None })
    }
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The service, in this lookup.
    Service,
    /// The cache, with an answer that is [fresh](AnswerPolicy::fresh_for).
    Cache,
    /// The cache, with an answer that is [stale](AnswerPolicy::stale_for): the service could not
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
    /// Whether the reply could be read. One that decrypts to nonsense counts as the answer that the
    /// keyword is absent: the service must not be able to tell the two apart. Do not send anything because
    /// of this: no report, no repetition, no new key.
    pub is_readable: bool,
}

/// Looks keywords up without revealing them to the service, see the [module](self).
pub struct Client {
    inner: Arc<Inner>,
    tasks: Vec<Task>,
    woken: Arc<Woken>,
    /// The revision of the state that the caller was told to store; `None` before the first.
    told_revision: Option<u64>,
}

pub(crate) struct Inner {
    urls: ServiceUrls,
    issuer: Option<Issuer>,
    use_case: String,
    pseudonym: HeaderValue,
    options: ClientOptions,
    caller: HttpCaller,
    answers: Arc<answers::Answers>,
    state: Mutex<State>,
    revision: AtomicU64,
    /// Held while a configuration is fetched and keys are uploaded.
    setting_up: futures_util::lock::Mutex<()>,
    /// Held while tokens are fetched that a request waits for.
    fetching: futures_util::lock::Mutex<()>,
}

struct State {
    user_identifier: String,
    secrets: Vec<StoredSecret>,
    config: Option<StoredConfig>,
    sharding: Option<PinnedSharding>,
    wallet: Wallet,
    session: Option<Arc<Session>>,
    /// When the configuration was last compared with the service's.
    checked_at: Option<Timestamp>,
    outage: Outage,
    /// Number of rows that the data set is known to have, if it is.
    rows: Option<u64>,
    /// Whether a refill of the wallet is planned or runs.
    is_refilling: bool,
    /// Whether this client has fetched tokens, or has tried to.
    has_fetched: bool,
    issuer_key: Option<SeenIssuerKey>,
}

/// Longest time by which a stored time may be later than the present: clocks are corrected.
const MAX_AHEAD: Duration = Duration::from_secs(300);

/// The age of what happened at a time; `None` if that time is yet to come, because a clock was wrong then or
/// is wrong now.
fn age_at(now: Timestamp, time: Timestamp) -> Option<Duration> {
    (time <= now + MAX_AHEAD).then(|| now.since(time))
}

/// Whether a task can go on.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Client {
    /// Starts to build a client for a use case: `<app bundle id>.url.filtering` for a URL filter. The
    /// address of the service is an origin, or a path below which its endpoints are.
    pub fn builder(service: impl Into<String>, use_case: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(service.into(), use_case.into())
    }

    fn new(inner: Inner) -> Self {
        let (tasks, woken) = (Vec::new(), Arc::default());
        Self { inner: Arc::new(inner), tasks, woken, told_revision: None }
    }

    /// Starts to look keywords up. Those without a fresh cached answer are asked for, in as few requests
    /// as the options allow. The operation ends with [`Outcome::Lookup`].
    pub fn start_lookup(&mut self, keywords: Vec<Vec<u8>>, now: Now) -> OperationId {
        self.operation(now, |inner| async move { Outcome::Lookup(inner.look_up(&keywords).await) })
    }

    /// Starts to fetch what the first lookup would have to fetch: tokens, the configuration, and keys. The
    /// operation ends with [`Outcome::Other`].
    pub fn start_preparation(&mut self, now: Now) -> OperationId {
        self.operation(now, |inner| async move {
            let outcome = inner.within_timeout(inner.session(None)).await;
            inner.plan_refill();
            Outcome::Other(outcome.map(drop).map_err(Box::new))
        })
    }

    /// Starts to fetch the configuration again, as after a change of the service's parameters. The
    /// operation ends with [`Outcome::Other`].
    pub fn start_refresh(&mut self, now: Now) -> OperationId {
        self.operation(now, |inner| async move {
            let session = inner.lock().session.clone();
            let outcome = inner.within_timeout(inner.session(session.as_ref())).await;
            Outcome::Other(outcome.map(drop).map_err(Box::new))
        })
    }

    /// Starts to fetch tokens, in addition to those at hand. The operation ends with [`Outcome::Other`].
    pub fn start_fetching_tokens(&mut self, count: usize, now: Now) -> OperationId {
        self.operation(now, move |inner| async move {
            let outcome = inner.within_timeout(inner.fetch_tokens(count)).await;
            Outcome::Other(outcome.map_err(Box::new))
        })
    }

    /// Hands over the response to a request, or why there is none. Responses to requests that are not
    /// waited for any more are ignored.
    pub fn handle_response(
        &mut self,
        id: RequestId,
        response: Result<http::Response<Bytes>, TransportError>,
        now: Now,
    ) {
        self.inner.caller.io.set_now(now);
        self.inner.caller.io.arrived(id, response);
        self.run();
    }

    /// Tells the time: see [`Client::next_timeout`].
    pub fn handle_time(&mut self, now: Now) {
        self.inner.caller.io.set_now(now);
        self.run();
    }

    /// The next thing that the client has for its caller. A change of the state comes before everything
    /// else.
    pub fn next_output(&mut self) -> Option<Output> {
        let revision = Some(self.revision());
        if std::mem::replace(&mut self.told_revision, revision) != revision {
            return Some(Output::Store);
        }
        self.inner.caller.io.next_output()
    }

    /// When to call [`Client::handle_time`]: a time of [`Now::elapsed`]. `None` if nothing waits for a
    /// point in time.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        self.inner.caller.io.next_timeout()
    }

    /// Empties the cache of answers, as after a change of the data set.
    pub fn reset_answers(&self) {
        self.inner.answers.clear();
    }

    /// Tells how many rows the data set has, as far as the caller knows: for a URL filter, the number of
    /// keys in its prefilter. Services whose shards would have fewer rows than
    /// [`ShardingPolicy::min_rows_per_shard`] are refused from then on.
    pub fn set_rows(&self, rows: u64) {
        self.inner.lock().rows = Some(rows);
    }

    /// What the next run needs. Store it where secrets are kept, whenever [`Output::Store`] says so. A
    /// state that is older than the last request lets the next run repeat what must not be repeated, see the
    /// [module](self).
    #[must_use]
    pub fn state(&self) -> ClientState {
        let state = self.inner.lock();
        ClientState {
            user_identifier: state.user_identifier.clone(),
            secrets: state.secrets.clone(),
            tokens: state.wallet.tokens().to_vec(),
            config: state.config.clone(),
            sharding: state.sharding,
            issuer_key: state.issuer_key,
        }
    }

    /// A number that grows whenever the state changes.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.inner.revision.load(Ordering::Relaxed)
    }

    /// The number of tokens at hand.
    #[must_use]
    pub fn token_count(&self) -> usize {
        self.inner.lock().wallet.tokens().len()
    }

    /// What was sent and received so far. The client has no clock, so
    /// [`computing`](Costs::computing) is zero: a caller measures its own calls.
    #[must_use]
    pub fn costs(&self) -> Costs {
        self.inner.caller.counters.snapshot()
    }

    /// The cached answers, which can be read without the client.
    #[cfg(feature = "tokio")]
    pub(crate) fn answers(&self) -> Arc<Answers> {
        Arc::clone(&self.inner.answers)
    }

    /// Starts a task that ends with an outcome.
    fn operation<F>(&mut self, now: Now, work: impl FnOnce(Arc<Inner>) -> F) -> OperationId
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let io = &self.inner.caller.io;
        io.set_now(now);
        let id = io.new_operation();
        let (work, inner) = (work(Arc::clone(&self.inner)), Arc::clone(&self.inner));
        io.start(Box::pin(async move {
            let outcome = work.await;
            inner.caller.io.finish(id, outcome);
        }));
        self.run();
        id
    }

    /// Runs all tasks until each waits for a response or for a point in time.
    fn run(&mut self) {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut context = Context::from_waker(&waker);
        loop {
            let started = self.inner.caller.io.started();
            let is_woken = self.woken.0.swap(false, Ordering::AcqRel);
            if started.is_empty() && !is_woken {
                return;
            }
            // A task that panics is not polled again.
            let tasks = std::mem::take(&mut self.tasks);
            for mut task in tasks.into_iter().chain(started) {
                if task.as_mut().poll(&mut context) == Poll::Pending {
                    self.tasks.push(task);
                }
            }
        }
    }
}

/// Shows nothing of what it holds.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.caller.io.now().unix
    }

    fn note_change(&self) {
        self.revision.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs an operation's work within its timeout, and notes whether the service fails.
    async fn within_timeout<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let outcome = self.caller.io.timeout(self.options.lookup_timeout, work).await;
        let outcome = outcome.unwrap_or(Err(Error::Deadline));
        let elapsed = self.caller.io.now().elapsed;
        self.lock().outage.note(&outcome, self.options.outage_backoff, elapsed);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_are_too_far_ahead_are_not_believed() {
        let now = Timestamp::from_unix_seconds(1_000_000);
        let second = Duration::from_secs(1);
        assert_eq!(age_at(now, now + (MAX_AHEAD - second)), Some(Duration::ZERO));
        assert_eq!(age_at(now, now + MAX_AHEAD), Some(Duration::ZERO));
        assert_eq!(age_at(now, now + (MAX_AHEAD + second)), None);
    }
}
