//! Rooms on a cluster of three servers: each room in one slot.

use onsale_testing::redis::Cluster;
use onsale_testing::without;
use serde_json::json;

use crate::line::Line;
use crate::support::room::{room, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_are_spread_and_each_is_in_order() {
    if without("redis") {
        return;
    }
    let cluster = Cluster::start().await;
    let Some(line) = Line::start(&[cluster.url(), cluster.url()], 20).await else { return };
    // More rooms than servers: some of them lie elsewhere.
    for number in 0..24 {
        let concert = line.at(number).concert(&room(1)).await;
        line.at(number).active(&concert, "first").await;
        // Another instance may know of the admission a moment later.
        let second = token(&line.at(number + 1).enter(&concert, "second").await);
        line.at(number + 1).until(&second, |place| place["position"] == json!(1)).await;
    }
    let keys: Vec<i64> = cluster.servers().iter().map(|server| server.run(&["DBSIZE"])).collect();
    assert!(keys.iter().all(|keys| *keys > 0), "every server has some rooms: {keys:?}");
    line.stands().await;
    line.all_users_are_known(20).await;
    line.admits_in_order().await;
}
