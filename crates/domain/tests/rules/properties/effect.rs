//! What a command must have brought about, seen on all rows before and after it.

use crate::support::mixed::{AnyCommand, Done};
use onsale_domain::concert;
use onsale_domain::concert::Status;
use onsale_domain::concert::{Extend, Extended, Held};
use onsale_domain::ids::ConcertId;
use onsale_domain::leaving::Leave;
use onsale_domain::lecture::Lecture;
use onsale_domain::refund::Refund;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Entered;
use onsale_domain::waiting_room::{PlaceStanding, Step, Token, Turn};

use crate::support::{Standing, Tables, World};

/// The rows before a command, and the world after it.
pub(super) struct Effect<'a> {
    pub(super) before: &'a Tables,
    pub(super) after: &'a World,
}

impl Effect<'_> {
    /// Panics if a command did not do what it must.
    pub(super) fn check(&self, command: &AnyCommand, done: &Done) {
        self.check_no_free_place_is_left(command);
        match (command, done) {
            (_, Done::Hold(Held { reservation, .. }) | Done::HoldAny(Held { reservation, .. })) => {
                let lasts = reservation.held_at.plus_seconds(self.after.hold_seconds);
                assert_eq!((reservation.held_at, reservation.held_until), (self.at(), lasts));
            }
            (AnyCommand::Extend(extend), Done::Extend(Extended { at, seconds, holds })) => {
                assert_eq!((*at, *seconds), (self.at(), extend.seconds));
                self.check_extended(extend, *holds);
            }
            (AnyCommand::ChangeLecture(change), Done::ChangeLecture(lecture)) => {
                let mut places = self.before.applications.iter().filter(|((id, _), _)| *id == change.lecture);
                let stays = |(key, place): (_, _)| self.after.tables.applications.get(key) == Some(place);
                assert!(places.all(stays), "a change takes no place and no seat number away");
                let before = &self.before.lectures[&change.lecture];
                assert!(lecture.highest_capacity >= before.highest_capacity.max(lecture.capacity));
            }
            (AnyCommand::CancelApplications(step), Done::CancelApplications(done)) => {
                let before = &self.before.lectures[&step.lecture];
                let is_cancelled = before.cancellation.is_some();
                let all = before.enrolled + before.waitlisted;
                let expected = if is_cancelled { (all, 0) } else { (0, all) };
                assert_eq!((done.cancelled, done.left), expected, "one step is enough for a few");
            }
            (AnyCommand::Rewrite(_), _) => {
                assert_eq!(self.before.reservations, self.after.tables.rewritten().reservations, "no hold changes");
            }
            (_, Done::Pay(payment)) => assert_eq!(payment.paid_at, self.at()),
            (_, Done::RefundSeats(refund) | Done::RefundByStaff(refund)) => self.check_refunded(refund),
            (_, Done::Enter(Entered { token, is_new })) => self.check_entered(token, *is_new),
            (AnyCommand::Leave(Leave(token)), _) => self.check_left(token),
            (AnyCommand::Step(step), _) => self.check_stepped(step),
            (AnyCommand::Expire(concert::Expire { reservations }), Done::Expire(settled)) => {
                let status = |tables: &Tables, id| tables.reservations.get(id).map(|row| row.status);
                let mut asked = reservations.clone();
                asked.sort_unstable();
                asked.dedup();
                let changed = asked.iter().filter(|id| status(self.before, id) != status(&self.after.tables, id));
                assert_eq!(changed.count(), *settled);
                let lapsed = asked.iter().filter_map(|id| self.after.tables.reservation(*id));
                let mut lapsed = lapsed.filter(|row| row.status == Status::Held);
                assert!(lapsed.all(|row| self.at() < row.held_until), "what ran out and was named is settled");
            }
            _ => {}
        }
    }

    /// Each change gives a place that it frees to the first user who waits. Only an opening by the clock leaves some to a step.
    fn check_no_free_place_is_left(&self, command: &AnyCommand) {
        let promotes = |tables: &Tables, id| {
            let lecture = tables.lectures.get(&id);
            lecture.is_some_and(|lecture: &Lecture| lecture.promotes(self.at().not_before(lecture.updated_at)))
        };
        for id in self.after.tables.lectures.keys().copied() {
            let may_be_left = promotes(self.before, id) && !matches!(command, AnyCommand::PromoteWaiting(_));
            assert!(may_be_left || !promotes(&self.after.tables, id), "a free place although users wait: {command:?}");
        }
    }

    fn at(&self) -> Timestamp {
        self.after.now
    }

    /// Each live hold of the performances, and no other, ends that much later.
    fn check_extended(&self, extend: &Extend, holds: u64) {
        let mut live = 0;
        for (id, before) in &self.before.reservations {
            let after = self.after.tables.reservation(*id).expect("a reservation is never deleted");
            let is_named =
                before.concert == extend.concert && extend.performance.is_none_or(|p| p == before.performance);
            let is_on = self.before.performances[&before.performance].cancelled_at.is_none();
            let is_extended = is_on && is_named && before.status == Status::Held && self.at() < before.held_until;
            live += u64::from(is_extended);
            let longer = if is_extended { extend.seconds } else { 0 };
            assert_eq!(after.held_until, before.held_until.plus_seconds(longer), "{extend:?}: {before:?}");
        }
        assert_eq!(holds, live);
    }

    /// The points are in the wallet, the seats are free, and no token or turn has changed.
    fn check_refunded(&self, refund: &Refund) {
        assert_eq!(refund.refunded_at, self.at());
        let (before, after) = (self.before, &self.after.tables);
        assert_eq!(after.accounts[&refund.user].balance, before.accounts[&refund.user].balance + refund.amount);
        assert!(refund.seats.iter().all(|seat| !after.seats.contains_key(&(refund.performance, *seat))));
        let sold = |tables: &Tables| tables.performances[&refund.performance].sold as usize;
        assert_eq!(sold(after), sold(before) - refund.seats.len());
        assert_eq!((&after.rooms, &after.turns, &after.ends), (&before.rooms, &before.turns, &before.ends));
    }

    /// The same place as long as it waits or its turn runs; else one at the end.
    fn check_entered(&self, token: &Token, is_new: bool) {
        let current = self.before.current_place(token.concert, &token.user);
        let place = current.and_then(|number| Some((number, self.before.places.get(&(token.concert, number))?)));
        let same = place.map(|(number, place)| {
            let Token { concert, user, .. } = token.clone();
            Token { id: place.token, concert, user, place: number, issued_at: place.issued_at }
        });
        let same = same.filter(|token| self.before.standing(token, self.at()) != Standing::Expired);
        assert_eq!(same.is_none(), is_new, "one place per user, and a new one after the end");
        match same {
            Some(same) => assert_eq!(token, &same),
            None => {
                assert_eq!((token.place, token.issued_at), (self.before.rooms[&token.concert].issued + 1, self.at()));
                self.check_no_user_waits_without_reason(token.concert);
            }
        }
    }

    /// The place counts no more, and its user holds nothing that was the place's to give up.
    fn check_left(&self, token: &Token) {
        let key = (token.concert, token.place);
        let counted = self.before.places[&key].standing == PlaceStanding::Current;
        assert_eq!(self.after.tables.standing(token, self.at()), Standing::Expired);
        let mut holds = self.after.tables.open_reservations(token.concert, &token.user);
        assert!(!counted || holds.all(|hold| !hold.is_live(self.at())), "who left holds nothing");
        let mut others = self.before.reservations.iter().filter(|(_, row)| row.user != token.user);
        assert!(
            others.all(|(id, row)| self.after.tables.reservation(*id).as_ref() == Some(row)),
            "another's hold is left alone"
        );
    }

    /// Turns that are over and were named are gone, all others are there, and as many as may be were called.
    fn check_stepped(&self, step: &Step) {
        for (number, turn) in Tables::in_room(&self.before.turns, step.concert) {
            let is_over = step.due.contains(&number) && self.is_over(step, number, turn);
            let stays = self.after.tables.turns.contains_key(&(step.concert, number));
            assert_eq!(stays, !is_over, "the turn of place {number}: {turn:?} in {step:?}");
        }
        if self.before.rooms.contains_key(&step.concert) {
            self.check_no_user_waits_without_reason(step.concert);
        }
    }

    /// By end, by time, by silence, or because its user has entered again.
    fn is_over(&self, step: &Step, number: u64, turn: &Turn) -> bool {
        let key = (step.concert, number);
        let place = &self.before.places[&key];
        let user = &place.user;
        let open: Vec<_> = self.before.open_reservations(step.concert, user).collect();
        let is_kept = open.iter().any(|row| row.is_live(self.at()));
        let is_used = turn.claimed || step.claimed.contains(&number) || open.iter().any(|row| row.place == number);
        let heard = step.seen.iter().filter(|(place, _)| *place == number).map(|(_, at)| *at);
        let last = heard.chain([turn.seen_at]).max().expect("a turn was seen when it began");
        let claim_seconds = self.before.rooms[&step.concert].settings.claim_seconds;
        let silence_millis_max = i64::from(claim_seconds) * 1_000 + 500;
        let is_silent = last.millis_until(self.at()) >= silence_millis_max;
        let by_time = self.at() >= turn.active_until && !is_kept;
        let is_replaced = place.standing != PlaceStanding::Current;
        self.before.ends.contains_key(&key) || is_replaced || by_time || (is_silent && !is_used)
    }

    /// If users wait, the cap or the rate is reached, or the room is paused or its sale is not open.
    fn check_no_user_waits_without_reason(&self, concert: ConcertId) {
        let room = &self.after.tables.rooms[&concert];
        // Grains of 10 ms are counted as late as their last admission.
        let recent = self.after.admissions.iter().filter(|admission| admission.concert == concert);
        let recent = recent.filter(|admission| admission.at.millis_until(self.at()) < 1_010).count();
        let is_full = room.active >= room.settings.max_active;
        let is_late = recent >= room.settings.admit_per_second as usize;
        assert!(
            room.waiting() == 0 || is_full || is_late || !room.admits(self.at()),
            "a user waits although the room can admit: {room:?}"
        );
    }
}
