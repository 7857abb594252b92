//! What an operator changes at one instance counts at all: extended holds, a closed sale, a notice.

use std::time::Instant;

use onsale_testing::postgres::driver::Client;
use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::many::{Many, place_of, until_since};
use crate::support::evening::path_of;
use crate::support::room::{room, token};
use crate::support::stream::Stream;
use crate::support::{at_once, count, millis, until};

fn extend(sale: &Sale, performance: &str, seconds: u32) -> Call {
    let body = json!({"seconds": seconds, "reason": "payment was down"});
    sale.admin(sale.caller.post(&format!("/admin/performances/{performance}/holds/extend"))).json(&body)
}

fn change(sale: &Sale, concert: &str, body: &Value) -> Call {
    sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}"))).json(body)
}

async fn rows_are_rewritten(sql: &Client) {
    let lacking = "SELECT count(*) FROM hold_extensions WHERE NOT written";
    let ask = async || (sql.query_one(lacking, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(());
    until("all rows contain the extensions", ask).await;
}

/// An extension is in time if it comes this long before the first hold ends, in milliseconds: each instance reads ten times a
/// second what the other instances changed, and a slow machine may keep it from that for a while.
const BEFORE_THE_END: i64 = 2_000;

/// Three instances, each with a buyer whose turn is over in a few seconds and whose hold ends a little later, extended before
/// they ended. A machine that was too slow for that gets twice the time.
async fn extended_in_time() -> Option<(Many, Vec<(String, Value)>, Vec<Stream>)> {
    let mut seconds = 4;
    loop {
        let many = Many::start(3, &[("ONSALE_HOLD_SECONDS", &(seconds + 2).to_string())]).await?;
        let settings =
            json!({"maxActive": 3, "admitPerSecond": 1_000, "activeSeconds": seconds, "claimSeconds": 3_600});
        let concert = many.at(0).concert(&settings).await;
        let performance = many.at(0).performance(&concert, &Value::Null).await;
        let (mut buyers, mut streams) = (Vec::new(), Vec::new());
        for (number, user) in (0_u32..).zip(["ada", "bob", "eve"]) {
            let here = many.at(number as usize);
            here.charge(user, 1_000_000).await;
            let token = here.active(&concert, user).await;
            let body = json!({"performanceId": performance, "seats": [number + 1]});
            let held = here.caller.post("/reservations").token(&token).json(&body).send().await;
            let headers = [&*format!("Queue-Token: {token}")];
            // At an instance that did not serve the buyer.
            let base = many.at(number as usize + 1).instance.base();
            let mut stream = Stream::open(base, "/queue/token/events", &headers).await;
            let (_, first) = stream.next().await.unwrap();
            if held.status == 201 && first["status"] == "ACTIVE" {
                buyers.push((token, held.json()));
                streams.push(stream);
            }
        }
        let extended = extend(many.at(0), &performance, 600).expect(200).await;
        let ends = buyers.iter().map(|(_, held): &(String, Value)| millis(&held["heldUntil"])).min();
        let is_in_time = ends.is_some_and(|first| millis(&extended["at"]) + BEFORE_THE_END < first);
        if buyers.len() == 3 && extended["holds"] == 3 && is_in_time {
            return Some((many, buyers, streams));
        }
        seconds *= 2;
    }
}

/// Turns of which only a hold of another instance is left go on everywhere, without a moment in which they are over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extended_holds_keep_their_turns_at_every_instance() {
    let Some((many, buyers, mut streams)) = extended_in_time().await else { return };
    // Each turn is watched at an instance that did not serve it, beyond the end of its hold as it was.
    let watched = buyers.iter().enumerate().map(|(number, (token, held))| {
        let end = millis(&held["heldUntil"]);
        many.at(number + 1).until(token, move |place| {
            assert_eq!(place["status"], "ACTIVE", "it holds a seat: {place}, {held}");
            millis(&place["asOf"]) > end + 1_500
        })
    });
    for (shown, (_, held)) in futures_util::future::join_all(watched).await.iter().zip(&buyers) {
        assert_eq!(millis(&shown["activeUntil"]), millis(&held["heldUntil"]) + 600_000, "{shown}");
    }
    for (stream, (_, held)) in streams.iter_mut().zip(&buyers) {
        while millis(&stream.next_named("active").await["activeUntil"]) != millis(&held["heldUntil"]) + 600_000 {}
    }
    rows_are_rewritten(&many.sql().await).await;
    for (number, (token, held)) in buyers.iter().enumerate() {
        let there = many.at(number + 2);
        let shown = there.caller.get(&path_of(held)).expect(200).await;
        assert_eq!(millis(&shown["heldUntil"]), millis(&held["heldUntil"]) + 600_000);
        there.pay(token, held).expect(201).await;
        many.at(1).until_status(token, "EXPIRED").await;
    }
    many.is_in_order().await;
}

/// An instance extends and crashes before it has rewritten a row: another one rewrites them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_counts_although_its_instance_crashed() {
    let Some(mut many) = Many::start(2, &[]).await else { return };
    let concert = many.at(0).concert(&room(1_000)).await;
    let performance = many.at(0).performance(&concert, &json!(1_000)).await;
    let mut held = Vec::new();
    for number in 0..100_u32 {
        let token = many.at(1).active(&concert, &format!("user-{number}")).await;
        held.push((many.at(1).hold(&token, &performance, &[4 * number + 1, 4 * number + 2]).await, token));
    }
    // No row of a seat can be written meanwhile. The extension writes none.
    let mut sql = many.sql().await;
    let lock = sql.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE seats IN SHARE MODE").await.unwrap();
    let extended = extend(many.at(0), &performance, 60).expect(200).await;
    assert_eq!(extended["holds"], 100);
    many.sales.remove(0).instance.kill().await;
    let lacking: i64 = lock.query_one("SELECT count(*) FROM seats WHERE extended = 0", &[]).await.unwrap().get(0);
    assert_eq!(lacking, 200, "no row was rewritten before the crash");
    let shown = many.at(0).caller.get(&path_of(&held[99].0)).expect(200).await;
    assert_eq!(millis(&shown["heldUntil"]), millis(&held[99].0["heldUntil"]) + 60_000, "before its row is rewritten");
    lock.commit().await.unwrap();
    rows_are_rewritten(&sql).await;
    for (reservation, token) in &held[..3] {
        let shown = many.at(0).caller.get(&path_of(reservation)).expect(200).await;
        assert_eq!(millis(&shown["heldUntil"]), millis(&reservation["heldUntil"]) + 60_000);
        many.at(0).caller.delete(&path_of(reservation)).token(token).expect(204).await;
    }
    many.is_in_order().await;
}

