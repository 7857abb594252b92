//! Each call of administrators with a key of each role, judged before path and body.

use hyper::Method;
use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use super::{answer, key, log};
use crate::support::room::room;
use crate::support::{audit, start, until};

/// What the owner gets for a wrong path or body.
const INVALID: [&str; 4] = ["invalid-request", "malformed-request", "unsupported-media-type", "concert-not-found"];

const ROLES: [&str; 5] = ["owner", "organiser", "support", "door", "cashier"];

/// The roles that a call takes, by the contract: reads of the sale, changes of the sale, keys.
fn roles_of(method: &Method, path: &str) -> &'static [&'static str] {
    match (method, path) {
        (_, path) if path.starts_with("/admin/keys") => &ROLES[..1],
        (_, path) if path.starts_with("/admin/payments/") => &ROLES[..3],
        (_, path) if path.contains("/codes") => &ROLES[..2],
        (_, path) if path.ends_with("/adjustments") => &["owner", "support"],
        (_, path) if path.contains("/attendees") || path.ends_with("/check-ins") => &ROLES[..4],
        (&Method::GET, _) => &ROLES[..3],
        _ => &ROLES[..2],
    }
}

struct Admin {
    method: Method,
    path: String,
    body: Value,
}

impl Admin {
    fn call(&self, sale: &Sale) -> Call {
        let call = sale.caller.call(self.method.clone(), &self.path);
        if self.body.is_null() { call } else { call.json(&self.body) }
    }
}

/// All calls of administrators in the OpenAPI document, with the example of their bodies.
async fn calls(sale: &Sale) -> Vec<Admin> {
    let document = sale.caller.get("/openapi.json").expect(200).await;
    let concert = sale.concert(&room(10)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let lecture = sale.lecture(5).await;
    let mut calls = Vec::new();
    for (template, operations) in document["paths"].as_object().unwrap() {
        if !template.starts_with("/admin/") {
            continue;
        }
        let named = [("{concertId}", &concert), ("{performanceId}", &performance), ("{lectureId}", &lecture)];
        let path = named.iter().fold(template.clone(), |path, (name, id)| path.replace(name, id));
        let path = path.replace("{keyId}", "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01");
        let path = path.replace("{paymentId}", "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a02").replace("{userId}", "ada");
        let path = path.replace("{code}", "NONE");
        for (method, operation) in operations.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let body = operation["requestBody"]["content"]["application/json"]["example"].clone();
            calls.push(Admin { method, path: path.clone(), body });
        }
    }
    assert!(calls.len() > 10, "{}", calls.len());
    calls
}

#[tokio::test]
async fn each_role_may_make_the_calls_of_the_contract() {
    let sale = start(&[]).await;
    let calls = calls(&sale).await;
    let before = log(&sale, "").await.len();
    let mut keys = Vec::new();
    for role in ROLES {
        keys.push((role, key(&sale, role, role).await));
    }
    for call in &calls {
        let allowed = roles_of(&call.method, &call.path);
        for (role, key) in &keys {
            let reply = answer(|| call.call(&sale).bearer(key)).await;
            if allowed.contains(role) {
                assert!(!["role-insufficient", "admin-key-invalid"].contains(&&*reply.code()), "{role}: {reply:?}");
            } else {
                reply.refused(403, "role-insufficient");
            }
        }
    }
    let entries = log(&sale, "").await;
    assert!(entries.len() > before + ROLES.len(), "what was allowed was done and logged");
    let others = entries
        .iter()
        .filter(|entry| entry["action"] != "list.exported")
        .filter(|entry| ["support", "door", "cashier"].contains(&entry["actor"]["name"].as_str().unwrap()));
    assert_eq!(others.count(), 0, "who may not change anything is in no entry");
    audit(&sale).await;
}

#[tokio::test]
async fn a_role_is_judged_before_path_and_body() {
    let sale = start(&[]).await;
    let door = key(&sale, "door", "door").await;
    let nothing = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";
    for (method, path) in [
        (Method::POST, "/admin/lectures".to_owned()),
        (Method::PATCH, "/admin/concerts/no-uuid/queue".to_owned()),
        (Method::GET, "/admin/lectures/no-uuid/history".to_owned()),
        (Method::GET, format!("/admin/concerts/{nothing}/queue?unknown=1")),
        (Method::GET, "/admin/log?action=nothing".to_owned()),
        (Method::GET, "/admin/keys?limit=0".to_owned()),
        (Method::DELETE, "/admin/keys/no-uuid".to_owned()),
    ] {
        let call = || sale.caller.call(method.clone(), &path).bytes("{not json");
        call().refused(401, "admin-key-invalid").await;
        call().bearer("guess").refused(401, "admin-key-invalid").await;
        answer(|| call().bearer(&door)).await.refused(403, "role-insufficient");
        let reply = sale.admin(call()).send().await;
        assert!(INVALID.contains(&&*reply.code()), "{reply:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_a_role_is_not_kept_and_is_counted() {
    let sale = start(&[]).await;
    let door = key(&sale, "door", "door").await;
    let body = json!({"title": "Once", "startsAt": "2090-01-01T10:00:00Z"});
    for _ in 0..2 {
        let make = || sale.caller.post("/admin/lectures").json(&body).key("once").bearer(&door);
        let refused = answer(make).await;
        refused.refused(403, "role-insufficient");
        assert_eq!(refused.header("idempotency-replayed"), None);
    }
    let metrics = sale.caller.get("/metrics").send().await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    let counted = metrics.lines().find(|line| line.contains("refusals") && line.contains("\"role-insufficient\""));
    assert!(counted.is_some_and(|line| line.ends_with(" 2")), "{counted:?}");
    let logged = async || sale.instance.log().contains("the role of the key is not sufficient").then_some(());
    until("the refusal is in the log", logged).await;
}
