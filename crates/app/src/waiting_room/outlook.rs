//! The answer to a client in line about the time ahead: an estimate of its wait, and when to poll again.

use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Line, Room, Settings};

use super::forecast::Forecasts;
use super::pace::{Change, Pace, Running, precise, seconds_between};
use super::poll_interval::{Plan, whole};
use super::standing::Wait;
use super::stated::{Earlier, Elapsed, Stated};

/// Estimates are computed at this interval in seconds, and with each admission.
const EVERY_SECONDS: f64 = 0.25;

/// Polls are planned for a pace this much above the measured one.
const AHEAD_OF_PACE: f64 = 1.25;

/// The longest estimate: a year, in seconds.
const SECONDS_MAX: f64 = 31_536_000.0;

/// Estimates and poll intervals of one room, as of one moment.
#[derive(Clone, Debug)]
pub(super) struct Outlook {
    stated: Stated,
    /// Bounds of the wait. Each follows its forecast as the estimate does.
    soonest: Stated,
    latest: Stated,
    plan: Plan,
}

/// One second's worth of admissions may come at once.
const BURST_SECONDS: f64 = 1.0;

/// A client learns of its turn this much later, in seconds: a poll in the last second, and its way.
const LEARNS_WITHIN_SECONDS: f64 = 1.0;

impl Outlook {
    /// The wait of a position.
    pub(super) fn wait(&self, position: u64) -> Wait {
        let position = precise(position);
        let seconds = self.stated.seconds(position).ceil().clamp(1.0, SECONDS_MAX);
        let low = (self.soonest.seconds(position) - BURST_SECONDS).floor().clamp(0.0, seconds);
        let high = (self.latest.seconds(position) + LEARNS_WITHIN_SECONDS).ceil().clamp(seconds, SECONDS_MAX);
        Wait { seconds: whole(seconds), low: whole(low), high: whole(high) }
    }

    /// The outlook of a line in which no client waited.
    fn new(forecasts: &Forecasts, plan: Plan) -> Self {
        let Forecasts { soonest, likely, latest } = forecasts;
        Self { stated: Stated::new(likely), soonest: Stated::new(soonest), latest: Stated::new(latest), plan }
    }

    /// The outlook that follows this one when time has passed.
    fn follow(&self, forecasts: &Forecasts, elapsed: Elapsed, plan: Plan) -> Self {
        Self {
            stated: self.stated.follow(&forecasts.likely, elapsed, &plan),
            soonest: self.soonest.follow(&forecasts.soonest, elapsed, &plan),
            latest: self.latest.follow(&forecasts.latest, elapsed, &plan),
            plan,
        }
    }

    /// Whole seconds until a position polls again, at least 1.
    pub(super) fn poll_after_seconds(&self, position: u64, spread: u8) -> u64 {
        self.plan.poll_after_seconds(position, spread)
    }

    /// The longest interval of a position until it polls again, in seconds.
    pub(super) fn longest_interval(&self, position: u64) -> f64 {
        self.plan.longest_interval(precise(position))
    }
}

/// Computes the outlooks of one room.
#[derive(Clone, Debug)]
pub(super) struct Forecaster {
    pace: Pace,
    made_at: Timestamp,
    /// Users admitted since the outlook was made.
    called: u64,
    /// The plan before the last change of settings, the time of the change, and the users admitted since.
    earlier: Option<(Plan, Timestamp, f64)>,
    polls_per_second: u32,
}

/// A room before and after a change.
pub(super) struct Move<'a> {
    pub(super) from: (&'a Room, &'a Line),
    pub(super) to: (&'a Room, &'a Line),
    /// The last place that was handed out, which the room in the database may not know yet.
    pub(super) issued: u64,
    /// Turns that lapsed unused.
    pub(super) absent: u64,
    /// The shortest of the other turns that ended, in seconds.
    pub(super) shortest: Option<f64>,
}

