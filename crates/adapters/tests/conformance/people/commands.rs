//! Makes random commands about known things, and sometimes about missing ones.

use std::sync::Arc;

use crate::mixed::AnyCommand;
use onsale_domain::cancellation::{self, Cancel, Part};
use onsale_domain::concert::{self, Dates, GradePrice, Hold, HoldAny, Notice, Sale, Seating, Section, Target, Wish};
use onsale_domain::ids::{ConcertId, LectureId, PaymentId, PerformanceId, ReservationId};
use onsale_domain::lecture;
use onsale_domain::refund::{Policy, RefundByStaff, RefundSeats, Rule};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{self, Memory, Patch, Request, Settings, Step, Token};
use onsale_domain::wallet::AMOUNT_MAX;
use onsale_domain::{payment, wallet};
use onsale_testing::Dice;
use uuid::Uuid;

use super::People;

/// Titles with characters of several scripts.
const TEXTS: &[&str] = &["Rust", "O'Neill \"live\"", "봄의 노래 🎻", "a\\b {c} %d $1 --", " ", "line\nfeed\ttab"];

/// An id that does not exist.
const UNKNOWN: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000);

/// Picks mostly one of the last few things, rarely one that does not exist.
fn pick<T: Copy>(dice: &mut Dice, things: &[T], nothing: T) -> T {
    let few = &things[things.len().saturating_sub(3)..];
    if few.is_empty() || dice.percent(5) { nothing } else { *dice.one_of(few) }
}

impl People {
    pub(super) fn command(&mut self) -> AnyCommand {
        let chance = self.dice.below(208);
        let amount = self.amount();
        let command = match chance {
            // The user with the maximum balance charges until the limit refuses it.
            0..14 if amount == AMOUNT_MAX => {
                self.users.last().map(|rich| wallet::Charge { user: rich.clone(), amount }.into())
            }
            0..14 => Some(wallet::Charge { user: self.user(), amount }.into()),
            14..24 => Some(wallet::Use { user: self.user(), amount }.into()),
            24..46 => Some(self.apply()),
            46..58 => Some(lecture::Cancel { user: self.user(), lecture: self.lecture() }.into()),
            58..59 => Some(self.open_lecture()),
            59..60 if self.concerts.len() < 3 => Some(self.open_concert()),
            60..63 => Some(self.schedule()),
            63..108 => self.hold(),
            108..114 => self.token().map(|token| {
                let reservation = self.reservation(&token);
                concert::Release { token, reservation }.into()
            }),
            114..150 => self.token().map(|token| {
                let reservation = self.reservation(&token);
                payment::Pay { token, reservation }.into()
            }),
            150..155 => Some(self.expire()),
            155..158 => self.token().map(|token| onsale_domain::leaving::Leave(token).into()),
            158..178 => Some(self.step()),
            178..181 => Some(self.configure()),
            181..183 => Some(self.hand_out()),
            183..185 => Some(self.extend()),
            185..187 => Some(self.rewrite()),
            187..188 => Some(self.change()),
            188..189 => Some(self.offer()),
            189..190 => Some(self.offer()),
            190..191 => Some(self.change_performance()),
            191..194 => self.refund().map(AnyCommand::from),
            194..197 => self.refund_by_staff(),
            197..198 => Some(self.adjust()),
            198..199 => Some(Cancel { performance: self.performance(), reason: self.text() }.into()),
            199..200 => self.step_of_cancellation().map(AnyCommand::from),
            200..204 => Some(self.change_lecture()),
            204..206 => Some(self.end_lecture()),
            206..208 => Some(self.offer()),
            _ => None,
        };
        command.unwrap_or_else(|| {
            waiting_room::Enter { concert: self.concert(), user: self.user(), pass: None, ended: None }.into()
        })
    }

    fn amount(&mut self) -> i64 {
        match self.dice.below(20) {
            0 => *self.dice.one_of(&[0, -1, AMOUNT_MAX + 1, i64::MAX, i64::MIN]),
            1..3 => AMOUNT_MAX,
            _ => 1 + i64::try_from(self.dice.below(1_500)).unwrap_or(0),
        }
    }

    pub(super) fn text(&mut self) -> Arc<str> {
        (*self.dice.one_of(TEXTS)).into()
    }

    pub(super) fn lecture(&mut self) -> LectureId {
        pick(&mut self.dice, &self.lectures, LectureId::new(UNKNOWN))
    }

    fn concert(&mut self) -> ConcertId {
        pick(&mut self.dice, &self.concerts, ConcertId::new(UNKNOWN))
    }

    fn token(&mut self) -> Option<Token> {
        (!self.tokens.is_empty()).then(|| self.dice.one_of(&self.tokens).clone())
    }

