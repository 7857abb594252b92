//! Early entry: users take places before the sale opens, and none is admitted before that.
//!
//! The opening is stored by the first decision that finds it reached, so that a clock that is set back does not undo it.

use super::{Room, Settings};
use crate::Refusal;
use crate::concert::Sale;
use crate::time::Timestamp;

impl Settings {
    /// Whether users may enter early only before an opening that is set.
    pub fn is_sound(&self) -> bool {
        self.early_from.is_none_or(|from| self.sale.opens_at.is_some_and(|opens_at| from < opens_at))
    }
}

impl Room {
    /// Whether the opening is reached or was reached before. True without an opening.
    pub fn is_opened(&self, at: Timestamp) -> bool {
        self.opened_at.is_some() || self.settings.sale.opens_at.is_none_or(|opens_at| opens_at <= at)
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
        let Settings { sale, early_from, .. } = self.settings;
        if sale.is_closed(at) {
            return Err(Refusal::SaleClosed);
        }
        let Some(opens_at) = sale.opens_at.filter(|_| !self.is_opened(at)) else { return Ok(()) };
        let begins_at = early_from.unwrap_or(opens_at);
        if begins_at <= at {
            return Ok(());
        }
        Err(Refusal::SaleNotOpen { opens_at, early_from, as_of: at, opens_in_seconds: at.seconds_until(begins_at) })
    }

    /// Whether a place may have been handed out, also by Redis.
    fn may_be_in_use(&self) -> bool {
        self.issued.max(self.blocks.reserved_to) > 0
    }

    /// Whether early entry may be changed.
    ///
    /// # Errors
    /// [`Refusal::EarlyHours`] if the new settings contradict each other, [`Refusal::RoomInUse`] once early entry has begun.
    pub(super) fn judge_early(&self, new: &Settings, at: Timestamp) -> Result<(), Refusal> {
        let before = self.settings.early_from;
        if before == new.early_from {
            return Ok(());
        }
        if !new.is_sound() {
            return Err(Refusal::EarlyHours { field: "earlyFrom" });
        }
        if before.is_some_and(|from| from <= at) { Err(Refusal::RoomInUse) } else { Ok(()) }
    }

    /// Whether the hours of the sale may be changed. Users who entered early wait for the opening that the room promised.
    ///
    /// # Errors
    /// - [`Refusal::EarlyHours`] if the sale would open before users may enter early, or at no set time.
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
        match early_from <= at && self.may_be_in_use() {
            true if self.is_opened(at) => Err(Refusal::SaleOpened),
            true if sale.opens_at < before => Err(Refusal::RoomInUse),
            _ => Ok(()),
        }
    }
}
