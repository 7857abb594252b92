//! Estimates as they are stated: they follow the forecast, but for no client faster than twofold between two polls.
//!
//! The stated estimate depends on the position alone, so a waiting client costs no memory. A table holds the seconds of
//! some positions. When users are admitted, the entry of each client moves with it to its new position. From there it
//! approaches the forecast, by a bounded factor in the interval after which this position polls again.

use super::forecast::Forecast;
use super::poll_interval::Plan;

/// Four positions in each doubling, up to 2^26. Beyond, the wait grows in proportion.
const POSITIONS: usize = 4 * 26;

/// Bound of a fall between two polls, beyond the time that passed. Below 2, as polls are late and seconds whole.
const FALL: f64 = 1.3;

/// Bound of a rise between two polls. Below 2 for the same reasons.
const RISE: f64 = 1.4;

/// A shorter estimate may rise to this one at once, in seconds.
const FREE_SECONDS: f64 = 2.0;

/// Polls arrive this much later than their interval, in seconds: a round trip, and a busy client.
const LATE_SECONDS: f64 = 0.25;

/// Stated seconds by position.
#[derive(Clone, Debug)]
pub(super) struct Stated([f64; POSITIONS]);

/// The changes since the table was computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elapsed {
    pub(super) seconds: f64,
    /// The number of users admitted since then.
    pub(super) called: f64,
    /// Users in line before. Positions behind them had no client, so any estimate may be stated there.
    pub(super) waiting: f64,
    pub(super) earlier: Option<Earlier>,
}

/// The plan before the last change of settings: clients may not have polled since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Earlier {
    pub(super) plan: Plan,
    /// Seconds since the change.
    pub(super) seconds: f64,
    /// Users admitted since the change.
    pub(super) called: f64,
}

impl Elapsed {
    /// The longest interval that a client at this position may have been given at its last poll, in seconds.
    fn interval(&self, position: f64, plan: &Plan) -> f64 {
        let interval = plan.last_interval(position);
        let earlier = self.earlier.map(|it| (it.plan.last_interval(position + it.called), it.seconds));
        earlier.filter(|(earlier, since)| since <= earlier).map_or(interval, |(earlier, _)| interval.max(earlier))
    }
}

fn position(index: usize) -> f64 {
    let step = 0.25 * (index % 4) as f64;
    2_f64.powi(i32::try_from(index / 4).unwrap_or(0)) * (1.0 + step)
}

impl Stated {
    /// The table of a line in which no client waited.
    pub(super) fn new(forecast: &Forecast) -> Self {
        Self(std::array::from_fn(|index| forecast.seconds(position(index))))
    }

    /// The table that follows this one when time has passed.
    pub(super) fn follow(&self, forecast: &Forecast, elapsed: Elapsed, plan: &Plan) -> Self {
        let is_new = |index: usize| index > 0 && position(index - 1) + elapsed.called > elapsed.waiting;
        let mut next = [0.0_f64; POSITIONS];
        for index in 0..POSITIONS {
            let expected = forecast.seconds(position(index));
            // No estimate is below that of a place further ahead.
            let ahead = if index > 0 { next[index - 1] } else { 0.0 };
            next[index] =
                if is_new(index) { expected.max(ahead) } else { self.towards(expected, index, elapsed, plan) };
        }
        // Near the front estimates may rise faster, but they stay below those further back.
        for index in (1..POSITIONS).rev() {
            next[index - 1] = next[index - 1].min(next[index]);
        }
        Self(next)
    }

    fn towards(&self, expected: f64, index: usize, elapsed: Elapsed, plan: &Plan) -> f64 {
        let was = self.seconds(position(index) + elapsed.called);
        let interval = elapsed.interval(position(index) + elapsed.called, plan) + LATE_SECONDS;
        let part = elapsed.seconds / interval;
        let least = (was - elapsed.seconds).max(0.0) / FALL.powf(part);
        let most = (was * RISE.powf(part)).max(FREE_SECONDS);
        expected.max(least).min(most)
    }

    /// The stated seconds of a position.
    pub(super) fn seconds(&self, at: f64) -> f64 {
        let at = at.max(1.0);
        let last = position(POSITIONS - 1);
        if at >= last {
            return self.0[POSITIONS - 1] * at / last;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^26")]
        let whole = at as u32;
        let octave = 31 - whole.leading_zeros();
        let width = f64::from(1_u32 << octave) / 4.0;
        let (base, offset) = (octave as usize * 4, (at - 4.0 * width) / width);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 3")]
        let quarter = (offset as usize).min(3);
        let (from, to) = (self.0[base + quarter], self.0[base + quarter + 1]);
        from + (to - from) * (offset - quarter as f64)
    }
}
