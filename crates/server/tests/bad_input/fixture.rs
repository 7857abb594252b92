//! A sale in which every operation can be called successfully.

use hyper::Method;
use onsale_testing::{ADMIN_KEY, Call, Sale, iso};
use serde_json::{Value, json};

use crate::support::room::{queue, room};
use crate::support::{audit, start, text, until};

/// An operation of the OpenAPI document, with its method and path.
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: Method,
    /// The path, with parameters in braces.
    pub(crate) template: String,
    /// Its object in the document.
    pub(crate) described: Value,
}

impl Operation {
    /// Names of its parameters in the path, query or header.
    pub(crate) fn parameters(&self, place: &str) -> Vec<String> {
        let all = self.described["parameters"].as_array().unwrap();
        all.iter().filter(|parameter| parameter["in"] == place).map(|parameter| text(&parameter["name"])).collect()
    }

    /// Whether it is a path for operators, which ignores query parameters.
    pub(crate) fn is_operators(&self) -> bool {
        ["/healthz", "/readyz", "/metrics", "/openapi.json"].contains(&self.template.as_str())
    }

    pub(crate) fn takes_a_body(&self) -> bool {
        self.described["requestBody"].is_object()
    }

    /// Whether its body is an object. The one that takes a list has a test of its own: see `presale.rs`.
    pub(crate) fn takes_an_object(&self) -> bool {
        self.takes_a_body() && self.id != "createCodes"
    }
}

/// A concert whose places are drawn, with an empty list.
async fn drawn(sale: &Sale) -> String {
    let mut queue = room(10);
    (queue["earlyFrom"], queue["order"], queue["drawAt"]) = (json!(iso(-60)), json!("draw"), json!(iso(-30)));
    let body = json!({"title": "Gala", "venue": "Hall", "opensAt": iso(3_600), "queue": queue});
    let concert = text(&sale.admin(sale.caller.post("/admin/concerts")).json(&body).expect(201).await["concertId"]);
    let path = format!("/concerts/{concert}/draw");
    let is_drawn = async || (sale.caller.get(&path).expect(200).await["state"] == "drawn").then_some(());
    until("the places are drawn", is_drawn).await;
    concert
}

