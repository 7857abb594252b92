//! Ids of events that change a seat map.

use std::borrow::Cow;
use std::fmt::{Display, Formatter, Result};

use onsale_app::seat_map::Position;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Text;

/// Digits of the history in an id, in hex.
const HISTORY_DIGITS: usize = 16;

/// The most digits of a version: a number of 19 digits always fits.
const VERSION_DIGITS_MAX: usize = 19;

/// A version of a seat map, or the id of an event: the history of the database and the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventId(pub(crate) Position);

impl Display for EventId {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Position { history, version } = self.0;
        match history {
            Some(history) => write!(f, "{history:016x}-{version}"),
            None => write!(f, "{version}"),
        }
    }
}

impl Text for EventId {
    const WHAT: &'static str = "a version of a seat map, or the id of an event";

    fn parse(text: &str) -> Option<Self> {
        let (history, version) = match text.split_once('-') {
            Some((history, version)) => (Some(parse_history(history)?), version),
            None => (None, text),
        };
        let is_number =
            (1..=VERSION_DIGITS_MAX).contains(&version.len()) && version.bytes().all(|b| b.is_ascii_digit());
        let version = Some(version).filter(|_| is_number)?.parse().ok()?;
        Some(Self(Position { history, version }))
    }
}

fn parse_history(text: &str) -> Option<u64> {
    let is_hex = text.len() == HISTORY_DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    u64::from_str_radix(Some(text).filter(|_| is_hex)?, 16).ok()
}

impl JsonSchema for EventId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "EventId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^([0-9a-f]{16}-)?[0-9]{1,19}$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_history_and_a_version() {
        let position = |history, version| Some(EventId(Position { history, version }));
        let table = [
            ("0", position(None, 0)),
            ("812", position(None, 812)),
            ("9999999999999999999", position(None, 9_999_999_999_999_999_999)),
            ("00000000000000ff-7", position(Some(255), 7)),
            ("ffffffffffffffff-7", position(Some(u64::MAX), 7)),
            ("", None),
            ("-7", None),
            ("+7", None),
            ("7.0", None),
            ("10000000000000000000", None),
            ("ff-7", None),
            ("00000000000000FF-7", None),
            ("00000000000000ff-", None),
            ("00000000000000ff-7-7", None),
        ];
        for (text, expected) in table {
            assert_eq!(EventId::parse(text), expected, "{text:?}");
            if let Some(id) = expected {
                assert_eq!(id.to_string(), text);
            }
        }
    }
}
