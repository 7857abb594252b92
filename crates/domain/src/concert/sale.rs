//! When a concert is on sale, and how many seats one user may have.

use crate::Refusal;
use crate::time::Timestamp;

/// Seats of one performance that one user may hold and have bought together, if the organiser sets no other number.
pub const SEATS_PER_USER_DEFAULT: u32 = 4;

/// The highest limit that an organiser may set. No request with more seats is read.
pub const SEATS_PER_USER_MAX: u32 = 20;

/// Whether and when users may enter, are admitted and hold seats. Stored with the concert, and also with its room and with each
/// of its performances, so that an entry, an admission and a hold read no further row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sale {
    /// An organiser closed the sale.
    pub closed: bool,
    /// The sale is not open before this instant; `None` for no bound.
    pub opens_at: Option<Timestamp>,
    /// The sale is closed from this instant on; `None` for no bound. Later than `opens_at`.
    pub closes_at: Option<Timestamp>,
    /// Before this instant a user needs a presale code to enter and to hold; `None` for no presale. Later than `opens_at`.
    pub codes_until: Option<Timestamp>,
}

impl Sale {
    /// Whether an organiser closed the sale, or its end is reached.
    pub fn is_closed(&self, at: Timestamp) -> bool {
        self.closed || self.closes_at.is_some_and(|closes_at| closes_at <= at)
    }

    /// Whether users may enter, are admitted and hold seats.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.judge(at).is_ok()
    }

    /// Whether users may enter, are admitted and hold seats.
    ///
    /// # Errors
    /// [`Refusal::SaleClosed`], or else [`Refusal::SaleNotOpen`] before `opens_at`.
    pub fn judge(&self, at: Timestamp) -> Result<(), Refusal> {
        if self.is_closed(at) {
            return Err(Refusal::SaleClosed);
        }
        match self.opens_at.filter(|opens_at| at < *opens_at) {
            Some(opens_at) => Err(Refusal::SaleNotOpen {
                opens_at,
                early_from: None,
                as_of: at,
                opens_in_seconds: at.seconds_until(opens_at),
                is_drawn: false,
            }),
            None => Ok(()),
        }
    }

    /// The instant of the opening, if it lies in the future and the sale is not closed.
    pub fn opens_later(&self, at: Timestamp) -> Option<Timestamp> {
        self.opens_at.filter(|opens_at| at < *opens_at && !self.is_closed(at))
    }

    /// The end of the presale, if it lies in the future: until then a user needs a code.
    pub fn presale(&self, at: Timestamp) -> Option<Timestamp> {
        self.codes_until.filter(|until| at < *until)
    }

    /// The field that contradicts the opening: `closesAt` if the sale does not close after it opens, or else `codesUntil` if its
    /// presale does not end after that.
    pub fn contradiction(&self) -> Option<&'static str> {
        let opens_at = self.opens_at?;
        let is_too_early = |bound: Option<Timestamp>| bound.is_some_and(|bound| bound <= opens_at);
        if is_too_early(self.closes_at) {
            return Some("closesAt");
        }
        is_too_early(self.codes_until).then_some("codesUntil")
    }
}
