//! Bodies of requests: bounded in length and in time, and all of them together in memory.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a permit of the budget stands for.
pub(crate) const UNIT: usize = 1024;
/// Memory that is reserved for a body before any of it is there.
const FIRST: usize = 64 << 10;

/// A body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than bodies may be.
    #[error("a body of more than {0} bytes")]
    TooLong(usize),
    /// It did not arrive in time.
    #[error("the body did not arrive in time")]
    Slow,
    /// The sender went away, or broke the protocol.
    #[error("the body broke off")]
    Broken,
    /// All room for bodies is taken.
    #[error("busy, try again")]
    NoRoom,
}

/// A body, and its share of the memory for bodies.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    _share: Share,
}

/// A share that grows.
struct Share {
    budget: Arc<Semaphore>,
    permits: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Share {
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        let units = |bytes: usize| bytes.div_ceil(UNIT);
        let more = units(self.bytes + bytes) - units(self.bytes);
        self.bytes += bytes;
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| BodyError::NoRoom)?;
        let permit =
            Arc::clone(&self.budget).try_acquire_many_owned(more).map_err(|_| BodyError::NoRoom)?;
        match &mut self.permits {
            Some(permits) => permits.merge(permit),
            None => self.permits = Some(permit),
        }
        Ok(())
    }
}

/// Reads a body of at most `most` bytes.
pub(crate) async fn read(
    body: Body,
    most: usize,
    time: Duration,
    budget: &Arc<Semaphore>,
) -> Result<Held, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > most {
        return Err(BodyError::TooLong(most));
    }
    let mut share = Share { budget: Arc::clone(budget), permits: None, bytes: 0 };
    let mut body = body;
    let reading = async {
        let mut bytes = BytesMut::with_capacity(announced.min(FIRST));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| BodyError::Broken)?;
            let Ok(data) = frame.into_data() else { continue };
            if data.len() > most - bytes.len() {
                return Err(BodyError::TooLong(most));
            }
            share.grow(data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.freeze())
    };
    let bytes = tokio::time::timeout(time, reading).await.map_err(|_| BodyError::Slow)??;
    Ok(Held { bytes, _share: share })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    const LONG: Duration = Duration::from_secs(3600);

    fn budget(units: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(units))
    }

    #[tokio::test]
    async fn length_and_memory_are_bounded() {
        let room = budget(4);
        let held = read(Body::from(vec![7; 3000]), 3000, LONG, &room).await.ok().unwrap();
        assert_eq!((held.bytes.len(), room.available_permits()), (3000, 1));
        let second = read(Body::from(vec![7; 1025]), 3000, LONG, &room).await;
        assert_eq!(second.err(), Some(BodyError::NoRoom));
        drop(held);
        assert_eq!(room.available_permits(), 4);
        let long = read(Body::from(vec![7; 3001]), 3000, LONG, &room).await;
        assert_eq!(long.err(), Some(BodyError::TooLong(3000)));
        // A stream does not say how long it is.
        let chunks = || stream::iter((0..4).map(|_| Ok::<_, std::io::Error>(vec![0u8; 1000])));
        let long = read(Body::from_stream(chunks()), 3500, LONG, &room).await;
        assert_eq!(long.err(), Some(BodyError::TooLong(3500)));
        assert!(read(Body::from_stream(chunks()), 4000, LONG, &room).await.is_ok());
        assert_eq!(room.available_permits(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_bounded() {
        let never = stream::pending::<Result<Vec<u8>, std::io::Error>>();
        let slow = read(Body::from_stream(never), 10, Duration::from_secs(30), &budget(1)).await;
        assert_eq!(slow.err(), Some(BodyError::Slow));
        let broken = stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("gone"))]);
        let broken = read(Body::from_stream(broken), 10, LONG, &budget(1)).await;
        assert_eq!(broken.err(), Some(BodyError::Broken));
    }
}
