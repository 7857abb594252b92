//! Early entries of a draw that a database lost in a failover. Their tokens are signed, so they were answered.

use super::room::change;
use super::{PlaceStanding, Token};
use crate::rows::{Keys, Rows};
use crate::{Command, Context, Refusal};

/// Puts an early entry back whose token was shown: its row is there again, with the number that the token carries. Changes nothing
/// once the list has closed, if the number is that of another entry by now, or if the user has another entry.
///
/// Numbers between the last entry and this one are in doubt: they count as given up until their tokens are shown too.
#[derive(Clone, Debug)]
pub struct PutBack(pub Token);

impl Command for PutBack {
    /// Whether the entry is on the list now.
    type Output = bool;

    fn needs(&self, keys: &mut Keys) {
        let Self(token) = self;
        keys.rooms.insert(token.concert);
        keys.places.insert((token.concert, token.place));
        keys.entrants.insert((token.concert, token.user.clone()));
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<bool, Refusal> {
        let Self(token) = self;
        let Some(room) = rows.rooms.get(&token.concert) else { return Ok(false) };
        let is_open = room.settings.draw_at.is_some() && room.list.is_none() && !room.closes_now(cx.at);
        let (key, entrant) = ((token.concert, token.place), (token.concert, token.user.clone()));
        if let Some(place) = rows.places.get(&key) {
            return Ok(place.token == token.id && place.standing == PlaceStanding::Current);
        }
        if !is_open || token.place == 0 || rows.current_places.get(&entrant).is_some() {
            return Ok(false);
        }
        rows.places.put(key, token.as_place(PlaceStanding::Current));
        rows.current_places.put(entrant, token.place);
        change(rows, token.concert, cx.at, |room| {
            if room.issued < token.place {
                room.blocks.doubt(room.issued + 1, token.place, cx.at);
                room.issued = token.place;
            }
            room.blocks.clear(token.place, token.place);
        });
        Ok(true)
    }
}
