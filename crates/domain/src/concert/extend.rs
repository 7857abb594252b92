//! Extensions: all holds of a performance that are live at one instant last longer, after an outage for example.
//!
//! The decision changes no row of a hold, because a performance may have 100,000 holds and the lock would last too long.
//! It adds one row. A hold that was live at that instant ends later from then on: each store applies the extensions that
//! the row of a hold does not contain yet when it reads the row. [`Rewrite`] brings the rows up to date afterwards, in
//! steps.

use std::sync::Arc;

use super::{Status, record};
use crate::event::Happening;
use crate::ids::{ConcertId, EventId, PerformanceId, ReservationId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal, waiting_room};

/// The longest extension, in seconds.
pub const EXTENSION_SECONDS_MAX: u32 = 86_400;

/// One extension of the holds of a performance. Never changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The concert of the performance.
    pub concert: ConcertId,
    /// The performance whose holds last longer.
    pub performance: PerformanceId,
    /// Its number among the extensions of the performance, from 1.
    pub number: u64,
    /// The version of the performance with the extension, which its event has too.
    pub version: u64,
    /// The id of its event.
    pub event: EventId,
    /// The instant of the decision: a hold that was live then lasts longer.
    pub at: Timestamp,
    /// How much longer, 1 to 86,400 seconds.
    pub seconds: u32,
    /// How many holds were live.
    pub holds: u64,
    /// Why, as the administrator wrote it: 1 to 200 characters.
    pub reason: Arc<str>,
}

/// The end of a hold, and the number of the last extension that it contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldEnd {
    /// From this instant on the hold cannot be paid and its seats are free.
    pub until: Timestamp,
    /// Extensions of the performance up to this number are contained.
    pub extended: u64,
}

impl HoldEnd {
    /// The end after the next extensions of the performance, each by its instant and its seconds, in order. A hold that had
    /// lapsed by then keeps its end.
    #[must_use]
    pub fn after(self, extensions: impl IntoIterator<Item = (Timestamp, u32)>) -> Self {
        extensions.into_iter().fold(self, |end, (at, seconds)| Self {
            until: if at < end.until { end.until.plus_seconds(seconds) } else { end.until },
            extended: end.extended + 1,
        })
    }
}

/// Lets the live holds of one performance or of a whole concert last longer.
#[derive(Clone, Debug)]
pub struct Extend {
    /// The concert whose holds last longer.
    pub concert: ConcertId,
    /// Only this performance of the concert; `None` for all of its performances.
    pub performance: Option<PerformanceId>,
    /// How much longer, 1 to 86,400 seconds.
    pub seconds: u32,
    /// Why: 1 to 200 characters.
    pub reason: Arc<str>,
}

/// What an extension did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extended {
    /// The instant of the decision.
    pub at: Timestamp,
    /// How much longer each of the holds lasts.
    pub seconds: u32,
    /// How many holds were live.
    pub holds: u64,
}

/// Brings rows of holds up to date with the extensions of their performance. Changes no end of a hold. Returns how many
/// holds had a row that lacked an extension: 0 if another instance has rewritten all of them.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// The performance of the holds.
    pub performance: PerformanceId,
    /// Holds whose rows do not contain its last extension. Those that have ended meanwhile stay as they are.
    pub reservations: Vec<ReservationId>,
    /// With the last holds: the number up to which no row lacks an extension any longer.
    pub done_to: Option<u64>,
}

impl Command for Extend {
    type Output = Extended;

