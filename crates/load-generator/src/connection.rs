//! A kept connection: one request at a time, each answered by one complete reply.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Initial size of the buffer for replies, in bytes. It grows with the replies.
const BUFFER: usize = 8 * 1024;

/// The largest reply that is read, in bytes. A larger one is an error.
const REPLY_MAX: usize = 64 * 1024 * 1024;

/// A connection to the server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The parts of a reply that a load generator needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reply<'a> {
    /// The HTTP status code.
    pub status: u16,
    /// Its head: the status line and the headers, without the empty line after them.
    pub head: &'a [u8],
    /// Its body, without decoding.
    pub body: &'a [u8],
}

impl<'a> Reply<'a> {
    /// The last header of this name, if its value is a whole number, such as `retry-after`.
    pub fn number_of_header(&self, name: &str) -> Option<u64> {
        header(self.head, name.as_bytes()).and_then(digits).and_then(|number| u64::try_from(number).ok())
    }

    /// The first string field of this name in a JSON body. Escapes are not decoded.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let value = after_name(self.body, name)?.strip_prefix(b"\"")?;
        let end = value.iter().position(|byte| *byte == b'"')?;
        std::str::from_utf8(&value[..end]).ok()
    }

    /// The first field of this name in a JSON body, if it is a whole number.
    pub fn number(&self, name: &str) -> Option<u64> {
        let value = after_name(self.body, name)?;
        let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
        std::str::from_utf8(&value[..end]).ok()?.parse().ok()
    }

    /// All fields of this name in a JSON body that are whole numbers, in order.
    pub fn numbers(&self, name: &str) -> Vec<u64> {
        let (mut rest, mut numbers) = (self.body, Vec::new());
        while let Some(value) = after_name(rest, name) {
            let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
            numbers.extend(std::str::from_utf8(&value[..end]).ok().and_then(|digits| digits.parse::<u64>().ok()));
            rest = value;
        }
        numbers
    }

    /// Whether the first field of this name in a JSON body is `true`.
    pub fn is_true(&self, name: &str) -> bool {
        after_name(self.body, name).is_some_and(|value| value.starts_with(b"true"))
    }
}

/// The bytes after `"name":`. The JSON must be written without spaces.
fn after_name<'a>(body: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut from = 0;
    loop {
        let at = from + find(&body[from..], name.as_bytes())?;
        let end = at + name.len();
        if at > 0 && body[at - 1] == b'"' && body[end..].starts_with(b"\":") {
            return Some(&body[end + 2..]);
        }
        from = end;
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, wanted)
}

/// Positions of a reply's parts.
struct Layout {
    status: u16,
    body: usize,
    end: usize,
}

impl Connection {
    /// Connects to a server.
    ///
    /// # Errors
    /// If no server listens at the address.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Sends a request and reads its reply.
    ///
    /// # Errors
    /// If the connection breaks, or the reply breaks the contract: it has no length, or bytes follow it.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Reply<'_>> {
        self.send(request).await?;
        self.buffer.clear();
        let layout = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
            match layout(&self.buffer)? {
                Some(layout) if layout.end == self.buffer.len() => break layout,
                Some(layout) if layout.end < self.buffer.len() => return Err(odd("more than one reply", &self.buffer)),
                Some(layout) if layout.end > REPLY_MAX => return Err(odd("a huge reply", &self.buffer)),
                Some(layout) => self.buffer.reserve(layout.end - self.buffer.len()),
                None => {}
            }
        };
        let head = &self.buffer[..layout.body.saturating_sub(4)];
        Ok(Reply { status: layout.status, head, body: &self.buffer[layout.body..] })
    }

    /// Sends a request and does not read its reply. The connection cannot be used for another request afterwards.
    ///
    /// # Errors
    /// If the connection breaks.
    pub async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await
    }
}

/// Parses the head of a reply. Returns `None` if it is not complete.
fn layout(bytes: &[u8]) -> io::Result<Option<Layout>> {
    let Some(head_end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let head = &bytes[..head_end];
    let status = head.get(9..12).and_then(digits).and_then(|status| u16::try_from(status).ok());
    let status = status.filter(|_| head.starts_with(b"HTTP/1.1 ")).ok_or_else(|| odd("no HTTP/1.1", bytes))?;
    let length = match content_length(head) {
        Some(length) => length,
        None if status == 204 || status == 304 => 0,
        None => return Err(odd("no content-length", bytes)),
    };
    let body = head_end + 4;
    Ok(Some(Layout { status, body, end: body + length }))
}

fn content_length(head: &[u8]) -> Option<usize> {
    header(head, b"content-length").and_then(digits)
}

/// The value of a header. Searched from the end, because servers write `content-length` among the last.
fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut lines = head.rsplit(|byte| *byte == b'\n');
    lines.find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":").filter(|_| found.eq_ignore_ascii_case(name))?;
        Some(value.trim_ascii())
    })
}

fn digits(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn odd(what: &str, bytes: &[u8]) -> io::Error {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let body = br#"{"tokenId":"a","token":"b","note":"token","left":12,"soldOut":true}"#;
        let reply = Reply { status: 200, body, ..Reply::default() };
        assert_eq!((reply.text("token"), reply.text("note"), reply.text("none")), (Some("b"), Some("token"), None));
        assert_eq!((reply.number("left"), reply.is_true("soldOut")), (Some(12), true));
        let body = br#"[{"seat":7,"grade":"seat"},{"seat":12},{"seat":null}]"#;
        assert_eq!(Reply { status: 200, body, ..Reply::default() }.numbers("seat"), [7, 12]);
    }

    #[test]
    fn a_reply_is_complete_when_its_length_has_arrived() {
        let text = b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\ndate: x\r\n\r\n{}";
        let found = layout(text).unwrap().unwrap();
        assert_eq!((found.status, &text[found.body..], found.end), (409, &b"{}"[..], text.len()));
        assert!(layout(&text[..20]).unwrap().is_none());
        assert_eq!(layout(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap().end, 27);
        assert!(layout(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn a_number_is_read_from_a_header() {
        let head = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 17\r\nretry-after-not: 3\r\ndate: x";
        let reply = Reply { status: 503, head, body: b"" };
        assert_eq!((reply.number_of_header("retry-after"), reply.number_of_header("date")), (Some(17), None));
        assert_eq!(reply.number_of_header("age"), None);
    }
}
