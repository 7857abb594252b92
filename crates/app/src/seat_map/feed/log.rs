//! The last changes of one hall: what a listener gets next, and what one gets first that continues from a version.
//!
//! A frame has the status of each seat that changed since the frame before it, also if the seat changed back: a client may have read
//! its map in between. A listener that gets a status twice is still right.
//!
//! A lapse changes no version. It is sent when it happens, and again when the hold is settled, which changes the version. So a
//! listener that continues from any version gets either the settling, or the lapsed seats that are not settled yet.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_domain::time::Timestamp;

use super::frame::{Frame, FrameKind, Stamp};
use crate::seat_map::{SeatStatus, SeatView, ViewCache, Which};

/// Frames that are kept: 16 seconds at four a second. A listener that is further behind reads the map again.
const FRAMES_MAX: usize = 64;

/// Changes of seats that are kept, over all frames. The last frame is kept in any case.
const CHANGES_MAX: usize = 200_000;

/// Every listener gets a frame this often, so that it knows that the stream lives, and its version stays known.
pub(super) const BEAT_EVERY: Duration = Duration::from_secs(10);

/// A version that a listener has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The history that the version belongs to; `None`: the present one.
    pub history: Option<u64>,
    /// The version of the performance.
    pub version: u64,
}

impl Position {
    /// A position that no log knows: its listener reads the map again.
    pub const LOST: Self = Self { history: Some(0), version: 0 };
}

/// What a listener gets first.
#[derive(Debug)]
pub(super) enum Start {
    /// This, and then the frames behind it.
    With(Arc<Frame>),
    /// Its version is not reached here: another instance is ahead.
    Ahead,
}

/// The last frames of one performance.
pub(super) struct Log<C> {
    /// The hall as of the last frame, or later if no status has changed since.
    view: Arc<SeatView<C>>,
    as_of: Timestamp,
    frames: VecDeque<Arc<Frame>>,
    /// The serial of the next frame.
    next: u64,
    /// A listener that has this version, or a later one, can continue.
    known_from: u64,
    /// When all listeners got a frame last.
    beat_at: Instant,
    /// What listeners got first since the last frame: all seats, a reset, or the changes from a serial on.
    whole: Option<Arc<Frame>>,
    reset: Option<Arc<Frame>>,
    merged: HashMap<u64, Arc<Frame>>,
}

impl<C: ViewCache> Log<C> {
    pub(super) fn new(view: Arc<SeatView<C>>, as_of: Timestamp) -> Self {
        let known_from = view.version;
        let (frames, beat_at) = (VecDeque::new(), Instant::now());
        Self { view, as_of, frames, next: 1, known_from, beat_at, whole: None, reset: None, merged: HashMap::new() }
    }

    pub(super) fn view(&self) -> &Arc<SeatView<C>> {
        &self.view
    }

    /// Compares with the present hall. `touched` returns the seats that changed after a version; `None` if that is not known. Returns
    /// whether there is a new frame.
    pub(super) fn update(
        &mut self,
        view: Arc<SeatView<C>>,
        touched: impl FnOnce(u64) -> Option<Vec<u32>>,
        (as_of, now): (Timestamp, Instant),
    ) -> bool {
        let last = std::mem::replace(&mut self.view, view);
        self.as_of = as_of;
        if !continues(&last, &self.view) {
            self.frames.clear();
            self.known_from = self.view.version;
            self.push(FrameKind::Reset, Vec::new(), now);
            return true;
        }
        let touched = if last.version == self.view.version { Some(Vec::new()) } else { touched(last.version) };
        let changes = match touched {
            Some(_) if last.serial == self.view.serial => Vec::new(),
            Some(touched) => diff(&last, &self.view, &touched),
            None => all(&self.view),
        };
        let is_beat_due = now.saturating_duration_since(self.beat_at) >= BEAT_EVERY;
        if changes.is_empty() && !is_beat_due {
            return false;
        }
        self.push(if is_beat_due { FrameKind::Beat } else { FrameKind::Changes }, changes, now);
        true
    }

    fn push(&mut self, kind: FrameKind, changes: Vec<(u32, SeatStatus)>, now: Instant) {
        if kind != FrameKind::Changes {
            self.beat_at = now;
        }
        let frame = Frame::new(self.stamp(self.next), kind, changes);
        self.next += 1;
        self.frames.push_back(Arc::new(frame));
        (self.whole, self.reset) = (None, None);
        self.merged.clear();
        let mut kept: usize = self.frames.iter().map(|frame| frame.changes.len()).sum();
        while self.frames.len() > FRAMES_MAX || (kept > CHANGES_MAX && self.frames.len() > 1) {
            let Some(dropped) = self.frames.pop_front() else { break };
            kept -= dropped.changes.len();
            self.known_from = dropped.version;
        }
    }

