//! A sale or a performance that an administrator closes and opens again.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::support::evening::Evening;
use crate::support::room::{place, queue, room, token};
use crate::support::stream::Stream;
use crate::support::{audit, start, until};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

fn change(sale: &Sale, concert: &str, body: &Value) -> Call {
    sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}"))).json(body)
}

async fn close(sale: &Sale, concert: &str, closed: bool) -> Value {
    change(sale, concert, &json!({"closed": closed})).expect(200).await
}

fn enter(sale: &Sale, concert: &str, user: &str) -> Call {
    sale.caller.post("/queue/tokens").json(&json!({"userId": user, "concertId": concert}))
}

#[tokio::test]
async fn a_closed_sale_stops_entering_admission_and_holding() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(1)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    sale.charge("ada", 1_000_000).await;
    let ada = sale.active(&concert, "ada").await;
    let bob = token(&sale.enter(&concert, "bob").await);
    let held = sale.hold(&ada, &performance, &[1]).await;

    let closed = close(&sale, &concert, true).await;
    assert_eq!((&closed["closed"], &closed["concertId"]), (&json!(true), &json!(concert)));
    assert_eq!(place(&sale, &bob).await["closed"], true, "this instance shows it at once");
    enter(&sale, &concert, "new").refused(409, "sale-closed").await;
    enter(&sale, UNKNOWN, "new").refused(404, "concert-not-found").await;
    let body = json!({"performanceId": performance, "seats": [2]});
    sale.caller.post("/reservations").token(&ada).json(&body).refused(409, "sale-closed").await;

    // Users keep what they have, and a user with a hold may pay.
    for (user, token, status) in [("ada", &ada, "ACTIVE"), ("bob", &bob, "WAITING")] {
        let again = enter(&sale, &concert, user).expect(200).await;
        assert_eq!(
            (&again["token"], &again["status"], &again["closed"]),
            (&json!(token), &json!(status), &json!(true))
        );
    }
    sale.pay(&ada, &held).expect(201).await;
    sale.until_status(&ada, "EXPIRED").await;
    until("the turn is settled", async || (queue(&sale, &concert).await["active"] == 0).then_some(())).await;
    assert_eq!(place(&sale, &bob).await["position"], 1, "no user is admitted");
    enter(&sale, &concert, "ada").refused(409, "sale-closed").await;

    assert_eq!(close(&sale, &concert, false).await["closed"], false);
    sale.until_status(&bob, "ACTIVE").await;
    sale.hold(&bob, &performance, &[2]).await;
    enter(&sale, &concert, "ada").expect(201).await;
    audit(&sale).await;
}

#[tokio::test]
async fn a_stream_sends_a_close_at_once() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(1)).await;
    let tokens = [sale.active(&concert, "ada").await, token(&sale.enter(&concert, "bob").await)];
    let mut streams = Vec::new();
    for token in &tokens {
        let headers = [&*format!("Queue-Token: {token}")];
        streams.push(Stream::open(sale.instance.base(), "/queue/token/events", &headers).await);
    }
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap().1["closed"], false);
    }
    for closed in [true, false] {
        close(&sale, &concert, closed).await;
        for stream in &mut streams {
            while stream.next().await.unwrap().1["closed"] != closed {}
        }
    }
}

#[tokio::test]
async fn a_closed_performance_stops_its_holds_alone() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, performance, ada, bob } = &evening;
    let matinee = sale.performance(concert, &Value::Null).await;
    sale.charge("ada", 1_000_000).await;
    let held = evening.hold(ada, &json!([1])).expect(201).await;
    let path = format!("/admin/performances/{performance}");
    let patch = |body: &Value| sale.admin(sale.caller.patch(&path)).json(body);
    let closed = patch(&json!({"closed": true})).expect(200).await;
    assert_eq!((&closed["closed"], &closed["status"]), (&json!(true), &json!("CLOSED")));
    evening.hold(bob, &json!([2])).refused(409, "performance-closed").await;
    evening.hold(bob, &json!([99])).refused(409, "performance-closed").await;
    sale.hold(bob, &matinee, &[2]).await;

    // Dates may lag by 3 s.
    let until_dates = async |of_first: Value, of_other: Value| {
        until(&format!("the dates are {of_first} and {of_other}"), async || {
            let shown = sale.caller.get(&format!("/concerts/{concert}/dates")).token(bob).expect(200).await;
            let of = |id: &str| {
                let date = shown.as_array().unwrap().iter().find(|date| date["performanceId"] == id).unwrap();
                json!([date["status"], date["remaining"]])
            };
            (of(performance) == of_first && of(&matinee) == of_other).then_some(())
        })
        .await;
    };
    until_dates(json!(["CLOSED", 0]), json!(["OPEN", 49])).await;
    sale.pay(ada, &held).expect(201).await;
    patch(&json!({"closed": false})).expect(200).await;
    until_dates(json!(["OPEN", 49]), json!(["OPEN", 49])).await;
    evening.hold(bob, &json!([2])).expect(201).await;
    audit(sale).await;
}

