//! Compares the database's clock with the monotonic clock of this process. Both advance equally, unless a clock was set.
//!
//! Decisions always use the database's clock as it is at that moment. But background work that cannot be undone rests for a
//! moment after the clock jumped ahead, because a wrong clock may be set back soon.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_domain::ids::{PerformanceId, ReservationId};
use onsale_domain::time::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::conditions::Conditions;
use crate::store::{Reader, StoreError};

/// How often the task reads the clock.
const READ_EVERY: Duration = Duration::from_millis(100);

/// How long the condition `clock`/`jump` stays raised after a jump.
const SHOWN_FOR: Duration = Duration::from_secs(300);

/// Maximum number of holds with a future start that one query returns.
const AHEAD_MAX: usize = 10_000;

/// Counts jumps by their direction.
type ByDirection = Family<[(&'static str, &'static str); 1], Counter>;

/// The last reading of both clocks, and the jumps so far.
struct Seen {
    /// The database's time at the last reading.
    at: Timestamp,
    /// The monotonic time of the same moment.
    when: Instant,
    /// When the last jump ahead was seen.
    ahead: Option<Instant>,
    /// When the last jump was seen.
    jumped: Option<Instant>,
    /// How often the clock was set back.
    set_back: u64,
}

/// Reads the database's clock and notices when it jumps.
pub struct ClockWatch {
    reader: Arc<dyn Reader>,
    /// Guards both readings, so that two readers do not mix them up. Held while the clocks are read, which costs no I/O.
    seen: Mutex<Seen>,
    conditions: Arc<Conditions>,
    jumps: ByDirection,
}

impl ClockWatch {
    /// Watches the clock of a database from now on.
    pub fn new(reader: Arc<dyn Reader>, conditions: Arc<Conditions>) -> Self {
        let seen = Seen { at: reader.now(), when: Instant::now(), ahead: None, jumped: None, set_back: 0 };
        Self { reader, seen: Mutex::new(seen), conditions, jumps: ByDirection::default() }
    }

    /// Shows the counter `clock_jumps{direction}`, 0 until the clock jumps.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Jumps of the database's clock by more than 2 s, by direction (forward or back)";
        registry.register("clock_jumps", help, self.jumps.clone());
        for direction in ["forward", "back"] {
            drop(self.jumps.get_or_create(&[("direction", direction)]));
        }
    }

    /// The database's time now. Notices and reports a jump since the last call.
    pub fn now(&self) -> Timestamp {
        let mut seen = self.seen.lock();
        // Locked before the clocks are read: else two threads could store their readings in the wrong order, and the clock
        // would seem to go back.
        let before = Instant::now();
        let (at, when) = (self.reader.now(), Instant::now());
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let moved = seen.at.plus_millis(millis(when - seen.when)).millis_until(at);
        // The thread may have been suspended between the two readings: that is no jump.
        let is_jump = moved.abs() > Timestamp::SET_BACK_MILLIS.saturating_add(millis(when - before));
        (seen.at, seen.when) = (at, when);
        if is_jump {
            seen.jumped = Some(when);
            if moved > 0 {
                seen.ahead = Some(when);
            } else {
                seen.set_back += 1;
            }
            self.report(moved);
        }
        at
    }

    fn report(&self, moved_millis: i64) {
        let direction = if moved_millis > 0 { "forward" } else { "back" };
        self.jumps.get_or_create(&[("direction", direction)]).inc();
        tracing::warn!(direction, moved_millis, "the database's clock jumped: it was set, or the machine stood still");
        let seconds = moved_millis as f64 / 1_000.0;
        let reason = format!(
            "the database's clock jumped by {seconds:+.1} s; holds, turns and keys go by it: see that a time service keeps it"
        );
        self.conditions.raise("clock", "jump", reason);
    }

    /// Whether the clock jumped ahead less than `time` ago.
    pub fn jumped_ahead_within(&self, time: Duration) -> bool {
        let seen = self.seen.lock();
        seen.ahead.is_some_and(|ahead| ahead.elapsed() < time)
    }

    fn set_back(&self) -> u64 {
        self.seen.lock().set_back
    }

    /// Reads the clock every 100 ms until stopped, and clears the condition after five minutes without a jump.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(READ_EVERY) => {}
            }
            let _ = self.now();
            let mut seen = self.seen.lock();
            if seen.jumped.is_some_and(|jumped| jumped.elapsed() >= SHOWN_FOR) {
                seen.jumped = None;
                self.conditions.clear("clock", "jump");
            }
        }
    }
}

/// Holds that were taken while the clock was ahead. Each ends when its length has passed since this process noticed it, on
/// the monotonic clock. By the database's clock it would last until that clock reaches the wrong time again.
#[derive(Default)]
pub(crate) struct HoldsAhead {
    noticed: HashMap<ReservationId, Instant>,
    /// How many times the clock had been set back when the last query found no such holds.
    none_after: Option<u64>,
}

impl HoldsAhead {
    /// The holds whose length has passed. Queries the database only after the process started, and after the clock was set
    /// back, until no such holds are left.
    pub(crate) async fn ended(
        &mut self,
        clock: &ClockWatch,
        reader: &dyn Reader,
    ) -> Result<Vec<(PerformanceId, ReservationId)>, StoreError> {
        let now = clock.now();
        let set_back = clock.set_back();
        if self.none_after == Some(set_back) {
            return Ok(Vec::new());
        }
        let found = reader.holds_after(now.plus_millis(Timestamp::SET_BACK_MILLIS), AHEAD_MAX).await?;
        self.none_after = found.is_empty().then_some(set_back);
        // Rebuilt from the answer: holds that ended or were paid meanwhile drop out.
        let mut noticed = HashMap::with_capacity(found.len());
        let mut ended = Vec::new();
        for (performance, hold, length_millis) in found {
            let since = self.noticed.get(&hold).copied().unwrap_or_else(Instant::now);
            noticed.insert(hold, since);
            if since.elapsed() >= Duration::from_millis(length_millis) {
                ended.push((performance, hold));
            }
        }
        self.noticed = noticed;
        Ok(ended)
    }
}
