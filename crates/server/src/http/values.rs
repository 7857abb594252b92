//! Values as JSON, paths and queries write them. Each type knows how it is read, how it is written, and its schema.

mod event_id;
mod ids;

use std::borrow::Cow;

use jiff::civil::Date;
use onsale_app::calendar::{parse_date, parse_rfc3339, rfc3339};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Order;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

pub(crate) use self::event_id::EventId;
pub(crate) use self::ids::{Id, IdText, PathId};
use super::input::fields::{self, Wrong};

/// A value that is written as text: in a path, in a query, or as a JSON string.
pub(crate) trait Text: JsonSchema + Sized {
    /// What the text must be, for error messages: "must be a UUID".
    const WHAT: &'static str;

    /// Returns `None` if the text is something else.
    fn parse(text: &str) -> Option<Self>;
}

/// A value that is a member of a JSON object and is not an object itself.
pub(crate) trait Scalar: Sized {
    /// # Errors
    /// What the value must be.
    fn read(value: &RawValue) -> Result<Self, Wrong>;
}

impl<T: Text> Scalar for T {
    fn read(value: &RawValue) -> Result<Self, Wrong> {
        T::parse(&fields::text(value)?).ok_or_else(|| format!("must be {}", T::WHAT))
    }
}

/// Implements [`JsonSchema`] with a schema that stands where the value stands, without a name of its own.
macro_rules! inline_schema {
    ($type:ty $(where $($parameter:tt $name:ident: $bound:ty),+)? => $schema:expr) => {
        impl$(<$($parameter $name: $bound),+>)? JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

/// A text of any content.
impl Text for String {
    const WHAT: &'static str = "a text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// An instant in RFC 3339. Written in UTC with milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instant(pub(crate) Timestamp);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(self.0))
    }
}

impl Text for Instant {
    const WHAT: &'static str = "an RFC 3339 instant, such as 2026-11-22T11:12:13Z";

    fn parse(text: &str) -> Option<Self> {
        parse_rfc3339(text).map(Self)
    }
}

inline_schema!(Instant => json_schema!({"type": "string", "format": "date-time"}));

/// A date, `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Day(pub(crate) Date);

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Text for Day {
    const WHAT: &'static str = "YYYY-MM-DD";

    fn parse(text: &str) -> Option<Self> {
        parse_date(text).map(Self)
    }
}

inline_schema!(Day => json_schema!({"type": "string", "format": "date"}));

/// A text to look for, in a query: in small letters, because capital and small ones count as the same.
#[derive(Clone, Debug)]
pub(crate) struct Search(String);

impl Search {
    /// Whether a text contains it.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.0)
    }
}

impl Text for Search {
    const WHAT: &'static str = "1 to 200 characters";

    fn parse(text: &str) -> Option<Self> {
        (1..=200).contains(&text.chars().count()).then(|| Self(text.to_lowercase()))
    }
}

inline_schema!(Search => json_schema!({"type": "string", "minLength": 1, "maxLength": 200}));

/// A name in a query, letter by letter as it was given.
#[derive(Clone, Debug)]
pub(crate) struct Exactly(pub(crate) String);

impl Text for Exactly {
    const WHAT: &'static str = "1 to 200 characters";

    fn parse(text: &str) -> Option<Self> {
        (1..=200).contains(&text.chars().count()).then(|| Self(text.to_owned()))
    }
}

inline_schema!(Exactly => json_schema!({"type": "string", "minLength": 1, "maxLength": 200}));

/// The value of a beacon: 1 to 512 visible ASCII characters.
#[derive(Clone, Debug)]
pub(crate) struct BeaconValue(pub(crate) String);

impl Text for BeaconValue {
    const WHAT: &'static str = "1 to 512 visible ASCII characters";

    fn parse(text: &str) -> Option<Self> {
        let fits = (1..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }
}

inline_schema!(BeaconValue => json_schema!({"type": "string", "minLength": 1, "maxLength": 512}));

/// How the order of early places is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlaceOrder(pub(crate) Order);

impl Text for PlaceOrder {
    const WHAT: &'static str = "arrival or draw";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "arrival" => Some(Self(Order::Arrival)),
            "draw" => Some(Self(Order::Draw)),
            _ => None,
        }
    }
}

