//! The pool that computes: queries, keys and tokens.
//!
//! It has one thread a core and takes one piece of work of each request in turn, so that a large batch
//! does not hold up a small one. What waits is bounded, and room is taken before anything is spent on a
//! request: when there is none, the caller learns it at once. When only one piece of work is there, it
//! is spread over all cores.

use rayon::ThreadPool;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub struct Full;

/// Work was not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// It panicked.
    #[error("the work failed")]
    Failed,
}

/// What a piece of work is given.
pub struct Slot<'s> {
    /// Threads that have nothing else to do.
    pub pool: Option<&'s ThreadPool>,
    /// Set when nobody waits for the result any more.
    pub cancelled: &'s AtomicBool,
    /// How long the piece waited.
    pub waited: Duration,
}

type Piece = Box<dyn FnOnce(Slot<'_>) + Send>;

/// The pieces of one request.
struct Batch {
    pieces: Mutex<VecDeque<Piece>>,
    cancelled: Arc<AtomicBool>,
    since: Instant,
}

#[derive(Default)]
struct Ring {
    batches: VecDeque<Arc<Batch>>,
    running: usize,
    closed: bool,
}

struct Shared {
    ring: Mutex<Ring>,
    wake: Condvar,
    /// Pieces for which room is taken.
    taken: AtomicUsize,
    room: usize,
    spread: ThreadPool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Shared {
    fn run(&self) {
        let mut ring = lock(&self.ring);
        loop {
            let Some(batch) = ring.batches.pop_front() else {
                if ring.closed {
                    return;
                }
                ring = self.wake.wait(ring).unwrap_or_else(|poisoned| poisoned.into_inner());
                continue;
            };
            let (piece, more) = {
                let mut pieces = lock(&batch.pieces);
                let piece = pieces.pop_front();
                (piece, !pieces.is_empty())
            };
            if more {
                ring.batches.push_back(Arc::clone(&batch));
            }
            let Some(piece) = piece else { continue };
            ring.running += 1;
            let alone = ring.running == 1 && ring.batches.is_empty();
            drop(ring);
            let slot = Slot {
                pool: alone.then_some(&self.spread),
                cancelled: &batch.cancelled,
                waited: batch.since.elapsed(),
            };
            // A panic leaves the result's channel without a sender, which its reader sees.
            let _ = catch_unwind(AssertUnwindSafe(|| piece(slot)));
            ring = lock(&self.ring);
            ring.running -= 1;
        }
    }
}

/// The pool.
pub struct WorkPool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl WorkPool {
    /// Starts the threads.
    pub fn new(threads: usize, room: usize) -> Result<Self, std::io::Error> {
        let threads = threads.max(1);
        let spread = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("pir-spread-{index}"))
            .build()
            .map_err(std::io::Error::other)?;
        let shared = Arc::new(Shared {
            ring: Mutex::default(),
            wake: Condvar::new(),
            taken: AtomicUsize::new(0),
            room,
            spread,
        });
        let spawn = |index| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("pir-work-{index}"))
                .spawn(move || shared.run())
        };
        let threads = (0..threads).map(spawn).collect::<Result<_, _>>()?;
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    /// How many threads compute.
    pub fn threads(&self) -> usize {
        self.shared.spread.current_num_threads()
    }

    /// Pieces that wait or run.
    pub fn depth(&self) -> usize {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// Takes room for some pieces, if there is.
    pub fn reserve(&self, pieces: usize) -> Result<Room, Full> {
        let update =
            |taken: usize| taken.checked_add(pieces).filter(|&taken| taken <= self.shared.room);
        self.shared
            .taken
            .try_update(Ordering::AcqRel, Ordering::Acquire, update)
            .map_err(|_| Full)?;
        Ok(Room { shared: Arc::clone(&self.shared), pieces })
    }
}

impl Drop for WorkPool {
    fn drop(&mut self) {
        lock(&self.shared.ring).closed = true;
        self.shared.wake.notify_all();
        for thread in lock(&self.threads).drain(..) {
            let _ = thread.join();
        }
    }
}

/// Room in the queue; given back when dropped.
pub struct Room {
    shared: Arc<Shared>,
    pieces: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shared.taken.fetch_sub(self.pieces, Ordering::AcqRel);
    }
}

