//! Cache headers and `X-Content-Type-Options` of every answer.

use std::collections::BTreeMap;

use hyper::Method;
use onsale_testing::{Caller, PATIENCE, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixture::{Fixture, Operation};
use crate::support::raw::{connect, request};

/// Operations whose successes have their own cache headers. All others, and every problem, are `no-store`.
const KEPT: [(&str, &str); 7] = [
    ("listConcerts", "public, max-age=1"),
    ("listLectures", "public, max-age=1"),
    ("listConcertDates", "private, no-cache"),
    ("listConcertSeats", "private, no-cache"),
    ("listConcertSections", "private, no-cache"),
    ("getOpenapi", "no-cache"),
    // Of a list that is drawn.
    ("listDrawEntries", "public, max-age=31536000, immutable"),
];

fn is_marked(reply: &Reply, kept: &str) {
    assert_eq!(reply.headers.get_all("cache-control").iter().count(), 1, "{}", reply.call);
    assert_eq!(reply.header("cache-control"), Some(kept), "{} {}", reply.call, reply.status);
    assert_eq!(reply.headers.get_all("x-content-type-options").iter().count(), 1, "{}", reply.call);
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{}", reply.call);
}

/// The head of an answer that may never end.
async fn head_of(base: &str, path: &str, proof: &str) -> String {
    let mut stream = connect(base).await;
    stream.write_all(&request(format!("GET {path}").as_bytes(), &[proof.as_bytes()], b"")).await.unwrap();
    let mut bytes = Vec::new();
    let reading = async {
        while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
            assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the answer broke off");
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("a head in time");
    String::from_utf8(bytes).unwrap().to_lowercase()
}

/// A valid call of an operation, and its status.
async fn success(fixture: &Fixture, operation: &Operation) {
    let kept = KEPT.iter().find(|(id, _)| *id == operation.id).map_or("no-store", |(_, kept)| kept);
    if operation.id == "followQueuePlace" {
        let head = head_of(fixture.sale.instance.base(), &operation.template, &fixture.proofs()[0]).await;
        assert!(head.starts_with("http/1.1 200") && head.contains("\r\ncache-control: no-store"), "{head}");
        assert!(head.contains("\r\nx-content-type-options: nosniff\r\n"), "{head}");
        return;
    }
    let mut call = fixture.call(operation, &operation.template);
    if operation.takes_a_body() {
        call = call.json(&fixture.body(operation));
    }
    let reply = call.send().await;
    // The places of this draw are drawn, without a beacon, and the order of a room in use stays.
    if ["putBeacon", "updateQueueSettings"].contains(&operation.id.as_str()) {
        return is_marked(&reply, "no-store");
    }
    assert!(reply.status.is_success(), "{}: {}", reply.call, reply.code());
    is_marked(&reply, kept);
    if let Some(tag) = reply.header("etag") {
        let again = fixture.call(operation, &operation.template).header("if-none-match", tag).send().await;
        assert_eq!(again.status, 304, "{}", again.call);
        is_marked(&again, kept);
    }
}

/// Problems of an operation: with an unknown parameter, with a method that its path does not take, from a foreign host.
async fn problems(fixture: &Fixture, operation: &Operation) {
    let base = fixture.sale.instance.base();
    if !operation.is_operators() {
        let mut call = fixture.call(operation, &format!("{}?unknown=1", operation.template));
        if operation.takes_a_body() {
            call = call.json(&fixture.body(operation));
        }
        let reply = call.send().await;
        reply.refused(422, "invalid-request");
        is_marked(&reply, "no-store");
    }
    let path = fixture.path(operation, &operation.template);
    let other = fixture.sale.caller.call(Method::TRACE, &path).send().await;
    other.refused(405, "method-not-allowed");
    is_marked(&other, "no-store");
    let foreign = Caller::new(base).call(operation.method.clone(), &path).header("host", "evil.example").send().await;
    foreign.refused(403, "origin-not-allowed");
    is_marked(&foreign, "no-store");
}

/// Every operation in the document, and so every one that is added to it.
#[tokio::test]
async fn every_operation_states_how_its_answers_may_be_cached() {
    let fixture = Fixture::start().await;
    for operation in &fixture.operations {
        problems(&fixture, operation).await;
    }
    for operation in fixture.operations.iter().filter(|operation| operation.method == Method::GET) {
        success(&fixture, operation).await;
    }
    // A write may end what the next call needs.
    let writes = fixture.operations.iter().filter(|operation| operation.method != Method::GET);
    let mut tried = BTreeMap::new();
    for write in writes {
        let fixture = Fixture::start().await;
        let before = match write.id.as_str() {
            "cancelLectureApplication" | "removeApplication" => Some("applyForLecture"),
            "deleteCode" => Some("createCodes"),
            _ => None,
        };
        if let Some(before) = before {
            success(&fixture, fixture.operations.iter().find(|operation| operation.id == before).unwrap()).await;
        }
        success(&fixture, write).await;
        tried.insert(write.id.clone(), ());
    }
    assert!(tried.len() > 10, "{tried:?}");
}

#[tokio::test]
async fn answers_outside_of_operations_have_cache_headers_too() {
    let fixture = Fixture::start().await;
    let caller = Caller::new(fixture.sale.instance.base());
    for (method, path, status) in [
        (Method::GET, "/nowhere", 404),
        (Method::POST, "/nowhere", 404),
        (Method::GET, "/lectures/", 404),
        (Method::OPTIONS, "/lectures", 405),
        (Method::HEAD, "/nowhere", 404),
        (Method::GET, "/point/%ff", 400),
        (Method::GET, "/assets/none.js", 404),
        (Method::GET, "/events/schemas/none", 404),
    ] {
        let reply = caller.call(method, path).send().await;
        assert_eq!(reply.status, status, "{}", reply.call);
        is_marked(&reply, "no-store");
    }
    for path in ["/", "/desk", "/docs", "/assets/style.css", "/events/schemas", "/events/schemas/onsale.points.used.v1"]
    {
        let reply = caller.get(path).send().await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(reply.header("cache-control").is_some(), "{path}");
    }
    let limited =
        crate::support::start(&[("ONSALE_RATE_LIMIT_PER_SECOND", "1"), ("ONSALE_RATE_LIMIT_LOOPBACK", "true")]);
    let limited = limited.await;
    let caller = Caller::new(limited.instance.base());
    let refused = async || {
        let reply = caller.get("/point/ada").send().await;
        is_marked(&reply, "no-store");
        (reply.status == 429).then_some(())
    };
    crate::support::until("a request is one too many", refused).await;
}
