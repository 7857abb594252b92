//! Memory for each open connection, by what the connection does: the numbers of the table in docs/guide/deploy.md.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;
use onsale_testing::allow_open_files;

use super::crowd::tokens;
use super::still_room;
use crate::measure::{Bench, Server};
use crate::table::{Line, Verdict};

/// Connections that are open at once.
const OPEN: usize = 4_000;

/// Those of them that send a long body: the server waits 10 s for the rest of each.
const BODIES: usize = 1_000;

/// How long the server's memory may still grow once all connections are open.
const REST: Duration = Duration::from_secs(3);

/// What deployments reserve for each connection that is idle or a stream, in kilobytes: a limit of memory is made of this.
const KILOBYTES_MAX: f64 = 26.0;

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
            Self::Stream => {
                format!("GET /queue/token/events HTTP/1.1\r\nhost: localhost\r\nqueue-token: {token}\r\n\r\n")
                    .into_bytes()
            }
            Self::Head => format!("GET /concerts HTTP/1.1\r\nhost: localhost\r\nx: {}", "a".repeat(6_000)).into_bytes(),
            Self::Body => {
                let head = "POST /queue/tokens HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
                format!("{head}content-length: 65000\r\n\r\n{}", " ".repeat(60_000)).into_bytes()
            }
        }
    }

    /// What the answer holds once the server has done its part; empty if there is no answer.
    fn answered_by(self) -> &'static [u8] {
        match self {
            Self::Idle => b"\r\n\r\n",
            Self::Stream => b"event:",
            Self::Head | Self::Body => b"",
        }
    }
}

/// Opens a connection that does this, and waits for its answer.
fn open(server: &Server, kind: Kind, token: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(server.program.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(&kind.request(token))?;
    let wanted = kind.answered_by();
    let (mut told, mut part) = (Vec::new(), [0; 4_096]);
    while !wanted.is_empty() && !told.windows(wanted.len()).any(|bytes| bytes == wanted) {
        let length = stream.read(&mut part)?;
        if length == 0 {
            return Err(format!("{kind:?}: the connection ended: {}", String::from_utf8_lossy(&told)).into());
        }
        told.extend_from_slice(&part[..length]);
    }
    Ok(stream)
}

/// The most anonymous memory within a while, in kilobytes.
fn most(server: &Server, within: Duration) -> Outcome<u64> {
    let (began, mut most) = (Instant::now(), 0);
    while began.elapsed() < within {
        most = most.max(server.program.kilobytes("RssAnon")?);
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(most)
}

pub(crate) fn lines(bench: &mut Bench) -> Outcome<()> {
    allow_open_files(2 * OPEN as u64 + 1_000);
    for kind in [Kind::Idle, Kind::Stream, Kind::Head, Kind::Body] {
        let mut server = bench.server(&[])?;
        let concert = server.stage.concert(&still_room())?;
        let count = if kind == Kind::Body { BODIES } else { OPEN };
        // The first is admitted; those that wait have streams that stay open.
        let tokens = if kind == Kind::Stream { tokens(&server, &concert, 0..count + 1)? } else { Vec::new() };
        let before = most(&server, Duration::from_millis(500))?;
        let token = |number: usize| tokens.get(number + 1).map(String::as_str).unwrap_or_default();
        let streams = (0..count).map(|number| open(&server, kind, token(number))).collect::<Outcome<Vec<_>>>()?;
        let each = most(&server, REST)?.saturating_sub(before) as f64 / count as f64;
        let is_long = matches!(kind, Kind::Idle | Kind::Stream);
        bench.table.add(Line {
            connections: count,
            rate: format!("{each:.1} KB"),
            target: if is_long { format!("≤ {KILOBYTES_MAX} KB") } else { String::new() },
            ..Line::new(kind.name(), if is_long { Verdict::of(each <= KILOBYTES_MAX) } else { Verdict::Told })
        });
        drop(streams);
        server.finish()?;
    }
    Ok(())
}
