//! The outcome of a command by the contract, computed from all rows. A decision sees only the rows that it loaded.
//!
//! It shares the values of the domain (what a row is) and none of its rules.

mod settlement;

use crate::support::mixed::AnyCommand;
use onsale_domain::concert::{Hold, HoldAny, Performance, Reservation, Section, Status, Target};
use onsale_domain::ids::{ConcertId, LectureId, PerformanceId, ReservationId, UserId};
use onsale_domain::lecture::Lecture;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{self, Token};
use onsale_domain::{Refusal, cancellation, concert, lecture, wallet};

use crate::support::{Standing, Tables};

/// What is known before the command.
pub(super) struct Oracle<'a> {
    pub(super) tables: &'a Tables,
    pub(super) at: Timestamp,
}

impl Oracle<'_> {
    /// The first reason against a command, if there is one.
    pub(super) fn judge(&self, command: &AnyCommand) -> Result<(), Refusal> {
        match command {
            AnyCommand::Charge(wallet::Charge { user, amount }) => self.judge_charge(user, *amount),
            AnyCommand::Use(wallet::Use { user, amount }) => self.judge_use(user, *amount),
            AnyCommand::Apply(apply) => self.judge_application(apply),
            AnyCommand::Cancel(lecture::Cancel { user, lecture }) if self.has_any(user, lecture) => Ok(()),
            AnyCommand::RemoveApplication(lecture::RemoveApplication { user, lecture }) if self.has_any(user, lecture) => {
                Ok(())
            }
            AnyCommand::Cancel(_) | AnyCommand::RemoveApplication(_) => Err(Refusal::ApplicationNotFound),
            AnyCommand::Hold(hold) => self.judge_hold(hold),
            AnyCommand::HoldAny(hold) => self.judge_any(hold),
            AnyCommand::Release(concert::Release { token, reservation }) => match self.own(token, *reservation)?.status
            {
                Status::Paid => Err(Refusal::AlreadyPaid),
                Status::Held | Status::Expired | Status::Released | Status::Refunded => Ok(()),
            },
            AnyCommand::Enter(waiting_room::Enter { concert, user, .. }) => self.judge_entry(*concert, user),
            AnyCommand::Extend(concert::Extend { concert, performance: Some(id), .. }) => {
                let own = self.tables.performances.get(id).filter(|row| row.concert == *concert);
                own.ok_or(Refusal::PerformanceNotFound).and_then(Self::judge_on)
            }
            AnyCommand::ChangePerformance(concert::ChangePerformance { performance, prices, .. }) => {
                let own = self.tables.performances.get(performance).ok_or(Refusal::PerformanceNotFound)?;
                Self::judge_on(own)?;
                let has = |grade: &str| own.seating.seats().any(|(_, section)| &*section.grade == grade);
                let unknown = prices.iter().position(|priced| !has(&priced.grade));
                unknown.map_or(Ok(()), |index| Err(Refusal::GradeUnknown { index }))
            }
            AnyCommand::AddSeats(added) => self.judge_added(added),
            AnyCommand::Block(concert::Block { performance, seats, .. })
            | AnyCommand::Unblock(concert::Unblock { performance, seats, .. }) => self.judge_block(*performance, seats),
            AnyCommand::CancelPerformance(cancellation::Cancel { performance, .. }) => {
                self.tables.performances.get(performance).map(|_| ()).ok_or(Refusal::PerformanceNotFound)
            }
            AnyCommand::ChangeConcert(change) => self.judge_change(change),
            AnyCommand::Schedule(concert::Schedule { concert, .. })
            | AnyCommand::Extend(concert::Extend { concert, performance: None, .. })
            | AnyCommand::Configure(waiting_room::Configure { concert, .. })
            | AnyCommand::HandOut(waiting_room::HandOut { concert, .. })
            | AnyCommand::NoteList(waiting_room::NoteList { concert, .. })
            | AnyCommand::PutBeacon(waiting_room::PutBeacon { concert, .. })
            | AnyCommand::StoreDraw(waiting_room::StoreDraw { concert, .. }) => self.judge_concert(*concert),
            AnyCommand::ChangeLecture(change) => self.judge_lecture_change(change),
            AnyCommand::CancelLecture(lecture::CancelLecture { lecture, .. })
            | AnyCommand::CancelApplications(lecture::CancelApplications { lecture })
            | AnyCommand::PromoteWaiting(lecture::PromoteWaiting { lecture }) => {
                self.judge_lecture(*lecture).map(|_| ())
            }
            AnyCommand::CreateLecture(_)
            | AnyCommand::CreateConcert(_)
            | AnyCommand::Expire(_)
            | AnyCommand::Rewrite(_)
            | AnyCommand::StepOfCancellation(_)
            | AnyCommand::Leave(_)
            | AnyCommand::PutBack(_)
            // Presale codes are not among the random commands.
            | AnyCommand::CreateCodes(_)
            | AnyCommand::DeleteCode(_)
            | AnyCommand::Step(_) => Ok(()),
            AnyCommand::Pay(pay) => self.judge_payment(pay),
            AnyCommand::RefundSeats(refund) => self.judge_refund(refund, None),
            AnyCommand::RefundByStaff(refund) => self.judge_refund(&refund.refund, Some(refund.fee)),
            AnyCommand::Adjust(wallet::Adjust { user, amount, .. }) => self.judge_adjustment(user, *amount),
            AnyCommand::JoinSeatList(_) | AnyCommand::LeaveSeatList(_) | AnyCommand::OfferSeats(_) => {
                unreachable!("waiting lists of performances have properties of their own")
            }
        }
    }

    fn judge_adjustment(&self, user: &UserId, amount: i64) -> Result<(), Refusal> {
        match self.balance(user) + amount {
            _ if amount == 0 || amount.abs() > 1_000_000_000 => Err(Refusal::AmountOutOfRange),
            ..0 => Err(Refusal::InsufficientBalance),
            0..=1_000_000_000 => Ok(()),
            _ => Err(Refusal::BalanceLimit),
        }
    }

    fn judge_on(performance: &Performance) -> Result<(), Refusal> {
        if performance.cancelled_at.is_some() { Err(Refusal::PerformanceCancelled) } else { Ok(()) }
    }

    fn balance(&self, user: &UserId) -> i64 {
        let last = self.tables.ledger.iter().rev().find(|entry| &entry.user == user);
        last.map_or(0, |entry| entry.balance_after)
    }

    fn judge_charge(&self, user: &UserId, amount: i64) -> Result<(), Refusal> {
        match amount {
            1..=10_000_000 if self.balance(user) + amount > 1_000_000_000 => Err(Refusal::BalanceLimit),
            1..=10_000_000 => Ok(()),
            _ => Err(Refusal::AmountOutOfRange),
        }
    }

    fn judge_use(&self, user: &UserId, amount: i64) -> Result<(), Refusal> {
        match amount {
            1..=10_000_000 if self.balance(user) < amount => Err(Refusal::InsufficientBalance),
            1..=10_000_000 => Ok(()),
            _ => Err(Refusal::AmountOutOfRange),
        }
    }

    fn has_applied(&self, user: &UserId, lecture: &LectureId) -> bool {
        self.tables.applications.contains_key(&(*lecture, user.clone()))
    }

    fn has_any(&self, user: &UserId, lecture: &LectureId) -> bool {
        self.has_applied(user, lecture) || self.position(user, lecture).is_some()
    }

    /// The position of a user in a waiting list, from 1.
    fn position(&self, user: &UserId, lecture: &LectureId) -> Option<u32> {
        let ahead = self.tables.waiting_for(*lecture).iter().position(|(other, _)| *other == user)?;
        u32::try_from(ahead + 1).ok()
    }

    fn judge_application(&self, apply: &lecture::Apply) -> Result<(), Refusal> {
        let lecture::Apply { user, lecture: id, waitlist } = apply;
        let lecture = self.tables.lectures.get(id).ok_or(Refusal::LectureNotFound)?;
        let enrolled = self.tables.applications.keys().filter(|(other, _)| other == id).count();
        match () {
            () if self.has_applied(user, id) => Err(Refusal::AlreadyApplied),
            () if self.position(user, id).is_some() => {
                Err(Refusal::AlreadyWaitlisted { position: self.position(user, id).expect("it waits") })
            }
            () if self.at >= lecture.starts_at => Err(Refusal::LectureClosed),
            () if lecture.closed || lecture.cancellation.is_some() => Err(Refusal::LectureClosed),
            () if lecture.opens_at.is_some_and(|opens_at| self.at < opens_at) => {
                let opens_at = lecture.opens_at.expect("it has an opening");
                Err(Refusal::LectureNotOpen { retry_after_seconds: self.at.seconds_until(opens_at).min(3_600) })
            }
            () if *waitlist => Ok(()),
            () if enrolled >= lecture.capacity as usize => Err(Refusal::LectureFull),
            () if !self.tables.waiting_for(*id).is_empty() => Err(Refusal::LectureFull),
            () => Ok(()),
        }
    }

    fn judge_lecture_change(&self, change: &lecture::ChangeLecture) -> Result<(), Refusal> {
        let lecture = self.judge_lecture(change.lecture)?;
        let enrolled = self.tables.applications.keys().filter(|(of, _)| *of == change.lecture).count();
        match change.change.capacity {
            _ if lecture.cancellation.is_some() => Err(Refusal::LectureClosed),
            Some(capacity) if (capacity as usize) < enrolled => Err(Refusal::CapacityBelowEnrolled),
            _ => Ok(()),
        }
    }

    fn judge_lecture(&self, lecture: LectureId) -> Result<&Lecture, Refusal> {
        self.tables.lectures.get(&lecture).ok_or(Refusal::LectureNotFound)
    }

    fn judge_concert(&self, concert: ConcertId) -> Result<(), Refusal> {
        let known = self.tables.concerts.contains_key(&concert);
        if known { Ok(()) } else { Err(Refusal::ConcertNotFound) }
    }

    /// A user with a place keeps it. A closed sale hands out no other.
    fn judge_entry(&self, concert: ConcertId, user: &UserId) -> Result<(), Refusal> {
        self.judge_concert(concert)?;
        let number = self.tables.current_place(concert, user);
        let place = number.and_then(|number| Some((number, self.tables.places.get(&(concert, number))?)));
        let stands = place.is_some_and(|(number, place)| {
            let (id, issued_at) = (place.token, place.issued_at);
            let token = Token { id, concert, user: user.clone(), place: number, issued_at };
            self.tables.standing(&token, self.at) != Standing::Expired
        });
        if stands { Ok(()) } else { self.judge_sale(concert) }
    }

    /// The sale closes after it opens.
    fn judge_change(&self, change: &concert::Change) -> Result<(), Refusal> {
        self.judge_concert(change.concert)?;
        let before = self.tables.concerts[&change.concert].sale;
        let from = change.opens_at.unwrap_or(before.opens_at);
        let to = change.closes_at.unwrap_or(before.closes_at);
        let field = if change.closes_at.is_some() { "closesAt" } else { "opensAt" };
        match (from, to) {
            (Some(from), Some(to)) if to <= from => Err(Refusal::SaleHours { field }),
            _ => Ok(()),
        }
    }

    fn judge_sale(&self, concert: ConcertId) -> Result<(), Refusal> {
        let sale = &self.tables.concerts[&concert].sale;
        if sale.closed || sale.closes_at.is_some_and(|at| self.at >= at) {
            return Err(Refusal::SaleClosed);
        }
        match sale.opens_at {
            Some(opens_at) if self.at < opens_at => {
                let opens_in_seconds = self.at.seconds_until(opens_at);
                Err(Refusal::SaleNotOpen {
                    opens_at,
                    early_from: None,
                    as_of: self.at,
                    opens_in_seconds,
                    is_drawn: false,
                })
            }
            _ => Ok(()),
        }
    }

    fn judge_hold(&self, request: &Hold) -> Result<(), Refusal> {
        let Hold { token, target, seats, dates: _, code: _ } = request;
        let performance = self.judge_target(token, *target)?;
        let exists = |seat: &i64| performance.seating.seats().any(|(other, _)| i64::from(other) == *seat);
        let unknown: Vec<i64> = seats.iter().filter(|seat| !exists(seat)).copied().collect();
        if !unknown.is_empty() {
            return Err(Refusal::SeatUnknown { seats: unknown });
        }
        let limit = self.tables.concerts[&performance.concert].seats_per_user as usize;
        if self.owned(&token.user, performance) + seats.len() > limit {
            return Err(Refusal::SeatLimit);
        }
        let seats: Vec<u32> = seats.iter().filter_map(|seat| u32::try_from(*seat).ok()).collect();
        self.judge_seats(performance, &seats)
    }

    /// Of a performance without a layout: each group of neighbours is tried.
    fn judge_any(&self, request: &HoldAny) -> Result<(), Refusal> {
        let HoldAny { token, target, wish, dates: _, code: _ } = request;
        let performance = self.judge_target(token, *target)?;
        let fits = |section: &&Section| wish.grade.as_ref().is_none_or(|grade| *grade == section.grade);
        let fitting: Vec<&Section> = performance.seating.sections().iter().filter(fits).collect();
        if fitting.is_empty() || wish.section.is_some() {
            return Err(Refusal::SectionUnknown);
        }
        let limit = self.tables.concerts[&performance.concert].seats_per_user as usize;
        if self.owned(&token.user, performance) + wish.count as usize > limit {
            return Err(Refusal::SeatLimit);
        }
        let mut soonest: Option<u32> = None;
        for first in fitting.iter().flat_map(|section| section.from..=section.to) {
            let group: Vec<u32> = (first..first + wish.count).collect();
            if !fitting.iter().any(|section| group.iter().all(|seat| (section.from..=section.to).contains(seat))) {
                continue;
            }
            match self.judge_seats(performance, &group) {
                Ok(()) => return Ok(()),
                Err(Refusal::SeatTaken { retry_after_seconds: Some(wait), .. }) => {
                    soonest = Some(soonest.map_or(wait, |known| known.min(wait)));
                }
                Err(_) => {}
            }
        }
        Err(Refusal::SeatsNotAvailable { retry_after_seconds: soonest })
    }

    /// The performance, if its seats can be held.
    fn judge_target(&self, token: &Token, target: Target) -> Result<&Performance, Refusal> {
        let key = (token.concert, token.place);
        let turn = self.tables.turns.get(&key).filter(|_| !self.tables.ends.contains_key(&key));
        if turn.is_none_or(|turn| self.at >= turn.active_until) {
            return Err(Refusal::TokenExpired);
        }
        let id = match target {
            Target::SeveralOnDate => return Err(Refusal::PerformanceAmbiguous),
            Target::NoneOnDate => return Err(Refusal::PerformanceNotFound),
            Target::Performance(id) | Target::Dated(id, ..) => id,
        };
        let performance = self.tables.performances.get(&id).filter(|row| row.concert == token.concert);
        let performance = performance.ok_or(Refusal::PerformanceNotFound)?;
        if let Target::Dated(_, from, until) = target
            && !(from..until).contains(&performance.starts_at)
        {
            return Err(Refusal::DateMoved);
        }
        self.judge_sale(performance.concert)?;
        if performance.cancelled_at.is_some() {
            return Err(Refusal::PerformanceCancelled);
        }
        if self.at >= performance.starts_at || performance.closed {
            return Err(Refusal::PerformanceClosed);
        }
        Ok(performance)
    }

    fn judge_added(&self, added: &concert::AddSeats) -> Result<(), Refusal> {
        let own = self.tables.performances.get(&added.performance).ok_or(Refusal::PerformanceNotFound)?;
        Self::judge_on(own)?;
        let seats = added.seats.seats().map(|(seat, _)| seat);
        let both: Vec<u32> = seats.filter(|seat| own.seating.index_of(*seat).is_some()).take(20).collect();
        if both.is_empty() { Ok(()) } else { Err(Refusal::SeatExists { seats: both }) }
    }

    fn judge_block(&self, performance: PerformanceId, seats: &[i64]) -> Result<(), Refusal> {
        let performance = self.tables.performances.get(&performance).ok_or(Refusal::PerformanceNotFound)?;
        Self::judge_on(performance)?;
        let exists = |seat: &i64| performance.seating.seats().any(|(other, _)| i64::from(other) == *seat);
        let unknown: Vec<i64> = seats.iter().filter(|seat| !exists(seat)).copied().collect();
        if !unknown.is_empty() {
            return Err(Refusal::SeatUnknown { seats: unknown });
        }
        let seats: Vec<u32> = seats.iter().filter_map(|seat| u32::try_from(*seat).ok()).collect();
        let blocked = |seat: &u32| self.tables.blocks.contains_key(&(performance.id, *seat));
        let others: Vec<u32> = seats.into_iter().filter(|seat| !blocked(seat)).collect();
        self.judge_seats(performance, &others)
    }

    /// Seats that a user has bought or holds now.
    fn owned(&self, user: &UserId, performance: &Performance) -> usize {
        let own = self.tables.reservations.values().filter(|r| &r.user == user && r.performance == performance.id);
        own.filter(|r| r.status == Status::Paid || self.is_live(r)).map(|r| r.seats.len() - r.refunded.len()).sum()
    }

    fn is_live(&self, reservation: &Reservation) -> bool {
        reservation.status == Status::Held && self.at < reservation.held_until
    }

    /// A seat is taken where a paid or a live reservation names it.
    fn judge_seats(&self, performance: &Performance, seats: &[u32]) -> Result<(), Refusal> {
        let all = self.tables.reservations.values().filter(|r| r.performance == performance.id);
        let owners: Vec<&Reservation> = all.filter(|r| r.status == Status::Paid || self.is_live(r)).collect();
        let owner_of = |seat: &u32| {
            let has = |owner: &&&Reservation| owner.seats.contains(seat) && !owner.refunded.contains(seat);
            owners.iter().find(has).copied()
        };
        let is_blocked = |seat: &u32| self.tables.blocks.contains_key(&(performance.id, *seat));
        let taken: Vec<u32> =
            seats.iter().copied().filter(|seat| is_blocked(seat) || owner_of(seat).is_some()).collect();
        if taken.is_empty() {
            return Ok(());
        }
        let holds = taken.iter().map(|seat| owner_of(seat).filter(|owner| owner.status == Status::Held));
        let ends: Option<Vec<u32>> = holds.map(|hold| Some(self.at.seconds_until(hold?.held_until))).collect();
        Err(Refusal::SeatTaken { seats: taken, retry_after_seconds: ends.and_then(|ends| ends.into_iter().max()) })
    }

    /// The reservation that a token asks to settle: the token must be active, or the hold be live.
    fn own(&self, token: &Token, id: ReservationId) -> Result<&Reservation, Refusal> {
        let own = self.tables.reservations.get(&id);
        let own = own.filter(|r| r.user == token.user && r.concert == token.concert);
        let active = matches!(self.tables.standing(token, self.at), Standing::Active(_));
        if !active && !own.is_some_and(|reservation| self.is_live(reservation)) {
            return Err(Refusal::TokenExpired);
        }
        own.ok_or(Refusal::ReservationNotFound)
    }
}
