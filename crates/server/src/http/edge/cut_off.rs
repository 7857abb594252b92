//! The stream of a client. It fails if the client reads nothing of its answer for too long, or is gone.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::pulse::Pulse;

/// The longest time in which a client reads nothing of its answer. Beyond it the connection is closed. The system has the
/// same limit for bytes that are not acknowledged, and for a client whose receive window is closed.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(20);

/// A stream that fails once its client has taken nothing for [`STALL_TIMEOUT`].
pub(super) struct CutOff<'a> {
    stream: &'a mut TcpStream,
    pulse: &'a Pulse,
    /// Runs while a write waits. Kept between waits: a slow download has many.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<'a> CutOff<'a> {
    pub(super) fn new(stream: &'a mut TcpStream, pulse: &'a Pulse) -> Self {
        Self { stream, pulse, stalled: None }
    }

    /// Returns the result of a write, or fails if it has waited too long.
    fn bound<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let is_blocked = self.pulse.is_blocked();
        if written.is_ready() {
            if is_blocked {
                self.pulse.set_blocked(false);
            }
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALL_TIMEOUT)));
        if !is_blocked {
            stalled.as_mut().reset(Instant::now() + STALL_TIMEOUT);
            self.pulse.set_blocked(true);
        }
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether the client is still there. HTTP reads nothing while an answer is under way, so an event stream with
    /// nothing to send would not notice a reset, nor that the system gave the client up.
    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut byte = [0];
        // The next request stays where it is. While one lies there, only the next write finds out.
        match self.stream.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Ok(0)) => self.pulse.set_half_closed(),
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Ready(Ok(_)) | Poll::Pending => {}
        }
        Ok(())
    }
}

impl AsyncRead for CutOff<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut *self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pulse.received();
        }
        read
    }
}

impl AsyncWrite for CutOff<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.stream).poll_write(cx, bytes);
        self.bound(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.stream).poll_write_vectored(cx, slices);
        self.bound(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// A socket has nothing to flush; HTTP calls this whenever it has nothing else to do.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pulse.is_awaiting_body() && !self.pulse.is_half_closed() {
            self.watch(cx)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}
