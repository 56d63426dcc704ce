//! A thread that writes to a database and ends with its owner.

use super::super::StoreError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// The thread. Dropping it waits until the thread has ended and closed the file: then another process can
/// open it.
pub(super) struct Writer {
    closing: Arc<AtomicBool>,
    wake: Box<dyn Fn() + Send + Sync>,
    thread: Option<JoinHandle<()>>,
}

/// The thread did not carry out a job; why is in the log.
#[derive(Debug, thiserror::Error)]
#[error("the writing thread could not commit; the log has its error")]
struct NotCommitted;

pub(super) fn not_committed() -> StoreError {
    StoreError::unavailable(NotCommitted)
}

impl Writer {
    /// Starts `work`, which must return soon after its flag is set and `wake` was called.
    pub(super) fn start(
        name: &str,
        wake: impl Fn() + Send + Sync + 'static,
        work: impl FnOnce(&AtomicBool) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let closing = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&closing);
        let thread = Builder::new()
            .name(name.to_owned())
            .spawn(move || work(&flag))
            .map_err(StoreError::unavailable)?;
        Ok(Self { closing, wake: Box::new(wake), thread: Some(thread) })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        // If the queue is full, the thread is awake anyway.
        (self.wake)();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writing thread of a database panicked");
        }
    }
}
