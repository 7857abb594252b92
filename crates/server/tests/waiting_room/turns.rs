//! Turns: kept by signs of life, ended by silence, by time, by payment and by leaving.

use onsale_testing::{Reply, Sale};
use serde_json::{Value, json};

use crate::support::room::{admitted_at, has_no_members_of_waiting, place, room, token};
use crate::support::{audit, millis, start};

/// A room with one turn, which ends after this many seconds of silence.
async fn room_for_one(sale: &Sale, claim_seconds: u32) -> String {
    let settings =
        json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 600, "claimSeconds": claim_seconds});
    sale.concert(&settings).await
}

/// Polls with one token until the server's clock has come to this instant.
async fn until_clock(sale: &Sale, token: &str, instant: i64, status: &str) -> Value {
    sale.until(token, |place| {
        assert_eq!(place["status"], status, "{place}");
        millis(&place["asOf"]) > instant
    })
    .await
}

async fn dates(sale: &Sale, concert: &str, token: &str) -> Reply {
    sale.caller.get(&format!("/concerts/{concert}/dates")).token(token).send().await
}

#[tokio::test]
async fn a_user_without_a_sign_of_life_loses_the_turn() {
    let sale = start(&[]).await;
    let concert = room_for_one(&sale, 1).await;
    let silent = sale.enter(&concert, "silent").await;
    let next = sale.enter(&concert, "next").await;
    let admitted = sale.until_status(&token(&next), "ACTIVE").await;
    let turn = admitted_at(&admitted, 600) - millis(&silent["issuedAt"]);
    assert!(turn >= 1_000, "not before claimSeconds are over: {turn} ms");
    let ended = place(&sale, &token(&silent)).await;
    assert_eq!(ended["status"], "EXPIRED");
    has_no_members_of_waiting(&ended);
    dates(&sale, &concert, &token(&silent)).await.refused(403, "queue-token-expired");
    audit(&sale).await;
}

#[tokio::test]
async fn a_user_who_polls_keeps_the_turn() {
    let sale = start(&[]).await;
    let concert = room_for_one(&sale, 5).await;
    let polling = sale.active(&concert, "polling").await;
    let next = token(&sale.enter(&concert, "next").await);
    let admitted = admitted_at(&place(&sale, &polling).await, 600);
    until_clock(&sale, &polling, admitted + 11_000, "ACTIVE").await;
    assert_eq!(place(&sale, &next).await["status"], "WAITING");
}

#[tokio::test]
async fn a_turn_once_used_needs_no_more_signs() {
    let sale = start(&[]).await;
    let concert = room_for_one(&sale, 4).await;
    let used = sale.active(&concert, "used").await;
    let next = token(&sale.enter(&concert, "next").await);
    dates(&sale, &concert, &used).await.expect(200);
    let now = millis(&place(&sale, &next).await["asOf"]);
    until_clock(&sale, &next, now + 9_000, "WAITING").await;
    assert_eq!(place(&sale, &used).await["status"], "ACTIVE");
    dates(&sale, &concert, &used).await.expect(200);
}

#[tokio::test]
async fn leaving_frees_the_turn_and_the_seats() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(1)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let leaving = sale.active(&concert, "leaving").await;
    let next = token(&sale.enter(&concert, "next").await);
    let held = sale.hold(&leaving, &performance, &[1, 2]).await;
    sale.caller.delete("/queue/token").token(&leaving).expect(204).await;
    let path = format!("/reservations/{}", held["reservationId"].as_str().unwrap());
    assert_eq!(sale.caller.get(&path).expect(200).await["status"], "RELEASED");
    assert_eq!(place(&sale, &leaving).await["status"], "EXPIRED");
    sale.pay(&leaving, &held).refused(403, "queue-token-expired").await;

    sale.until_status(&next, "ACTIVE").await;
    sale.hold(&next, &performance, &[1, 2]).await;
    // Leaving again changes nothing for other users.
    let again = sale.caller.delete("/queue/token").token(&leaving).send().await;
    assert!(!again.status.is_server_error());
    assert_eq!(place(&sale, &next).await["status"], "ACTIVE");
    audit(&sale).await;
}

#[tokio::test]
async fn payment_makes_room_for_the_next() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(1)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    sale.charge("ada", 1_000_000).await;
    let ada = sale.active(&concert, "ada").await;
    let next = token(&sale.enter(&concert, "next").await);
    let held = sale.hold(&ada, &performance, &[1]).await;
    sale.pay(&ada, &held).expect(201).await;
    sale.until_status(&next, "ACTIVE").await;

    // A user who has bought and enters again is at the end of the line, with a new token.
    let back = sale.caller.post("/queue/tokens").json(&json!({"userId": "ada", "concertId": concert}));
    let back = back.expect(201).await;
    assert_eq!((&back["status"], &back["position"]), (&json!("WAITING"), &json!(1)));
    assert_ne!(back["token"], json!(ada));
    assert_eq!(place(&sale, &ada).await["status"], "EXPIRED");
    audit(&sale).await;
}

