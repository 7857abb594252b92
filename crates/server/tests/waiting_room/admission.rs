//! Admission: in order, by cap and by rate, unless the room is paused.

use std::sync::atomic::{AtomicUsize, Ordering};

use onsale_testing::Sale;
use serde_json::json;

use crate::support::room::{admitted_at, configure, place, queue, room, token};
use crate::support::{audit, millis, start, until};

/// People who enter one after another; their tokens.
async fn line_up(sale: &Sale, concert: &str, many: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for number in 0..many {
        tokens.push(token(&sale.enter(concert, &format!("user-{number}")).await));
    }
    tokens
}

/// The status of each token, in the order given. Polled from the back: a user who is admitted meanwhile is ahead of those
/// who were polled before.
async fn standings(sale: &Sale, tokens: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for token in tokens.iter().rev() {
        all.push(place(sale, token).await["status"].as_str().unwrap().to_owned());
    }
    all.reverse();
    all
}

/// Waits until this many of a line are active: the first ones, and no other.
async fn until_active(sale: &Sale, tokens: &[String], many: usize) {
    until(&format!("{many} are active"), async || {
        let all = standings(sale, tokens).await;
        let active = all.iter().filter(|status| *status == "ACTIVE").count();
        assert!(active <= many, "more are active than may be: {all:?}");
        assert!(all.iter().skip(active).all(|status| status == "WAITING"), "out of order: {all:?}");
        (active == many).then_some(())
    })
    .await;
}

/// Polls until this many milliseconds have passed by the server's own clock, and the token stood as said all the while.
async fn stays(sale: &Sale, token: &str, status: &str, for_millis: i64) {
    let first = place(sale, token).await;
    sale.until(token, |place| {
        assert_eq!(place["status"], status, "{place}");
        millis(&place["asOf"]) >= millis(&first["asOf"]) + for_millis
    })
    .await;
}

#[tokio::test]
async fn no_more_than_the_cap() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(3)).await;
    let tokens = line_up(&sale, &concert, 8).await;
    until_active(&sale, &tokens, 3).await;
    stays(&sale, &tokens[3], "WAITING", 1_000).await;
    let shown = queue(&sale, &concert).await;
    assert_eq!((&shown["active"], &shown["waiting"], &shown["issued"]), (&json!(3), &json!(5), &json!(8)));
    assert_eq!(place(&sale, &tokens[7]).await["position"], 5);

    // Each who leaves makes room for the next in line.
    for (leaving, next) in [(1, 3), (0, 4), (4, 5)] {
        sale.caller.delete("/queue/token").token(&tokens[leaving]).expect(204).await;
        sale.until_status(&tokens[next], "ACTIVE").await;
        assert_eq!(place(&sale, &tokens[next + 1]).await["position"], 1);
    }
    audit(&sale).await;
}

/// One person's visit: waits, stays a moment, goes. Counts who is inside.
async fn visit(sale: &Sale, concert: &str, number: usize, inside: &AtomicUsize) {
    let token = sale.active(concert, &format!("user-{number}")).await;
    let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
    assert!(now <= 5, "{now} are inside");
    let seen = queue(sale, concert).await;
    assert!(seen["active"].as_u64().unwrap() <= 5, "{seen}");
    assert_eq!(place(sale, &token).await["status"], "ACTIVE");
    inside.fetch_sub(1, Ordering::SeqCst);
    sale.caller.delete("/queue/token").token(&token).expect(204).await;
}

#[tokio::test]
async fn the_cap_holds_while_people_come_and_go() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(5)).await;
    let inside = AtomicUsize::new(0);
    futures_util::future::join_all((0..60).map(|number| visit(&sale, &concert, number, &inside))).await;
    until("the room is empty", async || {
        let shown = queue(&sale, &concert).await;
        (shown["active"] == 0 && shown["waiting"] == 0 && shown["issued"] == 60).then_some(())
    })
    .await;
    audit(&sale).await;
}

