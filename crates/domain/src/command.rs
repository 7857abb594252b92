//! A request as the rules see it, and what may come of it.

use crate::Refusal;
use crate::concert::{self, Concert, Performance, Reservation};
use crate::ids::{Ids, LectureId, UserId};
use crate::lecture::{self, Lecture};
use crate::payment::{self, Payment};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::waiting_room::{self, Token};
use crate::wallet::{self, Account};

/// What somebody wants.
#[derive(Clone, Debug)]
pub enum Command {
    /// Of a wallet.
    Wallet(wallet::Command),
    /// Of a lecture.
    Lecture(lecture::Command),
    /// Of a concert.
    Concert(concert::Command),
    /// To pay.
    Payment(payment::Command),
    /// Of a waiting room.
    WaitingRoom(waiting_room::Command),
}

macro_rules! from_each_context {
    ($($variant:ident: $context:ident),+ $(,)?) => {$(
        impl From<$context::Command> for Command {
            fn from(command: $context::Command) -> Self {
                Self::$variant(command)
            }
        }
    )+};
}

from_each_context! {
    Wallet: wallet,
    Lecture: lecture,
    Concert: concert,
    Payment: payment,
    WaitingRoom: waiting_room,
}

/// What decisions are told, as they look at nothing themselves.
pub struct Context<'a> {
    /// The database's time, read after the rows were locked.
    pub at: Timestamp,
    /// Where ids come from.
    pub ids: &'a mut dyn Ids,
    /// How long a hold lasts, in seconds.
    pub hold_seconds: u32,
}

impl Context<'_> {
    /// The same, no earlier than the last change of a row: a clock that was set back undoes nothing.
    pub(crate) fn not_before(&mut self, last_change: Option<Timestamp>) -> Context<'_> {
        let at = last_change.map_or(self.at, |last| last.max(self.at));
        Context { at, ids: self.ids, hold_seconds: self.hold_seconds }
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The wallet after a charge or a use.
    Wallet {
        /// Whose.
        user: UserId,
        /// As it stands.
        account: Account,
    },
    /// A lecture was made.
    LectureOpened(Lecture),
    /// A place was taken.
    Applied {
        /// In which lecture.
        lecture: LectureId,
        /// By whom.
        user: UserId,
        /// When.
        applied_at: Timestamp,
        /// Which seat.
        seat_number: u32,
    },
    /// A place was given back.
    Cancelled,
    /// A concert was made.
    ConcertOpened(Concert),
    /// A performance was added.
    PerformanceScheduled(Performance),
    /// Seats are held.
    Held {
        /// As it stands.
        reservation: Reservation,
        /// When the performance starts.
        starts_at: Timestamp,
    },
    /// The hold is no more, now or before.
    Released,
    /// Holds that ran out were settled.
    Expired {
        /// How many.
        settled: usize,
    },
    /// A hold was paid.
    Paid(Payment),
    /// The user has a place.
    Entered {
        /// To be signed.
        token: Token,
        /// Whether it was handed out just now.
        is_new: bool,
    },
    /// The place is given up, now or before.
    Left,
    /// The room moved as far as it could.
    Stepped,
    /// How a room's places are handed out beside the database, now or by somebody else before.
    RoomOpened {
        /// The last place that is known to be handed out or passed over.
        issued: u64,
        /// Epoch, blocks and gaps.
        blocks: waiting_room::Blocks,
        /// Whether it was just this command that changed them.
        is_new: bool,
    },
    /// The room admits like this from now on.
    RoomConfigured(waiting_room::Settings),
}

impl Command {
    /// Names the rows that [`Command::decide`] will look at or change.
    pub fn needs(&self, keys: &mut Keys) {
        match self {
            Self::Wallet(command) => command.needs(keys),
            Self::Lecture(command) => command.needs(keys),
            Self::Concert(command) => command.needs(keys),
            Self::Payment(command) => command.needs(keys),
            Self::WaitingRoom(command) => command.needs(keys),
        }
    }

    /// Does it, or says why not. A refusal has changed nothing.
    ///
    /// # Errors
    /// The first reason against it, in the contract's order.
    pub fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Done, Refusal> {
        match self {
            Self::Wallet(command) => command.decide(rows, cx),
            Self::Lecture(command) => command.decide(rows, cx),
            Self::Concert(command) => command.decide(rows, cx),
            Self::Payment(command) => command.decide(rows, cx),
            Self::WaitingRoom(command) => command.decide(rows, cx),
        }
    }
}
