//! Early entry: users take places before the sale opens, and none is admitted before that.
//!
//! The opening is stored by the first decision that finds it reached, so that a clock that is set back does not undo it.

use super::{Room, Settings};
use crate::Refusal;
use crate::concert::Sale;
use crate::time::Timestamp;

/// The last time before a draw in which it does not move, in milliseconds.
const DRAW_FIXED_MILLIS: i64 = 300_000;

impl Settings {
    /// Whether users may enter early only before an opening that is set, and a draw lies between both.
    pub fn is_sound(&self) -> bool {
        self.contradiction().is_none()
    }

    /// The name of the field, in requests about the room, that contradicts the others.
    pub fn contradiction(&self) -> Option<&'static str> {
        let (Some(from), Some(opens_at)) = (self.early_from, self.sale.opens_at) else {
            return match (self.early_from, self.draw_at) {
                (Some(_), _) => Some("earlyFrom"),
                (None, Some(_)) => Some("order"),
                (None, None) => None,
            };
        };
        if opens_at <= from {
            return Some("earlyFrom");
        }
        self.draw_at.filter(|draw_at| *draw_at <= from || opens_at < *draw_at).map(|_| "drawAt")
    }
}

impl Room {
    /// Whether the opening is reached or was reached before, and a draw is done. True without an opening.
    pub fn is_opened(&self, at: Timestamp) -> bool {
        let is_reached = || self.settings.sale.opens_at.is_none_or(|opens_at| opens_at <= at);
        self.opened_at.is_some() || (self.is_order_known() && is_reached())
    }

    /// Whether the next decision has to note the opening.
    pub fn opens_now(&self, at: Timestamp) -> bool {
        self.is_early() && self.is_opened(at)
    }

    /// Whether places in line are early: users may enter before the opening, and no decision has found it reached.
    pub fn is_early(&self) -> bool {
        self.settings.early_from.is_some() && self.settings.sale.opens_at.is_some() && self.opened_at.is_none()
    }

    /// Seconds until the opening, rounded up; 0 if it was reached, if there is none, or if the sale is closed.
    pub fn opens_in(&self, at: Timestamp) -> u32 {
        let opens_at = self.settings.sale.opens_later(at).filter(|_| self.opened_at.is_none());
        opens_at.map_or(0, |opens_at| at.seconds_until(opens_at))
    }

    /// Whether users are admitted at this instant: not during a pause, and only while the sale is open.
    pub fn admits(&self, at: Timestamp) -> bool {
        !self.settings.paused && !self.settings.sale.is_closed(at) && self.is_opened(at)
    }

    /// Whether users may enter at this instant.
    ///
    /// # Errors
    /// [`Refusal::SaleClosed`], or else [`Refusal::SaleNotOpen`] before `early_from`, or before the opening without it.
    pub fn judge_entry(&self, at: Timestamp) -> Result<(), Refusal> {
        let Settings { sale, early_from, draw_at, .. } = self.settings;
        if sale.is_closed(at) {
            return Err(Refusal::SaleClosed);
        }
        let Some(opens_at) = sale.opens_at.filter(|_| !self.is_opened(at)) else { return Ok(()) };
        let begins_at = early_from.unwrap_or(opens_at);
        if begins_at <= at {
            return Ok(());
        }
        let (opens_in_seconds, is_drawn) = (at.seconds_until(begins_at), draw_at.is_some());
        Err(Refusal::SaleNotOpen { opens_at, early_from, as_of: at, opens_in_seconds, is_drawn })
    }

    /// Whether a place may have been handed out, also by Redis.
    fn may_be_in_use(&self) -> bool {
        self.issued.max(self.blocks.reserved_to) > 0
    }

    /// Whether early entry and the order of places may be changed.
    ///
    /// # Errors
    /// - [`Refusal::EarlyHours`] if the new settings contradict each other.
    /// - [`Refusal::RoomInUse`] if early entry has begun and would change, if a place was handed out and the order would change,
    ///   or if the draw would come sooner or is less than five minutes away.
    pub(super) fn judge_early(&self, new: &Settings, at: Timestamp) -> Result<(), Refusal> {
        let Settings { early_from, draw_at, .. } = self.settings;
        if (early_from, draw_at) == (new.early_from, new.draw_at) {
            return Ok(());
        }
        if let Some(field) = new.contradiction() {
            return Err(Refusal::EarlyHours { field });
        }
        let is_early_fixed = early_from != new.early_from && early_from.is_some_and(|from| from <= at);
        let is_draw_fixed = draw_at != new.draw_at && self.is_promised() && !self.may_move_draw(new.draw_at, at);
        if is_early_fixed || is_draw_fixed { Err(Refusal::RoomInUse) } else { Ok(()) }
    }

    /// Whether the order of places is promised: a place may have been handed out, or the list has closed.
    pub(super) fn is_promised(&self) -> bool {
        self.may_be_in_use() || self.list.is_some()
    }

    /// Whether a promised draw may move to another instant: only later, and not in the last five minutes before it.
    fn may_move_draw(&self, to: Option<Timestamp>, at: Timestamp) -> bool {
        let moves_later = |(from, to): (Timestamp, Timestamp)| from < to && at.plus_millis(DRAW_FIXED_MILLIS) <= from;
        self.list.is_none() && self.settings.draw_at.zip(to).is_some_and(moves_later)
    }

    /// Whether the hours of the sale may be changed. Users who entered early wait for the opening that the room promised.
    ///
    /// # Errors
    /// - [`Refusal::EarlyHours`] if the sale would open before users may enter early, or at no set time.
    /// - [`Refusal::SaleDrawn`] if the places were drawn: visitors know the opening with their place.
    /// - [`Refusal::SaleOpened`] if it has opened, and users entered before.
    /// - [`Refusal::RoomInUse`] if it would open sooner, and users entered.
    pub fn judge_sale(&self, sale: &Sale, at: Timestamp) -> Result<(), Refusal> {
        let (before, Some(early_from)) = (self.settings.sale.opens_at, self.settings.early_from) else { return Ok(()) };
        if before == sale.opens_at {
            return Ok(());
        }
        if !(Settings { sale: *sale, ..self.settings }).is_sound() {
            return Err(Refusal::EarlyHours { field: "opensAt" });
        }
        if self.list.is_some_and(|list| list.drawn_at.is_some()) {
            return Err(Refusal::SaleDrawn);
        }
        match early_from <= at && self.may_be_in_use() {
            true if self.is_opened(at) => Err(Refusal::SaleOpened),
            true if sale.opens_at < before => Err(Refusal::RoomInUse),
            _ => Ok(()),
        }
    }
}
