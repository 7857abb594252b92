//! What units of work did to a room, as its snapshot takes it in.

use onsale_domain::concert::Reservation;
use onsale_domain::waiting_room::{Room, Turn};

/// What a unit of work saw of one room that others change too.
#[derive(Debug, Default)]
pub(super) struct Glimpse {
    pub(super) turns: Vec<(u64, Turn)>,
    pub(super) ended: Vec<u64>,
    pub(super) reservations: Vec<Reservation>,
}

/// What a unit of work changed in one room.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) room: Option<Room>,
    pub(super) given_up: Vec<u64>,
    pub(super) turns: Vec<(u64, Option<Turn>)>,
    pub(super) ended: Vec<u64>,
    pub(super) reservations: Vec<Reservation>,
}
