//! Tasks in the background, of which one runs at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a task of one kind runs.
#[derive(Default)]
pub(crate) struct BackgroundTask(Arc<AtomicBool>);

/// Lasts as long as the task runs.
#[must_use = "the task counts as finished when this is dropped"]
pub(crate) struct RunningTask(Arc<AtomicBool>);

impl BackgroundTask {
    /// Starts a task; `None` while one runs.
    pub(crate) fn try_start(&self) -> Option<RunningTask> {
        let is_running = self.0.swap(true, Ordering::AcqRel);
        (!is_running).then(|| RunningTask(Arc::clone(&self.0)))
    }
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_runs_at_a_time() {
        let task = BackgroundTask::default();
        let running = task.try_start();
        assert!(running.is_some() && task.try_start().is_none());
        drop(running);
        assert!(task.try_start().is_some());
    }
}
