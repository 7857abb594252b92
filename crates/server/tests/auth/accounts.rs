//! A bearer acts for its own user, and for no other user.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::support::room::{queue, room};
use crate::support::{audit, start, text, until};
use crate::{BY_SECRET, bearer};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

/// A sale with bearers in which Ada has a token, a hold and a payment.
struct Accounts {
    sale: Sale,
    concert: String,
    lecture: String,
    token: String,
    held: Value,
    paid: Value,
}

async fn enter(sale: &Sale, concert: &str, user: &str) -> String {
    let body = json!({"userId": user, "concertId": concert});
    text(&sale.caller.post("/queue/tokens").bearer(&bearer(user)).json(&body).expect(201).await["token"])
}

impl Accounts {
    async fn start() -> Self {
        let sale = start(&BY_SECRET).await;
        let concert = sale.concert(&room(10)).await;
        let performance = sale.performance(&concert, &Value::Null).await;
        let lecture = sale.lecture(5).await;
        let own = |call: Call| call.bearer(&bearer("ada"));
        own(sale.caller.patch("/point/ada/charge").json(&json!({"amount": 100_000}))).expect(200).await;
        let token = enter(&sale, &concert, "ada").await;
        let hold = |seat: u32| {
            let body = json!({"performanceId": performance, "seats": [seat]});
            own(sale.caller.post("/reservations").token(&token).json(&body)).expect(201)
        };
        let (first, held) = (hold(1).await, hold(2).await);
        let paid = own(sale.pay(&token, &first)).expect(201).await;
        let body = json!({"userId": "ada", "lectureId": lecture});
        own(sale.caller.post("/lectures/apply").json(&body)).expect(201).await;
        Self { sale, concert, lecture, token, held, paid }
    }

    /// All calls that name Ada or act for her.
    fn calls(&self) -> Vec<Call> {
        let Self { sale, concert, lecture, token, held, paid } = self;
        let caller = &sale.caller;
        let one = json!({"amount": 1});
        let reservation = format!("/reservations/{}", text(&held["reservationId"]));
        vec![
            caller.patch("/point/ada/charge").json(&one),
            caller.patch("/point/ada/use").json(&one),
            caller.get("/point/ada"),
            caller.get("/point/ada/histories"),
            caller.post("/lectures/apply").json(&json!({"userId": "ada", "lectureId": lecture})),
            caller.get("/lectures/application/ada"),
            caller.delete(&format!("/lectures/application/ada/{lecture}")),
            caller.post("/queue/tokens").json(&json!({"userId": "ada", "concertId": concert})),
            caller.get("/queue/token").token(token),
            caller.get("/queue/token/events").token(token),
            caller.delete("/queue/token").token(token),
            caller.get(&format!("/concerts/{concert}/dates")).token(token),
            caller.get(&format!("/concerts/{concert}/seats?date=2090-01-01")).token(token),
            caller.get(&format!("/concerts/{concert}/seats/events?performanceId={UNKNOWN}")).token(token),
            caller.post("/reservations").token(token).json(&json!({"performanceId": UNKNOWN, "seats": [1]})),
            caller.get(&reservation),
            caller.delete(&reservation).token(token),
            caller.post("/payments").token(token).json(&json!({"reservationId": held["reservationId"]})),
            caller.get(&format!("/payments/{}", text(&paid["paymentId"]))),
            caller.get(&format!("/payments/{}/refunds", text(&paid["paymentId"]))),
            caller.post(&format!("/payments/{}/refunds", text(&paid["paymentId"]))).json(&json!({})),
            caller.get(&format!("/payments/{}/tickets", text(&paid["paymentId"]))),
            caller.get(&format!("/payments/{}/tickets/{UNKNOWN}/code.svg", text(&paid["paymentId"]))),
            caller.get(&format!("/payments/{}/tickets/{UNKNOWN}/print.pdf", text(&paid["paymentId"]))),
            caller.post(&format!("/payments/{}/tickets/{UNKNOWN}/reissue", text(&paid["paymentId"]))),
            caller.get("/users/ada/tickets"),
            caller.get("/users/ada/reservations"),
            caller.get("/users/ada/payments"),
            caller.get("/users/ada/waitlists"),
            caller.get("/users/ada/queue-tokens"),
        ]
    }

    async fn state(&self) -> Value {
        let mut state = Vec::new();
        for path in ["/point/ada", "/users/ada/reservations", "/users/ada/payments", "/lectures/application/ada"] {
            state.push(self.sale.caller.get(path).bearer(&bearer("ada")).expect(200).await);
        }
        json!(state)
    }
}

#[tokio::test]
async fn calls_for_a_user_need_a_bearer() {
    let accounts = Accounts::start().await;
    let before = accounts.state().await;
    for call in accounts.calls() {
        call.refused(401, "authentication-required").await;
    }
    for call in accounts.calls() {
        call.bearer("forged").refused(401, "authentication-required").await;
    }
    assert_eq!(accounts.state().await, before);
}