/// A performance that cannot be sold leaves nothing to buy.
#[tokio::test]
async fn a_concert_whose_performances_are_closed_is_sold_out() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, ada, .. } = &evening;
    let path = format!("/admin/performances/{performance}");
    for closed in [true, false] {
        sale.admin(sale.caller.patch(&path)).json(&json!({"closed": closed})).expect(200).await;
        sale.until(ada, |place| place["soldOut"] == closed).await;
    }
}

#[tokio::test]
async fn a_sale_can_be_made_closed() {
    let sale = start(&[]).await;
    let body = json!({"title": "A concert", "venue": "A hall", "queue": room(10), "closed": true});
    let made = sale.admin(sale.caller.post("/admin/concerts")).json(&body).expect(201).await;
    let concert = made["concertId"].as_str().unwrap().to_owned();
    let path = format!("/admin/concerts/{concert}/performances");
    let body = json!({"startsAt": "2090-03-03T10:00:00Z", "closed": true});
    let made = sale.admin(sale.caller.post(&path)).json(&body).expect(201).await;
    assert_eq!((&made["status"], &made["remaining"]), (&json!("CLOSED"), &json!(0)));
    let performance = made["performanceId"].as_str().unwrap().to_owned();
    enter(&sale, &concert, "ada").refused(409, "sale-closed").await;
    close(&sale, &concert, false).await;
    let ada = sale.active(&concert, "ada").await;
    let body = json!({"performanceId": performance, "seats": [2]});
    sale.caller.post("/reservations").token(&ada).json(&body).refused(409, "performance-closed").await;
    // A performance that is added while the sale is closed is closed with it.
    close(&sale, &concert, true).await;
    let other = sale.performance(&concert, &Value::Null).await;
    let body = json!({"performanceId": other, "seats": [2]});
    sale.caller.post("/reservations").token(&ada).json(&body).refused(409, "sale-closed").await;
    close(&sale, &concert, false).await;
    sale.hold(&ada, &other, &[2]).await;
    audit(&sale).await;
}

/// The same request may succeed later, so its key is not used up.
#[tokio::test]
async fn a_key_does_not_keep_that_a_sale_was_closed() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, ada, .. } = &evening;
    close(sale, concert, true).await;
    evening.hold(ada, &json!([1])).key("once").refused(409, "sale-closed").await;
    close(sale, concert, false).await;
    let held = evening.hold(ada, &json!([1])).key("once").send().await;
    held.expect(201);
    assert_eq!(held.header("idempotency-replayed"), None);
}

#[tokio::test]
async fn a_change_names_a_field_of_a_thing_that_exists() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, performance, .. } = &evening;
    for (path, unknown, code) in [
        (format!("/admin/concerts/{concert}"), format!("/admin/concerts/{UNKNOWN}"), "concert-not-found"),
        (
            format!("/admin/performances/{performance}"),
            format!("/admin/performances/{UNKNOWN}"),
            "performance-not-found",
        ),
    ] {
        let patch = |path: &str, body: &Value| sale.admin(sale.caller.patch(path)).json(body);
        sale.caller.patch(&path).json(&json!({"closed": true})).refused(401, "admin-key-invalid").await;
        patch(&unknown, &json!({"closed": true})).refused(404, code).await;
        for body in [json!({}), json!({"closed": null}), json!({"closed": "yes"}), json!({"open": true}), json!([])] {
            patch(&path, &body).refused(422, "invalid-request").await;
        }
        // The same again changes nothing.
        assert_eq!(patch(&path, &json!({"closed": false})).expect(200).await["closed"], false);
    }
    assert_eq!(place(sale, &evening.ada).await["closed"], false);
    audit(sale).await;
}
