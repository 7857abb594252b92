//! Redis cannot be reached for a while, or from the start.

use onsale_testing::WireCutter;
use onsale_testing::redis::{Keeps, Redis};
use serde_json::{Value, json};

use crate::line::Line;

/// What an instance says of its parts.
async fn readiness(line: &Line) -> Value {
    line.at(0).caller.get("/readyz").expect(200).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreachable_for_a_while() {
    let redis = Redis::start(Keeps::Nothing).await;
    let wire = WireCutter::start(redis.address()).await;
    let url = Redis::url_at(wire.address());
    let Some(mut line) = Line::start(&[url.clone(), url], 12).await else { return };
    assert_eq!(readiness(&line).await["parts"][1], json!({"part": "redis", "status": "ok"}));
    for fall_silent in [false, true] {
        if fall_silent {
            wire.stall().await;
        } else {
            wire.cut().await;
        }
        line.nobody_can_enter(&format!("late-{fall_silent}")).await;
        line.stands().await;
        // The sale goes on: whoever is inside leaves, and the next is let in.
        let inside = line.tokens.remove(0);
        line.at(0).caller.delete("/queue/token").token(&inside).expect(204).await;
        line.at(1).until_status(&line.tokens[0], "ACTIVE").await;
        line.stands().await;
        assert_eq!(readiness(&line).await["parts"][1], json!({"part": "redis", "status": "degraded"}));
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
    line.nobody_can_enter("late").await;
    wire.heal().await;
    assert_eq!(line.enter_again("late").await["position"], json!(6));
}
