//! What the desk knows of each command before it is decided: its lane, its tables and, for points, its wallet.
//!
//! A new command gets an `impl` here, in `concert_command.rs` or in `staff_command.rs`, and a line in `job.rs`; without them
//! it does not compile at [`super::Desk::submit`].

use std::hash::{DefaultHasher, Hash, Hasher};

use onsale_domain::ids::UserId;
use onsale_domain::{Command, cancellation, lecture, payment, refund, ticket, waiting_room, wallet};

use super::job::IntoJob;
use crate::store::locks::Table::{
    self, Accounts, Applications, Cancellations, CheckIns, Draws, Events, FreedSeats, LectureHistory, Lectures, Ledger,
    Payments, Performances, Places, Refunds, Reservations, Rooms, Seats, TurnEnds, Turns, VoidTickets,
};

/// A command that the desk takes.
pub trait DeskCommand: Command + IntoJob {
    /// The tables that the command reads or writes. If another session locks one of them, the command waits.
    const TABLES: &'static [Table];

    /// Whether a member of the staff gives the command: then it needs the tables of keys and of the admin log too.
    const IS_BY_STAFF: bool = false;

    /// A hash of the row that many commands of this kind lock. Commands with the same hash wait in the same lane and
    /// make one batch. `None` if there is no such row: then the lanes take turns.
    fn hot_row(&self) -> Option<u64>;

    /// The owner of the wallet, for charges and uses. Those of one wallet are decided in the order in which they came.
    fn wallet(&self) -> Option<&UserId> {
        None
    }
}

impl DeskCommand for wallet::Charge {
    const TABLES: &'static [Table] = &[Accounts, Ledger, Events];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(&self.user))
    }

    fn wallet(&self) -> Option<&UserId> {
        Some(&self.user)
    }
}

impl DeskCommand for wallet::Use {
    const TABLES: &'static [Table] = &[Accounts, Ledger, Events];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(&self.user))
    }

    fn wallet(&self) -> Option<&UserId> {
        Some(&self.user)
    }
}

impl DeskCommand for lecture::Create {
    const TABLES: &'static [Table] = &[Lectures];

    fn hot_row(&self) -> Option<u64> {
        None
    }
}

impl DeskCommand for lecture::Apply {
    const TABLES: &'static [Table] = OF_APPLICATIONS;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.lecture))
    }
}

impl DeskCommand for lecture::Cancel {
    const TABLES: &'static [Table] = OF_APPLICATIONS;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.lecture))
    }
}

/// What ends applications, or decides on them.
const OF_APPLICATIONS: &[Table] = &[Lectures, Applications, FreedSeats, LectureHistory, Events];

impl DeskCommand for lecture::ChangeLecture {
    const TABLES: &'static [Table] = OF_APPLICATIONS;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.lecture))
    }
}

impl DeskCommand for lecture::PromoteWaiting {
    const TABLES: &'static [Table] = OF_APPLICATIONS;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.lecture))
    }
}

impl DeskCommand for lecture::CancelLecture {
    const TABLES: &'static [Table] = &[Lectures, Events];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.lecture))
    }
}

impl DeskCommand for lecture::CancelApplications {
    const TABLES: &'static [Table] = OF_APPLICATIONS;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.lecture))
    }
}

impl DeskCommand for lecture::RemoveApplication {
    const TABLES: &'static [Table] = OF_APPLICATIONS;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.lecture))
    }
}

impl DeskCommand for payment::Pay {
    const TABLES: &'static [Table] =
        &[Accounts, Ledger, Turns, TurnEnds, Places, Performances, Seats, Reservations, Payments, Events];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.token.concert))
    }
}

/// What a refund reads and writes. It changes no token and no turn.
const OF_REFUNDS: &[Table] =
    &[Accounts, Ledger, Performances, Seats, Reservations, Payments, Refunds, VoidTickets, Events];

impl DeskCommand for refund::RefundSeats {
    const TABLES: &'static [Table] = OF_REFUNDS;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.performance))
    }
}

impl DeskCommand for refund::RefundByStaff {
    const TABLES: &'static [Table] = OF_REFUNDS;

    fn hot_row(&self) -> Option<u64> {
        self.refund.hot_row()
    }
}

impl DeskCommand for cancellation::Cancel {
    const TABLES: &'static [Table] = &[Performances, Cancellations, Events];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.performance))
    }
}

impl DeskCommand for cancellation::Step {
    const TABLES: &'static [Table] =
        &[Accounts, Ledger, Performances, Seats, Reservations, Payments, Refunds, VoidTickets, Cancellations, Events];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.performance))
    }
}

/// What tickets and check-ins read and write.
const OF_TICKETS: &[Table] = &[Performances, Seats, Reservations, Payments, VoidTickets, CheckIns, Events];

impl DeskCommand for ticket::Reissue {
    const TABLES: &'static [Table] = OF_TICKETS;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.performance))
    }
}

impl DeskCommand for ticket::Scan {
    const TABLES: &'static [Table] = OF_TICKETS;

    // The key is checked, but check-ins are not in the admin log.
    const IS_BY_STAFF: bool = true;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.performance))
    }
}

impl DeskCommand for ticket::Scans {
    const TABLES: &'static [Table] = OF_TICKETS;

    const IS_BY_STAFF: bool = true;

    fn hot_row(&self) -> Option<u64> {
        self.0.first().map(|scan| hash(scan.performance))
    }
}

impl DeskCommand for ticket::Undo {
    const TABLES: &'static [Table] = OF_TICKETS;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.performance))
    }
}

impl DeskCommand for wallet::Adjust {
    const TABLES: &'static [Table] = &[Accounts, Ledger, Events];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(&self.user))
    }

    fn wallet(&self) -> Option<&UserId> {
        Some(&self.user)
    }
}

impl DeskCommand for waiting_room::Enter {
    const TABLES: &'static [Table] = &[Rooms, Places, Turns, TurnEnds, Reservations];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.concert))
    }
}

impl DeskCommand for onsale_domain::leaving::Leave {
    const TABLES: &'static [Table] =
        &[Accounts, Rooms, Places, Turns, TurnEnds, Performances, Seats, Reservations, Events];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.0.concert))
    }
}

impl DeskCommand for waiting_room::Step {
    const TABLES: &'static [Table] = &[Rooms, Places, Turns, TurnEnds, Reservations];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.concert))
    }
}

impl DeskCommand for waiting_room::NoteList {
    const TABLES: &'static [Table] = &[Rooms, Places, Draws];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.concert))
    }
}

impl DeskCommand for waiting_room::PutBeacon {
    const TABLES: &'static [Table] = &[Rooms, Places, Draws];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.concert))
    }
}

impl DeskCommand for waiting_room::StoreDraw {
    const TABLES: &'static [Table] = &[Rooms, Places, Turns, TurnEnds, Draws];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.concert))
    }
}

impl DeskCommand for waiting_room::Configure {
    const TABLES: &'static [Table] = &[Rooms, Places, Draws];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.concert))
    }
}

impl DeskCommand for waiting_room::HandOut {
    const TABLES: &'static [Table] = &[Rooms, Places];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.concert))
    }
}

pub(super) fn hash(row: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    row.hash(&mut hasher);
    hasher.finish()
}
