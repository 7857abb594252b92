//! Which seats of a performance are free, and until when the other seats are held: what a choice of seats reads under the lock.
//!
//! A hall costs 8 bytes and 1 bit for each seat number. Runs of free seats are found 64 seats at a time.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::{Performance, Wish};
use crate::time::Timestamp;

/// The seat is free.
const FREE: i64 = i64::MIN;

/// The seat is sold, blocked or unknown: no lapse of a hold makes it free.
const CLOSED: i64 = i64::MAX;

/// With a hall a store loads the lapsed holds that are not settled, and those that lapse within this time: the instant of the
/// decision may be later than that of the load, by [`Timestamp::SET_BACK_MILLIS`] if the clock was set back.
pub const LAPSED_WITHIN_MILLIS: i64 = Timestamp::SET_BACK_MILLIS + 250;

/// Ranges of open seats with up to this many closed seats between them are read as one: a row costs less than a search.
const GAP_MAX: u32 = 16;

/// A row of a seat as the store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Held to this instant, extensions included. The hold may have lapsed.
    Held(Timestamp),
    /// Sold, or taken from sale.
    Closed,
}

/// The seats of one performance in a unit of work.
#[derive(Clone, Debug, Default)]
pub struct Hall {
    /// By seat number, in milliseconds: the end of the hold, or [`FREE`] or [`CLOSED`].
    free_from: Vec<i64>,
    /// One bit for each seat number: whether the seat can be held at `at`.
    free: Vec<u64>,
    /// The instant of the bits; `None` if they are not computed.
    at: Option<Timestamp>,
    /// Wishes that no seats fit, each with the instant from which seats could. Cleared when a seat changes: in a rush most wishes
    /// of a batch are the same few.
    refused: HashMap<Wish, Option<Timestamp>>,
}

impl Hall {
    /// A hall in which these seats are free, except for the rows of the store. Rows of other seats do not count.
    pub fn read(
        seats: impl IntoIterator<Item = RangeInclusive<u32>>,
        rows: impl IntoIterator<Item = (u32, Taken)>,
    ) -> Self {
        let mut hall = Self::default();
        seats.into_iter().for_each(|range| hall.add(range));
        for (seat, taken) in rows {
            match taken {
                Taken::Held(until) => hall.hold(seat, until),
                Taken::Closed => hall.close(seat),
            }
        }
        hall
    }

    /// Whether it has all seats that are neither sold nor blocked, by the counters of the performance. Seats that are free or
    /// held are counted and never guessed: with the right number of them, none is missing.
    pub fn is_whole(&self, performance: &Performance) -> bool {
        let closed = u64::from(performance.sold) + u64::from(performance.blocked);
        self.open() + closed == u64::from(performance.seating.capacity())
    }

    /// Number of seats that are free or held.
    fn open(&self) -> u64 {
        self.free_from.iter().filter(|from| **from != CLOSED).count() as u64
    }

    /// The seats that are free or held, as ranges in ascending order. A few closed seats may lie in a range, and no number that
    /// is no seat of the performance.
    pub fn open_ranges(&self, performance: &Performance) -> Vec<RangeInclusive<u32>> {
        let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
        for section in performance.seating.sections() {
            let mut last: Option<RangeInclusive<u32>> = None;
            for seat in (section.from..=section.to).filter(|seat| self.from(*seat) != CLOSED) {
                last = match last.take() {
                    Some(range) if seat - range.end() <= GAP_MAX => Some(*range.start()..=seat),
                    before => {
                        ranges.extend(before);
                        Some(seat..=seat)
                    }
                };
            }
            ranges.extend(last);
        }
        ranges
    }

    /// Adds seats that are free, by their numbers.
    pub(crate) fn add(&mut self, range: RangeInclusive<u32>) {
        let (from, to) = (index(*range.start()), index(*range.end()));
        if self.free_from.len() <= to {
            self.free_from.resize(to + 1, CLOSED);
        }
        self.free_from[from..=to].fill(FREE);
        self.at = None;
        self.refused.clear();
    }

    /// The seat is held to this instant. A closed seat stays closed.
    pub(crate) fn hold(&mut self, seat: u32, until: Timestamp) {
        if self.from(seat) != CLOSED {
            self.set(seat, until.as_millis());
        }
    }

    /// The seat is sold or blocked.
    pub(crate) fn close(&mut self, seat: u32) {
        self.set(seat, CLOSED);
    }

