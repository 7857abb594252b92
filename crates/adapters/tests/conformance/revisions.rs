//! Revisions of performances: the catalogue of another instance follows them, whichever of its callers reads the changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use onsale_app::background::{Follower, Metrics};
use onsale_app::calendar::Calendar;
use onsale_app::catalogue::Catalogue;
use onsale_app::store::StoreError;
use onsale_app::store::news::{News, RoomsKnown, RoomsNews, SeatsNews};
use onsale_app::waiting_room::Rooms;
use onsale_domain::concert::{ChangePerformance, GradePrice};
use onsale_domain::ids::PerformanceId;
use onsale_testing::without;
use tokio_util::sync::CancellationToken;

use crate::bed::Bed;
use crate::lane::Lane;
use crate::stage::{OPEN_DOORS, open_concert, schedule};

/// What organisers change shows at every instance within three seconds, and a busy machine may add some.
const SHOWN_WITHIN: Duration = Duration::from_secs(3 + 7);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_show_while_other_callers_refresh_without_a_break() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let (one, other) = (bed.store().await, bed.store().await);
    let mut lane = Lane::new(&*one, 1).await;
    let concert = open_concert(&mut lane, OPEN_DOORS).await;
    let performance = schedule(&mut lane, one.reader().now(), concert, 9, 100).await;
    let rooms = Arc::new(Rooms::load(other.reader(), other.news(), 1_000).await.unwrap());
    let calendar = Calendar::new("Asia/Seoul").unwrap();
    let catalogue = Arc::new(Catalogue::load(other.reader(), other.news(), calendar, true).await.unwrap());
    let stop = CancellationToken::new();
    let metrics = Metrics::default().of("follower");
    let follower = Follower { rooms: rooms.clone(), catalogue: catalogue.clone(), metrics };
    tokio::spawn(follower.run(stop.clone()));
    for _ in 0..4 {
        let (rooms, stop) = (rooms.clone(), stop.clone());
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                rooms.refresh().await.unwrap();
            }
        });
    }
    for price in 101..=103 {
        let prices = vec![GradePrice { grade: "R".into(), price }];
        lane.done(ChangePerformance { prices, ..ChangePerformance::of(performance.id) }).await;
        let changed = Instant::now();
        while catalogue.showing(performance.id).unwrap().seating.sections()[0].price != price {
            assert!(changed.elapsed() < SHOWN_WITHIN, "the price {price} does not show");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    stop.cancel();
}

/// The changes of other instances, and a number of server changes that the test sets.
struct Moved {
    news: Arc<dyn News>,
    server_changes: AtomicU64,
}

#[async_trait]
impl News for Moved {
    async fn rooms(&self, known: &RoomsKnown) -> Result<RoomsNews, StoreError> {
        self.news.rooms(known).await
    }

    async fn seats(
        &self,
        known: &[(PerformanceId, u64)],
    ) -> Result<HashMap<PerformanceId, Vec<SeatsNews>>, StoreError> {
        self.news.seats(known).await
    }

    fn server_changes(&self) -> u64 {
        self.server_changes.load(Ordering::SeqCst)
    }

    fn history(&self) -> u64 {
        self.news.history().wrapping_add(self.server_changes())
    }
}

/// A standby took over that lacked the last changes. Later ones got the same versions.
#[tokio::test]
async fn changes_of_a_lost_history_do_not_stay() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let store = bed.store().await;
    let mut lane = Lane::new(&*store, 1).await;
    let concert = open_concert(&mut lane, OPEN_DOORS).await;
    let performance = schedule(&mut lane, store.reader().now(), concert, 9, 100).await.id;
    let news = Arc::new(Moved { news: store.news().unwrap(), server_changes: AtomicU64::new(0) });
    let calendar = Calendar::new("Asia/Seoul").unwrap();
    let catalogue = Catalogue::load(store.reader(), Some(news.clone()), calendar, true).await.unwrap();
    let shown = || {
        let (programme, showing) = (catalogue.programme(concert).unwrap(), catalogue.showing(performance).unwrap());
        (programme.concert.title.to_string(), showing.seating.sections()[0].price, showing.era)
    };
    let (edition, (title, ..)) = (catalogue.edition().await.unwrap(), shown());
    let Bed::Postgres(database) = &bed else { unreachable!("a database of the server") };
    let other = "SET session_replication_role = replica; UPDATE concerts SET title = 'Another';
        UPDATE performances SET sections = replace(sections, '100', '777')";
    database.sql().await.batch_execute(other).await.unwrap();
    let named = [(performance, 0)];
    catalogue.follow(&[(concert, 0)], &named).await.unwrap();
    assert_eq!(shown(), (title, 100, 0), "nothing shows that another history has the same versions");
    news.server_changes.store(1, Ordering::SeqCst);
    catalogue.follow(&[(concert, 0)], &named).await.unwrap();
    assert_eq!(shown(), ("Another".to_owned(), 777, 1));
    let replaced = catalogue.edition().await.unwrap();
    assert_ne!(replaced, edition, "answers of before are not served from a cache");
    catalogue.follow(&[(concert, 0)], &named).await.unwrap();
    assert_eq!(catalogue.edition().await.unwrap(), replaced, "it is read once");
}
