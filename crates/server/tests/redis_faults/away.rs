//! Redis cannot be reached for a while, or from the start.

use onsale_testing::WireCutter;
use onsale_testing::redis::{Keeps, Redis};
use serde_json::json;

use crate::line::Line;
use crate::support::until;

/// Waits until an instance reports this status of Redis, which it checks in the background.
async fn until_redis_is(line: &Line, status: &str) {
    let is_so = async || {
        let ready = line.at(0).caller.get("/readyz").expect(200).await;
        assert_eq!(ready["parts"][1]["part"], "redis", "{ready}");
        (ready["parts"][1]["status"] == status).then_some(())
    };
    until(&format!("redis is {status}"), is_so).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreachable_for_a_while() {
    let redis = Redis::start(Keeps::Nothing).await;
    let wire = WireCutter::start(redis.address()).await;
    let url = Redis::url_at(wire.address());
    let Some(mut line) = Line::start(&[url.clone(), url], 12).await else { return };
    until_redis_is(&line, "ok").await;
    for fall_silent in [false, true] {
        if fall_silent {
            wire.stall().await;
        } else {
            wire.cut().await;
        }
        line.no_user_can_enter(&format!("late-{fall_silent}")).await;
        line.stands().await;
        // The sale continues: the user with the turn leaves, and the next one is admitted.
        let inside = line.tokens.remove(0);
        line.at(0).caller.delete("/queue/token").token(&inside).expect(204).await;
        line.at(1).until_status(&line.tokens[0], "ACTIVE").await;
        line.stands().await;
        until_redis_is(&line, "degraded").await;
        wire.heal().await;
        let late = line.enter_again(&format!("late-{fall_silent}")).await;
        line.joined_last(&late).await;
        line.stands().await;
    }
    line.admits_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_there_when_an_instance_starts() {
    let redis = Redis::start(Keeps::Everything).await;
    let wire = WireCutter::start(redis.address()).await;
    let url = Redis::url_at(wire.address());
    let Some(line) = Line::start(std::slice::from_ref(&url), 5).await else { return };
    wire.cut().await;
    let late = line.start_another(&url).await;
    let place = late.caller.get("/queue/token").token(&line.tokens[3]).expect(200).await;
    assert_eq!(place["position"], json!(3));
    line.no_user_can_enter("late").await;
    wire.heal().await;
    assert_eq!(line.enter_again("late").await["position"], json!(6));
}
