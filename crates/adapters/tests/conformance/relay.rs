//! Relays that are killed or stopped for too long at every stop point: before and after each of their calls that has an
//! effect. In each case every event is delivered, events of one subject in order, and takes effect once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use onsale_adapters::files::FilePlatform;
use onsale_adapters::postgres::{PostgresOutbox, PostgresUrl};
use onsale_adapters::sqlite::SqliteOutbox;
use onsale_app::relay::{Outbox, Platform, PlatformSink, Relay, RelayWaker};
use onsale_app::store::{Page, Store};
use onsale_domain::ids::EventId;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bed::Bed;
use crate::lane::Lane;
use crate::stage::{charge, user};
use crate::stop_points::{SteppingOutbox, SteppingPlatform, StopPoints};
use crate::waiting::until;

/// Number of events: enough for more than two posts.
const EVENTS: usize = 1_200;

/// Number of subjects: enough to use several parts of the outbox.
const SUBJECTS: usize = 7;

/// Cases that run at the same time. Each uses a few connections.
const AT_ONCE: usize = 16;

/// After this time another relay has taken the parts and sent their events, unless the stopped relay holds the lock of the files.
const TAKEN_OVER: Duration = Duration::from_secs(8);

/// A database with events, and a folder that they are delivered to.
struct Full {
    bed: Bed,
    folder: tempfile::TempDir,
    log: BTreeMap<String, Vec<EventId>>,
}

impl Full {
    async fn new(bed: Bed) -> Self {
        let store = bed.store().await;
        let mut lane = Lane::new(&*store, 1).await;
        let charges = (0..EVENTS).map(|number| charge(&user(&format!("user-{}", number % SUBJECTS)), 1));
        assert!(lane.run(charges).await.expect("a unit of work").iter().all(Result::is_ok));
        let log = log(&*store).await;
        let folder = tempfile::Builder::new().prefix("onsale-events-").tempdir().expect("a temporary folder");
        Self { bed, folder, log }
    }

    fn outbox(&self) -> Arc<dyn Outbox> {
        match &self.bed {
            Bed::Sqlite { folder, .. } => Arc::new(SqliteOutbox::new(&folder.path().join("sale.db"))),
            Bed::Postgres(database) => {
                Arc::new(PostgresOutbox::new(&PostgresUrl::parse(&database.url()).expect("a URL")))
            }
        }
    }

    /// Starts a relay into the folder. It stops at one of its stop points.
    fn relay(&self, points: &Arc<StopPoints>, stop: &CancellationToken) -> JoinHandle<()> {
        let outbox: Arc<dyn Outbox> = Arc::new(SteppingOutbox { outbox: self.outbox(), points: points.clone() });
        let files: Arc<dyn Platform> = Arc::new(FilePlatform::new(self.folder.path(), outbox.clone()));
        let platform = Arc::new(SteppingPlatform { platform: files, points: points.clone() });
        let sink = Arc::new(PlatformSink::new(outbox.clone(), platform));
        tokio::spawn(Relay::new(outbox, sink, Arc::new(RelayWaker::default())).run(stop.clone()))
    }

    /// Waits until no event is left to send.
    async fn until_all_is_sent(&self) {
        let outbox = self.outbox();
        let is_empty = || async { (outbox.backlog().await.expect("a backlog").events == 0).then_some(()) };
        until("everything is sent", is_empty).await;
    }

    /// Each event of the log is in the files once, and those of one subject are in order.
    fn assert_delivered_once(&self, case: &str) {
        assert_eq!(by_subject(in_files(self.folder.path())), self.log, "{case}");
    }
}

/// All events by subject. On a shared server they become visible when older transactions have ended.
async fn log(store: &dyn Store) -> BTreeMap<String, Vec<EventId>> {
    until("events that were committed are seen", || async {
        let page = Page { after: None, limit: 2 * EVENTS };
        let log = store.reader().events(page).await.expect("events");
        (log.len() == EVENTS).then(|| by_subject(log.iter().map(|event| (event.subject.clone(), event.id))))
    })
    .await
}

