//! `onsale audit` passes on a consistent database, also while a server runs, and finds every row that a test breaks.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

#[path = "audit_breaks/cancellations.rs"]
mod cancellations;
#[path = "audit_breaks/codes.rs"]
mod codes;
#[path = "audit_breaks/fine.rs"]
mod fine;
#[path = "audit_breaks/lectures.rs"]
mod lectures;
#[path = "audit_breaks/offers.rs"]
mod offers;
#[path = "audit_breaks/refunds.rs"]
mod refunds;
#[path = "audit_breaks/staff.rs"]
mod staff;
mod support;
#[path = "audit_breaks/tickets.rs"]
mod tickets;
#[path = "audit_breaks/waiting_lists.rs"]
mod waiting_lists;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use onsale_testing::{Caller, Launch, PATIENCE, Sale, Used};
use rusqlite::Connection;
use serde_json::json;
use support::ONSALE;

/// A change to a consistent database, the invariant that it breaks, and the text that the audit must print. `$name` is the
/// id of an object of [`Used`].
struct Break {
    sql: &'static str,
    invariant: &'static str,
    named: &'static str,
}

const fn broken(sql: &'static str, invariant: &'static str, named: &'static str) -> Break {
    Break { sql, invariant, named }
}

const BALANCES: &str = "every balance is the sum of its history";
const CHAINS: &str = "every history is an unbroken chain";
const POINTS_EVENTS: &str = "every ledger entry has its event";
const CAPACITY: &str = "no lecture is over its capacity";
const LECTURE_SEATS: &str = "every seat number of a lecture is given once";
const HIGHEST: &str = "no lecture was ever above the highest capacity that it had";
const LECTURE_CHANGES: &str = "every change of a lecture has its event";
const HOLES: &str = "seat numbers have no holes";
const HISTORY: &str = "every lecture's history leads to who has a place";
const LECTURE_EVENTS: &str = "every line of a lecture's history has its event";
const WAITING: &str = "every waiting list of a lecture follows from its history";
const BLOCKED: &str = "every performance has blocked as many seats as it counts";
const SOLD: &str = "every performance has sold as many seats";
const CHANGES: &str = "every performance has the hours of its sale, and is as its last event has it";
const FIGURES: &str = "every performance counts its held seats, its revenue and what was given back";
const OPEN: &str = "every performance counts its payments of which seats are left";
const LAYOUTS: &str = "every layout has the seats of its performance";
const CANCELLED: &str = "every cancelled performance has its cancellation, and when that is done no seat held or sold";
const ON: &str = "nothing was paid after its performance was cancelled";
const OWNERS: &str = "every seat that is held or sold has one owner";
const RESERVATIONS: &str = "every reservation has the seats, payment and events";
const PAYMENTS: &str = "every payment has one paid reservation, one ledger entry and one event";
const SHARES: &str = "for every payment, what was paid is kept, refunded or a fee, each seat once";
const TICKETS: &str = "every refunded seat has one void ticket, and every other paid seat one valid ticket";
const CHECK_INS: &str = "of every paid seat at most one check-in counts, and it is of a ticket of that seat";
const REFUNDS: &str = "every refund has one ledger entry and one event, and one log entry if it is by staff";
const CAUSES: &str = "every ledger entry that names a payment has that payment, and every adjustment its log entry";
const IN_TIME: &str = "no hold was paid after it had lapsed";
const PLACES: &str = "every place in line was handed out once";
const USERS: &str = "every user has at most one place in a room";
const COUNTERS: &str = "every room counts its turns and given-up places";
const DRAWS: &str = "every draw has the hash of its list, and the order that follows from seed, list and beacon";
const CONCERTS: &str = "every room has the hours of its sale, and every concert is as its last event has it";
const CODES: &str = "no presale code is used above its limits, and each counts its uses";
const EXTENSIONS: &str = "every extension of holds has its event";
const FAMILIES: &str = "every row belongs to one that is there";
const MARKS: &str = "every mark of the outbox is one that a relay made on this log";
const MISPLACED: &str = "no event was written where the log had passed";
const STAFF: &str = "every change by staff has its log entry";
const EXTERNAL: &str = "every charge with an external id has its ledger entry and its log entry";
const DIRECTORY: &str = "the directory of staff counts its keys";
const TOLD: &str = "every change of a performance by staff has its event";
const SOURCES: &str = "every event describes something that happened";

