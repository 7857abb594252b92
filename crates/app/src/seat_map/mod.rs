//! Seat maps: which seats of a performance are free, as clients see them. Nothing is decided from a map.
//!
//! A process keeps one map for each performance that clients request. It reads the map once from the database and then
//! follows its own commits. A poll costs no I/O, and a rebuild costs in proportion to what has changed. If other
//! instances sell from the same database, the process queries their changes at most every 100 ms, once for all clients.

mod delta;
mod feed;
mod follow;
mod seats;
mod view;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use onsale_domain::event::{Happening, Subject};
use onsale_domain::ids::PerformanceId;
use onsale_domain::time::Timestamp;
use parking_lot::{Mutex, RwLock};
use prometheus_client::metrics::counter::Counter;

use crate::catalogue::Showing;
use crate::desk::Observer;
use crate::store::news::{News, SeatsNews};
use crate::store::{Reader, StoreError, Unit};
use delta::Delta;
use seats::{Known, Seats};

pub use feed::{FeedMetrics, Frame, FrameKind, Listener, Part, Position, SeatFeeds};
pub use view::{Chunk, SeatStatus, SeatView, ViewCache, Which};

/// A rebuild takes at most this part of the time: a map that took 1 ms to build is not rebuilt within 20 ms.
const COST_SHARE: u64 = 20;

/// Maximum number of reads of a map for one request. A process that sells alone reads the map again if it missed a commit of
/// its own.
const LOADS_MAX: u32 = 3;

enum State {
    /// The map is not read yet, or a commit was missed.
    Empty,
    /// A task reads the map. Commits of this process wait here, because the read may or may not contain them.
    Loading(Vec<Delta>),
    /// The map follows the commits of this process.
    Ready(Seats),
}

/// The map of one performance.
///
/// Lock order: `loading`, then `state`. `state` is never held over an await.
struct Slot<C> {
    showing: Arc<Showing>,
    /// The view that was built last.
    view: ArcSwapOption<SeatView<C>>,
    /// Incremented after each change of `state`: a view with another stamp is out of date.
    stamp: AtomicU64,
    /// Guards the seats. Held for the length of one commit or one build.
    state: Mutex<State>,
    /// Held by the task that queries the database for this map. The other tasks wait, and then use its answer.
    loading: tokio::sync::Mutex<()>,
    /// The value of [`News::server_changes`] when the map was read. Written and read only under `loading`.
    server_changes: AtomicU64,
    /// When the process last asked for the other instances' changes. `None` if a change is known to be missing. Held for
    /// a copy only.
    followed_at: Mutex<Option<Instant>>,
    /// Whether a request used the map since the last [`SeatMaps::drop_idle`]. Relaxed: it orders nothing.
    is_used: AtomicBool,
}

impl<C: ViewCache> Slot<C> {
    /// The last view, if it is still right, or if it is too young to be built again.
    fn current(&self, at: Timestamp) -> Option<Arc<SeatView<C>>> {
        let view = self.view.load_full()?;
        // Acquire pairs with the release in `commit`: a client that got its answer sees its own change.
        let is_right = view.stamp == self.stamp.load(Ordering::Acquire) && at < view.valid_until;
        let is_young = || view.built.elapsed().as_nanos() < u128::from(view.cost_nanos() * COST_SHARE);
        (is_right || is_young()).then_some(view)
    }

    /// Builds a view. Returns `None` if the map is not read yet.
    fn build(&self, at: Timestamp) -> Option<Arc<SeatView<C>>> {
        let began = Instant::now();
        let mut state = self.state.lock();
        let State::Ready(seats) = &mut *state else { return None };
        // Read under the lock: the stamp belongs to exactly these seats.
        let stamp = self.stamp.load(Ordering::Acquire);
        let view = Arc::new(seats.view(stamp, at));
        view.add_cost(began.elapsed());
        // Stored under the lock: else an older view could replace a newer one.
        self.view.store(Some(view.clone()));
        Some(view)
    }

