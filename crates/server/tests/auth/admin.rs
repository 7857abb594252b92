//! Calls of administrators need a key of staff.

use hyper::Method;
use onsale_testing::{Call, Launch, Sale};
use serde_json::{Value, json};

use crate::support::room::room;
use crate::support::{ONSALE, audit, column, start, text};
use crate::{BY_SECRET, bearer};

/// Ids by the names of the parameters in paths.
struct Ids([(&'static str, String); 7]);

/// An id that no object has.
const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

impl Ids {
    /// One object of each kind.
    async fn of(sale: &Sale) -> Self {
        let concert = sale.concert(&room(10)).await;
        let performance = sale.performance(&concert, &Value::Null).await;
        let lecture = sale.lecture(5).await;
        let body = json!({"name": "an old key", "role": "door"});
        let key = sale.admin(sale.caller.post("/admin/keys").json(&body)).expect(201).await;
        let key = text(&key["keyId"]);
        Self([
            ("{concertId}", concert),
            ("{performanceId}", performance),
            ("{lectureId}", lecture),
            ("{keyId}", key),
            ("{paymentId}", UNKNOWN.to_owned()),
            ("{userId}", "ada".to_owned()),
            // That of the example of the document.
            ("{code}", "FANCLUB-2026".to_owned()),
        ])
    }

    /// With the payment of the seat that the examples of the document refund.
    async fn with_payment(mut self, sale: &Sale) -> Self {
        let [(_, concert), (_, performance), ..] = &self.0;
        sale.charge("ada", 1_000_000).await;
        let token = sale.active(concert, "ada").await;
        let held = sale.hold(&token, performance, &[7]).await;
        let payment = sale.pay(&token, &held).expect(201).await;
        self.0[4].1 = text(&payment["paymentId"]);
        let apply = json!({"userId": "ada", "lectureId": self.0[2].1});
        sale.caller.post("/lectures/apply").json(&apply).expect(201).await;
        self
    }

    /// Ids that no object has.
    fn unknown() -> Self {
        let names = ["{concertId}", "{performanceId}", "{lectureId}", "{keyId}", "{paymentId}", "{userId}", "{code}"];
        Self(names.map(|name| (name, UNKNOWN.to_owned())))
    }
}

/// Every admin call of the OpenAPI document, with these ids.
async fn calls(sale: &Sale, Ids(ids): &Ids) -> Vec<Call> {
    let document = sale.caller.get("/openapi.json").expect(200).await;
    let (mut calls, mut last) = (Vec::new(), Vec::new());
    for (template, operations) in document["paths"].as_object().unwrap() {
        if !template.starts_with("/admin/") {
            continue;
        }
        let path = ids.iter().fold(template.clone(), |path, (name, id)| path.replace(name, id));
        for (method, operation) in operations.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let body = &operation["requestBody"]["content"]["application/json"]["example"];
            let call = sale.caller.call(method, &path);
            // What is cancelled refuses every other change.
            let calls = if template.contains("/cancel") { &mut last } else { &mut calls };
            calls.push(if body.is_null() { call } else { call.json(body) });
        }
    }
    calls.append(&mut last);
    assert_eq!(calls.len(), 45, "as many as the contract has");
    calls
}

async fn lists(sale: &Sale) -> Value {
    let mut lists = Vec::new();
    for path in ["/lectures", "/concerts"] {
        lists.push(sale.caller.get(path).expect(200).await);
    }
    json!(lists)
}

#[tokio::test]
async fn admin_calls_refuse_every_other_key() {
    let sale = start(&[]).await;
    let ids = Ids::of(&sale).await.with_payment(&sale).await;
    let before = lists(&sale).await;
    let right = "an-admin-key-for-tests-only";
    let (shorter, longer) = (&right[..right.len() - 1], format!("{right}x"));
    for call in calls(&sale, &ids).await {
        call.refused(401, "admin-key-invalid").await;
    }
    for wrong in ["", "x", "AN-ADMIN-KEY-FOR-TESTS-ONLY", shorter, &longer] {
        for call in calls(&sale, &ids).await {
            call.bearer(wrong).refused(401, "admin-key-invalid").await;
        }
    }
    for header in [right.to_owned(), format!("Basic {right}"), format!("Bearer{right}")] {
        for call in calls(&sale, &ids).await {
            call.header("authorization", &header).refused(401, "admin-key-invalid").await;
        }
    }
    assert_eq!(lists(&sale).await, before, "nothing was made");
    for call in calls(&sale, &ids).await {
        let reply = sale.admin(call).send().await;
        // The list of a draw is closed in `idempotency/operations.rs`.
        assert!(reply.status.is_success() || reply.call.ends_with("/draw/beacon") && reply.status == 409, "{reply:?}");
    }
    audit(&sale).await;
}

#[tokio::test]
async fn without_an_admin_key_admin_calls_answer_404() {
    let instance = Launch::new(ONSALE).start().await;
    let sale = Sale { caller: instance.caller().await, instance };
    let ids = Ids::unknown();
    for bearer in ["", "x", "an-admin-key-for-tests-only"] {
        for call in calls(&sale, &ids).await {
            call.bearer(bearer).refused(404, "not-found").await;
        }
    }
    for call in calls(&sale, &ids).await {
        call.refused(404, "not-found").await;
    }
    assert_eq!(lists(&sale).await, json!([[], []]));
}

#[tokio::test]
async fn a_bearer_of_a_user_is_refused_by_admin_calls() {
    let sale = start(&BY_SECRET).await;
    let ids = Ids::of(&sale).await;
    for call in calls(&sale, &ids).await {
        call.bearer(&bearer("ada")).refused(401, "admin-key-invalid").await;
    }
    // The admin key is not a bearer of a user either, except to read.
    sale.admin(sale.caller.patch("/point/ada/charge").json(&json!({"amount": 5})))
        .refused(401, "authentication-required")
        .await;
    let list = sale.caller.get("/lectures").expect(200).await;
    assert_eq!(column(&list, "lectureId").len(), 1, "nothing was made");
}

#[tokio::test]
async fn each_demonstration_prints_a_fresh_admin_key() {
    let instance = Launch::new(ONSALE).with("--demo").start().await;
    let caller = instance.caller().await;
    caller.post("/admin/lectures").bearer("guess").refused(401, "admin-key-invalid").await;
    let concerts = caller.get("/concerts").expect(200).await;
    let path = format!("/admin/concerts/{}/queue", text(&concerts[0]["concertId"]));
    // It is one of the printed words.
    let opens = crate::support::until("the key is printed", async || {
        for word in instance.output().split_whitespace().filter(|word| word.len() >= 16) {
            let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            if caller.get(&path).bearer(word).send().await.status == 200 {
                return Some(word.to_owned());
            }
        }
        None
    });
    let key = opens.await;
    let other = Launch::new(ONSALE).with("--demo").start().await;
    let call = other.caller().await.post("/admin/lectures").bearer(&key);
    call.refused(401, "admin-key-invalid").await;
}
