//! Carries the requests of a client over its transports, and tells it the time, on Tokio.

use crate::endpoint::Party;
use crate::error::Error;
use crate::sans_io::{
    Answers, Client, ClientBuilder, Keywords, Lookup, Now, OperationId, Outcome, Output, Request,
    RequestId,
};
use crate::state::ClientState;
use crate::transport::{Transport, TransportError};
use bytes::Bytes;
use futures_util::future::{Either, select};
use std::collections::HashMap;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;
use unix_clock::Clock;

/// Ways to the parties that a client talks to. They share no connections.
pub(super) struct Transports {
    pub(super) service: Arc<dyn Transport>,
    /// Whether the application gave it.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "there is no other then"))]
    pub(super) is_own: bool,
    pub(super) issuer: Option<Arc<dyn Transport>>,
    pub(super) mirror: Option<Arc<dyn Transport>>,
}

pub(super) struct Driver {
    state: Mutex<State>,
    answers: Arc<Answers>,
    transports: Transports,
    clock: Arc<dyn Clock>,
    start: Instant,
    computing_micros: AtomicU64,
}

struct State {
    client: Client,
    waiting: HashMap<OperationId, oneshot::Sender<Outcome>>,
    /// Requests that were sent. Dropping a sender gives the request up.
    requests: HashMap<RequestId, oneshot::Sender<()>>,
    /// When the client is told the time next. Dropping the sender ends the timer.
    timer: Option<(Duration, oneshot::Sender<()>)>,
    storage: Storage,
}

/// Stores the state of a client durably.
pub(super) type Store = Box<dyn FnMut(&ClientState) -> io::Result<()> + Send>;

/// Where the state is stored, and whether it is.
struct Storage {
    /// `None` if the caller stores nothing before requests are sent.
    store: Option<Store>,
    is_current: bool,
}

impl Storage {
    /// Stores the state unless it is stored.
    fn update(&mut self, client: &Client) -> Result<(), TransportError> {
        if let (false, Some(store)) = (self.is_current, &mut self.store) {
            store(&client.state()).map_err(|error| TransportError::NotStored(error.to_string()))?;
        }
        self.is_current = true;
        Ok(())
    }
}