    fn commit(&self, delta: Delta, is_alone: bool) {
        let mut state = self.state.lock();
        match &mut *state {
            State::Empty => {}
            State::Loading(deltas) => deltas.push(delta),
            State::Ready(seats) => {
                // A change of another instance lies between the map and this commit.
                if !seats.apply(&delta) {
                    self.set_followed(None);
                    // No other instance sells, so this process missed a commit of its own: read the map again.
                    if is_alone {
                        *state = State::Empty;
                    }
                }
            }
        }
        // After the change and still under the lock. Release pairs with the acquire in `current`.
        self.stamp.fetch_add(1, Ordering::AcqRel);
    }

    /// Applies the other instances' changes. Returns `false` if a change between them is missing.
    fn catch_up(&self, news: Vec<SeatsNews>) -> bool {
        let mut state = self.state.lock();
        let State::Ready(seats) = &mut *state else { return false };
        if news.is_empty() {
            return true;
        }
        let is_whole = news.into_iter().all(|change| seats.apply(&change.into()));
        self.stamp.fetch_add(1, Ordering::AcqRel);
        is_whole
    }

    fn set_followed(&self, at: Option<Instant>) {
        *self.followed_at.lock() = at;
    }

    /// How long ago the process asked for the other instances' changes.
    fn followed(&self) -> Option<Duration> {
        self.followed_at.lock().map(|at| at.elapsed())
    }

    fn is_followed_within(&self, limit: Duration) -> bool {
        self.followed().is_some_and(|age| age < limit)
    }

    fn version(&self) -> Option<u64> {
        match &*self.state.lock() {
            State::Ready(seats) => Some(seats.version()),
            State::Empty | State::Loading(_) => None,
        }
    }

    fn forget(&self) {
        *self.state.lock() = State::Empty;
        self.stamp.fetch_add(1, Ordering::AcqRel);
        self.view.store(None);
    }
}

/// The seat maps of this process. `C` is what the front end keeps with each view.
pub struct SeatMaps<C> {
    reader: Arc<dyn Reader>,
    /// The other instances' changes; `None` if no other instance sells.
    news: Option<Arc<dyn News>>,
    /// The history of a database that no other process writes: a new one with each start.
    own_history: u64,
    /// Read by each request, written when a map is first used or dropped. Never held over an await.
    slots: RwLock<HashMap<PerformanceId, Arc<Slot<C>>>>,
    /// Whether maps are kept; if not, each request reads the database.
    is_kept: bool,
    /// Number of queries for a map or for its changes.
    pub reads: Counter,
}

/// A cache that can drop what no request used lately.
pub trait IdleCache: Send + Sync {
    /// Drops what no request used since the last call. It is read again when a request needs it.
    fn drop_idle(&self);
}

impl<C: ViewCache> SeatMaps<C> {
    /// Starts without maps: each is read when a request first needs it.
    pub fn new(reader: Arc<dyn Reader>, news: Option<Arc<dyn News>>, is_kept: bool) -> Self {
        let own_history = rand::random();
        Self { reader, news, own_history, slots: RwLock::default(), is_kept, reads: Counter::default() }
    }

    /// The seats of a performance as of now. A large map may be older by up to 20 times its build time.
    ///
    /// # Errors
    /// [`StoreError`] if the map is not known and the database cannot be read, or if the other instances' changes have
    /// been unknown for 3 s.
    pub async fn view(&self, showing: &Arc<Showing>) -> Result<Arc<SeatView<C>>, StoreError> {
        if !self.is_kept {
            return self.read_once(showing).await;
        }
        let slot = self.slot(showing);
        if !self.is_fresh(&slot) {
            self.follow(std::slice::from_ref(&slot)).await?;
        }
        self.shown(&slot).await
    }

