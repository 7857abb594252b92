//! The layout of a hall: sections with rows, and rows with segments of adjacent seats.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{Seating, Section, Unsound};

/// Maximum number of sections of a layout. More are refused with [`crate::Refusal::SectionLimit`], or at creation as bad input.
pub const LAID_SECTIONS_MAX: usize = 200;

/// Maximum number of segments of rows of a layout. More are refused as more sections are.
pub const SEGMENTS_MAX: usize = 2_000;

/// A section to lay out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSection {
    /// 1 to 200 characters; no other section has it.
    pub name: Arc<str>,
    /// 1 to 200 characters.
    pub grade: Arc<str>,
    /// Points, 0 to [`super::PRICE_MAX`].
    pub price: i64,
    /// Whether best available chooses its seats only for a request that names the section.
    pub accessible: bool,
    /// The segments, front rows first.
    pub rows: Vec<PlannedSegment>,
}

/// Adjacent seats of a row. Segments of one row have an aisle between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSegment {
    /// The name of the row: 1 to 200 characters.
    pub row: Arc<str>,
    /// The first seat number.
    pub from: u32,
    /// The last seat number, at least `from`.
    pub to: u32,
}

/// A section of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaidSection {
    /// 1 to 200 characters.
    pub name: Arc<str>,
    /// The grade of its seats.
    pub grade: Arc<str>,
    /// Whether best available chooses its seats only for a request that names the section.
    pub accessible: bool,
    /// Its rows, in the order in which they rank.
    pub rows: Vec<LaidRow>,
}

/// A row of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaidRow {
    /// 1 to 200 characters.
    pub name: Arc<str>,
    /// Ranges of adjacent seats, with an aisle between two of them.
    pub segments: Vec<RangeInclusive<u32>>,
}

impl LaidSection {
    /// Number of seats.
    pub fn seats(&self) -> u32 {
        self.segments().map(|segment| segment.end() - segment.start() + 1).sum()
    }

    /// The first seat of its first row.
    pub fn first_seat(&self) -> Option<u32> {
        self.segments().next().map(|segment| *segment.start())
    }

    fn segments(&self) -> impl Iterator<Item = &RangeInclusive<u32>> {
        self.rows.iter().flat_map(|row| &row.segments)
    }
}

/// Reasons why sections make no layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsoundLayout {
    /// There is no section.
    Empty,
    /// There are more than [`LAID_SECTIONS_MAX`] sections.
    Sections,
    /// There are more than [`SEGMENTS_MAX`] segments, counted to this section.
    Segments(usize),
    /// The section at this index has no row.
    NoRow(usize),
    /// The section at this index has the name of an earlier one.
    NameTwice(usize),
    /// Of this section, this segment ends before it begins, or leaves the range of seat numbers.
    Range(usize, usize),
    /// Of this section, this segment shares a seat with another one.
    Overlap(usize, usize),
}

/// Where each seat of a performance is. Fixed, but for added seats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    sections: Arc<[LaidSection]>,
    /// By ascending seat numbers, so that the place of a seat is found by binary search.
    places: Arc<[Place]>,
}

/// A segment with the index of its section and that of its row in the section.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    seats: RangeInclusive<u32>,
    section: usize,
    row: usize,
}

