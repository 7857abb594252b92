//! Bodies that are not JSON, not an object, or of another media type.

use hyper::Method;
use serde_json::Value;

use crate::fixture::{Fixture, Operation};
use crate::support::count;

fn bodies(fixture: &Fixture) -> Vec<&Operation> {
    fixture.operations.iter().filter(|operation| operation.takes_a_body()).collect()
}

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed_request() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let deep = "[".repeat(60_000);
    let broken: [&[u8]; 22] = [
        b"",
        b" ",
        b"{",
        b"}",
        b"{\"amount\"",
        b"{\"amount\":}",
        b"{\"amount\":5",
        b"{\"amount\":5}}",
        b"{\"amount\":5} {\"amount\":5}",
        b"{\"amount\":5,}",
        b"{'amount':5}",
        b"{amount:5}",
        b"{\"amount\":05}",
        b"{\"amount\":NaN}",
        b"{\"amount\":+5}",
        b"{\"amount\":5}//",
        b"\xef\xbb\xbf{\"amount\":5}",
        b"{\"userId\":\"\xff\"}",
        b"{\"\xc3\":5}",
        b"{\"userId\":\"a\nb\"}",
        b"\x00",
        deep.as_bytes(),
    ];
    for operation in bodies(&fixture) {
        let may_be_absent = operation.described["requestBody"]["required"] == false;
        for body in broken.into_iter().filter(|body| !may_be_absent || !body.is_empty()) {
            let call = fixture.call(operation, &operation.template).header("content-type", "application/json");
            call.bytes(body.to_vec()).refused(400, "malformed-request").await;
        }
    }
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn a_body_that_is_not_an_object_is_invalid_request() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    for operation in bodies(&fixture) {
        for body in ["[]", "null", "true", "5", "-5.5e3", "\"amount\"", "[{\"amount\":5}]"] {
            let call = fixture.call(operation, &operation.template).header("content-type", "application/json");
            call.bytes(body).refused(422, "invalid-request").await;
        }
    }
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn a_media_type_other_than_json_is_refused() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let types = [
        None,
        Some(""),
        Some("json"),
        Some("text/plain"),
        Some("text/json"),
        Some("application/xml"),
        Some("application/jsonp"),
        Some("application/json-patch+json"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
    ];
    for operation in bodies(&fixture) {
        let content = &operation.described["requestBody"]["content"];
        // One call also takes its JSON as a text.
        let is_taken = |media_type: Option<&str>| media_type.is_some_and(|known| content[known].is_object());
        for media_type in types.into_iter().filter(|media_type| !is_taken(*media_type)) {
            let call = fixture.call(operation, &operation.template).bytes(fixture.body(operation).to_string());
            let call = match media_type {
                Some(media_type) => call.header("content-type", media_type),
                None => call,
            };
            call.refused(415, "unsupported-media-type").await;
        }
    }
    fixture.is_as_before(&before).await;
    for media_type in
        ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=UTF-8"]
    {
        let call = fixture.sale.caller.patch("/point/eve/charge").header("content-type", media_type);
        call.bytes("{\"amount\":1}").expect(200).await;
    }
}

#[tokio::test]
async fn unusual_values_get_a_4xx_and_never_a_5xx() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let nested = format!("{}1{}", "[".repeat(30_000), "]".repeat(30_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(9_000), "}".repeat(9_000));
    let many: Vec<String> = (0..4_000).map(|n| format!("\"k{n}\":{n}")).collect();
    let same = vec!["\"amount\":1"; 4_000].join(",");
    let values =
        ["1e400", "-1e400", "1e3", "5.0", "-0", "\"\\ud800\"", "\"\\udc00x\"", "\"\\u0000\"", &nested, &objects];
    for operation in bodies(&fixture) {
        let sound = match fixture.body(operation) {
            Value::Object(sound) => sound,
            // An object in the place of the list is wrong, whatever its members are.
            other => other[0].as_object().unwrap().clone(),
        };
        for value in values {
            // If the replaced member accepts the value, the unknown member makes the body invalid.
            let mut text: Vec<String> = sound.keys().map(|name| format!("\"{name}\":{value}")).collect();
            text.push("\"unknown\":1".to_owned());
            let body = format!("{{{}}}", text.join(","));
            let call = fixture.call(operation, &operation.template).header("content-type", "application/json");
            let reply = if body.len() > 60_000 {
                let first = text.first().unwrap();
                call.bytes(format!("{{{first}}}")).send().await
            } else {
                call.bytes(body).send().await
            };
            assert!(reply.status.is_client_error(), "{}: {}: {:?}", operation.id, &value[..value.len().min(20)], reply);
        }
        let bodies = [format!("{{{}}}", many.join(",")), format!("{{{same}}}")];
        let mut replies = Vec::new();
        for body in bodies {
            let call = fixture.call(operation, &operation.template).header("content-type", "application/json");
            replies.push(call.bytes(body).send().await);
        }
        assert_eq!(count(&replies, 422, "invalid-request"), 2, "{}: {replies:?}", operation.id);
    }
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn a_patch_names_at_least_one_field() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let mut tried = Vec::new();
    for operation in bodies(&fixture).into_iter().filter(|operation| operation.method == Method::PATCH) {
        let call = fixture.call(operation, &operation.template).header("content-type", "application/json");
        let refused = call.bytes("{}").refused(422, "invalid-request").await;
        assert_eq!(refused["errors"].as_array().unwrap().len(), 1, "{}: {refused}", operation.id);
        tried.push(&*operation.id);
    }
    tried.sort_unstable();
    let all =
        ["chargePoints", "updateConcert", "updateLecture", "updatePerformance", "updateQueueSettings", "usePoints"];
    assert_eq!(tried, all);
    fixture.is_as_before(&before).await;
}
