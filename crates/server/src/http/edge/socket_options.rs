//! Options of the system for the connections of clients: how soon it notices that a client is gone.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpListener;

use super::cut_off::STALL_TIMEOUT;

/// After this much silence the system asks whether the client is still there, then again at each interval.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// Questions without an answer after which the client is gone. `TCP_USER_TIMEOUT` counts instead if it is set.
#[cfg(not(any(target_os = "openbsd", target_os = "redox", target_os = "solaris")))]
const KEEPALIVE_RETRIES: u32 = 2;

/// How many bytes the system may hold back that it has not sent yet. More would hide whether the client takes any:
/// with the buffers that it makes by itself (megabytes) a slow reader seems to take nothing for half a minute.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 32 * 1024;

/// Sets the options that the connections of a listener inherit from it, so that they cost no call for each of them.
pub(super) fn tune(listener: &TcpListener) {
    if let Err(error) = set_options(&SockRef::from(listener)) {
        tracing::warn!(%error, "failed to set options of the listening socket; clients that vanish are noticed late");
    }
}

fn set_options(listener: &SockRef<'_>) -> io::Result<()> {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_INTERVAL);
    #[cfg(not(any(target_os = "openbsd", target_os = "redox", target_os = "solaris")))]
    let keepalive = keepalive.with_retries(KEEPALIVE_RETRIES);
    listener.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    {
        listener.set_tcp_user_timeout(Some(STALL_TIMEOUT))?;
        listener.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    }
    Ok(())
}