/// The sale, and the ids of its objects.
pub(crate) struct Fixture {
    pub(crate) sale: Sale,
    pub(crate) operations: Vec<Operation>,
    pub(crate) document: Value,
    token: String,
    /// The cookie of a session of the back office.
    cookie: String,
    names: Value,
    /// A performance and a lecture that a valid call cancels.
    to_cancel: Value,
    /// A performance and a lecture that are cancelled.
    cancelled: Value,
    /// A concert whose places are drawn.
    drawn: Value,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        let sale = start(&[]).await;
        let document = sale.caller.get("/openapi.json").expect(200).await;
        let concert = sale.concert(&room(10)).await;
        // Early entry needs an opening.
        let hours = sale.caller.patch(&format!("/admin/concerts/{concert}")).json(&json!({"opensAt": OPENED_AT}));
        sale.admin(hours).expect(200).await;
        let performance = sale.performance(&concert, &Value::Null).await;
        sale.charge("ada", 1_000_000).await;
        sale.charge("bob", 100_000).await;
        let (token, bob) = (sale.active(&concert, "ada").await, sale.active(&concert, "bob").await);
        let bought = sale.hold(&bob, &performance, &[49, 50]).await;
        let payment = sale.pay(&bob, &bought).expect(201).await;
        let ended = async || (queue(&sale, &concert).await["active"] == 1).then_some(());
        until("bob's turn is over", ended).await;
        // A hold keeps the policy of its time, and a buyer gets the cheaper of both.
        let policy = json!({"refundPolicy": [{"hoursBefore": 0, "feePercent": 10}]});
        sale.admin(sale.caller.patch(&format!("/admin/performances/{performance}"))).json(&policy).expect(200).await;
        let held = sale.hold(&token, &performance, &[1]).await;
        let lecture = sale.lecture(5).await;
        let applied = sale.lecture_at(5, 2 * 86_400).await;
        let body = json!({"userId": "ada", "lectureId": applied});
        sale.caller.post("/lectures/apply").json(&body).expect(201).await;
        let body = json!({"name": "a key", "role": "door"});
        let key = sale.admin(sale.caller.post("/admin/keys").json(&body)).expect(201).await;
        let path = format!("/payments/{}/tickets", text(&payment["paymentId"]));
        let tickets = sale.caller.get(&path).expect(200).await;
        let scan = json!({"performanceId": performance, "ticketId": tickets[1]["ticketId"], "device": "gate", "scanId": "0",
            "scannedAt": "2026-11-22T11:12:13Z", "deviceNow": "2026-11-22T11:12:13Z"});
        let checked_in = sale.admin(sale.caller.post("/check-ins").json(&scan)).expect(201).await;
        let names = json!({
            "ticketId": tickets[0]["ticketId"], "ticketCode": tickets[0]["code"], "checkInId": checked_in["checkInId"],
            "id": "ada", "userId": "ada", "concertId": concert, "performanceId": performance, "lectureId": lecture,
            "reservationId": held["reservationId"], "paymentId": payment["paymentId"], "date": held["date"],
            "keyId": key["keyId"], "code": "FAN"
        });
        let (to_cancel, cancelled) = (offers(&sale, &concert, 20).await, offers(&sale, &concert, 30).await);
        cancel(&sale, &cancelled).await;
        let drawn = json!({"concertId": drawn(&sale).await});
        let operations = operations(&document);
        let sign_in = sale.caller.post("/desk/session").header("origin", sale.instance.base());
        let signed_in = sign_in.json(&json!({"key": ADMIN_KEY})).send().await;
        signed_in.expect(204);
        let cookie = signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Self { sale, operations, document, token, cookie, names, to_cancel, cancelled, drawn }
    }

    /// A valid call of an operation, which the test then breaks. The template may be changed before.
    pub(crate) fn call(&self, operation: &Operation, template: &str) -> Call {
        self.prove(operation, self.sale.caller.call(operation.method.clone(), &self.path(operation, template)))
    }

    /// The path of a template, with the query that the operation needs.
    pub(crate) fn path(&self, operation: &Operation, template: &str) -> String {
        let own = match &operation.template {
            template if template.ends_with("/cancel") => Some(&self.to_cancel),
            template if template.contains("/cancellation") => Some(&self.cancelled),
            template if template.contains("/draw") => Some(&self.drawn),
            _ => None,
        };
        let names = own.into_iter().chain([&self.names]).flat_map(|names| names.as_object().unwrap());
        let fill = |path: String, (name, value): (&String, &Value)| path.replace(&format!("{{{name}}}"), &text(value));
        let path = names.fold(template.to_owned(), fill);
        let performance = format!("performanceId={}", text(&self.names["performanceId"]));
        let needed = match operation.id.as_str() {
            "listConcertSeats" => "date=2090-01-01",
            "listConcertSections" | "followConcertSeats" | "getManifest" => &performance,
            _ => "",
        };
        let name = needed.split_inclusive('=').next().unwrap_or_default();
        match (path.contains('?'), !name.is_empty() && path.contains(name)) {
            (true, false) if !needed.is_empty() => format!("{path}&{needed}"),
            (false, _) if !needed.is_empty() => format!("{path}?{needed}"),
            _ => path,
        }
    }

    /// Adds the credentials that the operation needs: the admin key, the session, or the token.
    fn prove(&self, operation: &Operation, call: Call) -> Call {
        let security = operation.described["security"].to_string();
        if security.contains("adminKey") {
            self.sale.admin(call)
        } else if operation.template.starts_with("/desk/") {
            call.header("origin", self.sale.instance.base()).header("cookie", &self.cookie)
        } else if security.contains("queueToken") {
            call.token(&self.token)
        } else {
            call
        }
    }

    /// Headers that do the same for a request that no client library would send.
    pub(crate) fn proofs(&self) -> [String; 1] {
        [format!("queue-token: {}", self.token)]
    }

    /// A valid body with every member.
    pub(crate) fn body(&self, operation: &Operation) -> Value {
        let names = &self.names;
        let starts_at = "2090-01-01T10:00:00Z";
        let queue = json!({"maxActive": 10, "admitPerSecond": 9, "activeSeconds": 8, "claimSeconds": 7,
            "earlyFrom": "2019-01-01T10:00:00Z", "order": "draw", "drawAt": "2019-06-01T10:00:00Z"});
        match operation.id.as_str() {
            "chargePoints" | "usePoints" => json!({"amount": 5}),
            "applyForLecture" => json!({"userId": "ada", "lectureId": names["lectureId"], "waitlist": true}),
            "enterQueue" => json!({"userId": "ada", "concertId": names["concertId"], "code": "FAN"}),
            "createReservation" => {
                json!({"performanceId": names["performanceId"], "date": names["date"], "seats": [7, 8], "code": "FAN"})
            }
            // Other calls with the token come before the end of the grace.
            "leaveQueueByBody" => json!({"token": self.token, "graceSeconds": 60}),
            "createPayment" => json!({"reservationId": names["reservationId"]}),
            "createLecture" | "updateLecture" => {
                json!({"title": "T", "lecturer": "L", "startsAt": starts_at, "capacity": 3, "opensAt": OPENED_AT,
                    "closed": false})
            }
            "createConcert" => {
                let mut all = concert();
                all["queue"] = queue;
                all
            }
            "updateConcert" => concert(),
            "createCodes" => {
                json!([{"code": "FAN", "uses": 5, "usesPerUser": 1, "from": OPENED_AT, "until": starts_at}])
            }
            "putBeacon" => json!({"value": "3439d9"}),
            "createDeskSession" => json!({"key": ADMIN_KEY}),
            "createStaffKey" => json!({"name": "another key", "role": "door"}),
            "updatePerformance" => {
                json!({"closed": false, "refundPolicy": [{"hoursBefore": 72, "feePercent": 20}],
                    "startsAt": starts_at, "prices": [{"grade": "R", "price": 50_000}]})
            }
            "addPerformanceSeats" => {
                json!({"seats": [{"from": 901, "to": 903, "grade": "S", "price": 4}]})
            }
            "blockSeats" | "unblockSeats" => json!({"seats": [30, 31], "reason": "a camera"}),
            "cancelPerformance" | "cancelLecture" => json!({"reason": "a storm"}),
            "createCheckIn" => scan(names),
            "createCheckIns" => json!({"checkIns": [scan(names)]}),
            "createRefund" => json!({"seats": [50]}),
            "refundPayment" => json!({"seats": [49], "fee": 1, "reason": "moved"}),
            "adjustPoints" => json!({"amount": 5, "reason": "late"}),
            "extendConcertHolds" | "extendPerformanceHolds" => json!({"seconds": 60, "reason": "an outage"}),
            "createPerformance" => {
                let sections = json!([{"from": 1, "to": 3, "grade": "S", "price": 4}]);
                json!({"startsAt": starts_at, "price": 5, "seats": sections, "closed": false,
                    "prices": [{"grade": "S", "price": 6}], "refundPolicy": [{"hoursBefore": 0, "feePercent": 10}]})
            }
            "updateQueueSettings" => {
                let mut all = queue;
                all["paused"] = json!(false);
                all["beaconName"] = json!("a public value");
                all["beaconAt"] = json!("2019-07-01T10:00:00Z");
                all
            }
            other => panic!("{other} is new: what is its body?"),
        }
    }

    /// The whole state of the sale that clients and staff can see. The admin log shows every change by staff.
    pub(crate) async fn state(&self) -> Value {
        let Self { sale, names, .. } = self;
        let (lecture, concert) = (text(&names["lectureId"]), text(&names["concertId"]));
        let performance = text(&names["performanceId"]);
        let mut state = Vec::new();
        for user in ["ada", "bob"] {
            for path in ["/point/{}", "/point/{}/histories", "/lectures/application/{}", "/users/{}/payments"] {
                state.push(sale.caller.get(&path.replace("{}", user)).expect(200).await);
            }
            state.push(sale.caller.get(&format!("/users/{user}/reservations")).expect(200).await);
        }
        state.push(sale.caller.get("/lectures").expect(200).await);
        state.push(sale.caller.get("/concerts").expect(200).await);
        state.push(sale.caller.get(&format!("/concerts/{concert}/dates")).token(&self.token).expect(200).await);
        for path in [
            format!("/admin/lectures/{lecture}/history"),
            format!("/admin/concerts/{concert}"),
            format!("/admin/performances/{performance}"),
            "/admin/lectures".to_owned(),
            "/admin/log?limit=200".to_owned(),
        ] {
            state.push(sale.admin(sale.caller.get(&path)).expect(200).await);
        }
        state.push(queue(sale, &concert).await);
        json!(state)
    }

    /// Checks that the server still serves, and that the state has not changed.
    pub(crate) async fn is_as_before(&self, before: &Value) {
        self.sale.caller.get("/healthz").expect(200).await;
        self.sale.caller.get("/readyz").expect(200).await;
        assert_eq!(self.state().await, *before, "bad input changed something");
        audit(&self.sale).await;
    }
}

