//! What an auditor knows of the opening of a room and of its draw: what the server publishes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::file::{token_of, uuid};
use super::{instant, millis_of};

/// The opening of a room with early entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// No user is admitted before this instant, in milliseconds since 1970 by the room's clock. The last one if it moved.
    pub opens_at: i64,
    /// The draw; `None` if places follow the order of arrival.
    pub drawn: Option<Drawn>,
}

/// A published draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// When the list closed, in milliseconds since 1970 by the room's clock.
    pub closed_at: i64,
    /// The drawn place of each token id, from 1.
    pub places: BTreeMap<u128, u32>,
}

impl Drawn {
    /// Reads the published draw and its list, `tokenId,place` in CSV. `None` if one of them is of another form, or not drawn yet.
    pub fn read(draw: &Value, csv: &str) -> Option<Self> {
        let closed_at = millis_of(draw["closedAt"].as_str()?)?;
        let mut places = BTreeMap::new();
        for row in csv.lines().skip(1) {
            let (token, place) = row.split_once(',')?;
            places.insert(Some(token_of(token)).filter(|token| *token != 0)?, place.trim().parse().ok()?);
        }
        (draw["entries"].as_u64() == u64::try_from(places.len()).ok()).then_some(Self { closed_at, places })
    }
}

impl Opening {
    /// Whether a token was on the list of a draw.
    pub(super) fn is_drawn(&self, token: u128) -> bool {
        self.drawn.as_ref().is_some_and(|drawn| drawn.places.contains_key(&token))
    }

    pub(super) fn to_json(&self) -> Value {
        let places = |drawn: &Drawn| -> Vec<Value> {
            drawn.places.iter().map(|(token, place)| json!([uuid(*token), place])).collect()
        };
        let drawn = self.drawn.as_ref().map(|it| json!({"closedAt": instant(it.closed_at), "places": places(it)}));
        json!({"opensAt": instant(self.opens_at), "drawn": drawn})
    }

    /// Reads what [`Opening::to_json`] wrote; `None` for anything else.
    pub(super) fn from_json(opening: &Map<String, Value>) -> Option<Self> {
        let opens_at = millis_of(opening.get("opensAt")?.as_str()?)?;
        let Some(drawn) = opening.get("drawn")?.as_object() else { return Some(Self { opens_at, drawn: None }) };
        let mut places = BTreeMap::new();
        for pair in drawn.get("places")?.as_array()? {
            let place = pair[1].as_u64().and_then(|place| u32::try_from(place).ok())?;
            places.insert(token_of(pair[0].as_str()?), place);
        }
        let closed_at = millis_of(drawn.get("closedAt")?.as_str()?)?;
        Some(Self { opens_at, drawn: Some(Drawn { closed_at, places }) })
    }
}
