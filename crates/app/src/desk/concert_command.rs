//! What the desk knows of commands about concerts and performances: their seats, their holds and their presale codes.

use onsale_domain::{concert, presale, seat_list};

use super::command::{DeskCommand, hash};
use crate::store::locks::Table::{
    self, Accounts, Codes, Concerts, Draws, Events, Extensions, Layouts, Performances, Places, Reservations, Rooms,
    SeatWaits, Seats, TurnEnds, Turns,
};

impl DeskCommand for concert::Create {
    const TABLES: &'static [Table] = &[Concerts, Rooms, Draws];

    fn hot_row(&self) -> Option<u64> {
        None
    }
}

impl DeskCommand for concert::Schedule {
    const TABLES: &'static [Table] = &[Concerts, Rooms, Places, Performances, Layouts];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.concert))
    }
}

impl DeskCommand for concert::Change {
    const TABLES: &'static [Table] = &[Concerts, Rooms, Places, Draws, Performances, Events];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.concert))
    }
}

impl DeskCommand for presale::CreateCodes {
    const TABLES: &'static [Table] = &[Rooms, Places, Codes];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.concert))
    }
}

impl DeskCommand for presale::DeleteCode {
    const TABLES: &'static [Table] = &[Codes];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.concert))
    }
}

impl DeskCommand for concert::ChangePerformance {
    const TABLES: &'static [Table] = &[Performances, Events];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.performance))
    }
}

impl DeskCommand for concert::AddSeats {
    const TABLES: &'static [Table] = &[Performances, Layouts, Events];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.performance))
    }
}

/// What a change of blocked seats reads and writes. A lapsed hold is settled.
const OF_BLOCKS: &[Table] = &[Performances, Seats, Reservations, Events];

impl DeskCommand for concert::Block {
    const TABLES: &'static [Table] = OF_BLOCKS;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.performance))
    }
}

impl DeskCommand for concert::Unblock {
    const TABLES: &'static [Table] = OF_BLOCKS;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.performance))
    }
}

impl DeskCommand for concert::Extend {
    const TABLES: &'static [Table] = &[Concerts, Rooms, Places, Performances, Reservations, Extensions, Events];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.concert))
    }
}

impl DeskCommand for concert::Rewrite {
    const TABLES: &'static [Table] = &[Performances, Seats, Reservations, Extensions];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.performance))
    }
}

impl DeskCommand for concert::Hold {
    const TABLES: &'static [Table] = &[Accounts, Turns, TurnEnds, Places, Performances, Seats, Reservations, Events];

    fn hot_row(&self) -> Option<u64> {
        self.target.performance().map(hash)
    }
}

impl DeskCommand for concert::HoldAny {
    const TABLES: &'static [Table] =
        &[Accounts, Turns, TurnEnds, Places, Performances, Layouts, Seats, Reservations, Extensions, Events];

    fn hot_row(&self) -> Option<u64> {
        self.target.performance().map(hash)
    }
}

impl DeskCommand for concert::Release {
    const TABLES: &'static [Table] = &[Accounts, Turns, TurnEnds, Places, Performances, Seats, Reservations, Events];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.token.concert))
    }
}

impl DeskCommand for concert::Expire {
    const TABLES: &'static [Table] = &[Performances, Seats, Reservations, Events];

    fn hot_row(&self) -> Option<u64> {
        self.reservations.first().map(hash)
    }
}

/// What entries of waiting lists and offers read and write.
const OF_SEAT_LISTS: &[Table] = &[Performances, Layouts, SeatWaits, Seats, Reservations, Extensions, Events];

impl DeskCommand for seat_list::Join {
    const TABLES: &'static [Table] = OF_SEAT_LISTS;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.performance))
    }
}

impl DeskCommand for seat_list::Leave {
    const TABLES: &'static [Table] = OF_SEAT_LISTS;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.performance))
    }
}

impl DeskCommand for seat_list::OfferSeats {
    const TABLES: &'static [Table] = OF_SEAT_LISTS;

    fn hot_row(&self) -> Option<u64> {
        Some(hash(self.performance))
    }
}
