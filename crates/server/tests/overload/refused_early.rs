//! Requests that are refused before their body is read: the client gets the whole answer, whatever it was still sending.

use std::time::Duration;

use onsale_testing::{PATIENCE, Sale};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::raw::{self, connect};
use super::support::start;

const BODY: usize = 60 * 1024;

/// A request and the status that refuses it before its body is read.
struct Case {
    line: &'static str,
    headers: &'static str,
    status: u16,
}

const CASES: [Case; 7] = [
    Case { line: "POST /nowhere", headers: "", status: 404 },
    Case { line: "PUT /payments", headers: "", status: 405 },
    Case { line: "GET /payments", headers: "", status: 405 },
    Case { line: "POST /payments", headers: "content-type: application/json\r\n", status: 401 },
    Case { line: "POST /reservations", headers: "queue-token: nonsense\r\n", status: 401 },
    Case { line: "POST /admin/concerts", headers: "authorization: Bearer wrong\r\n", status: 401 },
    Case { line: "DELETE /queue/token", headers: "", status: 401 },
];

fn head(case: &Case, length: usize) -> Vec<u8> {
    let Case { line, headers, .. } = case;
    format!("{line} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {length}\r\n{headers}\r\n").into_bytes()
}

/// One reply of a connection that stays open: its status, read to the end of its body.
async fn reply(stream: &mut TcpStream) -> u16 {
    let reading = async {
        let mut bytes = Vec::new();
        loop {
            let mut some = [0; 4_096];
            let length = stream.read(&mut some).await.expect("no reset");
            assert!(length > 0, "the connection stays open");
            bytes.extend_from_slice(&some[..length]);
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length: usize =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).expect("a length");
            if body.len() >= length {
                return head.split(' ').nth(1).unwrap().parse().unwrap();
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("a reply in time")
}

async fn assert_alive(stream: &mut TcpStream) {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.expect("an open connection");
    assert_eq!(reply(stream).await, 200);
}

async fn sale() -> Sale {
    let sale = start(&[]).await;
    sale.concert(&json!({})).await;
    sale
}

#[tokio::test]
async fn the_answer_comes_whole_and_the_connection_stays_usable() {
    let sale = sale().await;
    for case in CASES {
        let mut stream = connect(sale.instance.base()).await;
        for _ in 0..10 {
            // A proxy sends head and body in one go.
            stream.write_all(&[head(&case, BODY), vec![b'x'; BODY]].concat()).await.unwrap();
            assert_eq!(reply(&mut stream).await, case.status, "{}", case.line);
            assert_alive(&mut stream).await;
            // A phone sends the body after the answer has come.
            stream.write_all(&head(&case, BODY)).await.unwrap();
            assert_eq!(reply(&mut stream).await, case.status, "{}", case.line);
            for _ in 0..BODY / 1_024 {
                stream.write_all(&[b'x'; 1_024]).await.expect("no reset");
            }
            assert_alive(&mut stream).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_calls_too_often_gets_its_whole_answer() {
    let settings = [("ONSALE_RATE_LIMIT_PER_SECOND", "1"), ("ONSALE_RATE_LIMIT_LOOPBACK", "true")];
    let sale = start(&settings).await;
    let case = Case { line: "PATCH /point/ada/charge", headers: "content-type: text/plain\r\n", status: 429 };
    let mut stream = connect(sale.instance.base()).await;
    let mut refused = 0;
    for _ in 0..40 {
        stream.write_all(&[head(&case, BODY), vec![b'x'; BODY]].concat()).await.unwrap();
        match reply(&mut stream).await {
            429 => refused += 1,
            status => assert_eq!(status, 415),
        }
    }
    assert!(refused > 20, "{refused}");
}

#[tokio::test]
async fn chunked_bodies_are_discarded_too() {
    let sale = sale().await;
    let mut stream = connect(sale.instance.base()).await;
    for _ in 0..10 {
        let chunk = [b"1000\r\n".to_vec(), vec![b'x'; 0x1000], b"\r\n".to_vec()].concat();
        let head = b"POST /nowhere HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        stream.write_all(&[head, chunk.repeat(15), b"0\r\n\r\n".to_vec()].concat()).await.unwrap();
        assert_eq!(reply(&mut stream).await, 404);
        assert_alive(&mut stream).await;
    }
}

/// Sends all of a request before it reads, as a simple client does; the status of the answer.
async fn send_then_read(base: &str, head: &[u8], length: usize) -> u16 {
    let mut stream = connect(base).await;
    stream.write_all(head).await.unwrap();
    let chunk = vec![b'x'; 64 * 1024];
    let mut left = length;
    while left > 0 {
        let some = left.min(chunk.len());
        // The server may end its side, but it goes on reading for a while.
        stream.write_all(&chunk[..some]).await.expect("no reset while the client sends");
        left -= some;
    }
    raw::read(stream).await.expect("a whole answer").status
}

#[tokio::test]
async fn a_body_over_every_bound_gets_its_answer() {
    let sale = sale().await;
    let base = sale.instance.base();
    for (line, status) in [("PATCH /point/ada/charge", 413), ("POST /nowhere", 404)] {
        for length in [65 * 1_024 + 1, 3 * 1_024 * 1_024, 20 * 1_024 * 1_024] {
            let case = Case { line, headers: "content-type: application/json\r\nconnection: close\r\n", status };
            assert_eq!(send_then_read(base, &head(&case, length), length).await, status, "{line}: {length} bytes");
        }
    }
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 0);
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_refused_and_disconnected() {
    let sale = sale().await;
    let mut stream = connect(sale.instance.base()).await;
    let head = "POST /nowhere HTTP/1.1\r\nhost: 127.0.0.1\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = raw::read(stream).await.expect("an answer");
    assert_eq!((reply.status, reply.header("connection")), (404, Some("close")));

    // The same for a body that the call does not take, though it succeeds.
    let mut stream = connect(sale.instance.base()).await;
    let head = "GET /concerts HTTP/1.1\r\nhost: 127.0.0.1\r\nexpect: 100-continue\r\ncontent-length: 40\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = raw::read(stream).await.expect("an answer");
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));

    // A client that gets 100 Continue is served as usual.
    let mut stream = connect(sale.instance.base()).await;
    let body = r#"{"amount": 5}"#;
    let head = format!(
        "PATCH /point/eve/charge HTTP/1.1\r\nhost: 127.0.0.1\r\nexpect: 100-continue\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut start = [0; 25];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut start)).await.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    assert_eq!(raw::read(stream).await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_client_that_never_sends_its_body_does_not_keep_its_connection() {
    let sale = sale().await;
    let mut stream = connect(sale.instance.base()).await;
    stream.write_all(&head(&CASES[0], BODY)).await.unwrap();
    assert_eq!(reply(&mut stream).await, 404);
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok_and(|ended| ended.is_ok()) && rest.is_empty(), "the connection ends in time, without a reset");
}
