//! Bodies of requests: bounded in length and in time, and all of them together in memory.

use crate::service::Service;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use std::convert::Infallible;
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

/// The body of a request, not yet read.
///
/// A request that is refused before its body was read has its answer at once, but the sender of HTTP/1.1
/// may not look before it has sent everything, and a connection that is closed under it takes the answer
/// away. So what is left is read to its end and thrown away, within bounds.
pub(crate) struct Incoming {
    body: Option<Body>,
    budget: Arc<Semaphore>,
    time: Duration,
    most: usize,
}

impl FromRequest<Arc<Service>> for Incoming {
    type Rejection = Infallible;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Infallible> {
        let limits = service.limits();
        let budget = Arc::clone(service.bodies());
        Ok(Self::new(request.into_body(), budget, limits.body_time(), limits.body_bytes))
    }
}

impl Incoming {
    fn new(body: Body, budget: Arc<Semaphore>, time: Duration, most: usize) -> Self {
        Self { body: Some(body), budget, time, most }
    }

    /// Reads a body of at most `most` bytes, and of no more than the limit for all bodies.
    pub(crate) async fn read(mut self, most: usize) -> Result<Held, BodyError> {
        let most = most.min(self.most);
        let time = self.time;
        let held = tokio::time::timeout(time, self.read_all(most)).await;
        let held = held.unwrap_or(Err(BodyError::Slow))?;
        self.body = None;
        Ok(held)
    }

    async fn read_all(&mut self, most: usize) -> Result<Held, BodyError> {
        let body = self.body.as_mut().ok_or(BodyError::Broken)?;
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > most {
            return Err(BodyError::TooLong(most));
        }
        let mut share = Share { budget: Arc::clone(&self.budget), permits: None, bytes: 0 };
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
        Ok(Held { bytes: bytes.freeze(), _share: share })
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (mut left, time) = (self.most.saturating_mul(2), self.time);
        runtime.spawn(tokio::time::timeout(time, async move {
            while let Some(Ok(frame)) = body.frame().await {
                let length = frame.data_ref().map_or(0, |data| data.len());
                match left.checked_sub(length) {
                    Some(less) => left = less,
                    None => return,
                }
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    const LONG: Duration = Duration::from_secs(3600);

    fn budget(units: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(units))
    }

    async fn read(
        body: Body,
        most: usize,
        time: Duration,
        budget: &Arc<Semaphore>,
    ) -> Result<Held, BodyError> {
        Incoming::new(body, Arc::clone(budget), time, usize::MAX).read(most).await
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

    #[tokio::test]
    async fn what_is_left_is_taken_from_the_sender() {
        for (most, taken) in [(1000, 3), (2000, 5)] {
            let (send, receive) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
            let chunks = stream::unfold(receive, async |mut receive| {
                receive.recv().await.map(|chunk| (chunk, receive))
            });
            let body = Body::from_stream(chunks);
            drop(Incoming::new(body, budget(1), LONG, most));
            let mut count = 0;
            while count < 5 && send.send(Ok(vec![0; 1000])).await.is_ok() {
                count += 1;
            }
            drop(send);
            // One more than is read may wait in the channel.
            assert!((taken..=taken + 1).contains(&count), "{most} {count}");
        }
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