impl Full {
    async fn killed_at(&self, point: usize) {
        let (points, stop) = (StopPoints::until(point), CancellationToken::new());
        let first = self.relay(&points, &stop);
        points.reached().await;
        first.abort();
        let second = self.relay(&StopPoints::all(), &stop);
        self.until_all_is_sent().await;
        stop.cancel();
        second.await.expect("a relay");
    }

    async fn stopped_at(&self, point: usize) {
        let (points, stop) = (StopPoints::until(point), CancellationToken::new());
        let first = self.relay(&points, &stop);
        points.reached().await;
        let second = self.relay(&StopPoints::all(), &stop);
        let _ = tokio::time::timeout(TAKEN_OVER, self.until_all_is_sent()).await;
        // It makes its next call now, and finds that another relay has its parts.
        points.go_on();
        points.passed_more(6).await;
        self.until_all_is_sent().await;
        stop.cancel();
        first.await.expect("a relay");
        second.await.expect("a relay");
    }
}

fn by_subject(events: impl IntoIterator<Item = (String, EventId)>) -> BTreeMap<String, Vec<EventId>> {
    let mut subjects: BTreeMap<String, Vec<EventId>> = BTreeMap::new();
    for (subject, id) in events {
        subjects.entry(subject).or_default().push(id);
    }
    subjects
}

fn in_files(folder: &Path) -> Vec<(String, EventId)> {
    let days = std::fs::read_dir(folder).expect("a folder").map(|day| day.expect("a day").path());
    let files = days.flat_map(|day| std::fs::read_dir(day).expect("a day")).map(|file| file.expect("a file").path());
    let mut events = Vec::new();
    for file in files {
        for line in std::fs::read_to_string(file).expect("a file").lines() {
            let event: Value = serde_json::from_str(line).expect("an event a line");
            let text = |name: &str| event[name].as_str().expect("a text").to_owned();
            events.push((text("subject"), EventId::parse(&text("id")).expect("an id")));
        }
    }
    events
}

/// Number of stop points that a relay passes until everything is sent.
async fn count_points(full: &Full) -> usize {
    let (points, stop) = (StopPoints::all(), CancellationToken::new());
    let relay = full.relay(&points, &stop);
    full.until_all_is_sent().await;
    let passed = points.passed();
    stop.cancel();
    relay.await.expect("a relay");
    full.assert_delivered_once("a relay that nothing happens to");
    passed
}

/// What happens to the first relay.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Killed,
    Stopped,
}

async fn at_every_stop_point(fate: Fate, bed: impl AsyncFn() -> Bed) {
    let many = count_points(&Full::new(bed().await).await).await;
    assert!(many >= 30, "only {many} stop points");
    // Another relay takes the parts after some seconds, so that cases wait at the same time.
    let mut cases = tokio::task::JoinSet::new();
    for point in 1..=many {
        if cases.len() == AT_ONCE {
            cases.join_next().await.expect("a case").expect("a case");
        }
        let full = Full::new(bed().await).await;
        cases.spawn(async move {
            match fate {
                Fate::Killed => full.killed_at(point).await,
                Fate::Stopped => full.stopped_at(point).await,
            }
            full.assert_delivered_once(&format!("{fate:?} at point {point} of {many}"));
        });
    }
    while let Some(case) = cases.join_next().await {
        case.expect("a case");
    }
}

macro_rules! at_every_stop_point {
    ($($test:ident: $fate:expr),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                Box::pin(super::at_every_stop_point($fate, async || super::Bed::sqlite())).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if !onsale_testing::without("postgres") {
                    Box::pin(super::at_every_stop_point($fate, super::Bed::postgres)).await;
                }
            })+
        }
    };
}

at_every_stop_point!(killed_at_every_stop_point: super::Fate::Killed, stopped_at_every_stop_point: super::Fate::Stopped);
