//! Changes of halls for listeners: one task compares the seat maps that are listened to four times a second, and all listeners of a
//! hall share each frame of changes and its text.
//!
//! A listener keeps a place in the log of its hall, and no frames. A slow one therefore costs nothing: if the log has gone on too
//! far, it gets a reset, and its client reads the map again.

mod frame;
mod log;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use onsale_domain::ids::PerformanceId;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{SeatMaps, ViewCache};
use crate::background::TaskMetrics;
use crate::catalogue::{Catalogue, Showing};
use crate::store::{Reader, StoreError};
use log::{Log, Start};

pub use frame::{Frame, FrameKind, Part};
pub use log::Position;

/// The time between two comparisons: listeners of a hall get at most four frames of changes a second.
const COMPARE_EVERY: Duration = Duration::from_millis(250);

/// A hall that had no listener for this long is no longer compared. Until then a listener that comes back can continue.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// How long a listener waits until its version is reached here. Beyond it the listener reads the map again. Instances learn of each
/// other's changes within this time.
const AHEAD_FOR: Duration = Duration::from_secs(3);

/// The time between two checks whether it is.
const AHEAD_CHECK_EVERY: Duration = Duration::from_millis(100);

/// Counts listeners and what they get.
#[derive(Clone, Debug, Default)]
pub struct FeedMetrics {
    listeners: Gauge,
    frames: Counter,
    resets: Counter,
}

impl FeedMetrics {
    /// Registers `seat_listeners`, `seat_frames` and `seat_resets`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("seat_listeners", "Open event streams of halls", self.listeners.clone());
        let help = "Sets of changes made for listeners of halls, each shared by all listeners of its hall";
        registry.register("seat_frames", help, self.frames.clone());
        let help = "Resets sent to listeners of halls, which then read the seat map again";
        registry.register("seat_resets", help, self.resets.clone());
    }
}

/// One hall that is listened to.
struct Feed<C> {
    id: PerformanceId,
    log: Mutex<Log<C>>,
    /// The number of updates with a new frame. Sent after the frame is in the log.
    moved: watch::Sender<u64>,
    /// Incremented only under the lock of [`SeatFeeds::feeds`], so that a feed with a listener is never removed.
    listeners: AtomicUsize,
    /// When the last listener was seen. Held for a copy.
    listened_at: Mutex<Instant>,
}

impl<C: ViewCache> Feed<C> {
    fn new(id: PerformanceId, log: Log<C>) -> Self {
        let (moved, _) = watch::channel(0);
        let listened_at = Mutex::new(Instant::now());
        Self { id, log: Mutex::new(log), moved, listeners: AtomicUsize::new(0), listened_at }
    }

    fn showing(&self) -> Arc<Showing> {
        self.log.lock().view().showing.clone()
    }

    /// Whether it has a listener, or had one a short time ago.
    fn is_wanted(&self) -> bool {
        let mut listened_at = self.listened_at.lock();
        if self.listeners.load(Ordering::Acquire) > 0 {
            *listened_at = Instant::now();
        }
        listened_at.elapsed() < KEPT_FOR
    }
}

/// A client of the changes of one hall.
pub struct Listener<C> {
    feed: Arc<Feed<C>>,
    metrics: FeedMetrics,
    moved: watch::Receiver<u64>,
    /// The serial of the next frame to get.
    next: u64,
}

impl<C: ViewCache> Listener<C> {
    /// The next frame, if there is one. If it is not kept any more, the frame is a reset.
    pub fn take(&mut self) -> Option<Arc<Frame>> {
        self.moved.borrow_and_update();
        let frame = self.feed.log.lock().frame(self.next)?;
        self.note(&frame);
        Some(frame)
    }

    /// Returns once there may be another frame. Cancel safe.
    pub async fn moved(&mut self) {
        if self.moved.changed().await.is_err() {
            // The sender lives as long as the feed, which this listener keeps.
            std::future::pending().await
        }
    }

    /// The seats of a section by its name; all seats without one. The index of a section never changes.
    pub fn part(&self, section: Option<&str>) -> Part {
        let Some(name) = section else { return Part::Hall };
        let showing = self.feed.showing();
        let sections = showing.layout.as_ref().map_or(&[][..], |layout| layout.sections());
        sections.iter().position(|section| &*section.name == name).map_or(Part::Nothing, Part::Section)
    }

    fn note(&mut self, frame: &Frame) {
        self.next = frame.serial + 1;
        if frame.kind == FrameKind::Reset {
            self.metrics.resets.inc();
        }
    }
}

impl<C> Drop for Listener<C> {
    fn drop(&mut self) {
        self.feed.listeners.fetch_sub(1, Ordering::AcqRel);
        self.metrics.listeners.dec();
    }
}

