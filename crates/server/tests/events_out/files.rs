//! Without Kafka and without a platform: `onsale consume` writes files by day, straight from the database.

use onsale_testing::Sale;

use crate::scene::{all_came_out, by_subject, charge, in_files, log, run, start};
use crate::support::{ONSALE, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_hold_each_event_once_and_in_order_after_kills() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    let folder = launch.folder().join("events");
    for round in 0..4 {
        let mut consumer = start(&launch, "consume");
        charge(&sale, round, 60).await;
        let began = async || (in_files(&folder).len() > round * 60).then_some(());
        until("some of it came out", began).await;
        // At a random moment of its work.
        consumer.kill().await.unwrap();
    }
    let _consumer = start(&launch, "consume");
    all_came_out(&launch, 240).await;
    let wanted = by_subject(&log(&launch).await);
    let all_sent = async || run(&launch, &["events", "--state", "pending"]).await.is_empty().then_some(());
    until("nothing is pending", all_sent).await;
    assert_eq!(run(&launch, &["events", "--state", "sent"]).await.lines().count(), 240);

    // Events that are sent again have the same ids and no second effect.
    let said = run(&launch, &["events", "replay", "--since", "2020-01-01T00:00:00Z"]).await;
    assert!(said.contains("sent again"), "{said}");
    until("nothing is pending", all_sent).await;
    assert_eq!(by_subject(&in_files(&folder)), wanted);
}
