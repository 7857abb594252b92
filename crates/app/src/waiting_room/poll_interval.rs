//! When a client polls again: soon if its place could be admitted soon, and all clients within the target of polls.
//!
//! The rate allows position `p` to be admitted after `p / admitPerSecond - 1` seconds at the earliest: one second's worth
//! of admissions may come at once. The client polls after half of that time, and after 1 s at least. So it knows of its turn
//! within 1 s of the admission, however fast turns end, and between two polls a position at most halves. If no place is
//! called, these polls add up to `rate * (3 + 2 ln K)` a second, where `K` is the interval of places far back.

use onsale_domain::waiting_room::Settings;

use super::pace::precise;

/// Interval of places far from the front, in seconds; longer if the target demands it.
const FAR_SECONDS: f64 = 15.0;

/// Share of the target for places that could be called soon. The places far back share the rest.
const FRONT_SHARE: f64 = 0.75;

/// Upper bound of the position at the last poll, as a multiple of the position now.
const FURTHER_BACK_MAX: f64 = 10.0;

/// Intervals far from the front vary by this share, so that clients that entered together do not poll together.
const SPREAD: f64 = 0.4;

/// The mean of 1 / interval of such a spread: it costs 6 % more polls.
const SPREAD_COST: f64 = 1.06;

/// The poll intervals of one room. Computed with each forecast, so that a poll costs a few multiplications.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    /// Calls a second that the settings allow.
    rate: f64,
    /// Calls a second that are planned for once all turns are taken; at most `rate`.
    planned: f64,
    /// Interval as a share of the time until the place could be called: 0.5 to 1.
    part: f64,
    /// Free turns: this many places are called as fast as the rate allows. None while the room admits no user.
    free: f64,
    /// Polls a second by the places of free turns.
    free_polls: f64,
    /// Seconds by which the first calls are early, as one second's worth of them may come at once: 0 to 1.
    early: f64,
    /// People in line.
    waiting: f64,
    /// Polls a second for the places far from the front.
    far_polls: f64,
    /// Half of the allowed silence, in seconds.
    patience: f64,
    /// Seconds until the opening, before which no place is called.
    opens_in: f64,
}

impl Plan {
    /// A plan for a line of `waiting` people and a target of polls a second. `pace` is the number of calls a second,
    /// measured or expected. If it is above what the target pays for, each place called still gets its one poll.
    pub(super) fn new(settings: &Settings, active: u32, waiting: u64, pace: f64, polls_per_second: u32) -> Self {
        let (rate, target) = (f64::from(settings.admit_per_second), f64::from(polls_per_second));
        let waiting = precise(waiting);
        let (front, far) = (target * FRONT_SHARE, target * (1.0 - FRONT_SHARE));
        let growth = 1.0 + FAR_SECONDS.max(waiting / far).ln();
        // During a pause no turn is free, and no call pays for a poll.
        let (free, pace) = match settings.paused {
            true => (0.0, 0.0),
            false => (f64::from(settings.max_active.saturating_sub(active)), pace),
        };
        // Two polls until the earliest call, fewer if the target demands it. If even one is too many: as if places
        // were called at a slower pace than the rate.
        let polls_each = ((front / rate - 1.0) / growth).clamp(1.0, 2.0);
        let affordable = (front / (1.0 + growth)).max(pace);
        let planned = if rate * (1.0 + growth) <= front { rate } else { affordable.min(rate) };
        let used = (planned * (1.0 + polls_each * growth)).min(waiting).min(front);
        let free_polls = rate.min(front);
        let early = if free > free_polls { ((target - free_polls) / free_polls).clamp(0.0, 1.0) } else { 1.0 };
        Self {
            rate,
            planned,
            part: 1.0 / polls_each,
            free,
            free_polls,
            early,
            waiting,
            far_polls: (target - used).max(far),
            patience: patience(settings.claim_seconds),
            opens_in: 0.0,
        }
    }

