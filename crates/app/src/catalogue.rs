//! The concerts and their performances, kept in memory: read by everyone, changed by an administrator now and then.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use jiff::civil::Date;
use onsale_domain::concert::{Concert, Performance, Seating, Target};
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_domain::time::Timestamp;
use prometheus_client::metrics::counter::Counter;

use crate::calendar::Calendar;
use crate::desk::Observer;
use crate::store::{Reader, StoreError, Unit};

/// What never changes about a performance.
#[derive(Debug)]
pub struct Showing {
    /// Which performance.
    pub id: PerformanceId,
    /// Of which concert.
    pub concert: ConcertId,
    /// When it starts.
    pub starts_at: Timestamp,
    /// The date on which it starts.
    pub date: Date,
    /// Its seats.
    pub seating: Seating,
}

/// A concert with its performances, by start.
#[derive(Clone, Debug)]
pub struct Programme {
    /// The concert.
    pub concert: Concert,
    /// Its performances.
    pub showings: Vec<Arc<Showing>>,
}

impl Programme {
    /// The performances of a date.
    pub fn on(&self, date: Date) -> &[Arc<Showing>] {
        let from = self.showings.partition_point(|showing| showing.date < date);
        let until = self.showings.partition_point(|showing| showing.date <= date);
        &self.showings[from..until]
    }

    /// Which performance a hold on this date is for.
    pub fn target_on(&self, date: Date) -> Target {
        match self.on(date) {
            [] => Target::NoneOnDate,
            [showing] => Target::Performance(showing.id),
            _ => Target::SeveralOnDate,
        }
    }
}

#[derive(Clone, Default)]
struct Index {
    edition: u64,
    programmes: BTreeMap<ConcertId, Arc<Programme>>,
    showings: HashMap<PerformanceId, Arc<Showing>>,
}

/// All concerts.
pub struct Catalogue {
    reader: Arc<dyn Reader>,
    calendar: Calendar,
    index: ArcSwap<Index>,
    /// How often it was asked of the database.
    pub reads: Counter,
    /// Whether other processes may add to it.
    is_shared: bool,
    /// Whether a list is shown as it is known; else each look asks the database.
    is_kept: bool,
    /// When the last reading of everything began; held by whoever reads.
    read_at: tokio::sync::Mutex<Instant>,
}

impl Catalogue {
    /// Reads all concerts and performances.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn load(
        reader: Arc<dyn Reader>,
        calendar: Calendar,
        is_shared: bool,
        is_kept: bool,
    ) -> Result<Self, StoreError> {
        let read_at = tokio::sync::Mutex::new(Instant::now());
        let (index, reads) = (ArcSwap::default(), Counter::default());
        let catalogue = Self { reader, calendar, index, reads, is_shared, is_kept, read_at };
        catalogue.recover().await?;
        Ok(catalogue)
    }

    /// A concert.
    pub fn programme(&self, concert: ConcertId) -> Option<Arc<Programme>> {
        self.index.load().programmes.get(&concert).cloned()
    }

    /// A performance.
    pub fn showing(&self, performance: PerformanceId) -> Option<Arc<Showing>> {
        self.index.load().showings.get(&performance).cloned()
    }

    /// Concerts by id, after one.
    pub fn page(&self, after: Option<ConcertId>, limit: usize) -> Vec<Arc<Programme>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.index.load().programmes.range((from, Unbounded)).take(limit).map(|(_, p)| p.clone()).collect()
    }

    /// Reads everything again where one of these is not known.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn know(&self, concerts: &[ConcertId], performances: &[PerformanceId]) -> Result<(), StoreError> {
        let index = self.index.load_full();
        let known = concerts.iter().all(|id| index.programmes.contains_key(id))
            && performances.iter().all(|id| index.showings.contains_key(id));
        if known { Ok(()) } else { self.catch_up().await }
    }

    /// Makes sure that all performances of a concert are known: which one a date names is decided by that. Asks the
    /// database where another process may have added one; none is ever taken away.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn know_all_of(&self, concert: ConcertId) -> Result<(), StoreError> {
        if !self.is_shared {
            return Ok(());
        }
        let there = self.reader.performance_count(concert).await?;
        let known = self.programme(concert).map_or(0, |programme| programme.showings.len() as u64);
        if known < there { self.catch_up().await } else { Ok(()) }
    }

    /// Reads everything again: another process may have added to it. Whoever comes meanwhile shares the next answer.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        if !self.is_shared {
            return Ok(());
        }
        let came = Instant::now();
        let mut read_at = self.read_at.lock().await;
        if *read_at < came {
            let began = Instant::now();
            self.recover().await?;
            *read_at = began;
        }
        Ok(())
    }

    /// Which edition is shown: another number after each change.
    ///
    /// # Errors
    /// Where nothing is to be kept, and the database cannot be read.
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

impl Index {
    fn add_concert(&mut self, concert: Concert) {
        let programme = Programme { concert, showings: Vec::new() };
        self.programmes.entry(programme.concert.id).or_insert_with(|| Arc::new(programme));
    }

    fn add_performance(&mut self, performance: &Performance, calendar: &Calendar) {
        if self.showings.contains_key(&performance.id) {
            return;
        }
        let Some(programme) = self.programmes.get_mut(&performance.concert) else { return };
        let showing = Arc::new(Showing {
            id: performance.id,
            concert: performance.concert,
            starts_at: performance.starts_at,
            date: calendar.date_of(performance.starts_at),
            seating: performance.seating.clone(),
        });
        let showings = &mut Arc::make_mut(programme).showings;
        showings.push(showing.clone());
        showings.sort_by_key(|showing| (showing.starts_at, showing.id));
        self.showings.insert(performance.id, showing);
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
            .filter_map(|(id, performance)| performance.filter(|_| !known.showings.contains_key(id)))
            .collect();
        if unit.rows.new_concerts.is_empty() && fresh.is_empty() {
            return;
        }
        self.index.rcu(|index| {
            let mut index = Index::clone(index);
            index.edition += 1;
            unit.rows.new_concerts.iter().for_each(|concert| index.add_concert(concert.clone()));
            fresh.iter().for_each(|performance| index.add_performance(performance, &self.calendar));
            index
        });
    }

    async fn recover(&self) -> Result<(), StoreError> {
        self.reads.inc();
        let concerts = self.reader.concerts().await?;
        let performances = self.reader.performances().await?;
        // Nothing is ever taken away; what was added meanwhile stays.
        self.index.rcu(|index| {
            let mut index = Index::clone(index);
            index.edition += 1;
            concerts.iter().for_each(|concert| index.add_concert(concert.clone()));
            performances.iter().for_each(|performance| index.add_performance(performance, &self.calendar));
            index
        });
        Ok(())
    }
}
