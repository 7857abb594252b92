//! The events of a draw: its list has closed, and its order is drawn. Each happens once for a concert.

use uuid::Uuid;

use super::{Digest, Draw, List};
use crate::event::{Event, Happening};
use crate::ids::{ConcertId, EventId};
use crate::rows::Rows;
use crate::time::Timestamp;

/// The version of the event of a closing among the events of its concert. Changes of a concert count from 1 and never get here, so
/// that a closing does not read the row of the concert.
pub const CLOSED_VERSION: u64 = 1 << 40;

/// The version of the event of a drawn order.
pub const DRAWN_VERSION: u64 = CLOSED_VERSION + 1;

/// The id of the event of a list that closed at this instant.
pub fn closed_event(concert: ConcertId, closed_at: Timestamp) -> EventId {
    event_of(concert, closed_at, b"onsale-draw-closed")
}

/// The id of the event of an order that was drawn at this instant.
pub fn drawn_event(concert: ConcertId, drawn_at: Timestamp) -> EventId {
    event_of(concert, drawn_at, b"onsale-draw-completed")
}

/// A UUID of version 7 with the time of the change, as every id of an event. The other bits follow from the concert, so that the
/// audit finds the event without a column for it.
fn event_of(concert: ConcertId, at: Timestamp, name: &[u8]) -> EventId {
    let time = u128::from(u64::try_from(at.as_millis()).unwrap_or(0) & ((1 << 48) - 1));
    let hash = Uuid::new_v5(&concert.uuid(), name).as_u128();
    let (high, low) = (hash >> 64 & 0xfff, hash & ((1 << 62) - 1));
    EventId::new(Uuid::from_u128(time << 80 | 7 << 76 | high << 64 | 2 << 62 | low))
}

/// Stores the hash of a closed list with its event, unless both are there. From then on list and commitment are public, and nothing
/// of the draw.
pub(super) fn publish_list(rows: &mut Rows, concert: ConcertId, entries_hash: Digest, at: Timestamp) {
    let Some(list) = rows.rooms.get(&concert).and_then(|room| room.list) else { return };
    let Some(draw) = rows.draws.change(&concert).filter(|draw| draw.entries_hash.is_none()) else { return };
    draw.entries_hash = Some(entries_hash);
    let commitment = draw.seed.commitment();
    let list = List { left: 0, drawn_at: None, ..list };
    let happening = Happening::DrawClosed { concert, list, commitment, entries_hash };
    rows.events.push(Event { id: closed_event(concert, list.closed_at), at, version: CLOSED_VERSION, happening });
}

/// Adds the event of an order that is drawn now.
pub(super) fn tell_drawn(rows: &mut Rows, concert: ConcertId, at: Timestamp) {
    let Some(list) = rows.rooms.get(&concert).and_then(|room| room.list) else { return };
    let Some(draw) = rows.draws.get(&concert).cloned() else { return };
    let draw = Draw { changes: Vec::new(), ..draw };
    let (id, happening) = (drawn_event(concert, at), Happening::DrawCompleted { concert, list, draw });
    rows.events.push(Event { id, at, version: DRAWN_VERSION, happening });
}