impl Forecaster {
    /// For a room as it was read from the database at this time, with its first outlook.
    pub(super) fn new(
        room: &Room,
        line: &Line,
        running: Running,
        polls_per_second: u32,
        at: Timestamp,
    ) -> (Self, Outlook) {
        let ended = room.served.saturating_sub(u64::from(room.active));
        let made =
            Self { pace: Pace::resumed(running, ended, at), made_at: at, called: 0, earlier: None, polls_per_second };
        let forecasts = Forecasts::new(room, &made.pace, 1.0);
        let outlook = Outlook::new(&forecasts, made.plan(room, line.waiting(), at));
        (made, outlook)
    }

    fn plan(&self, room: &Room, waiting: u64, at: Timestamp) -> Plan {
        // Measured, with a reserve, or expected: turns may end sooner than they did.
        let expected = f64::from(room.settings.max_active) / self.pace.planned_turn_seconds(&room.settings);
        let pace = expected.max(AHEAD_OF_PACE * self.pace.calls_per_second());
        let polls = self.polls_per_second;
        if let Some(opens_at) = room.settings.sale.opens_later(at).filter(|_| room.is_early()) {
            // It only moves later while users are in line.
            let plan = Plan::new(&room.settings, room.active, waiting, pace, polls);
            return plan.opening_in(seconds_between(at, opens_at), polls);
        }
        // Outside the hours of the sale as during a pause.
        let settings = Settings { paused: !room.admits(at), ..room.settings };
        Plan::new(&settings, room.active, waiting, pace, polls)
    }

    /// Replaces the count of running turns.
    pub(super) fn count(&mut self, running: Running) {
        self.pace.count(running);
    }

    /// Whether the last outlook was made after the last change of the room.
    pub(super) fn is_current(&self, room: &Room) -> bool {
        self.made_at >= room.updated_at
    }

    /// Measures a move of the room.
    pub(super) fn measure(&mut self, moved: &Move<'_>, at: Timestamp) {
        let ((before, line), (room, _)) = (moved.from, moved.to);
        // The closing of a list passes its entries, and calls none.
        let is_closing = before.list != room.list && before.list.is_none();
        let called = if is_closing { 0 } else { line.users_up_to(room.served) };
        let ended = (called + u64::from(before.active)).saturating_sub(u64::from(room.active));
        let absent = moved.absent.min(ended);
        self.pace.measure(Change { active: before.active, called, ended, absent, shortest: moved.shortest }, at);
        self.called += called;
    }

    /// The outlook after a move, if a new one is due. `share` is the fraction of the rate that the room admits.
    /// While the room admits no user the stated estimates stay as they were: the end of a pause is not known, and the time
    /// until an opening is added where they are read.
    pub(super) fn next_outlook(
        &mut self,
        known: &Outlook,
        moved: &Move<'_>,
        share: f64,
        at: Timestamp,
    ) -> Option<Outlook> {
        let ((before, line_before), (room, line)) = (moved.from, moved.to);
        let waited = line_before.users_up_to(moved.issued.max(line_before.issued));
        let waiting = line.users_up_to(moved.issued.max(line.issued));
        let seconds = seconds_between(self.made_at, at);
        // The sale opens and closes by the clock, too.
        let changed = before.settings != room.settings || before.admits(self.made_at) != room.admits(at);
        // In an empty room the next outlook is computed now and then: the next client is answered from it.
        let moves = waiting > 0 && (self.called > 0 || waited == 0);
        if waiting == 0 && waited == 0 {
            self.called = 0;
        }
        if !changed && !moves && seconds < EVERY_SECONDS {
            return None;
        }
        let plan = self.plan(room, waiting, at);
        let forecasts = Forecasts::new(room, &self.pace, share);
        if changed {
            self.earlier = Some((known.plan, at, 0.0));
        }
        let earlier = self.earlier.as_mut().map(|(plan, since, called)| {
            *called += precise(self.called);
            Earlier { plan: *plan, seconds: seconds_between(*since, at), called: *called }
        });
        let called = precise(self.called);
        let mut elapsed = Elapsed { seconds, called, waiting: precise(waited), earlier };
        if !room.admits(at) {
            elapsed.seconds = 0.0;
        }
        (self.made_at, self.called) = (at.not_before(self.made_at), 0);
        Some(if waited == 0 { Outlook::new(&forecasts, plan) } else { known.follow(&forecasts, elapsed, plan) })
    }
}
