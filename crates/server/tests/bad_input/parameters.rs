//! Parameters in paths and queries.

use serde_json::Value;

use crate::fixture::{Fixture, Operation};

/// 101 characters.
const LONG_NAME: &str =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn bad_values(name: &str) -> Vec<&'static str> {
    if name.ends_with("Id") && name != "userId" {
        vec![
            "x",
            "42",
            "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a0",
            "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a011",
            "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a0g",
            "%7B019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01%7D",
            "%00",
            "%F0%9F%8E%AB",
        ]
    } else {
        vec![
            "a.b",
            "a%20b",
            "%C3%A9",
            "%00",
            "a%2Fb",
            "..",
            "%2e%2e",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ]
    }
}

#[tokio::test]
async fn a_problem_names_an_invalid_id_in_the_path() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let mut tried = 0;
    for operation in &fixture.operations {
        let needs_a_turn = operation.template.starts_with("/concerts/{") && !operation.template.contains("/draw");
        for name in operation.parameters("path") {
            for value in bad_values(&name) {
                let template = operation.template.replace(&format!("{{{name}}}"), value);
                let mut call = fixture.call(operation, &template);
                if operation.takes_a_body() {
                    call = call.json(&fixture.body(operation));
                }
                if needs_a_turn {
                    // The server checks the token before anything else that the call names.
                    call.refused(401, "queue-token-invalid").await;
                    continue;
                }
                let problem = call.refused(422, "invalid-request").await;
                assert_eq!(problem["errors"][0]["field"], name, "{}: {value}: {problem}", operation.id);
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn an_id_that_does_not_decode_to_text_is_invalid() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    for operation in &fixture.operations {
        for name in operation.parameters("path") {
            for value in ["%ff", "%C3", "%ED%A0%80", "a%80"] {
                let template = operation.template.replace(&format!("{{{name}}}"), value);
                let reply = fixture.call(operation, &template).send().await;
                assert!(reply.status.is_client_error(), "{reply:?}");
            }
        }
    }
    fixture.is_as_before(&before).await;
}

/// Appends a query to the one that the operation needs.
fn with_query(operation: &Operation, query: &str) -> String {
    format!("{}?{query}", operation.template)
}

async fn is_named(fixture: &Fixture, operation: &Operation, query: &str, name: &str) {
    let mut call = fixture.call(operation, &with_query(operation, query));
    if operation.takes_a_body() {
        call = call.json(&fixture.body(operation));
    }
    let problem = call.refused(422, "invalid-request").await;
    let errors = problem["errors"].as_array().unwrap();
    assert!(errors.iter().any(|error| error["field"] == name), "{}: {query}: {problem}", operation.id);
}

#[tokio::test]
async fn a_problem_names_an_unknown_parameter() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    for operation in fixture.operations.iter().filter(|operation| !operation.is_operators()) {
        for (query, name) in
            [("unknown=1", "unknown"), ("unknown", "unknown"), ("%C3%A9=", "%C3%A9"), ("LIMIT=1", "LIMIT")]
        {
            let decoded = if name == "%C3%A9" { "é" } else { name };
            let call = fixture.call(operation, &with_query(operation, query));
            let call = if operation.takes_a_body() { call.json(&fixture.body(operation)) } else { call };
            let problem = call.refused(422, "invalid-request").await;
            let errors = problem["errors"].as_array().unwrap();
            let named = errors.iter().any(|error| error["field"] == name || error["field"] == decoded);
            assert!(named, "{}: {query}: {problem}", operation.id);
        }
    }
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn a_problem_names_an_invalid_parameter() {
    let fixture = Fixture::start().await;
    let before = fixture.state().await;
    let limits = ["0", "201", "-1", "1.5", "", "x", "1e2", "0x10", "99999999999999999999", "%20", "5%20", "null"];
    let cursors = ["", "x", "%00", "!!!", "AAAA", "%C3%A9", "bm8gY3Vyc29yIG9mIGFueSBsaXN0", "a%2Bb", "===="];
    let dates =
        ["", "today", "2026-02-30", "2026-13-01", "20260101", "2026-1-1", "2026-01-01T00:00:00Z", "%202026-01-01"];
    let long = "a".repeat(201);
    let texts = ["", long.as_str()];
    let mut tried = 0;
    for operation in &fixture.operations {
        for name in operation.parameters("query") {
            let values: &[&str] = match name.as_str() {
                "limit" => &limits,
                "cursor" => &cursors,
                "date" | "from" | "to" => &dates,
                "q" => &texts,
                "available" | "bom" | "conflict" => &["", "yes", "1", "TRUE", "true%20", "null"],
                "lectureId" | "performanceId" | "tokenId" => &["", "x", "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a0", "null"],
                "action" => &["", "x", "key.made", "KEY.CREATED", "null"],
                "actor" => &["", "%00", "a%0Ab", "%E2%80%8B", LONG_NAME],
                "subject" => {
                    &["", "%00", "x", "concert", "concert:", "concert:7", "user:a%20b", "room:ada", "user:%00"]
                }
                "after" => &["", "x", "-1", "1.5", "99999999999999999999", "null"],
                "section" => &texts,
                "token" => continue,
                other => panic!("{other} is new: what is bad?"),
            };
            for value in values {
                is_named(&fixture, operation, &format!("{name}={value}"), &name).await;
                tried += 1;
            }
            let sound = match name.as_str() {
                "limit" => "5",
                "date" | "from" | "to" => "2090-01-01",
                "q" => "hall",
                "available" | "bom" | "conflict" => "true",
                "after" => "5",
                "action" => "key.created",
                "subject" => "user:ada",
                _ => "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01",
            };
            is_named(&fixture, operation, &format!("{name}={sound}&{name}={sound}"), &name).await;
        }
    }
    assert!(tried > 100, "{tried}");
    fixture.is_as_before(&before).await;
}

#[tokio::test]
async fn the_list_of_seats_requires_a_date() {
    let fixture = Fixture::start().await;
    let operation = fixture.operations.iter().find(|operation| operation.id == "listConcertSeats").unwrap();
    let problem = fixture.call(operation, &with_query(operation, "date=")).refused(422, "invalid-request").await;
    assert_eq!(problem["errors"][0]["field"], "date");
    let call = fixture.call(operation, &operation.template.replace("/seats", "/seats?available=true&date=never"));
    call.refused(422, "invalid-request").await;
}

#[tokio::test]
async fn dates_at_the_ends_of_the_calendar_are_answered() {
    let fixture = Fixture::start().await;
    let sale = &fixture.sale;
    for date in ["0000-01-01", "0001-01-01", "1582-10-10", "1970-01-01", "9999-12-30", "9999-12-31", "-001-01-01"] {
        let reply = sale.caller.get(&format!("/lectures?date={date}")).send().await;
        assert!(!reply.status.is_server_error(), "{reply:?}");
        let seats = fixture.operations.iter().find(|operation| operation.id == "listConcertSeats").unwrap();
        let reply = fixture.call(seats, &with_query(seats, &format!("date={date}"))).send().await;
        assert!(!reply.status.is_server_error(), "{reply:?}");
    }
    let instants = ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1960-01-01T00:00:00Z", "9999-12-30T00:00:00Z"];
    let beyond =
        ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59+14:00", "+010000-01-01T00:00:00Z", "-009999-01-01T00:00:00Z"];
    for instant in instants.into_iter().chain(beyond) {
        let schedule = fixture.operations.iter().find(|operation| operation.id == "createPerformance").unwrap();
        let bodies = [
            sale.admin(sale.caller.post("/admin/lectures"))
                .json(&serde_json::json!({"title": "Edge", "startsAt": instant})),
            fixture.call(schedule, &schedule.template).json(&serde_json::json!({"startsAt": instant})),
        ];
        for call in bodies {
            let reply = call.send().await;
            assert!(!reply.status.is_server_error(), "{instant}: {reply:?}");
        }
        let lectures = sale.caller.get("/lectures").expect(200).await;
        assert!(lectures.is_array(), "the lists go on");
        assert_ne!(sale.caller.get("/concerts").expect(200).await, Value::Null);
    }
    crate::support::audit(sale).await;
}
