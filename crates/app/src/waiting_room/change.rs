//! What units of work did to a room, as its value in memory applies it.

use onsale_domain::concert::{Extension, Reservation};
use onsale_domain::waiting_room::{Room, Turn};

use crate::store::Announced;

/// What a unit of work of this process saw in one room that other instances change too. Only facts that hold whatever
/// else was committed: rows as of a lock, and turns that ended.
#[derive(Debug, Default)]
pub(super) struct SeenRows {
    /// Turns, each with its place.
    pub(super) turns: Vec<(u64, Turn)>,
    /// Places whose turns have ended.
    pub(super) ended: Vec<u64>,
    /// Reservations in any state.
    pub(super) reservations: Vec<Reservation>,
    /// Extensions of holds, in order.
    pub(super) extensions: Vec<Extension>,
    /// Places whose turn a payment ends, unless another hold of the user is being extended.
    pub(super) paid: Vec<u64>,
}

impl SeenRows {
    pub(super) fn is_empty(&self) -> bool {
        let Self { turns, ended, reservations, extensions, paid } = self;
        turns.is_empty() && ended.is_empty() && reservations.is_empty() && extensions.is_empty() && paid.is_empty()
    }
}

/// What units of work changed in one room.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// The room's row, if it changed.
    pub(super) room: Option<Room>,
    /// Places in line that were given up.
    pub(super) given_up: Vec<u64>,
    /// Turns, by place: new or changed, or `None` if the room has settled it.
    pub(super) turns: Vec<(u64, Option<Turn>)>,
    /// Places whose turns have ended.
    pub(super) ended: Vec<u64>,
    /// Reservations in any state.
    pub(super) reservations: Vec<Reservation>,
    /// Extensions of holds, in order.
    pub(super) extensions: Vec<Extension>,
    /// Places whose turn a payment ends, unless another hold of the user is being extended.
    pub(super) paid: Vec<u64>,
    /// What buyers read from now on, if the unit may have changed it.
    pub(super) announced: Option<Announced>,
}
