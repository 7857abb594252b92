//! The database server is killed, restarted, or falls silent, under load, and comes back.

use std::time::Duration;

use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::{Server, Setup};
use onsale_testing::{Dice, Sale, Workload, without};

use crate::scene::{Scene, alone_on, answered_in_time, charge, in_time, recovered, unavailable, until_decided};
use crate::support::until;

/// Number of commands that are decided before each fault.
const DECIDED: u64 = 60;

fn rounds() -> usize {
    if std::env::var_os("ONSALE_TEST_LONG").is_some() { 10 } else { 1 }
}

/// How the database goes away and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Away {
    Killed,
    Stopped,
    Paused,
    Unheard,
}

impl Away {
    async fn begin(self, scene: &Scene, server: &Server) {
        match self {
            Self::Killed => server.kill().await,
            Self::Stopped => server.stop().await,
            Self::Paused => server.pause().await,
            Self::Unheard => scene.wire.stall().await,
        }
    }

    async fn end(self, scene: &Scene, server: &Server) {
        match self {
            Self::Killed | Self::Stopped => server.restart().await,
            Self::Paused => server.resume().await,
            Self::Unheard => scene.wire.heal().await,
        }
    }
}

/// What callers see while the database is away.
async fn is_refused(sale: &Sale, round: usize) -> Duration {
    let charged = unavailable(charge(sale, "ada", 7, &format!("round-{round}"))).await;
    let read = unavailable(sale.caller.get("/point/ada")).await;
    sale.caller.get("/healthz").expect(200).await;
    let unready = async || (in_time(sale.caller.get("/readyz")).await.status == 503).then_some(());
    until("/readyz fails", unready).await;
    in_time(sale.caller.get("/readyz")).await.refused(503, "unavailable");
    charged.max(read)
}

async fn survives(away: &[Away]) {
    let (server, _database, scene) = alone_on(Setup::unsynced()).await;
    let sale = scene.sale();
    let mut running = Workload::prepare(sale, 16, Dice::seed()).await.start(&sale.caller);
    let mut round = 0;
    for away in std::iter::repeat_n(away, rounds()).flatten() {
        until_decided(sale, DECIDED).await;
        away.begin(&scene, &server).await;
        let answered = is_refused(sale, round).await;
        away.end(&scene, &server).await;
        let (reply, writes) = recovered(|| charge(sale, "ada", 7, &format!("round-{round}"))).await;
        round += 1;
        assert_eq!(reply.expect(200)["balance"], 7 * round, "each charge once");
        let (read, reads) = recovered(|| sale.caller.get("/point/ada")).await;
        assert_eq!(read.expect(200)["balance"], 7 * round);
        let ready = async || (sale.caller.get("/readyz").send().await.status == 200).then_some(());
        until("the instance is ready again", ready).await;
        println!("{away:?}: answered after {answered:?}, writes again after {writes:?}, reads after {reads:?} more");

        let mut load = running.stop().await;
        println!("{} acknowledged, {} left open", load.acknowledged(), load.unanswered());
        scene.agrees_with(server.address(), &mut load).await;
        answered_in_time(&load);
        running = load.start(&sale.caller);
    }
    answered_in_time(&running.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_killed_and_restarted() {
    if without("postgres") {
        return;
    }
    survives(&[Away::Killed, Away::Stopped, Away::Killed]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_stands_still_and_wakes() {
    if without("postgres") {
        return;
    }
    survives(&[Away::Paused]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wire_falls_silent_and_heals() {
    if without("postgres") {
        return;
    }
    survives(&[Away::Unheard]).await;
}

/// The id of the transaction that waits for its instance to go on.
async fn open_transaction(sql: &Client) -> i64 {
    let open = "SELECT backend_xid::text::bigint FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'idle in transaction' AND backend_xid IS NOT NULL";
    let open = async || sql.query_opt(open, &[]).await.unwrap().map(|row| row.get(0));
    until("a transaction is open", open).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_a_crash_hands_out_again_passes_for_nobodys_commit() {
    if without("postgres") {
        return;
    }
    let (server, _database, scene) = alone_on(Setup::unsynced()).await;
    scene.wire.stall_before(r#""amount":4711"#).await;
    let sent = tokio::spawn(in_time(charge(scene.sale(), "ada", 4_711, "key")));
    scene.wire.until_held().await;
    let ours = open_transaction(&scene.sql(server.address()).await).await;
    server.kill().await;
    server.restart().await;
    // A foreign session commits under the same id.
    let sql = scene.sql(server.address()).await;
    let (mut theirs, mut given_again) = (0, false);
    while theirs < ours {
        theirs = sql.query_one("SELECT pg_current_xact_id()::text::bigint", &[]).await.unwrap().get(0);
        given_again |= theirs == ours;
    }
    scene.wire.heal().await;
    let reply = sent.await.unwrap();
    println!("the id was given again: {given_again}; the caller got {}", reply.status);
    let (again, _) = recovered(|| charge(scene.sale(), "ada", 4_711, "key")).await;
    assert_eq!(again.expect(200)["balance"], 4_711, "done once");
    assert!(reply.status == 503 || reply.body == again.body, "{reply:?}");
    let shown = scene.sale().caller.get("/point/ada").expect(200).await;
    assert_eq!(shown["balance"], 4_711, "what was acknowledged is so");
    scene.is_in_order(server.address(), 0).await;
}
