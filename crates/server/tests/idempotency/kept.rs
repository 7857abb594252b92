//! Which answers are stored under a key, and which are not.

use onsale_testing::{Call, Reply, Sale, iso};
use serde_json::{Value, json};

use super::{first, is_replay};
use crate::support::evening::Evening;
use crate::support::room::{configure, room, token};
use crate::support::{at_once, audit, start, until};

fn charge(sale: &Sale, user: &str, amount: i64) -> Call {
    sale.caller.patch(&format!("/point/{user}/charge")).json(&json!({"amount": amount}))
}

async fn balance(sale: &Sale, user: &str) -> i64 {
    sale.caller.get(&format!("/point/{user}")).expect(200).await["balance"].as_i64().unwrap()
}

#[tokio::test]
async fn a_refusal_is_replayed_under_its_key() {
    let sale = start(&[]).await;
    let spend = || sale.caller.patch("/point/ada/use").json(&json!({"amount": 10}));
    let refused = first(spend(), "spend", 409).await;
    charge(&sale, "ada", 100).expect(200).await;
    is_replay(&spend().key("spend").send().await, &refused);
    assert_eq!(balance(&sale, "ada").await, 100, "what was refused stays refused");
    assert_eq!(spend().key("spend-2").expect(200).await["balance"], 90);

    let lecture = sale.lecture(1).await;
    let apply = |user: &str| {
        let body = json!({"userId": user, "lectureId": lecture});
        sale.caller.post("/lectures/apply").json(&body)
    };
    apply("ada").expect(201).await;
    let full = first(apply("bob"), "apply", 409).await;
    sale.caller.delete(&format!("/lectures/application/ada/{lecture}")).expect(204).await;
    is_replay(&apply("bob").key("apply").send().await, &full);
    apply("bob").expect(201).await;

    let unknown = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";
    let cancel = || sale.caller.delete(&format!("/lectures/application/ada/{unknown}"));
    let missing = first(cancel(), "cancel", 404).await;
    is_replay(&cancel().key("cancel").send().await, &missing);
    audit(&sale).await;
}

#[tokio::test]
async fn refusals_of_payments_and_reservations_are_replayed() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, .. } = &evening;
    let held = evening.hold(ada, &json!([1])).expect(201).await;
    let poor = first(sale.pay(ada, &held), "poor", 409).await;
    charge(sale, "ada", 50_000).expect(200).await;
    is_replay(&sale.pay(ada, &held).key("poor").send().await, &poor);
    evening.release(ada, &held).expect(204).await;
    let gone = first(sale.pay(ada, &held), "gone", 410).await;
    is_replay(&sale.pay(ada, &held).key("gone").send().await, &gone);
    let nowhere = json!({"performanceId": "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01", "seats": [1]});
    let missing = first(evening.ask(ada, &nowhere), "nowhere", 404).await;
    is_replay(&evening.ask(ada, &nowhere).key("nowhere").send().await, &missing);
}

#[tokio::test]
async fn a_replay_has_the_first_retry_after() {
    let evening = Evening::start(&[("ONSALE_HOLD_SECONDS", "20")]).await;
    evening.hold(&evening.ada, &json!([1])).expect(201).await;
    let hold = || evening.hold(&evening.bob, &json!([1]));
    let taken = first(hold(), "hold", 409).await;
    let seconds = |reply: &Reply| reply.header("retry-after").unwrap().parse::<u64>().unwrap();
    // A new request a moment later gets a shorter time.
    until("less is left", async || (seconds(&hold().send().await) < seconds(&taken)).then_some(())).await;
    is_replay(&hold().key("hold").send().await, &taken);
}

#[tokio::test]
async fn an_invalid_request_is_not_stored_under_its_key() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, performance, .. } = &evening;
    let body = json!({"performanceId": performance, "seats": [1]});
    let post = || sale.caller.post("/reservations").token(ada).header("content-type", "application/json").key("one");
    post().bytes("{").refused(400, "malformed-request").await;
    post().bytes("[]").refused(422, "invalid-request").await;
    post().bytes(json!({"seats": [1]}).to_string()).refused(422, "invalid-request").await;
    post().bytes(vec![b' '; 65 * 1024]).refused(413, "body-too-large").await;
    let unknown = sale.caller.post("/reservations?unknown=1").token(ada).json(&body).key("one");
    unknown.refused(422, "invalid-request").await;
    let plain = sale.caller.post("/reservations").token(ada).header("content-type", "text/plain").key("one");
    plain.bytes(body.to_string()).refused(415, "unsupported-media-type").await;
    let held = first(evening.ask(ada, &body), "one", 201).await;
    is_replay(&evening.ask(ada, &body).key("one").send().await, &held);
}

