//! Leaving by a message of a page that is closed, at once or after a grace.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::support::room::{place, room, token};
use crate::support::stream::Stream;
use crate::support::{audit, millis, start};

/// What a page sends while it is closed. Browsers send a text so.
fn leave(sale: &Sale, body: &Value) -> Call {
    sale.caller.post("/queue/token/leave").header("content-type", "text/plain;charset=UTF-8").bytes(body.to_string())
}

/// Polls the token of the next in line until the server's clock has come to this instant.
async fn until_clock(sale: &Sale, next: &str, instant: i64, status: &str) {
    sale.until(next, |place| {
        assert_eq!(place["status"], status, "{place}");
        millis(&place["asOf"]) > instant
    })
    .await;
}

/// A room with one turn, the token of the turn, and the token of the next in line.
async fn one_and_next(sale: &Sale) -> (String, String) {
    let concert = sale.concert(&room(1)).await;
    let inside = sale.active(&concert, "inside").await;
    let next = token(&sale.enter(&concert, "next").await);
    (inside, next)
}

#[tokio::test]
async fn a_message_without_a_grace_gives_the_turn_up_at_once() {
    let sale = start(&[]).await;
    for grace in [None, Some(0)] {
        let (inside, next) = one_and_next(&sale).await;
        let mut body = json!({"token": inside});
        if let Some(grace) = grace {
            body["graceSeconds"] = json!(grace);
        }
        leave(&sale, &body).expect(204).await;
        assert_eq!(place(&sale, &inside).await["status"], "EXPIRED");
        sale.until_status(&next, "ACTIVE").await;
        // Again, and as JSON: nothing is left to give up.
        sale.caller.post("/queue/token/leave").key("ignored").json(&body).expect(204).await;
        assert_eq!(place(&sale, &next).await["status"], "ACTIVE");
        // A place in line too.
        let last = token(&sale.enter(&sale.concert(&room(1)).await, "last").await);
        leave(&sale, &json!({"token": last})).expect(204).await;
        assert_eq!(place(&sale, &last).await["status"], "EXPIRED");
    }
    audit(&sale).await;
}

#[tokio::test]
async fn a_message_that_is_wrong_gives_nothing_up() {
    let sale = start(&[]).await;
    let (inside, next) = one_and_next(&sale).await;
    let forged = format!("{inside}x");
    leave(&sale, &json!({"token": forged})).refused(401, "queue-token-invalid").await;
    leave(&sale, &json!({"token": forged, "graceSeconds": 1})).refused(401, "queue-token-invalid").await;
    for (body, field) in [
        (json!({}), "token"),
        (json!({"token": 1}), "token"),
        (json!({"token": inside, "graceSeconds": 61}), "graceSeconds"),
        (json!({"token": inside, "graceSeconds": -1}), "graceSeconds"),
        (json!({"token": inside, "grace": 1}), "grace"),
    ] {
        let refused = leave(&sale, &body).refused(422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    let body = json!({"token": inside}).to_string();
    for media_type in ["text/html", "application/x-www-form-urlencoded", "text/plain;charset=euc-kr"] {
        let call = sale.caller.post("/queue/token/leave").header("content-type", media_type).bytes(body.clone());
        call.refused(415, "unsupported-media-type").await;
    }
    leave(&sale, &json!({"token": inside})).bytes("{").refused(400, "malformed-request").await;
    assert_eq!(place(&sale, &inside).await["status"], "ACTIVE");
    assert_eq!(place(&sale, &next).await["status"], "WAITING");
}

#[tokio::test]
async fn a_grace_passes_before_the_turn_is_given_up() {
    let sale = start(&[]).await;
    let (inside, next) = one_and_next(&sale).await;
    let asked = millis(&place(&sale, &next).await["asOf"]);
    leave(&sale, &json!({"token": inside, "graceSeconds": 2})).expect(204).await;
    let admitted = sale.until_status(&next, "ACTIVE").await;
    // The room has turns of an hour.
    let after = millis(&admitted["activeUntil"]) - 3_600_000 - asked;
    assert!(after >= 2_000, "given up after {after} ms");
    assert_eq!(place(&sale, &inside).await["status"], "EXPIRED");
    audit(&sale).await;
}

#[tokio::test]
async fn a_call_within_the_grace_keeps_the_turn() {
    let sale = start(&[]).await;
    let (inside, next) = one_and_next(&sale).await;
    leave(&sale, &json!({"token": inside, "graceSeconds": 2})).expect(204).await;
    assert_eq!(place(&sale, &inside).await["status"], "ACTIVE");
    let now = millis(&place(&sale, &next).await["asOf"]);
    until_clock(&sale, &next, now + 6_000, "WAITING").await;
    assert_eq!(place(&sale, &inside).await["status"], "ACTIVE");
    // The message counts again, and this time without a call.
    leave(&sale, &json!({"token": inside, "graceSeconds": 1})).expect(204).await;
    sale.until_status(&next, "ACTIVE").await;
    audit(&sale).await;
}

#[tokio::test]
async fn an_open_stream_keeps_the_turn() {
    let sale = start(&[]).await;
    let (inside, next) = one_and_next(&sale).await;
    let header = format!("Queue-Token: {inside}");
    let stream = Stream::open(sale.instance.base(), "/queue/token/events", &[&header]).await;
    assert_eq!(stream.status, 200);
    leave(&sale, &json!({"token": inside, "graceSeconds": 3})).expect(204).await;
    let now = millis(&place(&sale, &next).await["asOf"]);
    until_clock(&sale, &next, now + 7_000, "WAITING").await;
    drop(stream);
    leave(&sale, &json!({"token": inside, "graceSeconds": 5})).expect(204).await;
    sale.until_status(&next, "ACTIVE").await;
    assert_eq!(place(&sale, &inside).await["status"], "EXPIRED", "a stream that was closed does not count");
    audit(&sale).await;
}
