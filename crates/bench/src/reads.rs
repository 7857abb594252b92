//! The suite of reads that many clients share: from the cache in memory, and from the database. On one Postgres, in one run.

use std::io::{Write, stderr};
use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::{Outcome, Request, Supply};
use onsale_report::number;
use serde_json::json;

use crate::machine::{Machine, Server};
use crate::measure::{Expected, Measured, OK, compare, micros, per_answer, requests};
use crate::results::{Figure, Line, Target};
use crate::row::{Row, Work, row};
use crate::users::{open_room, tokens, wait_until_admitted};

const CONNECTIONS: usize = 64;

/// Number of users who read.
const USERS: usize = 1_000;

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[row(
    "reads",
    "seats, dates, concerts, lectures: from the cache, and from the database",
    Target::at_least(0.6),
    cached_and_not,
)];

/// The notes below the table.
pub(crate) const NOTES: &str = "\
reference: what the empty handler answers in the same seconds over as many connections; medians of measurements in turns. asked
by each: the same program with ONSALE_CACHES=false, so that each read queries the database. gain: cached reads divided by those.
cpu, database: processor time of the program and of all processes of Postgres, per answer.";

/// One kind of read.
struct Read {
    name: &'static str,
    supply: Arc<Supply>,
    expected: Expected,
}

/// The result of one kind of read.
struct ReadResult {
    name: &'static str,
    measured: Measured,
    /// Processor time of all processes of Postgres per answer.
    database: Duration,
}

impl ReadResult {
    fn line(&self, work: &str) -> Line {
        Line { database_micros: Some(micros(self.database)), ..self.measured.line(work) }
    }
}

fn cached_and_not(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    machine.postgres()?;
    Ok(Box::new(move |results| {
        let cached = measure(machine, "true")?;
        let not = measure(machine, "false")?;
        for (cached, not) in cached.iter().zip(&not) {
            results.add(cached.line(cached.name).judged(target, cached.measured.ratio));
            results.add(not.line("    asked by each"));
            let gain = Figure::Words(format!("{:.1}", cached.measured.rate / not.measured.rate));
            results.add(Line { result: gain, ..Line::new("    gain") });
        }
        Ok(())
    }))
}

/// Measures all reads on a server of its own, with or without caches.
fn measure(machine: &Machine, caches: &str) -> Outcome<Vec<ReadResult>> {
    let postgres = machine.postgres()?;
    let url = postgres.url(&postgres.database()?);
    let environment = [("ONSALE_DATABASE_URL", url.as_str()), ("ONSALE_CACHES", caches)];
    let mut server = machine.server(&[], &environment)?;
    let mut all = Vec::new();
    for Read { name, supply, expected } in prepare(machine, &server)? {
        let before = postgres.process_time();
        let mut slices = [requests(machine, &server, &supply, usize::MAX, expected)];
        let measured = compare(machine, &server, &format!("reads-{caches}"), CONNECTIONS, &mut slices)?.remove(0);
        let database = postgres.process_time().saturating_sub(before);
        writeln!(stderr(), "{name}: {} per second", number(measured.rate))?;
        let database = per_answer(database, measured.times.total());
        all.push(ReadResult { name, measured, database });
    }
    server.finish()?;
    Ok(all)
}

/// A concert with three dates, twenty concerts and fifty lectures in all, and users to read them.
fn prepare(machine: &Machine, server: &Server) -> Outcome<Vec<Read>> {
    let users = machine.scale.at_most(USERS);
    let admin = &server.admin;
    let concert = admin.concert(&open_room())?;
    let performance = admin.performance(&concert, 50, 50_000, 0)?;
    for day in 1..3 {
        admin.performance(&concert, 50, 50_000, day)?;
    }
    for _ in 1..20 {
        admin.concert(&open_room())?;
    }
    for _ in 0..50 {
        admin.lecture(30)?;
    }
    let tokens = tokens(server, &concert, 0..users)?;
    wait_until_admitted(server, &concert, users)?;
    // Some seats are held, as in a real sale.
    for (number, token) in tokens.iter().take(10).enumerate() {
        let body = json!({"performanceId": performance.id, "seats": [4 * number + 1, 4 * number + 2]});
        admin.call(&Request::post("/reservations").token(token).json(body.to_string()))?;
    }
    let seats = format!("/concerts/{concert}/seats?date={}", performance.date);
    let dates = format!("/concerts/{concert}/dates");
    let read = |name, expected, request: &dyn Fn(&str) -> Request| Read {
        name,
        supply: Arc::new(Supply::in_turn(tokens.iter().map(|token| request(token)))),
        expected,
    };
    let of = |path: &str, token: &str| Request::get(path).token(token);
    Ok(vec![
        read("seats of 50", OK, &|token| of(&seats, token)),
        read("seats, in gzip", OK, &|token| of(&seats, token).header("accept-encoding", "gzip")),
        read("seats, 304", &[(304, "")], &|token| of(&seats, token).header("if-none-match", "*")),
        read("dates (3)", OK, &|token| of(&dates, token)),
        read("concerts (20)", OK, &|_| Request::get("/concerts")),
        read("lectures (50)", OK, &|_| Request::get("/lectures")),
    ])
}
