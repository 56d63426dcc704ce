//! Request bodies: limited in length, in time, and together in memory.
//!
//! Bodies of requests with a token or a user token share `limits.bodiesInFlightBytes`, see `body_budget`. All others
//! count with their requests in `limits.unauthenticatedBytes`, and not there: they could fill it. What counts is the
//! memory that is allocated, which is more than what has arrived.

use crate::body_budget::{BodyBudget, BodyShare, BudgetExhausted};
use crate::peer_budget::{BodyEnd, Endable, Party, PeerBudgetExhausted, PeerShare};
use crate::service::Service;
use crate::traces;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

/// Smallest buffer of a body, unless the body is announced to be shorter, in bytes.
const MIN_BUFFER: usize = 4 << 10;

/// Times that an unauthenticated body is in memory: as it came, and opened.
const UNAUTHENTICATED_COPIES: usize = 2;

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

/// Where the memory of a body counts.
enum Room {
    Bodies(BodyShare),
    Unauthenticated { share: Arc<PeerShare>, bytes: usize },
}

impl Room {
    /// The body begins to arrive, and may have to end before it is complete.
    fn awaits_body(&self) -> Option<Arc<BodyEnd>> {
        match self {
            Self::Bodies(share) => Some(share.awaits_body()),
            // The body ends by itself, with an error.
            Self::Unauthenticated { .. } => None,
        }
    }

    fn body_arrived(&self) -> Result<(), BodyError> {
        match self {
            Self::Bodies(share) => {
                share.body_arrived().map_err(|BudgetExhausted| BodyError::NoRoom)
            }
            Self::Unauthenticated { .. } => Ok(()),
        }
    }

    fn grow(&mut self, more: usize) -> Result<(), BodyError> {
        match self {
            Self::Bodies(share) => share.grow(more).map_err(|BudgetExhausted| BodyError::NoRoom),
            Self::Unauthenticated { share, bytes } => {
                let more = more.saturating_mul(UNAUTHENTICATED_COPIES);
                share.grow(more).map_err(|PeerBudgetExhausted| BodyError::NoRoom)?;
                *bytes += more;
                Ok(())
            }
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Self::Unauthenticated { share, bytes } = self {
            share.shrink(*bytes);
        }
    }
}

/// A body, and its share of the memory.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    room: Room,
}

impl Held {
    /// Gives the body back, and keeps its share of the memory: the body is there in another form then.
    pub(crate) fn into_parts(mut self) -> (Bytes, Self) {
        (std::mem::take(&mut self.bytes), self)
    }

    /// Takes `more` bytes for what is made of the body.
    ///
    /// # Errors
    /// [`BodyError::NoRoom`].
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), BodyError> {
        self.room.grow(more)
    }

    /// What was made of the body is gone, and an answer of `bytes` begins to be sent, which may be ended for others.
    ///
    /// # Errors
    /// [`BodyError::NoRoom`] if there is no room for what the answer takes more.
    pub(crate) fn awaits_peer(
        &self,
        bytes: usize,
        end: &Arc<dyn Endable>,
    ) -> Result<(), BodyError> {
        match &self.room {
            Room::Bodies(share) => {
                share.awaits_peer(bytes, end).map_err(|BudgetExhausted| BodyError::NoRoom)
            }
            // Its request counts the answer.
            Room::Unauthenticated { .. } => Ok(()),
        }
    }

    /// A part of the answer has moved.
    pub(crate) fn moved(&self) {
        match &self.room {
            Room::Bodies(share) => share.moved(),
            Room::Unauthenticated { .. } => {}
        }
    }
}

/// The body of a request, not yet read.
///
/// A request that is refused before its body was read is answered at once. A client of HTTP/1.1 may read the answer
/// only after it has sent the whole body, and loses the answer if the connection is closed before. When this value is
/// dropped, the rest of the body is therefore read and discarded, within the time limit and twice the length limit.
pub(crate) struct Incoming {
    body: Option<Body>,
    room: Option<Room>,
    time: Duration,
    max_bytes: usize,
}