#[rustfmt::skip]
const BREAKS: &[Break] = &[
    broken("UPDATE accounts SET balance = balance + 1 WHERE user_id = 'ada'", BALANCES, "ada"),
    broken("UPDATE accounts SET balance = -1 WHERE user_id = 'ada'", BALANCES, "ada"),
    broken("DELETE FROM accounts WHERE user_id = 'eve'", CHAINS, "eve"),
    broken("DELETE FROM accounts WHERE user_id = 'ada'", BALANCES, "ada"),
    broken("INSERT INTO accounts VALUES ('zoe', 5, 1, 0)", BALANCES, "zoe"),
    broken("UPDATE ledger SET amount = amount + 1 WHERE user_id = 'ada' AND version = 1", BALANCES, "ada"),
    broken("UPDATE ledger SET balance_after = balance_after + 1 WHERE user_id = 'ada' AND version = 2", CHAINS, "ada"),
    broken("DELETE FROM ledger WHERE user_id = 'ada' AND version = 2", CHAINS, "ada"),
    broken("UPDATE accounts SET version = version + 1 WHERE user_id = 'ada'", CHAINS, "ada"),
    broken("UPDATE ledger SET version = 99 WHERE user_id = 'ada' AND version = 4", CHAINS, "ada"),
    broken("DELETE FROM events WHERE subject = 'ada' AND version = 2", POINTS_EVENTS, "ada, entry 2"),
    broken("DELETE FROM events WHERE data LIKE '%\"$payment\"%' AND subject = 'ada'", POINTS_EVENTS, "ada"),
    broken("UPDATE events SET data = json_set(data, '$.amount', 7) WHERE subject = 'ada' AND version = 3", POINTS_EVENTS, "ada, entry 3"),
    broken("UPDATE events SET type = 'onsale.points.used.v1' WHERE subject = 'ada' AND version = 1", POINTS_EVENTS, "ada, entry 1"),
    broken("UPDATE events SET subject = 'eve' WHERE subject = 'ada' AND version = 1", POINTS_EVENTS, "ada, entry 1"),
    broken("UPDATE performances SET sold = sold + 1 WHERE performance_id = $performance", SOLD, "$performance"),
    broken("UPDATE performances SET holds = holds + 1 WHERE performance_id = $performance", SOLD, "$performance"),
    broken("UPDATE performances SET extensions = extensions + 1 WHERE performance_id = $performance", SOLD, "$performance"),
    broken("INSERT INTO hold_extensions SELECT performance_id, 9, concert_id, version, x'000000000000000000000000000000ff', 1, 60, 1, 'late', 1 FROM performances WHERE performance_id = $performance", SOLD, "$performance"),
    broken("INSERT INTO hold_extensions SELECT performance_id, 9, concert_id, version, x'000000000000000000000000000000ff', 1, 60, 1, 'late', 1 FROM performances WHERE performance_id = $performance", EXTENSIONS, "$performance, extension 9"),
    broken("INSERT INTO hold_extensions SELECT performance_id, 9, concert_id, version, $held, 1, 60, 1, 'late', 1 FROM performances WHERE performance_id = $performance", EXTENSIONS, "$performance, extension 9"),
    broken("UPDATE performances SET sale_closed = 1 WHERE performance_id = $performance", CHANGES, "$performance"),
    broken("UPDATE concerts SET closed = 1", CHANGES, "$performance"),
    broken("UPDATE performances SET opens_at = 1 WHERE performance_id = $performance", CHANGES, "$performance"),
    broken("UPDATE rooms SET opens_at = 1 WHERE concert_id = $line", CONCERTS, "$line"),
    broken("UPDATE rooms SET opened_at = 1 WHERE concert_id = $line", CONCERTS, "$line"),
    broken("INSERT INTO draws (concert_id, seed, entries_hash, changes) VALUES ($line, zeroblob(32), zeroblob(32), '[]')", DRAWS, "$line"),
    broken("UPDATE concerts SET max_seats = 5 WHERE concert_id = $concert", STAFF, "$concert: maxSeatsPerUser"),
    broken("UPDATE performances SET held = held + 1 WHERE performance_id = $performance", FIGURES, "$performance"),
    broken("UPDATE performances SET revenue = revenue + 1 WHERE performance_id = $performance", FIGURES, "$performance"),
    broken("UPDATE performances SET refunded = refunded + 1 WHERE performance_id = $performance", FIGURES, "$performance"),
    broken("UPDATE performances SET capacity = capacity + 1 WHERE performance_id = $performance", FIGURES, "$performance"),
    broken("INSERT INTO events (event_id, type, subject, version, at, data) SELECT x'000000000000000000000000000000ff', 'onsale.performance.changed.v1', '$performance', 1, at, '{\"closed\":true}' FROM events LIMIT 1", CHANGES, "$performance"),
    broken("UPDATE rooms SET closed = 1 WHERE concert_id = $line", CONCERTS, "$line"),
    broken("UPDATE concerts SET closed = 1 WHERE concert_id = $line", CONCERTS, "$line"),
    broken("UPDATE concerts SET version = 1 WHERE concert_id = $line", CONCERTS, "$line"),
    broken("INSERT INTO events (event_id, type, subject, version, at, data) SELECT x'000000000000000000000000000000ff', 'onsale.concert.changed.v1', '$line', 1, at, '{}' FROM events LIMIT 1", SOURCES, "$line"),
    broken("UPDATE reservations SET held_until = held_until + 1 WHERE reservation_id = $held", RESERVATIONS, "$held"),
    broken("UPDATE seats SET held_until = held_until + 1 WHERE reservation_id = $held", RESERVATIONS, "$held"),
    broken("UPDATE seats SET reservation_id = $other WHERE seat = 7", OWNERS, "$other"),
    broken("UPDATE seats SET reservation_id = x'000000000000000000000000000000ff' WHERE seat = 10", OWNERS, "00000000-0000-0000-0000-0000000000ff"),
    broken("UPDATE seats SET sold = 1 WHERE seat = 10", OWNERS, "$held"),
    broken("INSERT INTO seats SELECT performance_id, 20, reservation_id, held_until, sold, 0, NULL FROM seats WHERE seat = 10", OWNERS, "$held"),
    broken("INSERT INTO seats SELECT performance_id, 12, $expired, held_until, 0, 0, NULL FROM seats WHERE seat = 10", OWNERS, "$expired"),
    broken("DELETE FROM seats WHERE seat = 10", RESERVATIONS, "$held"),
    broken("DELETE FROM seats WHERE seat = 7", RESERVATIONS, "$paid"),
    broken("UPDATE seats SET sold = 0 WHERE seat = 7", RESERVATIONS, "$paid"),
    // An extension between the beginning and the end of a hold that this end does not contain.
    broken("INSERT INTO hold_extensions SELECT performance_id, 1, concert_id, 1, x'000000000000000000000000000000ff', 1, 60, 1, 'late', 1 FROM performances WHERE performance_id = $performance", RESERVATIONS, "$expired: its end lacks"),
    broken("UPDATE reservations SET extended = 1 WHERE reservation_id = $held", RESERVATIONS, "$held: its end is not"),
    broken("DELETE FROM payments WHERE payment_id = $payment", RESERVATIONS, "$paid"),
    broken("UPDATE reservations SET status = 'PAID' WHERE reservation_id = $held", RESERVATIONS, "$held"),
    broken("UPDATE reservations SET status = 'HELD' WHERE reservation_id = $paid", RESERVATIONS, "$paid"),
    broken("DELETE FROM events WHERE event_id = $held", RESERVATIONS, "$held"),
    broken("DELETE FROM events WHERE type LIKE '%released%' AND data LIKE '%$released%'", RESERVATIONS, "$released"),
    broken("DELETE FROM events WHERE type LIKE '%released%' AND data LIKE '%$expired%'", RESERVATIONS, "$expired"),
    broken("UPDATE events SET data = json_set(data, '$.reason', 'released') WHERE data LIKE '%$expired%' AND type LIKE '%released%'", RESERVATIONS, "$expired"),
    broken("UPDATE events SET data = json_set(data, '$.userId', 'zoe') WHERE event_id = $held", RESERVATIONS, "$held"),
    broken("DELETE FROM ledger WHERE reference = $payment", PAYMENTS, "$payment"),
    broken("UPDATE ledger SET reference = NULL WHERE reference = $payment", PAYMENTS, "$payment"),
    broken("UPDATE payments SET amount = amount - 1 WHERE payment_id = $payment", PAYMENTS, "$payment"),
    broken("UPDATE payments SET user_id = 'eve' WHERE payment_id = $payment", PAYMENTS, "$payment"),
    broken("UPDATE payments SET balance_after = balance_after + 1 WHERE payment_id = $payment", PAYMENTS, "$payment"),
    broken("UPDATE payments SET reservation_id = x'000000000000000000000000000000ff' WHERE payment_id = $payment", PAYMENTS, "$payment"),
    broken("DELETE FROM events WHERE event_id = $payment", PAYMENTS, "$payment"),
    broken("UPDATE events SET data = json_set(data, '$.amount', 1) WHERE event_id = $payment", PAYMENTS, "$payment"),
    broken("UPDATE reservations SET held_until = held_at WHERE reservation_id = $paid", IN_TIME, "$paid"),

    broken("DELETE FROM places WHERE concert_id = $line AND place = 2", PLACES, "$line"),
    broken("DELETE FROM places WHERE concert_id = $line AND place = 4", PLACES, "$line"),
    broken("DELETE FROM rooms WHERE concert_id = $line", FAMILIES, "$line"),
    broken("UPDATE rooms SET issued = issued + 1 WHERE concert_id = $line", PLACES, "$line"),
    broken("UPDATE places SET user_id = 'fin' WHERE concert_id = $line AND place = 2", USERS, "$line"),
    broken("UPDATE rooms SET given_up = given_up + 1 WHERE concert_id = $line", COUNTERS, "$line"),
    broken("UPDATE places SET standing = 'CURRENT' WHERE concert_id = $line AND place = 3", COUNTERS, "$line"),
    broken("UPDATE rooms SET active = active + 1 WHERE concert_id = $concert", COUNTERS, "$concert"),
    broken("UPDATE rooms SET admitted = served + 1 WHERE concert_id = $concert", COUNTERS, "$concert"),
    broken("DELETE FROM turns WHERE concert_id = $concert", COUNTERS, "$concert"),

    broken("INSERT INTO events (event_id, type, subject, version, at, data) SELECT x'000000000000000000000000000000ff', type, subject, version, at, data FROM events WHERE event_id = $payment", SOURCES, "00000000-0000-0000-0000-0000000000ff"),
    broken("INSERT INTO events (event_id, type, subject, version, at, data) SELECT x'000000000000000000000000000000ff', type, subject, version, at, data FROM events WHERE subject = 'ada' AND version = 1", SOURCES, "00000000-0000-0000-0000-0000000000ff"),
    broken("UPDATE relay_parts SET sent_to = 1000000000 WHERE part = 3", MARKS, "part 3"),
    broken("UPDATE relay_parts SET sent_to = (SELECT max(position) FROM events)", MARKS, "part 0"),
    broken("UPDATE relay_parts SET sent_to = 2, checked_to = 2, checked_id = x'000000000000000000000000000000ff' WHERE part = 7", MARKS, "part 7"),
    broken("UPDATE events SET type = 'onsale.points.gone.v1' WHERE event_id = $payment", SOURCES, "$payment"),
];

