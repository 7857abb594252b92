//! A port of one's own for as long as one wants it, also while nobody listens on it.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// A free loopback port, kept by a socket that is bound and never listens: callers are refused, nobody else gets the
/// port, and whoever sets `SO_REUSEADDR` (Postgres does) can listen on it as often as it likes.
pub struct Port {
    _kept: TcpSocket,
    address: SocketAddr,
}

impl Port {
    /// A port that is free now.
    pub(crate) fn free() -> Self {
        let kept = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = kept.local_addr().expect("a bound socket has an address");
        Self { _kept: kept, address }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens on it until the listener is dropped.
    pub(crate) fn listen(&self) -> TcpListener {
        bound(self.address).listen(1_024).expect("the port is ours")
    }
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket that shares its port");
    socket.bind(address).expect("a loopback port");
    socket
}
