//! The rest of a request body that its handler did not read.
//!
//! If a server closes a socket with unread bytes in it, the system resets the connection, and the client loses an
//! answer that was already sent. So the rest of a refused body is read and discarded while the answer goes out. If it
//! ends in time, the connection stays usable, which is what a proxy's pool of connections needs.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Instant, timeout_at};

/// The most that is read of one body, in bytes. A connection with a longer one closes after its answer.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// The longest time from the head of a request to the end of its body.
const TIME_MAX: Duration = Duration::from_secs(10);

/// A request body whose rest is read and discarded once it is dropped.
struct Drained {
    /// `None` once the rest has been handed to a task of its own.
    incoming: Option<Incoming>,
    /// Bytes that may still be read.
    bytes_left: usize,
    deadline: Instant,
}

/// The body as handlers read it.
pub(super) fn drained(incoming: Incoming) -> Body {
    if incoming.is_end_stream() {
        return Body::empty();
    }
    Body::new(Drained { incoming: Some(incoming), bytes_left: BYTES_MAX, deadline: Instant::now() + TIME_MAX })
}

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = self.incoming.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(incoming).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.bytes_left = self.bytes_left.saturating_sub(bytes);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let Some(mut rest) = self.incoming.take().filter(|rest| !rest.is_end_stream()) else { return };
        let (mut bytes_left, deadline) = (self.bytes_left, self.deadline);
        let fits = rest.size_hint().lower() <= bytes_left as u64;
        // A longer body is not read: the connection closes after its answer. Without a runtime the process is ending.
        if !fits || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        tokio::spawn(timeout_at(deadline, async move {
            while let Some(Ok(frame)) = rest.frame().await {
                bytes_left = bytes_left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if bytes_left == 0 {
                    break;
                }
            }
        }));
    }
}
