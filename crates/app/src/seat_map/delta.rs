//! The changes of one unit of work in one performance, of this process or of another one.

use onsale_domain::time::Timestamp;

use super::seats::Known;
use crate::store::news::{SeatsBecame, SeatsNews};

/// The changes of one unit of work in one performance.
#[derive(Debug)]
pub(super) struct Delta {
    /// The performance's version before the unit of work.
    pub(super) before: u64,
    /// The performance's version after it.
    pub(super) after: u64,
    /// Extensions of all holds that the map knows: the instant and the seconds of each, in order.
    pub(super) extensions: Vec<(Timestamp, u32)>,
    /// Whether the holds are closed after it; `None` if it does not change that.
    pub(super) closed: Option<bool>,
    /// Whether the performance is cancelled by it or before it; `false` if the change does not tell.
    pub(super) cancelled: bool,
    /// Whether users wait for seats after it; `None` if the change does not tell.
    pub(super) waited_for: Option<bool>,
    /// Seats after the unit of work, its extensions included.
    pub(super) seats: Vec<(u32, Known)>,
}

impl From<SeatsNews> for Delta {
    fn from(news: SeatsNews) -> Self {
        let (before, after) = (news.version - 1, news.version);
        let mut delta = Self {
            before,
            after,
            extensions: Vec::new(),
            closed: None,
            cancelled: false,
            waited_for: None,
            seats: Vec::new(),
        };
        let became = match news.became {
            SeatsBecame::Held(until) => Known::Held(until),
            SeatsBecame::Free => Known::Free,
            SeatsBecame::Sold => Known::Sold,
            SeatsBecame::Blocked => Known::Blocked,
            SeatsBecame::Extended(at, seconds) => {
                delta.extensions.push((at, seconds));
                return delta;
            }
            SeatsBecame::Cancelled => {
                delta.cancelled = true;
                return delta;
            }
            SeatsBecame::Untouched => return delta,
            SeatsBecame::WaitedFor => {
                delta.waited_for = Some(true);
                return delta;
            }
            SeatsBecame::Unchanged { closed } => {
                delta.closed = Some(closed);
                return delta;
            }
        };
        delta.seats = news.seats.into_iter().map(|seat| (seat, became)).collect();
        delta
    }
}
