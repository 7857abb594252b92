//! Tickets and check-ins: what one unit decides the next finds, and readers show all of it.

use std::collections::BTreeMap;

use onsale_app::store::{ConflictKind, Page, Reader, TicketStatus, TicketsOf};
use onsale_domain::concert::Performance;
use onsale_domain::ids::TicketId;
use onsale_domain::payment::Payment;
use onsale_domain::rows::Keys;
use onsale_domain::staff::Actor;
use onsale_domain::ticket::{Answer, CheckIn, Reissue, Scan, Scans, Shown, Standing, Undo, Why, id_of};
use onsale_domain::time::Timestamp;
use onsale_domain::{Command, Context, Refusal};

use crate::bed::{Bed, on_each_database};
use crate::lane::Lane;
use crate::mixed::Done;
use crate::stage::{Stage, held, hold, pay, refund};

/// Decides a command in a unit of work of its own.
async fn decide<C: Command>(lane: &mut Lane, command: &C) -> Result<C::Output, Refusal> {
    let mut keys = Keys::default();
    command.needs(&mut keys);
    let wanted = onsale_app::store::Wanted { keys, ..Default::default() };
    let mut unit = lane.writer.load(&wanted).await.expect("rows");
    let mut cx = Context { at: unit.at, ids: &mut lane.ids, hold_seconds: 300 };
    let decided = command.decide(&mut unit.rows, &mut cx);
    lane.writer.save(&unit).await.expect("a unit of work");
    decided
}

fn scan(performance: &Performance, ticket: TicketId, id: &str, seconds_ago: i64, now: Timestamp) -> Scan {
    Scan {
        actor: Actor::Root,
        performance: performance.id,
        shown: Shown::Code { ticket, performance: performance.id },
        device: "문 1".into(),
        id: id.into(),
        scanned_at: now.plus_millis(-seconds_ago * 1_000),
        device_now: now,
    }
}

fn reissue(paid: &Payment, ticket: TicketId) -> Reissue {
    let Payment { id, reservation, performance, ref user, .. } = *paid;
    Reissue { payment: id, reservation, performance, user: user.clone(), ticket }
}

async fn shown(reader: &dyn Reader, paid: &Payment) -> (TicketsOf, Vec<TicketStatus>) {
    let tickets = reader.tickets_of(&[paid.id]).await.expect("tickets").remove(0);
    let statuses = tickets.list(paid).iter().map(|ticket| ticket.status).collect();
    (tickets, statuses)
}

async fn scans(reader: &dyn Reader, performance: &Performance) -> Vec<CheckIn> {
    reader.check_ins(performance.id, Page { after: None, limit: 100 }).await.expect("scans")
}

async fn a_ticket_is_reissued_scanned_undone_and_made_void(bed: Bed) {
    let store = bed.store().await;
    let Stage { mut lane, now, performance, paid, .. } = Stage::new(&*store).await;
    let reader = store.reader();
    let (first, second) = (id_of(paid.id, 1, 0), id_of(paid.id, 1, 1));
    assert_eq!(shown(&*reader, &paid).await, (TicketsOf::default(), vec![TicketStatus::Valid]));
    assert_eq!(decide(&mut lane, &reissue(&paid, first)).await.expect("a ticket").ticket, second);
    assert_eq!(decide(&mut lane, &reissue(&paid, first)).await, Err(Refusal::TicketVoid));
    let (tickets, statuses) = shown(&*reader, &paid).await;
    assert_eq!(statuses, [TicketStatus::Valid, TicketStatus::Void]);
    assert_eq!((tickets.voided[0].ticket, tickets.voided[0].why), (first, Why::Reissued));

    // In one unit of work, and in several: the same ticket, also by its id, and the one before.
    let typed = Scan { shown: Shown::Id(first), ..scan(&performance, first, "typed", 5, now) };
    let unknown = Scan { shown: Shown::Id(id_of(paid.id, 1, 7)), ..scan(&performance, first, "unknown", 5, now) };
    let broken = Scan { shown: Shown::Unreadable, ..scan(&performance, first, "broken", 5, now) };
    let batch = vec![scan(&performance, second, "late", 10, now), typed, unknown, broken];
    let answers = decide(&mut lane, &Scans(batch)).await.expect("answers");
    let answers: Vec<CheckIn> = answers.into_iter().map(|answer| answer.expect("an answer")).collect();
    let kinds: Vec<&Answer> = answers.iter().map(|scan| &scan.answer).collect();
    assert_eq!(kinds, [&Answer::Admitted, &Answer::Void, &Answer::Invalid, &Answer::Invalid]);
    let mut stored = scans(&*reader, &performance).await;
    stored.reverse();
    assert_eq!(stored, answers, "each scan as it was answered");
    let again = decide(&mut lane, &scan(&performance, second, "again", 5, now)).await.expect("an answer");
    let (at, device) = (answers[0].at, answers[0].device.clone());
    assert_eq!(again.answer, Answer::AlreadyCheckedIn { at, device });
    assert_eq!(decide(&mut lane, &scan(&performance, first, "late", 0, now)).await.as_ref(), Ok(&answers[0]));
    let early = decide(&mut lane, &scan(&performance, second, "early", 20, now)).await.expect("an answer");
    assert_eq!(early.answer, Answer::Admitted);
    let late = reader.check_in(answers[0].id).await.expect("a scan").expect("a scan");
    assert_eq!((late.standing, &late.answer), (Standing::Superseded, &Answer::Admitted));
    assert_eq!(shown(&*reader, &paid).await.1, [TicketStatus::CheckedIn, TicketStatus::Void]);
    let conflicts = reader.conflicts(performance.id, Page { after: None, limit: 100 }).await.expect("conflicts");
    let mut kinds: Vec<_> =
        conflicts.iter().map(|conflict| (conflict.ticket, conflict.kind, conflict.scans.len())).collect();
    kinds.sort_by_key(|(ticket, ..)| *ticket != first);
    assert_eq!(kinds, [(first, ConflictKind::SameSeat, 2), (second, ConflictKind::Twice, 3)]);

    let manifest = reader.manifest(performance.id, None).await.expect("a manifest").expect("a performance");
    assert_eq!((&manifest.void[..], manifest.checked_in.len()), (&[first][..], 1));
    let undone = decide(&mut lane, &Undo { check_in: early.id, performance: performance.id }).await.expect("undone");
    assert!(undone.is_new);
    let since =
        reader.manifest(performance.id, Some(manifest.version)).await.expect("a manifest").expect("a performance");
    assert_eq!((since.version, since.undone.len(), since.checked_in.len()), (manifest.version + 1, 1, 0));
    lane.done(refund_by_staff(&paid)).await;
    let (tickets, statuses) = shown(&*reader, &paid).await;
    assert_eq!(statuses, [TicketStatus::Void, TicketStatus::Void]);
    assert!(tickets.voided.iter().any(|voided| voided.ticket == second && voided.why == Why::Refunded));
    let after = decide(&mut lane, &scan(&performance, second, "after", 0, now)).await.expect("an answer");
    assert_eq!(after.answer, Answer::Void);
    assert_eq!(decide(&mut lane, &reissue(&paid, second)).await, Err(Refusal::TicketVoid));
}