#[tokio::test]
async fn a_401_or_403_is_not_stored_under_its_key() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, performance, ada, .. } = &evening;
    let body = json!({"performanceId": performance, "seats": [1]});
    let hold = |token: &str| evening.ask(token, &body).key("one");
    sale.caller.delete("/queue/token").token(ada).expect(204).await;
    sale.caller.post("/reservations").json(&body).key("one").refused(401, "queue-token-missing").await;
    hold("forged").refused(401, "queue-token-invalid").await;
    hold(ada).refused(403, "queue-token-expired").await;
    configure(sale, concert, &json!({"paused": true})).await;
    let again = token(&sale.enter(concert, "ada").await);
    hold(&again).refused(403, "queue-token-waiting").await;
    configure(sale, concert, &json!({"paused": false})).await;
    sale.until_status(&again, "ACTIVE").await;
    let held = hold(&again).send().await;
    assert_eq!(held.header("idempotency-replayed"), None);
    held.expect(201);

    let make = || {
        let body = json!({"title": "Once", "startsAt": "2090-01-01T10:00:00Z"});
        sale.caller.post("/admin/lectures").json(&body).key("two")
    };
    make().refused(401, "admin-key-invalid").await;
    make().bearer("wrong").refused(401, "admin-key-invalid").await;
    let made = sale.admin(make()).send().await;
    assert_eq!(made.header("idempotency-replayed"), None);
    made.expect(201);
}

#[tokio::test]
async fn a_replay_needs_no_active_turn_and_a_waiting_token_gets_none() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, ada, .. } = &evening;
    sale.charge("ada", 100_000).await;
    let held = evening.hold(ada, &json!([1])).expect(201).await;
    let paid = first(sale.pay(ada, &held), "pay", 201).await;
    is_replay(&sale.pay(ada, &held).key("pay").send().await, &paid);
    assert_eq!(balance(sale, "ada").await, 50_000, "the token has ended, and the payment is answered once more");
    sale.pay(ada, &held).key("another").refused(403, "queue-token-expired").await;

    configure(sale, concert, &json!({"paused": true})).await;
    let waiting = token(&sale.enter(concert, "ada").await);
    sale.pay(&waiting, &held).key("pay").refused(403, "queue-token-waiting").await;
    configure(sale, concert, &json!({"paused": false})).await;
    sale.until_status(&waiting, "ACTIVE").await;
    is_replay(&sale.pay(&waiting, &held).key("pay").send().await, &paid);
    is_replay(&sale.pay(ada, &held).key("pay").send().await, &paid);
}

/// The client of a hold lost its answer, and then the performance was moved: the body names a date that is not its date any more.
#[tokio::test]
async fn a_hold_is_replayed_after_its_performance_was_moved() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, performance, concert, .. } = &evening;
    let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(ada).expect(200).await;
    let both = json!({"performanceId": performance, "date": dates[0]["date"], "seats": [1]});
    let held = first(evening.ask(ada, &both), "hold", 201).await;
    let other = json!({"performanceId": performance, "date": "2089-01-01", "seats": [2]});
    evening.ask(ada, &other).refused(422, "invalid-request").await;
    let moved = json!({"startsAt": iso(40 * 86_400)});
    sale.admin(sale.caller.patch(&format!("/admin/performances/{performance}"))).json(&moved).expect(200).await;
    is_replay(&evening.ask(ada, &both).key("hold").send().await, &held);
    evening.ask(ada, &both).key("another").refused(422, "invalid-request").await;
    audit(sale).await;
}

/// Sends one call fifty times concurrently. All get the same answer, and exactly one is not a replay.
async fn fifty_at_once(call: impl Fn() -> Call, status: u16) -> Value {
    let replies = at_once((0..50).map(|_| call().key("fifty"))).await;
    let fresh: Vec<&Reply> = replies.iter().filter(|reply| reply.header("idempotency-replayed").is_none()).collect();
    assert_eq!(fresh.len(), 1, "{}", replies[0].call);
    let body = fresh[0].expect(status);
    for reply in &replies {
        assert_eq!((reply.status, &reply.body), (fresh[0].status, &fresh[0].body));
    }
    body
}

#[tokio::test]
async fn fifty_concurrent_requests_with_one_key_act_once() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, .. } = &evening;
    fifty_at_once(|| charge(sale, "ada", 60_000), 200).await;
    assert_eq!(balance(sale, "ada").await, 60_000);
    // Keys belong to their user, so these requests do not share theirs.
    let lecture = sale.lecture(60).await;
    let apply = json!({"userId": "bob", "lectureId": lecture});
    fifty_at_once(|| sale.caller.post("/lectures/apply").json(&apply), 201).await;
    let concert = sale.concert(&room(10)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let eve = sale.active(&concert, "eve").await;
    let body = json!({"performanceId": performance, "seats": [1, 2]});
    let held = fifty_at_once(|| sale.caller.post("/reservations").token(&eve).json(&body), 201).await;
    let list = sale.caller.get("/users/eve/reservations").expect(200).await;
    assert_eq!(list, json!([held]));

    let held = evening.hold(ada, &json!([1])).expect(201).await;
    let replies = at_once((0..50).map(|_| sale.pay(ada, &held).key("pay"))).await;
    assert!(replies.iter().all(|reply| reply.body == replies[0].body), "every one of them gets the payment");
    replies[0].expect(201);
    assert_eq!(balance(sale, "ada").await, 10_000);
    let make = json!({"title": "Fifty", "startsAt": "2090-01-01T10:00:00Z"});
    let made = fifty_at_once(|| sale.admin(sale.caller.post("/admin/lectures")).json(&make), 201).await;
    assert_eq!(made["title"], "Fifty");
    audit(sale).await;
}
