//! The inventory: every statement that a rush sends, with what it costs, and every one that the rush does not send, with the
//! reason.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_report::{BarChart, BarGroup, Table, number};
use serde_json::Value;

use super::counted::{self, Counters, Joined, Names};
use super::rush::{Crowd, Rush};
use super::source::{self, Statement};
use super::stage::Stage;
use super::unsent::UNSENT;
use super::{Part, Size};

/// How long the laboratory waits for statements that background tasks send.
const SENT_WITHIN: Duration = Duration::from_secs(60);

/// The pause between two reads of the counters.
const READ_EVERY: Duration = Duration::from_millis(250);

/// The part of the rush that was measured.
struct Measured {
    joined: Joined,
    /// For each statement of the code: the indexes and tables that its plans read.
    paths: BTreeMap<String, BTreeSet<String>>,
    elapsed: Duration,
}

/// Runs the rush twice: with the plan of each execution in the server's log, then without, to measure.
///
/// # Errors
/// If a server or the program fails.
pub(crate) async fn part(size: &Size) -> Outcome<Part> {
    let statements = source::statements("postgres")?;
    let stage = Stage::start(&size.program, size.is_synced).await?;
    let names = Names::of(&stage.sql, &statements).await?;
    stage.log_plans(true).await;
    let logged = stage.server.log().len();
    let tiny = Crowd { at_once: 8, buyers: 24, seats: 20 };
    let mut measured = rush(&stage, &names, &statements, tiny, "plans").await?;
    stage.log_plans(false).await;
    measured.paths = paths(&stage.server.log()[logged..], &names);
    if size.crowd.buyers > tiny.buyers {
        let Measured { joined, elapsed, .. } = rush(&stage, &names, &statements, size.crowd, "buyer").await?;
        measured = Measured { joined, elapsed, ..measured };
    }
    Ok(report(&measured, &statements, size.crowd))
}

/// One rush from the start of the instances to their end. Its counters begin at zero.
async fn rush(
    stage: &Stage,
    names: &Names<'_>,
    statements: &[Statement],
    crowd: Crowd,
    prefix: &str,
) -> Outcome<Measured> {
    let counters = stage.counters().await;
    counted::reset(&counters).await?;
    let rush = Arc::new(Rush::prepare(stage, crowd, prefix).await);
    let elapsed = rush.run(crowd).await;
    rush.corners(stage).await?;
    let began = std::time::Instant::now();
    let joined = loop {
        let joined = counted::join(&counted::read(&counters).await?, names);
        if missing(&joined, statements).is_empty() || began.elapsed() > SENT_WITHIN {
            break joined;
        }
        tokio::time::sleep(READ_EVERY).await;
    };
    if let Some(rush) = Arc::into_inner(rush) {
        rush.stop().await;
    }
    Ok(Measured { joined, paths: BTreeMap::new(), elapsed })
}

/// Statements of the code that were not sent, and that no reason excuses.
fn missing<'a>(joined: &Joined, statements: &'a [Statement]) -> Vec<&'a str> {
    let is_excused = |name: &str| UNSENT.iter().any(|(known, _)| *known == name);
    let all = statements.iter().map(|statement| statement.name.as_str());
    all.filter(|name| !joined.has(name) && !is_excused(name)).collect()
}

/// What the plans in a server's log read, by statement of the code.
fn paths(log: &str, names: &Names<'_>) -> BTreeMap<String, BTreeSet<String>> {
    let mut paths: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in log.split("plan:\n").skip(1) {
        // The lines of an entry are indented; the next entry begins without a tab.
        let json: String = entry.lines().map_while(|line| line.strip_prefix('\t')).collect::<Vec<_>>().join("\n");
        let Ok(plan) = serde_json::from_str::<Value>(&json) else { continue };
        let Some(text) = plan["Query Text"].as_str() else { continue };
        let mut read = BTreeSet::new();
        reads_of(&plan["Plan"], &mut read);
        for name in names.with_text(text) {
            paths.entry(name.to_owned()).or_default().extend(read.iter().cloned());
        }
    }
    paths
}

/// Adds the indexes and tables that a plan reads.
pub(crate) fn reads_of(plan: &Value, into: &mut BTreeSet<String>) {
    let name = |field: &str| plan[field].as_str().unwrap_or_default();
    match (name("Node Type"), name("Index Name"), name("Relation Name")) {
        ("Seq Scan", _, table) => drop(into.insert(format!("all of {table}"))),
        ("Tid Scan", _, table) => drop(into.insert(format!("address in {table}"))),
        (_, index, _) if !index.is_empty() => drop(into.insert(index.to_owned())),
        _ => {}
    }
    for part in plan["Plans"].as_array().into_iter().flatten() {
        reads_of(part, into);
    }
}

/// Sums of execution and planning, in milliseconds.
struct Times {
    all: f64,
    /// Without the statements that wait for the rows of other sessions.
    work: f64,
    planning: f64,
}

/// Whether a statement locks parents. Its time has the wait for the session that has them locked.
fn is_lock(name: &str, statements: &[Statement]) -> bool {
    let is_parent = |text: &str| text.contains("FOR NO KEY UPDATE") && !text.contains("SKIP LOCKED");
    statements.iter().any(|statement| statement.name == name && is_parent(&statement.text))
}

