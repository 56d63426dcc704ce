//! The order in which tasks run: turns between kinds, owners and requests.

use super::{Owner, Task, WorkKind, lock};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The tasks of one request.
pub(super) struct Batch {
    tasks: Mutex<VecDeque<Task>>,
    pub(super) cancelled: Arc<AtomicBool>,
    /// Whether one of its tasks has started.
    pub(super) has_begun: AtomicBool,
    pub(super) queued_at: Instant,
}

impl Batch {
    pub(super) fn new(
        tasks: VecDeque<Task>,
        cancelled: Arc<AtomicBool>,
        queued_at: Instant,
    ) -> Arc<Self> {
        let has_begun = AtomicBool::new(false);
        Arc::new(Self { tasks: Mutex::new(tasks), cancelled, has_begun, queued_at })
    }
}

/// The task whose turn it is.
pub(super) struct Next {
    pub(super) task: Task,
    /// The request that it belongs to.
    pub(super) batch: Arc<Batch>,
    /// Whether the request has more tasks that wait.
    has_more: bool,
}

/// The work of one kind.
#[derive(Default)]
struct Lane {
    /// Owners with tasks that have not started, in the order of their turns.
    turns: VecDeque<Owner>,
    /// Requests with tasks that have not started, in the order of their turns.
    batches: HashMap<Owner, VecDeque<Arc<Batch>>>,
}

impl Lane {
    fn push(&mut self, owner: Owner, batch: Arc<Batch>) {
        let batches = self.batches.entry(owner).or_insert_with(|| {
            self.turns.push_back(owner);
            VecDeque::new()
        });
        batches.push_back(batch);
    }

    fn next(&mut self) -> Option<Next> {
        loop {
            let owner = self.turns.pop_front()?;
            let Some(batches) = self.batches.get_mut(&owner) else { continue };
            let next = batches.pop_front().and_then(|batch| {
                let (task, has_more) = {
                    let mut tasks = lock(&batch.tasks);
                    (tasks.pop_front()?, !tasks.is_empty())
                };
                if has_more {
                    batches.push_back(Arc::clone(&batch));
                }
                Some(Next { task, batch, has_more })
            });
            match batches.is_empty() {
                true => drop(self.batches.remove(&owner)),
                false => self.turns.push_back(owner),
            }
            if next.is_some() {
                return next;
            }
        }
    }
}

/// Tasks that have not started.
#[derive(Default)]
pub(super) struct Queue {
    lanes: [Lane; WorkKind::COUNT],
    /// The lane whose turn is next.
    turn: usize,
    /// Number of requests with tasks that have not started.
    waiting: usize,
    /// Number of tasks that run.
    pub(super) running: usize,
    pub(super) closed: bool,
}

impl Queue {
    pub(super) fn push(&mut self, kind: WorkKind, owner: Owner, batch: Arc<Batch>) {
        self.lanes[kind as usize].push(owner, batch);
        self.waiting += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Whether requests wait other than the one of a task that was just taken.
    pub(super) fn others_wait(&self, next: &Next) -> bool {
        self.waiting > usize::from(next.has_more)
    }

    /// Takes the task whose turn it is.
    pub(super) fn next(&mut self) -> Option<Next> {
        for _ in 0..WorkKind::COUNT {
            let lane = &mut self.lanes[self.turn];
            self.turn = (self.turn + 1) % WorkKind::COUNT;
            if let Some(next) = lane.next() {
                self.waiting -= usize::from(!next.has_more);
                return Some(next);
            }
        }
        None
    }
}
