//! The server has no connection left, or no room on its disk.

use std::net::SocketAddr;

use onsale_testing::postgres::driver::{Client, NoTls, connect};
use onsale_testing::postgres::{Setup, url};
use onsale_testing::{Dice, Sale, Workload, without};

use crate::scene::{alone_on, answered_in_time, charge, recovered, unavailable, until_decided};
use crate::support::{ONSALE, until};

/// The maximum number of sessions of the server, for all its clients.
const SESSIONS: usize = 14;

/// Takes every session that is left.
async fn take_all(address: SocketAddr) -> Vec<Client> {
    let mut taken = Vec::new();
    while let Ok((client, connection)) = connect(&url(address, "postgres"), NoTls).await {
        tokio::spawn(connection);
        taken.push(client);
        assert!(taken.len() <= SESSIONS, "the server has no end");
    }
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_is_left() {
    if without("postgres") {
        return;
    }
    let setup = Setup::unsynced().set("max_connections", SESSIONS).set("superuser_reserved_connections", 0);
    let (server, database, scene) = alone_on(setup.set("max_wal_senders", 0).set("wal_level", "minimal")).await;
    let sale = scene.sale();

    // What it has it keeps.
    let taken = take_all(server.address()).await;
    assert!(!taken.is_empty());
    charge(sale, "ada", 7, "first").expect(200).await;
    sale.caller.get("/point/ada").expect(200).await;

    let refused = Sale::launch(ONSALE).on(database.url()).run(&["serve"]).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("too many clients"), "the error names the cause: {said}");
    println!("at the start: {}", said.trim());

    // It loses its own sessions, and other clients take the free ones first.
    scene.wire.cut().await;
    let mut taken_too = Vec::new();
    while taken_too.len() < 5 {
        taken_too.extend(take_all(server.address()).await);
        tokio::task::yield_now().await;
    }
    scene.wire.heal().await;
    let answered = unavailable(charge(sale, "ada", 7, "second")).await;
    let read = unavailable(sale.caller.get("/point/ada")).await;
    sale.caller.get("/healthz").expect(200).await;
    drop((taken, taken_too));
    let (reply, writes) = recovered(|| charge(sale, "ada", 7, "second")).await;
    assert_eq!(reply.expect(200)["balance"], 14, "done once");
    let (_, reads) = recovered(|| sale.caller.get("/point/ada")).await;
    println!("answered after {answered:?} and {read:?}, writes again after {writes:?}, reads after {reads:?} more");
    scene.is_in_order(server.address(), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_is_full() {
    if without("postgres") {
        return;
    }
    let (server, _database, scene) = alone_on(Setup::unsynced().on_a_small_disk()).await;
    let sale = scene.sale();
    charge(sale, "ada", 7, "before").expect(200).await;
    let running = Workload::prepare(sale, 16, Dice::seed()).await.start(&sale.caller);
    until_decided(sale, 100).await;
    server.fill_disk();
    // Some pages have room left, so a table has to grow only after a while. One refusal may be caused by other commands of
    // the same batch. The disk is full once the same charge is refused repeatedly.
    let mut charges = 0;
    let refused = async || {
        charges += 1;
        for _ in 0..5 {
            let reply = charge(sale, "bob", 1, &format!("bob-{charges}")).send().await;
            if reply.status != 503 {
                return None;
            }
            reply.refused(503, "unavailable");
        }
        Some(())
    };
    until("the disk is full", refused).await;
    let read = sale.caller.get("/point/ada").expect(200).await;
    assert_eq!(read["balance"], 7, "reads go on");
    let answered = unavailable(charge(sale, "bob", 1, &format!("bob-{charges}"))).await;
    server.free_disk();
    let (reply, writes) = recovered(|| charge(sale, "bob", 1, &format!("bob-{charges}"))).await;
    assert_eq!(reply.expect(200)["balance"], charges, "each once");
    let mut load = running.stop().await;
    println!("answered after {answered:?}, after {charges} charges; writes again after {writes:?}");
    println!("{} acknowledged, {} left open", load.acknowledged(), load.unanswered());
    scene.agrees_with(server.address(), &mut load).await;
    answered_in_time(&load);
}
