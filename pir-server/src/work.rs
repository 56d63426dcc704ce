//! The worker pool: queries, evaluation keys and tokens are computed here.
//!
//! It has one thread for each core. Threads take turns: between kinds of work, between the owners of work of one kind, and
//! between the requests of one owner, one task at a time. So neither a large batch, nor many requests of one owner, nor a
//! flood of one kind delays the others for long.
//!
//! The number of tasks of each kind that wait or run is bounded, and an owner may have half of it. A request reserves
//! its share before anything is spent on it; if there is no capacity, it is refused at once. A task that has waited for so
//! long that its client has given up is dropped. A task that is alone may spread over all cores.

mod queue;

use prometheus_client::metrics::counter::Counter;
use queue::{Batch, Next, Queue};
use rayon::ThreadPool;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The queue has no capacity for a request's tasks. The request may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub(crate) struct QueueFull;

/// The tasks of a request have no results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WorkError {
    /// A task panicked.
    #[error("a task panicked")]
    Panicked,
    /// A task was dropped, because it had waited for too long.
    #[error("a task waited for too long")]
    Late,
    /// A reservation was given more tasks than it is for. None of them ran.
    #[error("{tasks} tasks, but capacity for {reserved} is reserved")]
    NotReserved {
        /// Number of tasks.
        tasks: usize,
        /// Number of tasks that the reservation is for.
        reserved: usize,
    },
}

/// What is worked on. Each kind has capacity of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkKind {
    /// Signing tokens.
    Issuing,
    /// Checking uploaded evaluation keys.
    Keys,
    /// Answering queries.
    Queries,
}

impl WorkKind {
    const COUNT: usize = 3;
}

/// Whose work it is: a hash with a random key of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner(u64);

/// What a task is given when it starts.
pub(crate) struct TaskContext<'t> {
    /// Idle worker threads that this task may use; `None` while other tasks wait or run.
    pub(crate) idle_threads: Option<&'t ThreadPool>,
    /// Set when the client has disconnected and the result will be dropped.
    pub(crate) cancelled: &'t AtomicBool,
    /// How long the task waited for a thread.
    pub(crate) waited: Duration,
    /// Whether the client has given up.
    is_late: bool,
}

type Task = Box<dyn FnOnce(TaskContext<'_>) + Send>;

/// Bounds of the work that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkLimits {
    /// Largest number of tasks of each kind that wait or run.
    pub(crate) queue: usize,
    /// Largest number of tasks of one request, which an owner may always have.
    pub(crate) batch: usize,
    /// How long a client waits for its answer.
    pub(crate) max_wait: Duration,
}

impl WorkLimits {
    /// Largest number of tasks of one kind that wait or run for one owner.
    fn owner(&self) -> usize {
        (self.queue / 2).max(self.batch).min(self.queue)
    }

    /// Whether a task is dropped that waited for so long. A request that was begun is finished, unless others wait for
    /// the thread.
    fn is_late(&self, waited: Duration, has_begun: bool, others_wait: bool) -> bool {
        waited > self.max_wait && (others_wait || !has_begun)
    }
}