    /// The plan of a room that opens after these seconds, and not sooner. Until then all places share the whole target, and the last
    /// poll before the opening leads each to ask when its place could be called.
    pub(super) fn opening_in(self, seconds: f64, polls_per_second: u32) -> Self {
        Self { opens_in: seconds, far_polls: f64::from(polls_per_second), ..self }
    }

    /// Seconds until a position could be called if turns end at the planned pace.
    fn planned_call(&self, position: f64) -> f64 {
        let certain = position.min(self.free);
        (certain / self.free_polls + (position - certain) / self.planned - self.early).max(0.0)
    }

    fn interval_spread(&self, position: f64, spread: f64) -> f64 {
        let call = self.planned_call(position);
        // Free turns make these calls certain: one poll each, right after the call.
        let part = if position <= self.free { 1.0 } else { self.part };
        let near = self.opens_in + (call * part + part).floor();
        let far = FAR_SECONDS.max(SPREAD_COST * self.waiting.max(position) / self.far_polls) * spread;
        // Silence must not end a turn, whatever the target. The rate allows no earlier call than this.
        let bound = self.opens_in + longest_by_silence(position, self.rate, self.patience);
        near.min(far).min(bound).round().max(1.0)
    }

    /// The longest interval of a position, in seconds.
    pub(super) fn longest_interval(&self, position: f64) -> f64 {
        self.interval_spread(position, 1.0 + SPREAD)
    }

    /// The longest interval that a client now at this position may have been given at its last poll, in seconds. It
    /// was further back then, at most by what the rate allows.
    pub(super) fn last_interval(&self, position: f64) -> f64 {
        let further_back = 1.0 / (1.0 - self.part).max(1.0 / FURTHER_BACK_MAX);
        self.longest_interval(further_back * position + self.rate)
    }

    /// Whole seconds until a position polls again, at least 1. `spread` differs from client to client.
    pub(super) fn poll_after_seconds(&self, position: u64, spread: u8) -> u64 {
        let spread = 1.0 - SPREAD + 2.0 * SPREAD * f64::from(spread) / 255.0;
        whole(self.interval_spread(precise(position), spread))
    }
}

/// The longest interval of any place, in seconds, while at most this many people wait.
pub(super) fn longest_far(waiting: f64, polls_per_second: u32) -> f64 {
    let least_polls = f64::from(polls_per_second) * (1.0 - FRONT_SHARE);
    FAR_SECONDS.max(SPREAD_COST * waiting / least_polls) * (1.0 + SPREAD)
}

/// The longest interval of a position in a room of this rate, whatever the rest of its plan is, in seconds.
pub(super) fn longest_of(position: f64, rate: f64, claim_seconds: u32) -> f64 {
    longest_by_silence(position, rate, patience(claim_seconds))
}

/// Half of the allowed silence, in seconds.
fn patience(claim_seconds: u32) -> f64 {
    (f64::from(claim_seconds) / 2.0).max(1.0)
}

