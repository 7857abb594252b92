//! Lists and other reads, at a modest constant rate, on both databases in turns.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use onsale_load_generator::{Histogram, OpenLoop, Outcome, Request, Supply, open_loop};

use super::fill::{CONCERT, LECTURE, LECTURES_A_DAY, PAYMENT, REGULAR, RESERVATION, id_of};
use super::pairs::Pairs;
use super::size::Size;
use crate::machine::{Machine, Server};
use crate::measure::OK;
use crate::users::Dice;

/// Connections of the open loop.
const CONNECTIONS: usize = 16;

/// Requests per second: far below what the server can answer, so that latency is not waiting.
const PER_SECOND: f64 = 300.0;

/// The longest page, in rows: the default of the API.
const PAGE: u64 = 50;

/// A kind of read: its name, and a request for a database of a size.
type Kind = (&'static str, fn(&Size, &mut Dice) -> Request);

const KINDS: [Kind; 15] = [
    ("balance", |size, dice| Request::get(&format!("/point/{}", guest(size, dice)))),
    ("points history of a guest", |size, dice| Request::get(&format!("/point/{}/histories", guest(size, dice)))),
    ("points history, regular guest, newest", |_, _| history("")),
    ("points history, regular guest, middle", |size, _| history(&cursor(&size.concerts.to_string()))),
    ("points history, regular guest, oldest", |_, _| history(&cursor(&(PAGE + 1).to_string()))),
    ("reservations of a guest", |size, dice| Request::get(&format!("/users/{}/reservations", guest(size, dice)))),
    ("reservations, regular guest, newest", |_, _| Request::get(&format!("/users/{REGULAR}/reservations"))),
    ("reservations, regular guest, middle", |size, _| of_regular(size, "reservations", RESERVATION)),
    ("payments, regular guest, middle", |size, _| of_regular(size, "payments", PAYMENT)),
    ("one reservation", |size, dice| {
        Request::get(&format!("/reservations/{}", id_of(RESERVATION, 1 + below(dice, size.all_reservations()))))
    }),
    ("lectures from today", |_, _| Request::get("/lectures")),
    ("lectures of a past date", |size, dice| Request::get(&format!("/lectures?date={}", past_date(size, dice)))),
    ("applications of a guest", |size, dice| {
        Request::get(&format!("/lectures/application/u{}", 1 + below(dice, size.concerts * size.applications)))
    }),
    ("concerts, first page", |_, _| Request::get("/concerts")),
    ("concerts, middle page", |size, dice| {
        let middle = id_of(CONCERT, size.concerts / 4 + below(dice, size.concerts / 2));
        Request::get(&format!("/concerts{}", cursor(&middle)))
    }),
];

fn below(dice: &mut Dice, bound: u64) -> u64 {
    dice.below(usize::try_from(bound).unwrap_or(usize::MAX)) as u64
}

/// A guest with one reservation: any seat but the first one.
fn guest(size: &Size, dice: &mut Dice) -> String {
    let (concert, seat) = (below(dice, size.concerts), 2 + below(dice, size.reservations - 1));
    format!("u{}", concert * size.reservations + seat)
}

/// The query of the page after this row, as `Link` names it.
fn cursor(row: &str) -> String {
    format!("?cursor={}", URL_SAFE_NO_PAD.encode(row))
}

fn history(query: &str) -> Request {
    Request::get(&format!("/point/{REGULAR}/histories{query}"))
}

/// A page in the middle of a list of the regular guest.
fn of_regular(size: &Size, list: &str, kind: u32) -> Request {
    let middle = id_of(kind, size.concerts / 2 * size.reservations + 1);
    Request::get(&format!("/users/{REGULAR}/{list}{}", cursor(&middle)))
}

/// A date in Seoul on which lectures started.
fn past_date(size: &Size, dice: &mut Dice) -> String {
    let days = i64::try_from(60 + below(dice, size.concerts.div_ceil(LECTURES_A_DAY))).unwrap_or(60);
    let now = Timestamp::from_millisecond(i64::try_from(size.now_millis).unwrap_or(0)).unwrap_or(Timestamp::UNIX_EPOCH);
    let instant = now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(now);
    instant.to_zoned(TimeZone::fixed(Offset::constant(9))).date().to_string()
}

/// Measures all kinds. Each round reads from the small database, then from the grown one.
pub(super) fn measure(
    machine: &Machine,
    servers: &[Server; 2],
    sizes: [&Size; 2],
    pairs: &mut Pairs<'_>,
) -> Outcome<()> {
    for (number, (name, request)) in KINDS.iter().enumerate() {
        let mut dice = Dice(number as u64);
        let count = machine.scale.pick(4_000, 2_000, 40);
        let supplies = sizes.map(|size| Supply::in_turn((0..count).map(|_| request(size, &mut dice))));
        pairs.latencies(name, CONNECTIONS, &latencies(machine, servers, supplies, name)?);
    }
    let name = "history of a lecture, by an administrator";
    let read = || Request::get(&format!("/admin/lectures/{}/history", id_of(LECTURE, 1)));
    let supplies = servers.each_ref().map(|server| Supply::in_turn([server.admin.authorize(read())]));
    pairs.latencies(name, CONNECTIONS, &latencies(machine, servers, supplies, name)?);
    Ok(())
}

/// The latencies of one kind of read, on the small database and on the grown one.
fn latencies(machine: &Machine, servers: &[Server; 2], supplies: [Supply; 2], name: &str) -> Outcome<[Histogram; 2]> {
    let time = machine.scale.pick(Duration::from_secs(4), Duration::from_secs(2), Duration::from_millis(60));
    let how = OpenLoop { connections: CONNECTIONS, per_second: PER_SECOND, time };
    let supplies = supplies.map(Arc::new);
    let mut both = [Histogram::default(), Histogram::default()];
    for _ in 0..machine.scale.pick(3, 2, 1) {
        for ((server, supply), times) in servers.iter().zip(&supplies).zip(&mut both) {
            let run = open_loop(server.program.address(), supply, &how)?;
            run.tally.expect(OK).map_err(|error| format!("{name}: {error}"))?;
            times.merge(&run.tally.times);
        }
    }
    Ok(both)
}
