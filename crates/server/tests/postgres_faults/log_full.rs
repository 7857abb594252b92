//! The disk is full and the server's own log finds no room: the server goes down, and comes back once it is given room
//! and started.

use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::{Server, Setup};
use onsale_testing::{Dice, Workload, without};

use crate::scene::{alone_on, answered_in_time, charge, recovered, unavailable, until_decided};
use crate::support::until;

/// Asks for one segment of the log after another until there is no room for one.
async fn exhaust(sql: &Client, server: &Server) {
    let switch = "SELECT pg_logical_emit_message(false, 'a', 'b'), pg_switch_wal()";
    until("the log is full", async || sql.batch_execute(switch).await.is_err().then_some(())).await;
    let panicked = async || server.log().contains("PANIC:  could not write to file").then_some(());
    until("the server has given up", panicked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_went_down_for_want_of_a_log_comes_back() {
    if without("postgres") {
        return;
    }
    let (server, _database, scene) = alone_on(Setup::unsynced().on_a_small_disk()).await;
    let sale = scene.sale();
    charge(sale, "ada", 7, "before").expect(200).await;
    let running = Workload::prepare(sale, 16, Dice::seed()).await.start(&sale.caller);
    until_decided(sale, 100).await;
    let sql = scene.sql(server.address()).await;
    server.fill_disk();
    exhaust(&sql, &server).await;
    let answered = unavailable(charge(sale, "ada", 7, "in-trouble")).await;
    sale.caller.get("/healthz").expect(200).await;
    server.free_disk();
    server.restart().await;
    let (reply, writes) = recovered(|| charge(sale, "ada", 7, "in-trouble")).await;
    assert_eq!(reply.expect(200)["balance"], 14, "done once");
    let (read, reads) = recovered(|| sale.caller.get("/point/ada")).await;
    assert_eq!(read.expect(200)["balance"], 14);
    let mut load = running.stop().await;
    println!("answered after {answered:?}, writes again after {writes:?}, reads after {reads:?} more");
    println!("{} acknowledged, {} left open", load.acknowledged(), load.unanswered());
    scene.agrees_with(server.address(), &mut load).await;
    answered_in_time(&load);
}
