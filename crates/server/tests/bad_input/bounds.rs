//! Bounds on requests: the answer names the bound and stays short for any request.

use onsale_testing::{Call, Reply};
use serde_json::{Value, json};

use crate::fixture::{Fixture, Operation};

/// The longest answer to a bad request, in bytes: 20 errors of some 200 bytes.
const ANSWER_MAX: usize = 8 * 1024;

/// The bodies of this are within the largest body, 64 KiB.
fn numbered(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(",")
}

fn members(count: usize) -> String {
    format!("{{{}}}", numbered(count, |number| format!("\"m{number}\":1")))
}

fn elements(count: usize, one: &str) -> String {
    format!("[{}]", numbered(count, |_| one.to_owned()))
}

fn with_json(call: Call, body: String) -> Call {
    call.header("content-type", "application/json").bytes(body)
}

/// Returns the errors of an answer, each with field and message, and checks that it is short and lists at most 20.
#[track_caller]
fn errors(reply: &Reply) -> Vec<(String, String)> {
    let problem = reply.refused(422, "invalid-request");
    assert!(reply.body.len() <= ANSWER_MAX, "{}: {} bytes", reply.call, reply.body.len());
    let errors = problem["errors"].as_array().unwrap();
    assert!((1..=20).contains(&errors.len()), "{} errors", errors.len());
    let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
    errors.iter().map(|error| (text(error, "field"), text(error, "message"))).collect()
}

#[track_caller]
fn is_refused_with(reply: &Reply, field: &str, bound: &str) {
    let errors = errors(reply);
    let said = errors.iter().any(|(named, message)| named == field && message.contains(bound));
    assert!(said, "{field}, {bound}: {errors:?}");
}

fn with_bodies(fixture: &Fixture) -> impl Iterator<Item = &Operation> {
    fixture.operations.iter().filter(|operation| operation.takes_a_body())
}

