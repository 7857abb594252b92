//! The OpenAPI document: valid, complete, the same from every instance, and shown without files of other hosts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod form;
mod pages;
mod proofs;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use onsale_testing::Sale;
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
    GET /concerts
    GET /concerts/{concertId}/dates
    GET /concerts/{concertId}/sections
    GET /concerts/{concertId}/seats
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
    POST /check-ins
    POST /check-ins/batch
    DELETE /check-ins/{checkInId}
    GET /check-ins/manifest
    GET /admin/performances/{performanceId}/check-ins
    GET /users/{userId}/reservations
    GET /users/{userId}/payments
    GET /users/{userId}/waitlists
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

/// What each call may refuse in words of its own, besides what any call may.
const REFUSALS: [(&str, &[&str]); 52] = [
    (
        "PATCH /point/{id}/charge",
        &["422 amount-out-of-range", "409 balance-limit", "409 external-id-reused", "403 charge-not-allowed"],
    ),
    ("PATCH /point/{id}/use", &["422 amount-out-of-range", "409 insufficient-balance"]),
    ("POST /lectures/apply", &APPLYING),
    ("DELETE /lectures/application/{userId}/{lectureId}", &["404 application-not-found"]),
    ("POST /queue/tokens", &["404 concert-not-found", "409 sale-closed", "409 sale-not-open"]),
    ("POST /queue/tokens", &CODES),
    ("POST /reservations", &CODES),
    ("GET /queue/token", &["401 queue-token-missing", "401 queue-token-invalid"]),
    ("GET /concerts/{concertId}/draw", &["404 concert-not-found", "404 not-found"]),
    ("GET /concerts/{concertId}/draw/entries", &["409 draw-not-closed", "429 too-many-requests"]),
    ("PUT /admin/concerts/{concertId}/draw/beacon", &["409 draw-not-closed", "409 beacon-unnamed", "409 beacon-set"]),
    ("GET /concerts/{concertId}/dates", &TURN),
    ("GET /concerts/{concertId}/seats", &TURN),
    ("GET /concerts/{concertId}/sections", &["404 performance-not-found", "403 queue-token-waiting"]),
    (
        "POST /reservations",
        &[
            "404 performance-not-found",
            "409 sale-closed",
            "409 sale-not-open",
            "409 performance-cancelled",
            "409 performance-closed",
            "422 performance-ambiguous",
            "422 seat-unknown",
            "422 section-unknown",
            "409 seat-limit",
            "409 seat-taken",
            "409 seats-not-available",
            "403 queue-token-waiting",
        ],
    ),
    ("GET /reservations/{reservationId}", &["404 reservation-not-found"]),
    ("DELETE /reservations/{reservationId}", &["409 already-paid", "403 queue-token-expired"]),
    (
        "POST /payments",
        &[
            "404 reservation-not-found",
            "409 already-paid",
            "410 hold-expired",
            "409 performance-cancelled",
            "409 insufficient-balance",
        ],
    ),
    ("GET /payments/{paymentId}", &["404 payment-not-found"]),
    ("GET /payments/{paymentId}/tickets", &["404 payment-not-found"]),
    ("GET /payments/{paymentId}/tickets/{ticketId}/code.svg", &TICKET),
    ("GET /payments/{paymentId}/tickets/{ticketId}/print.pdf", &TICKET),
    (
        "POST /payments/{paymentId}/tickets/{ticketId}/reissue",
        &[
            "404 payment-not-found",
            "404 ticket-not-found",
            "409 ticket-void",
            "409 already-checked-in",
            "409 reissue-limit",
        ],
    ),
    (
        "POST /check-ins",
        &[
            "404 performance-not-found",
            "422 ticket-invalid",
            "409 ticket-other-performance",
            "409 ticket-void",
            "409 already-checked-in",
            "403 role-insufficient",
        ],
    ),
    ("DELETE /check-ins/{checkInId}", &["404 check-in-not-found", "403 role-insufficient"]),
    ("GET /check-ins/manifest", &["404 performance-not-found", "403 role-insufficient"]),
    ("GET /admin/performances/{performanceId}/check-ins", &["404 performance-not-found", "403 role-insufficient"]),
    (
        "POST /payments/{paymentId}/refunds",
        &[
            "404 payment-not-found",
            "422 seat-unknown",
            "409 already-refunded",
            "409 refund-closed",
            "409 balance-limit",
            "403 not-your-account",
        ],
    ),
    (
        "POST /admin/payments/{paymentId}/refunds",
        &[
            "404 payment-not-found",
            "422 seat-unknown",
            "409 already-refunded",
            "422 fee-out-of-range",
            "409 balance-limit",
            "403 role-insufficient",
        ],
    ),
    (
        "POST /admin/point/{userId}/adjustments",
        &["422 amount-out-of-range", "409 insufficient-balance", "409 balance-limit", "403 role-insufficient"],
    ),
    ("GET /admin/performances/{performanceId}/refunds", &["404 performance-not-found", "403 role-insufficient"]),
    ("PATCH /admin/concerts/{concertId}", &["404 concert-not-found", "409 room-in-use", "409 sale-opened"]),
    ("POST /admin/concerts/{concertId}/codes", &["404 concert-not-found", "409 code-exists", "403 role-insufficient"]),
    ("DELETE /admin/concerts/{concertId}/codes/{code}", &["404 code-not-found", "403 role-insufficient"]),
    ("PATCH /admin/performances/{performanceId}", &["404 performance-not-found", "409 performance-cancelled"]),
    ("GET /admin/performances/{performanceId}", &["404 performance-not-found", "403 role-insufficient"]),
    ("GET /admin/performances/{performanceId}/seats", &["404 performance-not-found", "403 role-insufficient"]),
    (
        "POST /admin/performances/{performanceId}/seats",
        &["404 performance-not-found", "409 performance-cancelled", "409 seat-exists", "409 section-limit"],
    ),
    (
        "POST /admin/performances/{performanceId}/blocks",
        &["404 performance-not-found", "409 performance-cancelled", "422 seat-unknown", "409 seat-taken"],
    ),
    (
        "POST /admin/performances/{performanceId}/unblocks",
        &["404 performance-not-found", "409 performance-cancelled", "422 seat-unknown", "409 seat-taken"],
    ),
    ("POST /admin/performances/{performanceId}/cancel", &["404 performance-not-found", "403 role-insufficient"]),
    (
        "GET /admin/performances/{performanceId}/cancellation",
        &["404 performance-not-found", "404 cancellation-not-found"],
    ),
    (
        "GET /admin/performances/{performanceId}/cancellation/failed",
        &["404 performance-not-found", "404 cancellation-not-found"],
    ),
    ("POST /admin/concerts/{concertId}/holds/extend", &["404 concert-not-found"]),
    (
        "POST /admin/performances/{performanceId}/holds/extend",
        &["404 performance-not-found", "409 performance-cancelled"],
    ),
    (
        "POST /admin/lectures",
        &["401 admin-key-invalid", "403 role-insufficient", "404 not-found", "413 body-too-large"],
    ),
    ("POST /admin/keys", &["409 key-name-taken", "409 key-limit", "403 role-insufficient"]),
    ("DELETE /admin/keys/{keyId}", &["404 key-not-found"]),
    ("POST /desk/session", &["401 admin-key-invalid", "403 origin-not-allowed", "429 too-many-requests"]),
    ("GET /desk/session", &["401 admin-key-invalid", "404 not-found"]),
    ("DELETE /desk/session", &["403 origin-not-allowed"]),
    ("GET /point/{id}", &["403 role-insufficient", "403 not-your-account"]),
];

const CODES: [&str; 3] = ["403 code-required", "403 code-invalid", "409 code-used-up"];
const APPLYING: [&str; 7] = [
    "404 lecture-not-found",
    "409 already-applied",
    "409 already-waitlisted",
    "409 lecture-closed",
    "409 lecture-not-open",
    "409 lecture-full",
    "409 waitlist-full",
];

const TICKET: [&str; 3] = ["404 payment-not-found", "404 ticket-not-found", "409 ticket-void"];
const TURN: [&str; 4] =
    ["401 queue-token-missing", "401 queue-token-invalid", "403 queue-token-waiting", "403 queue-token-expired"];

/// Calls that need no credential in any mode.
const OPEN: [&str; 7] = [
    "GET /concerts",
    "GET /healthz",
    "GET /lectures",
    "GET /metrics",
    "GET /openapi.json",
    "GET /readyz",
    "POST /desk/session",
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
    assert_eq!(has_body, call.starts_with("P"), "{call}: a body goes with every POST, PUT and PATCH");
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
