//! A sale that opens and closes at set times, and the limit of seats for one user.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::support::evening::Evening;
use crate::support::room::{admitted_at, place, room, token};
use crate::support::stream::Stream;
use crate::support::{audit, millis, start, text, until};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";
const LONG_AGO: &str = "2020-01-01T00:00:00.000Z";

/// The instant this many seconds from now, as answers show it.
fn iso(seconds_from_now: i64) -> String {
    onsale_testing::iso(seconds_from_now).replace('Z', ".000Z")
}

fn change(sale: &Sale, concert: &str, body: &Value) -> Call {
    sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}"))).json(body)
}

fn enter(sale: &Sale, concert: &str, user: &str) -> Call {
    sale.caller.post("/queue/tokens").json(&json!({"userId": user, "concertId": concert}))
}

#[tokio::test]
async fn before_its_opening_a_sale_keeps_places_and_admits_no_user() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(1)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    sale.charge("ada", 1_000_000).await;
    let ada = sale.active(&concert, "ada").await;
    let bob = token(&sale.enter(&concert, "bob").await);
    let held = sale.hold(&ada, &performance, &[1]).await;

    let opens_at = iso(7_200);
    let changed = change(&sale, &concert, &json!({"opensAt": opens_at})).expect(200).await;
    assert_eq!(millis(&changed["opensAt"]), millis(&json!(opens_at)));
    enter(&sale, UNKNOWN, "new").refused(404, "concert-not-found").await;
    for ask in [
        enter(&sale, &concert, "new"),
        sale.caller.post("/reservations").token(&ada).json(&json!({"performanceId": performance, "seats": [2]})),
    ] {
        let reply = ask.send().await;
        let refused = reply.refused(409, "sale-not-open");
        assert_eq!(refused["opensAt"], changed["opensAt"]);
        let seconds: u32 = reply.header("retry-after").expect("when to ask again").parse().unwrap();
        assert!((1_800..=3_600).contains(&seconds), "{seconds}");
    }
    // Users keep what they have, and a user with a hold may pay.
    for (user, own, status) in [("ada", &ada, "ACTIVE"), ("bob", &bob, "WAITING")] {
        let again = enter(&sale, &concert, user).expect(200).await;
        assert_eq!((&again["token"], &again["status"]), (&json!(own), &json!(status)));
        assert_eq!((&again["opensAt"], &again["closed"]), (&changed["opensAt"], &json!(false)));
    }
    let wait = place(&sale, &bob).await["estimatedWaitSeconds"].as_u64().unwrap();
    assert!((7_100..=7_300).contains(&wait), "the estimate counts the time until the opening in: {wait}");
    sale.pay(&ada, &held).expect(201).await;
    sale.until_status(&ada, "EXPIRED").await;
    assert_eq!(place(&sale, &bob).await["position"], 1, "no user is admitted");

    change(&sale, &concert, &json!({"opensAt": null})).expect(200).await;
    assert_eq!(sale.until_status(&bob, "ACTIVE").await["opensAt"], Value::Null);
    audit(&sale).await;
}

/// Other work of the machine may delay one room, so the rooms open one after another, and the bound applies to the middle one of
/// five.
#[tokio::test]
async fn admission_starts_at_the_opening() {
    let sale = start(&[]).await;
    let mut lines = Vec::new();
    for number in 0..5 {
        let concert = sale.concert(&room(1)).await;
        sale.active(&concert, "first").await;
        let waiting = token(&sale.enter(&concert, &format!("ada-{number}")).await);
        lines.push((concert, waiting));
    }
    // The last change is made before the first opening, on a busy machine too.
    let openings: Vec<String> = (8..13).map(iso).collect();
    for ((concert, _), opens_at) in lines.iter().zip(&openings) {
        change(&sale, concert, &json!({"opensAt": opens_at})).expect(200).await;
        let settings = json!({"maxActive": 9});
        sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}/queue"))).json(&settings).expect(200).await;
    }
    let mut late = Vec::new();
    for ((_, waiting), opens_at) in lines.iter().zip(&openings) {
        let place = sale.until_status(waiting, "ACTIVE").await;
        late.push(admitted_at(&place, 3_600) - millis(&json!(opens_at)));
    }
    late.sort_unstable();
    println!("admitted after the opening, in ms: {late:?}");
    assert!(late[0] >= 0, "no user is admitted before: {late:?}");
    assert!(late[2] <= 250, "{late:?}");
    audit(&sale).await;
}

#[tokio::test]
async fn a_sale_that_has_ended_is_closed() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, ada, bob, .. } = &evening;
    sale.charge("ada", 1_000_000).await;
    let held = evening.hold(ada, &json!([1])).expect(201).await;
    let mut stream =
        Stream::open(sale.instance.base(), "/queue/token/events", &[&*format!("Queue-Token: {bob}")]).await;
    assert_eq!(stream.next().await.unwrap().1["closed"], false);
    let closes_at = iso(2);
    let changed = change(sale, concert, &json!({"closesAt": closes_at})).expect(200).await;
    assert_eq!(changed["closed"], false, "what was set");
    // The stream sends the new end, and then that it is reached.
    let mut shown = stream.next().await.unwrap().1;
    while shown["closesAt"].is_null() {
        shown = stream.next().await.unwrap().1;
    }
    while shown["closed"] == false {
        shown = stream.next().await.unwrap().1;
    }
    assert!(millis(&shown["asOf"]) >= millis(&changed["closesAt"]), "not before its end: {shown}");
    enter(sale, concert, "new").refused(409, "sale-closed").await;
    evening.hold(bob, &json!([2])).key("once").refused(409, "sale-closed").await;
    assert_eq!(enter(sale, concert, "bob").expect(200).await["closed"], true);
    until("the list shows it", async || {
        let listed = sale.caller.get("/concerts").expect(200).await;
        (listed[0]["closesAt"] == changed["closesAt"]).then_some(())
    })
    .await;
    sale.pay(ada, &held).expect(201).await;
    let reopened = change(sale, concert, &json!({"closesAt": null})).expect(200).await;
    assert_eq!((&reopened["closesAt"], &reopened["closed"]), (&Value::Null, &json!(false)));
    // The key did not keep the refusal.
    evening.hold(bob, &json!([2])).key("once").expect(201).await;
    audit(sale).await;
}

