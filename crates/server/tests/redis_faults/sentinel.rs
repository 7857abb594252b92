//! Sentinels name the primary, and promote a replica when it dies.

use onsale_testing::redis::{Keeps, Redis, Sentinel};
use onsale_testing::without;

use crate::line::Line;

const WAITING: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_keeps_the_line() {
    if without("redis") {
        return;
    }
    let (primary, replica) = (Redis::start(Keeps::Nothing).await, Redis::start(Keeps::Nothing).await);
    replica.follow(&primary).await;
    let sentinel = Sentinel::start(&primary, 1, None).await;
    let Some(mut line) = Line::start(&[sentinel.url(), sentinel.url()], WAITING).await else { return };
    primary.kill().await;
    line.stands().await;
    let late = line.enter_after_failover("late").await;
    line.joined_last(&late).await;
    line.stands().await;
    line.all_users_are_known(WAITING).await;
    line.admits_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_passwords_at_servers_and_sentinel() {
    if without("redis") {
        return;
    }
    let primary = Redis::start(Keeps::Nothing).await;
    let sentinel = Sentinel::start(&primary, 0, Some("pa@ss")).await;
    primary.run::<()>(&["CONFIG", "SET", "requirepass", "pa@ss"]);
    let Some(line) = Line::start(&[sentinel.url_with("pa%40ss")], 2).await else { return };
    line.stands().await;
}
