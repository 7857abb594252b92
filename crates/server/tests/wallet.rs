//! Points: every answer, every refusal, every bound, and a storm on one wallet.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};
use support::{at_once, audit, column, count, millis, start, walk};

const MOST_AT_ONCE: i64 = 10_000_000;

/// A call that charges points, or uses them.
fn moves(sale: &Sale, user: &str, how: &str, amount: i64) -> Call {
    sale.caller.patch(&format!("/point/{user}/{how}")).json(&json!({"amount": amount}))
}

async fn balance(sale: &Sale, user: &str) -> i64 {
    sale.caller.get(&format!("/point/{user}")).expect(200).await["balance"].as_i64().unwrap()
}

async fn history(sale: &Sale, user: &str) -> Vec<Value> {
    walk(&format!("/point/{user}/histories?limit=200"), |page| sale.caller.get(page)).await
}

/// Newest first, each balance following from the one before, never below zero.
fn is_unbroken(history: &[Value]) {
    let mut before = 0;
    for row in history.iter().rev() {
        let amount = row["amount"].as_i64().unwrap();
        let after = row["balanceAfter"].as_i64().unwrap();
        let signed = if row["type"] == "CHARGE" { amount } else { -amount };
        assert_eq!(after, before + signed, "the chain breaks at {row}");
        assert!(after >= 0 && amount > 0, "{row}");
        before = after;
    }
    let mut instants = history.iter().map(|row| millis(&row["createdAt"]));
    assert!(instants.by_ref().is_sorted_by(|newer, older| newer >= older), "newest first");
}

#[tokio::test]
async fn a_user_never_seen_has_nothing() {
    let sale = start(&[]).await;
    let nothing = json!({"userId": "unknown-user", "balance": 0, "updatedAt": null});
    assert_eq!(sale.caller.get("/point/unknown-user").expect(200).await, nothing);
    assert_eq!(sale.caller.get("/point/unknown-user/histories").expect(200).await, json!([]));

    moves(&sale, "unknown-user", "use", 1).refused(409, "insufficient-balance").await;
    assert_eq!(sale.caller.get("/point/unknown-user").expect(200).await, nothing, "a refusal leaves no trace");
    assert_eq!(sale.caller.get("/point/unknown-user/histories").expect(200).await, json!([]));
}

#[tokio::test]
async fn amounts_keep_their_bounds() {
    let sale = start(&[]).await;
    // What is done, with how much, and what the wallet then holds or why it was refused.
    let table = [
        ("charge", 0, Err((422, "amount-out-of-range"))),
        ("charge", -1, Err((422, "amount-out-of-range"))),
        ("charge", i64::MIN, Err((422, "amount-out-of-range"))),
        ("charge", i64::MAX, Err((422, "amount-out-of-range"))),
        ("use", 0, Err((422, "amount-out-of-range"))),
        ("use", -1, Err((422, "amount-out-of-range"))),
        ("use", MOST_AT_ONCE + 1, Err((422, "amount-out-of-range"))),
        ("use", 1, Err((409, "insufficient-balance"))),
        ("charge", 1, Ok(1)),
        ("use", 2, Err((409, "insufficient-balance"))),
        ("use", 1, Ok(0)),
        ("charge", MOST_AT_ONCE + 1, Err((422, "amount-out-of-range"))),
        ("charge", MOST_AT_ONCE, Ok(MOST_AT_ONCE)),
        ("charge", MOST_AT_ONCE, Ok(2 * MOST_AT_ONCE)),
        ("use", MOST_AT_ONCE + 1, Err((422, "amount-out-of-range"))),
        ("use", MOST_AT_ONCE, Ok(MOST_AT_ONCE)),
        ("use", MOST_AT_ONCE, Ok(0)),
    ];
    let mut known = 0;
    for (how, amount, expected) in table {
        let reply = moves(&sale, "ada", how, amount).send().await;
        match expected {
            Ok(balance) => {
                let wallet = reply.expect(200);
                assert_eq!((&wallet["userId"], &wallet["balance"]), (&json!("ada"), &json!(balance)), "{how} {amount}");
                millis(&wallet["updatedAt"]);
                assert_eq!(sale.caller.get("/point/ada").expect(200).await, wallet);
                known = balance;
            }
            Err((status, code)) => {
                reply.refused(status, code);
                assert_eq!(balance(&sale, "ada").await, known, "{how} {amount} changed nothing");
            }
        }
    }
    let done = table.iter().filter(|(.., expected)| expected.is_ok()).count();
    assert_eq!(history(&sale, "ada").await.len(), done, "a row for each change, none for a refusal");
    audit(&sale).await;
}

#[tokio::test]
async fn a_wallet_holds_at_most_a_billion() {
    let sale = start(&[]).await;
    for _ in 0..100 {
        moves(&sale, "ada", "charge", MOST_AT_ONCE).expect(200).await;
    }
    assert_eq!(balance(&sale, "ada").await, 1_000_000_000);
    moves(&sale, "ada", "charge", 1).refused(409, "balance-limit").await;
    moves(&sale, "ada", "charge", MOST_AT_ONCE).refused(409, "balance-limit").await;
    moves(&sale, "ada", "use", 1).expect(200).await;
    moves(&sale, "ada", "charge", 2).refused(409, "balance-limit").await;
    assert_eq!(moves(&sale, "ada", "charge", 1).expect(200).await["balance"], 1_000_000_000);
    is_unbroken(&history(&sale, "ada").await);
}

