//! What every poll reads: counters, line and estimates, replaced as a whole.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Line, Room, Settings, Token};
use parking_lot::Mutex;

use super::turns::Settled;
use crate::store::Announced;
use crate::waiting_room::estimate::{EstimateMetrics, Estimates};
use crate::waiting_room::outlook::{Forecaster, Move, Outlook};
use crate::waiting_room::pace::Running;
use crate::waiting_room::promises::{Forgiveness, Promises};
use crate::waiting_room::standing::Wait;

/// Counters and line of a room, as of one commit.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The settings and counters of the room.
    pub room: Room,
    /// The places in line.
    pub line: Line,
    /// The notice, as of a version of the concert.
    pub announced: Announced,
    /// Estimates and poll intervals.
    outlook: Arc<Outlook>,
}

impl Snapshot {
    /// The longest poll interval of a position, in seconds.
    pub(in crate::waiting_room) fn longest_interval(&self, position: u64) -> f64 {
        self.outlook.longest_interval(position)
    }

    /// The wait of a position if the room admits users from now on.
    pub(super) fn wait(&self, position: u64) -> Wait {
        self.outlook.wait(position)
    }

    /// Whether an entry number may still be on the list: before the closing only if it was not given up.
    pub(super) fn is_listed(&self, number: u64) -> bool {
        self.room.list.is_some() || self.line.position(number).is_some()
    }

    /// When a token asks again whose place is not known yet: as one far back in line. Around the draw each asks once, evenly spread
    /// until the opening, and then knows its place.
    pub(super) fn poll_undrawn_after_seconds(&self, token: &Token, waiting: u64, now: Timestamp) -> u64 {
        let spread = token.id.uuid().as_bytes()[15];
        let far = self.poll_after_seconds(waiting.max(1), spread);
        let Settings { draw_at, sale, claim_seconds, .. } = self.room.settings;
        let between = draw_at.zip(sale.opens_at).map(|(draw_at, opens_at)| {
            draw_at.plus_millis(draw_at.millis_until(opens_at) * i64::from(spread) / 256).plus_seconds(1)
        });
        match between.filter(|asks_at| now < *asks_at) {
            Some(asks_at) => far.min(u64::from(now.seconds_until(asks_at))),
            // The draw is late. It may be followed by the admission at once, and silence must not end that turn.
            None => far.min(u64::from(claim_seconds / 2)).max(1),
        }
    }

    pub(super) fn poll_after_seconds(&self, position: u64, spread: u8) -> u64 {
        self.outlook.poll_after_seconds(position, spread)
    }
}

/// What a commit changed of the snapshot.
pub(super) struct Committed {
    pub(super) room: Room,
    /// Places in line that were given up.
    pub(super) given_up: Vec<u64>,
    /// The turns that ended.
    pub(super) settled: Settled,
    /// The last place that Redis is known to have handed out.
    pub(super) redis_issued: u64,
    /// What buyers read from now on, if the commit may have changed it.
    pub(super) announced: Option<Announced>,
}

/// The snapshot of a room, with all that is needed to make the next one.
pub(super) struct Published {
    /// Polls load it without a lock.
    snapshot: ArcSwap<Snapshot>,
    /// Makes the outlook of the next snapshot. Its lock also guards the replacement of `snapshot`, because each snapshot
    /// follows from the one before: two commits that replaced it at once would lose given-up places of one of them.
    forecaster: Mutex<Forecaster>,
    /// Snapshots of the past, from which follows until when a client may be silent.
    promises: Mutex<Promises>,
    estimates: Estimates,
    estimate_metrics: EstimateMetrics,
}

impl Published {
    pub(super) fn new(room: Room, line: Line, running: Running, polls_per_second: u32, at: Timestamp) -> Self {
        let promises = Promises::started(&room, polls_per_second, at);
        let (forecaster, outlook) = Forecaster::new(&room, &line, running, polls_per_second, at);
        Self {
            snapshot: ArcSwap::from_pointee(Snapshot {
                room,
                line,
                announced: Announced::default(),
                outlook: Arc::new(outlook),
            }),
            forecaster: Mutex::new(forecaster),
            promises: Mutex::new(promises),
            estimates: Estimates::default(),
            estimate_metrics: EstimateMetrics::default(),
        }
    }

    /// The same with this for buyers to read.
    pub(super) fn announcing(self, announced: Announced) -> Self {
        let known = self.snapshot.load_full();
        self.snapshot.store(Arc::new(Snapshot { announced, ..Snapshot::clone(&known) }));
        self
    }

    /// The same with these metrics of estimates.
    pub(super) fn measured_by(self, estimate_metrics: EstimateMetrics) -> Self {
        Self { estimate_metrics, ..self }
    }

