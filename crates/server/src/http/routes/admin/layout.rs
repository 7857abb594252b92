//! Layouts of halls, as an administrator lists them, and seats that are added to one.

use std::borrow::Cow;

use onsale_domain::concert::{
    AddedRange, GRADE_DEFAULT, LAID_SECTIONS_MAX, Layout, PRICE_DEFAULT, PRICE_MAX, PlannedSection, PlannedSegment,
    SEATS_MAX, SECTIONS_MAX, Seating, Section, UnsoundLayout,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::concert::explain;
use crate::http::input::{Body, ELEMENTS_MAX, Fields, Member};
use crate::http::values::{Count, Name, Points};

/// A section of a hall.
#[derive(Body, JsonSchema)]
pub(crate) struct LaidSectionBody {
    /// No other section has it. Every character shows.
    name: Name,
    /// Segments of rows, the best row first. Two segments with one `row` have an aisle between them. A layout has at most 2,000.
    rows: SegmentsField,
    /// "R" unless said. Every character shows.
    grade: Option<Name>,
    /// Points; the performance's price unless said.
    price: Option<Points<0, PRICE_MAX>>,
    /// Whether best available takes its seats only if the request names the section; false unless said.
    accessible: Option<bool>,
}

/// Adjacent seats of a row.
#[derive(Body, JsonSchema)]
pub(crate) struct SegmentBody {
    /// The name of the row.
    row: Name,
    /// The first seat number. Seat numbers are unique in the performance.
    from: Count<1, SEATS_MAX>,
    /// The last seat number.
    to: Count<1, SEATS_MAX>,
}

/// The segments of a section.
struct SegmentsField(Vec<SegmentBody>);

/// The sections of a hall, in the order in which they rank.
pub(crate) struct LayoutField(Vec<LaidSectionBody>);

/// Implements [`JsonSchema`] as a list with this schema of its items.
macro_rules! list_schema {
    ($field:ty, $name:literal, $item:ty, $most:expr) => {
        impl JsonSchema for $field {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let items = generator.subschema_for::<$item>();
                json_schema!({"type": "array", "minItems": 1, "maxItems": $most, "items": items})
            }
        }
    };
}

list_schema!(SegmentsField, "Segments", SegmentBody, ELEMENTS_MAX);
list_schema!(LayoutField, "Layout", LaidSectionBody, LAID_SECTIONS_MAX);
list_schema!(AddedField, "AddedSeats", AddedBody, SECTIONS_MAX);

impl Member for SegmentsField {
    fn take(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        // A segment that is wrong is noted and comes as `None`.
        fields.objects(name, SegmentBody::read)?.into_iter().collect::<Option<Vec<_>>>().map(Self)
    }
}

impl Member for LayoutField {
    fn take(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        let sections = fields.objects(name, LaidSectionBody::read)?.into_iter().collect::<Option<Vec<_>>>()?;
        let field = Self(sections);
        match field.plan(PRICE_DEFAULT) {
            Ok(_) => Some(field),
            Err(unsound) => {
                let (path, message) = explain_layout(unsound);
                fields.wrong(&path, message.to_owned());
                None
            }
        }
    }
}

impl LayoutField {
    /// The layout and its seats, with this price for sections that name none.
    ///
    /// # Errors
    /// Why the sections make no layout.
    pub(crate) fn plan(&self, price: i64) -> Result<(Layout, Seating), UnsoundLayout> {
        let segment = |SegmentBody { row: Name(row), from, to }: &SegmentBody| PlannedSegment {
            row: row.as_str().into(),
            from: from.0,
            to: to.0,
        };
        let section = |section: &LaidSectionBody| PlannedSection {
            name: section.name.0.as_str().into(),
            grade: section.grade.as_ref().map_or(GRADE_DEFAULT, |Name(grade)| grade).into(),
            price: section.price.map_or(price, |Points(price)| price),
            accessible: section.accessible.unwrap_or(false),
            rows: section.rows.0.iter().map(segment).collect(),
        };
        Layout::plan(&self.0.iter().map(section).collect::<Vec<_>>())
    }
}

/// The path of the field that is wrong, and what is wrong with it.
pub(super) fn explain_layout(unsound: UnsoundLayout) -> (String, &'static str) {
    match unsound {
        UnsoundLayout::Empty => ("sections".to_owned(), "must name a section"),
        UnsoundLayout::Sections => ("sections".to_owned(), "must have at most 200 sections"),
        UnsoundLayout::Segments(section) => {
            (format!("sections.{section}.rows"), "must not bring the layout above 2,000 segments")
        }
        UnsoundLayout::NoRow(section) => (format!("sections.{section}.rows"), "must name a row"),
        UnsoundLayout::NameTwice(section) => (format!("sections.{section}.name"), "is the name of another section"),
        UnsoundLayout::Range(section, row) => (format!("sections.{section}.rows.{row}.to"), "must not be before from"),
        UnsoundLayout::Overlap(section, row) => {
            (format!("sections.{section}.rows.{row}.from"), "is a seat of another segment")
        }
    }
}

/// Seats to add, with their place if the performance has a layout.
#[derive(Body, JsonSchema)]
pub(crate) struct AddedBody {
    from: Count<1, SEATS_MAX>,
    to: Count<1, SEATS_MAX>,
    /// "R" unless said, and with a layout that of the section. Every character shows.
    grade: Option<Name>,
    /// Points; 50,000 unless said, and with a layout that of the section.
    price: Option<Points<0, PRICE_MAX>>,
    /// With a layout: the section, which may be new.
    section: Option<Name>,
    /// With a layout: the row of the section, which may be new.
    row: Option<Name>,
}

/// Ranges of seats to add in a request.
pub(crate) struct AddedField {
    pub(crate) seats: Seating,
    pub(crate) places: Vec<AddedRange>,
}

impl Member for AddedField {
    fn take(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        // A range that is wrong is noted and comes as `None`.
        let added = fields.objects(name, AddedBody::read)?.into_iter().collect::<Option<Vec<_>>>()?;
        let range = |added: &AddedBody| Section {
            from: added.from.0,
            to: added.to.0,
            grade: added.grade.as_ref().map_or(GRADE_DEFAULT, |Name(grade)| grade).into(),
            price: added.price.map_or(PRICE_DEFAULT, |Points(price)| price),
        };
        match Seating::new(added.iter().map(range).collect()) {
            Ok(seats) => Some(Self { seats, places: added.into_iter().map(AddedBody::place).collect() }),
            Err(unsound) => {
                let (path, message) = explain(unsound);
                fields.wrong(&path, message.to_owned());
                None
            }
        }
    }
}

impl AddedBody {
    fn place(self) -> AddedRange {
        let text = |name: Option<Name>| name.map(|Name(text)| text.into());
        AddedRange {
            from: self.from.0,
            to: self.to.0,
            section: text(self.section),
            row: text(self.row),
            grade: text(self.grade),
            price: self.price.map(|Points(price)| price),
        }
    }
}
