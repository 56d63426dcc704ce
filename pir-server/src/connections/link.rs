//! One open connection: what it does, since when, and until when it may.

use super::wire::{Times, Wire};
use crate::configuration::Limits;
use crate::peer::Peer;
use crate::peer_budget::Endable;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Why a connection is closed by the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It had no request for `limits.idleSeconds`.
    Idle,
    /// A head, or taking each of the answers in progress, exceeded its time limit.
    Slow,
    /// Taking one of the answers in progress exceeded its time limit, of HTTP/2.
    Stalled,
}

/// The time limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkTimes {
    head: Duration,
    idle: Duration,
    streams: Times,
}

impl From<&Limits> for LinkTimes {
    fn from(limits: &Limits) -> Self {
        Self {
            head: limits.header_timeout,
            idle: limits.idle_timeout,
            streams: Times {
                request: limits.request_timeout,
                answer: limits.answer_timeout,
                bytes_per_second: limits.answer_bytes_per_second,
            },
        }
    }
}

/// What is known of one open connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(super) peer: Arc<Peer>,
    opened: Instant,
    times: LinkTimes,
    /// When a part of a request or an answer moved last, in microseconds after `base`.
    moved: AtomicU64,
    base: Instant,
    /// Requests that are being worked on, or wait for their body.
    handled: AtomicUsize,
    /// Those of them that wait for their body.
    waiting: AtomicUsize,
    /// Bodies and answers of which a part is left.
    open: AtomicUsize,
    wire: Mutex<Wire>,
    close: Notify,
    /// Whether nothing more is read.
    is_closed: AtomicBool,
    /// Notified when memory for its answers is needed for others.
    make_room: Notify,
}