/// The buyer of seat 1 enters and gets the seat refunded. It is sold again, and the next buyer enters too.
async fn tickets_of_one_seat_that_were_both_checked_in_are_a_conflict(bed: Bed) {
    let store = bed.store().await;
    let Stage { mut lane, now, performance, token, paid, .. } = Stage::new(&*store).await;
    let reader = store.reader();
    let conflicts =
        async || reader.conflicts(performance.id, Page { after: None, limit: 100 }).await.expect("conflicts");
    let old = id_of(paid.id, 1, 0);
    let first = decide(&mut lane, &scan(&performance, old, "first", 30, now)).await.expect("an answer");
    lane.done(refund_by_staff(&paid)).await;
    let again = held(lane.done(hold(&token, &performance, &[1])).await);
    let Done::Pay(next) = lane.done(pay(&token, &again)).await else { unreachable!("a hold was paid") };
    assert!(conflicts().await.is_empty(), "one of them was checked in");
    // Its clock is behind, so the time that counts does not show the order.
    let new = id_of(next.id, 1, 0);
    let second = decide(&mut lane, &scan(&performance, new, "second", 60, now)).await.expect("an answer");
    assert_eq!((&first.answer, &second.answer), (&Answer::Admitted, &Answer::Admitted));
    let found = conflicts().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].ticket, found[0].seat, found[0].kind), (old, 1, ConflictKind::SameSeat));
    assert_eq!(found[0].scans, [second.clone(), first]);
    // A second scan of the next ticket is a conflict of its own.
    decide(&mut lane, &scan(&performance, new, "again", 0, now)).await.expect("an answer");
    let kinds: BTreeMap<TicketId, ConflictKind> =
        conflicts().await.into_iter().map(|conflict| (conflict.ticket, conflict.kind)).collect();
    assert_eq!(kinds, [(old, ConflictKind::SameSeat), (new, ConflictKind::Twice)].into());
    decide(&mut lane, &Undo { check_in: second.id, performance: performance.id }).await.expect("undone");
    assert!(conflicts().await.iter().all(|conflict| conflict.kind == ConflictKind::Twice), "one entry is undone");
}

fn refund_by_staff(paid: &Payment) -> onsale_domain::refund::RefundByStaff {
    onsale_domain::refund::RefundByStaff { refund: refund(paid, &[]), fee: 0, reason: "moved".into() }
}

/// A key signs from the instant at which it came first, and a repeated start changes nothing.
async fn keys_of_tickets_are_noted_once(bed: Bed) {
    let store = bed.store().await;
    let at = Timestamp::from_millis;
    store.note_ticket_keys(&[[1; 32]], at(10)).await.expect("noted");
    store.note_ticket_keys(&[[1; 32], [2; 32]], at(20)).await.expect("noted");
    store.note_ticket_keys(&[[1; 32], [2; 32]], at(30)).await.expect("noted");
    store.note_ticket_keys(&[[2; 32], [1; 32]], at(40)).await.expect("noted");
    store.note_ticket_keys(&[[2; 32], [1; 32]], at(50)).await.expect("noted");
    let keys = store.reader().ticket_keys().await.expect("keys");
    let keys: Vec<_> = keys.iter().map(|key| (key.public[0], key.since, key.signs)).collect();
    assert_eq!(keys, [(1, at(10), true), (2, at(20), false), (2, at(40), true)]);
}

on_each_database!(
    a_ticket_is_reissued_scanned_undone_and_made_void,
    tickets_of_one_seat_that_were_both_checked_in_are_a_conflict,
    keys_of_tickets_are_noted_once,
);