    /// The snapshot for one read, without a count of references.
    pub(super) fn load(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Replaces the snapshot after a commit. `share` is the part of the rate that the room admits.
    pub(super) fn replace(&self, committed: Committed, share: f64, at: Timestamp) {
        let Committed { room, given_up, settled, redis_issued, announced } = committed;
        // Held until the new snapshot is stored: see the field.
        let mut forecaster = self.forecaster.lock();
        let known = self.snapshot.load_full();
        // Commits may arrive out of order: the newer row stays, and the given-up places count all the same.
        let is_newer = known.room.version < room.version;
        let room = if is_newer { room } else { known.room.clone() };
        let announced = announced.filter(|_| is_newer).unwrap_or_else(|| known.announced.clone());
        let mut before = known.line.clone();
        given_up.into_iter().for_each(|place| before.give_up(place));
        let mut line = before.clone();
        line.advance(room.issued, room.served);
        line.account_for(&room.blocks);
        if known.room.settings != room.settings {
            self.promises.lock().keep(&known, at, true);
        }
        let issued = redis_issued.min(room.blocks.reserved_to);
        let Settled { absent, shortest } = settled;
        let moved = Move { from: (&known.room, &before), to: (&room, &line), issued, absent, shortest };
        forecaster.measure(&moved, at);
        let outlook = forecaster.next_outlook(&known.outlook, &moved, share, at);
        let outlook = outlook.map_or_else(|| known.outlook.clone(), Arc::new);
        self.snapshot.store(Arc::new(Snapshot { room, line, announced, outlook }));
        drop(forecaster);
        self.note_estimate(redis_issued, at);
    }

    /// Replaces estimates and poll intervals while no commit does.
    pub(super) fn update_outlook(&self, waiting: u64, issued: u64, share: f64, at: Timestamp) {
        let mut forecaster = self.forecaster.lock();
        // Read under the lock: a commit in between would be lost with the snapshot that is stored below.
        let known = self.snapshot.load_full();
        if waiting == 0 && forecaster.is_current(&known.room) {
            return;
        }
        let (room, line) = (&known.room, &known.line);
        self.promises.lock().keep(&known, at, false);
        let moved = Move { from: (room, line), to: (room, line), issued, absent: 0, shortest: None };
        forecaster.measure(&moved, at);
        if let Some(outlook) = forecaster.next_outlook(&known.outlook, &moved, share, at) {
            let next = Snapshot { outlook: Arc::new(outlook), ..Snapshot::clone(&known) };
            self.snapshot.store(Arc::new(next));
        }
    }

    /// Takes over measurements, estimates and promises of the same room from before it was read again.
    pub(super) fn continue_from(&mut self, known: &Self, issued: u64, share: f64, at: Timestamp) {
        let read = self.snapshot.load_full();
        let mut forecaster = known.forecaster.lock().clone();
        let before = known.snapshot.load_full();
        let (from, to) = ((&before.room, &before.line), (&read.room, &read.line));
        let moved = Move { from, to, issued, absent: 0, shortest: None };
        forecaster.measure(&moved, at);
        let outlook = forecaster.next_outlook(&before.outlook, &moved, share, at);
        let outlook = outlook.map_or_else(|| before.outlook.clone(), Arc::new);
        self.snapshot.store(Arc::new(Snapshot { outlook, ..Snapshot::clone(&read) }));
        self.forecaster = Mutex::new(forecaster);
        let mut promises = known.promises.lock();
        promises.keep(&before, at, before.room.settings != read.room.settings);
        // Moved and not copied: clients are answered from this value from now on.
        self.promises = Mutex::new(std::mem::take(&mut promises));
    }

    /// Replaces the count of running turns, on which the next outlook is based.
    pub(super) fn count(&self, running: Running) {
        self.forecaster.lock().count(running);
    }

    /// Until when silence does not end turns of places up to this one, the last that is admitted now: their clients may have
    /// been given intervals until then.
    pub(super) fn forgiveness(&self, last_admitted: u64, at: Timestamp) -> Forgiveness {
        let claim_seconds = self.snapshot.load().room.settings.claim_seconds;
        self.promises.lock().forgiveness(last_admitted, claim_seconds, at)
    }

    /// Notes the estimate of the last place in line, and measures the estimates of places that are admitted by now.
    fn note_estimate(&self, redis_issued: u64, at: Timestamp) {
        let snapshot = self.snapshot.load();
        let room = &snapshot.room;
        self.estimates.settle(room.served, at, &self.estimate_metrics);
        let last = room.issued.max(redis_issued.min(room.blocks.reserved_to));
        if let Some(position) = snapshot.line.position(last).filter(|_| self.estimates.is_due(last, at)) {
            self.estimates.note(last, at, snapshot.wait(position));
        }
    }

    /// The latest instant at which a client may poll that was answered before now.
    #[cfg(test)]
    pub(super) fn latest_promise(&self, place: u64, at: Timestamp) -> Timestamp {
        self.promises.lock().latest(place, at)
    }
}
