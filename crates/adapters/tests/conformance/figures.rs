//! Figures that instances publish: a row that looks old belongs to an instance that ended, or to one that publishes again just now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use onsale_app::background::Metrics;
use onsale_app::calendar::Calendar;
use onsale_app::catalogue::Catalogue;
use onsale_app::live::{Live, Sources};
use onsale_app::store::{FigureBoard, Published, StoreError};
use onsale_app::waiting_room::Rooms;
use onsale_domain::time::Timestamp;
use onsale_testing::without;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bed::Bed;

fn published(instance: u128, at: i64) -> Published {
    let (seen_at, viewed_at) = (Timestamp::from_millis(at), Timestamp::from_millis(0));
    Published { instance: Uuid::from_u128(instance), seen_at, viewed_at, figures: String::new() }
}

/// Two instances that waited for each other's rows would be a deadlock.
#[tokio::test]
async fn an_instance_does_not_wait_for_an_old_row_that_another_one_publishes() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let board = bed.store().await.board().expect("a database of several instances");
    let never = Timestamp::from_millis(0);
    for (instance, at) in [(1, 100), (2, 100), (3, 100)] {
        board.publish(&published(instance, at), never).await.unwrap();
    }
    let Bed::Postgres(database) = &bed else { unreachable!("a database of the server") };
    let other = database.sql().await;
    other
        .batch_execute("BEGIN; UPDATE instance_figures SET seen_at = 999 WHERE instance_id::text LIKE '%2'")
        .await
        .unwrap();
    // Its own row is as old as those of the other instances.
    board.publish(&published(1, 1_000), Timestamp::from_millis(500)).await.unwrap();
    other.batch_execute("COMMIT").await.unwrap();
    let mut left = board.published(never).await.unwrap();
    left.sort_by_key(|row| row.instance);
    assert_eq!(left, [published(1, 1_000), published(2, 999)], "only the row of the third instance is deleted");
    board.publish(&published(1, 2_000), Timestamp::from_millis(1_500)).await.unwrap();
    assert_eq!(board.published(never).await.unwrap(), [published(1, 2_000)]);
}

/// Notes when it is read. Nothing is published.
struct Noting(mpsc::UnboundedSender<Instant>);

#[async_trait]
impl FigureBoard for Noting {
    async fn publish(&self, _: &Published, _: Timestamp) -> Result<(), StoreError> {
        unreachable!("an idle instance publishes nothing")
    }

    async fn published(&self, _: Timestamp) -> Result<Vec<Published>, StoreError> {
        let _ = self.0.send(Instant::now());
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn an_idle_instance_looks_once_a_second_whether_figures_are_viewed() {
    let bed = Bed::sqlite();
    let store = bed.store().await;
    let reader = store.reader();
    let rooms = Arc::new(Rooms::load(reader.clone(), None, 1_000).await.unwrap());
    let catalogue = Catalogue::load(reader.clone(), None, Calendar::new("Asia/Seoul").unwrap(), true).await.unwrap();
    let (noted, mut looks) = mpsc::unbounded_channel();
    let board = Arc::new(Noting(noted));
    let sources = Sources { reader, rooms, catalogue: Arc::new(catalogue), board: Some(board) };
    let stop = CancellationToken::new();
    let live = Arc::new(Live::new(sources));
    tokio::spawn(live.run(Metrics::default().of("figures"), stop.clone()));
    let first = looks.recv().await.unwrap();
    let mut last = first;
    for _ in 0..3 {
        last = looks.recv().await.unwrap();
    }
    stop.cancel();
    // Two looks a second would take half of this.
    assert!(last - first >= Duration::from_secs(2), "four looks in {:?}", last - first);
}
