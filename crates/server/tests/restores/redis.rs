//! Redis restored to an older state, and a database that was, beside a Redis that was not.

use onsale_testing::redis::{Keeps, Redis};
use onsale_testing::{Sale, without};

use crate::page::script;
use crate::platform::Platform;
use crate::scene::Evening;
use crate::support::ONSALE;

async fn evening(redis: &Redis, platform: &Platform) -> Evening {
    let launch = Sale::launch(ONSALE).on("sqlite://onsale.db").set("ONSALE_REDIS_URL", redis.url());
    Evening::start(launch, platform).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_redis_under_a_running_instance() {
    if without("redis") {
        return;
    }
    let (platform, redis) = (Platform::start().await, Redis::start(Keeps::Nothing).await);
    let evening = evening(&redis, &platform).await;
    let mut line = evening.line().await;
    let backups = evening.launch.folder().join("backups");
    std::fs::create_dir(&backups).unwrap();
    let backup = script("redis-backup").set("ONSALE_REDIS_URL", redis.url()).set("BACKUPS", &backups);
    backup.run(evening.launch.folder()).await;
    evening.enter(&mut line, 5..9).await;
    redis.kill().await;
    let restore = script("redis-restore").set("REDIS_DATA", redis.data()).set("BACKUPS", &backups);
    restore.run(evening.launch.folder()).await;
    redis.restart().await;
    evening.keeps(&line).await;
    evening.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_database_beside_redis() {
    if without("redis") {
        return;
    }
    let (platform, redis) = (Platform::start().await, Redis::start(Keeps::Nothing).await);
    let before = evening(&redis, &platform).await;
    let mut line = before.line().await;
    before.charge(10).await;
    before.until_sent(&platform, 1).await;
    let folder = before.launch.folder().to_owned();
    let backups = folder.join("backups");
    std::fs::create_dir(&backups).unwrap();
    script("sqlite-backup").set("BACKUPS", &backups).run(&folder).await;
    // Redis knows of them, and so do they.
    before.enter(&mut line, 5..9).await;
    before.charge(100).await;
    let launch = before.kill().await;
    script("sqlite-restore").set("BACKUPS", &backups).run(&folder).await;
    let after = Evening::start(launch, &platform).await;
    after.charge(1_000).await;
    after.keeps(&line).await;
    after.all_arrived(&platform).await;
    after.audit().await;
}
