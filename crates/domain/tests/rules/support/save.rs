//! Saves what was decided, and refuses what a database's constraints would refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use onsale_domain::cancellation::{Cancellation, Progress};
use onsale_domain::concert::{HoldEnd, Performance, Reservation, Status};
use onsale_domain::ids::{ConcertId, LectureId, PerformanceId, UserId};
use onsale_domain::lecture::Lecture;
use onsale_domain::presale::CodeKey;
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::table::Table;
use onsale_domain::waiting_room::PlaceStanding;

use super::tables::Tables;

/// The parents that a unit of work has locked. A row may change only under its parent's lock.
pub(super) struct Locks {
    accounts: BTreeSet<UserId>,
    codes: BTreeSet<CodeKey>,
    lectures: BTreeSet<LectureId>,
    rooms: BTreeSet<ConcertId>,
    performances: BTreeSet<PerformanceId>,
}

impl Locks {
    /// What a store locks for these keys: the parents named, and those of the reservations named.
    pub(super) fn of(keys: &Keys, tables: &Tables) -> Self {
        let named = keys.reservations.iter().filter_map(|id| tables.reservations.get(id));
        let held = keys.holdings.iter().flat_map(|(concert, user)| tables.open_reservations(*concert, user));
        let held = held.filter(|reservation| reservation.status == Status::Held);
        let performances = named.chain(held).map(|reservation| reservation.performance);
        let of_concerts =
            tables.performances.values().filter(|performance| keys.concerts.contains(&performance.concert));
        let of_concerts = of_concerts.map(|performance| performance.id);
        Self {
            accounts: keys.accounts.clone(),
            codes: keys.codes.keys().cloned().collect(),
            lectures: keys.lectures.keys().copied().collect(),
            rooms: keys.rooms.clone(),
            performances: keys.performances.iter().copied().chain(performances).chain(of_concerts).collect(),
        }
    }
}

/// Whether a refused command has left everything as it was.
pub(super) fn is_unchanged(rows: &Rows) -> bool {
    let changed = rows.accounts.changed().count()
        + rows.lectures.changed().count()
        + rows.applications.changed().count()
        + rows.waiting.changed().count()
        + rows.freed_seats.changed().count()
        + rows.rooms.changed().count()
        + rows.draws.changed().count()
        + rows.concerts.changed().count()
        + rows.places.changed().count()
        + rows.turns.changed().count()
        + rows.ends.changed().count()
        + rows.performances.changed().count()
        + rows.cancellations.changed().count()
        + rows.seats.changed().count()
        + rows.blocks.changed().count()
        + rows.layouts.changed().count()
        + rows.reservations.changed().count()
        + rows.codes.changed().count();
    let added = rows.ledger.len()
        + rows.lecture_history.len()
        + rows.extensions.len()
        + rows.rewritten.len()
        + rows.admin_log.len()
        + rows.disputes.len()
        + rows.orders.len()
        + rows.payments.len()
        + rows.refunds.len()
        + rows.voided.len()
        + rows.check_ins.changed().count()
        + rows.failed_refunds.len()
        + rows.added_uses.len()
        + rows.ended_uses.len()
        + rows.events.len();
    changed + added == 0
}

/// Writes the changed rows and those added.
pub(super) fn save(tables: &mut Tables, rows: Rows, locks: &Locks) {
    save_lectures(tables, &rows, locks);
    save_waiting_rooms(tables, &rows, locks);
    save_concerts(tables, &rows, locks);
    save_codes(tables, &rows, locks);
    write(&mut tables.accounts, &rows.accounts, |user, before, after| {
        assert!(locks.accounts.contains(user), "a wallet changed without its lock");
        assert!(after.is_some_and(|after| after.version > before.map_or(0, |before| before.version)));
    });
    tables.ledger.extend(rows.ledger);
    tables.lecture_history.extend(rows.lecture_history);
    tables.extensions.extend(rows.extensions);
    tables.payments.extend(rows.payments);
    tables.refunds.extend(rows.refunds);
    tables.voided.extend(rows.voided);
    tables.failed_refunds.extend(rows.failed_refunds);
    tables.events.extend(rows.events);
    tables.disputes.extend(rows.disputes);
}

fn save_codes(tables: &mut Tables, rows: &Rows, locks: &Locks) {
    write(&mut tables.codes, &rows.codes, |key, before, _| {
        let is_locked = if before.is_some() { locks.codes.contains(key) } else { locks.rooms.contains(&key.0) };
        assert!(is_locked, "a presale code changed without a lock");
    });
    for (code, reservation) in &rows.added_uses {
        assert!(tables.reservations.contains_key(reservation), "a use has its reservation");
        assert_eq!(tables.code_uses.insert(*reservation, *code), None, "a reservation uses one code");
    }
    for reservation in &rows.ended_uses {
        assert!(tables.code_uses.remove(reservation).is_some(), "a use that has ended is stored");
    }
}

