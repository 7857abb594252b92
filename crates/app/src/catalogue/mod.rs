//! The catalogue: all concerts and their performances in memory. Every client reads it, and organisers change it rarely.

mod index;

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use jiff::civil::Date;
use onsale_domain::concert::{Concert, Dates, Layout, Performance, Seating, Target};
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_domain::time::Timestamp;
use prometheus_client::metrics::counter::Counter;

use self::index::Index;
use crate::calendar::Calendar;
use crate::desk::Observer;
use crate::store::{Listed, News, Reader, StoreError, Unit};

/// The properties of a performance that only an organiser changes, as of a revision.
#[derive(Debug)]
pub struct Showing {
    /// Id of the performance.
    pub id: PerformanceId,
    /// The concert of the performance.
    pub concert: ConcertId,
    /// Start of the performance.
    pub starts_at: Timestamp,
    /// The date of the start, in the time zone of the calendar.
    pub date: Date,
    /// Sections with grades and prices.
    pub seating: Seating,
    /// The layout of the hall, if it has one.
    pub layout: Option<Arc<Layout>>,
    /// The version of the performance that gave it these properties; 0 if they never changed.
    pub revision: u64,
    /// How often the catalogue was replaced before. A revision of an earlier era may be one that the database has lost.
    pub era: u64,
}

impl Showing {
    /// This performance, if it still starts on its date when the hold is decided.
    pub fn target(&self, calendar: &Calendar) -> Target {
        let span = calendar.span_of(self.date);
        span.map_or(Target::Performance(self.id), |(from, until)| Target::Dated(self.id, from, until))
    }
}

/// A concert with its performances.
#[derive(Clone, Debug)]
pub struct Programme {
    /// Title, venue and id of the concert.
    pub concert: Concert,
    /// The performances, by start.
    pub showings: Vec<Arc<Showing>>,
}

impl Programme {
    /// The performances of a date.
    pub fn on(&self, date: Date) -> &[Arc<Showing>] {
        let from = self.showings.partition_point(|showing| showing.date < date);
        let until = self.showings.partition_point(|showing| showing.date <= date);
        &self.showings[from..until]
    }

    /// Its dates, for the decision on a target that was looked up in them.
    pub fn dates(&self) -> Dates {
        let revisions = self.showings.iter().map(|showing| showing.revision).sum();
        Dates { performances: self.showings.len() as u64, revisions }
    }

    /// Whether there is a performance and all of them have started.
    pub fn is_over(&self, at: Timestamp) -> bool {
        self.showings.last().is_some_and(|last| last.starts_at <= at)
    }

    /// The performance that a hold on this date is for. The decision checks that [`Self::dates`] are still the same.
    pub fn target_on(&self, date: Date, calendar: &Calendar) -> Target {
        match self.on(date) {
            [] => Target::NoneOnDate,
            [showing] => showing.target(calendar),
            _ => Target::SeveralOnDate,
        }
    }
}

/// A layout with its performance.
type LaidOut = (PerformanceId, Arc<Layout>);

/// All concerts of the database.
///
/// Lock order: `asking`, then `sought`.
pub struct Catalogue {
    reader: Arc<dyn Reader>,
    calendar: Calendar,
    /// Readers load it without a lock. Writers replace it by a changed copy.
    index: ArcSwap<Index>,
    /// Number of queries for concerts or performances.
    pub reads: Counter,
    /// The changes of other instances; `None` if no other instance adds concerts.
    news: Option<Arc<dyn News>>,
    /// The value of [`News::server_changes`] before everything was read last. With another value the database may have lost
    /// changes that the catalogue has.
    server_changes: AtomicU64,
    /// Whether lists are served from memory; if not, each request reads the database.
    is_kept: bool,
    /// The ids that the next query looks up. Held for set operations only.
    sought: Mutex<Sought>,
    /// Held by the caller that queries the database. The others wait, and find their ids looked up.
    asking: tokio::sync::Mutex<()>,
}

/// Ids that this process does not know yet.
#[derive(Debug, Default)]
struct Sought {
    concerts: HashSet<ConcertId>,
    performances: HashSet<PerformanceId>,
}

impl Sought {
    fn is_empty(&self) -> bool {
        self.concerts.is_empty() && self.performances.is_empty()
    }
}

