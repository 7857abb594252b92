//! The outcome of a command by the contract, computed from all rows. A decision sees only the rows that it loaded.
//!
//! It shares the values of the domain (what a row is) and none of its rules.

use crate::support::mixed::AnyCommand;
use onsale_domain::concert::{Hold, Performance, Reservation, Status, Target};
use onsale_domain::ids::{ConcertId, LectureId, PerformanceId, ReservationId, UserId};
use onsale_domain::refund::RefundSeats;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{self, Token};
use onsale_domain::{Refusal, concert, lecture, payment, wallet};

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
            AnyCommand::Apply(lecture::Apply { user, lecture }) => self.judge_application(user, lecture),
            AnyCommand::Cancel(lecture::Cancel { user, lecture }) if self.has_applied(user, lecture) => Ok(()),
            AnyCommand::Cancel(_) => Err(Refusal::ApplicationNotFound),
            AnyCommand::Hold(hold) => self.judge_hold(hold),
            AnyCommand::Release(concert::Release { token, reservation }) => match self.own(token, *reservation)?.status
            {
                Status::Paid => Err(Refusal::AlreadyPaid),
                Status::Held | Status::Expired | Status::Released | Status::Refunded => Ok(()),
            },
            AnyCommand::Enter(waiting_room::Enter { concert, user }) => self.judge_entry(*concert, user),
            AnyCommand::Extend(concert::Extend { concert, performance: Some(id), .. }) => {
                let own = self.tables.performances.get(id).filter(|row| row.concert == *concert);
                own.map(|_| ()).ok_or(Refusal::PerformanceNotFound)
            }
            AnyCommand::ChangePerformance(concert::ChangePerformance { performance, prices, .. }) => {
                let own = self.tables.performances.get(performance).ok_or(Refusal::PerformanceNotFound)?;
                let has = |grade: &str| own.seating.seats().any(|(_, section)| &*section.grade == grade);
                let unknown = prices.iter().position(|priced| !has(&priced.grade));
                unknown.map_or(Ok(()), |index| Err(Refusal::GradeUnknown { index }))
            }
            AnyCommand::AddSeats(concert::AddSeats { performance, seats }) => {
                let own = self.tables.performances.get(performance).ok_or(Refusal::PerformanceNotFound)?;
                let both = seats.seats().map(|(seat, _)| seat).filter(|seat| own.seating.index_of(*seat).is_some());
                let both: Vec<u32> = both.take(20).collect();
                if both.is_empty() { Ok(()) } else { Err(Refusal::SeatExists { seats: both }) }
            }
            AnyCommand::Block(concert::Block { performance, seats, .. })
            | AnyCommand::Unblock(concert::Unblock { performance, seats, .. }) => self.judge_block(*performance, seats),
            AnyCommand::Schedule(concert::Schedule { concert, .. })
            | AnyCommand::Extend(concert::Extend { concert, performance: None, .. })
            | AnyCommand::ChangeConcert(concert::Change { concert, .. })
            | AnyCommand::Configure(waiting_room::Configure { concert, .. })
            | AnyCommand::HandOut(waiting_room::HandOut { concert, .. }) => self.judge_concert(*concert),
            AnyCommand::CreateLecture(_)
            | AnyCommand::CreateConcert(_)
            | AnyCommand::Expire(_)
            | AnyCommand::Rewrite(_)
            | AnyCommand::Leave(_)
            | AnyCommand::Step(_) => Ok(()),
            AnyCommand::Pay(pay) => self.judge_payment(pay),
            AnyCommand::RefundSeats(refund) => self.judge_refund(refund, None),
            AnyCommand::RefundByStaff(refund) => self.judge_refund(&refund.refund, Some(refund.fee)),
            AnyCommand::Adjust(wallet::Adjust { user, amount, .. }) => match self.balance(user) + amount {
                _ if *amount == 0 || amount.abs() > 1_000_000_000 => Err(Refusal::AmountOutOfRange),
                ..0 => Err(Refusal::InsufficientBalance),
                0..=1_000_000_000 => Ok(()),
                _ => Err(Refusal::BalanceLimit),
            },
        }
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

    fn judge_application(&self, user: &UserId, id: &LectureId) -> Result<(), Refusal> {
        let lecture = self.tables.lectures.get(id).ok_or(Refusal::LectureNotFound)?;
        let enrolled = self.tables.applications.keys().filter(|(other, _)| other == id).count();
        match () {
            () if self.has_applied(user, id) => Err(Refusal::AlreadyApplied),
            () if self.at >= lecture.starts_at => Err(Refusal::LectureClosed),
            () if enrolled >= lecture.capacity as usize => Err(Refusal::LectureFull),
            () => Ok(()),
        }
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
        if !stands && self.tables.concerts[&concert].closed { Err(Refusal::SaleClosed) } else { Ok(()) }
    }

    fn judge_hold(&self, request: &Hold) -> Result<(), Refusal> {
        let Hold { token, target, seats } = request;
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
        let performance = self.tables.performances.get(id).filter(|row| row.concert == token.concert);
        let performance = performance.ok_or(Refusal::PerformanceNotFound)?;
        if let Target::Dated(_, from, until) = target
            && !(*from..*until).contains(&performance.starts_at)
        {
            return Err(Refusal::DateMoved);
        }
        if self.tables.concerts[&performance.concert].closed {
            return Err(Refusal::SaleClosed);
        }
        if self.at >= performance.starts_at || performance.closed {
            return Err(Refusal::PerformanceClosed);
        }
        let exists = |seat: &i64| performance.seating.seats().any(|(other, _)| i64::from(other) == *seat);
        let unknown: Vec<i64> = seats.iter().filter(|seat| !exists(seat)).copied().collect();
        if !unknown.is_empty() {
            return Err(Refusal::SeatUnknown { seats: unknown });
        }
        if self.owned(&token.user, performance) + seats.len() > 4 {
            return Err(Refusal::SeatLimit);
        }
        let seats: Vec<u32> = seats.iter().filter_map(|seat| u32::try_from(*seat).ok()).collect();
        self.judge_seats(performance, &seats)
    }

    fn judge_block(&self, performance: PerformanceId, seats: &[i64]) -> Result<(), Refusal> {
        let performance = self.tables.performances.get(&performance).ok_or(Refusal::PerformanceNotFound)?;
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

    fn judge_payment(&self, command: &payment::Pay) -> Result<(), Refusal> {
        let reservation = self.own(&command.token, command.reservation)?;
        match reservation.status {
            Status::Paid | Status::Refunded => Err(Refusal::AlreadyPaid),
            Status::Expired | Status::Released => Err(Refusal::HoldExpired),
            Status::Held if !self.is_live(reservation) => Err(Refusal::HoldExpired),
            Status::Held if self.balance(&command.token.user) < reservation.amount => Err(Refusal::InsufficientBalance),
            Status::Held => Ok(()),
        }
    }

    /// Of the buyer, or of staff with a fee.
    fn judge_refund(&self, command: &RefundSeats, fee: Option<i64>) -> Result<(), Refusal> {
        let payment = self.tables.payments.iter().find(|payment| payment.id == command.payment);
        let payment = payment.ok_or(Refusal::PaymentNotFound)?;
        let given: Vec<u32> = self
            .tables
            .refunds
            .iter()
            .filter(|refund| refund.payment == payment.id)
            .flat_map(|refund| refund.seats.iter().copied())
            .collect();
        let left = payment.seats.iter().filter(|seat| !given.contains(seat)).map(|seat| i64::from(*seat));
        let seats: Vec<i64> = command.seats.as_ref().map_or_else(|| left.collect(), |seats| seats.to_vec());
        let is_own = |seat: &i64| payment.seats.iter().any(|own| i64::from(*own) == *seat);
        let unknown: Vec<i64> = seats.iter().copied().filter(|seat| !is_own(seat)).collect();
        if !unknown.is_empty() {
            return Err(Refusal::SeatUnknown { seats: unknown });
        }
        if seats.is_empty() || given.iter().any(|seat| seats.contains(&i64::from(*seat))) {
            return Err(Refusal::AlreadyRefunded);
        }
        let reservation = &self.tables.reservations[&payment.reservation];
        let performance = &self.tables.performances[&payment.performance];
        let price_of = |seat: &i64| {
            let place = reservation.seats.iter().position(|own| i64::from(*own) == *seat).expect("an own seat");
            reservation.prices[place]
        };
        let prices: Vec<i64> = seats.iter().map(price_of).collect();
        let price: i64 = prices.iter().sum();
        let left_millis = self.at.millis_until(performance.starts_at);
        let percent = [&reservation.refund_policy, &performance.refund_policy].into_iter().filter_map(|policy| {
            let holding = policy.rules().iter().filter(|rule| i64::from(rule.hours_before) * 3_600_000 < left_millis);
            holding.max_by_key(|rule| rule.hours_before).map(|rule| i64::from(rule.fee_percent))
        });
        let kept = match (fee, percent.min()) {
            (Some(fee), _) if fee < 0 || fee > price => return Err(Refusal::FeeOutOfRange),
            (Some(fee), _) => fee,
            (None, Some(percent)) => prices.iter().map(|price| price * percent / 100).sum(),
            (None, None) => return Err(Refusal::RefundClosed),
        };
        if self.balance(&payment.user) + price - kept > 1_000_000_000 { Err(Refusal::BalanceLimit) } else { Ok(()) }
    }
}