fn save_lectures(tables: &mut Tables, rows: &Rows, locks: &Locks) {
    write(&mut tables.lectures, &rows.lectures, |id, before, after| {
        assert!(before.is_none() || locks.lectures.contains(id), "a lecture changed without its lock");
        let after = after.expect("a lecture is never deleted");
        let Some(before) = before else { return };
        assert!(after.version > before.version, "a lecture changed without a new version");
        let counted = Lecture {
            enrolled: after.enrolled,
            waitlisted: after.waitlisted,
            seats_given: after.seats_given,
            version: after.version,
            updated_at: after.updated_at,
            ..before.clone()
        };
        assert!(counted == *after || rows.changed_lectures.contains(id), "a lecture changed and would not be saved");
    });
    write(&mut tables.applications, &rows.applications, |(lecture, _), _, _| {
        assert!(locks.lectures.contains(lecture), "an application changed without its lecture's lock");
    });
    for (lecture, block, change) in rows.waiting_lists.changed_blocks() {
        let entries = tables.waiting_blocks.entry((lecture, block)).or_default();
        *entries += change;
        assert!((0..=1_024).contains(entries), "block {block} of a waiting list has {entries} entries");
        // A store may keep the row.
        if *entries == 0 {
            tables.waiting_blocks.remove(&(lecture, block));
        }
    }
    write(&mut tables.waiting, &rows.waiting, |(lecture, _), _, _| {
        assert!(locks.lectures.contains(lecture), "a waiting list changed without its lecture's lock");
    });
    for (lecture, seat, is_free) in rows.freed_seats.changed() {
        let key = (lecture, seat);
        let differs = if is_free { tables.freed_seats.insert(key) } else { tables.freed_seats.remove(&key) };
        assert!(differs, "seat {seat} of a lecture is saved as what it was: free {is_free}");
    }
}

fn save_waiting_rooms(tables: &mut Tables, rows: &Rows, locks: &Locks) {
    write(&mut tables.rooms, &rows.rooms, |id, before, after| {
        let after = after.expect("a room is never deleted");
        let Some(before) = before else { return };
        assert!(locks.rooms.contains(id), "a room changed without its lock");
        assert!(after.version > before.version, "a room changed without a new version");
        assert!(after.issued >= before.issued && after.served >= before.served, "a line went backwards");
    });
    write(&mut tables.draws, &rows.draws, |id, before, after| {
        assert!(before.is_none() || locks.rooms.contains(id), "a draw changed without its room's lock");
        assert!(after.is_some(), "a draw is never deleted");
    });
    for (concert, order) in &rows.orders {
        assert!(locks.rooms.contains(concert), "an order was added without its room's lock");
        assert!(tables.orders.insert(*concert, order.clone()).is_none(), "an order was drawn twice");
    }
    let turns = &tables.turns;
    write(&mut tables.places, &rows.places, |key, before, after| {
        let (concert, number) = key;
        let after = after.expect("a place is never deleted");
        let is_unnamed = turns.get(key).is_some_and(|turn| !turn.named);
        let is_bound = before.is_none() && is_unnamed && locks.accounts.contains(&after.user);
        assert!(is_bound || locks.rooms.contains(concert), "a place changed without its room's lock");
        let Some(before) = before else { return };
        assert!(is_unnamed || before.standing == PlaceStanding::Current, "place {number} counted no more");
        let same = (&before.user, before.token, before.issued_at) == (&after.user, after.token, after.issued_at);
        assert!(same, "place {number} was handed out twice");
    });
    write(&mut tables.turns, &rows.turns, |(concert, number), before, after| {
        assert!(locks.rooms.contains(concert), "a turn changed without its room's lock");
        let (Some(before), Some(after)) = (before, after) else { return };
        let kept = before.admitted_at == after.admitted_at && before.active_until == after.active_until;
        assert!(kept, "what was promised to place {number} was taken back");
        assert!(after.claimed || !before.claimed, "a turn cannot be used less");
        assert!(after.seen_at >= before.seen_at, "a sign of life was forgotten");
    });
    let places = &tables.places;
    write(&mut tables.ends, &rows.ends, |key, _, after| {
        let user = &places.get(key).expect("an end has a place").user;
        let locked = if after.is_some() { locks.accounts.contains(user) } else { locks.rooms.contains(&key.0) };
        assert!(locked, "the end of a turn changed without a lock");
    });
}

