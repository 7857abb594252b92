//! Settings and counters of a room, and the step that admits the next in line.

use std::collections::BTreeSet;

use super::{Blocks, Claims, EarlierClaim, List, Order, Window};
use crate::concert::Sale;
use crate::ids::{ConcertId, TokenId, UserId};
use crate::rows::Rows;
use crate::time::Timestamp;

/// How a room admits. Each setting may change while the room runs: turns keep their end, all other settings apply at
/// once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Maximum number of active turns, 1 to 1,000,000.
    pub max_active: u32,
    /// Maximum number of admissions within any one second, 1 to 1,000,000.
    pub admit_per_second: u32,
    /// Length of a turn, 1 to 86,400 seconds.
    pub active_seconds: u32,
    /// Silence after which an unused turn ends, 1 to 3,600 seconds.
    pub claim_seconds: u32,
    /// Stops admission. Entering, polling and leaving go on.
    pub paused: bool,
    /// When the concert is on sale: at other times no user is admitted, and none enters but early. Polling and leaving go on.
    pub sale: Sale,
    /// From this instant on users may enter before the sale opens; `None` if they may not. Before `sale.opens_at`.
    pub early_from: Option<Timestamp>,
    /// The list of early users closes at this instant and is drawn; `None` if places follow the order of arrival. After
    /// `early_from`, and not after `sale.opens_at`.
    pub draw_at: Option<Timestamp>,
}

impl Settings {
    /// Maximum of `max_active` and `admit_per_second`.
    pub const RATE_MAX: u32 = 1_000_000;
    /// Maximum length of a turn, in seconds.
    pub const ACTIVE_SECONDS_MAX: u32 = 86_400;
    /// Maximum silence, in seconds.
    pub const CLAIM_SECONDS_MAX: u32 = 3_600;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_active: 200,
            admit_per_second: 50,
            active_seconds: 600,
            claim_seconds: 60,
            paused: false,
            sale: Sale::default(),
            early_from: None,
            draw_at: None,
        }
    }
}

/// A change of settings. Fields that are `None` stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// See [`Settings::max_active`].
    pub max_active: Option<u32>,
    /// See [`Settings::admit_per_second`].
    pub admit_per_second: Option<u32>,
    /// See [`Settings::active_seconds`].
    pub active_seconds: Option<u32>,
    /// See [`Settings::claim_seconds`].
    pub claim_seconds: Option<u32>,
    /// See [`Settings::paused`].
    pub paused: Option<bool>,
    /// See [`Settings::early_from`]. `Some(None)` removes it.
    pub early_from: Option<Option<Timestamp>>,
    /// See [`Settings::order`].
    pub order: Option<Order>,
    /// See [`Settings::draw_at`]. Without it a draw keeps its instant, or gets the usual one.
    pub draw_at: Option<Timestamp>,
}

impl Patch {
    /// The settings after the change.
    pub fn apply(&self, to: Settings) -> Settings {
        let settings = Settings {
            max_active: self.max_active.unwrap_or(to.max_active),
            admit_per_second: self.admit_per_second.unwrap_or(to.admit_per_second),
            active_seconds: self.active_seconds.unwrap_or(to.active_seconds),
            claim_seconds: self.claim_seconds.unwrap_or(to.claim_seconds),
            paused: self.paused.unwrap_or(to.paused),
            sale: to.sale,
            early_from: self.early_from.unwrap_or(to.early_from),
            draw_at: to.draw_at,
        };
        self.ordered(settings)
    }

    /// The settings with the order that the patch sets, and the instant of the draw.
    pub fn ordered(&self, settings: Settings) -> Settings {
        let draw_at = match self.order.unwrap_or(settings.order()) {
            Order::Arrival => None,
            // Without an early period the settings contradict each other, whatever the instant is.
            Order::Draw => {
                self.draw_at.or(settings.draw_at).or(settings.default_draw_at()).or(Some(Timestamp::default()))
            }
        };
        Settings { draw_at, ..settings }
    }
}

/// A waiting room: counters instead of a list of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// How the room admits.
    pub settings: Settings,
    /// When a decision first found the sale open, if users may enter early. No clock takes it back.
    pub opened_at: Option<Timestamp>,
    /// The list of the draw from its closing on.
    pub list: Option<List>,
    /// The last place handed out.
    pub issued: u64,
    /// The last place admitted.
    pub served: u64,
    /// Number of places after `served` that were given up.
    pub given_up: u64,
    /// Number of turns, including those that are over and not settled.
    pub active: u32,
    /// Number of users admitted so far. Counts from the migration that added it.
    pub admitted: u64,
    /// Admissions of the last second.
    pub window: Window,
    /// A longer `claimSeconds` that still applies to some turns.
    pub earlier_claim: Option<EarlierClaim>,
    /// State of places handed out by Redis.
    pub blocks: Blocks,
    /// Number of decisions so far that extended holds of the concert: with another number, turns may last longer.
    pub extensions: u64,
    /// Number of changes so far.
    pub version: u64,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