#[tokio::test]
async fn a_query_has_at_most_32_parameters() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    for operation in fixture.operations.iter().filter(|operation| !operation.is_operators()) {
        for (count, name) in [(33, "a"), (4_000, "a"), (33, "limit"), (4_000, "")] {
            let query: Vec<String> = (0..count).map(|number| format!("{name}{number}=1")).collect();
            let path = format!("{}?{}", operation.template, query.join("&"));
            let mut call = fixture.call(operation, &path);
            if operation.takes_a_body() {
                call = call.json(&fixture.body(operation));
            }
            is_refused_with(&call.send().await, "query", "32");
        }
    }
    // Empty text between two separators does not count as a parameter.
    let path = format!("/lectures?limit=5{}&available=true", "&".repeat(8_000));
    fixture.sale.caller.get(&path).expect(200).await;
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn an_object_has_at_most_64_members() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    for operation in with_bodies(&fixture) {
        let bodies = [
            (members(65), "body"),
            (members(6_000), "body"),
            (format!("{{\"amount\":{}}}", members(65)), "amount"),
            (format!("{{\"queue\":{}}}", members(6_000)), "queue"),
            (format!("{{\"seats\":[{{}},{}]}}", members(65)), "seats.1"),
            (format!("{{\"a\":[[{{\"b\":{}}}]]}}", members(65)), "a.0.0.b"),
            (format!("{{{}}}", elements(65, "\"amount\":1").trim_matches(['[', ']'])), "body"),
        ];
        for (body, field) in bodies {
            let call = with_json(fixture.call(operation, &operation.template), body);
            is_refused_with(&call.send().await, field, "64");
        }
    }
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn an_array_has_at_most_1000_elements() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    for operation in with_bodies(&fixture) {
        let seats: Vec<usize> = (100_000..109_000).collect();
        let bodies = [
            (elements(1_001, "1"), "body"),
            (json!({"seats": seats}).to_string(), "seats"),
            (format!("{{\"seats\":{}}}", elements(1_001, "{\"from\":1}")), "seats"),
            (format!("{{\"seats\":{}}}", elements(30_000, "1")), "seats"),
            (format!("{{\"queue\":{{\"maxActive\":{}}}}}", elements(1_001, "[]")), "queue.maxActive"),
        ];
        for (body, field) in bodies {
            let call = with_json(fixture.call(operation, &operation.template), body);
            is_refused_with(&call.send().await, field, "1,000");
        }
    }
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn at_most_20_errors_are_listed_and_further_ones_are_counted() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    for operation in with_bodies(&fixture).filter(|operation| operation.takes_an_object()) {
        let call = with_json(fixture.call(operation, &operation.template), members(64));
        let reply = call.send().await;
        assert_eq!(errors(&reply).len(), 20, "{}", operation.id);
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("20 of "), "{}: how many there are: {detail}", operation.id);
    }
    let query: Vec<String> = (0..32).map(|number| format!("p{number}=1")).collect();
    let reply = fixture.sale.caller.get(&format!("/concerts?{}", query.join("&"))).send().await;
    assert_eq!(errors(&reply).len(), 20);
    let performances = fixture.operations.iter().find(|operation| operation.id == "createPerformance").unwrap();
    let sections = elements(1_000, "{\"from\":0,\"to\":0,\"x\":1,\"y\":{},\"z\":[]}");
    let body = format!("{{\"startsAt\":\"2090-01-01T10:00:00Z\",\"seats\":{sections}}}");
    let reply = with_json(fixture.call(performances, &performances.template), body).send().await;
    assert_eq!(errors(&reply).len(), 20);
    assert!(reply.json()["detail"].as_str().unwrap().contains("20 of 5000"), "{:?}", reply.json());
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn a_problem_quotes_only_the_beginning_of_a_long_value() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let long = ["n".repeat(20_000), "가".repeat(10_000), "\\u0001".repeat(5_000), "9".repeat(60_000)];
    for operation in with_bodies(&fixture) {
        for text in &long {
            let named = format!("{{\"{text}\":1}}");
            let nested = format!("{{\"queue\":{{\"{text}\":1}},\"seats\":[{{\"{text}\":1}}]}}");
            let nested = if nested.len() < 65_536 { nested } else { named.clone() };
            let valued = format!("{{\"amount\":\"{text}\",\"userId\":1}}");
            let number = format!("{{\"amount\":{},\"seats\":[{0}]}}", "9".repeat(30_000));
            for body in [named, nested, valued, number] {
                let reply = with_json(fixture.call(operation, &operation.template), body).send().await;
                assert_eq!(reply.status, 422, "{}", operation.id);
                assert!(reply.body.len() <= ANSWER_MAX, "{}: {} bytes", operation.id, reply.body.len());
            }
        }
    }
    for query in [format!("{}=1", "n".repeat(20_000)), format!("{}=%ff", "n".repeat(20_000)), "%EA%B0%80".repeat(2_000)]
    {
        let reply = fixture.sale.caller.get(&format!("/lectures?{query}")).send().await;
        assert_eq!(errors(&reply).len(), 1);
        assert!(reply.body.len() <= 1_024, "{} bytes", reply.body.len());
    }
    for path in [format!("/point/{}", "a".repeat(20_000)), format!("/{}", "a".repeat(20_000))] {
        let reply = fixture.sale.caller.get(&path).send().await;
        assert!(reply.status.is_client_error() && reply.body.len() <= 1_024, "{} bytes", reply.body.len());
    }
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn limit_and_cursor_are_refused_in_any_other_form() {
    let fixture = Fixture::start().await;
    let cursor = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let long = ["A".repeat(129), "MDAw".repeat(2_000), cursor(&"MDAw".repeat(40))];
    let limits = ["05", "005", "+5", "%2B5", "5%00"];
    for list in ["/lectures", "/concerts", "/point/ada/histories", "/users/ada/payments", "/users/ada/reservations"] {
        for limit in limits.map(str::to_owned).into_iter().chain(["0".repeat(20_000) + "5"]) {
            let reply = fixture.sale.caller.get(&format!("{list}?limit={limit}")).send().await;
            assert_eq!(errors(&reply)[0].0, "limit", "{list}: {limit}");
        }
        for cursor in &long {
            let reply = fixture.sale.caller.get(&format!("{list}?cursor={cursor}")).send().await;
            assert_eq!(errors(&reply)[0].0, "cursor", "{list}: {cursor}");
        }
    }
}