fn longest_by_silence(position: f64, rate: f64, patience: f64) -> f64 {
    (position / rate - 1.0).max(0.0).floor() + patience
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small positive numbers")]
pub(super) fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(admit_per_second: u32, claim_seconds: u32) -> Settings {
        Settings { max_active: 200, admit_per_second, claim_seconds, ..Settings::default() }
    }

    /// A plan of a room without a free turn.
    fn full(settings: &Settings, waiting: u64, polls_per_second: u32) -> Plan {
        Plan::new(settings, settings.max_active, waiting, 3.0, polls_per_second)
    }

    #[test]
    fn a_crowd_of_any_size_stays_within_its_target() {
        for waiting in [10_000, 100_000, 1_000_000] {
            for rate in [1, 50, 100, 1_000, 100_000] {
                // So much patience that silence does not shorten an interval.
                let plan = full(&settings(rate, 3_600), waiting, 2_000);
                let interval = |place: u64| precise(plan.poll_after_seconds(place, place.to_le_bytes()[0]));
                let polls: f64 = (1..=waiting).map(|place| 1.0 / interval(place)).sum();
                assert!(polls <= 2_000.0 * 1.2, "{waiting} in line, {rate} a second: {polls} polls a second");
            }
        }
    }

    #[test]
    fn a_paused_room_with_free_turns_stays_under_its_target() {
        for (max_active, rate) in [(200, 50), (50_000, 5_000), (1_000_000, 1_000_000)] {
            for waiting in [1_000, 50_000, 1_000_000] {
                let paused = Settings { max_active, paused: true, ..settings(rate, 3_600) };
                let plan = Plan::new(&paused, 0, waiting, f64::from(max_active) / 11.0, 2_000);
                let interval = |place: u64| precise(plan.poll_after_seconds(place, place.to_le_bytes()[0]));
                let polls: f64 = (1..=waiting).map(|place| 1.0 / interval(place)).sum();
                assert!(polls <= 2_000.0 * 1.2, "{max_active} turns, {waiting} in line: {polls} polls a second");
            }
        }
    }

    #[test]
    fn free_turns_are_polled_within_the_target() {
        for (max_active, rate) in [(200, 50), (50_000, 5_000), (1_000_000, 1_000_000)] {
            for active in [0, max_active / 2] {
                let settings = Settings { max_active, ..settings(rate, 3_600) };
                let plan = Plan::new(&settings, active, 1_000_000, 0.0, 2_000);
                // Each of these places polls once, after its call.
                let mut polls = vec![0_u32; 4_000];
                for place in 1..=u64::from(max_active - active) {
                    let interval = plan.poll_after_seconds(place, place.to_le_bytes()[0]);
                    polls[usize::try_from(interval).unwrap()] += 1;
                }
                let most = polls.iter().max().unwrap();
                assert!(*most <= 2_400, "{max_active} turns, {active} taken: {most} polls in a second");
            }
        }
    }

    #[test]
    fn a_place_that_could_be_called_soon_is_polled_soon() {
        for rate in [1, 50, 100, 200] {
            let plan = full(&settings(rate, 60), 20_000, 2_000);
            for position in 1..20_000 {
                let earliest = (precise(position) / f64::from(rate) - 1.0).max(0.0);
                let interval = precise(plan.poll_after_seconds(position, 255));
                assert!(interval <= earliest + 1.0, "{position} at {rate} a second: {interval} s, {earliest} s");
            }
        }
    }

    #[test]
    fn a_free_turn_costs_one_poll() {
        let settings = Settings { max_active: 1_000, ..settings(100, 60) };
        let plan = Plan::new(&settings, 0, 20_000, 0.0, 2_000);
        for position in 1..=1_000_u64 {
            let called = position.div_ceil(100) - 1;
            let interval = plan.poll_after_seconds(position, 0);
            assert!(
                (called.max(1)..=called + 1).contains(&interval),
                "{position}, called after {called} s: {interval} s"
            );
        }
    }

    #[test]
    fn a_client_that_polls_in_time_keeps_its_turn() {
        for claim_seconds in [2, 5, 60, 3_600] {
            for admit_per_second in [1, 50, 1_000_000] {
                let plan = full(&settings(admit_per_second, claim_seconds), 1_000_000, 10);
                for position in [1, 2, 50, 1_000, 100_000, 1_000_000] {
                    let soonest = (precise(position) / f64::from(admit_per_second) - 1.0).max(0.0);
                    let interval = precise(plan.poll_after_seconds(position, 255));
                    // A snapshot's age, and the rounding to whole seconds.
                    let heard_in_time = interval + 0.25 < soonest + f64::from(claim_seconds) || interval <= 1.0;
                    assert!(
                        heard_in_time,
                        "position {position}: {interval} s, called after {soonest} s at the soonest"
                    );
                }
            }
        }
    }

    #[test]
    fn a_short_line_polls_often() {
        assert_eq!(full(&settings(50, 60), 10, 2_000).poll_after_seconds(1, 128), 1);
        // Its call comes after 9 s at the earliest: an interval of half of that.
        assert_eq!(full(&settings(1, 60), 10, 2_000).poll_after_seconds(10, 128), 5);
    }
}
