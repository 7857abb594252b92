//! Which seats are free, for everyone who looks. Decides nothing.
//!
//! A process keeps one map for each performance that somebody looks at. It is read once from the database, then
//! follows the process's own commits; a look costs no I/O, and rebuilding a map costs what has changed. Where other
//! processes sell too, their changes are asked for now and then, once for all who look.

mod marks;
mod view;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use onsale_domain::event::Subject;
use onsale_domain::ids::PerformanceId;
use onsale_domain::time::Timestamp;
use prometheus_client::metrics::counter::Counter;

use crate::catalogue::Showing;
use crate::desk::Observer;
use crate::news::{News, SeatsBecame, SeatsNews};
use crate::store::{Reader, StoreError, Unit};
use marks::{Known, Marks};

pub use view::{Chunk, Mark, SeatView, Which};

/// Rebuilding takes at most this part of the time: a map that cost 1 ms is not rebuilt within 20 ms.
const COST_SHARE: u64 = 20;

/// How old others' changes may be when a map is shown.
const FOLLOWED_EVERY: Duration = Duration::from_millis(100);

/// How often a map is read for one look. A process that sells alone reads it again if a change of its own was missed.
const LOADS_MAX: u32 = 3;

/// How long a map is shown while nobody can say what others did.
const SHOWN_WITHOUT_NEWS: Duration = Duration::from_secs(3);

/// What one unit of work changed in one performance.
#[derive(Debug)]
struct Delta {
    /// The performance's version before and after.
    before: u64,
    after: u64,
    seats: Vec<(u32, Known)>,
}

impl From<SeatsNews> for Delta {
    fn from(news: SeatsNews) -> Self {
        let became = match news.became {
            SeatsBecame::Held(until) => Known::Held(until),
            SeatsBecame::Free => Known::Free,
            SeatsBecame::Sold => Known::Sold,
        };
        let seats = news.seats.into_iter().map(|seat| (seat, became)).collect();
        Self { before: news.version - 1, after: news.version, seats }
    }
}

enum State {
    /// Nothing is known.
    Empty,
    /// Being read; what is committed meanwhile waits here.
    Loading(Vec<Delta>),
    /// Known.
    Ready(Marks),
}

/// The map of one performance.
struct Slot {
    showing: Arc<Showing>,
    view: ArcSwapOption<SeatView>,
    /// Raised by every change: a view with an older stamp is stale.
    stamp: AtomicU64,
    state: Mutex<State>,
    /// Held by whoever reads from the database, so that one does for all.
    loading: tokio::sync::Mutex<()>,
    /// In which of the database's histories it was read.
    histories: AtomicU64,
    /// When others' changes were last asked for; `None` where a change is known to be missing.
    followed_at: Mutex<Option<Instant>>,
    looked_at: AtomicBool,
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last view, where it is still right, or too young to be built anew.
    fn current(&self, at: Timestamp) -> Option<Arc<SeatView>> {
        let view = self.view.load_full()?;
        let right = view.stamp == self.stamp.load(Ordering::Acquire) && at < view.valid_until;
        let young = || view.built.elapsed().as_nanos() < u128::from(view.cost_nanos() * COST_SHARE);
        (right || young()).then_some(view)
    }

    /// Builds a view from what is known; `None` where nothing is.
    fn build(&self, at: Timestamp) -> Option<Arc<SeatView>> {
        let began = Instant::now();
        let mut state = self.state();
        let State::Ready(marks) = &mut *state else { return None };
        let stamp = self.stamp.load(Ordering::Acquire);
        let view = Arc::new(marks.view(stamp, at));
        view.add_cost(began.elapsed());
        self.view.store(Some(view.clone()));
        Some(view)
    }