/// Answers that are handed over already can be taken back only with the connection. Its other requests have a short time to end.
impl Endable for Link {
    fn end(&self) {
        self.make_room.notify_one();
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Link {
    /// A connection that was just accepted. `base` is a point in time before that all links of a table share.
    pub(super) fn new(peer: Arc<Peer>, limits: &Limits, base: Instant) -> Self {
        let now = Instant::now();
        Self {
            peer,
            opened: now,
            times: limits.into(),
            moved: AtomicU64::new(micros(now - base)),
            base,
            handled: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            wire: Mutex::new(Wire::new(limits.header_bytes, now)),
            close: Notify::new(),
            is_closed: AtomicBool::new(false),
            make_room: Notify::new(),
        }
    }

    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_moved(&self, now: Instant) {
        self.moved.store(micros(now - self.base), Ordering::Relaxed);
    }

    /// When a part of a request or an answer moved last, in microseconds since the base of the table.
    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// When it was accepted.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Whether the service works for it: closing it would lose work. It is not while all of its requests wait for the
    /// peer.
    pub(super) fn is_working(&self) -> bool {
        self.handled.load(Ordering::Relaxed) > self.waiting.load(Ordering::Relaxed)
    }

    /// Closes the connection. Nothing more is read of it.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.close.notify_one();
    }

    /// Completes when [`Link::close`] was called.
    pub(super) async fn closed(&self) {
        self.close.notified().await;
    }

    /// Completes when memory for its answers is needed for others.
    pub(super) async fn must_make_room(&self) {
        self.make_room.notified().await;
    }

    /// The peer has done what is necessary before the first request, such as the TLS handshake.
    pub(super) fn established(&self) {
        self.has_moved(Instant::now());
    }

    /// Begins a request.
    pub(super) fn begin(self: &Arc<Self>) -> (Handling, Open) {
        self.wire().request_begun();
        self.has_moved(Instant::now());
        self.handled.fetch_add(1, Ordering::Relaxed);
        (Handling(Arc::clone(self)), Open::new(self))
    }

    /// Bodies and answers of which a part is left.
    pub(super) fn open_requests(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// When it must end for `reason` if nothing moves until then.
    fn due(&self, reason: Due) -> Option<Instant> {
        let (due, why) = self.next_due(reason == Due::Stalled)?;
        (why == reason).then_some(due)
    }

    /// What it must end for next, of `Stalled` and `Slow` the one that is asked for.
    fn next_due(&self, stalled: bool) -> Option<(Instant, Due)> {
        let wire = self.wire();
        if let Some(since) = wire.head_since() {
            return Some((since + self.times.head, Due::Slow));
        }
        if let Some((first, last)) = wire.streams_due(self.times.streams) {
            return Some(if stalled { (first, Due::Stalled) } else { (last, Due::Slow) });
        }
        if self.open_requests() > 0 {
            // Limited by the time limits of requests and by the rate at which an answer must be taken.
            return None;
        }
        let moved = self.base + Duration::from_micros(self.moved());
        match wire.is_silent() {
            true => Some((moved + self.times.head, Due::Slow)),
            false => Some((moved + self.times.idle, Due::Idle)),
        }
    }

    /// Completes when the connection must be closed for `reason`. It must be polled by the task of the connection,
    /// which everything that moves wakes.
    pub(super) async fn overdue(&self, reason: Due) {
        let mut timer = std::pin::pin!(sleep_until(self.opened));
        poll_fn(|context| {
            loop {
                let now = Instant::now();
                let due = match self.due(reason) {
                    Some(due) if due <= now => return Poll::Ready(()),
                    Some(due) => due,
                    // What this depends on may change without waking the task.
                    None => now + self.times.head,
                };
                let must_wait = due > timer.deadline() && timer.is_elapsed();
                if must_wait || due < timer.deadline() {
                    timer.as_mut().reset(due);
                }
                ready!(timer.as_mut().poll(context));
            }
        })
        .await
    }
}

/// A request that is being worked on, until its answer begins.
pub(super) struct Handling(Arc<Link>);

impl Drop for Handling {
    fn drop(&mut self) {
        self.0.has_moved(Instant::now());
        self.0.handled.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request of which a part of the body, or of the answer, is left.
pub(super) struct Open(Arc<Link>);

impl Open {
    pub(super) fn new(link: &Arc<Link>) -> Self {
        link.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(link))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.has_moved(Instant::now());
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that waits for its body.
pub(super) struct Waiting(Arc<Link>);

impl Waiting {
    pub(super) fn new(link: &Arc<Link>) -> Self {
        link.waiting.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(link))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes of heads and other frames of HTTP/2 that are read at a time. The requests that they bring are handed over before more is
/// read and decoded, so that the first of them can end the connection.
const MAX_HEAD_READ_BYTES: usize = 1024;

/// A stream that tells its link what moves, and gives heads of HTTP/2 to the library in pieces.
pub(super) struct Watched<S> {
    stream: S,
    link: Arc<Link>,
    /// Whether a piece of heads was read, and its requests were not handed over yet.
    has_read: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, link: Arc<Link>) -> Self {
        Self { stream, link, has_read: false }
    }

    fn sent(&self, bytes: &[u8]) {
        let now = Instant::now();
        if self.link.wire().sent(bytes, now) {
            self.link.has_moved(now);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if this.link.is_closed.load(Ordering::Relaxed) {
            // The library would go on to decode what is there, before whoever closed the link has its turn.
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if this.link.wire().brought_body() {
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        } else {
            if std::mem::take(&mut this.has_read) {
                // The library hands requests over when there is nothing to read.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let length = buffer.remaining().min(MAX_HEAD_READ_BYTES);
            let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(length));
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut piece))?;
            let read = piece.filled().len();
            buffer.advance(read);
            this.has_read = true;
        }
        let (now, busy) = (Instant::now(), this.link.open_requests() > 0);
        if this.link.wire().received(&buffer.filled()[before..], busy, now)? {
            this.link.has_moved(now);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(context, bytes))?;
        this.sent(&bytes[..written.min(bytes.len())]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(context, slices))?;
        let mut left = written;
        for slice in slices {
            let part = left.min(slice.len());
            this.sent(&slice[..part]);
            left -= part;
            if left == 0 {
                break;
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use tokio::io::AsyncReadExt;
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);
    /// The bytes with which a connection of HTTP/2 begins.
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    async fn answered(bytes: &[u8]) -> Arc<Link> {
        let limits = Limits::default();
        let link = Arc::new(Link::new(Arc::new(Peer::new(None)), &limits, Instant::now()));
        link.wire().received(bytes, false, Instant::now()).unwrap();
        drop(link.begin());
        link
    }

    /// Sizes of what is read of `bytes`; 0 where requests are handed over.
    async fn reads(bytes: &[u8]) -> Vec<usize> {
        let link = Link::new(Arc::new(Peer::new(None)), &Limits::default(), Instant::now());
        let mut stream = Watched::new(bytes, Arc::new(link));
        let (mut sizes, mut buffer) = (Vec::new(), vec![0; 8192]);
        loop {
            let mut part = ReadBuf::new(&mut buffer);
            let poll =
                poll_fn(|context| Poll::Ready(Pin::new(&mut stream).poll_read(context, &mut part)));
            match poll.await {
                Poll::Pending => sizes.push(0),
                Poll::Ready(outcome) => {
                    outcome.unwrap();
                    if part.filled().is_empty() {
                        return sizes;
                    }
                    sizes.push(part.filled().len());
                }
            }
        }
    }

    #[tokio::test]
    async fn heads_are_read_in_pieces() {
        let frame = |kind: u8, stream: u8, length: usize| {
            let [.., a, b, c] = length.to_be_bytes();
            [vec![a, b, c, kind, 4, 0, 0, 0, stream], vec![7; length]].concat()
        };
        let heads: Vec<u8> = (0..4).flat_map(|i| frame(1, 2 * i + 1, 1000)).collect();
        let heads = [PREFACE, &heads].concat();
        assert_eq!(reads(&heads).await, [1024, 0, 1024, 0, 1024, 0, 988, 0]);
        // One below a piece, a piece, and one more.
        for (length, expected) in
            [(990, vec![1023, 0]), (991, vec![1024, 0]), (992, vec![1024, 0, 1, 0])]
        {
            let bytes = [PREFACE, &frame(1, 1, length)].concat();
            assert_eq!(reads(&bytes).await, expected, "{length}");
        }
        // Bodies are read as they come, once nothing else came with them; a head ends that.
        let body = [PREFACE, &frame(1, 1, 991), &frame(0, 1, 16_000), &frame(1, 3, 2000)].concat();
        assert_eq!(reads(&body).await[..5], [1024, 0, 1024, 8192, 8192]);
        assert_eq!(reads(&[b'a'; 9000]).await, [1024, 7976]);
    }

    #[tokio::test]
    async fn nothing_is_read_of_a_closed_connection() {
        let link = Link::new(Arc::new(Peer::new(None)), &Limits::default(), Instant::now());
        let link = Arc::new(link);
        let mut stream = Watched::new(&b"GET / HTTP/1.1\r\n\r\n"[..], Arc::clone(&link));
        let mut buffer = [0; 4];
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 4);
        link.close();
        let error = stream.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }

    fn is_overdue(link: &Link, reason: Due) -> bool {
        link.overdue(reason).now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_lives_for_the_idle_time_after_an_answer() {
        let limits = Limits::default();
        assert!(limits.header_timeout < limits.idle_timeout);
        for begin in [&b"GET / HTTP/1.1\r\n\r\n"[..], PREFACE] {
            let link = answered(begin).await;
            advance(limits.idle_timeout - SECOND).await;
            assert!(!is_overdue(&link, Due::Idle));
            assert!(!is_overdue(&link, Due::Slow));
            // The next request begins the time again.
            drop(link.begin());
            advance(limits.idle_timeout - SECOND).await;
            assert!(!is_overdue(&link, Due::Idle));
            advance(SECOND).await;
            assert!(is_overdue(&link, Due::Idle));
            assert!(!is_overdue(&link, Due::Slow));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_has_begun_must_end_within_its_own_time() {
        let limits = Limits::default();
        let link = answered(b"GET / HTTP/1.1\r\n\r\n").await;
        advance(limits.idle_timeout - 2 * SECOND).await;
        link.wire().received(b"GET", false, Instant::now()).unwrap();
        advance(limits.header_timeout - SECOND).await;
        assert!(!is_overdue(&link, Due::Slow));
        advance(SECOND).await;
        assert!(is_overdue(&link, Due::Slow));
        assert!(!is_overdue(&link, Due::Idle));
    }
}
