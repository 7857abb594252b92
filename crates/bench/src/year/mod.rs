//! A year of data: what it costs an idle server, and how long each command takes on it.
//!
//! Full size: 10,000 past concerts, 2 million reservations, 5 million ledger entries, 10 million events. `quick`: as many
//! concerts, a hundredth of the rest.

mod fill;

use std::io::{Write, stdout};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use onsale_load_generator::{Outcome, Program, Request, Stage};

use crate::measure::Bench;
use crate::metrics::Metrics;
use crate::rows::{Row, row};
use fill::{Dialect, Size};

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row("year-sqlite", "a year in a file: start, idle costs, commands", sqlite),
    row("year-postgres", "a year on Postgres: start, idle costs, commands", postgres),
];

/// The notes below the table.
pub(crate) const NOTES: &str = "start: until the first line. idle: processor time of the server, of all processes of
Postgres, and what was written, within a minute in which nobody calls. Commands: time until their end, and the most memory.";

/// How long an idle server is measured.
const IDLE: Duration = Duration::from_secs(60);

/// The longest that rooms and places of the past may take to be retired and dropped before the server counts as idle.
const SETTLED_WITHIN: Duration = Duration::from_secs(1_200);

/// How often the memory of a command is read.
const READ_EVERY: Duration = Duration::from_millis(10);

fn say(what: &str, value: &str) -> Outcome<()> {
    Ok(writeln!(stdout(), "{what:<44} {value}")?)
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn sqlite(bench: &mut Bench) -> Outcome<()> {
    let folder = tempfile::Builder::new().prefix("onsale-year-").tempdir()?;
    let file = folder.path().join("onsale.db");
    let url = format!("sqlite://{}", file.display());
    run(bench.program(), &["migrate"], &url)?;
    let began = Instant::now();
    let db = rusqlite::Connection::open(&file)?;
    db.execute_batch("PRAGMA journal_mode = wal; PRAGMA synchronous = off; PRAGMA wal_autocheckpoint = 100000;")?;
    for statement in fill::statements(Dialect::Sqlite, Size::of(bench.scale)) {
        db.execute_batch(&statement).map_err(|error| format!("{statement}: {error}"))?;
    }
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    drop(db);
    say("sqlite: filled in", &seconds(began.elapsed()))?;
    let log = file.with_file_name("onsale.db-wal");
    let written = || Ok(format!("{} bytes of log", std::fs::metadata(&log).map_or(0, |log| log.len())));
    measure(bench, "sqlite", &url, &|| Ok(Duration::ZERO), &written)
}

fn postgres(bench: &mut Bench) -> Outcome<()> {
    let cluster = bench.cluster()?;
    let name = cluster.database()?;
    let began = Instant::now();
    for statement in fill::statements(Dialect::Postgres, Size::of(bench.scale)) {
        cluster.execute(&name, &statement)?;
    }
    cluster.settle(&name)?;
    say("postgres: filled in", &seconds(began.elapsed()))?;
    let written = || {
        let counted = "SELECT format('%s transactions, log at %s', (SELECT xact_commit FROM pg_stat_database
            WHERE datname = current_database()), pg_current_wal_insert_lsn() - '0/0')";
        cluster.ask(&name, counted)
    };
    measure(bench, "postgres", &cluster.url(&name), &|| Ok(cluster.process_time()), &written)
}

/// The server first, then each command.
fn measure(
    bench: &Bench,
    name: &str,
    url: &str,
    database_time: &dyn Fn() -> Outcome<Duration>,
    written: &dyn Fn() -> Outcome<String>,
) -> Outcome<()> {
    let environment = [("ONSALE_DATABASE_URL", url)];
    for start in ["first start", "start after what is over was retired"] {
        let began = Instant::now();
        let mut program = Program::start_with(bench.program(), &["serve", "--log", "warn"], &environment)?;
        say(&format!("{name}: {start}"), &seconds(began.elapsed()))?;
        say("    memory", &format!("{:.1} MB", program.kilobytes("VmRSS")? as f64 / 1024.0))?;
        calls(&program)?;
        settle(&program)?;
        let (own, theirs, before) = (program.process_time()?, database_time()?, written()?);
        std::thread::sleep(IDLE);
        let (own, theirs) = (program.process_time()? - own, database_time()? - theirs);
        say("    idle for a minute: server, database", &format!("{}, {}", seconds(own), seconds(theirs)))?;
        say("    written before, after", &format!("{before}; {}", written()?))?;
        say("    memory", &format!("{:.1} MB", program.kilobytes("VmRSS")? as f64 / 1024.0))?;
        program.stop()?;
    }
    for command in [&["migrate"][..], &["events", "--state", "dead"], &["events", "--limit", "1"], &["audit"]] {
        let (time, megabytes) = run(bench.program(), command, url)?;
        say(&format!("{name}: onsale {}", command.join(" ")), &format!("{}, {megabytes:.0} MB", seconds(time)))?;
    }
    Ok(())
}

fn calls(program: &Program) -> Outcome<()> {
    let stage = Stage::of(program.address());
    for path in ["/readyz", "/concerts?limit=200", "/concerts?limit=200", "/lectures", "/metrics"] {
        let began = Instant::now();
        stage.call(&Request::get(path))?;
        say(&format!("    GET {path}"), &format!("{:.1} ms", began.elapsed().as_secs_f64() * 1_000.0))?;
    }
    Ok(())
}

/// Waits until what is over is retired and dropped.
fn settle(program: &Program) -> Outcome<()> {
    let (began, mut before) = (Instant::now(), -1.0);
    while began.elapsed() < SETTLED_WITHIN {
        let metrics = Metrics::of(program.address())?;
        let dropped = metrics.number("retention_places_dropped_total")?;
        if metrics.number("waiting_room_rooms")? == 0.0 && dropped == before {
            break;
        }
        before = dropped;
        std::thread::sleep(Duration::from_secs(5));
    }
    say("    retired and dropped within", &seconds(began.elapsed()))
}

/// Runs a command to its end: how long it took, and the most megabytes that it had in memory.
fn run(program: &Path, arguments: &[&str], url: &str) -> Outcome<(Duration, f64)> {
    let began = Instant::now();
    let mut command = Command::new(program);
    command.args(arguments).env("ONSALE_DATABASE_URL", url).env("ONSALE_LOG", "warn");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let mut peak = 0.0_f64;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        peak = peak.max(most.unwrap_or(0.0) / 1024.0);
        std::thread::sleep(READ_EVERY);
    };
    match status.success() {
        true => Ok((began.elapsed(), peak)),
        false => Err(format!("onsale {} ended with {status}", arguments.join(" ")).into()),
    }
}
