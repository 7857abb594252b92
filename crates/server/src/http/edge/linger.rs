//! The end of a connection: the answer arrives even if the client is still sending.
//!
//! Closing a socket that has unread bytes, or that gets some later, makes the system send a reset. A reset can overtake
//! the answer: the client then sees an error instead (RFC 9112, section 9.6).

use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::stopping::Stopping;

/// The longest time without a byte from the client.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// The longest time in all.
const TIME_MAX: Duration = Duration::from_secs(10);

/// The longest time in all once the server closes.
const TIME_MAX_WHEN_CLOSING: Duration = Duration::from_secs(1);

/// Ends the server's sending side, then discards what the client still sends until it ends its own side, within bounds.
pub(super) async fn linger(stream: &TcpStream, stopping: &Stopping) {
    // Fails only if the connection is gone, or if the side was ended before.
    let _ = SockRef::from(stream).shutdown(std::net::Shutdown::Write);
    tokio::select! {
        biased;
        () = discard(stream) => {}
        () = sleep(TIME_MAX) => {}
        () = async { stopping.closing().await; sleep(TIME_MAX_WHEN_CLOSING).await } => {}
    }
}

async fn discard(stream: &TcpStream) {
    while let Ok(Ok(())) = timeout(SILENCE_MAX, stream.readable()).await {
        // On the stack of this poll, not in the future: most clients send nothing here.
        let mut bytes = [0; 8 * 1024];
        match stream.try_read(&mut bytes) {
            Ok(1..) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
        }
    }
}
