//! `X-Request-Id`: the client's own, or one of ours.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a client, in bytes. A longer one is replaced by one of ours.
const LENGTH_MAX: usize = 128;

/// Hands out ids to requests that bring none: a random start, then counted on.
pub(super) struct RequestIds(AtomicU64);

impl RequestIds {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(rand::random()))
    }

    /// The client's id if it has 1 to 128 visible ASCII characters, else the next of ours.
    pub(super) fn id_of(&self, headers: &HeaderMap) -> HeaderValue {
        let sound = |value: &&HeaderValue| {
            (1..=LENGTH_MAX).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let own = || {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            HeaderValue::try_from(format!("{number:016x}")).unwrap_or(HeaderValue::from_static("-"))
        };
        headers.get(REQUEST_ID).filter(sound).cloned().unwrap_or_else(own)
    }
}
