//! The list of a draw: it closes at an instant, and its entries then stand in drawn order behind all numbers handed out.
//!
//! Until the closing each early user has an entry number: a place like any other, with a row. The closing passes all of them
//! and appends as many places as there are entries. The draw decides which entry has which of them. So a number is an entry or
//! a place, and never both.

use super::room::change;
use super::{Room, Settings};
use crate::ids::ConcertId;
use crate::rows::Rows;
use crate::time::Timestamp;

/// The list of a draw from its closing on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    /// When a decision first found the closing reached.
    pub closed_at: Timestamp,
    /// Number of entries: users who entered before the closing and had not left.
    pub entries: u64,
    /// The last entry number.
    pub issued: u64,
    /// Number of users who left between the closing and the draw.
    pub left: u64,
    /// When the draw was stored; `None` until then.
    pub drawn_at: Option<Timestamp>,
}

impl List {
    /// Whether a number is an entry number, and not a place.
    pub fn is_entry(&self, number: u64) -> bool {
        number <= self.issued
    }

    /// Whether a place is one of those that the draw gives.
    pub fn is_drawn_place(&self, place: u64) -> bool {
        (self.issued + 1..=self.issued + self.entries).contains(&place)
    }

    /// The place of the entry that was drawn as this one, from 1.
    pub fn place_of(&self, drawn: u32) -> u64 {
        self.issued + u64::from(drawn)
    }
}

/// How the order of early places is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// In the order of arrival.
    #[default]
    Arrival,
    /// In the order of a draw.
    Draw,
}

impl Settings {
    /// How the order of early places is decided.
    pub fn order(&self) -> Order {
        if self.draw_at.is_some() { Order::Draw } else { Order::Arrival }
    }

    /// When the list of a draw closes if the organiser sets no instant: a minute before the opening, but not before the middle of
    /// the early period. `None` without an early period.
    pub fn default_draw_at(&self) -> Option<Timestamp> {
        let (from, opens_at) = self.early_from.zip(self.sale.opens_at)?;
        let middle = from.plus_millis(from.millis_until(opens_at) / 2);
        Some(opens_at.plus_millis(-60_000).max(middle))
    }
}

impl Room {
    /// Whether the order of all places in line is known.
    pub fn is_order_known(&self) -> bool {
        self.settings.draw_at.is_none() || self.list.is_some_and(|list| list.drawn_at.is_some())
    }

    /// Whether the next decision has to close the list.
    pub fn closes_now(&self, at: Timestamp) -> bool {
        self.list.is_none() && self.settings.draw_at.is_some_and(|draw_at| draw_at <= at)
    }

    /// Whether a place was given by a draw, so that it has no row before its token is shown.
    pub fn is_drawn_place(&self, place: u64) -> bool {
        self.list.is_some_and(|list| list.is_drawn_place(place))
    }

    /// Whether a number is an entry of a closed list, and not a place.
    pub fn is_entry(&self, number: u64) -> bool {
        self.list.is_some_and(|list| list.is_entry(number))
    }
}

/// Stores that the closing of the list and the opening are reached, if they are. No clock takes either back.
pub(crate) fn reach(rows: &mut Rows, concert: ConcertId, at: Timestamp) {
    let Some(room) = rows.rooms.get(&concert) else { return };
    if room.closes_now(at) {
        let (issued, entries) = (room.issued, room.waiting());
        change(rows, concert, at, |room| {
            room.list = Some(List { closed_at: at, entries, issued, left: 0, drawn_at: None });
            (room.served, room.issued, room.given_up) = (issued, issued + entries, 0);
        });
        if let Some(given_up) = rows.given_up.get_mut(&concert) {
            given_up.pass(issued);
        }
    }
    if rows.rooms.get(&concert).is_some_and(|room| room.opens_now(at)) {
        change(rows, concert, at, |room| room.opened_at = Some(at));
    }
}
