//! Reads that many clients share: from the cache in memory, and uncached from the database. On one Postgres, in one run.

use std::io::{Write, stderr};
use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::{Outcome, Request, Supply};
use serde_json::json;

use crate::measure::{Bench, Expected, Measured, Server};
use crate::rows::crowd::{everyone_is_active, tokens};
use crate::rows::{Row, open_room, row};
use crate::table::{Line, Verdict, grouped};

const CONNECTIONS: usize = 64;

/// Target of each, as a fraction of the empty handler.
const TARGET: f64 = 0.6;

const PEOPLE: usize = 1_000;

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[row("reads", "seats, dates, concerts, lectures: kept, and asked by each", both)];

/// The notes below the table.
pub(crate) const NOTES: &str = "\
beside it: what the empty handler answers in the same seconds over as many connections; medians of looks in turns. asked by
each: the same program with ONSALE_CACHES=false. gain: kept beside asked by each. cpu, database: processor time of the
program and of all processes of Postgres, for each answer.";

/// One kind of read.
struct Look {
    name: &'static str,
    supply: Arc<Supply>,
    expected: Expected,
}

fn both(bench: &mut Bench) -> Outcome<()> {
    let kept = measured(bench, "true")?;
    let asked = measured(bench, "false")?;
    for ((name, kept), (_, asked)) in kept.iter().zip(&asked) {
        let database = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e6);
        let line = kept.0.line(name, Some(TARGET), Verdict::of(kept.0.share >= TARGET));
        bench.table.add(Line { database: database(kept.1), ..line });
        let line = asked.0.line("    asked by each", None, Verdict::Told);
        bench.table.add(Line { database: database(asked.1), ..line });
        let gain = format!("{:.1}", kept.0.rate / asked.0.rate);
        bench.table.add(Line { rate: gain, ..Line::new("    gain", Verdict::Told) });
    }
    Ok(())
}

/// The result of each read, with the database's time per answer.
type Looks = Vec<(&'static str, (Measured, Duration))>;

fn measured(bench: &mut Bench, caches: &str) -> Outcome<Looks> {
    let cluster = bench.cluster()?;
    let database = cluster.database()?;
    let url = cluster.url(&database);
    let environment = [("ONSALE_DATABASE_URL", url.as_str()), ("ONSALE_CACHES", caches)];
    let mut server = bench.server_with(&[], &environment)?;
    let looks = prepare(&server)?;
    let mut all = Vec::new();
    for Look { name, supply, expected } in &looks {
        let before = cluster.process_time();
        let mut slices = [bench.slice(&server, supply, usize::MAX, expected)];
        let measured = bench.compare(&server, &format!("reads-{caches}"), CONNECTIONS, &mut slices)?.remove(0);
        let database = cluster.process_time().saturating_sub(before);
        let answers = (measured.times.total() as f64).max(1.0);
        writeln!(stderr(), "{name}: {} a second", grouped(measured.rate))?;
        all.push((*name, (measured, database.div_f64(answers))));
    }
    server.finish()?;
    Ok(all)
}

/// A concert with three dates, twenty concerts and fifty lectures in all, and users to read them.
fn prepare(server: &Server) -> Outcome<Vec<Look>> {
    let stage = &server.stage;
    let concert = stage.concert(&open_room())?;
    let performance = stage.performance(&concert, 50, 50_000, 0)?;
    for day in 1..3 {
        stage.performance(&concert, 50, 50_000, day)?;
    }
    for _ in 1..20 {
        stage.concert(&open_room())?;
    }
    for _ in 0..50 {
        stage.lecture(30)?;
    }
    let tokens = tokens(server, &concert, 0..PEOPLE)?;
    everyone_is_active(server, &concert, PEOPLE)?;
    // Some seats are held and some sold, as in a real sale.
    for (number, token) in tokens.iter().take(10).enumerate() {
        let body = json!({"performanceId": performance.id, "seats": [4 * number + 1, 4 * number + 2]});
        stage.call(&Request::post("/reservations").token(token).json(body.to_string()))?;
    }
    let seats = format!("/concerts/{concert}/seats?date={}", performance.date);
    let dates = format!("/concerts/{concert}/dates");
    let of = |path: &str, token: &str| Request::get(path).token(token);
    let all = |look: &dyn Fn(&str) -> Request| Arc::new(Supply::in_turn(tokens.iter().map(|token| look(token))));
    let ok: Expected = &[(200, "")];
    Ok(vec![
        Look { name: "seats of 50", supply: all(&|token| of(&seats, token)), expected: ok },
        Look {
            name: "seats, in gzip",
            supply: all(&|token| of(&seats, token).header("accept-encoding", "gzip")),
            expected: ok,
        },
        Look {
            name: "seats, 304",
            supply: all(&|token| of(&seats, token).header("if-none-match", "*")),
            expected: &[(304, "")],
        },
        Look { name: "dates (3)", supply: all(&|token| of(&dates, token)), expected: ok },
        Look { name: "concerts (20)", supply: all(&|_| Request::get("/concerts")), expected: ok },
        Look { name: "lectures (50)", supply: all(&|_| Request::get("/lectures")), expected: ok },
    ])
}
