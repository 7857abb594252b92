//! The timetable: all lectures from today on in memory. Every client reads the list, and each application changes it.
//! Nothing is decided from it.
//!
//! The process reads the list once from the database and then follows its own commits. If other instances share the
//! database, the process queries their changes at most every 100 ms, once for all clients. Each lecture carries a version,
//! so the newer of two states counts, whichever arrives first.

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use onsale_domain::ids::LectureId;
use onsale_domain::lecture::Lecture;
use onsale_domain::time::Timestamp;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::desk::Observer;
use crate::store::news::News;
use crate::store::{LectureFilter, Page, Reader, StoreError, Unit};

/// The shortest time between two queries for the other instances' changes.
const FOLLOWED_EVERY: Duration = Duration::from_millis(100);
/// The time between two queries is the length of the last one times this, but at most [`FOLLOWED_AT_LEAST`].
const COST_SHARE: u32 = 20;
const FOLLOWED_AT_LEAST: Duration = Duration::from_secs(2);

/// How long a list is served while the database does not answer. Then requests fail.
const SHOWN_WITHOUT_NEWS: Duration = Duration::from_secs(3);

/// A change carries the instant of its decision and is visible after its commit. The commit comes at most this much later.
const COMMITTED_WITHIN_MILLIS: i64 = 60_000;

const DAY_MILLIS: i64 = 86_400_000;

const ALL: Page<(Timestamp, LectureId)> = Page { after: None, limit: u32::MAX as usize };

/// Lectures that start at an instant or later.
struct Lectures {
    from: Timestamp,
    by_start: BTreeMap<(Timestamp, LectureId), Lecture>,
    /// The newest known start and version of each lecture, also of one that was moved to before `from`: an older state of it
    /// that arrives later must not bring it back.
    newest: HashMap<LectureId, (Timestamp, u64)>,
}

impl Lectures {
    fn from(from: Timestamp) -> Self {
        Self { from, by_start: BTreeMap::new(), newest: HashMap::new() }
    }

    /// Adds a lecture, or removes one that was moved to before `from`. Returns whether that changes the list.
    fn add(&mut self, lecture: &Lecture) -> bool {
        let (id, starts_at) = (lecture.id, lecture.starts_at);
        let known = self.newest.get(&id).copied();
        if known.is_some_and(|(_, version)| lecture.version <= version) {
            return false;
        }
        let is_listed = self.from <= starts_at;
        if known.is_none() && !is_listed && lecture.moved_at.is_none() {
            return false;
        }
        self.newest.insert(id, (starts_at, lecture.version));
        let was_listed = known.is_some_and(|(before, _)| self.by_start.remove(&(before, id)).is_some());
        if is_listed {
            self.by_start.insert((starts_at, id), lecture.clone());
        }
        was_listed || is_listed
    }

    fn forget_before(&mut self, from: Timestamp) {
        self.from = self.from.max(from);
        while let Some(first) = self.by_start.first_entry().filter(|first| first.key().0 < from) {
            let ((_, id), lecture) = first.remove_entry();
            if lecture.moved_at.is_none() {
                self.newest.remove(&id);
            }
        }
    }
}

/// The list that is served, and the list that a query is reading now. Commits change both.
struct Known {
    shown: Lectures,
    /// Gathers the commits during the query. `None` if no query runs.
    coming: Option<Lectures>,
}

/// The last query of the database.
#[derive(Default)]
struct LastQuery {
    /// When it began; `None` if the list must be read as a whole.
    at: Option<Instant>,
    /// The database's time when it began.
    since: Timestamp,
    took: Duration,
    /// The value of [`News::server_changes`] when the query began.
    server_changes: u64,
    forgotten: u64,
}

impl LastQuery {
    fn is_fresh(&self, within: Duration) -> bool {
        self.at.is_some_and(|at| at.elapsed() < within)
    }
}

/// The lectures from today on.
///
/// Lock order: `last_query`, then `known`.
pub struct Timetable {
    reader: Arc<dyn Reader>,
    /// The other instances' changes; `None` if no other instance shares the database.
    news: Option<Arc<dyn News>>,
    /// Requests read it, commits and queries write it. Never held over an await.
    known: RwLock<Known>,
    /// Incremented after each change of `known`. The increment releases, and the load in `edition` acquires: a list that is
    /// cached under an edition is never older than that edition.
    edition: AtomicU64,
    /// Number of calls of `recover`: all that was known before must be read again.
    forgotten: AtomicU64,
    /// Held by the request that queries the database. The others wait, and use its answer.
    last_query: Mutex<LastQuery>,
    /// No query is needed before this, in nanoseconds since `born`. Lets most requests pass without the lock `last_query`.
    fresh_until: AtomicU64,
    born: Instant,
    /// Whether the list is kept; if not, each request reads the database.
    pub is_kept: bool,
    /// Number of queries for lectures.
    pub reads: Counter,
}

impl Timetable {
    /// Starts empty: the first request reads the list.
    pub fn new(reader: Arc<dyn Reader>, news: Option<Arc<dyn News>>, is_kept: bool) -> Self {
        Self {
            reader,
            news,
            known: RwLock::new(Known { shown: Lectures::from(Timestamp::default()), coming: None }),
            edition: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
            last_query: Mutex::default(),
            fresh_until: AtomicU64::new(0),
            born: Instant::now(),
            is_kept,
            reads: Counter::default(),
        }
    }