/// A used database in a single file, and the ids of what it holds.
async fn used_file() -> (Used, Launch) {
    let (mut used, launch, sale) = Used::make(Sale::launch(ONSALE)).await;
    used.refunds(&sale).await;
    used.cancellation(&sale).await;
    used.waiting_list(&sale).await;
    assert!(sale.instance.terminate().await.success());
    let db = Connection::open(launch.folder().join("onsale.db")).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    (used, launch)
}

/// Opens a file so that anything can be done to it.
fn open_unprotected(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    let protections = "SELECT type || ' ' || name FROM sqlite_schema WHERE type = 'trigger'
                       OR (type = 'index' AND sql LIKE 'CREATE UNIQUE%')";
    let named: Vec<String> =
        db.prepare(protections).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(named.len() > 5, "the schema protects itself: {named:?}");
    for protection in named {
        db.execute_batch(&format!("DROP {protection}")).unwrap();
    }
    db.execute_batch("PRAGMA foreign_keys = off; PRAGMA ignore_check_constraints = on").unwrap();
    db
}

/// Replaces names by ids: as blobs in SQL, as text in quotes and elsewhere.
fn fill(text: &str, used: &Used, as_sql: bool) -> String {
    let mut names: Vec<&str> = used.names().collect();
    // The longest first, because some names begin with another name.
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.into_iter().fold(text.to_owned(), |text, name| {
        let id = used.id(name);
        let quoted = ["'", "%", "\""]
            .iter()
            .fold(text, |text, quote| text.replace(&format!("{quote}${name}{quote}"), &format!("{quote}{id}{quote}")));
        let plain = if as_sql { format!("x'{}'", id.replace('-', "")) } else { id.to_owned() };
        quoted.replace(&format!("${name}"), &plain)
    })
}

