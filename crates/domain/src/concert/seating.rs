//! Which seats a performance has, in which grade and at which price.

use std::sync::Arc;

/// Number of seats if a performance does not list its sections: seats 1 to 50.
pub const SEATS_DEFAULT: u32 = 50;

/// Maximum number of seats in a performance, and the highest seat number.
pub const SEATS_MAX: u32 = 100_000;

/// Maximum price of a seat, in points; the minimum is 0.
pub const PRICE_MAX: i64 = 100_000_000;

/// Price of a seat, in points, if the section has none.
pub const PRICE_DEFAULT: i64 = 50_000;

/// Grade of a seat if the section has none.
pub const GRADE_DEFAULT: &str = "R";

/// Maximum number of sections of a performance to which seats were added. More are refused with
/// [`crate::Refusal::SectionLimit`].
pub const SECTIONS_MAX: usize = 1_000;

/// A price for all sections of a grade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GradePrice {
    /// A grade that the performance has.
    pub grade: Arc<str>,
    /// Points, 0 to [`PRICE_MAX`].
    pub price: i64,
}

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
    /// Number of seats from `from` to `to`.
    pub fn seats(&self) -> u32 {
        self.to - self.from + 1
    }
}

/// Reasons why sections are not a valid seating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsound {
    /// The list of sections is empty.
    Empty,
    /// The section at this index ends before it begins, or leaves the range 1 to [`SEATS_MAX`].
    Range(usize),
    /// The section at this index shares a seat with an earlier section.
    Overlap(usize),
}

/// The seats of a performance: sections in ascending order that share no seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seating {
    sections: Arc<[Section]>,
    /// For each section, the number of seats in all sections before it, so that a seat's index is found by binary search.
    before: Arc<[u32]>,
}

impl Seating {
    /// Sorts and checks sections.
    ///
    /// # Errors
    /// If a section is out of bounds or shares a seat with another.
    pub fn new(sections: Vec<Section>) -> Result<Self, Unsound> {
        if sections.is_empty() {
            return Err(Unsound::Empty);
        }
        // Sorted by index, so that an error names the section as the request listed it.
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
        Ok(Self::of(sections))
    }

    /// Of sections in ascending order that share no seat.
    fn of(sections: Vec<Section>) -> Self {
        let count = |seats: &mut u32, section: &Section| {
            let before = *seats;
            *seats += section.seats();
            Some(before)
        };
        let before = sections.iter().scan(0, count).collect();
        Self { sections: sections.into(), before }
    }

    /// The same seats with these prices. Neighbours become one section if they have one grade and price now.
    ///
    /// # Errors
    /// The index of the first price of a grade that no section has.
    pub fn priced(&self, prices: &[GradePrice]) -> Result<Self, usize> {
        let has = |grade: &Arc<str>| self.sections.iter().any(|section| section.grade == *grade);
        if let Some(unknown) = prices.iter().position(|priced| !has(&priced.grade)) {
            return Err(unknown);
        }
        let price = |section: &Section| {
            let new = prices.iter().find(|priced| priced.grade == section.grade);
            Section { price: new.map_or(section.price, |new| new.price), ..section.clone() }
        };
        let sections: Vec<Section> = self.sections.iter().map(price).collect();
        Ok(if sections[..] == self.sections[..] { self.clone() } else { Self::of(merged(sections)) })
    }

    /// These seats with added ones. Neighbours of one grade and price become one section.
    ///
    /// # Errors
    /// Seats that both have, in ascending order, at most `named_max`.
    pub fn with(&self, others: &Self, named_max: usize) -> Result<Self, Vec<u32>> {
        let common = others
            .sections
            .iter()
            .flat_map(|new| self.sections.iter().flat_map(move |own| new.from.max(own.from)..=new.to.min(own.to)));
        let common: Vec<u32> = common.take(named_max).collect();
        if !common.is_empty() {
            return Err(common);
        }
        let mut sections: Vec<Section> = self.sections.iter().chain(others.sections.iter()).cloned().collect();
        sections.sort_by_key(|section| section.from);
        Ok(Self::of(merged(sections)))
    }

    /// The same seats, with neighbours of one grade and price as one section.
    #[must_use]
    pub fn merged(&self) -> Self {
        Self::of(merged(self.sections.to_vec()))
    }

    /// The sections in ascending order.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Total number of seats.
    pub fn capacity(&self) -> u32 {
        self.sections.iter().map(Section::seats).sum()
    }

    /// The section of a seat, or `None` if there is no such seat.
    pub fn section_of(&self, seat: u32) -> Option<&Section> {
        self.sections.get(self.section_index(seat)?)
    }

    /// Index of a seat among all seats, from 0, or `None` if there is no such seat.
    pub fn index_of(&self, seat: u32) -> Option<usize> {
        let index = self.section_index(seat)?;
        usize::try_from(self.before[index] + seat - self.sections[index].from).ok()
    }

    fn section_index(&self, seat: u32) -> Option<usize> {
        let index = self.sections.partition_point(|section| section.from <= seat).checked_sub(1)?;
        (seat <= self.sections[index].to).then_some(index)
    }

    /// All seats in ascending order, with their sections.
    pub fn seats(&self) -> impl Iterator<Item = (u32, &Section)> {
        self.sections.iter().flat_map(|section| (section.from..=section.to).map(move |seat| (seat, section)))
    }
}

/// Sections in ascending order, with neighbours of one grade and price as one section.
fn merged(sections: Vec<Section>) -> Vec<Section> {
    let mut merged: Vec<Section> = Vec::with_capacity(sections.len());
    for section in sections {
        match merged.last_mut() {
            Some(last) if last.to + 1 == section.from && last.grade == section.grade && last.price == section.price => {
                last.to = section.to;
            }
            _ => merged.push(section),
        }
    }
    merged
}