/// The halls of this process that are listened to.
pub struct SeatFeeds<C> {
    maps: Arc<SeatMaps<C>>,
    /// Knows the newest seats and prices of a performance.
    catalogue: Arc<Catalogue>,
    reader: Arc<dyn Reader>,
    /// Guards which feeds exist. Held for one map operation, or one check of each feed.
    feeds: Mutex<HashMap<PerformanceId, Arc<Feed<C>>>>,
    /// Wakes the task when the first listener comes.
    opened: Notify,
    /// Counts listeners and frames.
    pub metrics: FeedMetrics,
}

impl<C: ViewCache> SeatFeeds<C> {
    /// Starts without listeners.
    pub fn new(maps: Arc<SeatMaps<C>>, catalogue: Arc<Catalogue>, reader: Arc<dyn Reader>) -> Self {
        let (feeds, opened, metrics) = (Mutex::default(), Notify::new(), FeedMetrics::default());
        Self { maps, catalogue, reader, feeds, opened, metrics }
    }

    /// A listener of a performance, and what it gets first: the changes since the position, all seats if there is none, or a reset if
    /// the changes are not known. Waits up to 3 s if another instance is ahead.
    ///
    /// # Errors
    /// [`StoreError`] if the map is not known and the database cannot be read.
    pub async fn listen(
        &self,
        showing: &Arc<Showing>,
        from: Option<Position>,
    ) -> Result<(Listener<C>, Arc<Frame>), StoreError> {
        let mut listener = match self.join(showing.id, None) {
            Some(listener) => listener,
            None => {
                let as_of = self.reader.now();
                let view = self.maps.view(showing).await?;
                let log = Log::new(view, as_of);
                self.join(showing.id, Some(log))
                    .ok_or_else(|| StoreError::Unavailable("a hall has no log".to_owned()))?
            }
        };
        let asked = Instant::now();
        loop {
            let start = listener.feed.log.lock().start(from);
            let frame = match start {
                Start::With(frame) => frame,
                Start::Ahead if asked.elapsed() >= AHEAD_FOR => listener.feed.log.lock().reset(),
                Start::Ahead => {
                    tokio::time::sleep(AHEAD_CHECK_EVERY).await;
                    continue;
                }
            };
            listener.note(&frame);
            return Ok((listener, frame));
        }
    }

    /// One more listener of a feed that exists, or that begins with this log.
    fn join(&self, id: PerformanceId, log: Option<Log<C>>) -> Option<Listener<C>> {
        let mut feeds = self.feeds.lock();
        let feed = match (feeds.get(&id).cloned(), log) {
            (Some(feed), _) => feed,
            (None, None) => return None,
            (None, Some(log)) => {
                let feed = Arc::new(Feed::new(id, log));
                feeds.insert(id, feed.clone());
                self.opened.notify_one();
                feed
            }
        };
        feed.listeners.fetch_add(1, Ordering::AcqRel);
        self.metrics.listeners.inc();
        let moved = feed.moved.subscribe();
        Some(Listener { feed, metrics: self.metrics.clone(), moved, next: 0 })
    }

    /// Compares the halls that are listened to, four times a second, until stopped.
    pub async fn run(self: Arc<Self>, metrics: TaskMetrics, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(COMPARE_EVERY);
        // A late comparison is not made up for: listeners get at most four frames a second.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let comparing = async {
            loop {
                ticks.tick().await;
                let wanted = self.wanted();
                if wanted.is_empty() {
                    self.opened.notified().await;
                    continue;
                }
                let compared = self.compare(&wanted).await;
                metrics.ran(compared.is_ok());
                if let Err(error) = compared {
                    tracing::debug!(%error, "failed to read the seat maps of listeners; retrying in 250 ms");
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = comparing => {}
        }
    }

    /// The feeds that are wanted, in the order of ids. Drops the others.
    fn wanted(&self) -> Vec<Arc<Feed<C>>> {
        let mut feeds = self.feeds.lock();
        feeds.retain(|_, feed| feed.is_wanted());
        let mut wanted: Vec<_> = feeds.values().cloned().collect();
        drop(feeds);
        wanted.sort_unstable_by_key(|feed| feed.id);
        wanted
    }

    /// Reads the maps, with one query for the changes of other instances, and adds a frame to each that differs.
    async fn compare(&self, feeds: &[Arc<Feed<C>>]) -> Result<(), StoreError> {
        // The catalogue knows new seats and prices first. The map is then read again, and its listeners get a reset.
        let newest = |feed: &Arc<Feed<C>>| self.catalogue.showing(feed.id).unwrap_or_else(|| feed.showing());
        let showings: Vec<Arc<Showing>> = feeds.iter().map(newest).collect();
        let as_of = self.reader.now();
        let views = self.maps.views(&showings.iter().collect::<Vec<_>>()).await?;
        for (feed, view) in feeds.iter().zip(views) {
            let touched = |version| self.maps.touched_since(feed.id, version);
            if feed.log.lock().update(view, touched, (as_of, Instant::now())) {
                self.metrics.frames.inc();
                feed.moved.send_modify(|moved| *moved += 1);
            }
        }
        Ok(())
    }
}
