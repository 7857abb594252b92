//! Raw batches: the same rows, written directly to SQLite. They show the cost of a write without the program.
//!
//! The rows are read from the file that the program wrote a moment before, so they have the same columns and sizes. They go into a new file with the program's schema and pragmas, with one prepared statement per row and
//! one transaction per batch. Nothing is parsed, loaded, decided or answered.

mod writes;

use std::path::Path;
use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::measure::{Measured, median};
use crate::results::BatchLine;
use crate::scale::Scale;

pub(crate) use writes::Write;
use writes::{Stream, When};

/// Same as in `crates/adapters/src/sqlite/connection.rs`.
const PRAGMAS: &str = "PRAGMA cache_size = -8192; PRAGMA temp_store = memory; PRAGMA foreign_keys = on;
    PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = 67108864;";

/// Maximum number of writes to repeat.
const ROWS_MAX: usize = 60_000;

const ROUNDS: usize = 3;

/// Sizes of a batch, as many writes as the program has connections.
const BATCHES: [usize; 2] = [64, 256];

/// Rows to write, by stream.
type Rows = Vec<Vec<Vec<Value>>>;

/// Writes the rows of a file again.
///
/// # Errors
/// If the file has too few rows for a comparison, or SQLite fails.
pub(crate) fn compare(
    scale: Scale,
    write: Write,
    work: &str,
    file: &Path,
    measured: &[Measured],
) -> Outcome<BatchLine> {
    let streams = write.streams();
    let again = file.with_file_name("raw.db");
    let db = Connection::open(&again)?;
    db.execute_batch(PRAGMAS)?;
    let rows = take_over(&db, file, write)?;
    let count = rows.iter().map(Vec::len).min().unwrap_or(0) / (ROUNDS * BATCHES.len() + 1);
    if count < scale.pick(BATCHES[1], BATCHES[1], 1) {
        return Err(format!("{work}: {count} rows per batch run are too few to compare").into());
    }
    // The first run only makes the WAL grow to its size, so that this is not measured.
    write_rows(&db, streams, &rows, 0..count, BATCHES[1])?;
    let mut from = count;
    let mut raw = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (rates, batch) in raw.iter_mut().zip(BATCHES) {
            let took = write_rows(&db, streams, &rows, from..from + count, batch)?;
            rates.push(count as f64 / took.as_secs_f64());
            from += count;
        }
    }
    drop(db);
    std::fs::remove_file(&again)?;
    let at = |index: usize| (measured[index].rate, median(raw[index].clone()));
    Ok(BatchLine { work: work.to_owned(), rates: [at(0), at(1)] })
}

/// The statements that created the program's tables and indexes, in the order of their creation.
fn schema(db: &Connection) -> Outcome<Vec<String>> {
    // The program's own tables only: SQLite creates its internal ones itself.
    let mut select = db.prepare(
        "SELECT sql FROM program.sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid",
    )?;
    Ok(select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Copies the schema and the rows that must exist before, and reads the rows to write.
fn take_over(db: &Connection, file: &Path, write: Write) -> Outcome<Rows> {
    db.execute("ATTACH ?1 AS program", [file.to_str().ok_or("the path of the file is not UTF-8")?])?;
    for statement in schema(db)? {
        db.execute_batch(&statement)?;
    }
    for parents in write.parents() {
        db.execute_batch(parents)?;
    }
    let mut all = Vec::new();
    for stream in write.streams() {
        let mut select = db.prepare(stream.select)?;
        let columns = select.column_count();
        let rows = select.query_map([ROWS_MAX], |row| (0..columns).map(|column| row.get(column)).collect())?;
        all.push(rows.collect::<Result<_, _>>()?);
    }
    db.execute_batch("DETACH program")?;
    Ok(all)
}

/// Writes some of the rows in batches. Returns the duration without the checkpoint after it, because the program does that on
/// another thread.
fn write_rows(
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
