//! Seats that changed together, as the listeners of a hall get them.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use onsale_domain::time::Timestamp;
use parking_lot::Mutex;

use crate::catalogue::Showing;
use crate::seat_map::SeatStatus;

/// The part of a hall that a listener follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Every seat.
    Hall,
    /// The seats of the section with this index in the layout.
    Section(usize),
    /// No seat: the layout has no section of the name that the listener gave.
    Nothing,
}

/// What a listener does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Applies the changes. Listeners of a part without a change do not get it.
    Changes,
    /// Applies the changes, of which there may be none. Every listener gets it.
    Beat,
    /// Reads the map again. Every listener gets it.
    Reset,
}

/// Changes of a hall, with the text of each part once a listener has needed it. Shared by all listeners.
#[derive(Debug)]
pub struct Frame {
    /// The place in the log of the performance: a listener continues behind it.
    pub(super) serial: u64,
    /// The history of the database that the version belongs to.
    pub history: u64,
    /// The version of the performance after these changes.
    pub version: u64,
    /// An instant of which the changes are as of.
    pub as_of: Timestamp,
    /// What a listener does with it.
    pub kind: FrameKind,
    /// Seats with their status after these changes, in ascending order. Empty if the map is to be read again.
    pub(super) changes: Vec<(u32, SeatStatus)>,
    showing: Arc<Showing>,
    /// The texts by part; `None` if the part does not need the frame.
    texts: Mutex<HashMap<Part, Option<Bytes>>>,
}

/// Which version a frame leads to, and of what.
pub(super) struct Stamp {
    pub(super) serial: u64,
    pub(super) history: u64,
    pub(super) version: u64,
    pub(super) as_of: Timestamp,
    pub(super) showing: Arc<Showing>,
}

impl Frame {
    pub(super) fn new(stamp: Stamp, kind: FrameKind, changes: Vec<(u32, SeatStatus)>) -> Self {
        let Stamp { serial, history, version, as_of, showing } = stamp;
        Self { serial, history, version, as_of, kind, changes, showing, texts: Mutex::default() }
    }

    /// Ranges of neighbouring seats of a part that have a status after these changes, in ascending order.
    pub fn ranges(&self, part: Part, status: SeatStatus) -> Vec<(u32, u32)> {
        let of_status = self.changes.iter().filter(|(_, became)| *became == status).map(|(seat, _)| *seat);
        join(of_status.filter(|seat| self.is_in(part, *seat)))
    }

    /// The text for the listeners of a part, written by the first of them; `None` if they do not need this frame.
    pub fn text(&self, part: Part, write: impl FnOnce(&Self) -> Bytes) -> Option<Bytes> {
        // Held during the writing: listeners that come meanwhile share the text of the first.
        let mut texts = self.texts.lock();
        texts.entry(part).or_insert_with(|| self.concerns(part).then(|| write(self))).clone()
    }

    fn concerns(&self, part: Part) -> bool {
        self.kind != FrameKind::Changes || self.changes.iter().any(|(seat, _)| self.is_in(part, *seat))
    }

    fn is_in(&self, part: Part, seat: u32) -> bool {
        match part {
            Part::Hall => true,
            Part::Section(index) => {
                self.showing.layout.as_ref().and_then(|layout| layout.section_of(seat)) == Some(index)
            }
            Part::Nothing => false,
        }
    }
}

/// Joins ascending numbers into ranges of consecutive numbers, both ends included.
fn join(seats: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for seat in seats {
        match ranges.last_mut() {
            Some((_, to)) if to.checked_add(1) == Some(seat) => *to = seat,
            _ => ranges.push((seat, seat)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_seats_are_one_range() {
        let table: [(&[u32], &[(u32, u32)]); 5] = [
            (&[], &[]),
            (&[7], &[(7, 7)]),
            (&[7, 8, 9], &[(7, 9)]),
            (&[1, 3, 4, 6], &[(1, 1), (3, 4), (6, 6)]),
            (&[u32::MAX - 1, u32::MAX], &[(u32::MAX - 1, u32::MAX)]),
        ];
        for (seats, expected) in table {
            assert_eq!(join(seats.iter().copied()), expected, "{seats:?}");
        }
    }
}