#[tokio::test]
async fn a_bearer_cannot_act_for_another_user() {
    let accounts = Accounts::start().await;
    let before = accounts.state().await;
    for call in accounts.calls() {
        call.bearer(&bearer("eve")).refused(403, "not-your-account").await;
    }
    // User ids are case-sensitive.
    accounts.sale.caller.get("/point/ada").bearer(&bearer("Ada")).refused(403, "not-your-account").await;
    assert_eq!(accounts.state().await, before);
    audit(&accounts.sale).await;
}

#[tokio::test]
async fn bearer_and_token_name_the_same_user() {
    let accounts = Accounts::start().await;
    let Accounts { sale, concert, held, .. } = &accounts;
    let eve = enter(sale, concert, "eve").await;
    // Ada's hold with Eve's token is refused with any bearer.
    let pay = || sale.pay(&eve, held);
    pay().bearer(&bearer("ada")).refused(403, "not-your-account").await;
    pay().bearer(&bearer("eve")).refused(404, "reservation-not-found").await;
    sale.caller.get("/queue/token").token(&eve).bearer(&bearer("eve")).expect(200).await;
}

#[tokio::test]
async fn a_bearer_acts_for_its_own_user() {
    let accounts = Accounts::start().await;
    let Accounts { sale, token, held, .. } = &accounts;
    let own = |call: Call| call.bearer(&bearer("ada"));
    for path in ["/point/ada/histories", "/users/ada/payments", "/users/ada/reservations", "/lectures/application/ada"]
    {
        assert!(own(sale.caller.get(path)).expect(200).await != json!([]), "{path}");
    }
    own(sale.caller.get("/queue/token").token(token)).expect(200).await;
    own(sale.pay(token, held)).expect(201).await;
    audit(sale).await;
}

#[tokio::test]
async fn calls_that_name_no_user_need_no_bearer() {
    let accounts = Accounts::start().await;
    for path in ["/lectures", "/concerts", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"] {
        accounts.sale.caller.get(path).expect(200).await;
    }
}

#[tokio::test]
async fn an_idempotency_key_does_not_replace_a_bearer() {
    let accounts = Accounts::start().await;
    let sale = &accounts.sale;
    let charge = || sale.caller.patch("/point/ada/charge").json(&json!({"amount": 5})).key("one");
    charge().refused(401, "authentication-required").await;
    charge().bearer(&bearer("eve")).refused(403, "not-your-account").await;
    let first = charge().bearer(&bearer("ada")).send().await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (200, None), "none of it was kept");
    charge().bearer(&bearer("eve")).refused(403, "not-your-account").await;
    let again = charge().bearer(&bearer("ada")).send().await;
    assert_eq!((again.body, again.headers.get("idempotency-replayed").is_some()), (first.body, true));
}

#[tokio::test]
async fn without_jwt_the_id_of_a_reservation_gives_access_to_it() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let token = sale.active(&concert, "ada").await;
    let held = sale.hold(&token, &performance, &[1]).await;
    let path = format!("/reservations/{}", text(&held["reservationId"]));
    // Without jwt, the server ignores bearers.
    assert_eq!(sale.caller.get(&path).bearer("anything").expect(200).await, held);
    sale.caller.get("/point/ada").bearer(&bearer("eve")).expect(200).await;
}

#[tokio::test]
async fn entries_of_one_user_are_limited_per_minute() {
    let settings = [&BY_SECRET[..], &[("ONSALE_ENTRIES_PER_USER_PER_MINUTE", "2")]].concat();
    let sale = start(&settings).await;
    let concert = sale.concert(&room(10)).await;
    let enter = |user: &str| {
        let body = json!({"userId": user, "concertId": concert});
        sale.caller.post("/queue/tokens").bearer(&bearer(user)).json(&body)
    };
    enter("ada").expect(201).await;
    for _ in 0..3 {
        enter("ada").expect(200).await;
    }
    let reply = enter("ada").send().await;
    reply.refused(429, "too-many-requests");
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds), "one each thirty seconds: {seconds}");
    enter("bob").expect(201).await;
    // The place in line is unchanged.
    sale.caller.get("/point/ada").bearer(&bearer("ada")).expect(200).await;
}

#[tokio::test]
async fn a_queue_token_in_a_body_speaks_for_its_user() {
    let accounts = Accounts::start().await;
    let Accounts { sale, concert, .. } = &accounts;
    for grace_seconds in [0, 1] {
        let eve = enter(sale, concert, "eve").await;
        let body = json!({"token": eve, "graceSeconds": grace_seconds});
        sale.caller.post("/queue/token/leave").json(&body).expect(204).await;
        // Polls with the token would keep the place during the grace.
        until("the place is given up", async || {
            let queue = queue(sale, concert).await;
            (queue["waiting"] == 0 && queue["active"] == 1).then_some(())
        })
        .await;
        let place = sale.caller.get("/queue/token").token(&eve).bearer(&bearer("eve")).expect(200).await;
        assert_eq!(place["status"], "EXPIRED");
    }
}
