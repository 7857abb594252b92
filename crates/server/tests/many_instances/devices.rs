//! A user's places at several instances: each of them lists what the others handed out, with tokens that all of them take.

use onsale_testing::Sale;
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::room::{configure, room, token};
use crate::support::{text, until};

/// The places of a user at one instance, once they have these statuses, newest first.
async fn until_statuses(sale: &Sale, user: &str, expected: &[&str]) -> Vec<Value> {
    let path = format!("/users/{user}/queue-tokens");
    until(&format!("{user} has {expected:?}"), async || {
        let found = sale.caller.get(&path).expect(200).await.as_array().unwrap().clone();
        found.iter().map(|place| text(&place["status"])).eq(expected.iter().copied()).then_some(found)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_instance_lists_the_places_that_another_handed_out() {
    let Some(many) = Many::start(2, &[]).await else { return };
    let (first, second) = (many.at(0), many.at(1));
    let (open, paused) = (first.concert(&room(5)).await, second.concert(&room(5)).await);
    configure(second, &paused, &json!({"paused": true})).await;
    first.active(&open, "ada").await;
    let waiting = first.enter(&paused, "ada").await;
    for sale in &many.sales {
        let found = until_statuses(sale, "ada", &["WAITING", "ACTIVE"]).await;
        assert_eq!(found[0]["token"], waiting["token"]);
        for place in &found {
            assert_eq!(sale.caller.get("/queue/token").token(&token(place)).expect(200).await["userId"], "ada");
        }
    }
    second.caller.delete("/queue/token").token(&token(&waiting)).expect(204).await;
    for sale in &many.sales {
        until_statuses(sale, "ada", &["ACTIVE"]).await;
    }
    many.is_in_order().await;
}
