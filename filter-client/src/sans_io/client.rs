//! The client: starts operations, and runs them until each waits.

#[cfg(feature = "tokio")]
use super::answers::Answers;
use super::exchange::{Now, OperationId, Outcome, Output, RequestId};
use super::inner::Inner;
use super::io::Task;
use super::keywords::Keywords;
use crate::costs::Costs;
use crate::error::Error;
use crate::state::ClientState;
use crate::transport::TransportError;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Looks keywords up without revealing them to the service, see the [module](super).
pub struct Client {
    inner: Arc<Inner>,
    tasks: Vec<Task>,
    woken: Arc<Woken>,
    /// The revision of the state that the caller was told to store; `None` before the first.
    told_revision: Option<u64>,
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
    pub(super) fn new(inner: Inner) -> Self {
        let (tasks, woken) = (Vec::new(), Arc::default());
        let mut client = Self { inner: Arc::new(inner), tasks, woken, told_revision: None };
        if client.inner.issuer.is_some() {
            let refilling = Arc::clone(&client.inner).refill_always();
            client.inner.caller.io.start(Box::pin(refilling));
            client.run();
        }
        client
    }

    /// Starts to look keywords up. Those without a fresh cached answer are asked for, in as few requests
    /// as the options allow. A list is taken for the keywords of one URL; [`Keywords`] tell which belong together.
    /// The operation ends with [`Outcome::Lookup`].
    pub fn start_lookup(&mut self, keywords: impl Into<Keywords>, now: Now) -> OperationId {
        let keywords = keywords.into();
        self.operation(now, |inner| async move { Outcome::Lookup(inner.look_up(&keywords).await) })
    }

    /// Starts to fetch what the first lookup would have to fetch: tokens, the configuration, and keys. The
    /// operation ends with [`Outcome::Other`].
    pub fn start_preparation(&mut self, now: Now) -> OperationId {
        self.operation(now, |inner| async move {
            let outcome = inner.within_timeout(inner.session(None)).await;
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
    /// keys in its prefilter, as [`MeasuredPrefilter::rows`](crate::MeasuredPrefilter::rows) tells it. Services whose shards would have fewer rows than
    /// [`ShardingPolicy::min_rows_per_shard`](super::ShardingPolicy::min_rows_per_shard) are refused from then on.
    pub fn set_rows(&self, rows: u64) {
        self.inner.lock().rows = Some(rows);
    }

    /// What the next run needs. Store it where secrets are kept, whenever [`Output::Store`] says so. A
    /// state that is older than the last request lets the next run repeat what must not be repeated, see the
    /// [module](super).
    #[must_use]
    pub fn state(&self) -> ClientState {
        let state = self.inner.lock();
        ClientState {
            user_identifier: state.user_identifier.clone(),
            secrets: state.secrets.clone(),
            tokens: state.wallet.tokens().to_vec(),
            config: state.config.clone(),
            sharding: state.sharding,
            told_bits: state.told_bits,
            issuer_key: state.issuer_key.clone(),
            service: Some(self.inner.address.clone()),
            refills: Some(state.refills.clone()),
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

    /// Why the latest refill brought no tokens, as when the issuer's key was refused; `None` if it did, or tokens were fetched
    /// since. Lookups go on with the tokens at hand, and fail when none is left.
    #[must_use]
    pub fn refill_failure(&self) -> Option<Arc<Error>> {
        self.inner.lock().refill_failure.clone()
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
