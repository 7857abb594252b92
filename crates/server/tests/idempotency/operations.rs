//! Idempotency of every operation that changes something.

use onsale_testing::{Call, Sale, iso};
use serde_json::{Value, json};

use super::{first, is_replay};
use crate::support::evening::{Evening, path_of};
use crate::support::room::{queue, room, token};
use crate::support::{ONSALE, audit, start, text, until};

/// A call, its status, and another call of the same user.
struct Change {
    status: u16,
    call: Box<dyn Fn() -> Call>,
    other: Box<dyn Fn() -> Call>,
}

/// Describes a change that Ada makes.
fn of_ada(sale: &Sale, status: u16, call: impl Fn() -> Call + 'static) -> Change {
    let caller = sale.caller.clone();
    let other = move || caller.patch("/point/ada/charge").json(&json!({"amount": 4_711}));
    Change { status, call: Box::new(call), other: Box::new(other) }
}

/// Another call of Bob, who owns the keys under which his seats are refunded.
fn of_bob(sale: &Sale) -> Box<dyn Fn() -> Call> {
    let caller = sale.caller.clone();
    Box::new(move || caller.patch("/point/bob/use").json(&json!({"amount": 4_711})))
}

/// Describes a change that the administrator makes.
fn of_admin(sale: &Sale, status: u16, method: &str, path: &str, body: Value) -> Change {
    let (caller, path, method) = (sale.caller.clone(), path.to_owned(), method.parse::<hyper::Method>().unwrap());
    let bearer = "an-admin-key-for-tests-only";
    let call = move || caller.call(method.clone(), &path).bearer(bearer).json(&body);
    let caller = sale.caller.clone();
    let lecture = json!({"title": "Other", "startsAt": "2090-01-01T10:00:00Z"});
    let other = move || caller.post("/admin/lectures").bearer(bearer).json(&lecture);
    Change { status, call: Box::new(call), other: Box::new(other) }
}

/// What the calls name.
struct Named<'a> {
    evening: &'a Evening,
    lecture: String,
    /// Ada's holds: one to release and one to pay.
    spare: Value,
    paid: Value,
    /// The path of the refunds of Bob's payment, without a slash in front.
    refunds: String,
    /// The tickets of that payment, and a check-in of the first.
    tickets: Value,
    check_in: String,
    /// A performance to cancel.
    off: String,
    /// A concert whose draw waits for its beacon.
    undrawn: String,
    /// A key of staff to delete.
    key: String,
}

/// A concert whose list is closed and whose draw waits for its beacon.
async fn undrawn(sale: &Sale) -> String {
    let mut queue = room(10);
    (queue["earlyFrom"], queue["order"], queue["drawAt"]) = (json!(iso(-60)), json!("draw"), json!(iso(5)));
    let body = json!({"title": "Gala", "venue": "Hall", "opensAt": iso(3_600), "queue": queue});
    let concert = sale.admin(sale.caller.post("/admin/concerts")).json(&body).expect(201).await;
    let concert = text(&concert["concertId"]);
    let beacon = json!({"beaconName": "a dice", "beaconAt": iso(60)});
    sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}/queue"))).json(&beacon).expect(200).await;
    let path = format!("/concerts/{concert}/draw");
    until("the list is closed", async || {
        let draw = sale.caller.get(&path).expect(200).await;
        (draw["state"] == "awaiting-beacon").then_some(())
    })
    .await;
    concert
}

/// One call of each operation, in an order in which each succeeds.
async fn changes(evening: &Evening) -> Vec<Change> {
    let Evening { sale, performance, ada, bob, .. } = evening;
    let lecture = sale.lecture(5).await;
    let applied = json!({"userId": "bob", "lectureId": lecture});
    sale.caller.post("/lectures/apply").json(&applied).expect(201).await;
    let spare = evening.hold(ada, &json!([4])).expect(201).await;
    let paid = evening.hold(ada, &json!([3])).expect(201).await;
    sale.charge("bob", 100_000).await;
    let held = evening.hold(bob, &json!([10, 11])).expect(201).await;
    let bought = sale.pay(bob, &held).expect(201).await;
    let refunds = format!("payments/{}/refunds", text(&bought["paymentId"]));
    let path = format!("/payments/{}/tickets", text(&bought["paymentId"]));
    let tickets = sale.caller.get(&path).expect(200).await;
    let scanned = sale.admin(sale.caller.post("/check-ins").json(&scan(performance, &tickets[0], "before")));
    let check_in = text(&scanned.expect(201).await["checkInId"]);
    let policy = json!({"refundPolicy": [{"hoursBefore": 0, "feePercent": 10}]});
    sale.admin(sale.caller.patch(&format!("/admin/performances/{performance}"))).json(&policy).expect(200).await;
    let body = json!({"name": "a key to delete", "role": "door"});
    let key = sale.admin(sale.caller.post("/admin/keys").json(&body)).expect(201).await;
    let key = text(&key["keyId"]);
    let off = sale.performance(&sale.concert(&room(10)).await, &Value::Null).await;
    let undrawn = undrawn(sale).await;
    let named = Named { evening, lecture, spare, paid, refunds, tickets, check_in, off, undrawn, key };
    let changes =
        [by_users(&named), by_organisers(&named), of_lectures(&named), of_tickets(&named), of_payments(&named)];
    changes.into_iter().flatten().collect()
}

