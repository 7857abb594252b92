//! A reader of server-sent events.

use onsale_testing::PATIENCE;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::raw;

/// An open stream of events.
pub(crate) struct Stream {
    reader: BufReader<TcpStream>,
    pub(crate) status: u16,
    pub(crate) media_type: String,
    /// The lines of the head, the status line first.
    head: Vec<String>,
    /// What has come and is no whole event yet.
    text: String,
}

/// One event with all of its fields.
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    /// Milliseconds.
    pub(crate) retry: Option<u64>,
    pub(crate) data: Value,
}

impl Stream {
    /// Asks for a stream and reads the head of the reply.
    pub(crate) async fn open(base: &str, path: &str, headers: &[&str]) -> Self {
        let mut stream = raw::connect(base).await;
        let headers: Vec<&[u8]> = headers.iter().map(|header| header.as_bytes()).collect();
        let line = format!("GET {path}");
        stream.write_all(&raw::request(line.as_bytes(), &headers, b"")).await.unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = Vec::new();
        let reading = async {
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).await.unwrap();
                if line.trim().is_empty() {
                    return;
                }
                head.push(line);
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("a reply in time");
        let status = head[0].split(' ').nth(1).unwrap().parse().unwrap();
        let mut stream = Self { reader, status, media_type: String::new(), head, text: String::new() };
        stream.media_type = stream.header("content-type").unwrap_or_default().to_owned();
        stream
    }

    /// A header of the reply.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.iter().filter_map(|line| line.split_once(':'));
        fields.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// The next event: its name and its data. `None` once the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        self.next_event().await.map(|event| (event.name, event.data))
    }

    /// The next event with all of its fields. `None` once the stream has ended.
    pub(crate) async fn next_event(&mut self) -> Option<Event> {
        let reading = async {
            loop {
                while let Some(end) = self.text.find("\n\n") {
                    let event: String = self.text.drain(..end + 2).collect();
                    if let Some(event) = parse(&event) {
                        return Some(event);
                    }
                }
                let chunk = self.chunk().await?;
                self.text.push_str(&chunk);
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("an event, or the end, in time")
    }

    /// The next event with this name; what comes before it is passed over.
    pub(crate) async fn next_named(&mut self, name: &str) -> Value {
        while let Some((known, data)) = self.next().await {
            if known == name {
                return data;
            }
        }
        panic!("the stream ended before {name}");
    }

    /// One chunk of the body (RFC 9112, section 7.1); `None` after the last, or where the connection was closed.
    async fn chunk(&mut self) -> Option<String> {
        let mut size = String::new();
        self.reader.read_line(&mut size).await.ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok().filter(|size| *size > 0)?;
        let mut bytes = vec![0; size + 2];
        self.reader.read_exact(&mut bytes).await.ok()?;
        bytes.truncate(size);
        Some(String::from_utf8(bytes).unwrap())
    }
}

/// One event; `None` where it is only a comment that keeps the connection open.
fn parse(event: &str) -> Option<Event> {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let data = field("data")?;
    Some(Event {
        name: field("event").unwrap_or("message").to_owned(),
        id: field("id").map(str::to_owned),
        retry: field("retry").map(|millis| millis.parse().unwrap()),
        data: serde_json::from_str(data).unwrap(),
    })
}
