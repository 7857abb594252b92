//! The suite of a year of data: what it costs an idle server, and how long each command takes on it.
//!
//! Full size: 10,000 past concerts, 2 million reservations, 5 million ledger entries, 10 million events. `quick`: as many
//! concerts, a hundredth of the rest.

mod fill;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use onsale_load_generator::{Admin, Outcome, Program, Request};

use crate::machine::{Machine, Metrics};
use crate::results::{Results, Target};
use crate::row::{Row, Work, row};
use fill::{Dialect, Size};

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row("year-sqlite", "a year in a file: start, idle costs, commands", Target::NONE, sqlite),
    row("year-postgres", "a year on Postgres: start, idle costs, commands", Target::NONE, postgres),
];

/// The notes below the table.
pub(crate) const NOTES: &str = "\
start: until the first line of output. idle: processor time of the server, of all processes of Postgres, and what was written,
within a minute without requests. Commands: time until their end, and the most memory.";

/// The first server of a row, for comparison.
const EMPTY: &str = "an empty sale, for comparison";

/// How long an idle server is measured.
const IDLE: Duration = Duration::from_secs(60);

/// The longest that rooms and places of the past may take to be retired and dropped before the server counts as idle.
const SETTLED_WITHIN: Duration = Duration::from_secs(1_200);

/// How often the memory of a command is read.
const READ_MEMORY_EVERY: Duration = Duration::from_millis(10);

/// How often the progress of retiring is read.
const READ_PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// After this long without a retired room or a dropped place, nothing is left to retire.
const QUIET: Duration = Duration::from_secs(30);

/// Adds a line of the report: what was measured, and the value.
fn report(results: &mut Results, what: &str, value: &str) {
    results.remark(format!("{what:<44} {value}"));
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn megabytes(program: &Program) -> Outcome<String> {
    Ok(format!("{:.1} MB", program.kilobytes("VmRSS")? as f64 / 1_024.0))
}

/// The database of a sale.
struct Sale<'a> {
    name: &'static str,
    url: String,
    /// Processor time of the database server so far.
    process_time: Box<dyn Fn() -> Duration + 'a>,
    /// What the database has written so far, in words.
    written: Box<dyn Fn() -> Outcome<String> + 'a>,
}

fn sqlite(machine: &Machine, _: Target) -> Outcome<Work<'_>> {
    let folder = tempfile::Builder::new().prefix("onsale-year-").tempdir()?;
    let file = folder.path().join("onsale.db");
    let log = folder.path().join("onsale.db-wal");
    Ok(Box::new(move |results| {
        let written = || Ok(format!("{} bytes of log", std::fs::metadata(&log).map_or(0, |log| log.len())));
        let process_time = Box::new(|| Duration::ZERO);
        let url = format!("sqlite://{}", file.display());
        let sale = Sale { name: "sqlite", url, process_time, written: Box::new(written) };
        serve(machine, EMPTY, &sale, results)?;
        let began = Instant::now();
        let db = rusqlite::Connection::open(&file)?;
        db.execute_batch("PRAGMA journal_mode = wal; PRAGMA synchronous = off; PRAGMA wal_autocheckpoint = 100000;")?;
        for statement in fill::statements(Dialect::Sqlite, Size::of(machine.scale)) {
            db.execute_batch(&statement).map_err(|error| format!("{statement}: {error}"))?;
        }
        db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        drop(db);
        report(results, "sqlite: filled in", &seconds(began.elapsed()));
        measure(machine, &sale, results)?;
        Ok(folder.close()?)
    }))
}

fn postgres(machine: &Machine, _: Target) -> Outcome<Work<'_>> {
    let postgres = machine.postgres()?;
    let database = postgres.database()?;
    Ok(Box::new(move |results| {
        let written = || {
            let counted = "SELECT format('%s transactions, log at %s', (SELECT xact_commit FROM pg_stat_database
                WHERE datname = current_database()), pg_current_wal_insert_lsn() - '0/0')";
            postgres.query(&database, counted)
        };
        let process_time = Box::new(|| postgres.process_time());
        let url = postgres.url(&database);
        let sale = Sale { name: "postgres", url, process_time, written: Box::new(written) };
        serve(machine, EMPTY, &sale, results)?;
        let began = Instant::now();
        for statement in fill::statements(Dialect::Postgres, Size::of(machine.scale)) {
            postgres.execute(&database, &statement)?;
        }
        postgres.settle(&database)?;
        report(results, "postgres: filled in", &seconds(began.elapsed()));
        measure(machine, &sale, results)
    }))
}

