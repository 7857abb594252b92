//! The order of a draw in memory: from entry numbers to places.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{List, Places, Room, Token};
use parking_lot::Mutex;

use super::LiveRoom;

/// What the number of a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// A place in line.
    Place(u64),
    /// An entry whose place is not known here: it is not drawn, or the order is not in memory yet.
    Unknown,
    /// An entry that left the list, or whose draw is over.
    Over,
}

/// The order of a draw, and the work on it.
#[derive(Default)]
pub(in crate::waiting_room) struct Drawn {
    /// Read by polls without a lock. `None` before the draw, until it is loaded, and once all drawn places are over.
    order: ArcSwapOption<Places>,
    /// Whether a task of this process draws or loads the order, and when the last one began, by the database's clock.
    work: Mutex<(bool, Option<Timestamp>)>,
}

/// How often the work on a draw is tried, in milliseconds.
const TRIED_EVERY_MILLIS: i64 = 250;

impl Drawn {
    /// Whether a task may begin now. If so, it must call [`Self::end`].
    pub(in crate::waiting_room) fn begin(&self, at: Timestamp) -> bool {
        let mut work = self.work.lock();
        let (is_running, began) = *work;
        let is_due = began.is_none_or(|began| !(0..TRIED_EVERY_MILLIS).contains(&began.millis_until(at)));
        if !is_running && is_due {
            *work = (true, Some(at));
        }
        !is_running && is_due
    }

    pub(in crate::waiting_room) fn end(&self) {
        self.work.lock().0 = false;
    }

    /// Stores the order that was read.
    pub(in crate::waiting_room) fn store(&self, order: Places) {
        self.order.store(Some(Arc::new(order)));
    }

    /// The same order, for the value that replaces a room.
    pub(super) fn copy(&self) -> Self {
        Self { order: ArcSwapOption::new(self.order.load_full()), work: Mutex::default() }
    }
}

impl LiveRoom {
    /// What the number of a token stands for, as of a snapshot.
    pub(super) fn number(&self, number: u64, room: &Room) -> Number {
        if number == 0 {
            return Number::Over;
        }
        let Some(list) = room.list.filter(|list| list.is_entry(number)) else {
            return if room.list.is_none() && room.settings.draw_at.is_some() {
                Number::Unknown
            } else {
                Number::Place(number)
            };
        };
        if list.drawn_at.is_none() {
            return Number::Unknown;
        }
        let order = self.drawn.order.load();
        let drawn = |order: &Arc<Places>| u32::try_from(number).ok().and_then(|number| order.of(number));
        match &*order {
            Some(order) => drawn(order).map_or(Number::Over, |drawn| Number::Place(list.place_of(drawn))),
            None if self.is_draw_over(room, list) => Number::Over,
            None => Number::Unknown,
        }
    }

    /// The token that a client shows, with its place. A drawn place is no number of a token: the database lost the entry before the
    /// closing, so the token has no place. Place 0 was never handed out.
    pub fn shown(&self, token: Token) -> Token {
        let is_lost = self.published.load().room.list.is_some_and(|list| list.is_drawn_place(token.place));
        if is_lost { Token { place: 0, ..token } } else { self.resolved(token) }
    }

    /// Whether the number of a token may be an entry of an open list that the database lost: none has it, as far as this process
    /// knows.
    pub fn may_be_lost(&self, token: &Token) -> bool {
        let snapshot = self.published.load();
        let is_open = snapshot.room.settings.draw_at.is_some() && snapshot.room.list.is_none();
        is_open && (snapshot.room.issued < token.place || snapshot.line.is_in_doubt(token.place))
    }

    /// The token with its place, if its number is an entry whose place is known.
    pub fn resolved(&self, token: Token) -> Token {
        match self.number(token.place, &self.published.load().room) {
            Number::Place(place) => Token { place, ..token },
            Number::Unknown | Number::Over => token,
        }
    }

    /// Whether each drawn place was admitted, and none of their turns runs.
    fn is_draw_over(&self, room: &Room, list: List) -> bool {
        let last = list.issued + list.entries;
        last <= room.served && !self.turns.has_any_up_to(last)
    }

    /// The list that has to be drawn, if there is one.
    pub(in crate::waiting_room) fn list_to_draw(&self) -> Option<List> {
        self.published.load().room.list.filter(|list| list.drawn_at.is_none())
    }

    /// Whether the order is to be loaded. Drops one that is needed no more.
    pub(in crate::waiting_room) fn needs_order(&self) -> bool {
        let room = &self.published.load().room;
        let Some(list) = room.list.filter(|list| list.drawn_at.is_some()) else { return false };
        let is_over = self.is_draw_over(room, list);
        let is_loaded = self.drawn.order.load().is_some();
        if is_over && is_loaded {
            self.drawn.order.store(None);
        }
        !is_over && !is_loaded
    }
}