    /// The seats of several performances, in the given order. The other instances' changes of all of them are one query.
    ///
    /// # Errors
    /// As [`SeatMaps::view`].
    pub async fn views(&self, showings: &[&Arc<Showing>]) -> Result<Vec<Arc<SeatView<C>>>, StoreError> {
        let mut views = Vec::with_capacity(showings.len());
        if !self.is_kept {
            for showing in showings {
                views.push(self.read_once(showing).await?);
            }
            return Ok(views);
        }
        let slots: Vec<_> = showings.iter().map(|showing| self.slot(showing)).collect();
        if slots.iter().any(|slot| !self.is_fresh(slot)) {
            // In the order of ids, as their locks are taken.
            let mut in_order = slots.clone();
            in_order.sort_unstable_by_key(|slot| slot.showing.id);
            in_order.dedup_by_key(|slot| slot.showing.id);
            self.follow(&in_order).await?;
        }
        for slot in &slots {
            views.push(self.shown(slot).await?);
        }
        Ok(views)
    }

    /// Seats that were changed or extended after a version, as far as a kept map knows; `None` if it does not.
    fn touched_since(&self, id: PerformanceId, version: u64) -> Option<Vec<u32>> {
        let slot = self.slots.read().get(&id).cloned()?;
        match &*slot.state.lock() {
            State::Ready(seats) => seats.touched_since(version),
            State::Empty | State::Loading(_) => None,
        }
    }

    /// The history of the database. Read before the rows that belong to it.
    fn history(&self) -> u64 {
        self.news.as_ref().map_or(self.own_history, |news| news.history())
    }

    /// Reads a map that is not kept.
    async fn read_once(&self, showing: &Arc<Showing>) -> Result<Arc<SeatView<C>>, StoreError> {
        self.reads.inc();
        let history = self.history();
        let rows = self.reader.seats(showing.id).await?;
        Ok(Arc::new(Seats::new(showing, history, &rows).view(0, self.reader.now())))
    }

    /// The view of a map that follows the other instances. Reads the map if it is not read yet.
    async fn shown(&self, slot: &Slot<C>) -> Result<Arc<SeatView<C>>, StoreError> {
        let at = self.reader.now();
        if let Some(view) = slot.current(at).or_else(|| slot.build(at)) {
            return Ok(view);
        }
        // Single flight: the first request reads the map, and those that waited for the lock find it built.
        let _one_reader = slot.loading.lock().await;
        for _ in 0..LOADS_MAX {
            if let Some(view) = slot.build(self.reader.now()) {
                return Ok(view);
            }
            self.read(slot).await?;
            // Changes of other instances during the read lie between the commits of this process: ask for them.
            if let (Some(news), None) = (&self.news, slot.followed()) {
                self.ask_others(&[slot], news).await?;
            }
        }
        slot.build(self.reader.now()).ok_or_else(|| StoreError::Unavailable("a seat map changes too fast".to_owned()))
    }

    /// Reads the map from the database. The caller holds `loading`.
    async fn read(&self, slot: &Slot<C>) -> Result<(), StoreError> {
        // Before the query: commits of this process from here on wait in `Loading`.
        *slot.state.lock() = State::Loading(Vec::new());
        slot.set_followed(Some(Instant::now()));
        slot.server_changes.store(self.news.as_ref().map_or(0, |news| news.server_changes()), Ordering::Release);
        let history = self.history();
        self.reads.inc();
        let rows = self.reader.seats(slot.showing.id).await;
        let mut state = slot.state.lock();
        let State::Loading(deltas) = std::mem::replace(&mut *state, State::Empty) else { return Ok(()) };
        let mut seats = Seats::new(&slot.showing, history, &rows?);
        let is_whole = deltas.iter().all(|delta| seats.apply(delta));
        if !is_whole && self.news.is_some() {
            // Changes of other instances lie between those of this process. A query for them is cheaper than a second
            // read of a large map.
            slot.set_followed(None);
        }
        if is_whole || self.news.is_some() {
            *state = State::Ready(seats);
        }
        Ok(())
    }

