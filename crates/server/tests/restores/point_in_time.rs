//! Postgres by a base backup: started as it is, and recovered from the archive, which makes another timeline.

use onsale_testing::postgres::{Script, Server, Setup, folder};
use onsale_testing::{WireCutter, without};

use crate::page::commands;
use crate::platform::Platform;
use crate::scene::Evening;
use crate::support::{ONSALE, until};

/// Waits until everything that was written so far is in the archive.
async fn archived(server: &Server) {
    let sql = server.sql("postgres").await;
    let now = "SELECT pg_walfile_name(pg_switch_wal())";
    let now: String = sql.query_one(now, &[]).await.unwrap().get(0);
    let kept = async || {
        let last = "SELECT coalesce(last_archived_wal, '') >= $1 FROM pg_stat_archiver";
        sql.query_one(last, &[&now]).await.unwrap().get::<_, bool>(0).then_some(())
    };
    until("the archive has it", kept).await;
}

/// How a base backup is made a server again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// The data folder as it is now.
    Started,
    /// With what came into the archive since.
    Recovered,
    /// The data folder as it is now. in the place of the old server, while the instance and the consumer go on.
    UnderARunningInstance,
}

/// A sale in its middle, of which a base backup was taken; then it goes on, is archived, goes on again, and is lost.
async fn restores(how: How) {
    let (platform, backups) = (Platform::start().await, folder());
    let archive = backups.path().join("archive");
    Script::of_server("mkdir \"$ARCHIVE\"").set("ARCHIVE", &archive).run(backups.path()).await;
    let copy = format!("cp %p {}/%f", archive.display());
    let old = Setup::unsynced().set("archive_mode", "on").set("archive_command", copy).start().await;
    let database = old.migrated(ONSALE).await;
    let wire = WireCutter::start(old.address()).await;
    let before = Evening::on(&database.url_at(wire.address()), &platform).await;
    let line = before.line().await;
    let crowd = before.crowd("early").await;
    before.until_sent(&platform, 50).await;
    let backup = Script::of_server(commands("postgres-base-backup")).set("SERVER_URL", old.url("postgres"));
    backup.set("BACKUPS", backups.path()).run(backups.path()).await;
    crowd.stop().await;
    before.charge(10).await;
    if how == How::Recovered {
        archived(&old).await;
    }
    let lost = before.enter_for_a_moment(&line).await;
    before.charge(100).await;
    before.until_sent(&platform, 1).await;
    let known = before.sale.caller.get("/point/user-0").expect(200).await["balance"].as_i64().unwrap();
    let running = match how {
        How::UnderARunningInstance => Some(before),
        How::Started | How::Recovered => {
            drop(before.kill().await);
            None
        }
    };
    old.kill().await;

    let new = Server::from_data(async |data| {
        let text = match how {
            How::Recovered => commands("postgres-point-in-time"),
            How::Started | How::UnderARunningInstance => "cp -a \"$BACKUPS/base\" \"$NEW_DATA\"",
        };
        let restore = Script::of_server(text).set("BACKUPS", backups.path()).set("NEW_DATA", data);
        restore.set("ARCHIVE", &archive).run(backups.path()).await;
    })
    .await;
    wire.retarget(new.address()).await;
    let after = match running {
        Some(running) => running,
        None => Evening::on(&database.url_at(wire.address()), &platform).await,
    };
    let lost_points = if how == How::Recovered { 100 } else { 110 };
    let restored = async || {
        let reply = after.sale.caller.get("/point/user-0").send().await;
        (reply.status == 200).then(|| reply.json()["balance"].as_i64().unwrap())
    };
    assert_eq!(known - until("wallets can be read", restored).await, lost_points, "up to the requested point in time");
    until("wallets can be charged", async || after.try_charge().await.then_some(())).await;
    after.goes_on(&platform, &line, &lost).await;
    after.audit().await;
    drop(after.kill().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_backup_is_started_as_it_is() {
    if without("postgres") {
        return;
    }
    restores(How::Started).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_backup_is_recovered_from_the_archive() {
    if without("postgres") {
        return;
    }
    restores(How::Recovered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_backup_takes_the_place_of_the_server_under_a_running_instance() {
    if without("postgres") {
        return;
    }
    restores(How::UnderARunningInstance).await;
}