    /// The seat is free. It may be one that was closed when the hall was read.
    pub(crate) fn free(&mut self, seat: u32) {
        if self.free_from.len() <= index(seat) {
            self.free_from.resize(index(seat) + 1, CLOSED);
            self.free.resize(self.free_from.len().div_ceil(64), 0);
        }
        self.set(seat, FREE);
    }

    /// The holds that live at this instant last these seconds longer.
    pub(crate) fn extend(&mut self, at: Timestamp, seconds: u32) {
        let is_live = |from: &&mut i64| **from > at.as_millis() && **from != CLOSED;
        for from in self.free_from.iter_mut().filter(is_live) {
            *from = Timestamp::from_millis(*from).plus_seconds(seconds).as_millis();
        }
        self.at = None;
        self.refused.clear();
    }

    fn set(&mut self, seat: u32, free_from: i64) {
        let Some(own) = self.free_from.get_mut(index(seat)) else { return };
        *own = free_from;
        self.refused.clear();
        if let Some(word) = self.free.get_mut(index(seat) / 64) {
            let bit = 1 << (seat % 64);
            if free_from == FREE { *word |= bit } else { *word &= !bit }
        }
    }

    fn from(&self, seat: u32) -> i64 {
        self.free_from.get(index(seat)).copied().unwrap_or(CLOSED)
    }

    /// Prepares the choice of seats at an instant. A seat whose hold has lapsed is free if `can_settle`: the rows that settle
    /// the hold are loaded.
    pub(crate) fn prepare(&mut self, at: Timestamp, can_settle: impl Fn(u32) -> bool) {
        if self.at == Some(at) {
            return;
        }
        self.at = Some(at);
        self.refused.clear();
        self.free.clear();
        self.free.resize(self.free_from.len().div_ceil(64), 0);
        for (seat, from) in (0_u32..).zip(&self.free_from) {
            let is_free = *from == FREE || (*from <= at.as_millis() && can_settle(seat));
            self.free[index(seat) / 64] |= u64::from(is_free) << (seat % 64);
        }
    }

    /// The hall prepared for an instant, if each lapsed hold can be settled.
    #[must_use]
    pub fn as_of(mut self, at: Timestamp) -> Self {
        self.prepare(at, |_| true);
        self
    }

    /// Whether any seat is free. The hall is prepared.
    pub(crate) fn has_free(&self) -> bool {
        self.free.iter().any(|word| *word != 0)
    }

    /// The runs of free seats in a range, in ascending order, each as long as possible within the range.
    pub(super) fn runs(&self, range: RangeInclusive<u32>) -> impl Iterator<Item = RangeInclusive<u32>> {
        let (mut next, end) = (*range.start(), *range.end());
        std::iter::from_fn(move || {
            let from = self.find(next, end, true)?;
            next = self.find(from, end, false).unwrap_or(end + 1);
            Some(from..=next - 1)
        })
    }

    /// The first seat from `from` to `end` that is free, or that is not.
    fn find(&self, from: u32, end: u32, is_free: bool) -> Option<u32> {
        let mut seat = from;
        while seat <= end {
            let word = self.free.get(index(seat) / 64).copied().unwrap_or(0);
            let sought = (if is_free { word } else { !word }) >> (seat % 64);
            if sought != 0 {
                return Some(seat + sought.trailing_zeros()).filter(|seat| *seat <= end);
            }
            seat = (seat / 64 + 1) * 64;
        }
        None
    }

    /// When `count` adjacent seats of a range are free at the earliest, if no hold on them is paid; `None` if never.
    pub(super) fn fits_from(&self, range: RangeInclusive<u32>, count: u32) -> Option<Timestamp> {
        let until = index(*range.end()).min(self.free_from.len().checked_sub(1)?);
        let seats = self.free_from.get(index(*range.start())..=until)?;
        // Closed seats come in long runs, and no group has one.
        let open = seats.split(|from| *from == CLOSED);
        let latest = open.flat_map(|run| run.windows(index(count))).filter_map(|group| group.iter().max()).min();
        latest.map(|from| Timestamp::from_millis(*from))
    }

    /// Why a wish was refused before in this unit of work, if no seat has changed since.
    pub(super) fn refused(&self, wish: &Wish) -> Option<Option<Timestamp>> {
        self.refused.get(wish).copied()
    }

    /// Notes that no seats fit a wish, and from when they could.
    pub(super) fn note_refused(&mut self, wish: &Wish, fits_from: Option<Timestamp>) {
        self.refused.insert(wish.clone(), fits_from);
    }
}

fn index(seat: u32) -> usize {
    seat as usize
}
