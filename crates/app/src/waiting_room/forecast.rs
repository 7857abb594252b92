//! When each position is expected to be admitted, from the present state of the room.
//!
//! Free turns are taken as fast as the rate allows. Turns with a sign of life end at the measured rate of purchases.
//! Turns without one lapse after `claimSeconds`. Each end admits the next place, whose turn lasts the mean duration of
//! all turns, absentees included.

use onsale_domain::waiting_room::Room;

use super::pace::{LAPSE_GROUPS, Pace, lapse_seconds};

/// Instants for which the number of admissions is computed, each 1.25 times as far as the one before.
const INSTANTS: usize = 84;
const FIRST_SECONDS: f64 = 0.25;
const STEP: f64 = 1.25;

/// Expected number of admissions by each instant if admission goes on. A pause is ignored, as its end is not known.
#[derive(Debug)]
pub(super) struct Forecast {
    rate: f64,
    calls: [f64; INSTANTS],
    /// Seconds between two admissions, in the long run.
    each: f64,
    /// Admissions come this many standard deviations later than expected; earlier if negative.
    late: f64,
}

/// Four fifths of all random outcomes lie within this many standard deviations of what is expected.
const FOUR_FIFTHS: f64 = 1.28;

/// What is expected of a room, and the bounds of that.
#[derive(Debug)]
pub(super) struct Forecasts {
    pub(super) soonest: Forecast,
    pub(super) likely: Forecast,
    pub(super) latest: Forecast,
}

impl Forecasts {
    /// `share` is the fraction of the rate that the room admits while the database is slow.
    pub(super) fn new(room: &Room, pace: &Pace, share: f64) -> Self {
        let (quick, slow) = pace.purchase_bounds(&room.settings, room.admitted);
        let forecast = |purchase, late| Forecast { late, ..Forecast::of(room, pace, purchase, share) };
        Self {
            soonest: forecast(quick, -FOUR_FIFTHS),
            likely: forecast(pace.purchase_seconds(&room.settings), 0.0),
            latest: forecast(slow, FOUR_FIFTHS),
        }
    }
}

impl Forecast {
    /// If a purchase lasts this many seconds. `share` is the fraction of the rate that the room admits.
    fn of(room: &Room, pace: &Pace, purchase: f64, share: f64) -> Self {
        let settings = &room.settings;
        let rate = (f64::from(settings.admit_per_second) * share).max(0.01);
        let turn = pace.turn_seconds_of(purchase, settings);
        let (active, slots) = (f64::from(room.active), f64::from(settings.max_active));
        let silent = pace.running().silent().min(active);
        let (present, free) = (active - silent, slots - active);
        let scale = if silent > 0.0 { silent / pace.running().silent() } else { 0.0 };
        let group_seconds = lapse_seconds(settings.claim_seconds) / LAPSE_GROUPS as f64;
        // After a cut of `maxActive` not every turn that ends is followed by another.
        let followed = (slots / active.max(1.0)).min(1.0);
        let mut calls = [0.0; INSTANTS];
        let (mut seconds, mut before) = (FIRST_SECONDS, 0.0_f64);
        for expected in &mut calls {
            let ended = 1.0 - (-seconds / purchase).exp();
            let again = (seconds - purchase * ended).max(0.0) / turn;
            // After a cut of `maxActive` more turns run than allowed: the first ends free no turn.
            let taken = if free > 0.0 { free * (1.0 + seconds / turn) } else { free };
            let mut total = taken + present * (ended + followed * again);
            for (group, many) in (0_u8..).zip(pace.running().silent) {
                let after = seconds - (f64::from(group) + 0.5) * group_seconds;
                if after >= 0.0 {
                    total += many * scale * (1.0 + followed * after / turn);
                }
            }
            before = total.max(before);
            *expected = before;
            seconds *= STEP;
        }
        Self { rate, calls, each: turn / slots, late: 0.0 }
    }

    /// Expected seconds until a position is admitted.
    pub(super) fn seconds(&self, position: f64) -> f64 {
        // The number of turns that end in a period varies by about its root.
        let position = (position + self.late * position.sqrt()).max(0.0);
        let by_rate = position / self.rate;
        let (mut seconds, mut last, mut before) = (FIRST_SECONDS, 0.0, 0.0);
        for expected in self.calls {
            if expected >= position {
                let part = if expected > before { (position - before) / (expected - before) } else { 1.0 };
                return by_rate.max(last + part * (seconds - last));
            }
            (last, before) = (seconds, expected);
            seconds *= STEP;
        }
        by_rate.max(last + (position - before) * self.each)
    }
}

#[cfg(test)]
mod tests {
    use onsale_domain::time::Timestamp;
    use onsale_domain::waiting_room::Settings;

    use super::*;
    use crate::waiting_room::pace::{Change, Running};

    const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// A pace of purchases of 4 s, with 200 turns that run.
    fn measured() -> Pace {
        let running = Running { present: 200.0, present_seconds: 400.0, ..Running::default() };
        let mut pace = Pace::default();
        pace.measure(Change { active: 200, ..Change::default() }, AT);
        pace.measure(Change { active: 200, called: 5_000, ended: 5_000, ..Change::default() }, AT.plus_seconds(100));
        pace.count(running);
        pace
    }

    #[test]
    fn after_a_cut_of_the_turns_only_the_turns_that_are_left_are_taken_again() {
        let pace = measured();
        let mut room = Room::new(Settings { max_active: 20, admit_per_second: 100, ..Settings::default() }, AT);
        room.active = 200;
        let forecast = Forecasts::new(&room, &pace, 1.0).likely;
        let turn = pace.turn_seconds_of(pace.purchase_seconds(&room.settings), &room.settings);
        for place in [200.0, 1_000.0, 10_000.0] {
            // All 200 turns end, then 20 at a time.
            let expected = turn * (1.0 + place / 20.0);
            let seconds = forecast.seconds(place);
            assert!((expected / 1.5..=expected * 1.5).contains(&seconds), "{place}: {seconds} s, {expected} s");
        }
    }
}
