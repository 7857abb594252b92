//! Taking connections in, up to a bound, and closing the door without cutting anybody off.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

/// How long handshakes that have begun may take to end once the door closes.
const LAST_HANDSHAKES: Duration = Duration::from_millis(50);

/// A connection that was taken in, and its share of how many there may be.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) permit: OwnedSemaphorePermit,
}

/// Takes in the next connection, once there may be another.
pub(super) async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> Option<Accepted> {
    let permit = permits.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            let _ = stream.set_nodelay(true);
            Some(Accepted { stream, peer, permit })
        }
        Err(error) => {
            // Out of file descriptors, most likely: those in use must first come back.
            tracing::warn!(%error, "no connection could be accepted");
            sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// Closes the listener. The system cuts off whoever it has let in and nobody has accepted: so it is first told to let
/// nobody else in, then those that it let in are taken.
pub(super) async fn close(listener: TcpListener, permits: &Arc<Semaphore>) -> Vec<Accepted> {
    let let_in_none = let_in_no_more(&listener);
    if let Err(error) = &let_in_none {
        tracing::debug!(%error, "who connects in this instant may be cut off");
    }
    let end = Instant::now() + LAST_HANDSHAKES;
    let mut waiting = Vec::new();
    while let Ok(accepted) = timeout_at(end, accept(&listener, permits)).await {
        waiting.extend(accepted);
    }
    waiting
}

/// From now on the listener takes no notice of whoever wants to connect: they try again a moment later, and find the
/// door closed. Handshakes that have begun end as they would.
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