    fn stamp(&self, serial: u64) -> Stamp {
        let SeatView { history, version, showing, .. } = &*self.view;
        Stamp { serial, history: *history, version: *version, as_of: self.as_of, showing: showing.clone() }
    }

    /// The frame with this serial; `None` if it does not exist yet. A reset if it is not kept any more.
    pub(super) fn frame(&mut self, serial: u64) -> Option<Arc<Frame>> {
        if serial >= self.next {
            return None;
        }
        let first = self.next - self.frames.len() as u64;
        let index = serial.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        let kept = index.and_then(|index| self.frames.get(index)).cloned();
        Some(kept.unwrap_or_else(|| self.reset()))
    }

    /// What a listener gets first that has this version, or none.
    pub(super) fn start(&mut self, from: Option<Position>) -> Start {
        let Some(Position { history, version }) = from else { return Start::With(self.whole()) };
        if history.is_some_and(|history| history != self.view.history) {
            return Start::With(self.reset());
        }
        if version > self.view.version {
            return Start::Ahead;
        }
        Start::With(if version < self.known_from { self.reset() } else { self.merged(version) })
    }

    /// Requests a listener to read the map again. It continues with the frames behind the last one.
    pub(super) fn reset(&mut self) -> Arc<Frame> {
        let make = || Arc::new(Frame::new(self.stamp(self.next - 1), FrameKind::Reset, Vec::new()));
        let frame = self.reset.clone().unwrap_or_else(make);
        self.reset.insert(frame).clone()
    }

    /// Every seat as one frame.
    fn whole(&mut self) -> Arc<Frame> {
        let make = || Arc::new(Frame::new(self.stamp(self.next - 1), FrameKind::Beat, all(&self.view)));
        let frame = self.whole.clone().unwrap_or_else(make);
        self.whole.insert(frame).clone()
    }

    /// The changes after a version as one frame: the last status of each seat counts.
    fn merged(&mut self, version: u64) -> Arc<Frame> {
        let first = self.frames.partition_point(|frame| frame.version <= version);
        let key = self.next - (self.frames.len() - first) as u64;
        if let Some(known) = self.merged.get(&key) {
            return known.clone();
        }
        let mut changes: BTreeMap<u32, SeatStatus> =
            self.view.lapsed.iter().map(|seat| (*seat, SeatStatus::Available)).collect();
        for frame in self.frames.range(first..) {
            changes.extend(frame.changes.iter().copied());
        }
        let stamp = self.stamp(self.next - 1);
        let frame = Arc::new(Frame::new(stamp, FrameKind::Beat, changes.into_iter().collect()));
        self.merged.insert(key, frame.clone());
        frame
    }
}

/// Whether the second view is a later state of the first one: of the same history, with the same seats and prices.
fn continues<C>(last: &SeatView<C>, view: &SeatView<C>) -> bool {
    let kind = |view: &SeatView<C>| (view.history, view.showing.era, view.showing.revision, view.chunks.len());
    kind(last) == kind(view) && last.version <= view.version
}

/// Every seat, in ascending order.
fn all<C>(view: &SeatView<C>) -> Vec<(u32, SeatStatus)> {
    view.chunks.iter().flat_map(|chunk| chunk.seats(Which::All)).collect()
}

/// Seats whose status differs, as after a lapse, and seats that were touched, in ascending order.
fn diff<C: ViewCache>(last: &SeatView<C>, view: &SeatView<C>, touched: &[u32]) -> Vec<(u32, SeatStatus)> {
    let mut changes: Vec<_> =
        touched.iter().filter_map(|seat| view.status_of(*seat).map(|status| (*seat, status))).collect();
    // Views share the chunks that did not change.
    let pairs = last.chunks.iter().zip(&view.chunks).filter(|(before, after)| !Arc::ptr_eq(before, after));
    for (before, after) in pairs {
        let seats = before.seats(Which::All).zip(after.seats(Which::All));
        changes.extend(seats.filter(|((_, was), (_, is))| was != is).map(|(_, now)| now));
    }
    changes.sort_unstable_by_key(|(seat, _)| *seat);
    changes.dedup_by_key(|(seat, _)| *seat);
    changes
}