#[tokio::test]
async fn a_history_lists_every_move_newest_first() {
    let sale = start(&[]).await;
    for (how, amount) in [("charge", 500), ("use", 200), ("charge", 50), ("use", 350)] {
        moves(&sale, "ada", how, amount).expect(200).await;
    }
    moves(&sale, "bob", "charge", 9).expect(200).await;
    let history = sale.caller.get("/point/ada/histories").expect(200).await;
    assert_eq!(column(&history, "type"), ["USE", "CHARGE", "USE", "CHARGE"]);
    assert_eq!(column(&history, "amount"), [350, 50, 200, 500]);
    assert_eq!(column(&history, "balanceAfter"), [0, 350, 300, 500]);
    assert_eq!(column(&history, "reference"), [Value::Null, Value::Null, Value::Null, Value::Null]);
    let mut ids = column(&history, "id").iter().map(Value::to_string).collect::<Vec<_>>();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    is_unbroken(history.as_array().unwrap());
}

#[tokio::test]
async fn a_storm_on_one_wallet_loses_nothing() {
    let sale = start(&[]).await;
    moves(&sale, "ada", "charge", 1_000).expect(200).await;
    // Uses are for more than the charges bring, so that some must be refused.
    let calls = (1..=300).flat_map(|n| [moves(&sale, "ada", "charge", n), moves(&sale, "ada", "use", 2 * n)]);
    let replies = at_once(calls).await;
    let done: Vec<Value> = replies.iter().filter(|reply| reply.status == 200).map(|reply| reply.json()).collect();
    assert_eq!(done.len() + count(&replies, 409, "insufficient-balance"), 600);
    assert!(replies.iter().step_by(2).all(|charge| charge.status == 200), "no charge is refused");

    let history = history(&sale, "ada").await;
    is_unbroken(&history);
    assert_eq!(history.len(), done.len() + 1);
    let mut expected = 1_000;
    for (index, reply) in replies.iter().enumerate().filter(|(_, reply)| reply.status == 200) {
        let n = i64::try_from(index / 2 + 1).unwrap();
        expected += if index % 2 == 0 { n } else { -2 * n };
        let balance = &reply.json()["balance"];
        assert!(history.iter().any(|row| row["balanceAfter"] == *balance), "{balance} was answered and never was");
    }
    assert_eq!(balance(&sale, "ada").await, expected);
    assert_eq!(history[0]["balanceAfter"], expected);
    audit(&sale).await;
}

#[tokio::test]
async fn many_wallets_at_once_do_not_mix() {
    let sale = start(&[]).await;
    let users: Vec<String> = (0..50).map(|n| format!("user-{n}")).collect();
    let calls = (1..=4).flat_map(|amount| users.iter().map(move |user| (user, amount)));
    let replies = at_once(calls.map(|(user, amount)| moves(&sale, user, "charge", amount))).await;
    assert_eq!(count(&replies, 200, ""), 200);
    for user in &users {
        assert_eq!(balance(&sale, user).await, 10, "{user}");
        let history = history(&sale, user).await;
        assert_eq!(history.len(), 4);
        is_unbroken(&history);
    }
    audit(&sale).await;
}

#[tokio::test]
async fn any_sound_id_names_a_user() {
    let sale = start(&[]).await;
    let longest = "a".repeat(64);
    let uuid = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";
    let ids = ["42", "0", "-", "_", "--", "null", "histories", "A", "a", "Ada", "ADA", "ada", &longest, uuid];
    for (n, id) in (1..).zip(ids) {
        let wallet = moves(&sale, id, "charge", n).expect(200).await;
        assert_eq!((&wallet["userId"], &wallet["balance"]), (&json!(id), &json!(n)), "each is a user of its own");
    }
    for (n, id) in (1..).zip(ids) {
        assert_eq!(balance(&sale, id).await, n);
        assert_eq!(moves(&sale, id, "use", n).expect(200).await["balance"], 0);
        assert_eq!(history(&sale, id).await.len(), 2);
    }
}

#[tokio::test]
async fn any_other_text_is_no_user_id() {
    let sale = start(&[]).await;
    let too_long = "a".repeat(65);
    for id in [&too_long, "a.b", "a%20b", "a+b", "a%2Fb", "%C3%A9", "a%00", "a:b", "a@b", "~", "%F0%9F%8E%AB"] {
        let calls = [
            moves(&sale, id, "charge", 1),
            moves(&sale, id, "use", 1),
            sale.caller.get(&format!("/point/{id}")),
            sale.caller.get(&format!("/point/{id}/histories")),
        ];
        for call in calls {
            let problem = call.refused(422, "invalid-request").await;
            assert_eq!(problem["errors"][0]["field"], "id", "{problem}");
        }
    }
}
