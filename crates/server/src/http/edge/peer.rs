//! The part of a connection's state that a handler can read.

use std::sync::Arc;

use super::pulse::Pulse;

/// The other end of the connection that a request came over. In the extensions of requests for event streams.
#[derive(Clone)]
pub(crate) struct Peer(Arc<Pulse>);

impl Peer {
    pub(super) fn new(pulse: Arc<Pulse>) -> Self {
        Self(pulse)
    }

    /// Whether the client has shut its sending side. It may still read, or be gone: only a reset that answers the
    /// next bytes distinguishes these. Known only while an answer is waited for, see [`super::cut_off::CutOff`].
    pub(crate) fn is_half_closed(&self) -> bool {
        self.0.is_half_closed()
    }
}
