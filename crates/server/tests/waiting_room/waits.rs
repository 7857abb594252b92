//! What clients are told of their wait, and of how long an unused turn is safe.

use serde_json::{Value, json};

use crate::support::room::{configure, place, room, token};
use crate::support::{audit, millis, start};

/// Checks the bounds of a wait against its number. Returns both bounds.
fn bounds(place: &Value) -> (u64, u64) {
    let number = place["estimatedWaitSeconds"].as_u64().unwrap_or_else(|| panic!("{place}"));
    let wait = &place["estimatedWait"];
    assert_eq!(wait.as_object().map(serde_json::Map::len), Some(2), "{place}");
    let (low, high) = (wait["low"].as_u64().unwrap(), wait["high"].as_u64().unwrap());
    assert!(low <= number && number <= high, "{place}");
    (low, high)
}

#[tokio::test]
async fn before_ten_admissions_the_bounds_follow_the_settings_and_a_usual_purchase() {
    let sale = start(&[]).await;
    let queue = json!({"maxActive": 2, "admitPerSecond": 10, "activeSeconds": 600, "claimSeconds": 3_600});
    let concert = sale.concert(&queue).await;
    let mut last = Value::Null;
    for number in 0..42 {
        last = sale.enter(&concert, &format!("user-{number}")).await;
    }
    assert_eq!(last["position"], 40);
    let (low, high) = bounds(&last);
    assert!(low <= 10, "40 at 10 a second, with turns that end at once: {low} s");
    assert!((600..=2_400).contains(&high), "20 purchases of a minute each, one after another: {high} s");
    let first = place(&sale, &last["token"].as_str().unwrap().to_owned()).await;
    bounds(&first);
}

#[tokio::test]
async fn a_pause_and_a_closed_sale_have_no_wait() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(1)).await;
    sale.active(&concert, "ada").await;
    let bob = token(&sale.enter(&concert, "bob").await);
    bounds(&place(&sale, &bob).await);
    let none = |place: &Value| {
        assert!(place["estimatedWaitSeconds"].is_null() && place["estimatedWait"].is_null(), "{place}");
        assert!(place["pollAfterSeconds"].is_u64() && place["position"] == 1, "{place}");
    };
    configure(&sale, &concert, &json!({"paused": true})).await;
    let paused = sale.until(&bob, |place| place["paused"] == true).await;
    none(&paused);
    configure(&sale, &concert, &json!({"paused": false})).await;
    bounds(&sale.until(&bob, |place| place["paused"] == false).await);
    sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}")))
        .json(&json!({"closed": true}))
        .expect(200)
        .await;
    none(&sale.until(&bob, |place| place["closed"] == true).await);
}

#[tokio::test]
async fn an_unused_turn_is_safe_until_an_instant_and_a_used_one_needs_none() {
    let sale = start(&[]).await;
    let settings = json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 600, "claimSeconds": 4});
    let concert = sale.concert(&settings).await;
    let ada = sale.active(&concert, "ada").await;
    let first = place(&sale, &ada).await;
    let told = millis(&first["claimBefore"]);
    let admitted = millis(&first["activeUntil"]) - 600_000;
    assert!((admitted + 4_000..=admitted + 8_000).contains(&told), "{first}");
    let bob = sale.enter(&concert, "bob").await;
    assert!(bob["claimBefore"].is_null() && bob["estimatedWait"].is_object(), "{bob}");
    // Calls move the instant, and no turn lapses before the last one that was told.
    let later = sale.until(&ada, |place| millis(&place["claimBefore"]) > told).await;
    let told = millis(&later["claimBefore"]);
    let next = sale.until_status(&token(&bob), "ACTIVE").await;
    assert!(millis(&next["activeUntil"]) - 600_000 >= told, "the turn lapsed before {told}: {next}");
    let bob = token(&bob);
    assert!(place(&sale, &bob).await["claimBefore"].is_string());
    sale.caller.get(&format!("/concerts/{concert}/dates")).token(&bob).expect(200).await;
    assert!(place(&sale, &bob).await["claimBefore"].is_null(), "it was used");
    audit(&sale).await;
}