/// Sets the flag when the future that waits is dropped.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Room {
    fn split(&mut self) -> Self {
        self.pieces -= 1;
        Self { shared: Arc::clone(&self.shared), pieces: 1 }
    }

    /// Does the pieces of a request, at most as many as there is room for, and gives the results in
    /// their order. When the future is dropped, pieces that have not begun do not, and those that
    /// run are told.
    pub async fn run<T: Send + 'static>(
        mut self,
        pieces: Vec<impl FnOnce(Slot<'_>) -> T + Send + 'static>,
    ) -> Result<Vec<T>, WorkError> {
        assert!(pieces.len() <= self.pieces, "more work than room was taken for");
        let cancelled = Arc::new(AtomicBool::new(false));
        let guard = CancelOnDrop(Arc::clone(&cancelled));
        let mut results = Vec::with_capacity(pieces.len());
        let mut boxed: VecDeque<Piece> = VecDeque::with_capacity(pieces.len());
        for piece in pieces {
            let (send, receive) = oneshot::channel();
            results.push(receive);
            let room = self.split();
            boxed.push_back(Box::new(move |slot: Slot<'_>| {
                // Room is given back before anyone hears of the result, after a panic, too.
                let (send, room) = (send, room);
                if slot.cancelled.load(Ordering::Relaxed) {
                    return;
                }
                let result = piece(slot);
                drop(room);
                let _ = send.send(result);
            }));
        }
        if boxed.is_empty() {
            return Ok(Vec::new());
        }
        let (batch, count) = {
            let count = boxed.len();
            let pieces = Mutex::new(boxed);
            (Arc::new(Batch { pieces, cancelled, since: Instant::now() }), count)
        };
        lock(&self.shared.ring).batches.push_back(batch);
        match count {
            1 => self.shared.wake.notify_one(),
            _ => self.shared.wake.notify_all(),
        }
        let mut done = Vec::with_capacity(results.len());
        for result in results {
            done.push(result.await.map_err(|_| WorkError::Failed)?);
        }
        drop(guard);
        Ok(done)
    }

    /// Does one piece.
    pub async fn run_one<T: Send + 'static>(
        self,
        piece: impl FnOnce(Slot<'_>) -> T + Send + 'static,
    ) -> Result<T, WorkError> {
        self.run(vec![piece]).await?.pop().ok_or(WorkError::Failed)
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
        let pieces = |name: char, count: usize| -> Vec<_> {
            (0..count)
                .map(|_| {
                    let send = order_send.clone();
                    move |_: Slot<'_>| send.send(name).is_ok()
                })
                .collect()
        };
        let large = pool.reserve(5).unwrap().run(pieces('l', 5));
        let small = pool.reserve(1).unwrap().run(pieces('s', 1));
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
    async fn room_is_bounded_and_comes_back() {
        let pool = WorkPool::new(2, 3).unwrap();
        let room = pool.reserve(2).unwrap();
        assert!(pool.reserve(2).is_err());
        let one = pool.reserve(1).unwrap();
        assert!(pool.reserve(1).is_err());
        drop(one);
        assert_eq!(room.run(vec![|_: Slot<'_>| 1, |_: Slot<'_>| 1]).await.unwrap(), [1, 1]);
        assert!(pool.reserve(usize::MAX).is_err());
        assert_eq!(pool.depth(), 0);
        pool.reserve(3).unwrap();
    }

    #[tokio::test]
    async fn work_that_nobody_wants_is_not_done() {
        let pool = WorkPool::new(1, 10).unwrap();
        let (begun, begins) = mpsc::channel();
        let (ended, ends) = mpsc::channel();
        let first = move |slot: Slot<'_>| {
            begun.send(()).unwrap();
            while !slot.cancelled.load(Ordering::Relaxed) {
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
    async fn a_panic_is_an_error_and_the_pool_goes_on() {
        let pool = WorkPool::new(1, 1).unwrap();
        let fails = |_: Slot<'_>| -> u8 { Vec::new()[usize::from(u8::MAX)] };
        assert_eq!(pool.reserve(1).unwrap().run_one(fails).await, Err(WorkError::Failed));
        assert_eq!(pool.reserve(1).unwrap().run_one(|_| 7).await, Ok(7));
    }
}
