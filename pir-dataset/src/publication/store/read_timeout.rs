//! Reading from stores that stop answering in the middle: a share of a network that hangs, or a connection that is dead.

use super::ReleaseStore;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path as Key;
use object_store::{Error, GetResult, ObjectStoreExt};
use std::future::Future;
use std::time::Duration;

/// How long a store may give nothing of a file that it was asked for.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// It has been that long.
#[derive(Debug, thiserror::Error)]
#[error("nothing came for {} s", READ_TIMEOUT.as_secs())]
struct TimedOut;

/// An error of a store, for which nothing came in time.
fn timed_out() -> Error {
    Error::Generic { store: "object store", source: Box::new(TimedOut) }
}

/// Whether a store was silent for too long.
pub(super) fn has_timed_out(error: &Error) -> bool {
    matches!(error, Error::Generic { source, .. } if source.is::<TimedOut>())
}

/// What a store does at once, as long as it answers.
pub(super) async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(READ_TIMEOUT, work).await.unwrap_or_else(|_| Err(timed_out()))
}

/// The pieces of a file. An error ends them.
pub(super) struct Pieces(BoxStream<'static, Result<Bytes, Error>>);

impl Pieces {
    pub(super) fn of(found: GetResult) -> Self {
        Self(found.into_stream())
    }

    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        in_time(async { self.0.next().await.transpose() }).await.transpose()
    }
}

impl ReleaseStore {
    /// A file whose content has not been read yet.
    pub(super) async fn get(&self, key: &Key) -> Result<GetResult, Error> {
        in_time(self.store.get(key)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    #[tokio::test(start_paused = true)]
    async fn a_store_may_be_silent_for_a_minute() {
        let second = Duration::from_secs(1);
        for (silence, is_too_long) in
            [(READ_TIMEOUT - second, false), (READ_TIMEOUT, false), (READ_TIMEOUT + second, true)]
        {
            let piece = move |number: u8| async move {
                tokio::time::sleep(silence).await;
                Ok(Bytes::from(vec![number]))
            };
            // Each piece has its own time.
            let mut pieces = Pieces(stream::iter([1, 2, 3]).then(piece).boxed());
            for number in [1, 2, 3] {
                let next = pieces.next().await.unwrap();
                match is_too_long {
                    true => {
                        assert!(has_timed_out(&next.unwrap_err()));
                        break;
                    }
                    false => assert_eq!(next.unwrap(), vec![number]),
                }
            }
        }
        assert!(!has_timed_out(&Error::NotImplemented {
            operation: "get".to_owned(),
            implementer: "a test".to_owned(),
        }));
    }
}
