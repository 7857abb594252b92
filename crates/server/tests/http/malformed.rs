//! Bytes that are not a request get a problem document.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixture::Fixture;
use crate::support::raw::{RawReply, connect, exchange, exchange_and_close, request};
use crate::support::start;

fn is_explained(reply: Option<RawReply>, statuses: &[u16], what: &str) {
    let reply = reply.unwrap_or_else(|| panic!("{what}: no answer"));
    assert!(statuses.contains(&reply.status), "{what}: {reply:?}");
    assert_eq!(reply.code(), "malformed-request", "{what}: {reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{what}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{what}");
    assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()), "{what}");
    assert_eq!(reply.header("connection"), Some("close"), "{what}");
    assert!(reply.header("x-request-id").is_some(), "{what}: {reply:?}");
    let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(problem["status"], reply.status, "{what}");
}

#[tokio::test]
async fn bytes_that_are_not_http_get_a_problem() {
    let sale = start(&[]).await;
    let base = sale.instance.base();
    let charge =
        |headers: &str| format!("PATCH /point/ada/charge HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n\r\n{{}}");
    let get = |headers: &str| format!("GET /lectures HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n\r\n");
    let table = [
        "GARBAGE\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "GET  /lectures HTTP/1.1\r\n\r\n".to_owned(),
        "G@T /lectures HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        "G(T) /lectures HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        "GET /a b HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        "GET /lectures HTTP/9.9\r\nhost: localhost\r\n\r\n".to_owned(),
        "GET /lectures HTTP/2.0\r\nhost: localhost\r\n\r\n".to_owned(),
        "GET /lectures HTTQ/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        "GET /lectures HTTP/1.1 HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}\r\n\r\n".to_owned(),
        get("bad header"),
        get("bad header: 1"),
        get(": 1"),
        get("a\u{0}: b"),
        get("a: b\u{0}c"),
        get("content-length: 5\r\ncontent-length: 12"),
        charge("content-length: -1"),
        charge("content-length: 2x"),
        charge("content-length: 2, 3"),
        charge("content-length: 99999999999999999999"),
        charge("transfer-encoding: gzip"),
        charge("transfer-encoding: chunked, gzip"),
        "PATCH /point/ada/charge HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
    ];
    for request in table {
        let what = request.escape_debug().take(120).collect::<String>();
        is_explained(exchange(base, request.as_bytes()).await, &[400], &what);
    }
    for bytes in
        [&b"GET /point/\xff HTTP/1.1\r\nhost: localhost\r\n\r\n"[..], b"GET /\xc3 HTTP/1.1\r\nhost: localhost\r\n\r\n"]
    {
        is_explained(exchange(base, bytes).await, &[400], &String::from_utf8_lossy(bytes));
    }
    sale.caller.get("/healthz").expect(200).await;
}

#[tokio::test]
async fn a_request_head_that_is_too_large_gets_a_problem() {
    let sale = start(&[]).await;
    let base = sale.instance.base();
    let long = "x".repeat(150_000);
    let table = [
        (format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n"), &[414, 431][..]),
        (format!("GET /lectures?{long} HTTP/1.1\r\nhost: localhost\r\n\r\n"), &[414, 431]),
        (format!("GET /lectures HTTP/1.1\r\nhost: localhost\r\nqueue-token: {long}\r\n\r\n"), &[431]),
        (format!("GET /lectures HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "a: b\r\n".repeat(101)), &[431]),
        (format!("GET /lectures HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "a: b\r\n".repeat(25_000)), &[431]),
    ];
    for (request, statuses) in table {
        let what: String = request.chars().take(60).collect();
        is_explained(exchange(base, request.as_bytes()).await, statuses, &what);
    }
    sale.caller.get("/healthz").expect(200).await;
}

/// hyper answers neither an incomplete head nor HTTP/2.
#[tokio::test]
async fn an_incomplete_request_head_gets_a_problem() {
    let sale = start(&[]).await;
    let base = sale.instance.base();
    let whole = "GET /lectures HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for length in [1, 3, 4, 13, 22, 24, 30, whole.len() - 1] {
        is_explained(exchange_and_close(base, &whole.as_bytes()[..length]).await, &[400], &whole[..length]);
    }
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    is_explained(exchange(base, preface.as_bytes()).await, &[400], preface);
    is_explained(exchange_and_close(base, preface.as_bytes()).await, &[400], preface);
    assert!(exchange_and_close(base, b"").await.is_none(), "a client that asks for nothing gets nothing");
    let answered = exchange_and_close(base, whole.as_bytes()).await.unwrap();
    assert_eq!(answered.status, 200);
    assert!(!String::from_utf8_lossy(&answered.body).contains("HTTP/1.1"), "and one answer to one request");
}

/// Garbage behind a sound request: both are answered, in order.
#[tokio::test]
async fn requests_before_a_malformed_one_are_answered_first() {
    let sale = start(&[]).await;
    let sound = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for count in [1, 2, 200] {
        let mut stream = connect(sale.instance.base()).await;
        let all = format!("{}GARBAGE\r\n\r\n", sound.repeat(count));
        stream.write_all(all.as_bytes()).await.unwrap();
        let mut text = String::new();
        tokio::time::timeout(onsale_testing::PATIENCE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), count);
        assert_eq!(text.matches("HTTP/1.1 400 Bad Request").count(), 1, "{text}");
        assert!(text.ends_with('}') && text.contains("\"code\":\"malformed-request\""), "{text}");
    }
}

#[tokio::test]
async fn a_malformed_chunk_gets_a_problem() {
    let sale = start(&[]).await;
    let base = sale.instance.base();
    let headers: [&[u8]; 2] = [b"content-type: application/json", b"transfer-encoding: chunked"];
    for chunks in ["x\r\n", "5\r\nabcdexx", "ffffffffffffffffff\r\n", "-1\r\n", "4\r\n{\"am\r\nzz\r\n", "\r\n\r\n"] {
        let mut bytes = request(b"PATCH /point/ada/charge", &headers, b"");
        bytes.extend_from_slice(chunks.as_bytes());
        let reply = exchange(base, &bytes).await.unwrap_or_else(|| panic!("no answer: {chunks:?}"));
        assert_eq!((reply.status, reply.code().as_str()), (400, "malformed-request"), "{chunks:?}: {reply:?}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{chunks:?}");
    }
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 0);
}

#[tokio::test]
async fn a_path_that_is_not_utf_8_gets_a_problem() {
    let fixture = Fixture::start().await;
    let values = ["%ff", "%C3", "%ED%A0%80", "a%80", "%c0%af"];
    for operation in &fixture.operations {
        for name in operation.parameters("path") {
            for value in values {
                let template = operation.template.replace(&format!("{{{name}}}"), value);
                let mut call = fixture.call(operation, &template);
                if operation.takes_a_body() {
                    call = call.json(&fixture.body(operation));
                }
                call.refused(400, "malformed-request").await;
            }
        }
    }
    for value in values {
        for path in ["/assets/", "/events/schemas/"] {
            fixture.sale.caller.get(&format!("{path}{value}")).refused(400, "malformed-request").await;
        }
    }
}