fn by_users(named: &Named<'_>) -> Vec<Change> {
    let Named { evening: Evening { sale, performance, ada, .. }, lecture, spare, paid, .. } = named;
    let post = |path: &str, body: Value| {
        let (caller, path, token) = (sale.caller.clone(), path.to_owned(), ada.clone());
        move || caller.post(&path).token(&token).json(&body)
    };
    let patch = |path: &str, body: Value| {
        let (caller, path) = (sale.caller.clone(), path.to_owned());
        move || caller.patch(&path).json(&body)
    };
    let delete = |path: &str| {
        let (caller, path, token) = (sale.caller.clone(), path.to_owned(), ada.clone());
        move || caller.delete(&path).token(&token)
    };
    vec![
        of_ada(sale, 200, patch("/point/ada/charge", json!({"amount": 300_000}))),
        of_ada(sale, 200, patch("/point/ada/use", json!({"amount": 1}))),
        of_ada(sale, 201, post("/lectures/apply", json!({"userId": "ada", "lectureId": lecture}))),
        of_ada(sale, 204, delete(&format!("/lectures/application/ada/{lecture}"))),
        of_ada(sale, 201, post("/reservations", json!({"performanceId": performance, "seats": [1]}))),
        of_ada(sale, 201, post("/reservations", json!({"performanceId": performance, "any": {"count": 1}}))),
        of_ada(sale, 204, delete(&path_of(spare))),
        of_ada(sale, 201, post("/payments", json!({"reservationId": paid["reservationId"]}))),
        of_ada(sale, 204, delete("/queue/token")),
    ]
}

/// Changes of concerts, performances and keys.
fn by_organisers(named: &Named<'_>) -> Vec<Change> {
    let Named { evening: Evening { sale, concert, performance, .. }, off, undrawn, key, .. } = named;
    let (concert, performance) = (format!("/admin/concerts/{concert}"), format!("/admin/performances/{performance}"));
    let post = |status, path: &str, body| of_admin(sale, status, "POST", path, body);
    let patch = |path: &str, body| of_admin(sale, 200, "PATCH", path, body);
    let starts_at = "2090-01-01T10:00:00Z";
    let longer = || json!({"seconds": 60, "reason": "Once"});
    vec![
        post(201, "/admin/concerts", json!({"title": "Once", "venue": "Here"})),
        post(201, &format!("{concert}/performances"), json!({"startsAt": starts_at})),
        patch(&format!("{concert}/queue"), json!({"maxActive": 77})),
        patch(&concert, json!({"notice": {"en": "Once"}})),
        post(
            201,
            &format!("{concert}/codes"),
            json!([{"uses": 1, "usesPerUser": 1}, {"code": "Once", "uses": 1, "usesPerUser": 1}]),
        ),
        of_admin(sale, 204, "DELETE", &format!("{concert}/codes/Once"), Value::Null),
        patch(&performance, json!({"closed": false})),
        post(201, &format!("{performance}/seats"), json!({"seats": [{"from": 901, "to": 903}]})),
        post(200, &format!("{performance}/blocks"), json!({"seats": [30, 31], "reason": "Once"})),
        post(200, &format!("{performance}/unblocks"), json!({"seats": [30], "reason": "Once"})),
        post(200, &format!("{performance}/holds/extend"), longer()),
        post(200, &format!("{concert}/holds/extend"), longer()),
        post(202, &format!("/admin/performances/{off}/cancel"), json!({"reason": "Once"})),
        of_admin(sale, 200, "PUT", &format!("/admin/concerts/{undrawn}/draw/beacon"), json!({"value": "6"})),
        of_admin(sale, 204, "DELETE", &format!("/admin/keys/{key}"), Value::Null),
    ]
}