    fn slot(&self, showing: &Arc<Showing>) -> Arc<Slot<C>> {
        // After a change of start, seats or prices the map is read again. A request that began before keeps the newer one.
        // After the catalogue was replaced, a revision of before may be one that the database has lost.
        let age = |showing: &Showing| (showing.era, showing.revision);
        let is_current = |slot: &Arc<Slot<C>>| age(&slot.showing) >= age(showing);
        let known = self.slots.read().get(&showing.id).filter(|slot| is_current(slot)).cloned();
        let slot = known.unwrap_or_else(|| {
            let slot = Slot {
                showing: showing.clone(),
                view: ArcSwapOption::empty(),
                stamp: AtomicU64::new(0),
                state: Mutex::new(State::Empty),
                loading: tokio::sync::Mutex::default(),
                server_changes: AtomicU64::new(0),
                followed_at: Mutex::new(None),
                is_used: AtomicBool::new(true),
            };
            // Another request may have inserted the slot between the two locks: then its slot counts.
            let mut slots = self.slots.write();
            match slots.get(&showing.id).filter(|slot| is_current(slot)) {
                Some(slot) => slot.clone(),
                None => {
                    let slot = Arc::new(slot);
                    slots.insert(showing.id, slot.clone());
                    slot
                }
            }
        });
        slot.is_used.store(true, Ordering::Relaxed);
        slot
    }
}

impl<C: ViewCache> IdleCache for SeatMaps<C> {
    fn drop_idle(&self) {
        self.slots.write().retain(|_, slot| slot.is_used.swap(false, Ordering::Relaxed));
    }
}

#[async_trait]
impl<C: ViewCache> Observer for SeatMaps<C> {
    fn committed(&self, unit: &Unit) {
        let rows = &unit.rows;
        let mut seats: HashMap<PerformanceId, Vec<(u32, Known)>> = HashMap::new();
        let mut became = |(performance, number): &(PerformanceId, u32), known| {
            seats.entry(*performance).or_default().push((*number, known));
        };
        // The last state of a seat counts: one that was unblocked may be held since, and one whose hold lapsed be blocked.
        for (seat, _) in rows.blocks.changed().filter(|(_, reason)| reason.is_none()) {
            became(seat, Known::Free);
        }
        for (seat, row) in rows.seats.changed() {
            became(seat, Known::of(row));
        }
        for (seat, _) in rows.blocks.changed().filter(|(_, reason)| reason.is_some()) {
            became(seat, Known::Blocked);
        }
        for event in &rows.events {
            if let Happening::HoldsExtended { performance, .. }
            | Happening::TicketCheckedIn { performance, .. }
            | Happening::WaitlistEnded { performance, .. } = &event.happening
            {
                seats.entry(*performance).or_default();
            } else if let Happening::WaitlistJoined { entry, .. } = &event.happening {
                seats.entry(entry.performance).or_default();
            } else if let Happening::TicketVoided { voided } = &event.happening {
                seats.entry(voided.performance).or_default();
            } else if let Happening::PerformanceChanged { performance } = &event.happening {
                seats.entry(performance.id).or_default();
            } else if let Happening::PerformanceCancelled { performance, .. } = &event.happening {
                seats.entry(*performance).or_default();
            }
        }
        if seats.is_empty() {
            return;
        }
        let slots = self.slots.read();
        for (id, seats) in seats {
            let (Some(slot), Some(performance)) = (slots.get(&id), rows.performances.get(&id)) else { continue };
            // Each event of a performance is one change of its version.
            let events = rows.events.iter().filter(|event| event.happening.subject() == Subject::Performance(id));
            let changes = events.count() as u64;
            let extensions = rows.extensions.iter().filter(|extension| extension.performance == id);
            let extensions = extensions.map(|extension| (extension.at, extension.seconds)).collect();
            let (before, after) = (performance.version - changes, performance.version);
            let (closed, cancelled) = (Some(performance.closed), performance.cancelled_at.is_some());
            let waited_for = Some(performance.waitlisted > 0);
            let delta = Delta { before, after, extensions, closed, cancelled, waited_for, seats };
            slot.commit(delta, self.news.is_none());
        }
    }

    async fn recover(&self) -> Result<(), StoreError> {
        for slot in self.slots.read().values() {
            slot.forget();
        }
        Ok(())
    }
}
