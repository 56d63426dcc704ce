//! Connections on which nothing moves, or hardly anything, end.
//!
//! A peer that takes its answer a byte at a time holds memory as well as one that takes nothing, so
//! what counts is an amount in a time, and not that something moved.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Bytes that must move in each period while the peer is waited for.
const LEAST: usize = 1024;

/// Time in one direction.
struct Meter {
    period: Duration,
    least: usize,
    moved: usize,
    /// Runs only while the peer is waited for.
    timer: Pin<Box<Sleep>>,
    running: bool,
}

impl Meter {
    fn new(period: Duration, least: usize) -> Self {
        Self { period, least, moved: 0, timer: Box::pin(sleep(period)), running: false }
    }

    fn moved(&mut self, bytes: usize) {
        self.moved += bytes;
        if self.moved >= self.least {
            self.running = false;
        }
    }

    /// The peer is waited for.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if !self.running {
            (self.running, self.moved) = (true, 0);
            let end = Instant::now() + self.period;
            self.timer.as_mut().reset(end);
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// A stream whose peer must keep a least pace.
pub(crate) struct Paced<S> {
    stream: S,
    reading: Meter,
    writing: Meter,
}

impl<S> Paced<S> {
    /// Reading may rest for `period`, writing must move [`LEAST`] bytes in each.
    pub(crate) fn new(stream: S, period: Duration) -> Self {
        Self { stream, reading: Meter::new(period, 1), writing: Meter::new(period, LEAST) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Pending => this.reading.wait(context),
            done => {
                this.reading.moved(buffer.filled().len() - before);
                done
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Paced<S> {
    fn written(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Pending => self.writing.wait(context),
            Poll::Ready(Ok(bytes)) => {
                self.writing.moved(bytes);
                Poll::Ready(Ok(bytes))
            }
            failed => failed,
        }
    }

    fn settled(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        match outcome {
            Poll::Pending => self.writing.wait(context),
            done => {
                self.writing.running = false;
                done
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.written(context, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.written(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(context);
        this.settled(context, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_shutdown(context);
        this.settled(context, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const PERIOD: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_connection() {
        let (mut near, far) = duplex(16);
        let mut far = Paced::new(far, PERIOD);
        let mut byte = [0];
        for _ in 0..3 {
            tokio::time::advance(PERIOD - Duration::from_secs(1)).await;
            near.write_all(b"x").await.unwrap();
            assert_eq!(far.read(&mut byte).await.unwrap(), 1);
        }
        let began = Instant::now();
        let error = far.read(&mut byte).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), PERIOD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_of_single_bytes_is_no_reader() {
        let (mut near, far) = duplex(16);
        let mut far = Paced::new(far, PERIOD);
        // Takes a byte a second, which is less than the least pace.
        let reader = tokio::spawn(async move {
            let mut byte = [0];
            while near.read(&mut byte).await.is_ok_and(|read| read > 0) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let error = far.write_all(&[7; 100_000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(far);
        reader.await.unwrap();
        // One that keeps the pace gets everything.
        let (mut near, far) = duplex(4096);
        let mut far = Paced::new(far, PERIOD);
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            near.read_to_end(&mut all).await.unwrap();
            all.len()
        });
        far.write_all(&[7; 100_000]).await.unwrap();
        drop(far);
        assert_eq!(reader.await.unwrap(), 100_000);
    }
}