/// Changes of lectures by staff. Bob has the place that is removed.
fn of_lectures(named: &Named<'_>) -> Vec<Change> {
    let Named { evening: Evening { sale, .. }, lecture, .. } = named;
    let lecture = format!("/admin/lectures/{lecture}");
    let body = json!({"title": "Once", "startsAt": "2090-01-01T10:00:00Z"});
    vec![
        of_admin(sale, 201, "POST", "/admin/lectures", body),
        of_admin(sale, 200, "PATCH", &lecture, json!({"capacity": 6})),
        of_admin(sale, 204, "DELETE", &format!("{lecture}/applications/bob"), Value::Null),
        of_admin(sale, 202, "POST", &format!("{lecture}/cancel"), json!({"reason": "Once"})),
    ]
}

/// A scan of a ticket.
fn scan(performance: &str, ticket: &Value, id: &str) -> Value {
    let now = "2026-11-22T11:12:13Z";
    json!({"performanceId": performance, "code": ticket["code"], "device": "gate", "scanId": id, "scannedAt": now,
        "deviceNow": now})
}

/// What happens to Bob's tickets before they are refunded: one is checked out and replaced, the other is checked in.
fn of_tickets(named: &Named<'_>) -> Vec<Change> {
    let Named { evening: Evening { sale, performance, .. }, refunds, tickets, check_in, .. } = named;
    let path = format!("/{}/tickets/{}/reissue", refunds.trim_end_matches("/refunds"), text(&tickets[0]["ticketId"]));
    let caller = sale.caller.clone();
    let reissue = move || caller.post(&path);
    let once = scan(performance, &tickets[1], "once");
    let batch = json!({"checkIns": [once, scan(performance, &tickets[1], "twice")]});
    vec![
        of_admin(sale, 204, "DELETE", &format!("/check-ins/{check_in}"), Value::Null),
        Change { other: of_bob(sale), ..of_ada(sale, 201, reissue) },
        of_admin(sale, 201, "POST", "/check-ins", once),
        of_admin(sale, 200, "POST", "/check-ins/batch", batch),
    ]
}

/// Refunds by the buyer and by staff, and a correction.
fn of_payments(named: &Named<'_>) -> Vec<Change> {
    let Named { evening: Evening { sale, bob, .. }, refunds, .. } = named;
    let (caller, path, token) = (sale.caller.clone(), format!("/{refunds}"), bob.clone());
    let by_buyer = move || caller.post(&path).token(&token).json(&json!({"seats": [10]}));
    let by_staff = json!({"seats": [11], "fee": 7, "reason": "Once"});
    vec![
        Change { other: of_bob(sale), ..of_ada(sale, 201, by_buyer) },
        of_admin(sale, 201, "POST", &format!("/admin/{refunds}"), by_staff),
        of_admin(sale, 201, "POST", "/admin/point/bob/adjustments", json!({"amount": 7, "reason": "Once"})),
    ]
}

/// The state after the changes.
async fn effects(evening: &Evening) -> Value {
    let sale = &evening.sale;
    let rows = |list: Value| list.as_array().unwrap().len();
    let get = |path: &str| sale.caller.get(path).expect(200);
    let shown = queue(sale, &evening.concert).await;
    let history = until("both lectures are listed", async || {
        let lectures = get("/lectures").await;
        let made = lectures.as_array().unwrap().iter().find(|lecture| lecture["title"] == "A lecture")?.clone();
        let path = format!("/admin/lectures/{}/history", text(&made["lectureId"]));
        let history = rows(sale.admin(sale.caller.get(&path)).expect(200).await);
        (rows(lectures) >= 2).then_some(history)
    })
    .await;
    until("both concerts are listed", async || (rows(get("/concerts").await) >= 2).then_some(())).await;
    let token = sale.active(&evening.concert, "bob").await;
    let dates = sale.caller.get(&format!("/concerts/{}/dates", evening.concert)).token(&token).expect(200).await;
    json!({
        "balance": get("/point/ada").await["balance"], "bob": get("/point/bob").await["balance"], "moves": rows(get("/point/ada/histories").await),
        "lectures": rows(get("/lectures").await), "concerts": rows(get("/concerts").await), "dates": rows(dates),
        "history": history, "reservations": rows(get("/users/ada/reservations").await),
        "payments": rows(get("/users/ada/payments").await), "maxActive": shown["maxActive"]
    })
}

