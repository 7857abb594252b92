//! What the audit reads of a draw.

use onsale_domain::ids::{ConcertId, TokenId};
use onsale_domain::waiting_room::{Draw, Room};

use super::source::EventRow;

/// A draw with everything that must agree with it.
#[derive(Clone, Debug)]
pub struct DrawRow {
    /// The concert of the room.
    pub concert: ConcertId,
    /// The room with its list, from the closing on.
    pub room: Room,
    /// Rows of places up to this one were deleted, as the sale is long over.
    pub dropped_to: u64,
    /// The record, with its seed.
    pub draw: Draw,
    /// The entry numbers in drawn order; `None` before the draw.
    pub order: Option<Vec<u32>>,
    /// The entries of the list, each with its number. Empty before the closing.
    pub entries: Vec<(TokenId, u32)>,
    /// Number of users with more than one entry.
    pub users_twice: u64,
    /// The rows of drawn places, each with the token that it names. A place has a row once its token was shown, or it was given up.
    pub drawn: Vec<(u64, TokenId)>,
    /// Number of places behind the entries, up to the last one admitted, that were given up before their turn.
    pub passed: u64,
    /// The event of the closed list, by its id.
    pub closed_event: Option<EventRow>,
    /// The event of the drawn order, by its id.
    pub drawn_event: Option<EventRow>,
}