/// How much capacity is reserved.
#[derive(Default)]
struct Reserved {
    kinds: [usize; WorkKind::COUNT],
    owners: [HashMap<Owner, usize>; WorkKind::COUNT],
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    reserved: Mutex<Reserved>,
    limits: WorkLimits,
    /// For tasks that run alone.
    idle_threads: ThreadPool,
    dropped: Counter,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn run_tasks(&self) {
        let mut queue = lock(&self.queue);
        loop {
            let Some(next) = queue.next() else {
                if queue.closed {
                    return;
                }
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            queue.running += 1;
            let others_wait = queue.others_wait(&next);
            let alone = queue.running == 1 && queue.is_empty();
            drop(queue);
            let Next { task, batch, .. } = next;
            let waited = batch.queued_at.elapsed();
            let has_begun = batch.has_begun.load(Ordering::Relaxed);
            let context = TaskContext {
                idle_threads: alone.then_some(&self.idle_threads),
                cancelled: &batch.cancelled,
                waited,
                is_late: self.limits.is_late(waited, has_begun, others_wait),
            };
            match context.is_late {
                true => drop(self.dropped.inc()),
                false => batch.has_begun.store(true, Ordering::Relaxed),
            }
            // After a panic the result's channel has no sender, which its receiver reports.
            let _ = catch_unwind(AssertUnwindSafe(|| task(context)));
            queue = lock(&self.queue);
            queue.running -= 1;
        }
    }
}

/// Threads that run tasks, and the queue of those that wait.
pub(crate) struct WorkPool {
    shared: Arc<Shared>,
    hasher: RandomState,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl WorkPool {
    /// Starts `threads` threads (at least one). `dropped` counts tasks that were dropped because they had waited for
    /// too long.
    pub(crate) fn new(
        threads: usize,
        limits: WorkLimits,
        dropped: Counter,
    ) -> Result<Self, std::io::Error> {
        let threads = threads.max(1);
        let idle_threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("pir-spread-{index}"))
            .build()
            .map_err(std::io::Error::other)?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            reserved: Mutex::default(),
            limits,
            idle_threads,
            dropped,
        });
        let spawn = |index| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("pir-work-{index}"))
                .spawn(move || shared.run_tasks())
        };
        let threads = (0..threads).map(spawn).collect::<Result<_, _>>()?;
        Ok(Self { shared, hasher: RandomState::new(), threads: Mutex::new(threads) })
    }

    /// Number of threads that run tasks.
    pub(crate) fn threads(&self) -> usize {
        self.shared.idle_threads.current_num_threads()
    }

    /// Number of tasks that wait or run, or that capacity is reserved for.
    pub(crate) fn depth(&self) -> usize {
        lock(&self.shared.reserved).kinds.iter().sum()
    }

    /// The owner of work with this name: a pseudonym, or a user token.
    pub(crate) fn owner(&self, name: &[u8]) -> Owner {
        Owner(self.hasher.hash_one(name))
    }

    /// Reserves capacity for `tasks` tasks.
    ///
    /// # Errors
    /// [`QueueFull`] if there is not enough for all of them, or the owner would have too much of it.
    pub(crate) fn reserve(
        &self,
        kind: WorkKind,
        owner: Owner,
        tasks: usize,
    ) -> Result<Reservation, QueueFull> {
        let limits = &self.shared.limits;
        {
            let mut reserved = lock(&self.shared.reserved);
            let of_owner = reserved.owners[kind as usize].get(&owner).copied().unwrap_or(0);
            let within = |reserved: usize, max| {
                reserved.checked_add(tasks).filter(|&reserved| reserved <= max).ok_or(QueueFull)
            };
            let all = within(reserved.kinds[kind as usize], limits.queue)?;
            let of_owner = within(of_owner, limits.owner())?;
            reserved.kinds[kind as usize] = all;
            if of_owner > 0 {
                reserved.owners[kind as usize].insert(owner, of_owner);
            }
        }
        let shared = Arc::clone(&self.shared);
        Ok(Reservation { shared, kind, owner, tasks, reserved_at: Instant::now() })
    }
}

impl Drop for WorkPool {
    fn drop(&mut self) {
        lock(&self.shared.queue).closed = true;
        self.shared.wake.notify_all();
        for thread in lock(&self.threads).drain(..) {
            // A worker catches the panics of its tasks, so there is no error to report.
            let _ = thread.join();
        }
    }
}

/// Capacity for a number of tasks; given back when dropped.
#[must_use]
pub(crate) struct Reservation {
    shared: Arc<Shared>,
    kind: WorkKind,
    owner: Owner,
    tasks: usize,
    reserved_at: Instant,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.tasks == 0 {
            return;
        }
        let mut reserved = lock(&self.shared.reserved);
        reserved.kinds[self.kind as usize] -= self.tasks;
        if let Some(of_owner) = reserved.owners[self.kind as usize].get_mut(&self.owner) {
            *of_owner -= self.tasks;
            if *of_owner == 0 {
                reserved.owners[self.kind as usize].remove(&self.owner);
            }
        }
    }
}

