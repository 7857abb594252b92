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

/// Seconds until asking again is worth it: often near the front, seldom far back, spread so that a crowd does not
/// ask at once, and never so late that one who was called would be taken for absent.
pub(super) fn poll_after_seconds(estimated_wait_seconds: u64, claim_seconds: u32, spread: u8) -> u64 {
    let jitter = 0.8 + 0.4 * f64::from(spread) / 255.0;
    let wanted = (precise(estimated_wait_seconds) / 10.0).clamp(1.0, POLL_SECONDS_MAX) * jitter;
    let patience = (f64::from(claim_seconds) / 2.0).max(1.0);
    whole(wanted.min(patience).round().max(1.0))
}

#[expect(clippy::cast_precision_loss, reason = "an estimate needs no more than 53 bits")]
fn precise(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to small positive numbers")]
fn whole(number: f64) -> u64 {
    number as u64
}
