//! Turns that began at one instance and go on, or end, at another.

use std::time::{Duration, Instant};

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::many::{Many, middle_and_longest, place_of, until_since};
use crate::support::evening::path_of;
use crate::support::millis;
use crate::support::room::{room, token};

/// Within this time each instance shows the end of a turn.
const SHOWN_WITHIN: Duration = Duration::from_millis(250);

fn try_hold(sale: &Sale, token: &str, performance: &str, seat: u32) -> Call {
    let body = json!({"performanceId": performance, "seats": [seat]});
    sale.caller.post("/reservations").token(token).json(&body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_taken_elsewhere_keeps_the_turn_and_can_be_paid_anywhere() {
    let Some(many) = Many::start(3, &[("ONSALE_HOLD_SECONDS", "60")]).await else { return };
    let settings = json!({"maxActive": 3, "admitPerSecond": 1_000, "activeSeconds": 6, "claimSeconds": 3_600});
    let concert = many.at(0).concert(&settings).await;
    let performance = many.at(0).performance(&concert, &Value::Null).await;
    let mut buyers = Vec::new();
    for (number, user) in (0_u32..).zip(["ada", "bob", "eve"]) {
        let here = many.at(number as usize);
        here.charge(user, 1_000_000).await;
        let token = here.active(&concert, user).await;
        let until = millis(&place_of(here, &token).await["activeUntil"]);
        let held = here.hold(&token, &performance, &[number + 1]).await;
        assert!(millis(&held["heldUntil"]) > until);
        buyers.push((token, held, until));
    }
    let next = token(&many.at(0).enter(&concert, "next").await);
    // Each turn is polled at an instance that did not serve it, beyond its own time.
    let watched = buyers.iter().enumerate().map(|(number, (token, held, until))| {
        many.at(number + 1).until(token, move |place| {
            assert_eq!(place["status"], "ACTIVE", "it holds a seat: {place}, {held}");
            millis(&place["asOf"]) > *until + 1_500
        })
    });
    for shown in futures_util::future::join_all(watched).await {
        assert!(buyers.iter().any(|(_, held, _)| held["heldUntil"] == shown["activeUntil"]), "{shown}");
    }
    for (number, (token, held, _)) in buyers.iter().enumerate() {
        let there = many.at(number + 2);
        try_hold(there, token, &performance, 40).refused(403, "queue-token-expired").await;
        there.caller.get(&format!("/concerts/{concert}/dates")).token(token).expect(200).await;
        assert_eq!(place_of(many.at(0), &next).await["status"], if number == 0 { "WAITING" } else { "ACTIVE" });
        let paid = there.pay(token, held).expect(201).await;
        let path = format!("/payments/{}", paid["paymentId"].as_str().unwrap());
        assert_eq!(many.at(number).caller.get(&path).expect(200).await, paid);
        many.at(1).until_status(token, "EXPIRED").await;
        many.at(0).until_status(&next, "ACTIVE").await;
    }
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payment_ends_the_token_at_every_instance() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(1_000)).await;
    let performance = many.at(0).performance(&concert, &Value::Null).await;
    let (mut shown_in, mut refused_in) = (Vec::new(), Vec::new());
    for number in 0..20_u32 {
        let [here, there, yonder] = [0, 1, 2].map(|next| many.at(number as usize + next));
        let user = format!("user-{number}");
        here.charge(&user, 100_000).await;
        let token = here.active(&concert, &user).await;
        let held = there.hold(&token, &performance, &[number + 1]).await;
        here.pay(&token, &held).expect(201).await;
        let since = Instant::now();
        // Whatever is decided is decided by what is so.
        try_hold(there, &token, &performance, 50).refused(403, "queue-token-expired").await;
        there.pay(&token, &held).refused(403, "queue-token-expired").await;
        shown_in
            .push(until_since(since, "shown", async || place_of(yonder, &token).await["status"] == "EXPIRED").await);
        let dates = format!("/concerts/{concert}/dates");
        let refused = async || yonder.caller.get(&dates).token(&token).send().await.status == 403;
        refused_in.push(until_since(since, "refused", refused).await);
        // The seat of another cannot be had, and a new place is a new one.
        let again = yonder.active(&concert, &user).await;
        assert_ne!(again, token);
        try_hold(yonder, &again, &performance, number + 1).refused(409, "seat-taken").await;
        assert_eq!(place_of(here, &token).await["status"], "EXPIRED");
    }
    let (shown_in, refused_in) = (middle_and_longest(shown_in), middle_and_longest(refused_in));
    println!("the end is shown elsewhere (middle, longest) in {shown_in:?}, reads are refused in {refused_in:?}");
    assert!(shown_in.0 <= SHOWN_WITHIN && refused_in.0 <= SHOWN_WITHIN);
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_ends_the_turn_and_the_hold_at_every_instance() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(2)).await;
    let performance = many.at(0).performance(&concert, &Value::Null).await;
    let other = many.at(0).active(&concert, "other").await;
    let mut shown_in = Vec::new();
    for number in 0..10 {
        let [here, there, yonder] = [0, 1, 2].map(|next| many.at(number + next));
        let leaving = here.active(&concert, &format!("user-{number}")).await;
        let next = token(&here.enter(&concert, &format!("user-{}", number + 1)).await);
        let held = here.hold(&leaving, &performance, &[1]).await;
        there.caller.delete("/queue/token").token(&leaving).expect(204).await;
        let since = Instant::now();
        // The seat is free for the next user at any instance.
        let taken = yonder.hold(&other, &performance, &[1]).await;
        assert_eq!(here.caller.get(&path_of(&held)).expect(200).await["status"], "RELEASED");
        here.caller.delete(&path_of(&taken)).token(&other).expect(204).await;
        try_hold(here, &leaving, &performance, 2).refused(403, "queue-token-expired").await;
        let ended = async || place_of(yonder, &leaving).await["status"] == "EXPIRED";
        shown_in.push(until_since(since, "shown", ended).await);
        yonder.until_status(&next, "ACTIVE").await;
    }
    let shown_in = middle_and_longest(shown_in);
    println!("leaving is shown elsewhere (middle, longest) in {shown_in:?}");
    assert!(shown_in.0 <= SHOWN_WITHIN);
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lapsed_hold_is_lapsed_at_every_instance() {
    let Some(many) = Many::start(3, &[("ONSALE_HOLD_SECONDS", "1")]).await else { return };
    let concert = many.at(0).concert(&room(1_000)).await;
    let performance = many.at(0).performance(&concert, &Value::Null).await;
    let (ada, bob) = (many.at(0).active(&concert, "ada").await, many.at(1).active(&concert, "bob").await);
    many.at(2).charge("ada", 1_000_000).await;
    let mut taken_in = Vec::new();
    for round in 0..4 {
        let [here, there, yonder] = [0, 1, 2].map(|next| many.at(round + next));
        let held = here.hold(&ada, &performance, &[7]).await;
        let until = millis(&held["heldUntil"]);
        // Another user requests it all the time; the database's clock decides when it is free.
        let taken = crate::support::until("the seat is free again", async || {
            let reply = try_hold(there, &bob, &performance, 7).send().await;
            if reply.status == 409 {
                reply.refused(409, "seat-taken");
                return None;
            }
            Some(reply.expect(201))
        })
        .await;
        let since = millis(&taken["heldUntil"]) - 1_000 - until;
        assert!(since >= 0, "taken {since} ms after the lapse");
        taken_in.push(Duration::from_millis(since.unsigned_abs()));
        yonder.pay(&ada, &held).refused(410, "hold-expired").await;
        here.pay(&ada, &held).refused(410, "hold-expired").await;
        there.caller.delete(&path_of(&taken)).token(&bob).expect(204).await;
    }
    println!("a lapsed seat is taken elsewhere (middle, longest) {:?} after", middle_and_longest(taken_in));
    many.is_in_order().await;
}
