//! Redis or the database goes back to older data: a restore, a failover that lost writes, a server that was demoted.

use onsale_testing::redis::{Keeps, Redis};
use serde_json::json;

use crate::line::Line;
use crate::support::{at_once, until};

const WAITING: usize = 12;

/// Enough places that another block is reserved meanwhile.
const CROWD: usize = 600;

/// Enough users that some have places beyond the first block.
const BEYOND: usize = 1_200;

/// A line, the row of its room before a crowd came, and the crowd's tokens.
async fn crowded(redis: &Redis, count: usize) -> Option<(Line, String, Vec<String>)> {
    let line = Line::start(&[redis.url(), redis.url()], WAITING).await?;
    let before = line.row().await;
    let crowd = line.crowd("crowd", count).await;
    assert_eq!(crowd.len(), count, "each user entered");
    let reserved = async || (Line::reserved_to(&before) < Line::reserved_to(&line.row().await)).then_some(());
    until("a further block is reserved", reserved).await;
    Some((line, before, crowd))
}

/// No place has ended, all users keep their order, and new users are behind them.
async fn goes_on(mut line: Line, crowd: &[String], before: &[u64]) {
    line.stands().await;
    let late = line.enter_again("late").await;
    assert_eq!(late["status"], "WAITING", "{late}");
    let newcomers = line.crowd("newcomer", CROWD).await;
    assert_eq!(newcomers.len(), CROWD, "each user entered");
    let all: Vec<String> = crowd.iter().chain(&newcomers).cloned().collect();
    let after = line.positions(&all).await;
    assert_eq!(after[..crowd.len()], *before, "the line keeps its order");
    assert!(
        after[crowd.len()..].iter().all(|position| *position > (WAITING + crowd.len()) as u64),
        "newcomers are behind"
    );
    line.stands().await;
    line.all_users_are_known(WAITING).await;
    line.tokens.truncate(4);
    line.admits_in_order().await;
}

/// No two have one place: those who got theirs in the lost time included, and they keep the front of it.
async fn keeps_the_places_of(lost: &[String], newcomers: &[String], mut line: Line) {
    let all: Vec<String> = lost.iter().chain(newcomers).cloned().collect();
    let positions = line.positions(&all).await;
    assert!(positions[..lost.len()].iter().all(|position| *position <= (WAITING + lost.len()) as u64), "{positions:?}");
    line.stands().await;
    line.all_users_are_known(WAITING).await;
    line.tokens.truncate(4);
    line.admits_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_lost_a_block_in_a_failover() {
    let redis = Redis::start(Keeps::Nothing).await;
    let Some((line, row, crowd)) = crowded(&redis, CROWD).await else { return };
    let before = line.positions(&crowd).await;
    line.set_back(&row).await;
    goes_on(line, &crowd, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_restored_while_redis_goes_on() {
    let redis = Redis::start(Keeps::Nothing).await;
    let Some((mut line, row, crowd)) = crowded(&redis, CROWD).await else { return };
    let before = line.positions(&crowd).await;
    line.restart_around(&redis.url(), async |line: &Line| line.set_back(&row).await).await;
    goes_on(line, &crowd, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_restored_to_before_the_last_epoch() {
    let redis = Redis::start(Keeps::Everything).await;
    let Some((line, row, crowd)) = crowded(&redis, CROWD).await else { return };
    redis.restart().await;
    line.enter_again("between").await;
    let before = line.positions(&crowd).await;
    line.set_back(&row).await;
    goes_on(line, &crowd, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_restored_and_redis_emptied() {
    let redis = Redis::start(Keeps::Nothing).await;
    let Some((mut line, row, crowd)) = crowded(&redis, BEYOND).await else { return };
    let before = line.positions(&crowd).await;
    let lost = async |line: &Line| {
        line.set_back(&row).await;
        redis.run::<()>(&["FLUSHALL"]);
    };
    line.restart_around(&redis.url(), lost).await;
    // Only the tokens know. No poll calls them expired, before they are back in line.
    let poll = |(number, token): (usize, &String)| line.at(number).caller.get("/queue/token").token(token);
    let replies = at_once(crowd.iter().enumerate().map(poll).collect::<Vec<_>>()).await;
    for reply in &replies {
        let waits = reply.status == 200 && reply.json()["status"] == "WAITING";
        assert!(waits || reply.status == 503, "{} {:?}", reply.status, reply.body);
    }
    goes_on(line, &crowd, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_demoted_and_promoted_again() {
    let (redis, other) = (Redis::start(Keeps::Nothing).await, Redis::start(Keeps::Nothing).await);
    let Some(line) = Line::start(&[redis.url(), redis.url()], WAITING).await else { return };
    other.follow(&redis).await;
    // From here on the other one does not hear of what is handed out.
    other.promote();
    let lost = line.crowd("lost", 40).await;
    redis.follow(&other).await;
    line.no_user_can_enter("meanwhile").await;
    redis.promote();
    let late = line.enter_again("late").await;
    assert_eq!(late["status"], "WAITING", "{late}");
    let newcomers = line.crowd("newcomer", 40).await;
    keeps_the_places_of(&lost, &newcomers, line).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_loads_older_data_in_the_same_life() {
    let redis = Redis::start_with(Keeps::Nothing, &["--enable-debug-command", "yes"]).await;
    let Some(line) = Line::start(&[redis.url(), redis.url()], WAITING).await else { return };
    redis.run::<()>(&["SAVE"]);
    let lost = line.crowd("lost", 40).await;
    redis.run::<()>(&["DEBUG", "RELOAD", "NOSAVE"]);
    let newcomers = line.crowd("newcomer", 40).await;
    assert_eq!(newcomers.len(), 40, "each user entered");
    keeps_the_places_of(&lost, &newcomers, line).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_a_room_is_put_in_its_place() {
    let redis = Redis::start(Keeps::Nothing).await;
    let Some(mut line) = Line::start(&[redis.url(), redis.url()], WAITING).await else { return };
    let room = format!("onsale:{{{}}}:room", line.concert);
    let older: Vec<u8> = redis.run(&["DUMP", &room]);
    let lost = line.crowd("lost", 40).await;
    let mut call = onsale_testing::redis::driver::cmd("RESTORE");
    call.arg(&room).arg(0).arg(older).arg("REPLACE");
    call.query::<()>(&mut redis.connection()).unwrap();
    let newcomers = line.crowd("newcomer", 40).await;
    let all: Vec<String> = lost.iter().chain(&newcomers).cloned().collect();
    line.positions(&all).await;
    let late = line.enter_again("late").await;
    assert_ne!(late["token"], json!(lost[0]));
    line.stands().await;
    line.tokens.truncate(4);
    line.admits_in_order().await;
}
