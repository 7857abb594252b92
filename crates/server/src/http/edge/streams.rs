//! The limit on open event streams of one queue token on this instance.

use std::collections::HashMap;
use std::sync::Arc;

use onsale_domain::ids::TokenId;
use parking_lot::Mutex;

use super::reached::{Bound, Outcome, Reached};

/// The most open streams of one token; one more is refused with `too-many-requests`. A browser opens at most six
/// connections to a host, and some visitors use two devices.
const PER_TOKEN_MAX: u8 = 16;

/// All open streams, counted by token.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// Guards the counts; held for one map operation. A token without a stream has no entry.
    open: Mutex<HashMap<TokenId, u8>>,
    reached: Arc<Reached>,
}

/// Counts as an open stream of its token while it lives.
#[derive(Debug)]
pub(crate) struct OpenStream {
    streams: Arc<Streams>,
    token: TokenId,
}

impl Streams {
    pub(crate) fn new(reached: Arc<Reached>) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), reached })
    }

    /// One more stream of a token; `None` if it has as many as it may.
    pub(crate) fn open(self: &Arc<Self>, token: TokenId) -> Option<OpenStream> {
        let mut open = self.open.lock();
        let count = open.entry(token).or_default();
        if *count >= PER_TOKEN_MAX {
            self.reached.note(Bound::StreamsPerToken, Outcome::Refused);
            return None;
        }
        *count += 1;
        Some(OpenStream { streams: self.clone(), token })
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock();
        if let Some(count) = open.get_mut(&self.token) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_a_bounded_number_of_streams_and_gets_them_back() {
        let streams = Streams::new(Arc::default());
        let token = |number: u128| TokenId::new(uuid::Uuid::from_u128(number));
        let mut open: Vec<_> = (0..PER_TOKEN_MAX).map(|_| streams.open(token(1)).unwrap()).collect();
        assert!(streams.open(token(1)).is_none());
        assert!(streams.open(token(2)).is_some(), "another token has its own");
        open.pop();
        assert!(streams.open(token(1)).is_some());
        open.clear();
        assert!(streams.open.lock().is_empty());
    }
}