impl Room {
    /// An empty room.
    pub fn new(settings: Settings, at: Timestamp) -> Self {
        let window = Window::default();
        let blocks = Blocks::default();
        Self {
            settings,
            opened_at: None,
            list: None,
            issued: 0,
            served: 0,
            given_up: 0,
            active: 0,
            admitted: 0,
            window,
            earlier_claim: None,
            blocks,
            extensions: 0,
            version: 0,
            updated_at: at,
        }
    }

    /// For how long unused turns may be silent.
    pub fn claims(&self) -> Claims {
        Claims { seconds: self.settings.claim_seconds, earlier: self.earlier_claim }
    }

    /// Number of users in line.
    pub fn waiting(&self) -> u64 {
        self.waiting_up_to(self.issued)
    }

    /// Number of users in line if places up to this one were handed out.
    pub fn waiting_up_to(&self, issued: u64) -> u64 {
        let absent = self.given_up + self.blocks.doubtful(self.served, issued);
        issued.saturating_sub(self.served).saturating_sub(absent)
    }

    /// Number of users that may be admitted now, by cap, rate and line.
    pub fn admissible(&self, at: Timestamp) -> u32 {
        self.admissible_of(self.waiting(), at)
    }

    /// Number of users that may be admitted now if this many are in line.
    pub fn admissible_of(&self, waiting: u64, at: Timestamp) -> u32 {
        if !self.admits(at) {
            return 0;
        }
        let free = self.settings.max_active.saturating_sub(self.active);
        let allowed = free.min(self.window.allowance(self.settings.admit_per_second, at));
        u32::try_from(waiting).map_or(allowed, |waiting| allowed.min(waiting))
    }
}

/// A place in line. It is durable before its token is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The user who entered.
    pub user: UserId,
    /// The id of its token.
    pub token: TokenId,
    /// When it was handed out.
    pub issued_at: Timestamp,
    /// Whether it still counts.
    pub standing: PlaceStanding,
}

/// State of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceStanding {
    /// It is the current place of its user.
    Current,
    /// Its user left the line before being admitted.
    GivenUp,
    /// It is not the current place of its user: its turn ended and the user has entered again, or a hold bound the place
    /// to its token and the next step has yet to make it current.
    Replaced,
}

/// The turn of an admitted place. It exists until it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When the place was admitted.
    pub admitted_at: Timestamp,
    /// From this instant on no new hold is taken.
    pub active_until: Timestamp,
    /// The last sign of life in the store.
    pub seen_at: Timestamp,
    /// Whether it was used. A used turn does not end by silence.
    pub claimed: bool,
    /// Whether its place has a row with its user. A place handed out by Redis gets one when
    /// its user first shows the token after the admission.
    pub named: bool,
}

impl Turn {
    /// Signs of life are stored in groups, a little late. Silence is judged with this tolerance, in milliseconds.
    pub const PATIENCE_MILLIS: i64 = 500;

    /// Whether a clock that was ahead dated the call or the last sign of life.
    pub fn is_ahead_of(&self, now: Timestamp) -> bool {
        self.admitted_at.is_ahead_of(now) || self.seen_at.is_ahead_of(now)
    }

    /// The turn with its own length, begun no later than now.
    pub(super) fn set_back_to(&self, now: Timestamp) -> Self {
        let length = self.admitted_at.millis_until(self.active_until);
        let admitted_at = self.admitted_at.min(now);
        let active_until = admitted_at.plus_millis(length);
        Self { admitted_at, active_until, seen_at: self.seen_at.min(now), ..self.clone() }
    }

    /// The end of the turn, given the end of its user's last live hold in the concert.
    pub fn lasts_until(&self, last_hold: Option<Timestamp>) -> Timestamp {
        last_hold.map_or(self.active_until, |held_until| held_until.max(self.active_until))
    }

    /// Until when the turn is safe without another sign of life, by this row: the tolerance is a reserve.
    pub fn claim_before(&self, claim_seconds: u32) -> Timestamp {
        self.seen_at.plus_seconds(claim_seconds).min(self.active_until)
    }

    /// When silence ends the turn, if no sign of life arrives; `None` if it was used.
    pub fn lapses_at(&self, claim_seconds: u32) -> Option<Timestamp> {
        (!self.claimed).then(|| self.seen_at.plus_seconds(claim_seconds).plus_millis(Self::PATIENCE_MILLIS))
    }
}