    /// Refreshes the list if it is too old. Returns the edition of the list, a number that changes with each change.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read and the list is unknown or older than 3 s.
    pub async fn edition(&self, today: Timestamp) -> Result<u64, StoreError> {
        if nanos(self.born.elapsed()) >= self.fresh_until.load(Ordering::Acquire) {
            self.catch_up(today).await?;
        }
        Ok(self.edition.load(Ordering::Acquire))
    }

    /// Lectures by start and id. The filter must not begin before the day that [`Self::edition`] was called with.
    pub fn page(&self, filter: LectureFilter, page: Page<(Timestamp, LectureId)>) -> Vec<Lecture> {
        let first = |at| (at, LectureId::new(Uuid::nil()));
        let from = page.after.filter(|(at, _)| filter.from <= *at).map_or(Included(first(filter.from)), Excluded);
        let is_before_end = |lecture: &Lecture| filter.until.is_none_or(|until| lecture.starts_at < until);
        let known = self.known();
        let found = known
            .shown
            .by_start
            .range((from, Unbounded))
            .map(|(_, lecture)| lecture)
            .take_while(|lecture| is_before_end(lecture));
        let is_wanted = |lecture: &&Lecture| filter.available_at.is_none_or(|at| lecture.is_available(at));
        found.filter(is_wanted).take(page.limit).cloned().collect()
    }

    /// The first instant after this one at which a known lecture opens.
    pub fn next_opening(&self, after: Timestamp) -> Option<Timestamp> {
        let known = self.known();
        known.shown.by_start.values().filter_map(|lecture| lecture.opens_at).filter(|opens_at| after < *opens_at).min()
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read()
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write()
    }

    async fn catch_up(&self, today: Timestamp) -> Result<(), StoreError> {
        let mut last_query = self.last_query.lock().await;
        // Checked again under the lock: another request may have refreshed the list meanwhile.
        let (forgotten, server_changes) = (self.forgotten.load(Ordering::Acquire), self.server_changes());
        let is_known =
            last_query.at.is_some() && last_query.forgotten == forgotten && last_query.server_changes == server_changes;
        if is_known && last_query.is_fresh(self.fresh_for(last_query.took)) {
            return Ok(());
        }
        // Taken before the query: what commits during the query may be missing from its answer.
        let (began, since) = (Instant::now(), self.reader.now());
        self.reads.inc();
        let queried = if is_known { self.query_changes(today, last_query.since).await } else { self.read(today).await };
        match queried {
            Ok(()) => {
                let took = began.elapsed();
                *last_query = LastQuery { at: Some(began), since, took, server_changes, forgotten };
                let fresh_until = (began - self.born).saturating_add(self.fresh_for(took));
                self.fresh_until.store(nanos(fresh_until), Ordering::Release);
                // `recover` ran during the query and set 0, which the store above may have overwritten.
                if self.forgotten.load(Ordering::Acquire) != forgotten {
                    self.fresh_until.store(0, Ordering::Release);
                }
                Ok(())
            }
            // A list may be a little old, because nothing is decided from it.
            Err(_) if is_known && last_query.is_fresh(SHOWN_WITHOUT_NEWS) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How long the answer of a query of this length is used before the next query.
    fn fresh_for(&self, took: Duration) -> Duration {
        match self.news {
            Some(_) => (took * COST_SHARE).clamp(FOLLOWED_EVERY, FOLLOWED_AT_LEAST),
            None => Duration::MAX,
        }
    }

    fn server_changes(&self) -> u64 {
        self.news.as_ref().map_or(0, |news| news.server_changes())
    }

    async fn read(&self, today: Timestamp) -> Result<(), StoreError> {
        // Before the query: commits of this process from here on are added to `coming`.
        self.known_mut().coming = Some(Lectures::from(today));
        let read = self.reader.lectures(LectureFilter::starting(today), ALL).await?;
        let mut known = self.known_mut();
        let mut coming = known.coming.take().unwrap_or_else(|| Lectures::from(today));
        for lecture in &read {
            coming.add(lecture);
        }
        known.shown = coming;
        drop(known);
        // After the list: a request that reads the new edition then finds the new list.
        self.edition.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    async fn query_changes(&self, today: Timestamp, since: Timestamp) -> Result<(), StoreError> {
        let changed = self.reader.changed_lectures(today, since.plus_millis(-COMMITTED_WITHIN_MILLIS)).await?;
        // A request that came before midnight may still read yesterday's lectures.
        self.known_mut().shown.forget_before(today.plus_millis(-DAY_MILLIS));
        self.add(changed.iter());
        Ok(())
    }

    fn add<'a>(&self, lectures: impl Iterator<Item = &'a Lecture>) {
        let mut known = self.known_mut();
        let mut is_news = false;
        for lecture in lectures {
            is_news |= known.shown.add(lecture);
            if let Some(coming) = &mut known.coming {
                coming.add(lecture);
            }
        }
        drop(known);
        if is_news {
            self.edition.fetch_add(1, Ordering::AcqRel);
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Observer for Timetable {
    fn committed(&self, unit: &Unit) {
        let mut changed = unit.rows.lectures.changed().filter_map(|(_, lecture)| lecture).peekable();
        if changed.peek().is_some() {
            self.add(changed);
        }
    }

    async fn recover(&self) -> Result<(), StoreError> {
        // In this order: a request that sees 0 must also see the new count and read the whole list.
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.fresh_until.store(0, Ordering::Release);
        Ok(())
    }
}
