//! The OpenAPI document: valid, complete, the same from every instance, and shown without files of other hosts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod form;
mod pages;
mod proofs;
mod refusals;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use onsale_testing::Sale;
use refusals::REFUSALS;
use serde_json::{Value, json};
use support::{start, text};

/// Every call of the contract.
const CALLS: &str = "
    PATCH /point/{id}/charge
    PATCH /point/{id}/use
    GET /point/{id}
    GET /point/{id}/histories
    GET /lectures
    POST /lectures/apply
    GET /lectures/application/{userId}
    DELETE /lectures/application/{userId}/{lectureId}
    POST /queue/tokens
    GET /queue/token
    GET /queue/token/events
    DELETE /queue/token
    POST /queue/token/leave
    GET /concerts
    GET /concerts/{concertId}/dates
    GET /concerts/{concertId}/sections
    GET /concerts/{concertId}/seats
    GET /concerts/{concertId}/seats/events
    GET /concerts/{concertId}/draw
    GET /concerts/{concertId}/draw/entries
    POST /reservations
    GET /reservations/{reservationId}
    DELETE /reservations/{reservationId}
    POST /payments
    GET /payments/{paymentId}
    POST /payments/{paymentId}/refunds
    GET /payments/{paymentId}/refunds
    GET /payments/{paymentId}/tickets
    GET /payments/{paymentId}/tickets/{ticketId}/code.svg
    GET /payments/{paymentId}/tickets/{ticketId}/print.pdf
    POST /payments/{paymentId}/tickets/{ticketId}/reissue
    GET /users/{userId}/tickets
    GET /tickets/keys
    GET /session
    POST /session/logout
    POST /check-ins
    POST /check-ins/batch
    DELETE /check-ins/{checkInId}
    GET /check-ins/manifest
    GET /admin/performances/{performanceId}/check-ins
    GET /users/{userId}/reservations
    GET /users/{userId}/payments
    GET /users/{userId}/waitlists
    GET /users/{userId}/queue-tokens
    POST /concerts/{concertId}/waitlist
    GET /concerts/{concertId}/waitlist/{userId}
    DELETE /concerts/{concertId}/waitlist/{userId}/{performanceId}
    POST /admin/lectures
    GET /admin/concerts
    POST /admin/concerts
    GET /admin/concerts/{concertId}
    PATCH /admin/concerts/{concertId}
    POST /admin/concerts/{concertId}/holds/extend
    POST /admin/concerts/{concertId}/performances
    PATCH /admin/performances/{performanceId}
    GET /admin/performances/{performanceId}
    GET /admin/performances/{performanceId}/seats
    POST /admin/performances/{performanceId}/seats
    POST /admin/performances/{performanceId}/blocks
    POST /admin/performances/{performanceId}/unblocks
    POST /admin/performances/{performanceId}/holds/extend
    POST /admin/performances/{performanceId}/cancel
    GET /admin/performances/{performanceId}/cancellation
    GET /admin/performances/{performanceId}/cancellation/failed
    POST /admin/payments/{paymentId}/refunds
    GET /admin/performances/{performanceId}/refunds
    GET /admin/performances/{performanceId}/attendees
    GET /admin/performances/{performanceId}/attendees.csv
    GET /admin/lectures/{lectureId}/applicants.csv
    POST /admin/point/{userId}/adjustments
    GET /admin/users/{userId}
    POST /admin/concerts/{concertId}/codes
    GET /admin/concerts/{concertId}/codes
    DELETE /admin/concerts/{concertId}/codes/{code}
    GET /admin/concerts/{concertId}/queue
    PATCH /admin/concerts/{concertId}/queue
    PUT /admin/concerts/{concertId}/draw/beacon
    GET /admin/lectures
    GET /admin/lectures/{lectureId}
    PATCH /admin/lectures/{lectureId}
    GET /admin/lectures/{lectureId}/history
    POST /admin/lectures/{lectureId}/cancel
    GET /admin/lectures/{lectureId}/cancellation
    GET /admin/lectures/{lectureId}/applicants
    GET /admin/lectures/{lectureId}/waitlist
    DELETE /admin/lectures/{lectureId}/applications/{userId}
    POST /admin/keys
    GET /admin/keys
    DELETE /admin/keys/{keyId}
    GET /admin/live
    GET /admin/log
    POST /desk/session
    GET /desk/session
    DELETE /desk/session
    GET /healthz
    GET /readyz
    GET /metrics
    GET /openapi.json
";

/// Calls that need no credential in any mode.
const OPEN: [&str; 11] = [
    "GET /concerts",
    "GET /concerts/{concertId}/draw",
    "GET /concerts/{concertId}/draw/entries",
    "GET /healthz",
    "GET /lectures",
    "GET /metrics",
    "GET /openapi.json",
    "GET /readyz",
    "GET /tickets/keys",
    "POST /desk/session",
    // The token is in the body.
    "POST /queue/token/leave",
];

async fn document() -> (Sale, Value) {
    let sale = start(&[]).await;
    let document = sale.caller.get("/openapi.json").expect(200).await;
    (sale, document)
}

/// Every operation, under its method and path.
fn operations(document: &Value) -> BTreeMap<String, &Value> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, all)| {
        all.as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
    });
    operations.collect()
}

/// The reasons why a value does not fit a schema of the document.
fn errors(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let whole = json!({"allOf": [schema], "components": document["components"]});
    let validator = jsonschema::validator_for(&whole).unwrap();
    validator.iter_errors(value).map(|error| error.to_string()).collect()
}

