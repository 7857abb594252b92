//! Which seats are free, for everyone who looks. Decides nothing.
//!
//! A process keeps one map for each performance that somebody looks at. It is read once from the database, then
//! follows the process's own commits; a look costs no I/O, and rebuilding a map costs what has changed.

mod marks;
mod view;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use onsale_domain::concert::Seat;
use onsale_domain::event::Subject;
use onsale_domain::ids::PerformanceId;
use onsale_domain::time::Timestamp;

use crate::catalogue::Showing;
use crate::desk::Observer;
use crate::store::{Reader, StoreError, Unit};
use marks::Marks;

pub use view::{Chunk, Mark, SeatView, Which};

/// Rebuilding takes at most this part of the time: a map that cost 1 ms is not rebuilt within 20 ms.
const COST_SHARE: u64 = 20;

/// What one unit of work changed in one performance.
#[derive(Debug)]
struct Delta {
    /// The performance's version before and after.
    before: u64,
    after: u64,
    seats: Vec<(u32, Option<Seat>)>,
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

    fn commit(&self, delta: Delta) {
        let mut state = self.state();
        match &mut *state {
            State::Empty => {}
            State::Loading(deltas) => deltas.push(delta),
            State::Ready(marks) => {
                // Somebody else's change is missing in between: read it again.
                if !marks.apply(&delta) {
                    *state = State::Empty;
                }
            }
        }
        self.stamp.fetch_add(1, Ordering::AcqRel);
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
    slots: RwLock<HashMap<PerformanceId, Arc<Slot>>>,
}

impl SeatMaps {
    /// No map yet: each is read when it is first looked at.
    pub fn new(reader: Arc<dyn Reader>) -> Self {
        Self { reader, slots: RwLock::default() }
    }

    /// The seats of a performance as of now, or of a moment ago where the map is large.
    ///
    /// # Errors
    /// Where the map is not known and the database cannot be read.
    pub async fn view(&self, showing: &Arc<Showing>) -> Result<Arc<SeatView>, StoreError> {
        let slot = self.slot(showing);
        let at = self.reader.now();
        if let Some(view) = slot.current(at).or_else(|| slot.build(at)) {
            return Ok(view);
        }
        let _one_reader = slot.loading.lock().await;
        loop {
            if let Some(view) = slot.build(self.reader.now()) {
                return Ok(view);
            }
            self.read(&slot).await?;
        }
    }

    async fn read(&self, slot: &Slot) -> Result<(), StoreError> {
        *slot.state() = State::Loading(Vec::new());
        let rows = self.reader.seats(slot.showing.id).await;
        let mut state = slot.state();
        let State::Loading(deltas) = std::mem::replace(&mut *state, State::Empty) else { return Ok(()) };
        let mut marks = Marks::new(&slot.showing, &rows?);
        if deltas.iter().all(|delta| marks.apply(delta)) {
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
        let mut seats: HashMap<PerformanceId, Vec<(u32, Option<Seat>)>> = HashMap::new();
        for ((performance, number), seat) in rows.seats.changed() {
            seats.entry(*performance).or_default().push((*number, seat.cloned()));
        }
        if seats.is_empty() {
            return;
        }
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        for (id, seats) in seats {
            let (Some(slot), Some(performance)) = (slots.get(&id), rows.performances.get(&id)) else { continue };
            let told = rows.events.iter().filter(|event| event.happening.subject() == Subject::Performance(id));
            let changes = told.count() as u64;
            slot.commit(Delta { before: performance.version - changes, after: performance.version, seats });
        }
    }

    async fn recover(&self) -> Result<(), StoreError> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).values().for_each(|slot| slot.forget());
        Ok(())
    }
}
