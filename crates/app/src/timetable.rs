//! Lectures from today on, kept in memory: everybody looks at the list, and each application changes it. Decides nothing.
//!
//! Read once from the database, it follows the process's own commits. Where other processes share the database, what
//! they changed is asked for now and then, once for all who look. A lecture carries a version, so the newer of two
//! pictures is known whichever comes first.

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::collections::BTreeMap;
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

/// How old others' changes may be in a list.
const FOLLOWED_EVERY: Duration = Duration::from_millis(100);
/// Asking takes at most this part of the time, and others' changes are at most this old.
const COST_SHARE: u32 = 20;
const FOLLOWED_AT_LEAST: Duration = Duration::from_secs(2);

/// How long a list is shown while nobody can say what others did.
const SHOWN_WITHOUT_NEWS: Duration = Duration::from_secs(3);

/// A change shows the instant at which it was decided, and is there once it is committed: at the latest so much later.
const COMMITTED_WITHIN_MILLIS: i64 = 60_000;

const DAY_MILLIS: i64 = 86_400_000;

const ALL: Page<(Timestamp, LectureId)> = Page { after: None, limit: u32::MAX as usize };

/// Lectures that start at an instant or later.
struct Lectures {
    from: Timestamp,
    by_start: BTreeMap<(Timestamp, LectureId), Lecture>,
}

impl Lectures {
    fn from(from: Timestamp) -> Self {
        Self { from, by_start: BTreeMap::new() }
    }

    /// Tells whether that is news.
    fn take_in(&mut self, lecture: &Lecture) -> bool {
        let is_news = |known: &Lecture| known.version < lecture.version;
        let key = (lecture.starts_at, lecture.id);
        let is_news = self.from <= lecture.starts_at && self.by_start.get(&key).is_none_or(is_news);
        if is_news {
            self.by_start.insert(key, lecture.clone());
        }
        is_news
    }

    fn forget_before(&mut self, from: Timestamp) {
        self.from = self.from.max(from);
        while let Some(first) = self.by_start.first_entry().filter(|first| first.key().0 < from) {
            first.remove();
        }
    }
}

/// What is shown, and what is being read to be shown next: both follow the commits.
struct Known {
    shown: Lectures,
    coming: Option<Lectures>,
}

/// When it was asked what others did.
#[derive(Default)]
struct Asked {
    /// `None` where the list has to be read whole.
    at: Option<Instant>,
    /// The database's time of that.
    since: Timestamp,
    took: Duration,
    histories: u64,
    forgotten: u64,
}

impl Asked {
    fn is_fresh(&self, within: Duration) -> bool {
        self.at.is_some_and(|at| at.elapsed() < within)
    }
}

/// See the module.
pub struct Timetable {
    reader: Arc<dyn Reader>,
    /// Where other processes change lectures too.
    news: Option<Arc<dyn News>>,
    known: RwLock<Known>,
    edition: AtomicU64,
    /// How often all that was known was put in doubt.
    forgotten: AtomicU64,
    /// Held by whoever asks the database, so that one does for all.
    asked: Mutex<Asked>,
    /// Until when nobody needs to ask, in nanoseconds since `born`.
    fresh_until: AtomicU64,
    born: Instant,
    /// Whether it is kept; else each look asks the database.
    pub is_kept: bool,
    /// How often the database was asked.
    pub reads: Counter,
}

impl Timetable {
    /// Nothing is known yet: it is read when somebody looks.
    pub fn new(reader: Arc<dyn Reader>, news: Option<Arc<dyn News>>, is_kept: bool) -> Self {
        Self {
            reader,
            news,
            known: RwLock::new(Known { shown: Lectures::from(Timestamp::default()), coming: None }),
            edition: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
            asked: Mutex::default(),
            fresh_until: AtomicU64::new(0),
            born: Instant::now(),
            is_kept,
            reads: Counter::default(),
        }
    }