/// Several instances extend, pay, release and hold at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extensions_of_several_instances_count_each_once() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(1_000)).await;
    let performance = many.at(0).performance(&concert, &Value::Null).await;
    let mut held = Vec::new();
    for number in 0..12_u32 {
        let (here, user) = (many.at(number as usize), format!("user-{number}"));
        here.charge(&user, 100_000).await;
        let token = here.active(&concert, &user).await;
        held.push((here.hold(&token, &performance, &[number + 1]).await, token));
    }
    let mut calls = Vec::new();
    for (number, (reservation, token)) in held.iter().enumerate() {
        calls.push(extend(many.at(number), &performance, 1));
        if number < 6 {
            calls.push(many.at(number + 1).pay(token, reservation));
        }
    }
    let replies = at_once(calls).await;
    assert_eq!((count(&replies, 200, ""), count(&replies, 201, "")), (12, 6));
    for (number, (reservation, token)) in held.iter().enumerate().skip(6) {
        let shown = many.at(number + 2).caller.get(&path_of(reservation)).expect(200).await;
        assert_eq!(millis(&shown["heldUntil"]), millis(&reservation["heldUntil"]) + 12_000);
        many.at(number).caller.delete(&path_of(reservation)).token(token).expect(204).await;
    }
    rows_are_rewritten(&many.sql().await).await;
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_and_a_notice_reach_every_instance() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(1)).await;
    let performance = many.at(0).performance(&concert, &Value::Null).await;
    let ada = many.at(1).active(&concert, "ada").await;
    let bob = token(&many.at(2).enter(&concert, "bob").await);
    let notice = json!({"ko": "잠시 멈춥니다", "en": "We pause"});
    change(many.at(0), &concert, &json!({"notice": notice, "closed": true})).expect(200).await;
    let since = Instant::now();
    // A hold is refused at once, whichever instance takes it.
    for number in 0..3 {
        let body = json!({"performanceId": performance, "seats": [1]});
        let hold = many.at(number).caller.post("/reservations").token(&ada).json(&body);
        hold.refused(409, "sale-closed").await;
    }
    for number in 0..3 {
        let shown = async || {
            let place = place_of(many.at(number), &bob).await;
            let listed = many.at(number).caller.get("/concerts").expect(200).await;
            place["notice"] == notice && place["closed"] == true && listed[0]["notice"] == notice
        };
        let shown_in = until_since(since, "shown", shown).await;
        println!("instance {number} shows it after {shown_in:?}");
        let enter = json!({"userId": "new", "concertId": concert});
        many.at(number).caller.post("/queue/tokens").json(&enter).refused(409, "sale-closed").await;
        assert_eq!(many.at(number).enter(&concert, "bob").await["token"], json!(bob));
    }
    change(many.at(1), &concert, &json!({"notice": null, "closed": false})).expect(200).await;
    many.at(0).caller.delete("/queue/token").token(&ada).expect(204).await;
    let shown = many.at(0).until_status(&bob, "ACTIVE").await;
    assert_eq!((&shown["notice"], &shown["closed"]), (&Value::Null, &json!(false)));

    // A performance that is closed at one instance is closed in the dates of all.
    let path = format!("/admin/performances/{performance}");
    many.at(2).admin(many.at(2).caller.patch(&path)).json(&json!({"closed": true})).expect(200).await;
    for number in 0..3 {
        let shown = async || {
            let path = format!("/concerts/{concert}/dates");
            let dates = many.at(number).caller.get(&path).token(&bob).expect(200).await;
            (dates[0]["status"] == "CLOSED" && dates[0]["remaining"] == 0).then_some(())
        };
        until("the dates show it", shown).await;
        many.at(number).until(&bob, |place| place["soldOut"] == true).await;
    }
    many.is_in_order().await;
}