/// All values under this name, anywhere in the document.
fn all<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get(name));
            members.values().for_each(|value| all(value, name, found));
        }
        Value::Array(items) => items.iter().for_each(|value| all(value, name, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_call_is_described_and_no_other() {
    let (_sale, document) = document().await;
    let described: BTreeSet<&str> = operations(&document)
        .keys()
        .map(String::as_str)
        .map(|call| {
            CALLS
                .lines()
                .map(str::trim)
                .find(|known| *known == call)
                .unwrap_or_else(|| panic!("{call} is in no contract"))
        })
        .collect();
    let expected: BTreeSet<&str> = CALLS.lines().map(str::trim).filter(|call| !call.is_empty()).collect();
    assert_eq!(described, expected);
}

#[tokio::test]
async fn the_document_is_sound() {
    let (_sale, document) = document().await;
    assert!(text(&document["openapi"]).starts_with("3.1."));
    assert!(!text(&document["info"]["title"]).is_empty() && !text(&document["info"]["version"]).is_empty());
    let mut names = BTreeSet::new();
    for (call, operation) in operations(&document) {
        let name = text(&operation["operationId"]);
        assert!(
            name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(char::is_alphanumeric),
            "{name}"
        );
        assert!(names.insert(name), "{call}: its name is taken");
        assert!(!text(&operation["summary"]).is_empty(), "{call}: no summary");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{call}: it can never succeed");
        for (status, response) in responses {
            assert!((100..600).contains(&status.parse::<u16>().unwrap()), "{call}: {status}");
            assert!(!text(&response["description"]).is_empty(), "{call}: {status} has no description");
        }
        parameters_are_sound(&call, operation);
    }
    let mut references = Vec::new();
    all(&document, "$ref", &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let place = text(reference);
        let pointer = place.strip_prefix('#').unwrap_or_else(|| panic!("{place} is elsewhere"));
        assert!(document.pointer(pointer).is_some(), "{place} is nowhere");
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::meta::is_valid(schema), "{name} is no JSON Schema");
    }
}

fn parameters_are_sound(call: &str, operation: &Value) {
    let mut in_path = BTreeSet::new();
    let mut known = BTreeSet::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (place, name) = (text(&parameter["in"]), text(&parameter["name"]));
        assert!(["path", "query", "header"].contains(&place.as_str()), "{call}: {name}");
        assert!(parameter["schema"].is_object() && !text(&parameter["description"]).is_empty(), "{call}: {name}");
        assert!(known.insert((place.clone(), name.clone())), "{call}: {name} is there twice");
        if place == "path" {
            assert_eq!(parameter["required"], true, "{call}: {name}");
            in_path.insert(name);
        }
    }
    let braces = call.split('{').skip(1).map(|rest| rest.split('}').next().unwrap().to_owned());
    assert_eq!(braces.collect::<BTreeSet<_>>(), in_path, "{call}");
    let takes_key = known.contains(&("header".to_owned(), "Idempotency-Key".to_owned()));
    assert_eq!(takes_key, !call.starts_with("GET"), "{call}: an Idempotency-Key goes with every change");
    let has_body = operation["requestBody"].is_object();
    let needs_body = call.starts_with('P') && call != "POST /payments/{paymentId}/tickets/{ticketId}/reissue";
    assert_eq!(has_body, needs_body, "{call}: a body goes with every other POST, PUT and PATCH");
}

#[tokio::test]
async fn every_example_is_as_described() {
    let (_sale, document) = document().await;
    let mut checked = 0;
    for (call, operation) in operations(&document) {
        let bodies = std::iter::once(("request", &operation["requestBody"]));
        let responses = operation["responses"].as_object().unwrap().iter();
        for (place, described) in bodies.chain(responses.map(|(status, response)| (status.as_str(), response))) {
            for (media_type, content) in described["content"].as_object().into_iter().flatten() {
                let examples = content["examples"].as_object().into_iter().flatten();
                let examples: Vec<&Value> =
                    examples.map(|(_, example)| &example["value"]).chain(content.get("example")).collect();
                assert!(!examples.is_empty(), "{call} {place}: {media_type} has no example");
                for example in examples {
                    let wrong = errors(&document, &content["schema"], example);
                    assert!(wrong.is_empty(), "{call} {place}: {wrong:?}: {example}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 100, "{checked}");
}

#[tokio::test]
async fn every_refusal_is_described() {
    let (_sale, document) = document().await;
    let operations = operations(&document);
    for (call, operation) in &operations {
        for (status, response) in operation["responses"].as_object().unwrap() {
            if !status.starts_with(['4', '5']) {
                continue;
            }
            let content = &response["content"]["application/problem+json"];
            let examples = content["examples"].as_object().unwrap_or_else(|| panic!("{call}: {status}: {response}"));
            for (code, example) in examples {
                let problem = &example["value"];
                assert_eq!((&problem["code"], problem["status"].to_string()), (&json!(code), status.clone()), "{call}");
                for member in ["type", "title", "detail"] {
                    assert!(!text(&problem[member]).is_empty(), "{call}: {code}: {member}");
                }
            }
        }
    }
    for (call, refusals) in REFUSALS {
        for refusal in refusals {
            let (status, code) = refusal.split_once(' ').unwrap();
            let examples = &operations[call]["responses"][status]["content"]["application/problem+json"]["examples"];
            assert!(examples[code].is_object(), "{call} does not document {refusal}");
        }
    }
}