#[tokio::test]
async fn in_order_and_no_faster_than_the_rate() {
    let sale = start(&[]).await;
    let settings = json!({"maxActive": 1_000, "admitPerSecond": 7, "activeSeconds": 600, "claimSeconds": 3_600});
    let concert = sale.concert(&settings).await;
    let waiting = configure(&sale, &concert, &json!({"paused": true})).await;
    assert_eq!(waiting["paused"], true);
    let mut tokens = line_up(&sale, &concert, 20).await;
    configure(&sale, &concert, &json!({"paused": false})).await;
    // Some come while others are being admitted.
    for number in 20..30 {
        tokens.push(token(&sale.enter(&concert, &format!("user-{number}")).await));
    }
    let mut admitted = Vec::new();
    for token in &tokens {
        admitted.push(admitted_at(&sale.until_status(token, "ACTIVE").await, 600));
    }
    assert!(admitted.is_sorted(), "in the order in which tokens were issued: {admitted:?}");
    for window in admitted.windows(8) {
        assert!(window[7] - window[0] >= 1_000, "eight within a second: {admitted:?}");
    }
    audit(&sale).await;
}

#[tokio::test]
async fn a_paused_room_admits_no_user_and_does_all_else() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(2)).await;
    let tokens = line_up(&sale, &concert, 4).await;
    until_active(&sale, &tokens, 2).await;
    configure(&sale, &concert, &json!({"paused": true})).await;
    assert_eq!(queue(&sale, &concert).await["paused"], true);
    let dates = format!("/concerts/{concert}/dates");
    sale.caller.get(&dates).token(&tokens[0]).expect(200).await;
    for leaving in [0, 2] {
        sale.caller.delete("/queue/token").token(&tokens[leaving]).expect(204).await;
    }
    assert_eq!(sale.enter(&concert, "late").await["status"], "WAITING");
    sale.until(&tokens[3], |place| place["position"] == 1).await;
    stays(&sale, &tokens[3], "WAITING", 1_500).await;
    let shown = queue(&sale, &concert).await;
    assert_eq!((&shown["active"], &shown["waiting"], &shown["issued"]), (&json!(1), &json!(2), &json!(5)));

    configure(&sale, &concert, &json!({"paused": false})).await;
    sale.until_status(&tokens[3], "ACTIVE").await;
}

#[tokio::test]
async fn settings_change_while_people_wait() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(1)).await;
    let tokens = line_up(&sale, &concert, 6).await;
    until_active(&sale, &tokens, 1).await;
    let changed = configure(&sale, &concert, &json!({"maxActive": 4})).await;
    let expected = json!({
        "maxActive": 4, "admitPerSecond": 1_000_000, "activeSeconds": 3_600, "claimSeconds": 3_600, "paused": false
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(changed[name], *value, "{name}: what is not named stays");
    }
    until_active(&sale, &tokens, 4).await;

    // No turn ends early, and no user is admitted before there is room again.
    configure(&sale, &concert, &json!({"maxActive": 2, "activeSeconds": 60})).await;
    for leaving in [0, 1] {
        sale.caller.delete("/queue/token").token(&tokens[leaving]).expect(204).await;
    }
    stays(&sale, &tokens[4], "WAITING", 1_000).await;
    assert_eq!(standings(&sale, &tokens[2..4]).await, ["ACTIVE", "ACTIVE"]);
    sale.caller.delete("/queue/token").token(&tokens[2]).expect(204).await;
    let next = sale.until_status(&tokens[4], "ACTIVE").await;
    let left = millis(&next["activeUntil"]) - millis(&next["asOf"]);
    assert!(left <= 60_000, "the new time of a turn: {left} ms");
    let shown = queue(&sale, &concert).await;
    assert_eq!((&shown["maxActive"], &shown["activeSeconds"]), (&json!(2), &json!(60)));
    audit(&sale).await;
}

#[tokio::test]
async fn rooms_do_not_mix() {
    let sale = start(&[]).await;
    let (full, empty) = (sale.concert(&room(1)).await, sale.concert(&room(1)).await);
    let tokens = line_up(&sale, &full, 3).await;
    until_active(&sale, &tokens, 1).await;
    let elsewhere = sale.active(&empty, "user-1").await;
    sale.caller.delete("/queue/token").token(&elsewhere).expect(204).await;
    stays(&sale, &tokens[1], "WAITING", 500).await;
    assert_eq!(queue(&sale, &empty).await["issued"], 1);
}
