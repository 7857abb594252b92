//! `onsale health`: asks the server that listens here for a sign of life. For health checks in images that have no other
//! program to ask with.
//!
//! It reads `ONSALE_LISTEN` alone: a check must not fail because a flag of the server has no counterpart in its environment.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::{Failed, Outcome, print};

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn run(listen: SocketAddr) -> Outcome {
    let address = reachable(listen);
    match ask(address) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => print(&format!("alive at {address}")),
        Ok(answer) => Err(Failed::Error(format!("{address}: {}", answer.lines().next().unwrap_or("no answer")))),
        Err(error) => Err(Failed::Error(format!("{address}: {error}"))),
    }
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut wire = TcpStream::connect_timeout(&address, PATIENCE)?;
    wire.set_read_timeout(Some(PATIENCE))?;
    wire.write_all(format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    wire.take(4_096).read_to_string(&mut answer)?;
    Ok(answer)
}

/// An address that this machine can call: loopback for a server that listens on every address.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
