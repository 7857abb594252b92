//! What a database would hold: every table, by key, and the few look-ups that follow from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use onsale_domain::cancellation::{Cancellation, FailedRefund};
use onsale_domain::concert::{Concert, Extension, Layout, Performance, Reservation, Seat, Status};
use onsale_domain::event::Event;
use onsale_domain::ids::{CodeId, ConcertId, LectureId, PerformanceId, ReservationId, UserId};
use onsale_domain::lecture::{Application, HistoryLine, Lecture, Waiting};
use onsale_domain::payment::Payment;
use onsale_domain::presale::{Code, CodeKey, Standing as CodeStanding, Use};
use onsale_domain::refund::Refund;
use onsale_domain::seat_list::Entry as SeatWait;
use onsale_domain::ticket::Voided;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Draw, Line, Place, PlaceStanding, Room, Token, Turn};
use onsale_domain::wallet::{Account, Entry};

/// All rows there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) accounts: BTreeMap<UserId, Account>,
    pub(crate) ledger: Vec<Entry>,
    pub(crate) lectures: BTreeMap<LectureId, Lecture>,
    pub(crate) applications: BTreeMap<(LectureId, UserId), Application>,
    /// Entries of waiting lists. In a database they are rows of `applications`.
    pub(crate) waiting: BTreeMap<(LectureId, UserId), Waiting>,
    /// The number of entries of each block of waiting numbers.
    pub(crate) waiting_blocks: BTreeMap<(LectureId, u64), i32>,
    pub(crate) freed_seats: BTreeSet<(LectureId, u32)>,
    pub(crate) lecture_history: Vec<HistoryLine>,
    pub(crate) concerts: BTreeMap<ConcertId, Concert>,
    pub(crate) rooms: BTreeMap<ConcertId, Room>,
    pub(crate) draws: BTreeMap<ConcertId, Draw>,
    /// Drawn orders: the entry numbers, first drawn first.
    pub(crate) orders: BTreeMap<ConcertId, Arc<[u32]>>,
    pub(crate) places: BTreeMap<(ConcertId, u64), Place>,
    pub(crate) turns: BTreeMap<(ConcertId, u64), Turn>,
    pub(crate) ends: BTreeMap<(ConcertId, u64), Timestamp>,
    pub(crate) performances: BTreeMap<PerformanceId, Performance>,
    pub(crate) seats: BTreeMap<(PerformanceId, u32), Seat>,
    /// The layouts of performances that have one.
    pub(crate) layouts: BTreeMap<PerformanceId, Arc<Layout>>,
    /// Entries of waiting lists of performances.
    pub(crate) seat_waits: BTreeMap<(PerformanceId, UserId), SeatWait>,
    /// Blocked seats, each with the reason.
    pub(crate) blocks: BTreeMap<(PerformanceId, u32), Arc<str>>,
    pub(crate) reservations: BTreeMap<ReservationId, Reservation>,
    /// All extensions of holds, in order.
    pub(crate) extensions: Vec<Extension>,
    pub(crate) payments: Vec<Payment>,
    pub(crate) refunds: Vec<Refund>,
    pub(crate) voided: Vec<Voided>,
    pub(crate) cancellations: BTreeMap<PerformanceId, Cancellation>,
    pub(crate) failed_refunds: Vec<FailedRefund>,
    pub(crate) codes: BTreeMap<CodeKey, Code>,
    /// The reservations that were held with a presale code, each with that code.
    pub(crate) code_uses: BTreeMap<ReservationId, CodeId>,
    pub(crate) events: Vec<Event>,
    /// Tokens that were shown for a place of another token.
    pub(crate) disputes: Vec<Token>,
}

/// State of a token's place, in the words of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// In line: 1 is the next.
    Waiting(u64),
    /// At the counter, until then.
    Active(Timestamp),
    /// Over, by whatever cause.
    Expired,
}

