//! Requests as bytes, prepared before they are sent.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A request that is being built.
#[derive(Clone, Debug)]
pub struct Request {
    head: String,
    body: Option<String>,
}

impl Request {
    /// A request with any method and path.
    pub fn new(method: &str, path: &str) -> Self {
        Self { head: format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n"), body: None }
    }

    /// A GET request to this path, with its query.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// A POST request to this path.
    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    /// A PATCH request to this path.
    pub fn patch(path: &str) -> Self {
        Self::new("PATCH", path)
    }

    /// Adds a header to the request.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        for part in [name, ": ", value, "\r\n"] {
            self.head.push_str(part);
        }
        self
    }

    /// Adds a queue token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("queue-token", token)
    }

    /// Adds an idempotency key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Adds a bearer token.
    #[must_use]
    pub fn bearer(self, bearer: &str) -> Self {
        self.header("authorization", &format!("Bearer {bearer}"))
    }

    /// Adds a JSON body.
    #[must_use]
    pub fn json(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", "application/json")
    }

    /// Appends the bytes of the request.
    pub fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self.head.as_bytes());
        if let Some(body) = &self.body {
            into.extend_from_slice(format!("content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
        } else {
            into.extend_from_slice(b"\r\n");
        }
    }

    /// The bytes of the request.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }
}

/// Prepared requests. All senders take the next one in order.
#[derive(Debug, Default)]
pub struct Supply {
    bytes: Vec<u8>,
    /// Where each request ends in the bytes.
    ends: Vec<usize>,
    /// Number of requests taken. Relaxed: requests do not change while they are sent, so it guards no other data.
    next: AtomicUsize,
    /// Whether the first request follows the last.
    in_turn: bool,
}

impl Supply {
    /// A supply of which each request is sent once.
    pub fn once(requests: impl IntoIterator<Item = Request>) -> Self {
        let mut supply = Self::default();
        for request in requests {
            request.write(&mut supply.bytes);
            supply.ends.push(supply.bytes.len());
        }
        supply
    }

    /// A supply whose first request follows the last again.
    pub fn in_turn(requests: impl IntoIterator<Item = Request>) -> Self {
        Self { in_turn: true, ..Self::once(requests) }
    }

    /// Number of requests left. All of them if they are sent again and again.
    pub fn left(&self) -> usize {
        let taken = if self.in_turn { 0 } else { self.next.load(Ordering::Relaxed) };
        self.ends.len().saturating_sub(taken)
    }

    /// Takes the next request. Returns its number and its bytes, or `None` if none is left.
    pub fn take(&self) -> Option<(usize, &[u8])> {
        let taken = self.next.fetch_add(1, Ordering::Relaxed);
        let number = if self.in_turn { taken % self.ends.len().max(1) } else { taken };
        let end = *self.ends.get(number)?;
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        Some((taken, &self.bytes[start..end]))
    }
}
