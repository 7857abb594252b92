//! How long turns last in one room: a stated usual time at first, then what is measured.

use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Settings;

/// A quick purchase: a client that pays without delay, in seconds.
const QUICK_PURCHASE_SECONDS: f64 = 2.0;

/// A usual purchase: a user who chooses seats and pays, in seconds.
const USUAL_PURCHASE_SECONDS: f64 = 60.0;

/// The quickest mean purchase that counts as possible: programs that hold and pay at once, in seconds.
const QUICKEST_PURCHASE_SECONDS: f64 = 0.5;

/// Until this many users were admitted, bounds of a wait follow from the settings alone.
const ADMITTED_BEFORE_MEASURED: u64 = 10;

/// For the bounds of a wait, the assumption and this many measured purchases have equal weight.
const DOUBTED_PURCHASES: f64 = 2.0;

/// Width of the bounds of a mean of one measured purchase, as a natural logarithm. It shrinks with the root of their number.
const DOUBT: f64 = 1.2;

/// The least width of these bounds, as a natural logarithm: purchases get slower and quicker during a sale.
const DOUBT_LEAST: f64 = 0.12;

/// The assumption and this many measured purchases have equal weight.
const ASSUMED_PURCHASES: f64 = 3.0;

/// The most weight of the guess after a start in the middle of a sale, in purchases.
const GUESSED_PURCHASES: f64 = 10.0;

/// A measurement of this age, in seconds, has 1/e of the weight of a new one.
const MEMORY_SECONDS: f64 = 120.0;

/// Period of the mean behind [`Pace::calls_per_second`], in seconds.
const CALLS_MEMORY_SECONDS: f64 = 5.0;

/// An unused turn without a sign of life for this long, in seconds, counts as an absentee's.
pub(super) const SILENT_SECONDS: f64 = 4.0;

/// Groups of silent turns, by when they lapse.
pub(super) const LAPSE_GROUPS: usize = 16;

/// The turns that run, counted at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Running {
    /// Turns that were used or had a sign of life, and turns younger than [`SILENT_SECONDS`].
    pub(super) present: f64,
    /// The sum of their ages, in seconds.
    pub(super) present_seconds: f64,
    /// Turns without a sign of life, grouped by the share of `claimSeconds` until they lapse.
    pub(super) silent: [f64; LAPSE_GROUPS],
}

impl Running {
    /// Counts a turn of this age and this long without a sign of life, both in seconds.
    pub(super) fn note(&mut self, age: f64, silence: f64, claim_seconds: u32) {
        if silence < SILENT_SECONDS {
            self.present += 1.0;
            self.present_seconds += age;
            return;
        }
        let left = (1.0 - silence / lapse_seconds(claim_seconds)).clamp(0.0, 1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the groups")]
        let group = (left * LAPSE_GROUPS as f64) as usize;
        self.silent[group.min(LAPSE_GROUPS - 1)] += 1.0;
    }

    /// The number of silent turns.
    pub(super) fn silent(&self) -> f64 {
        self.silent.iter().sum()
    }
}

/// Seconds from an admission to the end of the turn if no sign of life follows.
pub(super) fn lapse_seconds(claim_seconds: u32) -> f64 {
    f64::from(claim_seconds) + 0.5
}

/// Measured turns of one room. All instances measure the same, as they count from the room's shared counters.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    measured_at: Option<Timestamp>,
    /// Ended turns, without those that lapsed unused.
    purchases: f64,
    /// Seconds that used turns lasted, running turns included.
    purchase_seconds: f64,
    /// Turns that began.
    begun: f64,
    /// The shortest used turn that ended, in seconds. No purchase is quicker, as far as is known.
    shortest: Option<f64>,
    /// Turns that lapsed unused.
    absent: f64,
    calls_per_second: f64,
    running: Running,
}

/// What changed in a room since the last measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    /// Turns that ran until now.
    pub(super) active: u32,
    /// The number of users admitted since then.
    pub(super) called: u64,
    /// The number of turns that ended since then.
    pub(super) ended: u64,
    /// Of those, the turns that lapsed unused.
    pub(super) absent: u64,
    /// The shortest of the others, in seconds, if it is known.
    pub(super) shortest: Option<f64>,
}

impl Pace {
    /// A first guess after a start in the middle of a sale. In a room whose turns come and go, the mean age of running
    /// turns is about the mean time they still last. The guess has no more weight than the assumption: other instances
    /// may state estimates close to the assumption for some time.
    pub(super) fn resumed(running: Running, ended: u64, at: Timestamp) -> Self {
        let known = running.present.min(precise(ended)).min(GUESSED_PURCHASES);
        let mean = running.present_seconds / running.present.max(1.0);
        // If all turns last equally long, that is twice the mean age; if they end at random, once the mean age.
        let purchase_seconds = known * mean * 1.4;
        Self { measured_at: Some(at), purchases: known, purchase_seconds, running, ..Self::default() }
    }

