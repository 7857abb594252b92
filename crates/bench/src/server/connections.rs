//! Memory of each open connection, by what the connection does: the numbers of the table in docs/guide/deploy.md.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;
use onsale_testing::allow_open_files;

use crate::machine::{Machine, Server};
use crate::results::{Figure, Line, Target};
use crate::row::Work;
use crate::users::{still_room, tokens};

/// Connections that are open at once.
const OPEN: usize = 4_000;

/// Connections that send a long body: the server waits 10 s for the rest of each.
const BODIES: usize = 1_000;

/// How long the memory of the server is watched before any connection is open.
const SETTLED: Duration = Duration::from_millis(500);

/// How long the server's memory may still grow once all connections are open.
const SETTLES_WITHIN: Duration = Duration::from_secs(3);

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It had a request, and waits for the next one.
    Idle,
    /// It is an event stream.
    Stream,
    /// It sent a part of a request's head.
    Head,
    /// It sent most of a large body.
    Body,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Idle => "a connection without a request",
            Self::Stream => "an event stream",
            Self::Head => "6 KB of an unfinished head, for 30 s at most",
            Self::Body => "60 KB of an unfinished body, for 10 s at most",
        }
    }

    fn request(self, token: &str) -> Vec<u8> {
        match self {
            Self::Idle => b"GET /concerts HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(),
            Self::Stream => stream_request(token),
            Self::Head => format!("GET /concerts HTTP/1.1\r\nhost: localhost\r\nx: {}", "a".repeat(6_000)).into_bytes(),
            Self::Body => {
                let head = "POST /queue/tokens HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
                format!("{head}content-length: 65000\r\n\r\n{}", " ".repeat(60_000)).into_bytes()
            }
        }
    }

    /// What the answer contains once the server has done its part. Empty if there is no answer.
    fn answered_by(self) -> &'static [u8] {
        match self {
            Self::Idle => b"\r\n\r\n",
            Self::Stream => b"event:",
            Self::Head | Self::Body => b"",
        }
    }
}

fn stream_request(token: &str) -> Vec<u8> {
    format!("GET /queue/token/events HTTP/1.1\r\nhost: localhost\r\nqueue-token: {token}\r\n\r\n").into_bytes()
}

/// Opens a connection, sends bytes, and reads until the answer contains the wanted bytes.
pub(crate) fn open(address: SocketAddr, request: &[u8], wanted: &[u8]) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(request)?;
    let (mut answer, mut part) = (Vec::new(), [0; 4_096]);
    while !wanted.is_empty() && !answer.windows(wanted.len()).any(|bytes| bytes == wanted) {
        let ended = match stream.read(&mut part) {
            Ok(0) => Some("the server closed the connection".to_owned()),
            Ok(length) => {
                answer.extend_from_slice(&part[..length]);
                None
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = ended {
            return Err(format!("{reason}: {}", String::from_utf8_lossy(&answer)).into());
        }
    }
    Ok(stream)
}

/// Opens an event stream, and waits for its first event.
pub(crate) fn open_stream(address: SocketAddr, token: &str) -> Outcome<TcpStream> {
    open(address, &stream_request(token), Kind::Stream.answered_by())
}

/// The most anonymous memory within a while, in kilobytes.
fn most(server: &Server, within: Duration) -> Outcome<u64> {
    let (began, mut most) = (Instant::now(), server.program.kilobytes("RssAnon")?);
    while began.elapsed() < within {
        std::thread::sleep(Duration::from_millis(100));
        most = most.max(server.program.kilobytes("RssAnon")?);
    }
    Ok(most)
}

/// Anonymous memory of the server after it has settled, in kilobytes.
pub(super) fn settled_kilobytes(machine: &Machine, server: &Server) -> Outcome<u64> {
    most(server, machine.scale.pick(SETTLES_WITHIN, SETTLES_WITHIN, Duration::ZERO))
}

pub(crate) fn lines(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let connections = machine.scale.at_most(OPEN);
    allow_open_files(2 * connections as u64 + 1_000);
    Ok(Box::new(move |results| {
        for kind in [Kind::Idle, Kind::Stream, Kind::Head, Kind::Body] {
            let mut server = machine.server(&[], &[])?;
            let count = if kind == Kind::Body { connections.min(BODIES) } else { connections };
            let each = kilobytes_of_each(machine, &server, kind, count)?;
            // Connections that can stay open have the target.
            let target = if matches!(kind, Kind::Idle | Kind::Stream) { target } else { Target::NONE };
            let line = Line { connections: count, result: Figure::Kilobytes(each), ..Line::new(kind.name()) };
            results.add(line.judged(target, each));
            server.finish()?;
        }
        Ok(())
    }))
}

/// Anonymous memory of the server per connection of a kind, in kilobytes.
fn kilobytes_of_each(machine: &Machine, server: &Server, kind: Kind, count: usize) -> Outcome<f64> {
    let concert = server.admin.concert(&still_room())?;
    // The first user is admitted. The streams of users who wait stay open.
    let tokens = if kind == Kind::Stream { tokens(server, &concert, 0..count + 1)? } else { Vec::new() };
    let before = most(server, machine.scale.pick(SETTLED, SETTLED, Duration::ZERO))?;
    let token = |number: usize| tokens.get(number + 1).map(String::as_str).unwrap_or_default();
    let address = server.program.address();
    let open = |number| open(address, &kind.request(token(number)), kind.answered_by());
    let streams = (0..count).map(open).collect::<Outcome<Vec<_>>>()?;
    let after = settled_kilobytes(machine, server)?;
    drop(streams);
    Ok(after.saturating_sub(before) as f64 / count as f64)
}
