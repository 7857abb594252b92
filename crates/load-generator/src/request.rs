//! Requests as they go over the wire, and supplies of them.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A request in the making.
#[derive(Clone, Debug)]
pub struct Request {
    head: String,
    body: Option<String>,
}

impl Request {
    /// Any method and path.
    pub fn new(method: &str, path: &str) -> Self {
        Self { head: format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n"), body: None }
    }

    /// A GET.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// A POST.
    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    /// A PATCH.
    pub fn patch(path: &str) -> Self {
        Self::new("PATCH", path)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        for part in [name, ": ", value, "\r\n"] {
            self.head.push_str(part);
        }
        self
    }

    /// With a queue token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("queue-token", token)
    }

    /// With an idempotency key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// With a bearer.
    #[must_use]
    pub fn bearer(self, bearer: &str) -> Self {
        self.header("authorization", &format!("Bearer {bearer}"))
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", "application/json")
    }

    /// The request's bytes, after those that are there.
    pub fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self.head.as_bytes());
        if let Some(body) = &self.body {
            into.extend_from_slice(format!("content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
        } else {
            into.extend_from_slice(b"\r\n");
        }
    }

    /// The request's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }
}

/// Prepared requests, handed out in order to the senders.
#[derive(Debug, Default)]
pub struct Supply {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    next: AtomicUsize,
    in_turn: bool,
}

impl Supply {
    /// Each request is sent once.
    pub fn once(requests: impl IntoIterator<Item = Request>) -> Self {
        let mut supply = Self::default();
        for request in requests {
            request.write(&mut supply.bytes);
            supply.ends.push(supply.bytes.len());
        }
        supply
    }

    /// After the last request comes the first again.
    pub fn in_turn(requests: impl IntoIterator<Item = Request>) -> Self {
        Self { in_turn: true, ..Self::once(requests) }
    }

    /// How many requests are left; all there are, where they come again.
    pub fn left(&self) -> usize {
        let taken = if self.in_turn { 0 } else { self.next.load(Ordering::Relaxed) };
        self.ends.len().saturating_sub(taken)
    }

    /// The next request and its number.
    pub fn take(&self) -> Option<(usize, &[u8])> {
        let taken = self.next.fetch_add(1, Ordering::Relaxed);
        let number = if self.in_turn { taken % self.ends.len().max(1) } else { taken };
        let end = *self.ends.get(number)?;
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        Some((taken, &self.bytes[start..end]))
    }
}