#[tokio::test]
async fn a_turn_ends_with_its_time() {
    let sale = start(&[]).await;
    let settings = json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 5, "claimSeconds": 3_600});
    let concert = sale.concert(&settings).await;
    let entered = sale.active(&concert, "ada").await;
    let next = token(&sale.enter(&concert, "next").await);
    let active = place(&sale, &entered).await;
    let until = millis(&active["activeUntil"]);
    let ended = sale.until(&entered, |place| {
        let is_over = millis(&place["asOf"]) >= until;
        assert_eq!(place["status"], if is_over { "EXPIRED" } else { "ACTIVE" }, "{place}");
        is_over
    });
    has_no_members_of_waiting(&ended.await);
    dates(&sale, &concert, &entered).await.refused(403, "queue-token-expired");
    sale.until_status(&next, "ACTIVE").await;
    let back = sale.caller.post("/queue/tokens").json(&json!({"userId": "ada", "concertId": concert}));
    assert_ne!(back.expect(201).await["token"], json!(entered), "a new place");
    audit(&sale).await;
}

/// A turn of four seconds with a hold that outlives it.
struct Overtime {
    sale: Sale,
    concert: String,
    performance: String,
    token: String,
    next: String,
    held: Value,
}

impl Overtime {
    async fn start(hold_seconds: &str) -> Self {
        let sale = start(&[("ONSALE_HOLD_SECONDS", hold_seconds)]).await;
        let settings = json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 4, "claimSeconds": 3_600});
        let concert = sale.concert(&settings).await;
        let performance = sale.performance(&concert, &Value::Null).await;
        sale.charge("ada", 1_000_000).await;
        let entered = sale.enter(&concert, "ada").await;
        let token = token(&entered);
        let active = sale.until_status(&token, "ACTIVE").await;
        let next = crate::support::room::token(&sale.enter(&concert, "next").await);
        let held = sale.hold(&token, &performance, &[1, 2]).await;
        let until = millis(&active["activeUntil"]);
        assert!(millis(&held["heldUntil"]) > until);
        until_clock(&sale, &token, until, "ACTIVE").await;
        Self { sale, concert, performance, token, next, held }
    }
}

#[tokio::test]
async fn a_hold_can_be_paid_after_the_turns_own_time() {
    let Overtime { sale, concert, performance, token, next, held } = Overtime::start("30").await;
    let shown = place(&sale, &token).await;
    assert_eq!(shown["activeUntil"], held["heldUntil"], "to the latest heldUntil");
    let body = json!({"performanceId": performance, "seats": [3]});
    let another = sale.caller.post("/reservations").token(&token).json(&body);
    another.refused(403, "queue-token-expired").await;
    dates(&sale, &concert, &token).await.expect(200);
    assert_eq!(place(&sale, &next).await["status"], "WAITING", "the turn still counts");

    sale.pay(&token, &held).expect(201).await;
    assert_eq!(place(&sale, &token).await["status"], "EXPIRED");
    sale.until_status(&next, "ACTIVE").await;
    audit(&sale).await;
}

#[tokio::test]
async fn a_hold_given_back_ends_a_turn_that_is_over() {
    let Overtime { sale, concert, token, next, held, .. } = Overtime::start("30").await;
    let path = format!("/reservations/{}", held["reservationId"].as_str().unwrap());
    sale.caller.delete(&path).token(&token).expect(204).await;
    sale.until_status(&token, "EXPIRED").await;
    dates(&sale, &concert, &token).await.refused(403, "queue-token-expired");
    sale.until_status(&next, "ACTIVE").await;
    audit(&sale).await;
}

#[tokio::test]
async fn a_hold_that_lapses_ends_a_turn_that_is_over() {
    let Overtime { sale, token, next, held, .. } = Overtime::start("8").await;
    let until = millis(&held["heldUntil"]);
    sale.until(&token, |place| {
        let is_over = millis(&place["asOf"]) >= until;
        assert_eq!(place["status"], if is_over { "EXPIRED" } else { "ACTIVE" }, "{place}");
        is_over
    })
    .await;
    sale.pay(&token, &held).refused(403, "queue-token-expired").await;
    sale.until_status(&next, "ACTIVE").await;
    audit(&sale).await;
}

#[tokio::test]
async fn one_hold_after_another_prolongs_nothing() {
    let sale = start(&[("ONSALE_HOLD_SECONDS", "2")]).await;
    let settings = json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 4, "claimSeconds": 3_600});
    let concert = sale.concert(&settings).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let token = sale.active(&concert, "greedy").await;
    let until = millis(&place(&sale, &token).await["activeUntil"]);
    let body = json!({"performanceId": performance, "seats": [1]});
    let mut last = 0;
    let refused = crate::support::until("no more holds", async || {
        let reply = sale.caller.post("/reservations").token(&token).json(&body).send().await;
        match reply.status.as_u16() {
            201 => last = millis(&reply.json()["heldUntil"]),
            403 => return Some(reply),
            _ => drop(reply.refused(409, "seat-taken")),
        }
        None
    })
    .await;
    refused.refused(403, "queue-token-expired");
    assert!((1..=until + 2_000).contains(&last), "the last hold was taken while the turn ran");
    sale.until_status(&token, "EXPIRED").await;
}
