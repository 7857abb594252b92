//! How fast a line moves, and what those in it are told: how long it may take, and when to ask again.

use std::collections::VecDeque;

use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Settings;

/// How often the line is measured.
const SAMPLE_MILLIS: i64 = 2_000;

/// How many measurements count: a minute's worth.
const SAMPLES_MAX: usize = 30;

/// Nobody is told to wait longer than this before asking again, in seconds.
const POLL_SECONDS_MAX: f64 = 15.0;

/// The number of the last place called, measured now and then while somebody waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    samples: VecDeque<(Timestamp, u64)>,
}

impl Pace {
    /// Takes note of the line. A line in which nobody waits says nothing of its speed, and starts the measure anew.
    pub(super) fn observe(&mut self, at: Timestamp, served: u64, waiting: u64) {
        if waiting == 0 {
            self.samples.clear();
            return;
        }
        let due = self.samples.back().is_none_or(|(last, _)| last.millis_until(at) >= SAMPLE_MILLIS);
        if due {
            if self.samples.len() == SAMPLES_MAX {
                self.samples.pop_front();
            }
            self.samples.push_back((at, served));
        }
    }

    /// Places called a second: as measured, else as the settings would have it.
    pub(super) fn per_second(&self, settings: &Settings) -> f64 {
        let limit = f64::from(settings.admit_per_second);
        let turnover = f64::from(settings.max_active) / f64::from(settings.active_seconds);
        let expected = limit.min(turnover.max(0.01));
        match (self.samples.front(), self.samples.back()) {
            (Some((from, before)), Some((to, after))) if from < to && after > before => {
                let called = precise(after - before);
                let seconds = from.millis_until(*to).max(1) as f64 / 1000.0;
                called / seconds
            }
            _ => expected,
        }
    }
}

/// Seconds until a place is called at this pace, at least 1.
pub(super) fn estimated_wait_seconds(position: u64, per_second: f64) -> u64 {
    let seconds = (precise(position) / per_second.max(0.001)).ceil();
    whole(seconds.clamp(1.0, 31_536_000.0))
}

/// A crowd that waits, and how it is to ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowd {
    /// How many wait.
    pub(super) waiting: u64,
    /// How often all of them together are to ask, a second.
    pub(super) polls_per_second: u32,
}

/// Seconds until asking again is worth it: often near the front, seldom far back, spread so that a crowd does not ask at
/// once, and so seldom that all together stay under their target.
///
/// But never so late that one who was called would be taken for absent, whatever the target: a place cannot be called
/// sooner than the rate allows for those before it, and from then on half of the allowed silence is left.
pub(super) fn poll_after_seconds(
    (position, estimated_wait_seconds): (u64, u64),
    settings: &Settings,
    crowd: Crowd,
    spread: u8,
) -> u64 {
    let jitter = 0.8 + 0.4 * f64::from(spread) / 255.0;
    let own = (precise(estimated_wait_seconds) / 10.0).clamp(1.0, POLL_SECONDS_MAX);
    // The mean of 1 / jitter is 1.014.
    let of_crowd = 1.02 * precise(crowd.waiting) / f64::from(crowd.polls_per_second);
    let soonest_call = (precise(position) / f64::from(settings.admit_per_second) - 1.0).max(0.0).floor();
    let patience = (f64::from(settings.claim_seconds) / 2.0).max(1.0);
    whole((own.max(of_crowd) * jitter).min(soonest_call + patience).round().max(1.0))
}

#[expect(clippy::cast_precision_loss, reason = "an estimate needs no more than 53 bits")]
fn precise(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to small positive numbers")]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(admit_per_second: u32, claim_seconds: u32) -> Settings {
        Settings { max_active: 200, admit_per_second, claim_seconds, ..Settings::default() }
    }

    fn ask(position: u64, settings: &Settings, crowd: Crowd, spread: u8) -> u64 {
        let wait = estimated_wait_seconds(position, f64::from(settings.admit_per_second));
        poll_after_seconds((position, wait), settings, crowd, spread)
    }

    #[test]
    fn a_crowd_stays_under_its_target_whatever_its_size() {
        for waiting in [10_000, 100_000, 1_000_000] {
            let (settings, crowd) = (settings(50, 60), Crowd { waiting, polls_per_second: 2_000 });
            let near = u64::from(settings.admit_per_second) * 60;
            let polls = |from: u64, to: u64| -> f64 {
                (from..=to).map(|place| 1.0 / precise(ask(place, &settings, crowd, place.to_le_bytes()[0]))).sum()
            };
            // Those near the front ask as often as it takes not to lose their turn.
            let (front, behind) = (polls(1, near), polls(near + 1, waiting));
            assert!(behind <= 2_000.0 * 1.05, "{waiting}: {behind} polls a second, and {front} near the front");
        }
    }

    #[test]
    fn who_asks_as_told_is_heard_before_silence_ends_the_turn() {
        for claim_seconds in [2, 5, 60, 3_600] {
            for admit_per_second in [1, 50, 1_000_000] {
                let settings = settings(admit_per_second, claim_seconds);
                let crowd = Crowd { waiting: 1_000_000, polls_per_second: 10 };
                for position in [1, 2, 50, 1_000, 100_000, 1_000_000] {
                    let soonest = (precise(position) / f64::from(admit_per_second) - 1.0).max(0.0);
                    let asked = precise(ask(position, &settings, crowd, 255));
                    // A snapshot's age, and the rounding to whole seconds.
                    let heard_in_time = asked + 0.25 < soonest + f64::from(claim_seconds) || asked <= 1.0;
                    assert!(heard_in_time, "place {position}: {asked} s, called after {soonest} s at the soonest");
                }
            }
        }
    }

    #[test]
    fn a_short_line_is_told_to_ask_often() {
        let crowd = Crowd { waiting: 10, polls_per_second: 2_000 };
        assert_eq!(ask(1, &settings(50, 60), crowd, 128), 1);
        assert_eq!(ask(10, &settings(1, 60), crowd, 128), 1);
    }
}
