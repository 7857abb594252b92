//! Admission when several instances share a room: in order of places, by one cap and one rate, kept by signs of
//! life at any of them, and admitted at all of them at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::future::join_all;
use onsale_testing::{Reply, Sale, now_millis};
use serde_json::json;

use crate::many::{Many, admissions, middle_and_longest, most_at_once, place_after, place_of, until_since};
use crate::support::room::{admitted_at, configure, queue, room, token};
use crate::support::{millis, until};

/// What a busy machine may add until a silent turn ends, in milliseconds.
const LATE_MAX: i64 = 4_000;

async fn dates(sale: &Sale, concert: &str, token: &str) -> Reply {
    sale.caller.get(&format!("/concerts/{concert}/dates")).token(token).send().await
}

/// One person's visit: enters at one instance, waits at another, leaves at a third.
async fn visit(many: &Many, concert: &str, number: usize, inside: &AtomicUsize) {
    let token = token(&many.at(number).enter(concert, &format!("user-{number}")).await);
    many.at(number + 1).until_status(&token, "ACTIVE").await;
    let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
    assert!(now <= 5, "{now} are inside");
    let seen = queue(many.at(number + 1), concert).await;
    assert!(seen["active"].as_u64().unwrap() <= 5, "{seen}");
    inside.fetch_sub(1, Ordering::SeqCst);
    many.at(number + 2).caller.delete("/queue/token").token(&token).expect(204).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_cap_and_one_order_over_all_instances() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(5)).await;
    let inside = AtomicUsize::new(0);
    join_all((0..90).map(|number| visit(&many, &concert, number, &inside))).await;
    for sale in &many.sales {
        until("the room is empty", async || {
            let shown = queue(sale, &concert).await;
            (shown["active"] == 0 && shown["waiting"] == 0 && shown["issued"] == 90).then_some(())
        })
        .await;
    }
    let sql = many.sql().await;
    let admitted = admissions(&sql, &concert).await;
    assert!(admitted.len() == 90 && admitted.is_sorted(), "in the order of places: {admitted:?}");
    let most = most_at_once(&sql, &concert).await;
    println!("at most {most} of 5 at once");
    assert!(most <= 5, "{most} turns at once");
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_rate_over_all_instances() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let settings = json!({"maxActive": 1_000, "admitPerSecond": 7, "activeSeconds": 600, "claimSeconds": 3_600});
    let concert = many.at(0).concert(&settings).await;
    configure(many.at(0), &concert, &json!({"paused": true})).await;
    let mut tokens = Vec::new();
    for number in 0..20 {
        tokens.push(token(&many.at(number).enter(&concert, &format!("user-{number}")).await));
    }
    configure(many.at(1), &concert, &json!({"paused": false})).await;
    // Some come while others are being admitted.
    for number in 20..30 {
        tokens.push(token(&many.at(number).enter(&concert, &format!("user-{number}")).await));
    }
    let mut seen = Vec::new();
    for (number, token) in tokens.iter().enumerate() {
        seen.push(admitted_at(&many.at(number).until_status(token, "ACTIVE").await, 600));
    }
    assert_eq!(seen, admissions(&many.sql().await, &concert).await, "each instance shows the same");
    assert!(seen.is_sorted(), "in the order of places: {seen:?}");
    for window in seen.windows(8) {
        assert!(window[7] - window[0] >= 1_000, "eight within a second: {seen:?}");
    }
    // Seven more take a second. A busy machine may stop the steps for a moment, so the bound applies to the middle one.
    let mut paces: Vec<i64> = seen.windows(8).map(|window| window[7] - window[0]).collect();
    paces.sort_unstable();
    println!("seven people at 7 a second (shortest, middle, longest): {:?} ms", [paces[0], paces[11], paces[22]]);
    assert!(paces[paces.len() / 2] < 1_500, "the room is kept moving: {seen:?}");
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_a_turn_at_one_instance_is_refused_at_none() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let (open, narrow) = (many.at(0).concert(&room(1_000)).await, many.at(1).concert(&room(1)).await);
    let mut before = many.at(0).active(&narrow, "first").await;
    let mut at_once = 0;
    for number in 0..60 {
        let [here, there, yonder] = [many.at(number), many.at(number + 1), many.at(number + 2)];
        // Into a room with free capacity.
        let entered = here.enter(&open, &format!("user-{number}")).await;
        at_once += usize::from(entered["status"] == "ACTIVE");
        if entered["status"] == "ACTIVE" {
            dates(there, &open, &token(&entered)).await.expect(200);
            dates(yonder, &open, &token(&entered)).await.expect(200);
        }
        // The next user in line, admitted when a user left at another instance.
        let next = token(&here.enter(&narrow, &format!("next-{number}")).await);
        yonder.caller.delete("/queue/token").token(&before).expect(204).await;
        here.until_status(&next, "ACTIVE").await;
        dates(there, &narrow, &next).await.expect(200);
        dates(yonder, &narrow, &next).await.expect(200);
        before = next;
    }
    println!("{at_once} of 60 were admitted in the answer itself");
    assert!(at_once > 50);
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_a_turn_at_one_instance_may_charge_at_all() {
    let Some(many) = Many::start(3, &[("ONSALE_QUEUE_STRICT", "true")]).await else { return };
    let concert = many.at(1).concert(&room(1)).await;
    let mut before = many.at(0).active(&concert, "first").await;
    for number in 0..30 {
        let [here, there, yonder] = [many.at(number), many.at(number + 1), many.at(number + 2)];
        let wallet = format!("/point/next-{number}");
        let next = token(&here.enter(&concert, &format!("next-{number}")).await);
        here.caller.get(&wallet).token(&next).refused(403, "queue-token-waiting").await;
        yonder.caller.delete("/queue/token").token(&before).expect(204).await;
        here.until_status(&next, "ACTIVE").await;
        let charge = there.caller.patch(&format!("{wallet}/charge")).token(&next).json(&json!({"amount": 7}));
        assert_eq!(charge.expect(200).await["balance"], 7);
        assert_eq!(yonder.caller.get(&wallet).token(&next).expect(200).await["balance"], 7);
        before = next;
    }
    many.is_in_order().await;
}