    fn commit(&self, delta: Delta, is_alone: bool) {
        let mut state = self.state();
        match &mut *state {
            State::Empty => {}
            State::Loading(deltas) => deltas.push(delta),
            State::Ready(marks) => {
                // Somebody else's change is missing in between.
                if !marks.apply(&delta) {
                    self.set_followed(None);
                    if is_alone {
                        *state = State::Empty;
                    }
                }
            }
        }
        self.stamp.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes in what others did; `false` where something is missing in between.
    fn catch_up(&self, news: Vec<SeatsNews>) -> bool {
        let mut state = self.state();
        let State::Ready(marks) = &mut *state else { return false };
        if news.is_empty() {
            return true;
        }
        let whole = news.into_iter().all(|change| marks.apply(&change.into()));
        self.stamp.fetch_add(1, Ordering::AcqRel);
        whole
    }

    fn set_followed(&self, at: Option<Instant>) {
        *self.followed_at.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// How long ago others' changes were asked for.
    fn followed(&self) -> Option<Duration> {
        self.followed_at.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }

    fn version(&self) -> Option<u64> {
        match &*self.state() {
            State::Ready(marks) => Some(marks.version()),
            State::Empty | State::Loading(_) => None,
        }
    }

    fn forget(&self) {
        *self.state() = State::Empty;
        self.stamp.fetch_add(1, Ordering::AcqRel);
        self.view.store(None);
    }
}

/// The maps of this process.
pub struct SeatMaps {
    reader: Arc<dyn Reader>,
    /// Where other processes sell too.
    news: Option<Arc<dyn News>>,
    slots: RwLock<HashMap<PerformanceId, Arc<Slot>>>,
    /// Whether maps are kept at all; else each look asks the database.
    is_kept: bool,
    /// How often the database was asked for a map, or for what others changed in it.
    pub reads: Counter,
}

impl SeatMaps {
    /// No map yet: each is read when it is first looked at.
    pub fn new(reader: Arc<dyn Reader>, news: Option<Arc<dyn News>>, is_kept: bool) -> Self {
        Self { reader, news, slots: RwLock::default(), is_kept, reads: Counter::default() }
    }

    /// The seats of a performance as of now, or of a moment ago where the map is large.
    ///
    /// # Errors
    /// Where the map is not known and the database cannot be read.
    pub async fn view(&self, showing: &Arc<Showing>) -> Result<Arc<SeatView>, StoreError> {
        if !self.is_kept {
            self.reads.inc();
            let rows = self.reader.seats(showing.id).await?;
            return Ok(Arc::new(Marks::new(showing, &rows).view(0, self.reader.now())));
        }
        let slot = self.slot(showing);
        self.follow(&slot).await?;
        let at = self.reader.now();
        if let Some(view) = slot.current(at).or_else(|| slot.build(at)) {
            return Ok(view);
        }
        let _one_reader = slot.loading.lock().await;
        for _ in 0..LOADS_MAX {
            if let Some(view) = slot.build(self.reader.now()) {
                return Ok(view);
            }
            self.read(&slot).await?;
            // What others changed while it was read is missing between our own changes.
            if let (Some(news), None) = (&self.news, slot.followed()) {
                self.ask_others(&slot, news).await?;
            }
        }
        slot.build(self.reader.now()).ok_or_else(|| StoreError::Unavailable("a seat map changes too fast".to_owned()))
    }

    /// Asks what others did to this performance, unless that was asked a moment ago.
    async fn follow(&self, slot: &Slot) -> Result<(), StoreError> {
        let Some(news) = &self.news else { return Ok(()) };
        let is_fresh = |within| slot.followed().is_some_and(|age| age < within);
        if is_fresh(FOLLOWED_EVERY) {
            return Ok(());
        }
        let _one_asks = slot.loading.lock().await;
        if is_fresh(FOLLOWED_EVERY) {
            return Ok(());
        }
        match self.ask_others(slot, news).await {
            // A map shown may be a little old; nothing is decided by it.
            Err(_) if is_fresh(SHOWN_WITHOUT_NEWS) => Ok(()),
            asked => asked,
        }
    }

    /// Takes in what others did since the version that is known. Called by one at a time, who holds `loading`.
    async fn ask_others(&self, slot: &Slot, news: &Arc<dyn News>) -> Result<(), StoreError> {
        let Some(version) = slot.version() else { return Ok(()) };
        let began = Instant::now();
        self.reads.inc();
        let changes = news.seats(slot.showing.id, version).await?;
        let is_other = slot.histories.load(Ordering::Acquire) != news.histories();
        if is_other || !slot.catch_up(changes) {
            slot.forget();
        }
        slot.set_followed(Some(began));
        Ok(())
    }

    async fn read(&self, slot: &Slot) -> Result<(), StoreError> {
        *slot.state() = State::Loading(Vec::new());
        slot.set_followed(Some(Instant::now()));
        slot.histories.store(self.news.as_ref().map_or(0, |news| news.histories()), Ordering::Release);
        self.reads.inc();
        let rows = self.reader.seats(slot.showing.id).await;
        let mut state = slot.state();
        let State::Loading(deltas) = std::mem::replace(&mut *state, State::Empty) else { return Ok(()) };
        let mut marks = Marks::new(&slot.showing, &rows?);
        let is_whole = deltas.iter().all(|delta| marks.apply(delta));
        if !is_whole && self.news.is_some() {
            // Others sell too: their changes lie between ours, and are queried. A large map is not read again for them.
            slot.set_followed(None);
        }
        if is_whole || self.news.is_some() {
            *state = State::Ready(marks);
        }
        Ok(())
    }

    fn slot(&self, showing: &Arc<Showing>) -> Arc<Slot> {
        let known = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(&showing.id).cloned();
        let slot = known.unwrap_or_else(|| {
            let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
            let slot = Slot {
                showing: showing.clone(),
                view: ArcSwapOption::empty(),
                stamp: AtomicU64::new(0),
                state: Mutex::new(State::Empty),
                loading: tokio::sync::Mutex::default(),
                histories: AtomicU64::new(0),
                followed_at: Mutex::new(None),
                looked_at: AtomicBool::new(true),
            };
            slots.entry(showing.id).or_insert_with(|| Arc::new(slot)).clone()
        });
        slot.looked_at.store(true, Ordering::Relaxed);
        slot
    }

    /// Drops the maps that nobody looked at since the last call; they are read again when needed.
    pub(crate) fn drop_idle(&self) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| slot.looked_at.swap(false, Ordering::Relaxed));
    }
}

#[async_trait]
impl Observer for SeatMaps {
    fn committed(&self, unit: &Unit) {
        let rows = &unit.rows;
        let mut seats: HashMap<PerformanceId, Vec<(u32, Known)>> = HashMap::new();
        for ((performance, number), seat) in rows.seats.changed() {
            seats.entry(*performance).or_default().push((*number, Known::of(seat)));
        }
        if seats.is_empty() {
            return;
        }
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        for (id, seats) in seats {
            let (Some(slot), Some(performance)) = (slots.get(&id), rows.performances.get(&id)) else { continue };
            let told = rows.events.iter().filter(|event| event.happening.subject() == Subject::Performance(id));
            let changes = told.count() as u64;
            let delta = Delta { before: performance.version - changes, after: performance.version, seats };
            slot.commit(delta, self.news.is_none());
        }
    }

    async fn recover(&self) -> Result<(), StoreError> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).values().for_each(|slot| slot.forget());
        Ok(())
    }
}
