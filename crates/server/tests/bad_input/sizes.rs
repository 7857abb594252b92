//! Bodies that are too large, with and without a `Content-Length`.

use hyper::Method;

use crate::fixture::Fixture;
use crate::support::raw::{exchange, request};

/// The largest body there may be.
const BODY_MAX: usize = 64 * 1024;

/// A body that is valid except for its length.
fn padded(body: &str, length: usize) -> String {
    format!("{body}{}", " ".repeat(length - body.len()))
}

#[tokio::test]
async fn a_body_over_64_kib_is_refused() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    for operation in fixture.operations.iter().filter(|operation| operation.method != Method::GET) {
        let body = if operation.takes_a_body() { fixture.body(operation).to_string() } else { "{}".to_owned() };
        // A layout of a hall, the scans of a door and a list of codes may be larger.
        let is_large = ["createPerformance", "createCheckIns", "createCodes"].contains(&operation.id.as_str());
        let most = if is_large { 1024 * 1024 } else { BODY_MAX };
        for length in [most + 1, 2 * most, 1024 * 1024 + 1] {
            let call = fixture.call(operation, &operation.template).header("content-type", "application/json");
            call.bytes(padded(&body, length)).refused(413, "body-too-large").await;
        }
    }
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn a_body_of_exactly_64_kib_is_read() {
    let fixture = Fixture::start().await;
    let call = fixture.sale.caller.patch("/point/eve/charge").header("content-type", "application/json");
    let wallet = call.bytes(padded("{\"amount\":7}", BODY_MAX)).expect(200).await;
    assert_eq!(wallet["balance"], 7);
}

/// A body in chunks of this size.
fn chunked(body: &str, size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.as_bytes().chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

#[tokio::test]
async fn the_limit_on_bodies_holds_for_the_sum_of_chunks() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let headers: [&[u8]; 2] = [b"content-type: application/json", b"transfer-encoding: chunked"];
    let proofs = fixture.proofs();
    let headers: Vec<&[u8]> = headers.into_iter().chain(proofs.iter().map(String::as_bytes)).collect();
    for (line, body) in [
        ("PATCH /point/ada/charge", "{\"amount\":1}"),
        ("POST /lectures/apply", "{}"),
        ("POST /reservations", "{}"),
        ("POST /payments", "{}"),
        ("DELETE /queue/token", ""),
    ] {
        for (length, size) in [(BODY_MAX + 1, 1_000), (BODY_MAX + 1, 70_000), (1024 * 1024, 10_000)] {
            let mut bytes = request(line.as_bytes(), &headers, b"");
            bytes.extend_from_slice(&chunked(&padded(body, length), size));
            let reply = exchange(fixture.sale.instance.base(), &bytes).await.unwrap();
            assert_eq!((reply.status, reply.code().as_str()), (413, "body-too-large"), "{line}");
        }
    }
    fixture.is_as_before(&before).await;

    let mut bytes = request(b"PATCH /point/eve/charge", &headers, b"");
    bytes.extend_from_slice(&chunked(&padded("{\"amount\":7}", BODY_MAX), 999));
    assert_eq!(exchange(fixture.sale.instance.base(), &bytes).await.unwrap().status, 200, "chunks are well");
}
