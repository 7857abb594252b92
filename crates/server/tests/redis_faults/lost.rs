//! Redis is killed, emptied, or replaced by a copy that lags.

use onsale_testing::WireCutter;
use onsale_testing::redis::{Keeps, Redis};
use serde_json::json;

use crate::line::{Line, tokens, user};
use crate::support::{at_once, text, until};

const WAITING: usize = 40;

/// Three instances whose rooms are on one server.
async fn three_on(redis: &Redis) -> Option<Line> {
    Line::start(&[redis.url(), redis.url(), redis.url()], WAITING).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_back_with_its_memory() {
    let redis = Redis::start(Keeps::Everything).await;
    let Some(mut line) = three_on(&redis).await else { return };
    redis.kill().await;
    line.stands().await;
    line.no_user_can_enter("late").await;
    line.stands().await;
    redis.restart().await;
    let late = line.enter_again("late").await;
    line.joined_last(&late).await;
    line.stands().await;
    line.all_users_are_known(WAITING).await;
    line.admits_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_back_with_nothing() {
    let redis = Redis::start(Keeps::Nothing).await;
    let Some(mut line) = three_on(&redis).await else { return };
    redis.kill().await;
    line.stands().await;
    line.no_user_can_enter("late").await;
    redis.restart().await;
    let late = line.enter_again("late").await;
    line.joined_last(&late).await;
    line.stands().await;
    line.all_users_are_known(WAITING).await;
    line.admits_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emptied_in_mid_sale() {
    let redis = Redis::start(Keeps::Nothing).await;
    let Some(line) = three_on(&redis).await else { return };
    let enter = |number: usize| {
        let body = json!({"userId": format!("crowd-{number}"), "concertId": line.concert});
        line.at(number).caller.post("/queue/tokens").json(&body)
    };
    let before = tokio::spawn(at_once((0..200).map(enter).collect::<Vec<_>>()));
    redis.run::<()>(&["FLUSHALL"]);
    let during = at_once((200..400).map(enter).collect::<Vec<_>>()).await;
    let mut all = tokens(&before.await.unwrap());
    all.extend(tokens(&during));
    assert!(all.len() > 200, "most of them entered: {}", all.len());
    // No two have the same place, and those who waited before stand before all of them.
    let positions = line.positions(&all).await;
    assert!(positions.iter().all(|position| *position > WAITING as u64), "{positions:?}");
    line.stands().await;
    line.all_users_are_known(WAITING).await;
    line.admits_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_enters_twice_ends_with_one_place() {
    let redis = Redis::start(Keeps::Nothing).await;
    let Some(line) = three_on(&redis).await else { return };
    redis.run::<()>(&["FLUSHALL"]);
    // No token was shown since, so the user is not known and gets a second place.
    let second = line.enter_again(&user(7)).await;
    assert_ne!(second["token"], json!(line.tokens[8]));
    line.stands().await;
    // With the first one shown, that is the one that counts, and the other is given up.
    line.all_users_are_known(WAITING).await;
    let given_up = async || {
        let place = line.at(1).caller.get("/queue/token").token(&text(&second["token"])).expect(200).await;
        (place["status"] == "EXPIRED").then_some(())
    };
    until("the second place is given up", given_up).await;
    line.admits_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_lags_takes_over() {
    let (primary, replica) = (Redis::start(Keeps::Nothing).await, Redis::start(Keeps::Nothing).await);
    let wire = WireCutter::start(primary.address()).await;
    let url = Redis::url_at(wire.address());
    let Some(mut line) = Line::start(&[url.clone(), url.clone(), url], WAITING).await else { return };
    let port = primary.address().port().to_string();
    replica.run::<()>(&["REPLICAOF", "127.0.0.1", &port]);
    let caught_up =
        async || replica.run::<String>(&["INFO", "replication"]).contains("master_link_status:up").then_some(());
    until("the copy has caught up", caught_up).await;
    replica.run::<()>(&["REPLICAOF", "NO", "ONE"]);
    // Handed out, and not known to the copy.
    for number in WAITING..WAITING + 10 {
        let place = line.at(number).enter(&line.concert, &user(number)).await;
        line.tokens.push(text(&place["token"]));
    }
    primary.kill().await;
    wire.retarget(replica.address()).await;
    let late = line.enter_again("late").await;
    line.joined_last(&late).await;
    line.stands().await;
    line.all_users_are_known(WAITING + 10).await;
    line.admits_in_order().await;
}
