//! The waiting room: places in order of arrival, admission by cap and rate, turns and their ends.

mod blocks;
mod claims;
mod draw;
mod drawing;
mod early;
mod end;
mod line;
mod list;
mod put_back;
mod room;
mod step;
mod token;
mod told;
mod window;

use crate::concert::Sale;
use crate::ids::{ConcertId, TokenId, UserId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal, presale};

pub use blocks::{BlockState, Blocks, Gap, HandOut, Memory, Request};
pub use claims::{Claims, EarlierClaim};
pub use draw::{Digest, DrawKey, ListHash, Places, Seed};
pub(crate) use drawing::judge_beacon;
pub use drawing::{Beacon, Draw, DrawChange, DrawPatch, Mark, NoteList, PutBeacon, StoreDraw};
pub(crate) use end::{Stage, end_and_admit, give_up, leave_list, stage};
pub use line::Line;
pub(crate) use list::reach;
pub use list::{List, Order};
pub use put_back::PutBack;
pub use room::{ADMIT_AT_ONCE_MAX, GivenUp, Patch, Place, PlaceStanding, Room, Settings, Turn};
pub use step::Step;
pub use token::Token;
pub(crate) use token::{admitted_at, bind_place, end_after_payment, end_if_over, may_hold, may_settle};
pub use told::{CLOSED_VERSION, DRAWN_VERSION, closed_event, drawn_event};
pub use window::Window;

/// Takes a place in line, or finds the one that the user already has.
#[derive(Clone, Debug)]
pub struct Enter {
    /// The concert of the room.
    pub concert: ConcertId,
    /// The user who enters.
    pub user: UserId,
    /// The result of the check of the presale code of the request; `None` if the request has no code.
    pub pass: Pass,
    /// An entry number of the user whose drawn place is over. The row of the entry does not show that.
    pub ended: Option<u64>,
}

/// The result of the check of a presale code by [`crate::presale::check_entry`]; `None` without a code.
pub type Pass = Option<Result<(), Refusal>>;

/// The place that a user has after entering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// The token, not yet signed.
    pub token: Token,
    /// Whether this command created the place.
    pub is_new: bool,
}

/// Changes how a room admits. Returns the room after the change.
#[derive(Clone, Debug)]
pub struct Configure {
    /// The concert of the room.
    pub concert: ConcertId,
    /// The settings to change.
    pub patch: Patch,
    /// What to change of its draw.
    pub draw: DrawPatch,
}

impl Command for Enter {
    type Output = Entered;

    fn needs(&self, keys: &mut Keys) {
        keys.rooms.insert(self.concert);
        keys.entrants.insert((self.concert, self.user.clone()));
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Entered, Refusal> {
        enter(self, rows, cx)
    }
}

impl Command for Configure {
    type Output = Settings;

    fn needs(&self, keys: &mut Keys) {
        keys.rooms.insert(self.concert);
        keys.draws.insert(self.concert);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Settings, Refusal> {
        let room = rows.rooms.get(&self.concert).ok_or(Refusal::ConcertNotFound)?;
        let settings = self.patch.apply(room.settings);
        if self.patch.draw_at.is_some() && settings.draw_at.is_none() {
            return Err(Refusal::EarlyHours { field: "drawAt" });
        }
        let draw = drawing::changed(room, rows.draws.get(&self.concert), &settings, &self.draw, cx.at)?;
        room.judge_early(&settings, cx.at)?;
        if let Some(draw) = draw {
            rows.draws.put(self.concert, draw);
        }
        room::change(rows, self.concert, cx.at, |room| {
            room.earlier_claim = room.claims().changed_to(settings.claim_seconds, cx.at);
            room.settings = settings;
        });
        Ok(settings)
    }
}

/// Counts a decision that extended holds of the concert.
pub(crate) fn extend(rows: &mut Rows, concert: ConcertId, at: Timestamp) {
    room::change(rows, concert, at, |room| room.extensions += 1);
}

/// Increments the version of a room, so that other instances read the texts of its concert again.
pub(crate) fn announce(rows: &mut Rows, concert: ConcertId, at: Timestamp) {
    room::change(rows, concert, at, |_| {});
}

/// Sets when users may enter and are admitted. Another opening has not been reached, whatever the clock was.
pub(crate) fn set_sale(rows: &mut Rows, concert: ConcertId, sale: Sale, at: Timestamp) {
    let before = rows.rooms.get(&concert).map(|room| room.settings);
    room::change(rows, concert, at, |room| {
        if room.settings.sale.opens_at != sale.opens_at {
            room.opened_at = None;
        }
        room.settings.sale = sale;
    });
    if let Some(before) = before {
        drawing::record_sale(rows, concert, &before, at);
    }
}

/// Whether a user may enter who has no place yet.
///
/// # Errors
/// As [`Room::judge_entry`]. During a presale also [`Refusal::CodeRequired`] without a code, or the refusal of the code.
pub fn judge_entry(room: &Room, pass: &Pass, at: Timestamp) -> Result<(), Refusal> {
    room.judge_entry(at)?;
    match room.settings.sale.presale(at) {
        None => Ok(()),
        Some(until) => pass.clone().unwrap_or_else(|| Err(presale::required(until, at))),
    }
}

fn enter(request: &Enter, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Entered, Refusal> {
    let Enter { concert, user, pass, ended } = request;
    let concert = *concert;
    let room = rows.rooms.get(&concert).ok_or(Refusal::ConcertNotFound)?;
    let (served, list) = (room.served, room.list);
    let entrant = (concert, user.clone());
    let over = rows.current_places.get(&entrant).copied();
    if let Some(number) = over {
        let is_entry = list.is_some_and(|list| list.is_entry(number));
        let waits = if is_entry { *ended != Some(number) } else { number > served };
        // A user who was in line when the rows were loaded, and was admitted since, has no hold that was not loaded.
        rows.open_reservations.entry(entrant.clone()).or_default();
        let runs = || token::lasts_until(rows, (concert, number), user, cx.at).is_some_and(|until| cx.at < until);
        if waits || runs() {
            return Ok(entered(rows, concert, number, false));
        }
    }
    rows.rooms.get(&concert).map_or(Ok(()), |room| judge_entry(room, pass, cx.at))?;
    if let Some(number) = over {
        if let Some(place) = rows.places.change(&(concert, number)) {
            place.standing = PlaceStanding::Replaced;
        }
        // The old turn is over, settled or not: holds taken with the new one must not bring it back.
        step::end_turn(rows, (concert, number), cx.at);
    }

    // A user who enters at the closing is behind the list.
    reach(rows, concert, cx.at);
    let number = room::hand_out(rows, concert, cx.at);
    let place = Place {
        user: user.clone(),
        token: TokenId::new(cx.ids.next(cx.at)),
        issued_at: cx.at,
        standing: PlaceStanding::Current,
    };
    rows.places.put((concert, number), place);
    rows.current_places.put(entrant.clone(), number);
    rows.turns.load((concert, number), None);
    rows.ends.load((concert, number), None);
    rows.open_reservations.entry(entrant).or_default();
    room::admit(rows, concert, cx.at);
    Ok(entered(rows, concert, number, true))
}

fn entered(rows: &Rows, concert: ConcertId, number: u64, is_new: bool) -> Entered {
    let Some(place) = rows.places.get(&(concert, number)) else {
        unreachable!("a current place is loaded with its number")
    };
    let token = Token { id: place.token, concert, user: place.user.clone(), place: number, issued_at: place.issued_at };
    Entered { token, is_new }
}