/// The lines of broken invariants, each with its examples.
fn broken_part<'a>(output: &'a str, invariant: &str) -> Option<&'a str> {
    let from = output.find(&format!("BROKEN  {invariant}"))?;
    let rest = &output[from..];
    let end = rest.match_indices('\n').find(|(at, _)| !rest[at + 1..].starts_with(' '));
    Some(end.map_or(rest, |(at, _)| &rest[..at]))
}

/// Breaks a copy, audits it, and returns what is wrong with the result.
async fn what_is_missed(used: &Used, sound: &Path, case: &Break) -> Option<String> {
    let launch = Sale::launch(ONSALE);
    let path = launch.folder().join("onsale.db");
    std::fs::copy(sound, &path).unwrap();
    let db = open_unprotected(&path);
    let sql = fill(case.sql, used, true);
    let before = db.total_changes();
    db.execute_batch(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert!(db.total_changes() > before, "nothing is broken by {sql}");
    drop(db);
    let audit = launch.run(&["audit"]).await;
    let said = String::from_utf8_lossy(&audit.stdout).into_owned();
    let part = broken_part(&said, case.invariant);
    let named = fill(case.named, used, false);
    let verdict = (audit.status.code(), part.is_some(), part.is_some_and(|part| part.contains(&named)));
    let summary = said.lines().last().is_some_and(|line| line.contains("invariants are broken"));
    let right = verdict == (Some(1), true, true) && summary;
    (!right).then(|| format!("{sql}\n  wanted {:?} naming {named}, got {:?}: {part:?}", case.invariant, audit.status))
}

async fn assert_all_found(cases: &[Break]) {
    let (used, launch) = used_file().await;
    let sound = launch.folder().join("onsale.db");
    let mut missed = Vec::new();
    for case in cases {
        missed.extend(what_is_missed(&used, &sound, case).await);
    }
    assert!(missed.is_empty(), "{} of {} not found:\n{}", missed.len(), cases.len(), missed.join("\n"));
}

#[tokio::test]
async fn the_audit_of_a_consistent_database_passes() {
    let (_, launch) = used_file().await;
    let audit = launch.run(&["audit"]).await;
    let said = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(audit.status.success(), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    let (summary, findings) = lines.split_last().unwrap();
    for invariant in [
        BALANCES,
        CHAINS,
        POINTS_EVENTS,
        CAPACITY,
        LECTURE_SEATS,
        HOLES,
        HISTORY,
        LECTURE_EVENTS,
        WAITING,
        SOLD,
        OPEN,
        CANCELLED,
        ON,
        CHANGES,
        FIGURES,
        OWNERS,
        RESERVATIONS,
        PAYMENTS,
        IN_TIME,
        PLACES,
        USERS,
        COUNTERS,
        CONCERTS,
        SOURCES,
        STAFF,
        DIRECTORY,
        TOLD,
        MARKS,
        MISPLACED,
    ] {
        let line = findings.iter().find(|line| line.contains(invariant)).unwrap_or_else(|| panic!("{invariant}"));
        assert!(line.starts_with("ok ") && !line.contains(" 0 checked"), "{line}");
    }
    assert!(findings.iter().all(|line| line.starts_with("ok ")), "{said}");
    assert_eq!(*summary, format!("all {} invariants hold", findings.len()));
}

#[tokio::test]
async fn the_audit_finds_each_kind_of_broken_row() {
    assert_all_found(BREAKS).await;
    assert_all_found(refunds::BREAKS).await;
    assert_all_found(tickets::BREAKS).await;
    assert_all_found(cancellations::BREAKS).await;
    assert_all_found(offers::BREAKS).await;
    assert_all_found(codes::BREAKS).await;
    assert_all_found(staff::BREAKS).await;
    assert_all_found(lectures::BREAKS).await;
    assert_all_found(waiting_lists::BREAKS).await;
}

#[tokio::test]
async fn the_audit_finds_subtle_inconsistencies() {
    assert_all_found(fine::BREAKS).await;
}

#[tokio::test]
async fn an_empty_database_passes_and_a_missing_one_fails() {
    let launch = Sale::launch(ONSALE);
    let none = launch.run(&["audit"]).await;
    assert_eq!(none.status.code(), Some(1), "there is nothing to audit");
    assert!(String::from_utf8_lossy(&none.stderr).contains("onsale.db"));
    assert!(!launch.folder().join("onsale.db").exists(), "looking makes nothing");
    assert!(launch.run(&["migrate"]).await.status.success());
    assert!(launch.run(&["audit"]).await.status.success());
}

/// The length of SQLite's log, in bytes.
fn log_bytes(launch: &Launch) -> u64 {
    std::fs::metadata(launch.folder().join("onsale.db-wal")).map_or(0, |log| log.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_stays_short_while_a_busy_server_is_audited() {
    const LOG_MAX: u64 = 128 * 1024 * 1024;
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    let stop = Arc::new(AtomicBool::new(false));
    let charged = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..32)
        .map(|number| {
            let (stop, charged, caller) = (stop.clone(), charged.clone(), Caller::new(sale.instance.base()));
            tokio::spawn(async move {
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let path = format!("/point/user-{number}-{}/charge", round % 200);
                    caller.patch(&path).json(&json!({"amount": 1})).expect(200).await;
                    charged.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let (began, mut audits, mut longest) = (Instant::now(), 0, 0);
    while audits < 3 || charged.load(Ordering::Relaxed) < 15_000 {
        let audit = launch.run(&["audit"]).await;
        assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
        audits += 1;
        longest = longest.max(log_bytes(&launch));
        assert!(longest < LOG_MAX, "the log is {longest} bytes long");
        assert!(began.elapsed() < PATIENCE * 5, "{audits} audits, {charged:?} charges");
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    println!("{audits} audits in {:?}, {charged:?} charges, the log at most {longest} bytes", began.elapsed());
    assert!(longest > 0, "the log has a length");
    assert!(launch.run(&["audit"]).await.status.success());
}
