//! Loads exactly the rows that the keys name, as their documentation describes. A rule that reads another row panics.

use std::collections::{BTreeSet, HashMap};

use onsale_domain::concert::{
    Dates, ENDING_WITHIN_MILLIS, Hall, HoldsCounted, LAPSED_WITHIN_MILLIS, Status, Taken, lapsed_up_to,
};
use onsale_domain::ids::{ConcertId, LectureId, PerformanceId, ReservationId, UserId};
use onsale_domain::lecture::CANCELLED_TOGETHER_MAX;
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::seat_list::{FRONT_LOADED, OFFERED_TOGETHER_MAX, SeatList, State};
use onsale_domain::ticket::Why;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::GivenUp;

use super::tables::Tables;

/// The rows that keys name.
pub(super) fn load(tables: &Tables, keys: &Keys, now: Timestamp) -> Rows {
    let mut loading = Loading { tables, rows: Rows::default() };
    for user in &keys.accounts {
        loading.rows.accounts.load(user.clone(), tables.accounts.get(user).cloned());
    }
    keys.lectures.iter().for_each(|(lecture, takes)| loading.lecture(*lecture, *takes));
    for key in &keys.applications {
        loading.rows.applications.load(key.clone(), tables.applications.get(key).cloned());
        loading.waiting(key);
    }
    keys.waiting_lists.iter().for_each(|(lecture, wanted)| loading.front(*lecture, *wanted));
    keys.emptied_lectures.iter().for_each(|lecture| loading.lowest(*lecture));
    loading.codes(keys, now);
    keys.rooms.iter().for_each(|concert| loading.room(*concert));
    for concert in &keys.draws {
        loading.rows.draws.load(*concert, tables.draws.get(concert).cloned());
    }
    keys.entrants.iter().for_each(|(concert, user)| loading.entrant(*concert, user));
    keys.places.iter().for_each(|key| loading.place(*key));
    for key in &keys.turns {
        loading.place(*key);
        loading.turn(*key);
    }
    keys.turn_holders.iter().for_each(|key| loading.turn_holder(*key));
    keys.holders.iter().for_each(|(concert, user)| loading.holder(*concert, user));
    keys.holdings.iter().for_each(|(concert, user)| loading.holding(*concert, user));
    keys.reservations.iter().for_each(|id| loading.reservation_with_seats(*id));
    for id in &keys.payments {
        let payment = tables.payments.iter().find(|payment| payment.id == *id);
        loading.rows.known_payments.load(*id, payment.cloned());
    }
    for voided in tables.voided.iter().filter(|voided| keys.reissues.contains(&voided.payment)) {
        if voided.why == Why::Reissued {
            *loading.rows.reissued.entry((voided.payment, voided.seat)).or_insert(0) += 1;
        }
    }
    keys.performances.iter().for_each(|id| loading.performance(*id));
    for id in &keys.cancellations {
        loading.rows.cancellations.load(*id, tables.cancellations.get(id).cloned());
    }
    keys.concerts.iter().for_each(|concert| loading.concert(*concert));
    keys.dates.iter().for_each(|concert| loading.dates(*concert));
    let of_concerts =
        keys.counted_concerts.iter().filter_map(|concert| loading.rows.of_concerts.get(concert)).flatten();
    let counted: Vec<PerformanceId> = of_concerts.chain(&keys.counted_performances).copied().collect();
    counted.iter().for_each(|id| loading.count_holds(*id, now));
    keys.seats.iter().for_each(|key| loading.seat_with_holder(*key));
    for id in &keys.layouts {
        loading.rows.layouts.load(*id, tables.layouts.get(id).cloned());
    }
    keys.halls.iter().for_each(|id| loading.hall(*id, now));
    for key in &keys.seat_waits {
        loading.rows.seat_waits.load(key.clone(), tables.seat_waits.get(key).cloned());
    }
    let listed = loading.rows.performances.values().filter(|(_, own)| own.waitlisted > 0);
    let listed: Vec<PerformanceId> = listed.map(|(id, _)| *id).collect();
    listed.into_iter().for_each(|id| loading.seat_list(id, keys, now));
    loading.rows
}

struct Loading<'a> {
    tables: &'a Tables,
    rows: Rows,
}

