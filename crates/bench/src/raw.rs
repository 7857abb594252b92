//! The same rows, written directly to SQLite in batches: the cost of a write without the program.
//!
//! The rows are those that the program wrote a moment before, read from its file, so they have the same
//! columns and sizes. They go into a new file with the program's schema and pragmas, with one prepared statement per row and
//! one transaction per batch. Nothing is read, decided, parsed or answered.

mod kinds;

use std::path::Path;
use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::measure::{Measured, median};
use crate::table::grouped;

pub(crate) use kinds::Kind;
use kinds::{Stream, When};

/// The program's schema.
const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../adapters/src/sqlite/migrations/0001_sale.sql");

/// Same as in `crates/adapters/src/sqlite/connection.rs`.
const PRAGMAS: &str = "PRAGMA cache_size = -8192; PRAGMA temp_store = memory; PRAGMA foreign_keys = on;
    PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = 67108864;";

/// Maximum number of rows of each kind to write again.
const ROWS_MAX: usize = 60_000;

const ROUNDS: usize = 3;

/// One of the two sizes of a batch.
const BATCHES: [usize; 2] = [64, 256];

/// The result for a kind of write.
#[derive(Clone, Debug)]
pub(crate) struct RawLine {
    work: String,
    /// Writes per second: the program with as many connections as the batch has rows, and the raw batches.
    rates: [(f64, f64); 2],
}

/// Rows to write, by stream.
type Rows = Vec<Vec<Vec<Value>>>;

/// Writes a file's rows again, without the program.
pub(crate) fn compare(kind: Kind, work: &str, file: &Path, measured: &[Measured]) -> Outcome<RawLine> {
    let streams = kind.streams();
    let again = file.with_file_name("raw.db");
    let db = Connection::open(&again)?;
    db.execute_batch(PRAGMAS)?;
    db.execute_batch(&std::fs::read_to_string(SCHEMA)?)?;
    let rows = take_over(&db, file, kind, streams)?;
    let count = rows.iter().map(Vec::len).min().unwrap_or(0) / (ROUNDS * BATCHES.len() + 1);
    if count < BATCHES[1] {
        return Err(format!("{work}: too few rows to write again ({count})").into());
    }
    // The first part only grows the WAL to its size, so that growing is not measured.
    write(&db, streams, &rows, 0..count, BATCHES[1])?;
    let mut from = count;
    let mut raw = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (rates, batch) in raw.iter_mut().zip(BATCHES) {
            let took = write(&db, streams, &rows, from..from + count, batch)?;
            rates.push(count as f64 / took.as_secs_f64());
            from += count;
        }
    }
    drop(db);
    std::fs::remove_file(&again)?;
    let at = |index: usize| (measured[index].rate, median(raw[index].clone()));
    Ok(RawLine { work: work.to_owned(), rates: [at(0), at(1)] })
}

/// Copies the parent rows, and reads the rows to write.
fn take_over(db: &Connection, file: &Path, kind: Kind, streams: &[Stream]) -> Outcome<Rows> {
    db.execute("ATTACH ?1 AS program", [file.to_str().ok_or("an odd path")?])?;
    for parents in kind.parents() {
        db.execute_batch(parents)?;
    }
    let mut all = Vec::new();
    for stream in streams {
        let mut select = db.prepare(stream.select)?;
        let columns = select.column_count();
        let rows = select.query_map([ROWS_MAX], |row| (0..columns).map(|column| row.get(column)).collect())?;
        all.push(rows.collect::<Result<_, _>>()?);
    }
    db.execute_batch("DETACH program")?;
    Ok(all)
}

/// Writes some of the rows in batches. The checkpoint after it is not counted, because the program does it on another thread.
fn write(
    db: &Connection,
    streams: &[Stream],
    rows: &Rows,
    range: std::ops::Range<usize>,
    batch: usize,
) -> Outcome<Duration> {
    let began = Instant::now();
    let mut from = range.start;
    while from < range.end {
        let until = (from + batch).min(range.end);
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for (stream, rows) in streams.iter().zip(rows) {
            let first = match stream.when {
                When::EachWrite => from,
                When::EachBatch => until - 1,
            };
            let mut statement = db.prepare_cached(stream.write)?;
            for row in &rows[first..until] {
                statement.execute(params_from_iter(row))?;
            }
        }
        db.prepare_cached("COMMIT")?.execute([])?;
        from = until;
    }
    let took = began.elapsed();
    db.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))?;
    Ok(took)
}

/// All comparisons.
pub(crate) fn table(lines: &[RawLine]) -> String {
    let mut text = format!(
        "The same rows in raw batches straight into SQLite, writes a second (share: what the program keeps of it)\n\
         {:<36}{:>12}{:>12}{:>8}{:>14}{:>12}{:>8}\n",
        "", "64 conns", "raw 64", "share", "256 conns", "raw 256", "share"
    );
    for RawLine { work, rates: [(few, few_raw), (many, many_raw)] } in lines {
        text.push_str(&format!(
            "{work:<36}{:>12}{:>12}{:>8.3}{:>14}{:>12}{:>8.3}\n",
            grouped(*few),
            grouped(*few_raw),
            few / few_raw,
            grouped(*many),
            grouped(*many_raw),
            many / many_raw
        ));
    }
    text
}
