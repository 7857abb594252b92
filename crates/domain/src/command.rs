//! A command, the context that it is decided in, and its result.

use crate::Refusal;
use crate::concert::{self, Concert, Performance, Reservation};
use crate::ids::{Ids, LectureId, UserId};
use crate::lecture::{self, Lecture};
use crate::payment::{self, Payment};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::waiting_room::{self, Token};
use crate::wallet::{self, Account};

/// A request to change something.
#[derive(Clone, Debug)]
pub enum Command {
    /// Changes a wallet.
    Wallet(wallet::Command),
    /// Changes a lecture.
    Lecture(lecture::Command),
    /// Changes a concert, its performances or seats.
    Concert(concert::Command),
    /// Pays a hold.
    Payment(payment::Command),
    /// Changes a waiting room.
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

/// What a decision gets as arguments, because it reads no clock, random source or network.
pub struct Context<'a> {
    /// The database's time, read after the rows were locked.
    pub at: Timestamp,
    /// The source of new ids.
    pub ids: &'a mut dyn Ids,
    /// How long a hold lasts, in seconds.
    pub hold_seconds: u32,
}

impl Context<'_> {
    /// The same, no earlier than the last change of a row (see [`Timestamp::not_before`]).
    pub(crate) fn not_before(&mut self, last_change: Option<Timestamp>) -> Context<'_> {
        let at = last_change.map_or(self.at, |last| self.at.not_before(last));
        Context { at, ids: self.ids, hold_seconds: self.hold_seconds }
    }
}

/// The result of a command that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The wallet after a charge or a use.
    Wallet {
        /// The owner of the wallet.
        user: UserId,
        /// The wallet after the change.
        account: Account,
    },
    /// A lecture was created.
    LectureOpened(Lecture),
    /// A user got a place in a lecture.
    Applied {
        /// The lecture.
        lecture: LectureId,
        /// The user who applied.
        user: UserId,
        /// The time of the application.
        applied_at: Timestamp,
        /// The seat number, from 1.
        seat_number: u32,
    },
    /// An application was cancelled.
    Cancelled,
    /// A concert was created.
    ConcertOpened(Concert),
    /// A performance was created.
    PerformanceScheduled(Performance),
    /// Seats are held.
    Held {
        /// The reservation after the change.
        reservation: Reservation,
        /// The start of the performance.
        starts_at: Timestamp,
    },
    /// The hold has ended, by this command or earlier.
    Released,
    /// Holds past their end were settled.
    Expired {
        /// The number of holds settled.
        settled: usize,
    },
    /// A hold was paid.
    Paid(Payment),
    /// The user has a place in line.
    Entered {
        /// The token, not yet signed.
        token: Token,
        /// Whether this command created the place.
        is_new: bool,
    },
    /// The place is given up, by this command or earlier.
    Left,
    /// The room advanced as far as its settings allow.
    Stepped,
    /// The state from which Redis hands out a room's places, set by this command or by another instance earlier.
    RoomOpened {
        /// The last place that is known to be handed out or skipped.
        issued: u64,
        /// Epoch, blocks and gaps.
        blocks: waiting_room::Blocks,
        /// Whether this command changed them.
        is_new: bool,
    },
    /// The settings with which the room admits from now on.
    RoomConfigured(waiting_room::Settings),
}

impl Command {
    /// Adds the rows that [`Command::decide`] reads or changes to `keys`.
    pub fn needs(&self, keys: &mut Keys) {
        match self {
            Self::Wallet(command) => command.needs(keys),
            Self::Lecture(command) => command.needs(keys),
            Self::Concert(command) => command.needs(keys),
            Self::Payment(command) => command.needs(keys),
            Self::WaitingRoom(command) => command.needs(keys),
        }
    }

    /// Applies the command to `rows`, or refuses it and changes nothing.
    ///
    /// # Errors
    /// The first refusal that applies, in the order of the contract.
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
