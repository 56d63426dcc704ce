//! What the tasks of a client wait for: responses and points in time.

use super::exchange::{Now, OperationId, Outcome, Output, Request, RequestId};
use crate::endpoint::Party;
use crate::transport::TransportError;
use bytes::Bytes;
use futures_util::future::{Either, select};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// A task of a client: one lookup, or one refill of the wallet.
pub(super) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The outcome of one request.
type Response = Result<http::Response<Bytes>, TransportError>;

/// The edge between the tasks of a client and its caller.
pub(crate) struct Io(Mutex<State>);

struct State {
    now: Now,
    next_id: u64,
    outputs: VecDeque<Output>,
    requests: HashMap<RequestId, Pending>,
    /// The wakers of tasks that sleep, by the time at which they wake up.
    timers: BTreeMap<(Duration, u64), Waker>,
    /// Tasks that were started and not polled yet.
    started: Vec<Task>,
}

/// A request that a task waits for.
struct Pending {
    max_body: usize,
    waker: Waker,
    response: Option<Response>,
}

impl Io {
    pub(super) fn new(now: Now) -> Self {
        Self(Mutex::new(State {
            now,
            next_id: 0,
            outputs: VecDeque::new(),
            requests: HashMap::new(),
            timers: BTreeMap::new(),
            started: Vec::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time that the caller told last.
    pub(crate) fn now(&self) -> Now {
        self.lock().now
    }

    /// Moves the time forward, and wakes the tasks that slept until then.
    pub(super) fn set_now(&self, now: Now) {
        let mut state = self.lock();
        let elapsed = now.elapsed.max(state.now.elapsed);
        state.now = Now { elapsed, ..now };
        let later = state.timers.split_off(&(elapsed, u64::MAX));
        let due = std::mem::replace(&mut state.timers, later);
        drop(state);
        due.into_values().for_each(Waker::wake);
    }

    /// The next time at which a task wakes up.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.lock().timers.keys().next().map(|(until, _)| *until)
    }

    pub(super) fn next_output(&self) -> Option<Output> {
        self.lock().outputs.pop_front()
    }

    pub(super) fn new_operation(&self) -> OperationId {
        OperationId(self.lock().take_id())
    }

    pub(super) fn finish(&self, id: OperationId, outcome: Outcome) {
        self.lock().outputs.push_back(Output::Done(id, outcome));
    }

    pub(super) fn start(&self, task: Task) {
        self.lock().started.push(task);
    }

    pub(super) fn started(&self) -> Vec<Task> {
        std::mem::take(&mut self.lock().started)
    }

    /// Hands a response to the task that waits for it. Responses to requests that no task waits for any
    /// more are dropped.
    pub(super) fn arrived(&self, id: RequestId, response: Response) {
        let mut state = self.lock();
        let Some(pending) = state.requests.get_mut(&id) else { return };
        let response = response.and_then(|response| match response.body().len() {
            length if length > pending.max_body => Err(TransportError::TooLong(pending.max_body)),
            _ => Ok(response),
        });
        pending.response.get_or_insert(response);
        let waker = pending.waker.clone();
        drop(state);
        waker.wake();
    }

    /// Has the caller send a request, and waits for the response.
    pub(crate) async fn exchange(
        &self,
        party: Party,
        request: http::Request<Bytes>,
        max_body: usize,
    ) -> Response {
        let id = {
            let mut state = self.lock();
            let id = RequestId(state.take_id());
            let pending = Pending { max_body, waker: Waker::noop().clone(), response: None };
            state.requests.insert(id, pending);
            let request = Request { id, party, request, max_body };
            state.outputs.push_back(Output::Send(Box::new(request)));
            id
        };
        let _cancel = CancelOnDrop { io: self, id };
        poll_fn(|context| {
            let mut state = self.lock();
            let pending = state.requests.get_mut(&id).expect("a request is removed when it ends");
            match pending.response.take() {
                Some(response) => {
                    state.requests.remove(&id);
                    Poll::Ready(response)
                }
                None => {
                    pending.waker.clone_from(context.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Waits for a span of time.
    pub(crate) async fn sleep(&self, span: Duration) {
        let key = {
            let mut state = self.lock();
            (state.now.elapsed.saturating_add(span), state.take_id())
        };
        let _forget = ForgetOnDrop { io: self, key };
        poll_fn(|context| {
            let mut state = self.lock();
            if state.now.elapsed >= key.0 {
                return Poll::Ready(());
            }
            state.timers.insert(key, context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The result of some work; `None` if it takes longer than a span of time. The work ends then.
    pub(crate) async fn timeout<T>(
        &self,
        span: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        match select(pin!(work), pin!(self.sleep(span))).await {
            Either::Left((result, _)) => Some(result),
            Either::Right(_) => None,
        }
    }
}

impl State {
    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

/// Tells the caller that a request is not waited for any more.
struct CancelOnDrop<'io> {
    io: &'io Io,
    id: RequestId,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        let mut state = self.io.lock();
        if state.requests.remove(&self.id).is_some_and(|pending| pending.response.is_none()) {
            // If it was not taken yet, it is not sent at all.
            let before = state.outputs.len();
            let id = self.id;
            state
                .outputs
                .retain(|output| !matches!(output, Output::Send(request) if request.id == id));
            if state.outputs.len() == before {
                state.outputs.push_back(Output::Cancel(id));
            }
        }
    }
}

/// Removes a timer that is not waited for any more.
struct ForgetOnDrop<'io> {
    io: &'io Io,
    key: (Duration, u64),
}

impl Drop for ForgetOnDrop<'_> {
    fn drop(&mut self) {
        self.io.lock().timers.remove(&self.key);
    }
}
