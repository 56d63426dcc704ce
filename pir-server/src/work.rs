//! The worker pool: queries, evaluation keys and tokens are computed here.
//!
//! It has one thread for each core and runs one task of each request in turn, so that a large batch
//! does not delay a small one. The number of tasks that wait or run is bounded. A request reserves its
//! share before anything is spent on it; if the queue is full, it is refused at once. A task that is
//! alone may spread over all cores.

use rayon::ThreadPool;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
    /// A reservation was given more tasks than it is for. None of them ran.
    #[error("{tasks} tasks, but capacity for {reserved} is reserved")]
    NotReserved {
        /// Number of tasks.
        tasks: usize,
        /// Number of tasks that the reservation is for.
        reserved: usize,
    },
}

/// What a task is given when it starts.
pub(crate) struct TaskContext<'t> {
    /// Idle worker threads that this task may use; `None` while other tasks wait or run.
    pub(crate) idle_threads: Option<&'t ThreadPool>,
    /// Set when the client has disconnected and the result will be dropped.
    pub(crate) cancelled: &'t AtomicBool,
    /// How long the task waited for a thread.
    pub(crate) waited: Duration,
}

type Task = Box<dyn FnOnce(TaskContext<'_>) + Send>;

/// The tasks of one request.
struct Batch {
    tasks: Mutex<VecDeque<Task>>,
    cancelled: Arc<AtomicBool>,
    queued_at: Instant,
}

#[derive(Default)]
struct Queue {
    /// Batches with tasks that have not started, in the order of their turns.
    batches: VecDeque<Arc<Batch>>,
    running: usize,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Tasks that wait or run, and those that capacity is reserved for.
    reserved: AtomicUsize,
    capacity: usize,
    /// For tasks that run alone.
    idle_threads: ThreadPool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn run_tasks(&self) {
        let mut queue = lock(&self.queue);
        loop {
            let Some(batch) = queue.batches.pop_front() else {
                if queue.closed {
                    return;
                }
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (task, more) = {
                let mut tasks = lock(&batch.tasks);
                let task = tasks.pop_front();
                (task, !tasks.is_empty())
            };
            if more {
                queue.batches.push_back(Arc::clone(&batch));
            }
            let Some(task) = task else { continue };
            queue.running += 1;
            let alone = queue.running == 1 && queue.batches.is_empty();
            drop(queue);
            let context = TaskContext {
                idle_threads: alone.then_some(&self.idle_threads),
                cancelled: &batch.cancelled,
                waited: batch.queued_at.elapsed(),
            };
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
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl WorkPool {
    /// Starts `threads` threads (at least one) with capacity for `capacity` tasks that wait or run.
    pub(crate) fn new(threads: usize, capacity: usize) -> Result<Self, std::io::Error> {
        let threads = threads.max(1);
        let idle_threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("pir-spread-{index}"))
            .build()
            .map_err(std::io::Error::other)?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            reserved: AtomicUsize::new(0),
            capacity,
            idle_threads,
        });
        let spawn = |index| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("pir-work-{index}"))
                .spawn(move || shared.run_tasks())
        };
        let threads = (0..threads).map(spawn).collect::<Result<_, _>>()?;
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    /// Number of threads that run tasks.
    pub(crate) fn threads(&self) -> usize {
        self.shared.idle_threads.current_num_threads()
    }

    /// Number of tasks that wait or run, or that capacity is reserved for.
    pub(crate) fn depth(&self) -> usize {
        self.shared.reserved.load(Ordering::Relaxed)
    }

    /// Reserves capacity for `tasks` tasks.
    ///
    /// # Errors
    /// [`QueueFull`] if there is not enough for all of them.
    pub(crate) fn reserve(&self, tasks: usize) -> Result<Reservation, QueueFull> {
        let update = |reserved: usize| {
            reserved.checked_add(tasks).filter(|&reserved| reserved <= self.shared.capacity)
        };
        self.shared
            .reserved
            .try_update(Ordering::AcqRel, Ordering::Acquire, update)
            .map_err(|_| QueueFull)?;
        Ok(Reservation { shared: Arc::clone(&self.shared), tasks })
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
    tasks: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shared.reserved.fetch_sub(self.tasks, Ordering::AcqRel);
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
        Some(Self { shared: Arc::clone(&self.shared), tasks: 1 })
    }

    /// Runs the tasks of a request, and returns their results in the same order. Capacity that is not
    /// used is given back at once. When the future is dropped, tasks that have not started never do,
    /// and running ones see [`TaskContext::cancelled`].
    ///
    /// # Errors
    /// [`WorkError::NotReserved`] for more tasks than the reservation is for, and
    /// [`WorkError::Panicked`] if one of them panics.
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
                let result = task(context);
                drop(permit);
                // Without a receiver the client has disconnected; the result is dropped.
                let _ = sender.send(result);
            }));
        }
        if boxed.is_empty() {
            return Ok(Vec::new());
        }
        let batch = Batch { tasks: Mutex::new(boxed), cancelled, queued_at: Instant::now() };
        lock(&self.shared.queue).batches.push_back(Arc::new(batch));
        match count {
            1 => self.shared.wake.notify_one(),
            _ => self.shared.wake.notify_all(),
        }
        drop(self);
        let mut results = Vec::with_capacity(count);
        for receiver in receivers {
            results.push(receiver.await.map_err(|_| WorkError::Panicked)?);
        }
        drop(guard);
        Ok(results)
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
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn batches_take_turns() {
        let pool = WorkPool::new(1, 100).unwrap();
        let (order_send, order) = mpsc::channel();
        // Holds the only thread until both batches wait.
        let (release, held) = mpsc::channel::<()>();
        let blocker = pool.reserve(1).unwrap().run_one(move |_| held.recv().is_ok());
        let tasks = |name: char, count: usize| -> Vec<_> {
            (0..count)
                .map(|_| {
                    let send = order_send.clone();
                    move |_: TaskContext<'_>| send.send(name).is_ok()
                })
                .collect()
        };
        let large = pool.reserve(5).unwrap().run(tasks('l', 5));
        let small = pool.reserve(1).unwrap().run(tasks('s', 1));
        let unblock = async {
            // The others are polled before this one.
            release.send(()).unwrap();
        };
        let (blocker, large, small, ()) = tokio::join!(blocker, large, small, unblock);
        assert!(blocker.unwrap());
        assert_eq!((large.unwrap().len(), small.unwrap().len()), (5, 1));
        assert_eq!(order.try_iter().collect::<String>(), "lsllll");
        assert_eq!(pool.depth(), 0);
    }

    #[tokio::test]
    async fn capacity_is_bounded_and_given_back() {
        let pool = WorkPool::new(2, 3).unwrap();
        let reservation = pool.reserve(2).unwrap();
        assert!(pool.reserve(2).is_err());
        let one = pool.reserve(1).unwrap();
        assert!(pool.reserve(1).is_err());
        drop(one);
        assert_eq!(
            reservation.run(vec![|_: TaskContext<'_>| 1, |_: TaskContext<'_>| 1]).await.unwrap(),
            [1, 1]
        );
        assert!(pool.reserve(usize::MAX).is_err());
        assert_eq!(pool.depth(), 0);
        drop(pool.reserve(3).unwrap());
    }

    #[tokio::test]
    async fn a_dropped_request_cancels_its_tasks() {
        let pool = WorkPool::new(1, 10).unwrap();
        let (begun, begins) = mpsc::channel();
        let (ended, ends) = mpsc::channel();
        let first = move |context: TaskContext<'_>| {
            begun.send(()).unwrap();
            while !context.cancelled.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            ended.send(()).unwrap();
        };
        let run = tokio::spawn(pool.reserve(1).unwrap().run_one(first));
        tokio::task::spawn_blocking(move || begins.recv()).await.unwrap().unwrap();
        run.abort();
        tokio::task::spawn_blocking(move || ends.recv()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_pool_continues() {
        let pool = WorkPool::new(1, 1).unwrap();
        let fails = |_: TaskContext<'_>| -> u8 { Vec::new()[usize::from(u8::MAX)] };
        assert_eq!(pool.reserve(1).unwrap().run_one(fails).await, Err(WorkError::Panicked));
        assert_eq!(pool.reserve(1).unwrap().run_one(|_| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_reservation_takes_no_more_tasks_than_it_is_for() {
        let pool = WorkPool::new(1, 4).unwrap();
        let task = |_: TaskContext<'_>| 1;
        for (reserved, tasks) in [(2, 1), (2, 2), (0, 0)] {
            let results = pool.reserve(reserved).unwrap().run(vec![task; tasks]).await;
            assert_eq!(results, Ok(vec![1; tasks]));
        }
        for (reserved, tasks) in [(2, 3), (0, 1)] {
            let refused = pool.reserve(reserved).unwrap().run(vec![task; tasks]).await;
            assert_eq!(refused, Err(WorkError::NotReserved { tasks, reserved }));
        }
        assert_eq!(pool.depth(), 0);
    }
}