    fn needs(&self, keys: &mut Keys) {
        // The room: a step that settles a turn because its holds have lapsed comes before or after the extension, never in
        // between. And no performance is added to the concert meanwhile.
        keys.rooms.insert(self.concert);
        match self.performance {
            Some(performance) => {
                keys.performances.insert(performance);
                keys.counted_performances.insert(performance);
            }
            None => {
                keys.concerts.insert(self.concert);
                keys.counted_concerts.insert(self.concert);
            }
        }
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Extended, Refusal> {
        let performances = match self.performance {
            Some(id) => {
                let own = rows.performances.get(&id).filter(|performance| performance.concert == self.concert);
                let own = own.ok_or(Refusal::PerformanceNotFound)?;
                if own.cancelled_at.is_some() {
                    return Err(Refusal::PerformanceCancelled);
                }
                vec![own.id]
            }
            None => {
                rows.rooms.get(&self.concert).ok_or(Refusal::ConcertNotFound)?;
                // A hold of a cancelled performance is about to end.
                let is_on =
                    |id: &PerformanceId| rows.performances.get(id).is_some_and(|own| own.cancelled_at.is_none());
                rows.performances_of(self.concert).into_iter().filter(is_on).collect()
            }
        };
        let changed = performances.iter().filter_map(|id| rows.performances.get(id)).map(|own| own.updated_at).max();
        let counted = performances.iter().filter_map(|id| rows.counted.get(id)).map(|counted| counted.at).max();
        let (now, written_at) = (cx.at, changed.map_or(cx.at, |last| last.max(cx.at)));
        let mut cx = cx.not_before(changed);
        // What was lapsed when it was counted is lapsed for the decision.
        let cx = &mut cx.not_before(counted);
        let mut holds = 0;
        for id in performances {
            holds += self.extend(id, written_at, rows, cx);
        }
        if holds > 0 {
            // Other instances find the extension by the room's row, and read the holds of its turns again.
            waiting_room::extend(rows, self.concert, now);
        }
        Ok(Extended { at: cx.at, seconds: self.seconds, holds })
    }
}

impl Extend {
    /// Extends the live holds of one performance. Returns how many there are.
    fn extend(&self, id: PerformanceId, written_at: Timestamp, rows: &mut Rows, cx: &mut Context<'_>) -> u64 {
        let counted = rows.counted.get(&id).cloned().unwrap_or_default();
        let (held, holds) = counted.now(rows, id, cx.at);
        if holds == 0 {
            return 0;
        }
        let Some(performance) = rows.performances.change(&id) else { return 0 };
        performance.holds = Some(u32::try_from(held).unwrap_or(u32::MAX));
        performance.extensions += 1;
        let number = performance.extensions;
        let (concert, seconds, reason, at) = (self.concert, self.seconds, self.reason.clone(), cx.at);
        extend_loaded(rows, id, at, seconds);
        let event = EventId::new(cx.ids.next(written_at));
        let told = reason.clone();
        record(rows, id, event, at, || Happening::HoldsExtended { performance: id, at, seconds, holds, reason: told });
        let version = rows.performances.get(&id).map_or(0, |performance| performance.version);
        rows.extensions.push(Extension {
            concert,
            performance: id,
            number,
            version,
            event,
            at,
            seconds,
            holds,
            reason,
        });
        holds
    }
}

/// Extends the holds that the unit of work has loaded or taken: later commands of the unit read these rows. What no command
/// changes is not saved: the store applies extensions to what it reads.
fn extend_loaded(rows: &mut Rows, performance: PerformanceId, at: Timestamp, seconds: u32) {
    let held = rows.reservations.values().filter(|(_, own)| own.performance == performance);
    let held: Vec<ReservationId> = held.filter(|(_, own)| own.status == Status::Held).map(|(id, _)| *id).collect();
    for id in held {
        // Its seats may not be loaded, and then they lack the extension.
        rows.lacking.insert(id);
        let Some(reservation) = rows.reservations.apply(&id) else { continue };
        reservation.end_at(reservation.end().after([(at, seconds)]));
    }
    let seats = rows.seats.values().filter(|((of, _), seat)| *of == performance && !seat.sold);
    let seats: Vec<(PerformanceId, u32)> = seats.map(|(key, _)| *key).collect();
    for key in seats {
        let Some(seat) = rows.seats.apply(&key) else { continue };
        seat.end_at(seat.end().after([(at, seconds)]));
    }
    if let Some(hall) = rows.halls.get_mut(&performance) {
        hall.extend(at, seconds);
    }
}

impl Command for Rewrite {
    type Output = usize;

    fn needs(&self, keys: &mut Keys) {
        keys.performances.insert(self.performance);
        keys.reservations.extend(&self.reservations);
    }

    fn decide(&self, rows: &mut Rows, _: &mut Context<'_>) -> Result<usize, Refusal> {
        let mut rewritten = 0;
        for id in &self.reservations {
            if !rows.lacking.contains(id) {
                continue;
            }
            // The loaded rows contain all extensions: marked as changed, they are saved.
            let held = rows.reservations.get(id).filter(|own| own.status == Status::Held);
            let Some((performance, seats)) = held.map(|own| (own.performance, own.seats.clone())) else { continue };
            rows.reservations.change(id);
            rows.lacking.remove(id);
            for number in seats.iter() {
                rows.seats.change(&(performance, *number));
            }
            rewritten += 1;
        }
        rows.rewritten.extend(self.done_to.map(|number| (self.performance, number)));
        Ok(rewritten)
    }
}