/// Sets the flag when the future that waits for results is dropped.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Reservation {
    /// Splits off the capacity for one task; `None` when none is left.
    fn split(&mut self) -> Option<Self> {
        self.tasks = self.tasks.checked_sub(1)?;
        Some(Self { shared: Arc::clone(&self.shared), tasks: 1, ..*self })
    }

    /// Runs the tasks of a request, and returns their results in the same order. Capacity that is not
    /// used is given back at once. When the future is dropped, tasks that have not started never do,
    /// and running ones see [`TaskContext::cancelled`].
    ///
    /// # Errors
    /// [`WorkError::NotReserved`] for more tasks than the reservation is for, [`WorkError::Late`] if one of them had to
    /// wait for too long since the reservation, and [`WorkError::Panicked`] if one of them panics.
    pub(crate) async fn run<T: Send + 'static>(
        mut self,
        tasks: Vec<impl FnOnce(TaskContext<'_>) -> T + Send + 'static>,
    ) -> Result<Vec<T>, WorkError> {
        let (count, reserved) = (tasks.len(), self.tasks);
        let cancelled = Arc::new(AtomicBool::new(false));
        let guard = CancelOnDrop(Arc::clone(&cancelled));
        let mut receivers = Vec::with_capacity(count);
        let mut boxed: VecDeque<Task> = VecDeque::with_capacity(count);
        for task in tasks {
            let (sender, receiver) = oneshot::channel();
            receivers.push(receiver);
            let permit = self.split();
            let permit = permit.ok_or(WorkError::NotReserved { tasks: count, reserved })?;
            boxed.push_back(Box::new(move |context: TaskContext<'_>| {
                // Moved into the task: the permit is given back before the result is sent, also after a
                // panic.
                let (sender, permit) = (sender, permit);
                if context.cancelled.load(Ordering::Relaxed) {
                    return;
                }
                let result = match context.is_late {
                    true => Err(WorkError::Late),
                    false => Ok(task(context)),
                };
                drop(permit);
                // Without a receiver the client has disconnected; the result is dropped.
                let _ = sender.send(result);
            }));
        }
        if boxed.is_empty() {
            return Ok(Vec::new());
        }
        self.queue(boxed, cancelled);
        drop(self);
        let mut results = Vec::with_capacity(count);
        for receiver in receivers {
            results.push(receiver.await.map_err(|_| WorkError::Panicked)??);
        }
        drop(guard);
        Ok(results)
    }

    /// Runs a task that the tasks of the request wait for. It uses the capacity of one of them, so that a full queue does not
    /// end a request that has begun.
    ///
    /// # Errors
    /// [`WorkError::NotReserved`] if no capacity is left, [`WorkError::Late`] and [`WorkError::Panicked`] as of
    /// [`Reservation::run`].
    pub(crate) async fn run_before<T: Send + 'static>(
        &mut self,
        task: impl FnOnce(TaskContext<'_>) -> T + Send + 'static,
    ) -> Result<T, WorkError> {
        let place = self.split().ok_or(WorkError::NotReserved { tasks: 1, reserved: 0 })?;
        let cancelled = Arc::new(AtomicBool::new(false));
        let guard = CancelOnDrop(Arc::clone(&cancelled));
        let (sender, receiver) = oneshot::channel();
        let task: Task = Box::new(move |context: TaskContext<'_>| {
            // Moved into the task: after a panic the place is given back before the receiver sees that there is no sender.
            let (sender, place) = (sender, place);
            if context.cancelled.load(Ordering::Relaxed) {
                return;
            }
            let result = match context.is_late {
                true => Err(WorkError::Late),
                false => Ok(task(context)),
            };
            // Without a receiver the client has disconnected; the result and the place are dropped.
            let _ = sender.send((result, place));
        });
        self.queue(VecDeque::from([task]), cancelled);
        let (result, mut place) = receiver.await.map_err(|_| WorkError::Panicked)?;
        self.tasks += std::mem::take(&mut place.tasks);
        drop(guard);
        result
    }

    /// Puts tasks of the request into the queue.
    fn queue(&self, tasks: VecDeque<Task>, cancelled: Arc<AtomicBool>) {
        let count = tasks.len();
        let batch = Batch::new(tasks, cancelled, self.reserved_at);
        lock(&self.shared.queue).push(self.kind, self.owner, batch);
        match count {
            1 => self.shared.wake.notify_one(),
            _ => self.shared.wake.notify_all(),
        }
    }

    /// Runs one task.
    ///
    /// # Errors
    /// As [`Reservation::run`].
    pub(crate) async fn run_one<T: Send + 'static>(
        self,
        task: impl FnOnce(TaskContext<'_>) -> T + Send + 'static,
    ) -> Result<T, WorkError> {
        self.run(vec![task]).await?.pop().ok_or(WorkError::Panicked)
    }
}

#[cfg(test)]
mod tests;
