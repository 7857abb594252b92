//! Postgres by `pg_dump`, restored into a new cluster, whose transactions are counted anew.

use std::path::Path;

use onsale_testing::postgres::{Database, Server, Setup, folder};
use onsale_testing::without;

use crate::page::script;
use crate::platform::Platform;
use crate::scene::Evening;
use crate::support::ONSALE;

/// Enough transactions that the ids of a new cluster stay behind for the whole test.
const TRANSACTIONS: usize = 20_000;

/// A server that has had many transactions before the sale, and a database on it.
async fn old_server() -> (Server, Database) {
    let server = Setup::unsynced().start().await;
    let age =
        format!("DO $$ BEGIN FOR n IN 1..{TRANSACTIONS} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$");
    server.sql("postgres").await.batch_execute(&age).await.unwrap();
    let database = server.migrated(ONSALE).await;
    (server, database)
}

async fn dump(url: &str, backups: &Path) {
    script("postgres-dump").set("ONSALE_DATABASE_URL", url).set("BACKUPS", backups).run(backups).await;
}

/// The dump in a new cluster. Returns its URL for a user who owns the database, and may not read the control file.
async fn restored(backups: &Path) -> (Server, String) {
    let server = Setup::unsynced().start().await;
    let sql = server.sql("postgres").await;
    sql.batch_execute("CREATE ROLE seller LOGIN").await.unwrap();
    sql.batch_execute("CREATE DATABASE sale OWNER seller").await.unwrap();
    let sql = server.sql("sale").await;
    sql.batch_execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC").await.unwrap();
    let url = format!("postgres://seller@{}/sale", server.address());
    script("postgres-restore").set("NEW_DATABASE_URL", &url).set("BACKUPS", backups).run(backups).await;
    (server, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_is_restored_in_the_middle_of_a_sale() {
    if without("postgres") {
        return;
    }
    let (platform, backups) = (Platform::start().await, folder());
    let (_old, database) = old_server().await;
    let before = Evening::on(&database.url(), &platform).await;
    let line = before.line().await;
    before.charge(10).await;
    let crowd = before.crowd("early").await;
    before.until_sent(&platform, 100).await;
    dump(&database.url(), backups.path()).await;
    crowd.stop().await;
    // Of what happens from here on, the dump knows nothing; and some of it is sent.
    let lost = before.enter_for_a_moment(&line).await;
    before.charge(100).await;
    before.until_sent(&platform, 1).await;
    drop(before.kill().await);

    let (_new, url) = restored(backups.path()).await;
    let after = Evening::on(&url, &platform).await;
    let repeated = after.goes_on(&platform, &line, &lost).await;
    assert!(repeated < after.log().await.len() / 2, "what was sent before the dump is not sent again: {repeated}");
    after.audit().await;
    drop(after.kill().await);

    // Once more, by a cluster that is younger still.
    std::fs::remove_file(backups.path().join("onsale.dump")).unwrap();
    dump(&url, backups.path()).await;
    let (_newest, url) = restored(backups.path()).await;
    let last = Evening::on(&url, &platform).await;
    last.charge(10_000).await;
    last.all_arrived(&platform).await;
    last.audit().await;
}