/// A scan with every member.
fn scan(names: &Value) -> Value {
    let now = "2026-11-22T11:12:13Z";
    json!({"performanceId": names["performanceId"], "code": names["ticketCode"], "ticketId": names["ticketId"], "device": "gate",
        "scanId": "1", "scannedAt": now, "deviceNow": now})
}

/// An instant in the past, at which the sale of a body opened.
const OPENED_AT: &str = "2020-01-01T10:00:00Z";

/// The members that a new concert and a change of one have in common.
fn concert() -> Value {
    json!({"title": "T", "venue": "V", "notice": {"ko": "안내", "en": "A notice"}, "closed": false, "opensAt": OPENED_AT,
        "closesAt": "2090-01-01T10:00:00Z", "codesUntil": "2021-01-01T10:00:00Z", "maxSeatsPerUser": 5})
}

/// Adds a performance and a lecture that start in this many days. Returns their ids.
async fn offers(sale: &Sale, concert: &str, days: i64) -> Value {
    let performance = sale.performance_at(concert, &Value::Null, days * 86_400).await;
    json!({"performanceId": performance, "lectureId": sale.lecture_at(5, days * 86_400).await})
}

/// Cancels this performance and this lecture, and waits until nothing of the cancellations is left to do.
async fn cancel(sale: &Sale, names: &Value) {
    for path in [
        format!("/admin/performances/{}", text(&names["performanceId"])),
        format!("/admin/lectures/{}", text(&names["lectureId"])),
    ] {
        let call = sale.admin(sale.caller.post(&format!("{path}/cancel")));
        call.json(&json!({"reason": "a storm"})).expect(202).await;
        let read = async || {
            let shown = sale.admin(sale.caller.get(&format!("{path}/cancellation"))).expect(200).await;
            (shown["state"] == "DONE").then_some(())
        };
        until("the cancellation is done", read).await;
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (template, described) in document["paths"].as_object().unwrap() {
        for (method, described) in described.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            let id = text(&described["operationId"]);
            all.push(Operation { id, method, template: template.clone(), described: described.clone() });
        }
    }
    all
}