/// The next given-up places after `served`, as far as they were loaded.
#[derive(Clone, Debug)]
pub struct GivenUp {
    /// Given-up places after `served`.
    pub ahead: BTreeSet<u64>,
    /// Up to this place, `ahead` is complete.
    pub complete_to: u64,
}

impl GivenUp {
    /// Maximum number of places loaded for one unit of work.
    pub const LOADED_MAX: usize = 2_000;

    /// Adds the next given-up places after `served`, as loaded: at most [`Self::LOADED_MAX`], in ascending order.
    pub fn loaded(next: Vec<u64>) -> Self {
        let complete_to = match next.last() {
            Some(last) if next.len() >= Self::LOADED_MAX => *last,
            _ => u64::MAX,
        };
        Self { ahead: next.into_iter().collect(), complete_to }
    }

    /// Drops places up to this one: none of those after it was given up.
    pub(super) fn pass(&mut self, place: u64) {
        self.ahead.retain(|given_up| place < *given_up);
        self.complete_to = u64::MAX;
    }
}

/// Maximum number of admissions of one step. The next step follows at once and admits the rest.
pub const ADMIT_AT_ONCE_MAX: u32 = 1_000;

/// Admits as many users in line as cap and rate allow, in order. Only this function advances `served`.
pub(super) fn admit(rows: &mut Rows, concert: ConcertId, at: Timestamp) {
    admit_up_to(rows, concert, None, at);
}

/// Admits at most this many. First stores what is reached: the closing of a list, and the opening, also during a pause.
pub(super) fn admit_up_to(rows: &mut Rows, concert: ConcertId, limit: Option<u32>, at: Timestamp) {
    super::reach(rows, concert, at);
    let Some(room) = rows.rooms.get(&concert) else { return };
    let wanted = room.admissible(at).min(limit.unwrap_or(u32::MAX)).min(ADMIT_AT_ONCE_MAX);
    if wanted == 0 {
        return;
    }
    // Not before an opening that was stored by a clock a little ahead: holds are judged by when their turn began.
    let admitted_at = room.opened_at.map_or(at, |opened_at| at.not_before(opened_at));
    let active_until = admitted_at.plus_seconds(room.settings.active_seconds);
    let (mut served, issued) = (room.served, room.issued);
    let (is_database, gaps, list) = (room.blocks.epoch == 0, room.blocks.gaps.clone(), room.list);
    let (mut called, mut skipped) = (Vec::new(), 0);
    if let Some(given_up) = rows.given_up.get_mut(&concert) {
        while called.len() < wanted as usize && served < issued.min(given_up.complete_to) {
            if let Some(gap) = gaps.iter().find(|gap| gap.first <= served + 1 && served < gap.last) {
                if gap.is_fresh(at) {
                    break;
                }
                served = gap.last;
                continue;
            }
            served += 1;
            if given_up.ahead.remove(&served) {
                skipped += 1;
            } else {
                called.push(served);
            }
        }
    }
    for place in &called {
        let named = is_database && !list.is_some_and(|list| list.is_drawn_place(*place));
        let turn = Turn { admitted_at, active_until, seen_at: admitted_at, claimed: false, named };
        rows.turns.put((concert, *place), turn);
        rows.ends.load((concert, *place), None);
    }
    let many = u32::try_from(called.len()).unwrap_or(u32::MAX);
    change(rows, concert, at, |room| {
        room.served = served;
        room.blocks.pass(served);
        room.given_up -= skipped;
        room.active += many;
        room.admitted += u64::from(many);
        if many > 0 {
            room.window.admit(many, at);
        }
    });
}

/// The next place, handed out by the database. It follows all places reserved for Redis, which are in doubt from now on.
pub(super) fn hand_out(rows: &mut Rows, concert: ConcertId, at: Timestamp) -> u64 {
    change(rows, concert, at, |room| {
        let (issued, reserved_to) = (room.issued, room.blocks.reserved_to);
        room.blocks.doubt(issued + 1, reserved_to, at);
        room.issued = issued.max(reserved_to) + 1;
    });
    rows.rooms.get(&concert).map_or(0, |room| room.issued)
}

/// Changes a room's counters, and increments its version.
pub(super) fn change(rows: &mut Rows, concert: ConcertId, at: Timestamp, edit: impl FnOnce(&mut Room)) {
    if let Some(room) = rows.rooms.change(&concert) {
        edit(room);
        room.version += 1;
        room.updated_at = room.updated_at.max(at);
    }
}
