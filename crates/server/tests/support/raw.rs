//! Requests that no client library would send: bytes out, bytes in.

use onsale_testing::PATIENCE;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A reply as it came over the wire.
#[derive(Debug)]
pub(crate) struct RawReply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl RawReply {
    /// The value of this header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &&str| line.split_once(':').is_some_and(|(known, _)| known.eq_ignore_ascii_case(name));
        self.head.lines().skip(1).find(named)?.split_once(':').map(|(_, value)| value.trim())
    }

    /// The body of a problem, with its code.
    pub(crate) fn code(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Opens a connection to a server.
pub(crate) async fn connect(base: &str) -> TcpStream {
    TcpStream::connect(base.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Sends bytes and reads all that comes back, until the server closes or resets the connection.
pub(crate) async fn exchange(base: &str, request: &[u8]) -> Option<RawReply> {
    let mut stream = connect(base).await;
    // A server may answer, and close, before it has read everything.
    let _ = stream.write_all(request).await;
    read(stream).await
}

/// As [`exchange`], and lets the server see that nothing more will come.
pub(crate) async fn exchange_and_close(base: &str, request: &[u8]) -> Option<RawReply> {
    let mut stream = connect(base).await;
    let _ = stream.write_all(request).await;
    let _ = stream.shutdown().await;
    read(stream).await
}

/// Reads a reply to the end of the connection; `None` if no whole head came.
pub(crate) async fn read(mut stream: TcpStream) -> Option<RawReply> {
    let mut bytes = Vec::new();
    let reading = async {
        let mut some = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut some).await {
            bytes.extend_from_slice(&some[..length]);
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the server answers or closes the connection");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(RawReply { status, head, body: bytes[end + 4..].to_vec() })
}

/// A request of these lines, closed after its answer.
pub(crate) fn request(line: &[u8], headers: &[&[u8]], body: &[u8]) -> Vec<u8> {
    let mut bytes = line.to_vec();
    bytes.extend_from_slice(b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for header in headers {
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(b"\r\n");
    }
    if !body.is_empty() {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}