/// A request or a timer.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Driver {
    pub(super) fn new(
        client: ClientBuilder,
        transports: Transports,
        clock: Arc<dyn Clock>,
        store: Option<Store>,
    ) -> Result<Self, Error> {
        let client = client.build(Now::new(clock.now(), Duration::ZERO))?;
        Ok(Self {
            answers: client.answers(),
            state: Mutex::new(State {
                client,
                waiting: HashMap::new(),
                requests: HashMap::new(),
                timer: None,
                storage: Storage { store, is_current: false },
            }),
            transports,
            clock,
            start: Instant::now(),
            computing_micros: AtomicU64::new(0),
        })
    }

    #[cfg(feature = "http")]
    pub(super) fn has_own_transport(&self) -> bool {
        self.transports.is_own
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        Now::new(self.clock.now(), self.start.elapsed())
    }

    /// Time spent in the client.
    pub(super) fn computing(&self) -> Duration {
        Duration::from_micros(self.computing_micros.load(Ordering::Relaxed))
    }

    pub(super) fn add_computing(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.computing_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The answers to keywords that are all cached and fresh.
    pub(super) fn fresh(&self, keywords: &Keywords) -> Option<Lookup> {
        Lookup::of_cached(keywords, &self.answers, self.clock.now())
    }

    /// Something of the client that changes nothing that is sent.
    pub(super) fn read<R>(&self, read: impl FnOnce(&Client) -> R) -> R {
        read(&self.lock().client)
    }

    /// Runs an operation to its end. It tells the client the time itself, so that it ends whatever became of
    /// the runtime that another operation ran on.
    pub(super) async fn run(
        self: &Arc<Self>,
        start: impl FnOnce(&mut Client, Now) -> OperationId,
    ) -> Outcome {
        let (sender, mut outcome) = oneshot::channel();
        self.advance(|state, now| {
            let id = start(&mut state.client, now);
            state.waiting.insert(id, sender);
        });
        loop {
            let next = self.read(Client::next_timeout);
            let Some(at) = next.and_then(|at| self.start.checked_add(at)) else {
                return outcome.await.expect("every operation ends");
            };
            match select(outcome, pin!(tokio::time::sleep_until(at))).await {
                Either::Left((ended, _)) => return ended.expect("every operation ends"),
                Either::Right(((), waiting)) => outcome = waiting,
            }
            self.advance(|state, now| state.client.handle_time(now));
        }
    }

    /// Begins what happens between operations, if there is a runtime; otherwise the first operation does.
    pub(super) fn begin(self: &Arc<Self>) {
        if self.read(Client::next_timeout).is_some() {
            self.advance(|_, _| {});
        }
    }

    /// Calls the client, and does what it has to do then.
    fn advance(self: &Arc<Self>, call: impl FnOnce(&mut State, Now)) {
        let mut tasks: Vec<Task> = Vec::new();
        {
            let mut state = self.lock();
            let begun = std::time::Instant::now();
            call(&mut state, self.now());
            self.add_computing(begun.elapsed());
            while let Some(output) = state.client.next_output() {
                let State { client, storage, .. } = &mut *state;
                match output {
                    Output::Store => {
                        storage.is_current = false;
                        // If it fails, it is tried again before anything is sent.
                        drop(storage.update(client));
                    }
                    Output::Send(request) => {
                        if let Err(error) = storage.update(client) {
                            client.handle_response(request.id, Err(error), self.now());
                            continue;
                        }
                        let (keep, given_up) = oneshot::channel();
                        state.requests.insert(request.id, keep);
                        tasks.push(Box::pin(self.send(*request, given_up)));
                    }
                    Output::Cancel(id) => drop(state.requests.remove(&id)),
                    Output::Done(id, outcome) => {
                        let waiting =
                            state.waiting.remove(&id).map(|waiting| waiting.send(outcome));
                        // If nobody waits any more, the replies are decrypted all the same: cached ones that
                        // are not take much more memory.
                        if let Some(Err(Outcome::Lookup(lookup))) = waiting {
                            tasks.push(Box::pin(decrypt(lookup)));
                        }
                    }
                }
            }
            tasks.extend(self.timer(&mut state));
        }
        // The state is not locked here: a runtime that is being shut down drops tasks at once, and these
        // lock it.
        match Handle::try_current() {
            Ok(runtime) => tasks.into_iter().for_each(|task| drop(runtime.spawn(task))),
            Err(_) => drop(tasks),
        }
    }

    /// A timer for what happens between operations, if one is needed that does not run.
    fn timer(self: &Arc<Self>, state: &mut State) -> Option<Task> {
        let next = state.client.next_timeout();
        if state.timer.as_ref().map(|(at, _)| *at) == next {
            return None;
        }
        state.timer = None;
        let at = next?;
        let sleep_until = self.start.checked_add(at)?;
        let (keep, ended) = oneshot::channel();
        state.timer = Some((at, keep));
        // A client that is dropped ends its timers.
        let timer = Timer { driver: Arc::downgrade(self), at };
        Some(Box::pin(async move {
            let sleep = tokio::time::sleep_until(sleep_until);
            if let Either::Left(_) = select(pin!(sleep), ended).await {
                let driver = timer.driver.upgrade();
                drop(timer);
                if let Some(driver) = driver {
                    driver.advance(|state, now| state.client.handle_time(now));
                }
            }
        }))
    }

    /// Sends a request and hands its response over.
    fn send(
        self: &Arc<Self>,
        request: Request,
        given_up: oneshot::Receiver<()>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let transport = match request.party {
            Party::Service => Some(Arc::clone(&self.transports.service)),
            Party::Issuer => self.transports.issuer.clone(),
            Party::Mirror => self.transports.mirror.clone(),
        };
        let Request { id, request, max_body, .. } = request;
        let pending = PendingResponse { driver: Arc::clone(self), id, outcome: None };
        async move {
            let Some(transport) = transport else {
                let reason = "there is no transport for it".to_owned();
                return pending.finish(Err(TransportError::Request(reason)));
            };
            if let Either::Left((outcome, _)) =
                select(transport.send(request, max_body), given_up).await
            {
                pending.finish(outcome);
            }
        }
    }
}

/// Hands over the response to a request when it is dropped: a broken connection if the request was given
/// up.
struct PendingResponse {
    driver: Arc<Driver>,
    id: RequestId,
    outcome: Option<Result<http::Response<Bytes>, TransportError>>,
}

impl PendingResponse {
    fn finish(mut self, outcome: Result<http::Response<Bytes>, TransportError>) {
        self.outcome = Some(outcome);
    }
}

impl Drop for PendingResponse {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or(Err(TransportError::Broken));
        self.driver.advance(|state, now| {
            state.requests.remove(&self.id);
            state.client.handle_response(self.id, outcome, now);
        });
    }
}

/// Decrypts the replies of a lookup that nobody waits for.
async fn decrypt(lookup: Lookup) {
    // It cannot fail; if the runtime is shut down, the cache goes with it.
    drop(tokio::task::spawn_blocking(move || drop(lookup.answers())).await);
}

/// Forgets a timer when it is dropped, so that the next call sets another one.
struct Timer {
    driver: Weak<Driver>,
    at: Duration,
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some(driver) = self.driver.upgrade() else { return };
        let mut state = driver.lock();
        // Another timer may have taken the place of this one.
        if state.timer.as_ref().is_some_and(|(at, _)| *at == self.at) {
            state.timer = None;
        }
    }
}
