//! A client that keeps its connection and lets the test choose every byte.

use std::net::SocketAddr;
use std::time::Duration;

use onsale_testing::PATIENCE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::raw::RawReply;

/// The address of a server.
pub(crate) fn address(base: &str) -> SocketAddr {
    base.strip_prefix("http://").unwrap().parse().unwrap()
}

/// A request without a body.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").into_bytes()
}

/// A request with a JSON body.
pub(crate) fn send(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{headers}");
    format!("{head}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// A client on one connection that it keeps open.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// Bytes after the last reply.
    rest: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(to).await.unwrap(), rest: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next reply; the error, or `None` at a clean end, if there is none.
    pub(crate) async fn reply(&mut self) -> std::io::Result<Option<RawReply>> {
        let reading = async {
            loop {
                if let Some(reply) = self.whole_reply() {
                    return Ok(Some(reply));
                }
                if self.stream.read_buf(&mut self.rest).await? == 0 {
                    return Ok(None);
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("a reply, or the end, in time")
    }

    /// Sends a request and reads its reply.
    pub(crate) async fn ask(&mut self, bytes: &[u8]) -> RawReply {
        self.send(bytes).await.expect("an open connection");
        self.reply().await.expect("no reset").expect("a reply")
    }

    /// Waits until the server has closed the connection, without a reset and without another byte.
    pub(crate) async fn closed(&mut self) {
        let reply = self.reply().await.expect("no reset");
        assert!(reply.is_none() && self.rest.is_empty(), "{reply:?}");
    }

    /// Whether the server has closed the connection by now.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        matches!(tokio::time::timeout(Duration::from_millis(1), self.stream.peek(&mut byte)).await, Ok(Ok(0) | Err(_)))
    }

    fn whole_reply(&mut self) -> Option<RawReply> {
        let end = self.rest.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.rest[..end - 4]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut reply = RawReply { status, head, body: Vec::new() };
        let length: usize = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        if self.rest.len() < end + length {
            return None;
        }
        reply.body = self.rest[end..end + length].to_vec();
        self.rest.drain(..end + length);
        Some(reply)
    }
}