#[tokio::test]
async fn every_repeated_change_acts_once() {
    let evening = Evening::start(&[]).await;
    let changes = changes(&evening).await;
    let mut firsts = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        let key = format!("key-{index}");
        let first = first((change.call)(), &key, change.status).await;
        is_replay(&(change.call)().key(&key).send().await, &first);
        (change.other)().key(&key).refused(422, "idempotency-key-reused").await;
        is_replay(&(change.call)().key(&key).send().await, &first);
        firsts.push(first);
    }
    // Repeated after all other calls, when the token has ended.
    for (index, (change, first)) in changes.iter().zip(&firsts).enumerate() {
        is_replay(&(change.call)().key(&format!("key-{index}")).send().await, first);
    }
    let expected = json!({
        "balance": 249_999, "bob": 95_000, "moves": 3, "lectures": 2, "concerts": 4, "dates": 2, "history": 4, "reservations": 4,
        "payments": 1, "maxActive": 77
    });
    assert_eq!(effects(&evening).await, expected);
    audit(&evening.sale).await;
}

#[tokio::test]
async fn every_change_of_the_openapi_document_is_tested() {
    let evening = Evening::start(&[]).await;
    let document = evening.sale.caller.get("/openapi.json").expect(200).await;
    let paths = document["paths"].as_object().unwrap().values();
    let methods = paths.flat_map(|path| path.as_object().unwrap().keys());
    let changing = methods.filter(|method| *method != "get").count();
    // An entry, a sign-in and a sign-out ignore their key, and a key of staff is shown once (`auth/staff`). A hold has two lines.
    assert_eq!(changing, changes(&evening).await.len() + 4 - 1, "a new operation needs a line above");
}

#[tokio::test]
async fn stored_answers_survive_a_restart_and_a_crash() {
    let launch = Sale::launch(ONSALE);
    let mut sale = Sale::start(&launch).await;
    let concert = sale.concert(&room(10)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let ada = sale.active(&concert, "ada").await;
    sale.charge("ada", 100_000).await;
    let hold = |sale: &Sale| {
        let body = json!({"performanceId": performance, "seats": [1, 2]});
        sale.caller.post("/reservations").token(&ada).json(&body)
    };
    let held = first(hold(&sale), "hold", 201).await;
    let too_much = |sale: &Sale| sale.caller.patch("/point/ada/use").json(&json!({"amount": 100_001}));
    let refused = first(too_much(&sale), "use", 409).await;
    let make = |sale: &Sale| {
        let body = json!({"title": "Once", "startsAt": "2090-01-01T10:00:00Z"});
        sale.admin(sale.caller.post("/admin/lectures")).json(&body)
    };
    let made = first(make(&sale), "make", 201).await;
    let paid = first(sale.pay(&ada, &held.json()), "pay", 201).await;
    for stop in ["terminate", "kill", "kill"] {
        match stop {
            "kill" => drop(sale.instance.kill().await),
            _ => assert!(sale.instance.terminate().await.success()),
        }
        sale = Sale::start(&launch).await;
        is_replay(&hold(&sale).key("hold").send().await, &held);
        is_replay(&too_much(&sale).key("use").send().await, &refused);
        is_replay(&make(&sale).key("make").send().await, &made);
        is_replay(&sale.pay(&ada, &held.json()).key("pay").send().await, &paid);
        sale.charge("ada", 1).await;
    }
    assert_eq!(sale.caller.get("/users/ada/payments").expect(200).await.as_array().unwrap().len(), 1);
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 3);
    audit(&sale).await;
}

#[tokio::test]
async fn an_entry_ignores_its_key() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let enter = |user: &str| {
        let body = json!({"userId": user, "concertId": concert});
        sale.caller.post("/queue/tokens").json(&body).key("one")
    };
    let ada = enter("ada").expect(201).await;
    let again = enter("ada").send().await;
    assert_eq!(again.expect(200)["token"], ada["token"], "the place that the user already has");
    assert_eq!(again.header("idempotency-replayed"), None);
    assert_ne!(enter("bob").expect(201).await["token"], ada["token"], "another request under the key");
    sale.caller.patch("/point/ada/charge").json(&json!({"amount": 5})).key("one").expect(200).await;

    sale.caller.delete("/queue/token").token(&token(&ada)).expect(204).await;
    assert_ne!(enter("ada").expect(201).await["token"], ada["token"], "a new place, not an old answer");
}
