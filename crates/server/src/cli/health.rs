//! `onsale health`: requests `/healthz`. For health checks in container images without curl.
//!
//! It reads no setting but `ONSALE_LISTEN`: other settings of the server may come from flags, which a check does not have.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::{Failed, Outcome, print};

/// The longest time to connect, and to wait for the answer.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn run(listen: SocketAddr) -> Outcome {
    let address = reachable(listen);
    match request(address) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => print(&format!("alive at {address}")),
        Ok(answer) => Err(Failed::Error(format!("{address}: {}", answer.lines().next().unwrap_or("no answer")))),
        Err(error) => Err(Failed::Error(format!("{address}: {error}"))),
    }
}

fn request(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(4_096).read_to_string(&mut answer)?;
    Ok(answer)
}

/// Returns an address that this machine can connect to: loopback, if the server listens on every address.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