/// Measures the server first, then each command.
fn measure(machine: &Machine, sale: &Sale<'_>, results: &mut Results) -> Outcome<()> {
    let Sale { name, url, .. } = sale;
    for start in ["first start", "start after past rooms were retired"] {
        serve(machine, start, sale, results)?;
    }
    for command in [&["migrate"][..], &["events", "--state", "dead"], &["events"], &["audit"]] {
        let (time, megabytes) = run(machine.program(), command, url)?;
        let value = format!("{}, {megabytes:.0} MB", seconds(time));
        report(results, &format!("{name}: onsale {}", command.join(" ")), &value);
    }
    Ok(())
}

/// Starts a server, calls it, and measures what it costs while no client calls it.
fn serve(machine: &Machine, start: &str, sale: &Sale<'_>, results: &mut Results) -> Outcome<()> {
    let Sale { name, url, process_time, written } = sale;
    let began = Instant::now();
    let environment = [("ONSALE_DATABASE_URL", url.as_str())];
    let mut program = Program::start_with(machine.program(), &["serve", "--log", "warn"], &environment)?;
    report(results, &format!("{name}: {start}"), &seconds(began.elapsed()));
    report(results, "    memory", &megabytes(&program)?);
    calls(&program, results)?;
    wait_until_retired(machine, &program, results)?;
    let (own, database, before) = (program.process_time()?, process_time(), written()?);
    std::thread::sleep(machine.scale.pick(IDLE, IDLE, Duration::from_millis(100)));
    let (own, database) = (program.process_time()? - own, process_time() - database);
    report(results, "    idle for a minute: server, database", &format!("{}, {}", seconds(own), seconds(database)));
    report(results, "    written before, after", &format!("{before}; {}", written()?));
    report(results, "    memory", &megabytes(&program)?);
    program.stop()?;
    Ok(())
}

fn calls(program: &Program, results: &mut Results) -> Outcome<()> {
    let admin = Admin::of(program.address());
    for path in ["/readyz", "/concerts?limit=200", "/concerts?limit=200", "/lectures", "/metrics"] {
        let began = Instant::now();
        admin.call(&Request::get(path))?;
        let millis = began.elapsed().as_secs_f64() * 1e3;
        report(results, &format!("    GET {path}"), &format!("{millis:.1} ms"));
    }
    Ok(())
}

/// Waits until the rooms and places of the past are retired and dropped: until nothing changed for a while.
fn wait_until_retired(machine: &Machine, program: &Program, results: &mut Results) -> Outcome<()> {
    let quiet = machine.scale.pick(QUIET, QUIET, Duration::from_millis(500));
    let (began, mut changed, mut before) = (Instant::now(), Instant::now(), None);
    while began.elapsed() < SETTLED_WITHIN && changed.elapsed() < quiet {
        let metrics = Metrics::of(program.address())?;
        let progress = (metrics.number("waiting_room_rooms")?, metrics.number("retention_places_dropped_total")?);
        if before.replace(progress) != Some(progress) {
            changed = Instant::now();
        }
        std::thread::sleep(READ_PROGRESS_EVERY);
    }
    report(results, "    retired and dropped within", &seconds(changed.duration_since(began)));
    Ok(())
}

/// Runs a command until it ends. Returns how long it took, and the most memory that it used, in megabytes.
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
        std::thread::sleep(READ_MEMORY_EVERY);
    };
    match status.success() {
        true => Ok((began.elapsed(), peak)),
        false => Err(format!("onsale {} ended with {status}", arguments.join(" ")).into()),
    }
}
