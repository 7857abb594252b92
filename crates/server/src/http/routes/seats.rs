//! Lists of seats, as requests name them.

use std::borrow::Cow;
use std::collections::HashSet;

use onsale_domain::concert::SEATS_MAX;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::http::input::fields::integer;
use crate::http::input::{ELEMENTS_MAX, Fields, Member};

/// Seat numbers as the client wrote them: at least one, and none twice. A number may be of no seat.
pub(crate) struct SeatList(pub(crate) Vec<i64>);

impl JsonSchema for SeatList {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SeatNumbers".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let seat = json_schema!({"type": "integer", "minimum": 1, "maximum": SEATS_MAX});
        json_schema!({"type": "array", "minItems": 1, "maxItems": ELEMENTS_MAX, "items": seat})
    }
}

impl Member for SeatList {
    fn take(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        if !fields.has(name) {
            return None;
        }
        let seats = fields.items(name, integer)?;
        none_twice(fields, name, seats).map(Self)
    }
}

/// The seats, unless there are none or one is named twice.
fn none_twice(fields: &mut Fields<'_>, name: &str, seats: Vec<i64>) -> Option<Vec<i64>> {
    if seats.is_empty() {
        fields.wrong(name, "must name a seat".to_owned());
        return None;
    }
    let mut known = HashSet::with_capacity(seats.len());
    match seats.iter().position(|seat| !known.insert(*seat)) {
        Some(index) => {
            fields.wrong(&format!("{name}.{index}"), "is named twice".to_owned());
            None
        }
        None => Some(seats),
    }
}
