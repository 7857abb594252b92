//! What opens the calls behind the waiting room, and what does not.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::support::raw::{exchange, request};
use crate::support::room::{configure, place, room, token};
use crate::support::{start, text};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

/// Every call that needs a turn, each in a sound form and in forms that are wrong in other ways too.
fn calls(sale: &Sale, concert: &str) -> Vec<Call> {
    let caller = &sale.caller;
    let seats = json!({"performanceId": UNKNOWN, "seats": [1]});
    let reservation = format!("/reservations/{UNKNOWN}");
    vec![
        caller.get(&format!("/concerts/{concert}/dates")),
        caller.get(&format!("/concerts/{concert}/dates?unknown=1")),
        caller.get(&format!("/concerts/{concert}/seats?date=2090-01-01")),
        caller.get(&format!("/concerts/{concert}/seats")),
        caller.get(&format!("/concerts/{concert}/seats?date=never&date=twice")),
        caller.post("/reservations").json(&seats),
        caller.post("/reservations").json(&json!({"seats": [1, 1], "unknown": null})),
        caller.post("/reservations").header("content-type", "application/json").bytes("{"),
        caller.post("/reservations").header("content-type", "text/plain").bytes("seats"),
        caller.post("/reservations").json(&seats).key("with blank"),
        caller.delete(&reservation),
        caller.delete("/reservations/what"),
        caller.post("/payments").json(&json!({"reservationId": UNKNOWN})),
        caller.post("/payments").json(&json!([])),
        caller.post("/payments?unknown=1").json(&json!({"reservationId": 1})),
        caller.post("/payments").json(&json!({"reservationId": UNKNOWN})).key("a-key"),
    ]
}

#[tokio::test]
async fn without_a_token_nothing_opens() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(1)).await;
    let also = [sale.caller.get("/queue/token"), sale.caller.delete("/queue/token")];
    for call in calls(&sale, &concert).into_iter().chain(also) {
        call.refused(401, "queue-token-missing").await;
    }
    sale.caller.get("/queue/token/events").refused(401, "queue-token-missing").await;
}

/// Texts that look more or less like this token and are not.
fn forgeries(token: &str) -> Vec<String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("a token has three parts: {token}") };
    let flip = |text: &str| {
        let first = if text.starts_with('A') { "B" } else { "A" };
        format!("{first}{}", &text[1..])
    };
    let none = "eyJhbGciOiJub25lIn0";
    vec![
        "x".to_owned(),
        "a.b.c".to_owned(),
        "..".to_owned(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}.{}", flip(signature)),
        format!("{header}.{}.{signature}", flip(claims)),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{token}.{signature}"),
        format!("{token}A"),
        format!("Bearer {token}"),
        "e".repeat(5_000),
    ]
}

#[tokio::test]
async fn a_forged_token_opens_nothing() {
    let (sale, other_server) = (start(&[]).await, start(&[]).await);
    let concert = sale.concert(&room(10)).await;
    let elsewhere = other_server.concert(&room(10)).await;
    let genuine = sale.active(&concert, "ada").await;
    let foreign = other_server.active(&elsewhere, "ada").await;
    for forged in forgeries(&genuine).into_iter().chain([foreign]) {
        sale.caller.get("/queue/token").token(&forged).refused(401, "queue-token-invalid").await;
        sale.caller.delete("/queue/token").token(&forged).refused(401, "queue-token-invalid").await;
        let events = format!("/queue/token/events?token={}", forged.replace(' ', "%20"));
        sale.caller.get(&events).refused(401, "queue-token-invalid").await;
        for call in calls(&sale, &concert) {
            call.token(&forged).refused(401, "queue-token-invalid").await;
        }
    }
    let header = [b"queue-token: ".as_slice(), b"\xff\xfe"].concat();
    let reply = exchange(sale.instance.base(), &request(b"GET /queue/token", &[&header], b"")).await.unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (401, "queue-token-invalid"));
    assert_eq!(place(&sale, &genuine).await["status"], "ACTIVE");
}

#[tokio::test]
async fn another_concerts_token_opens_nothing() {
    let sale = start(&[]).await;
    let (concert, elsewhere) = (sale.concert(&room(10)).await, sale.concert(&room(10)).await);
    let foreign = sale.active(&elsewhere, "ada").await;
    for path in ["dates", "seats?date=2090-01-01", "seats", "dates?unknown=1"] {
        for concert in [&concert, UNKNOWN, "what"] {
            let call = sale.caller.get(&format!("/concerts/{concert}/{path}"));
            call.token(&foreign).refused(401, "queue-token-invalid").await;
        }
    }
    // If the call names no concert, the token does, and other concerts are not found.
    let performance = sale.performance(&concert, &Value::Null).await;
    let body = json!({"performanceId": performance, "seats": [1]});
    sale.caller.post("/reservations").token(&foreign).json(&body).refused(404, "performance-not-found").await;
}

#[tokio::test]
async fn the_refusal_of_a_waiting_user_has_the_position() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(1)).await;
    sale.active(&concert, "first").await;
    sale.enter(&concert, "second").await;
    let waiting = token(&sale.enter(&concert, "third").await);
    for call in calls(&sale, &concert) {
        let reply = call.token(&waiting).send().await;
        assert_eq!(reply.refused(403, "queue-token-waiting")["position"], 2, "{}", reply.call);
        let seconds: u64 = reply.header("retry-after").expect("when to ask again").parse().unwrap();
        assert!(seconds >= 1);
    }
    assert_eq!(place(&sale, &waiting).await["position"], 2);
}

#[tokio::test]
async fn an_ended_token_opens_nothing() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let left = sale.active(&concert, "left").await;
    sale.caller.delete("/queue/token").token(&left).expect(204).await;
    configure(&sale, &concert, &json!({"paused": true})).await;
    let gave_up = token(&sale.enter(&concert, "gave-up").await);
    sale.caller.delete("/queue/token").token(&gave_up).expect(204).await;
    for ended in [&left, &gave_up] {
        for call in calls(&sale, &concert) {
            call.token(ended).refused(403, "queue-token-expired").await;
        }
        assert_eq!(place(&sale, ended).await["status"], "EXPIRED");
    }
}

#[tokio::test]
async fn the_token_names_who_acts() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let ada = sale.active(&concert, "ada").await;
    let body = json!({"performanceId": performance, "seats": [1], "userId": "bob"});
    let problem = sale.caller.post("/reservations").token(&ada).json(&body).refused(422, "invalid-request").await;
    assert_eq!(problem["errors"][0]["field"], "userId", "a user cannot name another user");
    let held = sale.hold(&ada, &performance, &[1]).await;
    let id = text(&held["reservationId"]);
    let body = json!({"reservationId": id, "userId": "bob"});
    sale.caller.post("/payments").token(&ada).json(&body).refused(422, "invalid-request").await;
    let of = |user: &str| sale.caller.get(&format!("/users/{user}/reservations")).expect(200);
    assert_eq!(of("ada").await[0]["reservationId"], json!(id));
    assert_eq!(of("bob").await, json!([]));
}
