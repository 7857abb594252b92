//! Relays that are killed, or stand still for too long, at every line: before and after each call of theirs that has an
//! effect. In each case every event comes out, those of a subject in order, and has its effect once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use onsale_adapters::files::FilePlatform;
use onsale_adapters::postgres::{PostgresOutbox, PostgresUrl};
use onsale_adapters::sqlite::SqliteOutbox;
use onsale_app::relay::{Bell, Outbox, Platform, PlatformSink, Relay};
use onsale_app::store::{Page, Store};
use onsale_domain::ids::EventId;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bed::Bed;
use crate::lane::Lane;
use crate::lines::{Lines, SteppingOutbox, SteppingPlatform};
use crate::stage::{charge, user};
use crate::waiting::until;

/// Events, in more than two posts.
const EVENTS: usize = 1_200;

/// Whose they are: in several of the outbox's parts.
const SUBJECTS: usize = 7;

/// How many cases go on at once: each has some connections.
const AT_ONCE: usize = 16;

/// By then a part has changed hands, and what it held is sent, unless whoever stands still has its turn at the files.
const TAKEN_OVER: Duration = Duration::from_secs(8);

/// A database full of events, and a folder that they go to.
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

    /// A relay into the folder, which stops at one of its lines.
    fn relay(&self, lines: &Arc<Lines>, stop: &CancellationToken) -> JoinHandle<()> {
        let outbox: Arc<dyn Outbox> = Arc::new(SteppingOutbox { outbox: self.outbox(), lines: lines.clone() });
        let files: Arc<dyn Platform> = Arc::new(FilePlatform::new(self.folder.path(), outbox.clone()));
        let platform = Arc::new(SteppingPlatform { platform: files, lines: lines.clone() });
        let sink = Arc::new(PlatformSink::new(outbox.clone(), platform));
        tokio::spawn(Relay::new(outbox, sink, Arc::new(Bell::default())).run(stop.clone()))
    }

    /// Waits until nothing is left to send.
    async fn drained(&self) {
        let outbox = self.outbox();
        let is_empty = || async { (outbox.backlog().await.expect("a backlog").events == 0).then_some(()) };
        until("everything is sent", is_empty).await;
    }

    /// Each event of the log stands in the files once, those of a subject in their order.
    fn came_out_once(&self, case: &str) {
        assert_eq!(by_subject(in_files(self.folder.path())), self.log, "{case}");
    }
}

/// All events by subject. On a server that others use too they are seen once older transactions are over.
async fn log(store: &dyn Store) -> BTreeMap<String, Vec<EventId>> {
    until("events that were committed are seen", || async {
        let page = Page { after: None, limit: 2 * EVENTS };
        let log = store.reader().events(page).await.expect("events");
        (log.len() == EVENTS).then(|| by_subject(log.iter().map(|event| (event.subject.clone(), event.id))))
    })
    .await
}

impl Full {
    async fn killed_at(&self, line: usize) {
        let (lines, stop) = (Lines::until(line), CancellationToken::new());
        let first = self.relay(&lines, &stop);
        lines.reached().await;
        first.abort();
        let second = self.relay(&Lines::all(), &stop);
        self.drained().await;
        stop.cancel();
        second.await.expect("a relay");
    }

    async fn stands_still_at(&self, line: usize) {
        let (lines, stop) = (Lines::until(line), CancellationToken::new());
        let first = self.relay(&lines, &stop);
        lines.reached().await;
        let second = self.relay(&Lines::all(), &stop);
        let _ = tokio::time::timeout(TAKEN_OVER, self.drained()).await;
        // Whatever it was about to do, it does now, and finds that its parts are another's.
        lines.go_on();
        lines.passed_further(6).await;
        self.drained().await;
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

/// How many lines a relay passes until everything is sent.
async fn lines_of(full: &Full) -> usize {
    let (lines, stop) = (Lines::all(), CancellationToken::new());
    let relay = full.relay(&lines, &stop);
    full.drained().await;
    let passed = lines.passed();
    stop.cancel();
    relay.await.expect("a relay");
    full.came_out_once("a relay that nothing happens to");
    passed
}

/// What happens to the first relay.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Killed,
    StandsStill,
}

async fn at_every_line(fate: Fate, bed: impl AsyncFn() -> Bed) {
    let many = lines_of(&Full::new(bed().await).await).await;
    assert!(many >= 30, "only {many} lines");
    // A part changes hands after some seconds: many cases wait for that together.
    let mut cases = tokio::task::JoinSet::new();
    for line in 1..=many {
        if cases.len() == AT_ONCE {
            cases.join_next().await.expect("a case").expect("a case");
        }
        let full = Full::new(bed().await).await;
        cases.spawn(async move {
            match fate {
                Fate::Killed => full.killed_at(line).await,
                Fate::StandsStill => full.stands_still_at(line).await,
            }
            full.came_out_once(&format!("{fate:?} at line {line} of {many}"));
        });
    }
    while let Some(case) = cases.join_next().await {
        case.expect("a case");
    }
}

macro_rules! at_every_line {
    ($($test:ident: $fate:expr),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                Box::pin(super::at_every_line($fate, async || super::Bed::sqlite())).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if !onsale_testing::without("postgres") {
                    Box::pin(super::at_every_line($fate, super::Bed::postgres)).await;
                }
            })+
        }
    };
}

at_every_line!(killed_at_every_line: super::Fate::Killed, stands_still_at_every_line: super::Fate::StandsStill);