#[tokio::test]
async fn a_key_does_not_keep_that_a_sale_was_not_open() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, ada, .. } = &evening;
    change(sale, concert, &json!({"opensAt": iso(3_600)})).expect(200).await;
    evening.hold(ada, &json!([1])).key("once").refused(409, "sale-not-open").await;
    change(sale, concert, &json!({"opensAt": LONG_AGO})).expect(200).await;
    let held = evening.hold(ada, &json!([1])).key("once").send().await;
    held.expect(201);
    assert_eq!(held.header("idempotency-replayed"), None);
}

#[tokio::test]
async fn hours_that_cross_are_refused_by_field() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(1)).await;
    let (early, late) = ("2090-01-01T00:00:00.000Z", "2090-01-02T00:00:00.000Z");
    let wrong = async |body: Value, field: &str| {
        let refused = change(&sale, &concert, &body).key("tried").refused(422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    };
    wrong(json!({"opensAt": late, "closesAt": early}), "closesAt").await;
    wrong(json!({"opensAt": early, "closesAt": early}), "closesAt").await;
    change(&sale, &concert, &json!({"closesAt": early})).key("tried").expect(200).await;
    wrong(json!({"opensAt": early, "maxSeatsPerUser": 0}), "maxSeatsPerUser").await;
    wrong(json!({"maxSeatsPerUser": 21}), "maxSeatsPerUser").await;
    wrong(json!({"maxSeatsPerUser": null}), "maxSeatsPerUser").await;
    wrong(json!({"opensAt": "soon"}), "opensAt").await;
    wrong(json!({"title": ""}), "title").await;
    let refused = change(&sale, &concert, &json!({"opensAt": late})).refused(422, "invalid-request").await;
    assert_eq!(refused["errors"][0]["field"], "opensAt");
    let body = json!({"title": "t", "venue": "v", "opensAt": late, "closesAt": early});
    let refused = sale.admin(sale.caller.post("/admin/concerts")).json(&body).refused(422, "invalid-request").await;
    assert_eq!(refused["errors"][0]["field"], "closesAt");
    audit(&sale).await;
}

#[tokio::test]
async fn a_concert_is_made_with_its_hours_and_its_limit() {
    let sale = start(&[]).await;
    let opens_at = "2090-01-01T00:00:00.000Z";
    let body =
        json!({"title": "A concert", "venue": "A hall", "queue": room(9), "opensAt": opens_at, "maxSeatsPerUser": 2});
    let made = sale.admin(sale.caller.post("/admin/concerts")).json(&body).expect(201).await;
    assert_eq!((&made["opensAt"], &made["closesAt"]), (&json!(opens_at), &Value::Null));
    assert_eq!((&made["closed"], &made["maxSeatsPerUser"]), (&json!(false), &json!(2)));
    let concert = text(&made["concertId"]);
    let performance = sale.performance(&concert, &Value::Null).await;
    enter(&sale, &concert, "ada").refused(409, "sale-not-open").await;
    change(&sale, &concert, &json!({"opensAt": null})).expect(200).await;
    let ada = sale.active(&concert, "ada").await;
    let hold = |seats: &Value| {
        sale.caller.post("/reservations").token(&ada).json(&json!({"performanceId": performance, "seats": seats}))
    };
    hold(&json!([1, 2, 3])).refused(409, "seat-limit").await;
    hold(&json!([1, 2])).expect(201).await;
    change(&sale, &concert, &json!({"maxSeatsPerUser": 20})).expect(200).await;
    hold(&(3..=20).collect::<Value>()).expect(201).await;
    hold(&json!([21])).refused(409, "seat-limit").await;
    // A lower limit takes no seat away.
    change(&sale, &concert, &json!({"maxSeatsPerUser": 1})).expect(200).await;
    let seats = sale.caller.get("/users/ada/reservations").expect(200).await;
    assert_eq!(seats[0]["status"], "HELD");
    hold(&json!([22])).refused(409, "seat-limit").await;
    audit(&sale).await;
}

#[tokio::test]
async fn new_texts_are_shown_and_logged() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(9)).await;
    let body = json!({"title": "Another title", "venue": "Another hall"});
    let changed = change(&sale, &concert, &body).expect(200).await;
    assert_eq!((&changed["title"], &changed["venue"]), (&body["title"], &body["venue"]));
    until("the list shows it", async || {
        let listed = sale.caller.get("/concerts").expect(200).await;
        (listed[0]["title"] == body["title"] && listed[0]["venue"] == body["venue"]).then_some(())
    })
    .await;
    let log = sale.admin(sale.caller.get("/admin/log?action=concert.changed")).expect(200).await;
    assert_eq!(log.as_array().unwrap().len(), 1);
    assert_eq!(log[0]["before"], json!({"title": "A concert", "venue": "A hall"}));
    assert_eq!(log[0]["after"], body);
    // The same again changes nothing.
    change(&sale, &concert, &body).expect(200).await;
    let log = sale.admin(sale.caller.get("/admin/log?action=concert.changed")).expect(200).await;
    assert_eq!(log.as_array().unwrap().len(), 1);
    audit(&sale).await;
}