    /// Mostly a reservation of the token's user.
    fn reservation(&mut self, token: &Token) -> ReservationId {
        let of_any_user = self.dice.percent(20);
        let known = self.reservations.iter().filter(|(_, user)| of_any_user || *user == token.user);
        let known: Vec<ReservationId> = known.map(|(id, _)| *id).collect();
        pick(&mut self.dice, &known, ReservationId::new(UNKNOWN))
    }

    pub(super) fn soon(&mut self, seconds: u64) -> Timestamp {
        self.now.plus_millis(i64::try_from(self.dice.below(seconds * 1_000)).unwrap_or(0))
    }

    pub(super) fn open_concert(&mut self) -> AnyCommand {
        let sale = self.sale();
        let early_from = sale.opens_at.filter(|_| self.dice.percent(70)).map(|at| at.plus_millis(-6_000));
        let room = Settings {
            max_active: 3,
            admit_per_second: 3,
            active_seconds: 10,
            claim_seconds: 6,
            paused: false,
            sale,
            early_from,
            draw_at: None,
        };
        let seats_per_user = 1 + u32::try_from(self.dice.below(5)).unwrap_or(0);
        concert::Create { title: self.text(), venue: self.text(), room, seed: None, notice: None, seats_per_user }
            .into()
    }

    /// Hours that leave the sale open nine times in ten.
    fn sale(&mut self) -> Sale {
        let opens_at = self.dice.percent(10).then(|| self.soon(20));
        let closes_at = opens_at.map(|at| at.plus_seconds(60)).filter(|_| self.dice.percent(50));
        Sale { closed: false, opens_at, closes_at, codes_until: None }
    }

    fn schedule(&mut self) -> AnyCommand {
        let grade = self.text();
        let stalls = Section { from: 1, to: 6, grade, price: *self.dice.one_of(&[0, 100, 900]) };
        let circle = Section { from: 8, to: 9, grade: "S".into(), price: 40_000 };
        let sections = if self.dice.percent(50) { vec![circle, stalls] } else { vec![stalls] };
        let seating = Seating::new(sections).expect("sections that share no seat");
        let (closed, refund_policy) = (self.dice.percent(3), self.policy());
        let (concert, starts_at, layout) = (self.concert(), self.soon(150), None);
        concert::Schedule { concert, starts_at, seating, layout, closed, refund_policy }.into()
    }

    fn performance(&mut self) -> PerformanceId {
        let known: Vec<PerformanceId> = self.performances.iter().map(|performance| performance.id).collect();
        pick(&mut self.dice, &known, PerformanceId::new(UNKNOWN))
    }

    fn extend(&mut self) -> AnyCommand {
        let (performance, whole) = (self.performance(), self.dice.percent(30));
        let of = self.performances.iter().find(|known| known.id == performance).map(|known| known.concert);
        let concert = of.unwrap_or_else(|| self.concert());
        let seconds = 1 + u32::try_from(self.dice.below(9)).unwrap_or(0);
        concert::Extend { concert, performance: (!whole).then_some(performance), seconds, reason: self.text() }.into()
    }

    fn rewrite(&mut self) -> AnyCommand {
        let performance = self.performance();
        let few = self.reservations.iter().rev().take(6).map(|(id, _)| *id).collect();
        concert::Rewrite { performance, reservations: few, done_to: None }.into()
    }

    /// Mostly opens again, so that the sale goes on.
    fn change(&mut self) -> AnyCommand {
        let text = self.text();
        let notice = match self.dice.below(4) {
            0 => Some(None),
            1 => Some(Some(Arc::new(Notice { ko: None, en: Some(text) }))),
            2 => Some(Some(Arc::new(Notice { ko: Some(text.clone()), en: Some(text) }))),
            _ => None,
        };
        let closed = self.dice.percent(60).then(|| self.dice.percent(20));
        let (title, venue) = (self.dice.percent(30).then(|| self.text()), self.dice.percent(30).then(|| self.text()));
        let seats_per_user = self.dice.percent(30).then(|| 1 + u32::try_from(self.dice.below(6)).unwrap_or(0));
        let Sale { opens_at, closes_at, .. } = self.sale();
        let is_about_hours = self.dice.percent(50);
        let mut hours = [opens_at, closes_at].map(|bound| is_about_hours.then_some(bound));
        if self.dice.percent(15) {
            // It would close as it opens, which is refused.
            hours = [Some(Some(self.now)); 2];
        }
        let [opens_at, closes_at] = hours;
        let change = concert::Change::of(self.concert());
        concert::Change { title, venue, notice, closed, opens_at, closes_at, seats_per_user, ..change }.into()
    }

