//! Unusual methods, paths and headers, and bytes that are hardly HTTP.

use std::collections::BTreeMap;

use hyper::Method;
use onsale_testing::Caller;
use tokio::io::AsyncWriteExt;

use crate::fixture::Fixture;
use crate::support::raw::{RawReply, connect, exchange, exchange_and_close, request};

const METHODS: [&str; 8] = ["GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "TRACE", "PROPFIND"];

#[tokio::test]
async fn a_405_names_the_allowed_methods() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let mut taken: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for operation in &fixture.operations {
        let path = fixture.path(operation, &operation.template);
        taken.entry(path.split('?').next().unwrap().to_owned()).or_default().push(operation.method.as_str());
    }
    for (path, methods) in &taken {
        for method in METHODS.iter().filter(|method| !methods.contains(method)) {
            let method: Method = method.parse().unwrap();
            let reply = fixture.sale.caller.call(method.clone(), path).send().await;
            reply.refused(405, "method-not-allowed");
            let allow: Vec<&str> = reply.header("allow").unwrap().split(',').map(str::trim).collect();
            let others = allow.iter().filter(|method| **method != "HEAD");
            let mut others: Vec<&str> = others.copied().collect();
            others.sort_unstable();
            let mut expected = methods.clone();
            expected.sort_unstable();
            assert_eq!(others, expected, "{method} {path}");
        }
    }
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn a_head_request_gets_the_headers_of_a_get() {
    let fixture = Fixture::start().await;
    // Replies to HEAD are not in the document.
    let caller = Caller::new(fixture.sale.instance.base());
    let (proof, key) = (fixture.proofs(), "an-admin-key-for-tests-only");
    for operation in &fixture.operations {
        let path = fixture.path(operation, &operation.template);
        let is_stream = ["followQueuePlace", "followConcertSeats"].contains(&operation.id.as_str());
        if operation.method != Method::GET || is_stream {
            continue;
        }
        let send = |method| {
            let token = proof[0].strip_prefix("queue-token: ").unwrap();
            caller.call(method, &path).token(token).bearer(key).send()
        };
        let (get, head) = (send(Method::GET).await, send(Method::HEAD).await);
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        for name in ["content-type", "content-disposition"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
    }
    for path in ["/payments", "/reservations", "/queue/tokens", "/lectures/apply"] {
        assert_eq!(caller.call(Method::HEAD, path).send().await.status, 405, "{path}");
    }
    assert_eq!(caller.call(Method::HEAD, "/nowhere").send().await.status, 404);
}

/// Expects a refusal as a problem, or at least a 4xx status if the bytes are hardly HTTP.
fn is_refusal(what: &str, reply: Option<RawReply>) {
    let Some(reply) = reply else { return };
    assert!((400..500).contains(&reply.status), "{what}: {reply:?}");
    if !reply.body.is_empty() {
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{what}: {reply:?}");
        assert!(!reply.code().is_empty(), "{what}: {reply:?}");
    }
}

#[tokio::test]
async fn unknown_paths_answer_404() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let paths = [
        "/nowhere",
        "//",
        "///",
        "/lectures/",
        "/LECTURES",
        "/Lectures",
        "/lectures//",
        "//lectures",
        "/lectures%2F",
        "/./lectures",
        "/..",
        "/../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/.git/config",
        "/point",
        "/point/",
        "/point/ada/",
        "/point/ada/charge/",
        "/point/ada/x",
        "/admin",
        "/admin/",
        "/admin/x",
        "/queue",
        "/users/ada",
        "/concerts/",
        "/favicon.ico.php",
        "/onsale.db",
        "/assets",
        "/assets/",
        "/assets/..",
        "/assets/..%2f..%2fCargo.toml",
        "/assets/%2e%2e%2fx",
        "/assets/x.js",
        "/docs/x",
        "/openapi.json/",
        "/healthz/x",
        "/;/lectures",
        "/lectures;x=1",
        "/%",
        "/%zz",
        "/%00",
        "/%ff",
        "/%0d%0a",
    ];
    for path in paths {
        // A HEAD request asks whether the asset exists.
        let methods = if path.starts_with("/assets/") { &["GET"][..] } else { &["GET", "POST", "DELETE"] };
        for method in methods {
            let line = format!("{method} {path}");
            let reply = exchange(fixture.sale.instance.base(), &request(line.as_bytes(), &[], b"")).await.unwrap();
            assert_eq!((reply.status, reply.code().as_str()), (404, "not-found"), "{line}");
        }
    }
    let long = format!("GET /{}", "a".repeat(8_000));
    is_refusal("a long path", exchange(fixture.sale.instance.base(), &request(long.as_bytes(), &[], b"")).await);
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn unusual_request_targets_are_answered() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let base = fixture.sale.instance.base();
    for target in [
        "/point/%zz",
        "/point/%",
        "/point/ada%0d%0aX-A:%20b",
        "/point/ada;x=1",
        "/point//histories",
        "/point/ada%2f",
        "/point/%2561",
    ] {
        let reply = exchange(base, &request(format!("GET {target}").as_bytes(), &[], b"")).await.unwrap();
        assert!((400..500).contains(&reply.status) && !reply.code().is_empty(), "{target}: {reply:?}");
    }
    let lines: [&[u8]; 8] = [
        b"GET /lectures?%",
        b"GET /lectures?%ff=1",
        b"GET /lectures?limit=%ff",
        b"GET /point/\xc3\xa9",
        b"GET /point/\xff",
        b"OPTIONS *",
        b"CONNECT localhost:80",
        b"GET lectures",
    ];
    for line in lines {
        is_refusal(&String::from_utf8_lossy(line), exchange(base, &request(line, &[], b"")).await);
    }
    let absolute = exchange(base, &request(b"GET http://localhost/lectures", &[], b"")).await.unwrap();
    assert_eq!(absolute.status, 200, "RFC 9112, section 3.2.2");
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn unusual_headers_are_answered() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let base = fixture.sale.instance.base();
    let long = "x".repeat(8_000);
    let headers = |name: &str| {
        let mut values: Vec<Vec<u8>> = vec![b"".to_vec(), b"\xff\xfe".to_vec(), b"\xc3\xa9".to_vec(), b"a\tb".to_vec()];
        values.extend([long.as_bytes().to_vec(), b"Bearer".to_vec(), b"Bearer ".to_vec(), b"Bearer \xff".to_vec()]);
        values.into_iter().map(|value| [name.as_bytes(), b": ", &value].concat()).collect::<Vec<_>>()
    };
    for (line, name, status) in [
        ("GET /queue/token", "queue-token", 401),
        ("POST /reservations", "queue-token", 401),
        ("POST /admin/lectures", "authorization", 401),
        ("GET /admin/concerts/x/queue", "authorization", 401),
        ("POST /lectures/apply", "content-type", 415),
    ] {
        for header in headers(name) {
            let reply = exchange(base, &request(line.as_bytes(), &[&header], b"")).await.unwrap();
            let what = format!("{line} with {}", String::from_utf8_lossy(&header));
            assert_eq!(reply.status, status, "{what}");
            assert!(!reply.code().is_empty(), "{what}");
        }
    }
    for name in
        ["accept", "accept-encoding", "x-request-id", "forwarded", "x-forwarded-for", "if-none-match", "user-agent"]
    {
        for header in headers(name) {
            let reply = exchange(base, &request(b"GET /lectures", &[&header], b"")).await.unwrap();
            assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&header));
        }
    }
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn bytes_that_are_hardly_http_do_not_disturb_other_clients() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let base = fixture.sale.instance.base();
    let huge = "x".repeat(200_000);
    let many = "a: b\r\n".repeat(5_000);
    let requests = [
        "\r\n\r\n\r\n".to_owned(),
        "GARBAGE\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "GET /lectures HTTP/1.1 HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET /{huge} HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!("GET /lectures HTTP/1.1\r\nhost: x\r\nqueue-token: {huge}\r\n\r\n"),
        format!("GET /lectures HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
        "GET /lectures HTTP/1.1\r\nbad header\r\n\r\n".to_owned(),
        "GET /lectures HTTP/1.1\r\nhost: x\r\na\u{0}: b\r\n\r\n".to_owned(),
        "PATCH /point/ada/charge HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n{\"amount\":1}".to_owned(),
        "PATCH /point/ada/charge HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n".to_owned(),
        "PATCH /point/ada/charge HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 12\r\n\r\n{\"amount\":1}"
            .to_owned(),
        "PATCH /point/ada/charge HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n{\"amount\":1}".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ];
    for request in requests {
        let bytes = [request.as_bytes(), b"\r\n\r\n"].concat();
        let what: String = request.chars().take(80).collect();
        is_refusal(&what, exchange_and_close(base, &bytes).await);
    }
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn a_request_whose_client_hangs_up_halfway_changes_nothing() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let whole = request(b"PATCH /point/ada/charge", &[b"content-type: application/json"], b"{\"amount\":100}");
    for length in (1..whole.len()).step_by(7) {
        let mut stream = connect(fixture.sale.instance.base()).await;
        stream.write_all(&whole[..length]).await.unwrap();
        drop(stream);
    }
    for bad in ["x\r\n", "5\r\nabc", "ffffffffffffffffff\r\n", "-1\r\n", "4\r\n{\"am\r\nzz\r\n"] {
        let headers: [&[u8]; 2] = [b"content-type: application/json", b"transfer-encoding: chunked"];
        let mut bytes = request(b"PATCH /point/ada/charge", &headers, b"");
        bytes.extend_from_slice(bad.as_bytes());
        let mut stream = connect(fixture.sale.instance.base()).await;
        stream.write_all(&bytes).await.unwrap();
        drop(stream);
    }
    fixture.is_as_before(&before).await;
}