impl Layout {
    /// Checks planned sections. Returns the layout, and the same seats with their grades and prices.
    ///
    /// # Errors
    /// The first reason why they make no layout.
    pub fn plan(plan: &[PlannedSection]) -> Result<(Self, Seating), UnsoundLayout> {
        if plan.is_empty() {
            return Err(UnsoundLayout::Empty);
        }
        if plan.len() > LAID_SECTIONS_MAX {
            return Err(UnsoundLayout::Sections);
        }
        let mut at = Vec::new();
        for (index, section) in plan.iter().enumerate() {
            if section.rows.is_empty() {
                return Err(UnsoundLayout::NoRow(index));
            }
            if plan[..index].iter().any(|other| other.name == section.name) {
                return Err(UnsoundLayout::NameTwice(index));
            }
            at.extend((0..section.rows.len()).map(|segment| (index, segment)));
            if at.len() > SEGMENTS_MAX {
                return Err(UnsoundLayout::Segments(index));
            }
        }
        let place = |index: usize| at.get(index).copied().unwrap_or_default();
        let seating =
            Seating::new(plan.iter().flat_map(PlannedSection::ranges).collect()).map_err(|why| match why {
                Unsound::Empty => UnsoundLayout::Empty,
                Unsound::Range(index) => UnsoundLayout::Range(place(index).0, place(index).1),
                Unsound::Overlap(index) => UnsoundLayout::Overlap(place(index).0, place(index).1),
            })?;
        let mut sections = Vec::with_capacity(plan.len());
        for planned in plan {
            let PlannedSection { name, grade, accessible, .. } = planned.clone();
            let mut section = LaidSection { name, grade, accessible, rows: Vec::new() };
            planned.rows.iter().for_each(|segment| section.add(&segment.row, segment.from..=segment.to));
            sections.push(section);
        }
        Ok((Self::of(sections), seating.merged()))
    }

    /// Of sections whose segments share no seat.
    pub fn of(sections: Vec<LaidSection>) -> Self {
        let mut places = Vec::new();
        for (index, section) in sections.iter().enumerate() {
            for (row, laid) in section.rows.iter().enumerate() {
                places.extend(laid.segments.iter().map(|seats| Place { seats: seats.clone(), section: index, row }));
            }
        }
        places.sort_by_key(|place| *place.seats.start());
        Self { sections: sections.into(), places: places.into() }
    }

    /// The sections, in the order in which they rank.
    pub fn sections(&self) -> &[LaidSection] {
        &self.sections
    }

    /// The section with this name.
    pub fn section(&self, name: &str) -> Option<&LaidSection> {
        self.sections.iter().find(|section| &*section.name == name)
    }

    /// The section and the row of a seat; `None` if the layout has no such seat.
    pub fn place_of(&self, seat: u32) -> Option<(&LaidSection, &LaidRow)> {
        let place = self.find(seat)?;
        let section = self.sections.get(place.section)?;
        section.rows.get(place.row).map(|row| (section, row))
    }

    /// The index of the section of a seat.
    pub fn section_of(&self, seat: u32) -> Option<usize> {
        self.find(seat).map(|place| place.section)
    }

    fn find(&self, seat: u32) -> Option<&Place> {
        let index = self.places.partition_point(|place| *place.seats.start() <= seat).checked_sub(1)?;
        self.places.get(index).filter(|place| place.seats.contains(&seat))
    }

    /// Number of segments of all rows.
    pub fn segments(&self) -> usize {
        self.places.len()
    }

    /// This layout with one more segment, at the end of its row. A row or section that is new ranks last, and is not
    /// accessible.
    #[must_use]
    pub(crate) fn with(
        &self,
        section: &Arc<str>,
        grade: &Arc<str>,
        row: &Arc<str>,
        seats: RangeInclusive<u32>,
    ) -> Self {
        let mut sections = self.sections.to_vec();
        match sections.iter_mut().find(|own| own.name == *section) {
            Some(own) => own.add(row, seats),
            None => {
                let rows = vec![LaidRow { name: row.clone(), segments: vec![seats] }];
                let (name, grade) = (section.clone(), grade.clone());
                sections.push(LaidSection { name, grade, accessible: false, rows });
            }
        }
        Self::of(sections)
    }
}

impl PlannedSection {
    fn ranges(&self) -> impl Iterator<Item = Section> {
        let range = |segment: &PlannedSegment| Section {
            from: segment.from,
            to: segment.to,
            grade: self.grade.clone(),
            price: self.price,
        };
        self.rows.iter().map(range)
    }
}

impl LaidSection {
    /// Adds a segment to the row of this name, which may be new.
    fn add(&mut self, row: &Arc<str>, seats: RangeInclusive<u32>) {
        match self.rows.iter_mut().find(|own| own.name == *row) {
            Some(own) => own.segments.push(seats),
            None => self.rows.push(LaidRow { name: row.clone(), segments: vec![seats] }),
        }
    }
}