    fn change_performance(&mut self) -> AnyCommand {
        let (performance, closed) = (self.performance(), Some(self.dice.percent(20)));
        let refund_policy = self.dice.percent(50).then(|| self.policy());
        concert::ChangePerformance { closed, refund_policy, ..concert::ChangePerformance::of(performance) }.into()
    }

    /// What an organiser changes of a performance that is on sale: mostly blocked seats.
    fn offer(&mut self) -> AnyCommand {
        let performance = self.performance();
        let change = concert::ChangePerformance::of(performance);
        let seat = |dice: &mut Dice| i64::try_from(dice.below(10)).unwrap_or(0);
        match self.dice.below(10) {
            0..3 => {
                let seats = if self.dice.percent(40) { vec![seat(&mut self.dice)] } else { vec![6, 8, 5] };
                concert::Block { performance, seats: seats.into(), reason: self.text() }.into()
            }
            3..6 => {
                let seats = if self.dice.percent(30) { vec![seat(&mut self.dice)] } else { vec![5, 6] };
                concert::Unblock { performance, seats: seats.into(), reason: self.text() }.into()
            }
            6..7 => concert::ChangePerformance { starts_at: Some(self.soon(150)), ..change }.into(),
            7..9 => {
                let (grade, price) = (self.text(), *self.dice.one_of(&[0, 100, 900]));
                let grade = if self.dice.percent(40) { "S".into() } else { grade };
                concert::ChangePerformance { prices: vec![GradePrice { grade, price }], ..change }.into()
            }
            _ => {
                let from = *self.dice.one_of(&[7, 8, 10, 11]);
                let section = Section { from, to: from, grade: "S".into(), price: 40_000 };
                let seats = Seating::new(vec![section]).expect("one seat");
                concert::AddSeats { performance, seats, places: Vec::new() }.into()
            }
        }
    }

    /// Performances start soon, so only the last hour counts.
    fn policy(&mut self) -> Policy {
        let percent = *self.dice.one_of(&[0, 7, 100]);
        let rule = |hours_before, fee_percent| Rule { hours_before, fee_percent };
        let rules = match self.dice.below(3) {
            0 => vec![],
            1 => vec![rule(0, percent)],
            _ => vec![rule(240, 0), rule(0, percent), rule(1, 50)],
        };
        Policy::new(rules).expect("a policy")
    }

    /// Mostly one of the last payments.
    fn refund(&mut self) -> Option<RefundSeats> {
        let last = &self.payments[self.payments.len().saturating_sub(4)..];
        if last.is_empty() {
            return None;
        }
        let paid = self.dice.one_of(last).clone();
        let payment = if self.dice.percent(10) { PaymentId::new(UNKNOWN) } else { paid.id };
        let seats: Option<Vec<i64>> = match self.dice.below(8) {
            0..4 => None,
            4..7 => Some(paid.seats.iter().take(1).copied().map(i64::from).collect()),
            _ => Some(vec![10, -3]),
        };
        let (reservation, performance, user) = (paid.reservation, paid.performance, paid.user);
        Some(RefundSeats { payment, reservation, performance, user, seats: seats.map(Into::into) })
    }

    fn refund_by_staff(&mut self) -> Option<AnyCommand> {
        let refund = self.refund()?;
        let (fee, reason) = (*self.dice.one_of(&[0, 0, 50, -1, 1_000_000]), self.text());
        Some(RefundByStaff { refund, fee, reason }.into())
    }

    /// Names whatever holds and payments are known, and claims nothing about others. The user with the maximum balance is left
    /// out: a step fails for a payment only once.
    fn step_of_cancellation(&mut self) -> Option<cancellation::Step> {
        let performance = *self.cancelled.last()?;
        let holds = self.reservations.iter().map(|(id, _)| *id).collect();
        let rich = self.users.last();
        let own = self.payments.iter().filter(|paid| paid.performance == performance && Some(&paid.user) != rich);
        let payments = own.map(|paid| {
            let (reservation, performance, user) = (paid.reservation, paid.performance, paid.user.clone());
            RefundSeats { payment: paid.id, reservation, performance, user, seats: None }
        });
        let part = Part::Seats { after: 0, to: Some(0) };
        Some(cancellation::Step { performance, holder: 7, part, payments: payments.collect(), holds })
    }

    fn adjust(&mut self) -> AnyCommand {
        let amount = *self.dice.one_of(&[1, -1, 500, -4_000, 0, 1_000_000_000]);
        wallet::Adjust { user: self.user(), amount, reason: self.text() }.into()
    }

