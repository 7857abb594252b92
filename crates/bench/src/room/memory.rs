//! Memory per waiting user, in Redis and in the process.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_testing::allow_open_files;

use super::parts::{Home, Parts, crowd};
use crate::measure::Bench;
use crate::rows::crowd::tokens;
use crate::rows::still_room;
use crate::table::{Line, Verdict};

const CROWD: usize = 100_000;

/// In Redis, bytes per user.
const BYTES_MAX: f64 = 150.0;

/// Number of event streams open at once.
const LISTENERS: usize = 4_000;

/// In the process, bytes per stream.
const KILOBYTES_MAX: f64 = 24.0;

/// Memory of the process for a crowd, in bytes per user: only the allocator's slack, nothing per user.
const SLACK: f64 = 20.0;

pub(super) fn a_waiter(bench: &mut Bench) -> Outcome<()> {
    let parts = Parts::start(bench, Home::Redis, 1)?;
    let server = parts.first();
    let concert = server.stage.concert(&still_room())?;
    // The first crowd fills the buffers that any crowd needs.
    tokens(server, &concert, 0..1)?;
    crowd(server, &concert, 1..CROWD + 1)?;
    let look = || {
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((
            parts.redis_says("memory", "used_memory")? as f64,
            server.program.kilobytes("RssAnon")? as f64 * 1024.0,
        ))
    };
    let before = look()?;
    crowd(server, &concert, CROWD + 1..2 * CROWD + 1)?;
    let after = look()?;
    let redis = (after.0 - before.0) / CROWD as f64;
    let process = (after.1 - before.1) / CROWD as f64;
    bench.table.add(Line {
        rate: format!("{redis:.0} bytes"),
        target: format!("≤ {BYTES_MAX} bytes"),
        ..Line::new("a waiter in Redis, of 100,000 more", Verdict::of(redis <= BYTES_MAX))
    });
    bench.table.add(Line {
        rate: format!("{process:.1} bytes"),
        target: format!("≤ {SLACK} bytes"),
        ..Line::new("a waiter in the process (anonymous memory)", Verdict::of(process <= SLACK))
    });
    parts.finish()
}

/// Opens an event stream, and waits for its first event.
fn listen(address: std::net::SocketAddr, token: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET /queue/token/events HTTP/1.1\r\nhost: localhost\r\nqueue-token: {token}\r\n\r\n")?;
    let (mut told, mut part) = (Vec::new(), [0; 2_048]);
    while !told.windows(6).any(|bytes| bytes == b"event:") {
        let length = stream.read(&mut part)?;
        if length == 0 {
            return Err(format!("a stream ended: {}", String::from_utf8_lossy(&told)).into());
        }
        told.extend_from_slice(&part[..length]);
    }
    Ok(stream)
}

pub(super) fn a_listener(bench: &mut Bench) -> Outcome<()> {
    allow_open_files(2 * LISTENERS as u64 + 1_000);
    let parts = Parts::start(bench, Home::Redis, 1)?;
    let server = parts.first();
    let concert = server.stage.concert(&still_room())?;
    let tokens = tokens(server, &concert, 0..LISTENERS + 1)?;
    let kilobytes = || server.program.kilobytes("RssAnon");
    let before = kilobytes()?;
    let open = tokens.iter().skip(1).map(|token| listen(server.program.address(), token));
    let streams = open.collect::<Outcome<Vec<_>>>()?;
    let each = kilobytes()?.saturating_sub(before) as f64 / streams.len() as f64;
    bench.table.add(Line {
        connections: streams.len(),
        rate: format!("{each:.1} KB"),
        target: format!("≤ {KILOBYTES_MAX} KB"),
        ..Line::new("a listener of server-sent events (anonymous memory)", Verdict::of(each <= KILOBYTES_MAX))
    });
    drop(streams);
    parts.finish()
}
