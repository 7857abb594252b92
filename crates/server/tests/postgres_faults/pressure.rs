//! A database under pressure: fewer are let in, and all that the settings allow again once it is quick.

use std::time::Duration;

use onsale_testing::postgres::shared;
use onsale_testing::{Caller, Sale, without};
use serde_json::json;

use crate::scene::{Scene, database};
use crate::support::{at_once, until};

/// The share of its rate at which the room calls people.
async fn share(sale: &Sale) -> f64 {
    let text = Caller::new(sale.instance.base()).get("/metrics").send().await;
    let text = String::from_utf8(text.body.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("onsale_waiting_room_admission_share "));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admission_slows_down_and_recovers_by_itself() {
    if without("postgres") {
        return;
    }
    let database = database().await;
    let scene = Scene::on(shared().await.address(), &database, 1).await;
    let sale = scene.sale();
    let queue = json!({"maxActive": 100_000, "admitPerSecond": 10, "activeSeconds": 3_600, "claimSeconds": 3_600});
    let concert = sale.concert(&queue).await;
    let enter = |number: usize| {
        let body = json!({"userId": format!("user-{number}"), "concertId": concert});
        sale.caller.post("/queue/tokens").json(&body)
    };
    at_once((0..1_500).map(enter).collect::<Vec<_>>()).await;
    until("nothing is held back", async || (share(sale).await >= 1.0).then_some(())).await;
    scene.wire.slow(Duration::from_millis(300)).await;
    until("fewer are called", async || (share(sale).await <= 0.5).then_some(())).await;
    scene.wire.heal().await;
    until("the whole rate again", async || (share(sale).await >= 1.0).then_some(())).await;
}
