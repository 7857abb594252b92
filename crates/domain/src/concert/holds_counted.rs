//! How many holds of a performance are live, without reading each of them.
//!
//! A performance counts its holds that are not settled. Those of them that are over are counted by the store in one query,
//! because there may be 100,000 after an outage, and an extension must not keep its locks for long. Only the few holds that
//! end about now are listed: the decision's own instant judges them.

use super::{Reservation, Status};
use crate::ids::{PerformanceId, ReservationId};
use crate::rows::Rows;
use crate::time::Timestamp;

/// Holds that end within this many milliseconds after the count are listed. The instant of the decision is later than the
/// count by some milliseconds, and by up to [`Timestamp::SET_BACK_MILLIS`] if the clock was set back.
pub const ENDING_WITHIN_MILLIS: i64 = 5_000;

/// Holds of a performance that are not settled, as the store counted them under the locks of the performance and its room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldsCounted {
    /// The instant of the count.
    pub at: Timestamp,
    /// All of them, if the performance does not count them itself.
    pub held: Option<u64>,
    /// Those that had ended by the instant of the count, extensions included.
    pub lapsed: u64,
    /// Those that end up to [`ENDING_WITHIN_MILLIS`] later, each with its end, extensions included.
    pub ending: Vec<(ReservationId, Timestamp)>,
}

/// Which rows of holds are over at an instant, by the number of the last extension that a row contains: element `n` is the
/// latest end with which a row that contains `n` of these extensions is over. Computed from the last extension to the first:
/// a hold is live after an extension if it was live at the extension's instant and its end moves beyond the bound.
pub fn lapsed_up_to(extensions: &[(Timestamp, u32)], at: Timestamp) -> Vec<Timestamp> {
    let mut bounds = vec![at; extensions.len() + 1];
    for (number, (extended_at, seconds)) in extensions.iter().enumerate().rev() {
        let later = bounds[number + 1];
        // An extension that a wrong clock dated in the future extends no row that is over by now.
        bounds[number] = later.plus_millis(-i64::from(*seconds) * 1_000).max(*extended_at).min(later);
    }
    bounds
}

impl HoldsCounted {
    /// Number of holds that are not settled now, and number of those that are live.
    ///
    /// The count is as of the load. Commands of the same unit of work may have taken and settled holds since.
    pub(super) fn now(&self, rows: &Rows, id: PerformanceId, at: Timestamp) -> (u64, u64) {
        let own = |key: &ReservationId| rows.reservations.is_stored(key);
        let changed = || {
            let changed = rows.reservations.changed().filter_map(|(key, row)| Some((key, row?)));
            changed.filter(move |(_, row)| row.performance == id)
        };
        // A reservation that this unit of work only refunds was paid before: it was no hold when the holds were counted.
        let was_held = |row: &Reservation| {
            row.refunded.is_empty() || rows.payments.iter().any(|payment| payment.reservation == row.id)
        };
        let settled = || changed().filter(|(key, row)| own(key) && row.status != Status::Held && was_held(row));
        let taken = changed().filter(|(key, row)| !own(key) && row.status == Status::Held).count() as u64;
        let counted = rows.performances.get(&id).and_then(|performance| performance.holds).map(u64::from);
        let held = counted.unwrap_or_else(|| (self.held.unwrap_or(0) + taken).saturating_sub(settled().count() as u64));
        let was_lapsed = settled().filter(|(_, row)| row.held_until <= self.at).count() as u64;
        let is_held = |key: &ReservationId| {
            let known = rows.reservations.is_loaded(key).then(|| rows.reservations.get(key)).flatten();
            known.is_none_or(|row| row.status == Status::Held)
        };
        let ended = self.ending.iter().filter(|(key, until)| *until <= at && is_held(key)).count() as u64;
        (held, held.saturating_sub(self.lapsed.saturating_sub(was_lapsed) + ended))
    }
}