    /// Adds the changes until now.
    pub(super) fn measure(&mut self, change: Change, at: Timestamp) {
        let seconds = self.measured_at.map_or(0.0, |last| seconds_between(last, at));
        self.measured_at = Some(self.measured_at.map_or(at, |last| at.not_before(last)));
        let kept = (-seconds / MEMORY_SECONDS).exp();
        let present = (f64::from(change.active) - self.running.silent()).max(0.0);
        self.purchases = self.purchases * kept + precise(change.ended.saturating_sub(change.absent));
        self.purchase_seconds = self.purchase_seconds * kept + present * seconds;
        self.absent = self.absent * kept + precise(change.absent);
        self.begun = self.begun * kept + precise(change.called);
        self.shortest = [self.shortest, change.shortest].into_iter().flatten().reduce(f64::min);
        let calls_kept = (-seconds / CALLS_MEMORY_SECONDS).exp();
        self.calls_per_second = self.calls_per_second * calls_kept + precise(change.called) / CALLS_MEMORY_SECONDS;
    }

    /// Replaces the count of running turns.
    pub(super) fn count(&mut self, running: Running) {
        self.running = running;
    }

    /// The running turns as last counted.
    pub(super) fn running(&self) -> &Running {
        &self.running
    }

    /// Admissions a second, over the last seconds.
    pub(super) fn calls_per_second(&self) -> f64 {
        self.calls_per_second
    }

    /// Mean duration of a used turn, in seconds.
    pub(super) fn purchase_seconds(&self, settings: &Settings) -> f64 {
        self.purchase_seconds_from(QUICK_PURCHASE_SECONDS, settings)
    }

    /// Mean duration of a turn for the plan of polls, in seconds. Polls are planned for the geometric mean of a quick and a usual
    /// purchase at first: for quick ones alone they would exceed their target.
    pub(super) fn planned_turn_seconds(&self, settings: &Settings) -> f64 {
        let assumed = (QUICK_PURCHASE_SECONDS * USUAL_PURCHASE_SECONDS).sqrt();
        self.turn_seconds_of(self.purchase_seconds_from(assumed, settings), settings)
    }

    fn purchase_seconds_from(&self, assumed: f64, settings: &Settings) -> f64 {
        // Estimates change by a bounded factor between two polls. If purchases are slow, clients poll many times while they wait,
        // so an estimate that began too low is right after a small part of the wait. One that began too high never would be:
        // if purchases are quick, most of the line is called before.
        let usual = assumed.min(f64::from(settings.active_seconds));
        let weight = self.purchases / (self.purchases + ASSUMED_PURCHASES);
        // No turn ends before the shortest has. Without this, the first ends among many turns would look like long purchases.
        let shortest = self.shortest.unwrap_or(0.0);
        let begun = (self.begun - self.absent - self.running.silent()).max(self.purchases);
        let beyond = (self.purchase_seconds - shortest * begun).max(0.0);
        let measured = (shortest + beyond / self.purchases.max(0.05)).max(0.05);
        let blended = usual.powf(1.0 - weight) * measured.powf(weight);
        // While few turns have ended, the running ones show that a purchase takes at least this long.
        let age = self.running.present_seconds / self.running.present.max(1.0);
        blended.max(age * (1.0 - weight)).max(0.05)
    }

    /// Bounds of the mean duration of a used turn, in seconds, after this many admissions: from programs that pay at once to a
    /// usual purchase at first, then around what is measured.
    pub(super) fn purchase_bounds(&self, settings: &Settings, admitted: u64) -> (f64, f64) {
        let likely = self.purchase_seconds(settings);
        let longest = f64::from(settings.active_seconds);
        let (quick, usual) = (QUICKEST_PURCHASE_SECONDS.min(longest), USUAL_PURCHASE_SECONDS.min(longest));
        let known = if admitted < ADMITTED_BEFORE_MEASURED { 0.0 } else { self.purchases };
        let weight = known / (known + DOUBTED_PURCHASES);
        let width = DOUBT_LEAST + DOUBT / (known + 1.0).sqrt();
        let towards = |assumed: f64, measured: f64| assumed.powf(1.0 - weight) * measured.powf(weight);
        let (least, most) = (towards(quick, likely * (-width).exp()), towards(usual, likely * width.exp()));
        (least.min(likely), most.max(likely))
    }

    /// Mean duration of a turn, absentees included, in seconds, if a purchase lasts this long.
    pub(super) fn turn_seconds_of(&self, purchase_seconds: f64, settings: &Settings) -> f64 {
        let absent = self.absent + self.running.silent();
        let all = absent + self.purchases + self.running.present + ASSUMED_PURCHASES;
        let share = absent / all;
        (1.0 - share) * purchase_seconds + share * lapse_seconds(settings.claim_seconds)
    }
}

/// Seconds between two instants, at least 0.
pub(super) fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    from.millis_until(to).max(0) as f64 / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "an estimate needs no more than 53 bits")]
pub(super) fn precise(number: u64) -> f64 {
    number as f64
}