fn save_concerts(tables: &mut Tables, rows: &Rows, locks: &Locks) {
    write(&mut tables.concerts, &rows.concerts, |id, before, after| {
        assert!(before.is_none() || locks.rooms.contains(id), "a concert changed without its room's lock");
        assert!(after.is_some(), "a concert is never deleted");
    });
    for (performance, number) in &rows.rewritten {
        let lacks = |row: &Reservation| row.performance == *performance && row.extended < *number;
        let late = tables.reservations.values().filter(|row| row.status == Status::Held && lacks(row));
        let late = late.filter(|row| !rows.reservations.changed().any(|(id, _)| *id == row.id));
        assert_eq!(late.count(), 0, "a row lacks an extension that counts as written everywhere");
    }
    write(&mut tables.performances, &rows.performances, |id, before, after| {
        assert!(before.is_none() || locks.performances.contains(id), "a performance changed without its lock");
        assert!(after.is_some(), "a performance is never deleted");
        let keeps_policy = before.zip(after).is_none_or(|(before, after)| before.refund_policy == after.refund_policy);
        assert!(keeps_policy || rows.new_policies.contains(id), "a policy changed and would not be saved");
        let offer = |row: &Performance| (row.starts_at, row.seating.clone(), row.blocked, row.revision);
        let keeps_offer = before.zip(after).is_none_or(|(before, after)| offer(before) == offer(after));
        assert!(keeps_offer || rows.revised.contains(id), "a start, seats or prices changed and would not be saved");
    });
    write(&mut tables.blocks, &rows.blocks, |(performance, _), _, _| {
        assert!(locks.performances.contains(performance), "a seat was blocked without its performance's lock");
    });
    write(&mut tables.seat_waits, &rows.seat_waits, |(performance, _), _, after| {
        assert!(locks.performances.contains(performance), "an entry changed without its performance's lock");
        assert!(after.is_some(), "an entry is never deleted");
    });
    write(&mut tables.layouts, &rows.layouts, |performance, before, after| {
        assert!(before.is_none() || locks.performances.contains(performance), "a layout changed without a lock");
        assert!(after.is_some(), "a layout is never deleted");
    });
    write(&mut tables.cancellations, &rows.cancellations, |performance, before, after| {
        assert!(locks.performances.contains(performance), "a cancellation changed without its performance's lock");
        let after = after.expect("a cancellation is never deleted");
        let Some(before) = before else { return };
        let progress = after.progress.clone();
        assert_eq!(&Cancellation { progress, ..before.clone() }, after, "only the progress of a cancellation changes");
        let order = |one: &Progress| (one.is_done, one.is_through, one.settled_to, one.failed);
        assert!(order(&before.progress) <= order(&after.progress), "a cancellation is never undone");
    });
    save_seats(tables, rows, locks);
}

fn save_seats(tables: &mut Tables, rows: &Rows, locks: &Locks) {
    write(&mut tables.seats, &rows.seats, |(performance, number), before, after| {
        assert!(locks.performances.contains(performance), "a seat changed without its performance's lock");
        let Some(sold) = before.filter(|before| before.sold) else { return };
        let mut refunds = rows.refunds.iter().filter(|refund| refund.reservation == sold.reservation);
        let is_refunded = refunds.any(|refund| refund.seats.contains(number));
        let is_freed = after.is_none_or(|after| after.reservation != sold.reservation);
        assert!(is_refunded == is_freed, "seat {number} is free again exactly if it is refunded");
        assert!(is_freed || before == after, "seat {number} was sold and changed");
    });
    write(&mut tables.reservations, &rows.reservations, |_, before, after| {
        let after = after.expect("a reservation is never deleted");
        assert!(locks.performances.contains(&after.performance), "a reservation changed without its lock");
        let Some(before) = before else { return };
        if before.status == Status::Paid {
            let ours = rows.refunds.iter().filter(|refund| refund.reservation == before.id);
            let refunded: Vec<u32> =
                before.refunded.iter().chain(ours.flat_map(|refund| refund.seats.iter())).copied().collect();
            let is_whole = refunded.len() == before.seats.len();
            let status = if is_whole { Status::Refunded } else { Status::Paid };
            assert_eq!(
                &Reservation { status, refunded, ..before.clone() },
                after,
                "a refund names its seats, and nothing else"
            );
            return;
        }
        assert_eq!(before.status, Status::Held, "a reservation that has ended never changes");
        let HoldEnd { until: held_until, extended } = after.end();
        assert!(held_until >= before.held_until && extended >= before.extended, "a hold became shorter");
        let ended = Reservation {
            status: after.status,
            refunded: after.refunded.clone(),
            end_event: after.end_event,
            held_until,
            extended,
            ..before.clone()
        };
        assert_eq!(&ended, after, "only the end of a reservation may change");
    });
}

/// Brings the changed rows into a table; `check` sees each before and after.
fn write<K, V>(table: &mut BTreeMap<K, V>, rows: &Table<K, V>, check: impl Fn(&K, Option<&V>, Option<&V>))
where
    K: Ord + Eq + std::hash::Hash + Clone + Debug,
    V: Clone,
{
    let stored: BTreeSet<&K> = rows.changed().map(|(key, _)| key).filter(|key| table.contains_key(key)).collect();
    assert_eq!(rows.outdated().collect::<BTreeSet<_>>(), stored, "a changed row is outdated where the store has it");
    let new = |key: &&K| !stored.contains(key);
    let added: BTreeSet<&K> =
        rows.changed().filter(|(_, after)| after.is_some()).map(|(key, _)| key).filter(new).collect();
    assert_eq!(rows.added().map(|(key, _)| key).collect::<BTreeSet<_>>(), added, "a changed row was never added");

    for (key, after) in rows.changed() {
        check(key, table.get(key), after);
        match after {
            Some(row) => table.insert(key.clone(), row.clone()),
            None => table.remove(key),
        };
    }
}