impl Loading<'_> {
    fn lecture(&mut self, lecture: LectureId, takes: usize) {
        let row = self.tables.lectures.get(&lecture).cloned();
        if row.is_some() {
            let freed = self.tables.freed_seats.range((lecture, 0)..=(lecture, u32::MAX));
            self.rows.freed_seats.load(lecture, freed.map(|(_, seat)| *seat).take(takes));
        }
        self.rows.lectures.load(lecture, row);
    }

    fn codes(&mut self, keys: &Keys, now: Timestamp) {
        for (key, added) in &keys.codes {
            let row = self.tables.codes.get(key);
            if let Some(code) = row {
                let users: BTreeSet<&UserId> =
                    keys.code_users.iter().filter(|(of, _)| of == key).map(|(_, user)| user).collect();
                self.rows.code_uses.insert(code.id, self.tables.uses_of(code, &users, *added, now));
            }
            self.rows.codes.load(key.clone(), row.cloned());
        }
    }

    fn waiting(&mut self, key: &(LectureId, UserId)) {
        let (lecture, user) = key;
        self.rows.waiting.load(key.clone(), self.tables.waiting.get(key).cloned());
        let ahead = self.tables.waiting_for(*lecture).iter().position(|(other, _)| *other == user);
        if let Some(ahead) = ahead {
            let position = u32::try_from(ahead + 1).expect("a position");
            self.rows.waiting_lists.load_position(*lecture, user.clone(), position);
        }
    }

    fn front(&mut self, lecture: LectureId, wanted: usize) {
        let mut front = self.tables.waiting_for(lecture);
        front.truncate(wanted);
        for (user, waiting) in &front {
            self.rows.waiting.load((lecture, (*user).clone()), Some((*waiting).clone()));
        }
        let is_whole = front.len() < wanted;
        self.rows.waiting_lists.load(
            lecture,
            front.into_iter().map(|(user, own)| (user.clone(), own.number)),
            is_whole,
        );
    }

    fn lowest(&mut self, lecture: LectureId) {
        let of_lecture = self.tables.applications.iter().filter(|((of, _), _)| *of == lecture);
        let mut lowest: Vec<_> = of_lecture.collect();
        lowest.sort_by_key(|(_, application)| application.seat_number);
        lowest.truncate(CANCELLED_TOGETHER_MAX);
        let users = lowest.iter().map(|((_, user), _)| user.clone()).collect();
        self.rows.applicants.insert(lecture, users);
        for (key, application) in lowest {
            self.rows.applications.load(key.clone(), Some(application.clone()));
        }
    }

    fn room(&mut self, concert: ConcertId) {
        let row = self.tables.rooms.get(&concert).cloned();
        if row.is_some() {
            let next = self.tables.given_up(concert).take(GivenUp::LOADED_MAX).collect();
            self.rows.given_up.insert(concert, GivenUp::loaded(next));
        }
        self.rows.rooms.load(concert, row);
    }

    fn entrant(&mut self, concert: ConcertId, user: &UserId) {
        let number = self.tables.current_place(concert, user);
        self.rows.current_places.load((concert, user.clone()), number);
        let Some(number) = number else { return };
        self.place((concert, number));
        self.turn((concert, number));
        if self.tables.turns.contains_key(&(concert, number)) {
            self.holder(concert, user);
        }
    }

    fn place(&mut self, key: (ConcertId, u64)) {
        self.rows.places.load(key, self.tables.places.get(&key).cloned());
    }

    fn turn(&mut self, key: (ConcertId, u64)) {
        self.rows.turns.load(key, self.tables.turns.get(&key).cloned());
        self.rows.ends.load(key, self.tables.ends.get(&key).copied());
    }

    fn turn_holder(&mut self, key: (ConcertId, u64)) {
        self.place(key);
        if let Some(place) = self.tables.places.get(&key) {
            self.holder(key.0, &place.user);
        }
    }

    fn holder(&mut self, concert: ConcertId, user: &UserId) {
        let open: Vec<ReservationId> = self.tables.open_reservations(concert, user).map(|r| r.id).collect();
        open.iter().for_each(|id| self.reservation(*id));
        self.rows.open_reservations.insert((concert, user.clone()), open);
    }

    fn holding(&mut self, concert: ConcertId, user: &UserId) {
        let open = self.tables.open_reservations(concert, user);
        let held: Vec<ReservationId> = open.filter(|r| r.status == Status::Held).map(|r| r.id).collect();
        held.iter().for_each(|id| self.reservation_with_seats(*id));
    }

    fn reservation(&mut self, id: ReservationId) {
        let row = self.tables.reservation(id);
        if row.as_ref().map(|row| row.extended) != self.tables.reservations.get(&id).map(|row| row.extended) {
            self.rows.lacking.insert(id);
        }
        self.rows.reservations.load(id, row);
    }

    fn reservation_with_seats(&mut self, id: ReservationId) {
        self.reservation(id);
        if let Some(reservation) = self.tables.reservations.get(&id) {
            self.performance(reservation.performance);
            reservation.seats.iter().for_each(|seat| self.seat((reservation.performance, *seat)));
        }
    }

    fn performance(&mut self, id: PerformanceId) {
        self.rows.performances.load(id, self.tables.performances.get(&id).cloned());
    }

    fn concert(&mut self, concert: ConcertId) {
        self.rows.concerts.load(concert, self.tables.concerts.get(&concert).cloned());
        let performances = self.tables.performances.values().filter(|performance| performance.concert == concert);
        let ids: Vec<PerformanceId> = performances.map(|performance| performance.id).collect();
        ids.iter().for_each(|id| self.performance(*id));
        self.rows.of_concerts.insert(concert, ids);
    }

    fn dates(&mut self, concert: ConcertId) {
        let of_concert = self.tables.performances.values().filter(|performance| performance.concert == concert);
        self.rows.dates.insert(
            concert,
            of_concert.fold(Dates::default(), |dates, performance| Dates {
                performances: dates.performances + 1,
                revisions: dates.revisions + performance.revision,
            }),
        );
    }

    /// Counted by hand, and by a bound for each row: both are the same.
    fn count_holds(&mut self, id: PerformanceId, now: Timestamp) {
        let Some(performance) = self.tables.performances.get(&id) else { return };
        // A moment before the decision, as in every store.
        let at = now.plus_millis(-7);
        let rows = || self.tables.reservations.values().filter(|r| r.performance == id && r.status == Status::Held);
        let held = || rows().filter_map(|row| self.tables.reservation(row.id));
        let lapsed = held().filter(|row| row.held_until <= at).count();
        let bounds = lapsed_up_to(&self.tables.extensions_after(id, 0), at);
        let by_bounds = rows().filter(|row| row.held_until <= bounds[usize::try_from(row.extended).expect("a number")]);
        assert_eq!(by_bounds.count(), lapsed, "a bound differs from the ends of the holds");
        let ending = held().filter(|row| at < row.held_until && row.held_until <= at.plus_millis(ENDING_WITHIN_MILLIS));
        let counted = HoldsCounted {
            at,
            held: performance.holds.is_none().then(|| rows().count() as u64),
            lapsed: lapsed as u64,
            ending: ending.map(|row| (row.id, row.held_until)).collect(),
        };
        self.rows.counted.insert(id, counted);
    }

    fn seat(&mut self, key: (PerformanceId, u32)) {
        let row = self.tables.seat(key);
        if let Some(seat) =
            row.as_ref().filter(|seat| Some(seat.extended) != self.tables.seats.get(&key).map(|s| s.extended))
        {
            self.rows.lacking.insert(seat.reservation);
        }
        if let Some(reason) = self.tables.blocks.get(&key) {
            self.rows.blocks.load(key, Some(reason.clone()));
        }
        self.rows.seats.load(key, row);
    }

    /// The open seats of a performance, and the lapsed holds on them.
    fn hall(&mut self, id: PerformanceId, now: Timestamp) {
        let Some(performance) = self.tables.performances.get(&id) else { return };
        let lapsed = self.tables.reservations.values().filter(|r| r.performance == id && r.status == Status::Held);
        let lapsed: Vec<ReservationId> =
            lapsed.filter(|row| row.held_until <= now.plus_millis(LAPSED_WITHIN_MILLIS)).map(|row| row.id).collect();
        lapsed.into_iter().for_each(|id| self.reservation_with_seats(id));
        let owned = self.tables.seats.keys().filter(|key| key.0 == id).filter_map(|key| {
            let seat = self.tables.seat(*key)?;
            Some((key.1, if seat.sold { Taken::Closed } else { Taken::Held(seat.held_until) }))
        });
        let blocked = self.tables.blocks.keys().filter(|key| key.0 == id).map(|key| (key.1, Taken::Closed));
        let whole = performance.seating.sections().iter().map(|range| range.from..=range.to);
        let hall = Hall::read(whole, owned.chain(blocked));
        assert!(hall.is_whole(performance), "the counters of a performance differ from its seats");
        self.rows.halls.insert(id, hall);
    }

    /// The front of the waiting list of a performance, with its hall and its layout.
    fn seat_list(&mut self, id: PerformanceId, keys: &Keys, now: Timestamp) {
        if !self.rows.halls.contains_key(&id) {
            self.hall(id, now);
        }
        self.rows.layouts.load(id, self.tables.layouts.get(&id).cloned());
        let many = if keys.seat_lists.contains(&id) { OFFERED_TOGETHER_MAX } else { FRONT_LOADED };
        let mut list = SeatList::default();
        let mut waiting: Vec<_> = self.tables.seat_waits.values().filter(|own| own.performance == id).collect();
        waiting.retain(|own| own.state == State::Waiting);
        waiting.sort_by_key(|own| own.number);
        let mut wishes: HashMap<_, usize> = HashMap::new();
        for entry in waiting {
            let counted = wishes.entry(entry.wish.clone()).or_default();
            *counted += 1;
            if *counted <= many {
                for own in self.tables.open_reservations(entry.concert, &entry.user).filter(|own| own.performance == id)
                {
                    list.load_owned(entry.user.clone(), own.id, own.seats.len() - own.refunded.len());
                }
                list.load_entry(entry);
                self.rows.seat_waits.load((id, entry.user.clone()), Some(entry.clone()));
            }
        }
        wishes.into_iter().for_each(|(wish, many)| list.load_wish(wish, many as u64));
        self.rows.seat_lists.insert(id, list);
    }

    fn seat_with_holder(&mut self, key: (PerformanceId, u32)) {
        self.seat(key);
        let Some(seat) = self.tables.seats.get(&key).filter(|seat| !seat.sold) else { return };
        self.reservation(seat.reservation);
        let seats = self.tables.reservations.get(&seat.reservation).map(|holder| holder.seats.clone());
        seats.iter().flat_map(|seats| seats.iter()).for_each(|seat| self.seat((key.0, *seat)));
    }
}
