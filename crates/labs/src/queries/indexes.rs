//! Before and after: each index's statement with the index, and without it in a transaction that is rolled back.

use std::collections::BTreeSet;

use onsale_load_generator::Outcome;
use onsale_report::{BarChart, BarGroup, Table};
use onsale_testing::postgres::driver::Client;
use serde_json::Value;

use super::counted::explained;
use super::data::column;
use super::inventory::reads_of;
use super::probes::{PROBES, Probe};
use super::source::{self, Statement};
use super::stage::Stage;
use super::{Part, Size};

/// Warm executions, of which the median counts.
const WARM: usize = 5;

/// With fewer ledger entries a table may be so small that reading all of it is right.
const LARGE: u64 = 100_000;

/// One execution of a statement.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) millis: f64,
    /// Blocks of 8 KiB, found in memory or read.
    pub(crate) blocks: u64,
    /// Indexes and tables that the plan reads.
    pub(crate) paths: BTreeSet<String>,
}

/// A first execution, and the median of those after it.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) cold: Seen,
    pub(crate) warm: Seen,
}

/// Runs a prepared statement once, and undoes what it changed. Must be called inside a transaction.
///
/// # Errors
/// If it fails.
pub(crate) async fn execute(sql: &Client, prepared: &str) -> Outcome<Seen> {
    sql.batch_execute("SAVEPOINT probe").await?;
    let plan = explained(sql, &format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {prepared}")).await?;
    sql.batch_execute("ROLLBACK TO probe").await?;
    let (plan, millis) = (&plan[0]["Plan"], plan[0]["Execution Time"].as_f64().unwrap_or_default());
    let mut paths = BTreeSet::new();
    reads_of(plan, &mut paths);
    Ok(Seen { millis, blocks: blocks(plan), paths })
}

/// Blocks of a plan: its own count has those of its parts, but for statements in `WITH` that write.
fn blocks(plan: &Value) -> u64 {
    let of = |field: &str| plan[field].as_u64().unwrap_or_default();
    let parts = plan["Plans"].as_array().into_iter().flatten().map(blocks).sum();
    (of("Shared Read Blocks") + of("Shared Hit Blocks")).max(parts)
}

/// Runs a prepared statement several times.
///
/// # Errors
/// If it fails.
pub(crate) async fn pair(sql: &Client, prepared: &str) -> Outcome<Pair> {
    let cold = execute(sql, prepared).await?;
    let mut warm = Vec::new();
    for _ in 0..WARM {
        warm.push(execute(sql, prepared).await?);
    }
    warm.sort_by(|a, b| a.millis.total_cmp(&b.millis));
    Ok(Pair { cold, warm: warm.swap_remove(WARM / 2) })
}

/// Prepares a statement as `probe` in a session with the settings of its sender. Returns how it is executed.
///
/// # Errors
/// If the server refuses it.
pub(crate) async fn prepare(sql: &Client, statement: &Statement, values: &str) -> Outcome<String> {
    sql.batch_execute(&source::settings(statement.sender)?).await?;
    // The command sets this itself (`event::BY_INDEX`).
    if statement.name == "event::FIRST_SINCE" {
        sql.batch_execute("SET enable_seqscan = off").await?;
    }
    let prepared = sql.batch_execute(&format!("PREPARE probe AS {}", statement.text)).await;
    prepared.map_err(|error| format!("{}: {error:?}", statement.name))?;
    Ok(format!("EXECUTE probe {values}"))
}

/// What a probe measured with its index and without it.
struct Compared {
    with: Pair,
    without: Pair,
}

async fn compare(stage: &Stage, probe: &Probe, statement: &Statement, rows: u64) -> Outcome<Compared> {
    let values = super::with_rows(probe.values, rows);
    let mut pairs = Vec::new();
    for is_dropped in [false, true] {
        // Nothing is in the server's memory after a start. The operating system may still have the pages.
        stage.chill().await;
        let sql = stage.session().await;
        let prepared = prepare(&sql, statement, &values).await?;
        sql.batch_execute("BEGIN").await?;
        if is_dropped {
            sql.batch_execute(&format!("DROP INDEX {}", probe.index)).await?;
        }
        pairs.push(pair(&sql, &prepared).await?);
        sql.batch_execute("ROLLBACK").await?;
    }
    let (without, with) = (pairs.pop().ok_or("no pair")?, pairs.pop().ok_or("no pair")?);
    Ok(Compared { with, without })
}

/// Every index of the sale but the primary keys.
const INDEXES: &str = "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE NOT indisprimary AND relnamespace = 'public'::regnamespace ORDER BY 1";

/// Measures each index. Alarms if an index has no statement, or its statement does not use it.
///
/// # Errors
/// If a server or a statement fails.
pub(crate) async fn part(stage: &Stage, size: &Size) -> Outcome<Part> {
    let statements = source::statements("postgres")?;
    let mut part = Part::default();
    let there = column(&stage.session().await, INDEXES).await?;
    let unprobed = there.iter().filter(|index| !PROBES.iter().any(|probe| probe.index == **index));
    part.alarms.extend(unprobed.map(|index| format!("the index {index} has no statement that needs it")));
    let head = [
        "index",
        "statement",
        "with: cold ms",
        "warm ms",
        "blocks",
        "without: cold ms",
        "warm ms",
        "blocks",
        "reads instead",
        "× slower warm",
    ];
    let (mut table, mut bars) = (Table::new(head), Vec::new());
    for probe in PROBES {
        if probe.statement.is_empty() {
            table.row([probe.index, "keeps rows unique", "–", "–", "–", "–", "–", "–", "", "–"]);
            continue;
        }
        let statement = source::named(&statements, probe.statement)?;
        let Compared { with, without } = compare(stage, probe, statement, size.rows).await?;
        if size.rows >= LARGE && !with.warm.paths.contains(probe.index) {
            let read: Vec<&str> = with.warm.paths.iter().map(String::as_str).collect();
            part.alarms.push(format!("{} does not use {}, but {}", probe.statement, probe.index, read.join(", ")));
        }
        let instead: Vec<&str> = without.warm.paths.difference(&with.warm.paths).map(String::as_str).collect();
        let ratio = without.warm.millis / with.warm.millis.max(0.001);
        table.row([
            probe.index.to_owned(),
            probe.statement.to_owned(),
            millis(with.cold.millis),
            millis(with.warm.millis),
            with.warm.blocks.to_string(),
            millis(without.cold.millis),
            millis(without.warm.millis),
            without.warm.blocks.to_string(),
            instead.join(", "),
            format!("{ratio:.1}"),
        ]);
        bars.push(BarGroup {
            label: probe.index.to_owned(),
            values: vec![with.warm.millis, without.warm.millis],
            mark: None,
        });
    }
    part.text = format!(
        "{} ledger entries and the other tables in proportion. Each statement as the program sends it, with the settings\n\
        of the connection that sends it. Cold: the first execution after a start of the server. Warm: the median of {WARM}\n\
        executions after it. Blocks of 8 KiB are those of a warm execution.\n\n{table}\n",
        size.rows
    );
    let chart = BarChart {
        title: "A statement with its index and without it, warm".to_owned(),
        unit: "ms".to_owned(),
        series: vec!["with the index".to_owned(), "without".to_owned()],
        mark: String::new(),
        groups: bars,
    };
    part.charts.push(("indexes.svg", chart.svg()));
    Ok(part)
}

/// Milliseconds with three digits that count.
pub(crate) fn millis(millis: f64) -> String {
    match millis {
        ..1.0 => format!("{millis:.3}"),
        ..100.0 => format!("{millis:.1}"),
        _ => format!("{millis:.0}"),
    }
}
