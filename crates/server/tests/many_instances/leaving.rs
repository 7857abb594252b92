//! Clients that leave, and what they were told, when several instances share a room.

use onsale_testing::Sale;
use serde_json::json;

use crate::many::{Many, place_of};
use crate::support::millis;
use crate::support::room::{room, token};

async fn leave(sale: &Sale, token: &str, grace_seconds: u32) {
    let body = json!({"token": token, "graceSeconds": grace_seconds});
    sale.caller.post("/queue/token/leave").json(&body).expect(204).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_at_another_instance_keeps_its_turn() {
    let Some(many) = Many::start(2, &[]).await else { return };
    let concert = many.at(0).concert(&room(1)).await;
    let inside = many.at(0).active(&concert, "inside").await;
    many.at(1).until_status(&inside, "ACTIVE").await;
    let next = token(&many.at(0).enter(&concert, "next").await);
    leave(many.at(0), &inside, 3).await;
    // One call, at once: the other instance does not know the message yet.
    assert_eq!(place_of(many.at(1), &inside).await["status"], "ACTIVE");
    let now = millis(&place_of(many.at(0), &next).await["asOf"]);
    many.at(0)
        .until(&next, |place| {
            assert_eq!(place["status"], "WAITING", "{place}");
            millis(&place["asOf"]) > now + 9_000
        })
        .await;
    assert_eq!(place_of(many.at(0), &inside).await["status"], "ACTIVE");
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_is_given_up_also_if_the_instance_with_the_message_is_killed() {
    let Some(mut many) = Many::start(2, &[]).await else { return };
    let concert = many.at(0).concert(&room(1)).await;
    let inside = many.at(0).active(&concert, "inside").await;
    let next = token(&many.at(1).enter(&concert, "next").await);
    let asked = millis(&place_of(many.at(1), &next).await["asOf"]);
    leave(many.at(0), &inside, 2).await;
    many.sales.remove(0).instance.kill().await;
    let admitted = many.at(0).until_status(&next, "ACTIVE").await;
    // The room has turns of an hour.
    let after = millis(&admitted["activeUntil"]) - 3_600_000 - asked;
    assert!(after >= 2_000, "given up after {after} ms");
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_turn_lapses_before_the_instant_that_a_killed_instance_told() {
    let Some(mut many) = Many::start(2, &[]).await else { return };
    let settings = json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 600, "claimSeconds": 6});
    let concert = many.at(1).concert(&settings).await;
    let telling = many.sales.remove(0);
    let inside = telling.active(&concert, "inside").await;
    let next = token(&many.at(0).enter(&concert, "next").await);
    let first = millis(&place_of(&telling, &inside).await["claimBefore"]);
    // By then the instant has moved, as calls were stored.
    let last = telling.until(&inside, |place| millis(&place["claimBefore"]) > first).await;
    let told = millis(&last["claimBefore"]);
    telling.instance.kill().await;
    let admitted = many.at(0).until_status(&next, "ACTIVE").await;
    let lapsed = millis(&admitted["activeUntil"]) - 600_000;
    assert!(lapsed >= told, "the turn lapsed {} ms before the instant that was told", told - lapsed);
    many.is_in_order().await;
}