impl FromRequest<Arc<Service>> for Incoming {
    type Rejection = Infallible;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Infallible> {
        let limits = service.limits();
        // A request that came through the gateway is nobody else's.
        let party = request.extensions().get::<Arc<PeerShare>>().map(|share| share.party());
        let (body, budget) = (request.into_body(), service.body_budget());
        Ok(Self::new(body, budget, party, limits.body_timeout, limits.body_bytes))
    }
}

impl Incoming {
    fn new(
        body: Body,
        budget: &BodyBudget,
        party: Option<Party>,
        time: Duration,
        max_bytes: usize,
    ) -> Self {
        let room = Some(Room::Bodies(budget.share(party)));
        Self { body: Some(body), room, time, max_bytes }
    }

    fn unauthenticated(
        body: Body,
        share: Arc<PeerShare>,
        time: Duration,
        max_bytes: usize,
    ) -> Self {
        let room = Some(Room::Unauthenticated { share, bytes: 0 });
        Self { body: Some(body), room, time, max_bytes }
    }

    /// Reads the body, of at most `max_bytes` and at most the configured limit for a body of its kind.
    pub(crate) async fn read(mut self, max_bytes: usize) -> Result<Held, BodyError> {
        let max_bytes = max_bytes.min(self.max_bytes);
        let time = self.time;
        let read = self.read_all(max_bytes).instrument(traces::stage("body"));
        let held = tokio::time::timeout(time, read).await;
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
        let mut room = self.room.take().ok_or(BodyError::Broken)?;
        let end = room.awaits_body();
        let must_end = async {
            match &end {
                Some(end) => end.wait().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(must_end);
        let mut bytes = Vec::new();
        loop {
            let frame = tokio::select! {
                biased;
                () = &mut must_end => return Err(BodyError::NoRoom),
                frame = body.frame() => frame,
            };
            let Some(frame) = frame else { break };
            let frame =
                frame.map_err(|error| match error.into_inner().is::<PeerBudgetExhausted>() {
                    true => BodyError::NoRoom,
                    false => BodyError::Broken,
                })?;
            let Ok(data) = frame.into_data() else { continue };
            if data.len() > max_bytes - bytes.len() {
                return Err(BodyError::TooLong(max_bytes));
            }
            let needed = bytes.len() + data.len();
            if needed > bytes.capacity() {
                let longest = if announced > 0 { announced } else { max_bytes };
                let capacity = needed.max((2 * bytes.capacity()).max(MIN_BUFFER).min(longest));
                room.grow(capacity - bytes.capacity())?;
                bytes.reserve_exact(capacity - bytes.len());
            }
            bytes.extend_from_slice(&data);
        }
        room.body_arrived()?;
        Ok(Held { bytes: bytes.into(), room })
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

/// The body of a request for which nobody has proved anything yet, of at most `limits.capsuleBytes`: it counts against a
/// budget of which one peer gets a part, and may be ended for others while it arrives.
pub(crate) struct UnauthenticatedBody(pub(crate) Incoming);

impl FromRequest<Arc<Service>> for UnauthenticatedBody {
    type Rejection = Infallible;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Infallible> {
        let limits = service.limits();
        // The share of its request, so that both end together.
        let share = request.extensions().get::<Arc<PeerShare>>().cloned();
        let share = share.unwrap_or_else(|| Arc::new(service.unauthenticated_budget().share(None)));
        let (body, time) = (request.into_body(), limits.body_timeout);
        Ok(Self(Incoming::unauthenticated(body, share, time, limits.capsule_bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer_budget::PeerBudget;
    use futures_util::{StreamExt, stream};

    const LONG: Duration = Duration::from_secs(3600);

    /// Of which nothing is for small bodies.
    fn budget(kilobytes: usize) -> BodyBudget {
        BodyBudget::new(0, kilobytes << 10)
    }

    async fn read(
        body: Body,
        max_bytes: usize,
        time: Duration,
        budget: &BodyBudget,
    ) -> Result<Held, BodyError> {
        Incoming::new(body, budget, None, time, usize::MAX).read(max_bytes).await
    }

    #[tokio::test]
    async fn length_and_memory_are_bounded() {
        let memory = budget(4);
        assert!(read(Body::from(vec![7; 2999]), 3000, LONG, &memory).await.is_ok());
        let held = read(Body::from(vec![7; 3000]), 3000, LONG, &memory).await.ok().unwrap();
        assert_eq!((held.bytes.len(), memory.free_bytes()), (3000, (0, 1096)));
        let second = read(Body::from(vec![7; 1097]), 3000, LONG, &memory).await;
        assert_eq!(second.err(), Some(BodyError::NoRoom));
        drop(held);
        assert_eq!(memory.free_bytes(), (0, 4096));
        let long = read(Body::from(vec![7; 3001]), 3000, LONG, &memory).await;
        assert_eq!(long.err(), Some(BodyError::TooLong(3000)));
        // A stream has no announced length.
        let chunks = || stream::iter((0..4).map(|_| Ok::<_, std::io::Error>(vec![0u8; 1000])));
        let long = read(Body::from_stream(chunks()), 3500, LONG, &memory).await;
        assert_eq!(long.err(), Some(BodyError::TooLong(3500)));
        assert!(read(Body::from_stream(chunks()), 4000, LONG, &memory).await.is_ok());
        assert_eq!(memory.free_bytes(), (0, 4096));
    }

    /// A buffer that grows has more room than was needed, and the budget knows.
    #[tokio::test]
    async fn the_room_of_buffers_counts() {
        let memory = budget(64);
        for (count, counted) in [(1, 4096), (5, 8192), (8, 8192), (9, 16 << 10), (20, 20_000)] {
            let chunks = stream::iter((0..count).map(|_| Ok::<_, std::io::Error>(vec![0u8; 1000])));
            let held = read(Body::from_stream(chunks), 20_000, LONG, &memory).await.ok().unwrap();
            assert_eq!(held.bytes.len(), count * 1000);
            assert_eq!(memory.free_bytes(), (0, (64 << 10) - counted), "{count}");
        }
    }

    #[tokio::test]
    async fn a_body_that_began_before_makes_room() {
        let memory = budget(4);
        let part = stream::iter([Ok::<_, std::io::Error>(vec![0u8; 3000])]);
        let never = part.chain(stream::pending());
        let first = read(Body::from_stream(never), 3000, LONG, &memory);
        tokio::pin!(first);
        assert!(futures_util::poll!(&mut first).is_pending());
        assert_eq!(memory.free_bytes(), (0, 1096));
        let second = read(Body::from(vec![7; 2000]), 3000, LONG, &memory).await.ok().unwrap();
        assert_eq!(first.await.err(), Some(BodyError::NoRoom));
        assert_eq!(memory.free_bytes(), (0, 2096));
        // One that is complete stays.
        let third = read(Body::from(vec![7; 2097]), 3000, LONG, &memory).await;
        assert_eq!(third.err(), Some(BodyError::NoRoom));
        drop(second);
    }

    #[tokio::test]
    async fn an_unauthenticated_body_counts_twice_in_its_own_budget() {
        let others = PeerBudget::new(2000);
        for (length, fits) in [(999, true), (1000, true), (1001, false)] {
            let (body, share) = (Body::from(vec![7; length]), Arc::new(others.share(None)));
            let incoming = Incoming::unauthenticated(body, share, LONG, usize::MAX);
            let held = incoming.read(usize::MAX).await;
            assert_eq!(held.is_ok(), fits, "{length}");
            if let Ok(held) = held {
                // The share outlives the bytes.
                let (bytes, held) = held.into_parts();
                assert_eq!((bytes.len(), others.free_bytes()), (length, 2000 - 2 * length));
                drop(held);
            }
            assert_eq!(others.free_bytes(), 2000);
        }
    }

    #[tokio::test]
    async fn the_rest_of_a_refused_body_is_read() {
        for (max_bytes, taken) in [(1000, 3), (2000, 5)] {
            let (send, receive) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
            let chunks = stream::unfold(receive, async |mut receive| {
                receive.recv().await.map(|chunk| (chunk, receive))
            });
            let body = Body::from_stream(chunks);
            drop(Incoming::new(body, &budget(1), None, LONG, max_bytes));
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
