//! A thread that writes to a database, and ends with its owner.

use super::super::StoreError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// The thread. When it is dropped, the file is closed: another may open it.
pub(super) struct Writer {
    closing: Arc<AtomicBool>,
    wake: Box<dyn Fn() + Send + Sync>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts `work`, which ends soon after its flag is set and `wake` was called.
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
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { closing, wake: Box::new(wake), thread: Some(thread) })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        // If so much waits that this finds no place, the thread is awake anyway.
        (self.wake)();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