impl Serialize for PlaceOrder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self.0 {
            Order::Arrival => "arrival",
            Order::Draw => "draw",
        })
    }
}

inline_schema!(PlaceOrder => json_schema!({"type": "string", "enum": ["arrival", "draw"]}));

/// `true` or `false` in a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switch(pub(crate) bool);

impl Text for Switch {
    const WHAT: &'static str = "true or false";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

inline_schema!(Switch => json_schema!({"type": "boolean", "default": false}));

impl Scalar for bool {
    fn read(value: &RawValue) -> Result<Self, Wrong> {
        fields::switch(value)
    }
}

/// A title or a name: 1 to 200 characters that all show, see [`super::input::visible`].
#[derive(Clone, Debug)]
pub(crate) struct Name(pub(crate) String);

impl Scalar for Name {
    fn read(value: &RawValue) -> Result<Self, Wrong> {
        fields::name(value).map(Self)
    }
}

inline_schema!(Name => json_schema!({"type": "string", "minLength": 1, "maxLength": 200}));

/// A name that a device chose: 1 to 64 characters that all show.
#[derive(Clone, Debug)]
pub(crate) struct Label(pub(crate) String);

impl Scalar for Label {
    fn read(value: &RawValue) -> Result<Self, Wrong> {
        let name = fields::name(value)?;
        if name.chars().count() <= 64 { Ok(Self(name)) } else { Err("must have 1 to 64 characters".to_owned()) }
    }
}

inline_schema!(Label => json_schema!({"type": "string", "minLength": 1, "maxLength": 64}));

/// The version of something in a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version(pub(crate) u64);

impl Text for Version {
    const WHAT: &'static str = "a whole number from 0";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

inline_schema!(Version => json_schema!({"type": "integer", "format": "int64", "minimum": 0}));

/// A value for which `null` means the same as leaving it out. For any other value `null` is an error.
#[derive(Clone, Debug)]
pub(crate) struct Nullable<T>(pub(crate) Option<T>);

impl<T: Scalar> Scalar for Nullable<T> {
    fn read(value: &RawValue) -> Result<Self, Wrong> {
        if value.get() == "null" { Ok(Self(None)) } else { T::read(value).map(|value| Self(Some(value))) }
    }
}

impl<T: JsonSchema> JsonSchema for Nullable<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A count within bounds, both included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count<const MIN: u32, const MAX: u32>(pub(crate) u32);

impl<const MIN: u32, const MAX: u32> Scalar for Count<MIN, MAX> {
    fn read(value: &RawValue) -> Result<Self, Wrong> {
        fields::count(MIN, MAX)(value).map(Self)
    }
}

inline_schema!(Count<MIN, MAX> where const MIN: u32, const MAX: u32 =>
    json_schema!({"type": "integer", "format": "uint32", "minimum": MIN, "maximum": MAX}));

/// Points within bounds, both included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Points<const MIN: i64, const MAX: i64>(pub(crate) i64);

impl<const MIN: i64, const MAX: i64> Scalar for Points<MIN, MAX> {
    fn read(value: &RawValue) -> Result<Self, Wrong> {
        fields::between(MIN..=MAX)(value).map(Self)
    }
}

inline_schema!(Points<MIN, MAX> where const MIN: i64, const MAX: i64 =>
    json_schema!({"type": "integer", "format": "int64", "minimum": MIN, "maximum": MAX}));

/// Points whose bounds are documented here and checked by the rules, which refuse them with a code of their own. A
/// number of more than 64 bits becomes the largest or the smallest one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuledPoints<const MIN: i64, const MAX: i64>(pub(crate) i64);

impl<const MIN: i64, const MAX: i64> Scalar for RuledPoints<MIN, MAX> {
    fn read(value: &RawValue) -> Result<Self, Wrong> {
        fields::saturated(value).map(Self)
    }
}

inline_schema!(RuledPoints<MIN, MAX> where const MIN: i64, const MAX: i64 =>
    json_schema!({"type": "integer", "format": "int64", "minimum": MIN, "maximum": MAX}));
