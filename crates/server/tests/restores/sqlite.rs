//! SQLite by an online backup, put back in the place of the file.

use onsale_testing::Sale;

use crate::page::script;
use crate::platform::Platform;
use crate::scene::Evening;
use crate::support::ONSALE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_put_back_in_the_middle_of_a_sale() {
    let platform = Platform::start().await;
    let launch = Sale::launch(ONSALE).on("sqlite://onsale.db");
    let before = Evening::start(launch, &platform).await;
    let line = before.line().await;
    before.charge(10).await;
    let crowd = before.crowd("early").await;
    before.until_sent(&platform, 100).await;
    let folder = before.launch.folder().to_owned();
    let backups = folder.join("backups");
    std::fs::create_dir(&backups).unwrap();
    script("sqlite-backup").set("BACKUPS", &backups).run(&folder).await;
    crowd.stop().await;
    let lost = before.enter_for_a_moment(&line).await;
    before.charge(100).await;
    before.until_sent(&platform, 1).await;
    let launch = before.kill().await;
    script("sqlite-restore").set("BACKUPS", &backups).run(&folder).await;

    let after = Evening::start(launch, &platform).await;
    after.goes_on(&platform, &line, &lost).await;
    after.audit().await;
}
