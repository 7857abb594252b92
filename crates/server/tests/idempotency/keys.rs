//! The form of keys, their user, and when two requests are the same.

use onsale_testing::{Call, Sale};
use serde_json::json;

use super::{first, is_replay};
use crate::support::raw::{exchange, request};
use crate::support::start;

fn charge(sale: &Sale, user: &str, body: &str) -> Call {
    let call = sale.caller.patch(&format!("/point/{user}/charge"));
    call.header("content-type", "application/json").bytes(body.to_owned())
}

async fn balance(sale: &Sale, user: &str) -> i64 {
    sale.caller.get(&format!("/point/{user}")).expect(200).await["balance"].as_i64().unwrap()
}

const FIVE: &str = r#"{"amount":5}"#;

#[tokio::test]
async fn a_key_may_have_any_visible_characters() {
    let sale = start(&[]).await;
    let (longest, uuid) = ("k".repeat(255), "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01");
    let keys = ["1", "~", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "Key", "key", uuid, &longest];
    for (n, key) in (1..).zip(keys) {
        let charged = first(charge(&sale, "ada", FIVE), key, 200).await;
        is_replay(&charge(&sale, "ada", FIVE).key(key).send().await, &charged);
        assert_eq!(balance(&sale, "ada").await, 5 * n, "{key} is a key of its own");
    }
}

#[tokio::test]
async fn any_other_text_is_refused_as_a_key() {
    let sale = start(&[]).await;
    let too_long = format!("idempotency-key: {}", "k".repeat(256));
    let headers: [&[&[u8]]; 7] = [
        &[b"idempotency-key:"],
        &[b"idempotency-key: with blank"],
        &[b"idempotency-key: tab\there"],
        &[b"idempotency-key: \xc3\xa9"],
        &[b"idempotency-key: \xff"],
        &[b"idempotency-key: one", b"idempotency-key: two"],
        &[too_long.as_bytes()],
    ];
    for header in headers {
        let all = [&[b"content-type: application/json".as_slice()], header].concat();
        let bytes = request(b"PATCH /point/ada/charge", &all, FIVE.as_bytes());
        let reply = exchange(sale.instance.base(), &bytes).await.unwrap();
        let codes = [(400, "malformed-request"), (422, "invalid-request")];
        assert!(codes.contains(&(reply.status, reply.code().as_str())), "{:?}: {reply:?}", header[0]);
    }
    assert_eq!(balance(&sale, "ada").await, 0, "nothing was done under a key that is none");
}

#[tokio::test]
async fn keys_belong_to_their_user() {
    let sale = start(&[]).await;
    let ada = first(charge(&sale, "ada", FIVE), "one", 200).await;
    let bob = first(charge(&sale, "bob", r#"{"amount":7}"#), "one", 200).await;
    is_replay(&charge(&sale, "ada", FIVE).key("one").send().await, &ada);
    is_replay(&charge(&sale, "bob", r#"{"amount":7}"#).key("one").send().await, &bob);
    assert_eq!((balance(&sale, "ada").await, balance(&sale, "bob").await), (5, 7));

    // The user in the body counts as the acting user too.
    let lecture = sale.lecture(5).await;
    let apply = |user: &str| {
        let body = json!({"userId": user, "lectureId": lecture});
        sale.caller.post("/lectures/apply").json(&body)
    };
    first(apply("eve"), "one", 201).await;
    apply("ada").key("one").refused(422, "idempotency-key-reused").await;
}

#[tokio::test]
async fn a_key_is_bound_to_the_bytes_of_its_request() {
    let sale = start(&[]).await;
    let charged = first(charge(&sale, "ada", FIVE), "one", 200).await;
    let others = [
        charge(&sale, "ada", r#"{"amount": 5}"#),
        charge(&sale, "ada", r#"{"amount":6}"#),
        sale.caller.patch("/point/ada/use").header("content-type", "application/json").bytes(FIVE),
    ];
    for other in others {
        other.key("one").refused(422, "idempotency-key-reused").await;
    }
    assert_eq!(balance(&sale, "ada").await, 5);

    // Headers are not part of the comparison.
    let call = sale.caller.patch("/point/ada/charge").header("content-type", "application/json; charset=utf-8");
    let call = call.header("user-agent", "another").header("x-request-id", "another").bytes(FIVE);
    is_replay(&call.key("one").send().await, &charged);
}

#[tokio::test]
async fn without_a_key_each_request_acts() {
    let sale = start(&[]).await;
    for n in 1..=3 {
        assert_eq!(charge(&sale, "ada", FIVE).expect(200).await["balance"], 5 * n);
    }
}
