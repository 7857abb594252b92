//! `ONSALE_CHARGE=staff`: wallets are charged by staff, once for each external id.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use super::{answer, key, log};
use crate::support::{ONSALE, at_once, audit, column, start};
use crate::{BY_SECRET, bearer};

const BY_STAFF: (&str, &str) = ("ONSALE_CHARGE", "staff");

fn charge(sale: &Sale, user: &str, body: &Value) -> Call {
    sale.caller.patch(&format!("/point/{user}/charge")).json(body)
}

#[tokio::test]
async fn only_owners_and_cashiers_charge() {
    let sale = start(&[BY_STAFF]).await;
    let one = json!({"amount": 1});
    for role in ["owner", "cashier"] {
        let key = key(&sale, role, role).await;
        answer(|| charge(&sale, "ada", &one).bearer(&key)).await.expect(200);
    }
    sale.admin(charge(&sale, "ada", &one)).expect(200).await;
    for role in ["organiser", "support", "door"] {
        let key = key(&sale, role, role).await;
        answer(|| charge(&sale, "ada", &one).bearer(&key)).await.refused(403, "charge-not-allowed");
    }
    charge(&sale, "ada", &one).refused(403, "charge-not-allowed").await;
    charge(&sale, "ada", &one).bearer("guess").refused(403, "charge-not-allowed").await;
    // Judged before path and body.
    charge(&sale, "a.b", &json!({})).refused(403, "charge-not-allowed").await;
    sale.admin(charge(&sale, "a.b", &one)).refused(422, "invalid-request").await;
    sale.admin(charge(&sale, "ada", &json!({"amount": 0}))).refused(422, "amount-out-of-range").await;
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 3);
    let entries = log(&sale, "&action=points.charged").await;
    assert_eq!(column(&json!(entries), "subject"), ["user:ada"; 3]);
    audit(&sale).await;
}

#[tokio::test]
async fn staff_charge_without_bearer_of_a_user_and_without_queue_token() {
    let [auth, secret] = BY_SECRET;
    let sale = start(&[auth, secret, BY_STAFF, ("ONSALE_QUEUE_STRICT", "true")]).await;
    let cashier = key(&sale, "till", "cashier").await;
    let one = json!({"amount": 1});
    answer(|| charge(&sale, "ada", &one).bearer(&cashier)).await.expect(200);
    charge(&sale, "ada", &one).bearer(&bearer("ada")).refused(403, "charge-not-allowed").await;
}

#[tokio::test]
async fn an_external_id_counts_once_for_ever() {
    let launch = Sale::launch(ONSALE).set(BY_STAFF.0, BY_STAFF.1);
    let mut sale = Sale::start(&launch).await;
    let body = json!({"amount": 500, "externalId": "pay_1"});
    let first = sale.admin(charge(&sale, "ada", &body)).expect(200).await;
    assert_eq!(first["balance"], 500);
    sale.admin(charge(&sale, "ada", &json!({"amount": 1}))).expect(200).await;
    for _ in 0..2 {
        assert_eq!(sale.admin(charge(&sale, "ada", &body)).expect(200).await, first, "the first result");
        // Under an idempotency key too, which is new.
        assert_eq!(sale.admin(charge(&sale, "ada", &body)).key("again").expect(200).await, first);
        sale.admin(charge(&sale, "bob", &body)).refused(409, "external-id-reused").await;
        let other = json!({"amount": 501, "externalId": "pay_1"});
        sale.admin(charge(&sale, "ada", &other)).refused(409, "external-id-reused").await;
        sale.instance.kill().await;
        sale = Sale::start(&launch).await;
    }
    let rows = sale.caller.get("/point/ada/histories").expect(200).await;
    assert_eq!(column(&rows, "amount"), [1, 500]);
    let entries = log(&sale, "&action=points.charged").await;
    assert_eq!(entries.len(), 2, "one for each charge that was made: {entries:?}");
    let of_first = entries.iter().find(|entry| entry["after"]["externalId"] == "pay_1").unwrap();
    assert_eq!((&of_first["after"]["amount"], &of_first["before"]), (&json!(500), &Value::Null));
    for wrong in ["", "a b", "é", &"x".repeat(256)] {
        let body = json!({"amount": 1, "externalId": wrong});
        sale.admin(charge(&sale, "ada", &body)).refused(422, "invalid-request").await;
    }
    sale.admin(charge(&sale, "ada", &json!({"amount": 1, "externalId": "x".repeat(255)}))).expect(200).await;
    audit(&sale).await;
}

#[tokio::test]
async fn an_external_id_that_comes_many_times_at_once_makes_one_charge() {
    let sale = start(&[BY_STAFF]).await;
    for round in 0..5 {
        let body = json!({"amount": 10, "externalId": format!("pay {round}").replace(' ', "_")});
        let users = ["ada", "bob", "ada", "cyd", "ada", "bob"];
        let replies = at_once(users.map(|user| sale.admin(charge(&sale, user, &body)))).await;
        let done = replies.iter().filter(|reply| reply.status == 200);
        let charged: Vec<Value> = done.map(|reply| reply.json()["userId"].clone()).collect();
        assert!(!charged.is_empty() && charged.iter().all(|user| *user == charged[0]), "{replies:?}");
        let refused = crate::support::count(&replies, 409, "external-id-reused");
        assert_eq!(refused + charged.len(), users.len(), "{replies:?}");
    }
    let mut total = 0;
    for user in ["ada", "bob", "cyd"] {
        total += sale.caller.get(&format!("/point/{user}")).expect(200).await["balance"].as_i64().unwrap();
    }
    assert_eq!(total, 50);
    audit(&sale).await;
}

#[tokio::test]
async fn users_charge_their_own_wallets_unless_staff_do() {
    let sale = start(&[]).await;
    sale.charge("ada", 5).await;
    let refused =
        charge(&sale, "ada", &json!({"amount": 1, "externalId": "pay_1"})).refused(422, "invalid-request").await;
    assert_eq!(refused["errors"][0]["field"], "externalId");
    assert_eq!(log(&sale, "").await, Vec::<Value>::new(), "a charge by a user leaves no entry");
}