/// In a room for two, one is silent, one polls a single instance, and a third waits for either to lapse.
async fn a_silent_user_loses_the_turn_and_a_polling_one_keeps_it(many: &Many, claim_seconds: i64) {
    let settings =
        json!({"maxActive": 2, "admitPerSecond": 1_000, "activeSeconds": 600, "claimSeconds": claim_seconds});
    let concert = many.at(0).concert(&settings).await;
    let polling = many.at(0).active(&concert, "polling").await;
    let silent = many.at(1).enter(&concert, "silent").await;
    let next = token(&many.at(2).enter(&concert, "next").await);
    let since = millis(&silent["issuedAt"]);
    let stays = many.at(0).until(&polling, |place| {
        assert_eq!(place["status"], "ACTIVE", "who polls is there: {place}");
        millis(&place["asOf"]) > since + claim_seconds * 1_000 + 4_000
    });
    // The next in line asks yet another instance.
    let (admitted, _) = tokio::join!(many.at(2).until_status(&next, "ACTIVE"), stays);
    let after = admitted_at(&admitted, 600) - since;
    println!("claimSeconds {claim_seconds}: the silent one lapsed after {after} ms");
    assert!((claim_seconds * 1_000..claim_seconds * 1_000 + LATE_MAX).contains(&after), "{after} ms");
    for sale in &many.sales {
        assert_eq!(place_of(sale, &token(&silent)).await["status"], "EXPIRED");
        assert_eq!(place_of(sale, &polling).await["status"], "ACTIVE");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_lapses_only_if_no_instance_got_a_sign_of_life() {
    let Some(many) = Many::start(3, &[]).await else { return };
    tokio::join!(
        a_silent_user_loses_the_turn_and_a_polling_one_keeps_it(&many, 4),
        a_silent_user_loses_the_turn_and_a_polling_one_keeps_it(&many, 6)
    );
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signs_of_life_outlive_the_instance_that_got_them() {
    let Some(mut many) = Many::start(3, &[]).await else { return };
    let settings = json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 600, "claimSeconds": 5});
    let concert = many.at(1).concert(&settings).await;
    let polled = many.sales.remove(0);
    let polling = polled.active(&concert, "polling").await;
    let next = token(&many.at(0).enter(&concert, "next").await);
    let since = millis(&place_of(&polled, &polling).await["asOf"]);
    polled.until(&polling, |place| millis(&place["asOf"]) > since + 6_000).await;
    polled.instance.kill().await;
    // From now on the user polls another instance, and for longer than all earlier signs would last.
    many.at(1)
        .until(&polling, |place| {
            assert_eq!(place["status"], "ACTIVE", "who polls is there: {place}");
            millis(&place["asOf"]) > since + 14_000
        })
        .await;
    assert_eq!(place_of(many.at(0), &next).await["status"], "WAITING");
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_and_new_settings_hold_everywhere() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(2)).await;
    for user in ["ada", "bob"] {
        many.at(0).active(&concert, user).await;
    }
    let waiting = token(&many.at(0).enter(&concert, "eve").await);
    let mut shown_in = Vec::new();
    for round in 0..9 {
        let (here, there) = (many.at(round), many.at(round + 1));
        configure(here, &concert, &json!({"paused": true, "maxActive": 10 + round})).await;
        // Admission is stopped for every instance by the time of the answer.
        let late = there.enter(&concert, &format!("late-{round}")).await;
        let late = place_after(there, &token(&late), now_millis()).await;
        assert_eq!(late["status"], "WAITING", "admitted by another instance after the pause");
        let since = Instant::now();
        let shown = async || {
            let shown = queue(there, &concert).await;
            shown["maxActive"] == 10 + round && shown["paused"] == true
        };
        shown_in.push(until_since(since, "the settings are shown", shown).await);
        there.caller.delete("/queue/token").token(&token(&late)).expect(204).await;
        configure(there, &concert, &json!({"maxActive": 2})).await;
        configure(here, &concert, &json!({"paused": false})).await;
    }
    println!("settings made elsewhere are shown (middle, longest): {:?}", middle_and_longest(shown_in));
    assert_eq!(place_of(many.at(1), &waiting).await["status"], "WAITING");
    configure(many.at(2), &concert, &json!({"maxActive": 3})).await;
    many.at(1).until_status(&waiting, "ACTIVE").await;
    many.is_in_order().await;
}
