//! Work that blocks, kept off the threads that serve connections.

/// Work on a thread for blocking calls did not finish: it panicked, or the runtime is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a background task did not finish: it panicked, or the process is shutting down")]
#[non_exhaustive]
pub struct TaskFailed;

impl From<TaskFailed> for std::io::Error {
    fn from(error: TaskFailed) -> Self {
        Self::other(error)
    }
}

/// Runs `work` on a thread for blocking calls: files, and computations longer than a millisecond.
///
/// # Errors
/// Those of `work`, and [`TaskFailed`] if it panics.
pub(crate) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<TaskFailed> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(TaskFailed.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error() {
        let number = blocking(|| Ok::<_, TaskFailed>(7)).await;
        assert_eq!(number, Ok(7));
        let panics = blocking(|| -> Result<(), TaskFailed> { panic!("on purpose") });
        assert_eq!(panics.await, Err(TaskFailed));
    }
}
