//! A reserved port, also while no process listens on it.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// A free loopback port, reserved by a socket that is bound and never listens: connections are refused, and no other process gets the
/// port. A process that sets `SO_REUSEADDR` (Postgres does) can listen on it as often as it likes.
pub struct Port {
    _kept: TcpSocket,
    address: SocketAddr,
}

impl Port {
    /// Reserves a port that is free now.
    ///
    /// # Panics
    /// If the machine has none.
    pub fn free() -> Self {
        let kept = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = kept.local_addr().expect("a bound socket has an address");
        Self { _kept: kept, address }
    }

    /// The loopback address that is reserved.
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