impl Catalogue {
    /// Reads all concerts and performances.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub async fn load(
        reader: Arc<dyn Reader>,
        news: Option<Arc<dyn News>>,
        calendar: Calendar,
        is_kept: bool,
    ) -> Result<Self, StoreError> {
        let (index, reads) = (ArcSwap::default(), Counter::default());
        let (sought, asking) = (Mutex::default(), tokio::sync::Mutex::default());
        let server_changes = AtomicU64::new(news.as_ref().map_or(0, |news| news.server_changes()));
        let catalogue = Self { reader, news, server_changes, calendar, index, reads, is_kept, sought, asking };
        catalogue.recover().await?;
        Ok(catalogue)
    }

    /// A concert with its performances, if it is known.
    pub fn programme(&self, concert: ConcertId) -> Option<Arc<Programme>> {
        self.index.load().programmes.get(&concert).cloned()
    }

    /// A performance, if it is known.
    pub fn showing(&self, performance: PerformanceId) -> Option<Arc<Showing>> {
        self.index.load().showings.get(&performance).cloned()
    }

    /// The concerts that follow one, by id.
    pub fn page(&self, after: Option<ConcertId>, limit: usize) -> Vec<Arc<Programme>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.index.load().programmes.range((from, Unbounded)).take(limit).map(|(_, p)| p.clone()).collect()
    }

    /// As [`Self::page`], only the concerts that fit. Reads each concert after the first row.
    pub fn search(
        &self,
        after: Option<ConcertId>,
        limit: usize,
        fits: impl Fn(&Programme) -> bool,
    ) -> Vec<Arc<Programme>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let index = self.index.load();
        let fitting = index.programmes.range((from, Unbounded)).filter(|(_, programme)| fits(programme));
        fitting.take(limit).map(|(_, programme)| programme.clone()).collect()
    }

    /// Looks up the ids that are not known, because another instance may have added them. One query by key serves all callers
    /// that wait, so that requests with invented ids cost little.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn know(&self, concerts: &[ConcertId], performances: &[PerformanceId]) -> Result<(), StoreError> {
        let index = self.index.load_full();
        let concerts = concerts.iter().filter(|id| index.lacks(**id, 0)).copied().collect();
        let performances = performances.iter().filter(|id| index.revision(**id).is_none()).copied().collect();
        self.look_up(Sought { concerts, performances }).await
    }

    /// As [`Self::know`]. Also looks up concerts and performances of which another version or revision is known: another instance
    /// has changed them.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn follow(
        &self,
        concerts: &[(ConcertId, u64)],
        performances: &[(PerformanceId, u64)],
    ) -> Result<(), StoreError> {
        self.replace_after_loss().await?;
        let index = self.index.load_full();
        let concerts = concerts.iter().filter(|(id, version)| index.lacks(*id, *version)).map(|(id, _)| *id).collect();
        let differs = |(id, revision): &&(PerformanceId, u64)| index.revision(*id) != Some(*revision);
        let performances = performances.iter().filter(differs).map(|(id, _)| *id).collect();
        self.look_up(Sought { concerts, performances }).await
    }

    /// Makes sure that all performances of a concert are known as they are, because they decide which performance a date names.
    /// Queries the database if other instances may have added or moved one. Performances are never removed, and each change gives
    /// one of them a higher revision.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn know_all_of(&self, concert: ConcertId) -> Result<(), StoreError> {
        if self.news.is_none() {
            return Ok(());
        }
        self.replace_after_loss().await?;
        let (performances, revisions) = self.reader.performance_revisions(concert).await?;
        let known = self.programme(concert).map(|programme| programme.dates()).unwrap_or_default();
        if known != (Dates { performances, revisions }) {
            self.look_up(Sought { concerts: HashSet::from([concert]), performances: HashSet::new() }).await?;
        }
        Ok(())
    }

    /// Reads everything anew if the database may have lost changes: versions do not show that, because later changes get the same
    /// ones again. A commit of this process during the read may be missing. [`Self::follow`] finds it within a second.
    async fn replace_after_loss(&self) -> Result<(), StoreError> {
        let server_changes = self.news.as_ref().map_or(0, |news| news.server_changes());
        if self.server_changes.load(Ordering::Acquire) == server_changes {
            return Ok(());
        }
        self.reads.inc();
        let concerts = self.reader.concerts().await?;
        let performances = self.reader.performances().await?;
        let layouts = self.reader.layouts(None).await?;
        self.index.rcu(|known| {
            let mut index = Index { edition: known.edition + 1, era: known.era + 1, ..Index::default() };
            index.lay_out(layouts.iter().cloned());
            index.add(&concerts, &performances, &self.calendar, |known, read| known < read);
            index
        });
        // Last: after a failed read the next call tries again.
        self.server_changes.store(server_changes, Ordering::Release);
        Ok(())
    }

    /// Single flight: callers that come during a query share the next one.
    async fn look_up(&self, sought: Sought) -> Result<(), StoreError> {
        if self.news.is_none() || sought.is_empty() {
            return Ok(());
        }
        {
            let mut waiting = self.sought();
            waiting.concerts.extend(&sought.concerts);
            waiting.performances.extend(&sought.performances);
        }
        let _one_asks = self.asking.lock().await;
        // Empty if the caller before looked up these ids, too: it added its answer before it released the lock. If its query
        // failed, it put the ids back.
        let waiting = std::mem::take(&mut *self.sought());
        if waiting.is_empty() {
            return Ok(());
        }
        self.reads.inc();
        let (concerts, performances): (Vec<_>, Vec<_>) =
            (waiting.concerts.iter().copied().collect(), waiting.performances.iter().copied().collect());
        match self.read_listed(&concerts, &performances).await {
            Ok((listed, layouts)) => {
                self.add(&listed.concerts, &listed.performances, &layouts);
                Ok(())
            }
            Err(error) => {
                // The ids of the callers that wait go back; this caller returns its error.
                let mut again = self.sought();
                again.concerts.extend(waiting.concerts.difference(&sought.concerts));
                again.performances.extend(waiting.performances.difference(&sought.performances));
                Err(error)
            }
        }
    }

    /// Concerts and performances by key. The layouts are read after the performances, so none is older than its performance.
    async fn read_listed(
        &self,
        concerts: &[ConcertId],
        performances: &[PerformanceId],
    ) -> Result<(Listed, Vec<LaidOut>), StoreError> {
        let listed = self.reader.listed(concerts, performances).await?;
        let found: Vec<PerformanceId> = listed.performances.iter().map(|performance| performance.id).collect();
        let layouts = if found.is_empty() { Vec::new() } else { self.reader.layouts(Some(&found)).await? };
        Ok((listed, layouts))
    }

    fn sought(&self) -> MutexGuard<'_, Sought> {
        self.sought.lock()
    }

    /// Adds concerts and performances that are not known yet, newer versions of concerts, and other revisions of performances. If
    /// an older revision replaces one that was committed during the read, [`Self::follow`] finds that within a second. Nothing is
    /// ever removed.
    fn add(&self, concerts: &[Concert], performances: &[Performance], layouts: &[LaidOut]) {
        let known = self.index.load();
        let is_new = concerts.iter().any(|concert| known.lacks(concert.id, concert.version))
            || performances.iter().any(|performance| known.revision(performance.id) != Some(performance.revision));
        if !is_new {
            return;
        }
        // `rcu` runs the closure again if another writer was first, so no addition is lost.
        self.index.rcu(|index| {
            let mut index = Index::clone(index);
            index.edition += 1;
            index.lay_out(layouts.iter().cloned());
            index.add(concerts, performances, &self.calendar, |known, read| known != read);
            index
        });
    }

    /// The edition of the catalogue: a number that changes with each addition.
    ///
    /// # Errors
    /// [`StoreError`] if nothing is kept in memory and the database cannot be read.
    pub async fn edition(&self) -> Result<u64, StoreError> {
        if !self.is_kept {
            self.recover().await?;
        }
        Ok(self.index.load().edition)
    }

    /// Whether there is any concert.
    pub fn is_empty(&self) -> bool {
        self.index.load().programmes.is_empty()
    }
}