impl Tables {
    /// The names of the tables whose rows differ: whole tables say too much.
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        macro_rules! differing {
            ($($table:ident)+) => {
                [$((stringify!($table), self.$table == other.$table)),+]
            };
        }
        let tables = differing!(
            accounts ledger lectures applications waiting waiting_blocks freed_seats lecture_history concerts rooms draws orders places turns ends
            performances seats blocks layouts reservations extensions payments refunds voided cancellations failed_refunds events
            codes code_uses seat_waits
        );
        tables.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }

    /// The users who wait for a place in a lecture, in order.
    pub(crate) fn waiting_for(&self, lecture: LectureId) -> Vec<(&UserId, &Waiting)> {
        let own = self.waiting.iter().filter(|((of, _), _)| *of == lecture);
        let mut waiting: Vec<_> = own.map(|((_, user), waiting)| (user, waiting)).collect();
        waiting.sort_by_key(|(_, waiting)| waiting.number);
        waiting
    }

    /// The rows of a room, by place.
    pub(crate) fn in_room<V>(
        table: &BTreeMap<(ConcertId, u64), V>,
        concert: ConcertId,
    ) -> impl DoubleEndedIterator<Item = (u64, &V)> {
        table.range((concert, 0)..=(concert, u64::MAX)).map(|((_, place), row)| (*place, row))
    }

    /// The place that counts for a user.
    pub(crate) fn current_place(&self, concert: ConcertId, user: &UserId) -> Option<u64> {
        Self::in_room(&self.places, concert)
            .rev()
            .find(|(_, place)| place.standing == PlaceStanding::Current && &place.user == user)
            .map(|(number, _)| number)
    }

    /// Places that were given up and not yet passed, in rising order.
    pub(crate) fn given_up(&self, concert: ConcertId) -> impl Iterator<Item = u64> {
        let served = self.rooms.get(&concert).map_or(0, |room| room.served);
        Self::in_room(&self.places, concert)
            .filter(move |(number, place)| *number > served && place.standing == PlaceStanding::GivenUp)
            .map(|(number, _)| number)
    }

    /// The held and paid reservations of a user in a concert, in order.
    pub(crate) fn open_reservations(&self, concert: ConcertId, user: &UserId) -> impl Iterator<Item = &Reservation> {
        self.reservations
            .values()
            .filter(move |r| r.concert == concert && &r.user == user)
            .filter(|r| matches!(r.status, Status::Held | Status::Paid))
    }

    /// A reservation with the extensions that its row does not contain yet, as every store reads it.
    pub(crate) fn reservation(&self, id: ReservationId) -> Option<Reservation> {
        let mut reservation = self.reservations.get(&id)?.clone();
        if reservation.status == Status::Held {
            let end = reservation.end();
            reservation.end_at(end.after(self.extensions_after(reservation.performance, end.extended)));
        }
        Some(reservation)
    }

    /// These tables with every row of a hold up to date.
    pub(crate) fn rewritten(&self) -> Self {
        let reservations = self.reservations.keys().filter_map(|id| Some((*id, self.reservation(*id)?))).collect();
        let seats = self.seats.keys().filter_map(|key| Some((*key, self.seat(*key)?))).collect();
        Self { reservations, seats, ..self.clone() }
    }

    /// A seat with the extensions that its row does not contain yet.
    pub(crate) fn seat(&self, key: (PerformanceId, u32)) -> Option<Seat> {
        let mut seat = self.seats.get(&key)?.clone();
        if !seat.sold {
            let end = seat.end();
            seat.end_at(end.after(self.extensions_after(key.0, end.extended)));
        }
        Some(seat)
    }

    /// The extensions of a performance after this number, in order.
    pub(super) fn extensions_after(&self, performance: PerformanceId, number: u64) -> Vec<(Timestamp, u32)> {
        let further = self.extensions.iter().filter(|one| one.performance == performance && number < one.number);
        further.map(|one| (one.at, one.seconds)).collect()
    }

    /// The uses of a code: those of these users that have not ended, and those that may have ended, if that many more than are
    /// stored would be too many.
    pub(super) fn uses_of(&self, code: &Code, users: &BTreeSet<&UserId>, added: u32, at: Timestamp) -> Vec<Use> {
        let is_full = code.taken + added > code.uses;
        let own = self.code_uses.iter().filter(|(_, id)| **id == code.id);
        let rows = own.filter_map(|(reservation, _)| self.reservations.get(reservation));
        let is_wanted = |row: &&Reservation| match row.status {
            Status::Paid => users.contains(&row.user),
            Status::Held => users.contains(&row.user) || is_full && row.held_until <= at,
            _ => is_full,
        };
        rows.filter(is_wanted).filter_map(|row| self.reservation(row.id)).map(|row| Use::of(&row)).collect()
    }

    /// What a read finds of a code for a user who enters.
    pub(super) fn code_standing(&self, key: &CodeKey, user: &UserId, at: Timestamp) -> Option<CodeStanding> {
        let code = self.codes.get(key)?.clone();
        let uses = self.uses_of(&code, &BTreeSet::from([user]), 1, at);
        Some(CodeStanding { code, uses })
    }

    /// What a room's snapshot would show.
    pub(crate) fn line(&self, concert: ConcertId) -> Line {
        let Some(room) = self.rooms.get(&concert) else { return Line::default() };
        let mut line = Line::new(room.issued, room.served, self.given_up(concert).collect());
        line.account_for(&room.blocks);
        line
    }

    /// The state of a token's place, as its user sees it.
    pub(crate) fn standing(&self, token: &Token, at: Timestamp) -> Standing {
        let key = (token.concert, token.place);
        if let Some(position) = self.line(token.concert).position(token.place) {
            return Standing::Waiting(position);
        }
        let counts = self.places.get(&key).is_some_and(|place| place.standing == PlaceStanding::Current);
        let Some(turn) = self.turns.get(&key).filter(|_| counts && !self.ends.contains_key(&key)) else {
            return Standing::Expired;
        };
        let holds = self.open_reservations(token.concert, &token.user).filter_map(|r| self.reservation(r.id));
        let holds = holds.filter(|r| r.is_live(at));
        let until = holds.map(|hold| hold.held_until).chain([turn.active_until]).max();
        until.filter(|until| at < *until).map_or(Standing::Expired, Standing::Active)
    }
}
