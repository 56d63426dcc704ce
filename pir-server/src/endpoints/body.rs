//! Request bodies: limited in length, in time, and together in memory.

use crate::body_budget::{BodyBudget, BodyShare, BudgetExhausted};
use crate::service::Service;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Largest buffer that is allocated before any of a body has arrived, in bytes.
const MAX_FIRST_BUFFER: usize = 64 << 10;

/// A body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is longer than this many bytes.
    #[error("a body of more than {0} bytes")]
    TooLong(usize),
    /// It did not arrive in time.
    #[error("the body did not arrive in time")]
    Slow,
    /// The client disconnected, or broke the protocol.
    #[error("the body broke off")]
    Broken,
    /// The memory for the bodies of all requests is in use.
    #[error("busy, try again")]
    NoRoom,
}

/// A body, and its share of the memory budget.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    _share: BodyShare,
}

/// The body of a request, not yet read.
///
/// A request that is refused before its body was read is answered at once. A client of HTTP/1.1 may read the answer
/// only after it has sent the whole body, and loses the answer if the connection is closed before. When this value is
/// dropped, the rest of the body is therefore read and discarded, within the time limit and twice the length limit.
pub(crate) struct Incoming {
    body: Option<Body>,
    budget: BodyBudget,
    time: Duration,
    max_bytes: usize,
}

impl FromRequest<Arc<Service>> for Incoming {
    type Rejection = Infallible;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Infallible> {
        let limits = service.limits();
        let budget = service.body_budget().clone();
        Ok(Self::new(request.into_body(), budget, limits.body_timeout, limits.body_bytes))
    }
}

impl Incoming {
    fn new(body: Body, budget: BodyBudget, time: Duration, max_bytes: usize) -> Self {
        Self { body: Some(body), budget, time, max_bytes }
    }

    /// Reads the body, of at most `max_bytes` and at most the configured limit for any body.
    pub(crate) async fn read(mut self, max_bytes: usize) -> Result<Held, BodyError> {
        let max_bytes = max_bytes.min(self.max_bytes);
        let time = self.time;
        let held = tokio::time::timeout(time, self.read_all(max_bytes)).await;
        let held = held.unwrap_or(Err(BodyError::Slow))?;
        self.body = None;
        Ok(held)
    }

    async fn read_all(&mut self, max_bytes: usize) -> Result<Held, BodyError> {
        let body = self.body.as_mut().ok_or(BodyError::Broken)?;
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > max_bytes {
            return Err(BodyError::TooLong(max_bytes));
        }
        let mut share = self.budget.share();
        let mut bytes = BytesMut::with_capacity(announced.min(MAX_FIRST_BUFFER));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| BodyError::Broken)?;
            let Ok(data) = frame.into_data() else { continue };
            if data.len() > max_bytes - bytes.len() {
                return Err(BodyError::TooLong(max_bytes));
            }
            share.grow(data.len()).map_err(|BudgetExhausted| BodyError::NoRoom)?;
            bytes.extend_from_slice(&data);
        }
        Ok(Held { bytes: bytes.freeze(), _share: share })
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (mut left, time) = (self.max_bytes.saturating_mul(2), self.time);
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

    fn budget(kilobytes: usize) -> BodyBudget {
        BodyBudget::new(kilobytes << 10)
    }

    async fn read(
        body: Body,
        max_bytes: usize,
        time: Duration,
        budget: &BodyBudget,
    ) -> Result<Held, BodyError> {
        Incoming::new(body, budget.clone(), time, usize::MAX).read(max_bytes).await
    }

    #[tokio::test]
    async fn length_and_memory_are_bounded() {
        let memory = budget(4);
        assert!(read(Body::from(vec![7; 2999]), 3000, LONG, &memory).await.is_ok());
        let held = read(Body::from(vec![7; 3000]), 3000, LONG, &memory).await.ok().unwrap();
        assert_eq!((held.bytes.len(), memory.available_bytes()), (3000, 1024));
        let second = read(Body::from(vec![7; 1025]), 3000, LONG, &memory).await;
        assert_eq!(second.err(), Some(BodyError::NoRoom));
        drop(held);
        assert_eq!(memory.available_bytes(), 4096);
        let long = read(Body::from(vec![7; 3001]), 3000, LONG, &memory).await;
        assert_eq!(long.err(), Some(BodyError::TooLong(3000)));
        // A stream has no announced length.
        let chunks = || stream::iter((0..4).map(|_| Ok::<_, std::io::Error>(vec![0u8; 1000])));
        let long = read(Body::from_stream(chunks()), 3500, LONG, &memory).await;
        assert_eq!(long.err(), Some(BodyError::TooLong(3500)));
        assert!(read(Body::from_stream(chunks()), 4000, LONG, &memory).await.is_ok());
        assert_eq!(memory.available_bytes(), 4096);
    }

    #[tokio::test]
    async fn the_rest_of_a_refused_body_is_read() {
        for (max_bytes, taken) in [(1000, 3), (2000, 5)] {
            let (send, receive) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
            let chunks = stream::unfold(receive, async |mut receive| {
                receive.recv().await.map(|chunk| (chunk, receive))
            });
            let body = Body::from_stream(chunks);
            drop(Incoming::new(body, budget(1), LONG, max_bytes));
            let mut count = 0;
            while count < 5 && send.send(Ok(vec![0; 1000])).await.is_ok() {
                count += 1;
            }
            drop(send);
            // The channel holds one more chunk than was read.
            assert!((taken..=taken + 1).contains(&count), "{max_bytes} {count}");
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
