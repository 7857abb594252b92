//! Requests that do not parse.
//!
//! hyper answers most of them by itself with a bare status, before any of our code has run. Such an answer is replaced
//! with a problem document when it is written to the socket. hyper does not answer a head that broke off, nor HTTP/2:
//! those are answered after it has ended.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::default_headers::{NO_STORE, NOSNIFF};
use super::pulse::Pulse;
use crate::http::HttpMetrics;
use crate::http::edge::UNMATCHED;
use crate::http::reply::problem::{Code, PROBLEM_JSON, Problem};

/// The end of every head.
const END: &[u8] = b"\r\n\r\n";

/// Longer than any bare answer, in bytes: a status line and three headers.
const BARE_MAX: usize = 160;

/// A stream on which hyper's own answers become problem documents.
pub(super) struct Explained<'a, S> {
    stream: S,
    pulse: &'a Pulse,
    metrics: &'a HttpMetrics,
    /// A problem document that is on its way, in place of an answer of this many bytes.
    replacement: Option<Replacement>,
}

struct Replacement {
    bytes: Vec<u8>,
    written: usize,
    replaced: usize,
}

impl<'a, S> Explained<'a, S> {
    pub(super) fn new(stream: S, pulse: &'a Pulse, metrics: &'a HttpMetrics) -> Self {
        Self { stream, pulse, metrics, replacement: None }
    }
}

impl<S: AsyncWrite + Unpin> Explained<'_, S> {
    /// Writes all of the problem document, and then reports the answer in whose place it stands as written.
    fn poll_replacement(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some(Replacement { bytes, written, replaced }) = &mut self.replacement {
            if *written == bytes.len() {
                let replaced = *replaced;
                self.replacement = None;
                return Poll::Ready(Ok(replaced));
            }
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        Poll::Ready(Ok(0))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Explained<'_, S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Explained<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.replacement.is_none() {
            let Some((at, bare)) = bare_answer(bytes) else {
                return Pin::new(&mut self.stream).poll_write(cx, bytes);
            };
            if at > 0 {
                // Earlier answers are written first.
                return Pin::new(&mut self.stream).poll_write(cx, &bytes[..at]);
            }
            self.metrics.observe(UNMATCHED, bare.status.as_u16(), Duration::ZERO);
            self.pulse.set_explained();
            let replaced = bytes.len();
            let bytes = whole_answer(&bare.problem(), bare.date.as_deref());
            self.replacement = Some(Replacement { bytes, written: 0, replaced });
        }
        self.poll_replacement(cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// An answer that hyper made by itself.
#[derive(Debug, PartialEq, Eq)]
struct Bare {
    status: StatusCode,
    date: Option<String>,
}

/// The bare answer at the end of these bytes and its position. Our own answers have an `X-Request-Id`, so none is taken
/// for a bare one. Nearly all of them end with a body, so the first check excludes them.
fn bare_answer(bytes: &[u8]) -> Option<(usize, Bare)> {
    if !bytes.ends_with(END) {
        return None;
    }
    let from = bytes.len().saturating_sub(BARE_MAX);
    let at = from + bytes[from..].windows(7).rposition(|seven| seven == b"HTTP/1.")?;
    let head = std::str::from_utf8(&bytes[at..bytes.len() - END.len()]).ok()?;
    let mut lines = head.split("\r\n");
    let status = StatusCode::from_bytes(lines.next()?.split(' ').nth(1)?.as_bytes()).ok()?;
    if !status.is_client_error() {
        return None;
    }
    let mut date = None;
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        match name {
            "connection" => {}
            "content-length" if value == "0" => {}
            "date" => date = Some(value.to_owned()),
            _ => return None,
        }
    }
    Some((at, Bare { status, date }))
}

impl Bare {
    /// What it stands for.
    fn problem(&self) -> Problem {
        let detail = match self.status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                "the head of the request is over 32 KiB, or has over 100 headers"
            }
            StatusCode::URI_TOO_LONG => "the target of the request is too long",
            _ => "the bytes are no HTTP/1.1 request",
        };
        Problem::new(Code::MalformedRequest).detail(detail).with_status(self.status)
    }
}

/// The answer to a connection that has ended, by itself or for its silence, in the middle of its first head; none if there
/// was no head or if it was answered. On a connection that has had requests these bytes could be the rest of the last body.
pub(super) fn late_answer(ended: &Result<(), hyper::Error>, pulse: &Pulse, metrics: &HttpMetrics) -> Option<Vec<u8>> {
    if !pulse.is_in_first_head() {
        return None;
    }
    let problem = match ended {
        Ok(()) => Problem::new(Code::RequestTimeout).detail("the head of the request did not arrive in time"),
        Err(error) if error.is_incomplete_message() => {
            Problem::new(Code::MalformedRequest).detail("the head of the request broke off")
        }
        Err(error) if error.is_parse() => {
            Problem::new(Code::MalformedRequest).detail("the bytes are no HTTP/1.1 request")
        }
        Err(_) => return None,
    };
    metrics.observe(UNMATCHED, problem.status().as_u16(), Duration::ZERO);
    Some(whole_answer(&problem, None))
}

/// A problem document as bytes, for the last answer of a connection.
fn whole_answer(problem: &Problem, date: Option<&str>) -> Vec<u8> {
    let (body, status, id) = (problem.to_json(), problem.status(), rand::random::<u64>());
    let (length, date) = (body.len(), date.map(|date| format!("date: {date}\r\n")).unwrap_or_default());
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {length}\r\nconnection: close\r\n\
         cache-control: {NO_STORE}\r\nx-content-type-options: {NOSNIFF}\r\nx-request-id: {id:016x}\r\n{date}\r\n"
    );
    [head.as_bytes(), &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_answers_are_replaced() {
        let bare = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: Sun, 29 Nov 2026 17:00:00 GMT\r\n\r\n";
        let found = Bare { status: StatusCode::BAD_REQUEST, date: Some("Sun, 29 Nov 2026 17:00:00 GMT".to_owned()) };
        assert_eq!(bare_answer(bare.as_bytes()), Some((0, found)));
        let before = "HTTP/1.1 200 OK\r\nx-request-id: 1\r\ncontent-length: 2\r\n\r\n{}";
        let found = bare_answer(format!("{before}{bare}").as_bytes());
        assert_eq!(found.map(|(at, bare)| (at, bare.status)), Some((before.len(), StatusCode::BAD_REQUEST)));
        for own in [
            before,
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nx-request-id: 1\r\ndate: x\r\n\r\n",
            "HTTP/1.1 405 Method Not Allowed\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n\r\n\r\n",
            "\r\n\r\n",
            "",
        ] {
            assert_eq!(bare_answer(own.as_bytes()), None, "{own}");
        }
    }
}