    /// Makes sure that lectures from this instant on are known, others' changes of a moment ago included. Tells which
    /// edition of the list that is: another number after each change.
    ///
    /// # Errors
    /// Where nothing is known and the database cannot be read.
    pub async fn edition(&self, today: Timestamp) -> Result<u64, StoreError> {
        if nanos(self.born.elapsed()) >= self.fresh_until.load(Ordering::Acquire) {
            self.catch_up(today).await?;
        }
        Ok(self.edition.load(Ordering::Acquire))
    }

    /// Lectures by start and id; the filter begins no earlier than the day of which the edition was asked.
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
        found.filter(|lecture| !filter.with_places || lecture.remaining() > 0).take(page.limit).cloned().collect()
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read()
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write()
    }

    async fn catch_up(&self, today: Timestamp) -> Result<(), StoreError> {
        let mut asked = self.asked.lock().await;
        let (forgotten, histories) = (self.forgotten.load(Ordering::Acquire), self.histories());
        let is_known = asked.at.is_some() && asked.forgotten == forgotten && asked.histories == histories;
        if is_known && asked.is_fresh(self.fresh_for(asked.took)) {
            return Ok(());
        }
        let (began, since) = (Instant::now(), self.reader.now());
        self.reads.inc();
        let told = if is_known { self.ask(today, asked.since).await } else { self.read(today).await };
        match told {
            Ok(()) => {
                let took = began.elapsed();
                *asked = Asked { at: Some(began), since, took, histories, forgotten };
                let fresh_until = (began - self.born).saturating_add(self.fresh_for(took));
                self.fresh_until.store(nanos(fresh_until), Ordering::Release);
                if self.forgotten.load(Ordering::Acquire) != forgotten {
                    self.fresh_until.store(0, Ordering::Release);
                }
                Ok(())
            }
            // A list may be a little old; nothing is decided by it.
            Err(_) if is_known && asked.is_fresh(SHOWN_WITHOUT_NEWS) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// For how long nobody needs to ask again.
    fn fresh_for(&self, took: Duration) -> Duration {
        match self.news {
            Some(_) => (took * COST_SHARE).clamp(FOLLOWED_EVERY, FOLLOWED_AT_LEAST),
            None => Duration::MAX,
        }
    }

    fn histories(&self) -> u64 {
        self.news.as_ref().map_or(0, |news| news.histories())
    }

    async fn read(&self, today: Timestamp) -> Result<(), StoreError> {
        // What is committed from here on is taken in.
        self.known_mut().coming = Some(Lectures::from(today));
        let read = self.reader.lectures(LectureFilter::starting(today), ALL).await?;
        let mut known = self.known_mut();
        let mut coming = known.coming.take().unwrap_or_else(|| Lectures::from(today));
        read.iter().for_each(|lecture| {
            coming.take_in(lecture);
        });
        known.shown = coming;
        drop(known);
        self.edition.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    async fn ask(&self, today: Timestamp, since: Timestamp) -> Result<(), StoreError> {
        let changed_since = Some(since.plus_millis(-COMMITTED_WITHIN_MILLIS));
        let filter = LectureFilter { changed_since, ..LectureFilter::starting(today) };
        let told = self.reader.lectures(filter, ALL).await?;
        // A caller who came before midnight may still look at yesterday.
        self.known_mut().shown.forget_before(today.plus_millis(-DAY_MILLIS));
        self.take_in(told.iter());
        Ok(())
    }

    fn take_in<'a>(&self, lectures: impl Iterator<Item = &'a Lecture>) {
        let mut known = self.known_mut();
        let mut is_news = false;
        for lecture in lectures {
            is_news |= known.shown.take_in(lecture);
            if let Some(coming) = &mut known.coming {
                coming.take_in(lecture);
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
            self.take_in(changed);
        }
    }

    async fn recover(&self) -> Result<(), StoreError> {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.fresh_until.store(0, Ordering::Release);
        Ok(())
    }
}
