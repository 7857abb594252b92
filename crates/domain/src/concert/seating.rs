//! Which seats a performance has, in which grade and at which price.

use std::sync::Arc;

/// Seats of a performance that names none: 1 to 50.
pub const SEATS_DEFAULT: u32 = 50;

/// The most seats of a performance, and the highest seat number.
pub const SEATS_MAX: u32 = 100_000;

/// The highest price of a seat, in points; the least is 0.
pub const PRICE_MAX: i64 = 100_000_000;

/// The price of a seat for which none is named.
pub const PRICE_DEFAULT: i64 = 50_000;

/// The grade of a seat for which none is named.
pub const GRADE_DEFAULT: &str = "R";

/// Neighbouring seats of one grade and price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The first seat number.
    pub from: u32,
    /// The last seat number, at least `from`.
    pub to: u32,
    /// 1 to 200 characters.
    pub grade: Arc<str>,
    /// Points, 0 to [`PRICE_MAX`].
    pub price: i64,
}

impl Section {
    /// How many seats.
    pub fn seats(&self) -> u32 {
        self.to - self.from + 1
    }
}

/// Why sections do not make a seating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsound {
    /// There are none.
    Empty,
    /// The section at this index ends before it begins, or leaves 1 to [`SEATS_MAX`].
    Range(usize),
    /// The section at this index has a seat of an earlier one.
    Overlap(usize),
}

/// The seats of a performance: sections in rising order that share no seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seating {
    sections: Arc<[Section]>,
    /// How many seats all sections before each one have together: a seat's index is found without going through them.
    before: Arc<[u32]>,
}

impl Seating {
    /// Orders sections into a seating.
    ///
    /// # Errors
    /// Where a section is out of bounds or shares a seat with another.
    pub fn new(sections: Vec<Section>) -> Result<Self, Unsound> {
        if sections.is_empty() {
            return Err(Unsound::Empty);
        }
        let mut order: Vec<usize> = (0..sections.len()).collect();
        order.sort_by_key(|i| sections[*i].from);
        let mut last = 0;
        for i in order {
            let Section { from, to, .. } = sections[i];
            if from == 0 || to < from || to > SEATS_MAX {
                return Err(Unsound::Range(i));
            }
            if from <= last {
                return Err(Unsound::Overlap(i));
            }
            last = to;
        }
        let mut sections = sections;
        sections.sort_by_key(|section| section.from);
        let count = |seats: &mut u32, section: &Section| {
            let before = *seats;
            *seats += section.seats();
            Some(before)
        };
        let before = sections.iter().scan(0, count).collect();
        Ok(Self { sections: sections.into(), before })
    }

    /// The sections, in rising order.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// How many seats.
    pub fn capacity(&self) -> u32 {
        self.sections.iter().map(Section::seats).sum()
    }

    /// The section of a seat; `None` where there is no such seat.
    pub fn section_of(&self, seat: u32) -> Option<&Section> {
        self.sections.get(self.section_index(seat)?)
    }

    /// Where a seat stands among all seats, from 0; `None` where there is no such seat.
    pub fn index_of(&self, seat: u32) -> Option<usize> {
        let index = self.section_index(seat)?;
        usize::try_from(self.before[index] + seat - self.sections[index].from).ok()
    }

    fn section_index(&self, seat: u32) -> Option<usize> {
        let index = self.sections.partition_point(|section| section.from <= seat).checked_sub(1)?;
        (seat <= self.sections[index].to).then_some(index)
    }

    /// All seats in rising order, with their sections.
    pub fn seats(&self) -> impl Iterator<Item = (u32, &Section)> {
        self.sections.iter().flat_map(|section| (section.from..=section.to).map(move |seat| (seat, section)))
    }
}