#[async_trait]
impl Observer for Catalogue {
    fn committed(&self, unit: &Unit) {
        let known = self.index.load();
        let fresh: Vec<&Performance> = unit
            .rows
            .performances
            .changed()
            .filter_map(|(_, performance)| performance)
            .filter(|performance| known.revision(performance.id).is_none_or(|known| known < performance.revision))
            .collect();
        let changed: Vec<Concert> = unit.rows.concerts.changed().filter_map(|(_, concert)| concert.cloned()).collect();
        if changed.is_empty() && fresh.is_empty() {
            return;
        }
        let layouts = unit.rows.layouts.changed().filter_map(|(id, layout)| Some((*id, layout?.clone())));
        let layouts: Vec<LaidOut> = layouts.collect();
        self.index.rcu(|index| {
            let mut index = Index::clone(index);
            index.edition += 1;
            index.lay_out(layouts.iter().cloned());
            index.add(&changed, fresh.iter().copied(), &self.calendar, |known, committed| known < committed);
            index
        });
    }

    async fn recover(&self) -> Result<(), StoreError> {
        self.reads.inc();
        let concerts = self.reader.concerts().await?;
        let performances = self.reader.performances().await?;
        let layouts = self.reader.layouts(None).await?;
        // Additions that commits made during the query stay, because nothing is ever removed.
        self.index.rcu(|index| {
            let mut index = Index::clone(index);
            index.edition += 1;
            index.lay_out(layouts.iter().cloned());
            index.add(&concerts, &performances, &self.calendar, |known, read| known < read);
            index
        });
        Ok(())
    }
}
