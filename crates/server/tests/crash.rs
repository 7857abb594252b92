//! The server is killed or stopped under load: what it acknowledged is there after a restart, and nothing is there
//! twice.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use std::time::{Duration, Instant};

use onsale_testing::{Caller, Dice, Faults, Launch, PATIENCE, Sale, Signal, Workload};
use serde_json::json;
use support::raw::{connect, request};
use support::{ONSALE, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How many callers act at once.
const PEOPLE: i64 = 16;

fn rounds() -> usize {
    if std::env::var_os("ONSALE_TEST_LONG").is_some() { 40 } else { 5 }
}

async fn audit(launch: &Launch) {
    let audit = launch.run(&["audit"]).await;
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}

/// Lets the callers act until this many requests more are acknowledged, then a random moment.
async fn act(sale: &Sale, dice: &mut Dice) {
    let metrics = Caller::new(sale.instance.base());
    until("enough was decided", async || (decided(&metrics).await > 300).then_some(())).await;
    tokio::time::sleep(Duration::from_micros(dice.below(400_000))).await;
}

/// How many commands this server has decided.
async fn decided(caller: &Caller) -> u64 {
    let text = caller.get("/metrics").send().await;
    let text = String::from_utf8(text.body.to_vec()).unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("onsale_desk_wait_seconds_count "));
    count.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let launch = Sale::launch(ONSALE);
    let mut sale = Sale::start(&launch).await;
    let mut load = Workload::prepare(&sale, PEOPLE, seed).await;
    let mut unanswered = 0;
    for round in 0..rounds() {
        let running = load.start(&sale.caller);
        act(&sale, &mut dice).await;
        sale.instance.kill().await;
        load = running.stop().await;
        unanswered += load.unanswered();

        sale = Sale::start(&launch).await;
        audit(&launch).await;
        load.settle(&sale).await;
        load.check(&sale).await;
        load.check_replays(&sale).await;
        audit(&launch).await;
        println!("round {round}: {} acknowledged, {unanswered} left open", load.acknowledged());
    }
    assert!(unanswered > 0, "no kill came while anything was under way");
    assert!(sale.instance.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_stops() {
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let launch = Sale::launch(ONSALE);
    let mut sale = Sale::start(&launch).await;
    let mut load = Workload::prepare(&sale, PEOPLE, seed).await;
    for _ in 0..2 {
        let running = load.start(&sale.caller);
        act(&sale, &mut dice).await;
        assert!(sale.instance.terminate().await.success(), "a clean end");
        load = running.stop().await;

        sale = Sale::start(&launch).await;
        load.settle(&sale).await;
        load.check(&sale).await;
        load.check_replays(&sale).await;
        audit(&launch).await;
    }
}

#[tokio::test]
async fn a_stopped_server_leaves_an_empty_sqlite_log() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    for round in 0..20 {
        sale.charge(&format!("user-{round}"), 100).await;
    }
    assert!(sale.instance.terminate().await.success());
    let log = launch.folder().join("onsale.db-wal");
    let left = std::fs::metadata(&log).map_or(0, |log| log.len());
    assert_eq!(left, 0, "everything is in the file, so that the file alone can be copied");
}

/// Sends a charge with a recognisable amount. Returns the whole reply, if the connection gives one.
async fn charge(base: &str, user: &str) -> String {
    let mut stream = connect(base).await;
    let line = format!("PATCH /point/{user}/charge");
    let bytes = request(line.as_bytes(), &[b"content-type: application/json"], br#"{"amount":7}"#);
    stream.write_all(&bytes).await.unwrap();
    let mut reply = Vec::new();
    let reading = stream.read_to_end(&mut reply);
    let read = tokio::time::timeout(PATIENCE, reading).await.expect("an answer or an end in time");
    format!("{}{}", String::from_utf8_lossy(&reply), read.err().map(|error| error.to_string()).unwrap_or_default())
}

#[tokio::test]
async fn requests_under_way_are_finished_before_the_exit() {
    let (faults, launch) = Faults::under(Sale::launch(ONSALE));
    let sale = Sale::start(&launch).await;
    faults.stall_syncs();
    let base = sale.instance.base().to_owned();
    let users: Vec<String> = (0..40).map(|number| format!("user-{number}")).collect();
    let sent: Vec<_> = users
        .iter()
        .map(|user| {
            let (base, user) = (base.clone(), user.clone());
            tokio::spawn(async move { charge(&base, &user).await })
        })
        .collect();
    // The sync of the first is stalled; the others wait behind it in the same lane.
    let metrics = Caller::new(&base);
    let connections = async || {
        let text = String::from_utf8(metrics.get("/metrics").send().await.body.to_vec()).unwrap();
        let open = text.lines().find_map(|line| line.strip_prefix("onsale_http_server_open_connections "))?;
        (open.parse::<usize>().unwrap() > users.len()).then_some(())
    };
    until("a sync is held up", async || (faults.syncs_held() > 0).then_some(())).await;
    until("all connections are accepted", connections).await;
    sale.instance.signal(Signal::TERM);
    until("the server is stopping", async || sale.instance.log().contains("stopping").then_some(())).await;
    faults.mend();
    for (user, reply) in users.iter().zip(sent) {
        let reply = reply.await.unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"), "{user} was under way: {reply:?}");
    }
    assert!(sale.instance.ended().await.success());

    let sale = Sale::start(&launch).await;
    for user in &users {
        let shown = sale.caller.get(&format!("/point/{user}")).expect(200).await;
        assert_eq!(shown["balance"], 7, "{user}");
    }
    audit(&launch).await;
}

/// The results of requests on connections of their own while the server stopped.
#[derive(Debug, Default)]
struct Tally {
    answered: usize,
    refused: usize,
    not_connected: usize,
    cut_off: Vec<String>,
}

/// Callers with a connection for each request, and a server that gets SIGTERM meanwhile.
async fn stop_among_callers() -> Tally {
    let sale = Sale::start(&Sale::launch(ONSALE)).await;
    let base = sale.instance.base().to_owned();
    let began = Instant::now();
    let callers: Vec<_> = (0..24)
        .map(|number| {
            let base = base.clone();
            tokio::spawn(async move { call_until_gone(&base, &format!("user-{number}"), began).await })
        })
        .collect();
    let metrics = Caller::new(&base);
    until("enough was decided", async || (decided(&metrics).await > 100).then_some(())).await;
    drop(metrics);
    assert!(sale.instance.terminate().await.success());
    let mut tally = Tally::default();
    for caller in callers {
        let Tally { answered, refused, not_connected, cut_off } = caller.await.unwrap();
        tally.answered += answered;
        tally.refused += refused;
        tally.not_connected += not_connected;
        tally.cut_off.extend(cut_off);
    }
    assert!(tally.answered > 50 && tally.not_connected > 0, "{tally:?}");
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connected_client_gets_an_answer_while_the_server_stops() {
    let mut cut_off = Vec::new();
    for _ in 0..8 {
        cut_off.extend(stop_among_callers().await.cut_off);
    }
    assert_eq!(cut_off, [""; 0], "connections without an answer");
}

async fn call_until_gone(base: &str, user: &str, began: Instant) -> Tally {
    let mut tally = Tally::default();
    let address = base.strip_prefix("http://").unwrap();
    let line = format!("PATCH /point/{user}/charge");
    let bytes = request(line.as_bytes(), &[b"content-type: application/json"], br#"{"amount":7}"#);
    while began.elapsed() < PATIENCE {
        let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else {
            tally.not_connected += 1;
            return tally;
        };
        let mut reply = Vec::new();
        let sent = stream.write_all(&bytes).await;
        let read = stream.read_to_end(&mut reply).await;
        let reply = String::from_utf8_lossy(&reply).into_owned();
        match reply.get(..12) {
            Some("HTTP/1.1 200") => tally.answered += 1,
            Some("HTTP/1.1 503") => tally.refused += 1,
            _ => tally.cut_off.push(format!("{sent:?}, {read:?}, {reply:?}")),
        }
    }
    tally
}

#[tokio::test]
async fn the_waiting_room_continues_at_the_same_position_after_a_crash() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    let room = json!({"maxActive": 1, "admitPerSecond": 1_000_000, "claimSeconds": 3_600});
    let concert = sale.concert(&room).await;
    let performance = sale.performance(&concert, &json!(null)).await;
    let mut tokens = Vec::new();
    for user in ["ada", "bob", "cyd", "dan"] {
        tokens.push(sale.enter(&concert, user).await["token"].as_str().unwrap().to_owned());
    }
    sale.until_status(&tokens[0], "ACTIVE").await;
    let held = sale.hold(&tokens[0], &performance, &[1]).await;
    sale.instance.kill().await;

    let sale = Sale::start(&launch).await;
    let positions: Vec<_> = {
        let mut positions = Vec::new();
        for token in &tokens {
            let place = sale.caller.get("/queue/token").token(token).expect(200).await;
            positions.push((place["status"].clone(), place["position"].clone()));
        }
        positions
    };
    let waits = |position: u64| (json!("WAITING"), json!(position));
    assert_eq!(positions, [(json!("ACTIVE"), json!(null)), waits(1), waits(2), waits(3)]);
    sale.charge("ada", 50_000).await;
    sale.pay(&tokens[0], &held).expect(201).await;
    sale.until_status(&tokens[1], "ACTIVE").await;
    let place = sale.caller.get("/queue/token").token(&tokens[2]).expect(200).await;
    assert_eq!(place["position"], 1);
    sale.caller.delete("/queue/token").token(&tokens[1]).expect(204).await;
    assert!(sale.instance.terminate().await.success());

    let sale = Sale::start(&launch).await;
    sale.until_status(&tokens[2], "ACTIVE").await;
    let place = sale.caller.get("/queue/token").token(&tokens[3]).expect(200).await;
    assert_eq!((&place["status"], &place["position"]), (&json!("WAITING"), &json!(1)));
    audit(&launch).await;
}
