//! The hours of a sale in requests: instants that null removes.

use std::borrow::Cow;

use onsale_domain::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::http::input::{Fields, Member};
use crate::http::values::{Instant, Scalar};

/// An instant in a request, or null for none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InstantField(pub(crate) Option<Timestamp>);

impl Member for InstantField {
    fn take(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        if fields.take_null(name) {
            return Some(Self(None));
        }
        fields.optional(name, Instant::read).map(|Instant(at)| Self(Some(at)))
    }
}

impl JsonSchema for InstantField {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "InstantField".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // `oneOf`, because the `anyOf` with null of a member that may be left out is reduced to the member.
        json_schema!({"oneOf": [generator.subschema_for::<Instant>(), {"type": "null"}]})
    }
}
