//! Idempotency keys are the sale's, not an instance's.

use std::time::{Duration, Instant};

use onsale_testing::postgres::Setup;
use onsale_testing::{Call, Reply, Sale, without};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::room::room;
use crate::support::{ONSALE, at_once};

fn charge(sale: &Sale, user: &str, amount: i64) -> Call {
    sale.caller.patch(&format!("/point/{user}/charge")).json(&json!({"amount": amount}))
}

/// Of replies to one request under one key, one is the first and the others are that one again.
fn is_one_answer(replies: &[Reply]) -> &Reply {
    let fresh: Vec<&Reply> = replies.iter().filter(|reply| reply.header("idempotency-replayed").is_none()).collect();
    assert_eq!(fresh.len(), 1, "one is the first: {replies:?}");
    for reply in replies {
        assert_eq!((reply.status, &reply.body), (fresh[0].status, &fresh[0].body), "{}", reply.call);
        assert_eq!(reply.header("retry-after"), fresh[0].header("retry-after"));
        assert_eq!(reply.header("content-type"), fresh[0].header("content-type"));
    }
    fresh[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_sent_to_all_instances_at_once_has_one_effect() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let lecture = many.at(0).lecture(2).await;
    let concert = many.at(0).concert(&room(1_000)).await;
    let performance = many.at(0).performance(&concert, &Value::Null).await;
    for round in 0..25_u32 {
        let user = format!("user-{round}");
        let everywhere = |make: &dyn Fn(&Sale) -> Call, key: &str| {
            at_once(many.sales.iter().map(|sale| make(sale).key(key)).collect::<Vec<_>>())
        };
        let charged = everywhere(&|sale| charge(sale, &user, 60_000), "charge").await;
        assert_eq!(is_one_answer(&charged).expect(200)["balance"], 60_000);
        let spent = everywhere(
            &|sale| sale.caller.patch(&format!("/point/{user}/use")).json(&json!({"amount": 70_000})),
            "spend",
        );
        is_one_answer(&spent.await).refused(409, "insufficient-balance");
        let body = json!({"userId": user, "lectureId": lecture});
        let applied = everywhere(&|sale| sale.caller.post("/lectures/apply").json(&body), "apply").await;
        is_one_answer(&applied).expect(if round < 2 { 201 } else { 409 });

        let token = many.at(round as usize).active(&concert, &user).await;
        let body = json!({"performanceId": performance, "seats": [round + 1]});
        let held = everywhere(&|sale| sale.caller.post("/reservations").token(&token).json(&body), "hold").await;
        let held = is_one_answer(&held).expect(201);
        let paid = everywhere(&|sale| sale.pay(&token, &held), "pay").await;
        assert_eq!(is_one_answer(&paid).expect(201)["balance"], 10_000);
        let rows = many.at(0).caller.get(&format!("/point/{user}/histories")).expect(200).await;
        assert_eq!(rows.as_array().unwrap().len(), 2, "{rows}");
        // The same key with another request is refused everywhere.
        for sale in &many.sales {
            charge(sale, &user, 1).key("charge").refused(422, "idempotency-key-reused").await;
        }
    }
    let made = many.sales.iter().map(|sale| {
        let body = json!({"title": "Once", "startsAt": "2090-01-01T10:00:00Z"});
        sale.admin(sale.caller.post("/admin/lectures").json(&body)).key("make")
    });
    is_one_answer(&at_once(made.collect::<Vec<_>>()).await).expect(201);
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_uses_up_the_keys_of_all_instances_together() {
    let Some(many) = Many::start(3, &[("ONSALE_IDEMPOTENCY_KEYS_PER_USER", "80")]).await else { return };
    let mut kept = Vec::new();
    for number in 0..240 {
        let key = format!("key-{number}");
        let reply = charge(many.at(number % 3), "ada", 1).key(&key).send().await;
        match reply.status.as_u16() {
            200 => kept.push((key, reply)),
            _ => drop(reply.refused(429, "too-many-requests")),
        }
    }
    // An instance lets an eighth through before it counts what all of them keep.
    assert!((80..=100).contains(&kept.len()), "{} were kept", kept.len());
    for sale in &many.sales {
        charge(sale, "ada", 1).key("one-more").refused(429, "too-many-requests").await;
        for (key, first) in kept.iter().step_by(7) {
            let again = charge(sale, "ada", 1).key(key).send().await;
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{key}");
        }
        charge(sale, "bob", 1).key(sale.instance.base()).expect(200).await;
    }
    assert_eq!(many.at(0).caller.get("/point/ada").expect(200).await["balance"], kept.len());
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_given_again_elsewhere_after_its_instance_was_killed() {
    let Some(mut many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(1_000)).await;
    let performance = many.at(0).performance(&concert, &Value::Null).await;
    let first = many.sales.remove(0);
    first.charge("ada", 100_000).await;
    let token = first.active(&concert, "ada").await;
    let held = first.hold(&token, &performance, &[1]).await;
    let paid = first.pay(&token, &held).key("pay").send().await;
    paid.expect(201);
    let refused = charge(&first, "ada", 0).key("none").send().await;
    refused.refused(422, "amount-out-of-range");
    let charged = charge(&first, "ada", 5).key("charge").send().await;
    charged.expect(200);
    first.instance.kill().await;

    for sale in &many.sales {
        // The token has ended with the payment, and the payment's answer is still to be had.
        for (again, first) in
            [(sale.pay(&token, &held).key("pay"), &paid), (charge(sale, "ada", 5).key("charge"), &charged)]
        {
            let again = again.send().await;
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{}", again.call);
            assert_eq!(again.header("idempotency-replayed"), Some("true"), "{}", again.call);
        }
        sale.pay(&token, &held).key("another").refused(403, "queue-token-expired").await;
        assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 50_005);
    }
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_many_lanes_fit_into_a_small_lock_table() {
    const CALLS: usize = 1_200;
    if without("postgres") {
        return;
    }
    // About 800 locks fit: as many as 20 lanes would take for their keys, if they took one for each.
    let setup = Setup::unsynced().set("max_locks_per_transaction", 10).set("max_connections", 70);
    let server = setup.start().await;
    let database = server.migrated(ONSALE).await;
    let launch = Sale::launch(ONSALE).on(database.url()).set("ONSALE_DATABASE_LANES", "10");
    let sales = Sale::start_many(&launch, 2).await;
    let sql = database.sql().await;
    // Every lane gathers what comes, and has to wait with it.
    sql.batch_execute("BEGIN; LOCK TABLE accounts IN EXCLUSIVE MODE").await.unwrap();
    let calls = (0..CALLS).map(|number| charge(&sales[number % 2], &format!("user-{number}"), 1).key("key"));
    let sent = tokio::spawn(at_once(calls.collect::<Vec<_>>()));
    let (mut most, since) = (0_i64, Instant::now());
    while since.elapsed() < Duration::from_secs(1) {
        let advisory = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
        most = most.max(sql.query_one(advisory, &[]).await.unwrap().get(0));
    }
    sql.batch_execute("ROLLBACK").await.unwrap();
    let replies = sent.await.unwrap();
    let served = replies.iter().filter(|reply| reply.status == 200).count();
    println!("{served} of {CALLS} were served; at most {most} advisory locks were held");
    // On a busy machine some wait for the table longer than commands may.
    for (number, reply) in replies.iter().enumerate().filter(|(_, reply)| reply.status != 200) {
        reply.refused(503, "unavailable");
        charge(&sales[number % 2], &format!("user-{number}"), 1).key("key").expect(200).await;
    }
    assert!(most <= 20, "one lock for each lane at most, not one for each key: {most}");
    assert!(!server.log().contains("out of shared memory"), "the lock table was full");
}
