//! Connections on which answers move too slowly end.
//!
//! A peer that reads its response one byte at a time holds as much memory as one that reads nothing, so
//! the rule is a minimum amount of data in a period.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A stream that fails with [`io::ErrorKind::TimedOut`] when its peer takes data more slowly than the minimum rate.
pub(crate) struct MinimumRate<S> {
    stream: S,
    period: Duration,
    min_bytes: usize,
    /// Bytes written in this period.
    moved: usize,
    /// Runs only while the server waits for the peer.
    timer: Pin<Box<Sleep>>,
    running: bool,
}

impl<S> MinimumRate<S> {
    /// In each `period` in which the server has data for it, the peer must take `bytes_per_second` on average.
    pub(crate) fn new(stream: S, period: Duration, bytes_per_second: usize) -> Self {
        let seconds = usize::try_from(period.as_secs()).unwrap_or(usize::MAX);
        Self {
            stream,
            period,
            min_bytes: bytes_per_second.saturating_mul(seconds).max(1),
            moved: 0,
            timer: Box::pin(sleep(period)),
            running: false,
        }
    }

    /// Called when the server waits for the peer: an error at the end of a period without enough data.
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

impl<S: AsyncRead + Unpin> AsyncRead for MinimumRate<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> MinimumRate<S> {
    fn after_write(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Pending => self.wait(context),
            Poll::Ready(Ok(bytes)) => {
                self.moved += bytes;
                if self.moved >= self.min_bytes {
                    self.running = false;
                }
                Poll::Ready(Ok(bytes))
            }
            failed => failed,
        }
    }

    fn after_flush(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        match outcome {
            Poll::Pending => self.wait(context),
            finished => {
                self.running = false;
                finished
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MinimumRate<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.after_write(context, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.after_write(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(context);
        this.after_flush(context, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_shutdown(context);
        this.after_flush(context, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const PERIOD: Duration = Duration::from_secs(60);
    const RATE: usize = 17;
    const MIN_BYTES: usize = 1020;

    #[tokio::test(start_paused = true)]
    async fn a_peer_below_the_minimum_rate_times_out() {
        let (mut near, far) = duplex(16);
        let mut far = MinimumRate::new(far, PERIOD, RATE);
        // Takes one byte a second, 60 in a period.
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
        // A peer above the minimum rate receives everything.
        let (mut near, far) = duplex(4096);
        let mut far = MinimumRate::new(far, PERIOD, RATE);
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            near.read_to_end(&mut all).await.unwrap();
            all.len()
        });
        far.write_all(&[7; 100_000]).await.unwrap();
        drop(far);
        assert_eq!(reader.await.unwrap(), 100_000);
    }

    #[tokio::test(start_paused = true)]
    async fn the_minimum_is_counted_to_the_byte() {
        for (taken, continues) in [(MIN_BYTES - 1, false), (MIN_BYTES, true), (MIN_BYTES + 1, true)]
        {
            let (mut near, far) = duplex(4096);
            let mut far = MinimumRate::new(far, PERIOD, RATE);
            far.write_all(&[7; 4096]).await.unwrap();
            let writer = tokio::spawn(async move { far.write_all(&[7; 4096]).await.map(|()| far) });
            // The writer waits for half a period before the peer takes anything.
            tokio::task::yield_now().await;
            tokio::time::advance(PERIOD / 2).await;
            let mut buffer = vec![0; taken];
            near.read_exact(&mut buffer).await.unwrap();
            tokio::task::yield_now().await;
            // The first period ends here. Once the minimum has moved, a new one has begun. Timers of the
            // runtime count whole milliseconds.
            tokio::time::advance(PERIOD / 2 + Duration::from_millis(1)).await;
            tokio::task::yield_now().await;
            let mut rest = vec![0; 8192 - taken];
            let read = near.read_exact(&mut rest).await;
            assert_eq!(read.is_ok(), continues, "{taken}");
            assert_eq!(writer.await.unwrap().is_ok(), continues, "{taken}");
        }
    }
}