fn first(names: &str) -> &str {
    names.split(" = ").next().unwrap_or_default()
}

fn percent(part: f64, whole: f64) -> String {
    format!("{:.2}", part / whole.max(f64::MIN_POSITIVE) * 100.0)
}

fn report(measured: &Measured, statements: &[Statement], crowd: Crowd) -> Part {
    let Measured { joined, paths, elapsed } = measured;
    let mut rows: Vec<(&str, &Counters)> = joined.by_name.iter().map(|(name, of)| (name.as_str(), of)).collect();
    rows.extend(joined.of_other_parts.iter().map(|(name, of)| (*name, of)));
    rows.sort_by(|(_, a), (_, b)| b.time.total_cmp(&a.time));
    let works = || rows.iter().filter(|(name, _)| !is_lock(first(name), statements)).map(|(_, of)| of);
    let times = Times {
        all: rows.iter().map(|(_, of)| of.time).sum(),
        work: works().map(|of| of.time).sum(),
        planning: rows.iter().map(|(_, of)| of.planning).sum(),
    };
    let head = [
        "statement",
        "sent by",
        "calls",
        "% of time",
        "% of work",
        "mean ms",
        "plan ms",
        "max ms",
        "rows",
        "blocks",
        "read",
        "WAL bytes",
        "found by",
    ];
    let mut table = Table::new(head);
    for (name, of) in &rows {
        table.row(row(name, of, &times, statements, paths));
    }
    let mut reasons = Table::new(["statement", "not sent in a rush, because"]);
    for (name, reason) in UNSENT {
        reasons.row([*name, *reason]);
    }
    let calls: f64 = rows.iter().map(|(_, of)| of.calls).sum();
    let text = format!(
        "{} buyers at three instances in {:.1} s, then each other call and command. {} statements of the code and {} of the\n\
        server and the driver were sent, in {} calls. They took {} ms to execute: {} % in statements that lock parents, which\n\
        wait for other lanes, and {} ms of work. They took {} ms to plan.\n\n\
        `% of work` leaves the locks out. `rows`, `blocks` (found in memory), `read` (from the disk), `plan ms` and\n\
        `WAL bytes` are per call.\n\n{table}\n\
        ### Not sent in a rush\n\n{reasons}\n",
        crowd.buyers,
        elapsed.as_secs_f64(),
        joined.by_name.len(),
        joined.of_other_parts.len(),
        number(calls),
        number(times.all),
        percent(times.all - times.work, times.all),
        number(times.work),
        number(times.planning),
    );
    let chart = chart(&rows, statements);
    Part { text, charts: vec![("work.svg", chart.svg())], alarms: alarms(joined, statements) }
}

/// The statements with the most work, without locks.
fn chart(rows: &[(&str, &Counters)], statements: &[Statement]) -> BarChart {
    let mut works: Vec<_> = rows.iter().filter(|(name, _)| !is_lock(first(name), statements)).collect();
    works.sort_by(|(_, a), (_, b)| (b.time + b.planning).total_cmp(&(a.time + a.planning)));
    let groups = works.into_iter().take(15).map(|(name, of)| BarGroup {
        label: first(name).to_owned(),
        values: vec![of.time, of.planning],
        mark: None,
    });
    BarChart {
        title: "Work of the database in a rush, by statement".to_owned(),
        unit: "ms in all".to_owned(),
        series: vec!["executing".to_owned(), "planning".to_owned()],
        mark: String::new(),
        groups: groups.collect(),
    }
}

fn row(
    name: &str,
    of: &Counters,
    times: &Times,
    statements: &[Statement],
    paths: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<String> {
    let first = first(name);
    let sender =
        statements.iter().find(|statement| statement.name == first).map_or("server", |known| known.sender.word());
    let read = paths.get(first).map(|read| read.iter().cloned().collect::<Vec<_>>().join(", ")).unwrap_or_default();
    vec![
        name.to_owned(),
        sender.to_owned(),
        count(of.calls),
        percent(of.time, times.all),
        if is_lock(first, statements) { "–".to_owned() } else { percent(of.time, times.work) },
        format!("{:.3}", of.per_call(of.time)),
        format!("{:.3}", of.per_call(of.planning)),
        format!("{:.2}", of.longest),
        format!("{:.1}", of.per_call(of.rows)),
        format!("{:.1}", of.per_call(of.blocks_hit)),
        format!("{:.2}", of.per_call(of.blocks_read)),
        format!("{:.0}", of.per_call(of.wal_bytes)),
        if read.is_empty() { "–".to_owned() } else { read },
    ]
}

/// A number of calls, with thousands separated.
fn count(calls: f64) -> String {
    if calls < 1_000.0 { format!("{calls:.0}") } else { number(calls) }
}

/// What is wrong with the inventory itself.
fn alarms(joined: &Joined, statements: &[Statement]) -> Vec<String> {
    let unknown = joined.unknown.iter().map(|text| format!("the code has no such statement: {text}"));
    let missing = missing(joined, statements).into_iter().map(|name| format!("never sent: {name}"));
    let is_there = |name: &str| statements.iter().any(|statement| statement.name == name);
    let gone = UNSENT.iter().filter(|(name, _)| !is_there(name)).map(|(name, _)| format!("the code has no {name}"));
    unknown.chain(missing).chain(gone).collect()
}
