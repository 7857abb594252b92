//! The primary is lost and its standby takes over: with synchronous replication nothing acknowledged is lost.

use std::time::Instant;

use onsale_testing::postgres::Server;
use onsale_testing::{Dice, Sale, Workload, without};

use crate::scene::{
    RECOVERY_MAX, Replication, Scene, answered_in_time, charge, in_time, metric, recovered, unavailable, until_decided,
    with_heir,
};
use crate::support::room::room;
use crate::support::until;

/// How the primary is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    Killed,
    /// It sends nothing, and its connections stay open.
    Frozen,
}

/// Everything is known that the two of them have acknowledged before, and so it stays.
async fn takes_over(lost: Lost) {
    let (primary, standby, _database, scene) = with_heir(Replication::Synchronous).await;
    let sale = scene.sale();
    charge(sale, "ada", 7, "before").expect(200).await;
    let running = Workload::prepare(sale, 16, Dice::seed()).await.start(&sale.caller);
    until_decided(sale, 200).await;
    match lost {
        Lost::Killed => primary.kill().await,
        Lost::Frozen => primary.pause().await,
    }
    let answered = unavailable(charge(sale, "ada", 7, "in-trouble")).await;
    standby.promote().await;
    scene.wire.retarget(standby.address()).await;
    let (reply, writes) = recovered(|| charge(sale, "ada", 7, "in-trouble")).await;
    assert_eq!(reply.expect(200)["balance"], 14, "done once");
    let (read, reads) = recovered(|| sale.caller.get("/point/ada")).await;
    assert_eq!(read.expect(200)["balance"], 14);
    until_decided(sale, 200).await;
    for reader in 0..8 {
        let read = in_time(sale.caller.get("/point/ada")).await;
        assert_eq!(read.expect(200)["balance"], 14, "read {reader}");
    }
    let mut load = running.stop().await;
    println!("{lost:?}: answered after {answered:?}, writes again after {writes:?}, reads after {reads:?} more");
    println!("{} acknowledged, {} left open", load.acknowledged(), load.unanswered());
    scene.agrees_with(standby.address(), &mut load).await;
    answered_in_time(&load);
    primary.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_from_a_primary_that_died() {
    if without("postgres") {
        return;
    }
    takes_over(Lost::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_from_a_primary_that_fell_silent() {
    if without("postgres") {
        return;
    }
    takes_over(Lost::Frozen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_on_one_connection_closes_all() {
    if without("postgres") {
        return;
    }
    let (primary, standby, _database, scene) = with_heir(Replication::Synchronous).await;
    let sale = scene.sale();
    charge(sale, "ada", 7, "before").expect(200).await;
    standby.follow(&primary).await;
    primary.pause().await;
    // A lane waits for a server that is gone. No reader has sent a query since, and none may wait for that server too.
    unavailable(charge(sale, "ada", 7, "in-trouble")).await;
    standby.promote().await;
    scene.wire.retarget(standby.address()).await;
    recovered(|| charge(sale, "ada", 7, "in-trouble")).await;
    let since = Instant::now();
    for reader in 0..4 {
        let read = in_time(sale.caller.get("/point/ada")).await;
        assert_eq!(read.expect(200)["balance"], 14, "read {reader}");
    }
    assert!(since.elapsed() < RECOVERY_MAX, "reads were served {:?} after writes", since.elapsed());
    primary.kill().await;
}

/// A commit that waits for the standby is no commit yet.
async fn waits_for_the_standby(scene: &Scene, primary: &Server, user: &str) {
    let sql = scene.sql(primary.address()).await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()";
    let waits = async || (sql.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) > 0).then_some(());
    until(&format!("the commit of {user} waits for the standby"), waits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_reached_the_standby_is_not_acknowledged() {
    if without("postgres") {
        return;
    }
    let (primary, standby, _database, scene) = with_heir(Replication::Synchronous).await;
    let sale: &Sale = scene.sale();
    standby.pause().await;
    let sent = tokio::spawn(in_time(charge(sale, "ada", 7, "key")));
    waits_for_the_standby(&scene, &primary, "ada").await;
    sent.await.unwrap().refused(503, "unavailable");
    assert!(
        metric(sale, "onsale_postgres_outcomes_asked_total").await > 0,
        "the lane asked the server for the outcome"
    );
    primary.kill().await;
    standby.resume().await;
    standby.promote().await;
    scene.wire.retarget(standby.address()).await;
    // It may have been under way to the standby when that stood still; once is all it is.
    let (reply, took) = recovered(|| charge(sale, "ada", 7, "key")).await;
    assert_eq!(reply.expect(200)["balance"], 7, "done once");
    println!("served again after {took:?}; replayed: {:?}", reply.header("idempotency-replayed"));
    scene.is_in_order(standby.address(), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_an_asynchronous_standby_lacks_are_lost_and_the_rest_is_in_order() {
    if without("postgres") {
        return;
    }
    let (primary, standby, _database, scene) = with_heir(Replication::Asynchronous).await;
    let sale = scene.sale();
    let concert = sale.concert(&room(1)).await;
    sale.active(&concert, "ada").await;
    sale.enter(&concert, "bob").await;
    charge(sale, "ada", 7, "replicated").expect(200).await;
    standby.follow(&primary).await;
    // Acknowledged, and on the primary alone.
    standby.kill().await;
    charge(sale, "ada", 5, "unheard").expect(200).await;
    charge(sale, "dan", 5, "unheard").expect(200).await;
    assert_eq!(sale.enter(&concert, "cyd").await["position"], 2);
    scene.take_over(&primary, &standby).await;

    // A replicated charge is kept. A lost one can be repeated, also on a wallet that no longer exists.
    let (reply, took) = recovered(|| charge(sale, "ada", 7, "replicated")).await;
    assert_eq!(reply.header("idempotency-replayed"), Some("true"));
    for (user, balance) in [("ada", 12), ("dan", 5)] {
        let (reply, _) = recovered(|| charge(sale, user, 5, "unheard")).await;
        println!("{user}: served after {took:?}");
        assert_eq!(reply.header("idempotency-replayed"), None, "the key was lost too");
        assert_eq!(reply.expect(200)["balance"], balance);
    }
    let entered = async || {
        let place = sale.enter(&concert, "eve").await;
        (place["position"] == 2).then_some(())
    };
    until("the line goes on where the standby knew it to be", entered).await;
    scene.is_in_order(standby.address(), 0).await;
}
