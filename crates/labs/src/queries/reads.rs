//! The reads behind the calls of users, uncached: their plans and times on Postgres and on SQLite.

use std::time::Instant;

use onsale_load_generator::Outcome;
use onsale_report::Table;
use rusqlite::Connection;

use super::data;
use super::indexes::{Pair, millis, pair, prepare};
use super::probes::{READS, Read};
use super::source;
use super::stage::Stage;
use super::{Part, Size};

/// Executions on SQLite, of which the median counts.
const EXECUTIONS: usize = 51;

/// A read as both databases run it.
struct Measured {
    read: &'static Read,
    postgres: Pair,
    /// The plan in words, and the median.
    sqlite: Option<(String, f64)>,
}

async fn on_postgres(stage: &Stage, read: &Read) -> Outcome<Pair> {
    let statements = source::statements("postgres")?;
    stage.chill().await;
    let sql = stage.session().await;
    let prepared = prepare(&sql, source::named(&statements, read.statement)?, read.values).await?;
    sql.batch_execute("BEGIN").await?;
    pair(&sql, &prepared).await
}

fn on_sqlite(db: &Connection, read: &Read) -> Outcome<(String, f64)> {
    let statements = source::statements("sqlite")?;
    let statement = source::named(&statements, read.on_sqlite)?;
    let numbered = read.sqlite_values.iter().enumerate();
    let text =
        numbered.fold(statement.text.clone(), |text, (index, value)| text.replace(&format!("?{}", index + 1), value));
    let failed = |error: rusqlite::Error| format!("{}: {error}", read.on_sqlite);
    let plan: Vec<String> = db
        .prepare(&format!("EXPLAIN QUERY PLAN {text}"))
        .map_err(failed)?
        .query_map([], |row| row.get("detail"))?
        .collect::<Result<_, _>>()?;
    let mut prepared = db.prepare(&text).map_err(failed)?;
    let mut times = Vec::new();
    for _ in 0..EXECUTIONS {
        let began = Instant::now();
        let mut rows = prepared.query([])?;
        while rows.next()?.is_some() {}
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok((plan.join("; "), times[EXECUTIONS / 2]))
}

async fn measure(stage: &Stage, db: Option<&Connection>) -> Outcome<Vec<Measured>> {
    let mut all = Vec::new();
    for read in READS {
        let postgres = on_postgres(stage, read).await?;
        let sqlite = db.map(|db| on_sqlite(db, read)).transpose()?;
        all.push(Measured { read, postgres, sqlite });
    }
    Ok(all)
}

fn plan(pair: &Pair) -> String {
    pair.warm.paths.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// Both databases next to each other.
///
/// # Errors
/// If a server or a statement fails.
pub(crate) async fn part(stage: &Stage, size: &Size) -> Outcome<Part> {
    let folder = tempfile::Builder::new().prefix("onsale-labs-").tempdir()?;
    let file = folder.path().join("onsale.db");
    let launch = stage.launch().on(format!("sqlite://{}", file.display()));
    let made = launch.command(&["migrate"]).output().await?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).into());
    }
    data::copy(&stage.session().await, &file).await?;
    let db = Connection::open(&file)?;
    let mut table = Table::new(["read", "Postgres: cold ms", "warm ms", "blocks", "found by", "SQLite: ms", "plan"]);
    for Measured { read, postgres, sqlite } in measure(stage, Some(&db)).await? {
        let (words, time) = sqlite.ok_or("no plan")?;
        table.row([
            read.call.to_owned(),
            millis(postgres.cold.millis),
            millis(postgres.warm.millis),
            postgres.warm.blocks.to_string(),
            plan(&postgres),
            millis(time),
            words,
        ]);
    }
    let text = format!(
        "The same rows ({} ledger entries and the other tables in proportion) in both databases. Postgres: as in the tables\n\
        above, without the round trip to the server. SQLite: in the process, the median of {EXECUTIONS} executions.\n\n{table}\n",
        size.rows
    );
    Ok(Part { text, ..Part::default() })
}

/// What a read costs that is not answered from memory, for the page about caches.
///
/// # Errors
/// If a server or a statement fails.
pub(crate) async fn uncached(stage: &Stage, size: &Size) -> Outcome<Part> {
    let mut table = Table::new(["read", "answered from", "statement", "cold ms", "warm ms", "blocks", "found by"]);
    for Measured { read, postgres, .. } in measure(stage, None).await? {
        table.row([
            read.call.to_owned(),
            if read.is_kept { "memory" } else { "the database" }.to_owned(),
            format!("`{}`", read.statement),
            millis(postgres.cold.millis),
            millis(postgres.warm.millis),
            postgres.warm.blocks.to_string(),
            plan(&postgres),
        ]);
    }
    let text = format!("Postgres with {} ledger entries and the other tables in proportion.\n\n{table}\n", size.rows);
    Ok(Part { text, ..Part::default() })
}
