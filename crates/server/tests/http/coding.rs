//! Content codings: request bodies have none, and answers have the one that the client prefers.

use hyper::Method;

use crate::fixture::Fixture;
use crate::support::raw::{exchange, request};

const CODED: [&str; 8] = ["gzip", "GZIP", "br", "deflate", "x-gzip", "zstd", "identity, gzip", "none"];

#[tokio::test]
async fn every_route_with_a_body_refuses_a_content_encoding() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let mut tried = 0;
    for operation in fixture.operations.iter().filter(|operation| operation.method != Method::GET) {
        for coding in CODED {
            let mut call = fixture.call(operation, &operation.template).header("content-encoding", coding);
            call = if operation.takes_a_body() { call.json(&fixture.body(operation)) } else { call.bytes("{}") };
            let reply = call.send().await;
            reply.refused(415, "unsupported-media-type");
            assert_eq!(reply.header("accept-encoding"), Some("identity"), "{}", operation.id);
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
    let base = fixture.sale.instance.base();
    for line in ["GET /lectures", "GET /point/ada", "HEAD /healthz"] {
        let reply = exchange(base, &request(line.as_bytes(), &[b"content-encoding: gzip"], b"{}")).await.unwrap();
        assert_eq!(reply.status, 415, "{line}: {reply:?}");
        let reply = exchange(base, &request(line.as_bytes(), &[b"content-encoding: gzip"], b"")).await.unwrap();
        assert_eq!(reply.status, 200, "without a body there is nothing to decode: {line}: {reply:?}");
    }
    let two: [&[u8]; 3] = [b"content-type: application/json", b"content-encoding: identity", b"content-encoding: br"];
    let reply = exchange(base, &request(b"PATCH /point/ada/charge", &two, b"{\"amount\":1}")).await.unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (415, "unsupported-media-type"));
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn content_encoding_identity_is_accepted() {
    let fixture = Fixture::start().await;
    let base = fixture.sale.instance.base();
    for coding in ["identity", "Identity", "identity, identity", "", ","] {
        let header = format!("content-encoding: {coding}");
        let headers: [&[u8]; 2] = [b"content-type: application/json", header.as_bytes()];
        let reply = exchange(base, &request(b"PATCH /point/ada/charge", &headers, b"{\"amount\":1}")).await.unwrap();
        assert_eq!(reply.status, 200, "{coding:?}: {reply:?}");
    }
    let operation = fixture.operations.iter().find(|operation| operation.id == "leaveQueue").unwrap();
    let call = fixture.call(operation, &operation.template).header("content-encoding", "gzip");
    call.expect(204).await;
}

/// A refusal because of the coding is not stored under its key.
#[tokio::test]
async fn the_key_of_a_refused_coding_may_be_used_again() {
    let fixture = Fixture::start().await;
    let charge = || fixture.sale.caller.patch("/point/ada/charge").key("once").json(&serde_json::json!({"amount": 1}));
    charge().header("content-encoding", "gzip").refused(415, "unsupported-media-type").await;
    let reply = charge().send().await;
    reply.expect(200);
    assert_eq!(reply.header("idempotency-replayed"), None);
}
