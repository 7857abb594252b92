//! The listener: opens with a queue long enough for a sale's first second, accepts connections within their bounds, and
//! closes without resetting a connection that the system has already accepted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout_at};

use super::bounds::{Bounds, Slot};

/// The most connections that the system queues until they are accepted. It drops further ones. Their clients try again
/// after 1 s, 2 s, 4 s, so their order of arrival is lost.
const BACKLOG: u32 = 16_384;

/// A shorter queue is logged as a warning.
const BACKLOG_MIN: u32 = 4_096;

/// The longest time for handshakes that have begun when the listener closes.
const LAST_HANDSHAKES: Duration = Duration::from_millis(50);

/// An accepted connection and its slot among all connections.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) slot: Slot,
}

/// Binds an address without listening yet: clients are refused until the server is ready for them.
///
/// # Errors
/// If the address is in use or not this machine's.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart may find connections of the last run that are still closing.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Listens on a bound address. Logs a warning if the system's queue is shorter than a sale's first second needs.
///
/// # Errors
/// If another process listens on the address.
pub(crate) fn listen(socket: TcpSocket) -> std::io::Result<TcpListener> {
    let listener = socket.listen(BACKLOG)?;
    if let Some(bound) = system_backlog().filter(|bound| *bound < BACKLOG_MIN) {
        tracing::warn!(
            somaxconn = bound,
            "the system queues only {bound} new connections and drops what comes beyond; raise net.core.somaxconn to \
             {BACKLOG_MIN} or more"
        );
    }
    Ok(listener)
}

/// The system's own bound on a listener's queue, if it can be read.
fn system_backlog() -> Option<u32> {
    std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok()?.trim().parse().ok()
}

/// Accepts the next connection; `None` if that failed, or if it was closed because there is no slot for it.
pub(super) async fn accept(listener: &TcpListener, bounds: &Arc<Bounds>) -> Option<Accepted> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            let _ = stream.set_nodelay(true);
            // A connection without even a reserved slot is closed here.
            let slot = bounds.slot(peer.ip())?;
            Some(Accepted { stream, peer, slot })
        }
        Err(error) => {
            // No file descriptor is left, most likely.
            tracing::debug!(%error, "failed to accept a connection");
            bounds.make_room();
            // Until a connection has ended. Without a pause this would fail again at once and keep a processor busy.
            sleep(Duration::from_millis(20)).await;
            None
        }
    }
}

/// Closes the listener. The system resets connections that it has established and the server has not accepted. So the
/// system first stops taking new ones, then those that are established are accepted.
pub(super) async fn close(listener: TcpListener, bounds: &Arc<Bounds>) -> Vec<Accepted> {
    let let_in_none = let_in_no_more(&listener);
    if let Err(error) = &let_in_none {
        tracing::debug!(%error, "who connects in this instant may be cut off");
    }
    let end = Instant::now() + LAST_HANDSHAKES;
    let mut waiting = Vec::new();
    // Until the end even if no connection waits now: a handshake that has begun may still become one.
    while let Ok(accepted) = timeout_at(end, accept(&listener, bounds)).await {
        waiting.extend(accepted);
    }
    waiting
}

/// From now on the system drops what would begin a new connection: the client tries again a moment later, and is
/// refused. Handshakes that have begun end as they would.
#[cfg(target_os = "linux")]
fn let_in_no_more(listener: &TcpListener) -> std::io::Result<()> {
    use socket2::{SockFilter, SockRef};
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const FLAGS_AT: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    // Classic BPF on the TCP header: a SYN without ACK is dropped (0 bytes of it are kept), all else passes whole.
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS_AT),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

#[cfg(not(target_os = "linux"))]
fn let_in_no_more(_: &TcpListener) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