    fn hold(&mut self) -> Option<AnyCommand> {
        let token = self.token()?;
        let is_own = !self.dice.percent(4);
        let own = self.performances.iter().filter(|performance| (performance.concert == token.concert) == is_own);
        let own: Vec<PerformanceId> = own.map(|performance| performance.id).collect();
        let target = match self.dice.below(30) {
            0 => Target::NoneOnDate,
            1 => Target::SeveralOnDate,
            // Some have started, and some have been moved.
            2 => {
                let id = pick(&mut self.dice, &own, PerformanceId::new(UNKNOWN));
                Target::Dated(id, self.now, self.soon(150))
            }
            _ => Target::Performance(pick(&mut self.dice, &own, PerformanceId::new(UNKNOWN))),
        };
        // Some dates are as they are: most concerts have few performances, and few of those change.
        let dates = matches!(target, Target::NoneOnDate | Target::SeveralOnDate | Target::Dated(..))
            .then(|| Dates { performances: u64::try_from(own.len()).unwrap_or(0), revisions: 0 });
        if self.dice.percent(25) {
            let count = u32::try_from(1 + self.dice.below(3)).unwrap_or(1);
            let grade = self.dice.percent(20).then(|| "S".into());
            let wish = Wish { count, section: None, grade };
            return Some(HoldAny { token, target, dates, wish, code: None }.into());
        }
        let (many, last) = match self.dice.below(12) {
            0..2 => (7, 10),
            2..4 => (5, 6),
            _ => (2, 3),
        };
        let mut seats = Vec::new();
        for _ in 0..=self.dice.below(many) {
            let seat = 1 + i64::try_from(self.dice.below(last)).unwrap_or(0);
            if !seats.contains(&seat) {
                seats.push(seat);
            }
        }
        Some(Hold { token, target, dates, seats: seats.into(), code: None }.into())
    }

    fn expire(&mut self) -> AnyCommand {
        let last = &self.reservations[self.reservations.len().saturating_sub(6)..];
        let reservations = last.iter().map(|(id, _)| *id).filter(|_| self.dice.percent(50)).collect();
        concert::Expire { reservations }.into()
    }

    /// Guessed places: many are admitted, some have ended, a few were never handed out.
    fn step(&mut self) -> AnyCommand {
        let concert = self.concert();
        let places: Vec<u64> =
            self.tokens.iter().filter(|token| token.concert == concert).map(|token| token.place).collect();
        let now = self.now;
        let mut some = |chance| -> Vec<u64> {
            let mut some: Vec<u64> = places.iter().copied().filter(|_| self.dice.percent(chance)).collect();
            some.sort_unstable();
            some
        };
        let seen = some(20).into_iter().map(|place| (place, now.plus_millis(-200))).collect();
        let (claimed, due, shown) = (some(10), some(70), some(50));
        let shown_tokens = self.tokens.iter().filter(|token| token.concert == concert && shown.contains(&token.place));
        let (shown_tokens, issued) = (shown_tokens.cloned().collect(), places.last().map_or(0, |place| place + 1));
        Step { seen, claimed, due, issued, shown_tokens, ..Step::of(concert) }.into()
    }

    /// Guessed places as Redis would hand them out. Some are refused, because the epoch has changed.
    fn hand_out(&mut self) -> AnyCommand {
        let (concert, epoch) = (self.concert(), self.dice.below(3));
        let last = self.tokens.iter().filter(|token| token.concert == concert).map(|token| token.place).max();
        let known = last.unwrap_or(0) + self.dice.below(3);
        let request = match self.dice.below(4) {
            0 => Request::Reserve { epoch, places: 1 + self.dice.below(3) },
            1..3 => Request::Reinstate(vec![(known, known + self.dice.below(3)), (known + 4, known + 4)]),
            _ => {
                let (memory, epoch_seen, places) = (Memory([7; 20]), self.dice.below(3), 1 + self.dice.below(4));
                let (reserved_to, in_doubt) = (known + self.dice.below(3), (known, known + self.dice.below(2)));
                Request::Reopen { epoch, memory, epoch_seen, known, reserved_to, in_doubt, places }
            }
        };
        waiting_room::HandOut { concert, request }.into()
    }

    fn configure(&mut self) -> AnyCommand {
        let early_from = self.dice.percent(8).then(|| self.dice.percent(70).then(|| self.soon(20)));
        let dice = &mut self.dice;
        let mut maybe =
            |from: u32, more: u64| dice.percent(40).then(|| from + u32::try_from(dice.below(more)).unwrap_or(0));
        let patch = Patch {
            max_active: maybe(2, 3),
            admit_per_second: maybe(1, 4),
            active_seconds: maybe(5, 8),
            claim_seconds: maybe(2, 7),
            paused: maybe(0, 5).map(|chance| chance == 0),
            early_from,
            ..Patch::default()
        };
        waiting_room::Configure { concert: self.concert(), patch, draw: waiting_room::DrawPatch::default() }.into()
    }
}
