//! The skewed data of the sections about indexes, on Postgres and copied to SQLite.

use std::path::Path;

use onsale_load_generator::Outcome;
use onsale_testing::postgres::driver::{Client, SimpleQueryMessage};
use rusqlite::types::Value;

/// The statements that fill every table; `$ROWS` is the number of ledger entries.
const FILL: &str = include_str!("data.sql");

/// Fills an empty sale.
///
/// # Errors
/// If a statement fails.
pub(crate) async fn fill(sql: &Client, rows: u64) -> Outcome<()> {
    let filled = sql.batch_execute(&FILL.replace("$ROWS", &rows.to_string())).await;
    filled.map_err(|error| format!("the data cannot be written: {error:?}"))?;
    Ok(sql.batch_execute("VACUUM ANALYZE").await?)
}

/// The names of the first column that a query returns.
///
/// # Errors
/// If the query fails.
pub(crate) async fn column(sql: &Client, query: &str) -> Outcome<Vec<String>> {
    let messages = sql.simple_query(query).await.map_err(|error| format!("{query}: {error:?}"))?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Ok(rows.collect())
}

/// Rows that are copied to SQLite in one piece.
const PIECE: i64 = 20_000;

/// Copies every table of the sale that SQLite has too, with the columns that both have.
///
/// # Errors
/// If a row does not fit.
pub(crate) async fn copy(sql: &Client, file: &Path) -> Outcome<()> {
    let mut db = rusqlite::Connection::open(file)?;
    db.execute_batch("PRAGMA journal_mode = wal; PRAGMA synchronous = off; PRAGMA foreign_keys = off;")?;
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'onsale_schema%'";
    let tables: Vec<String> = db.prepare(tables)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for table in tables {
        let own: Vec<String> = db
            .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let types = format!(
            "SELECT attname || ' ' || format_type(atttypid, NULL) FROM pg_attribute
            WHERE attrelid = to_regclass('{table}') AND attnum > 0 AND NOT attisdropped"
        );
        let types = column(sql, &types).await?;
        let shared: Vec<(&str, &str)> = types
            .iter()
            .filter_map(|column| column.split_once(' '))
            .filter(|(name, _)| own.iter().any(|known| known == name))
            .collect();
        if !shared.is_empty() {
            copy_table(sql, &mut db, &table, &shared).await?;
        }
    }
    // No `ANALYZE`: the program never runs it on SQLite.
    Ok(db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?)
}

async fn copy_table(sql: &Client, db: &mut rusqlite::Connection, table: &str, columns: &[(&str, &str)]) -> Outcome<()> {
    let selected: Vec<String> = columns.iter().map(|(name, kind)| selected(name, kind)).collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let marks = vec!["?"; names.len()].join(", ");
    // Rows of parents that SQLite checks differently, such as wallets that were never used, are left out.
    let insert = format!("INSERT OR IGNORE INTO {table} ({}) VALUES ({marks})", names.join(", "));
    sql.batch_execute(&format!("BEGIN; DECLARE rows CURSOR FOR SELECT {} FROM {table}", selected.join(", "))).await?;
    loop {
        let rows = sql.query(&format!("FETCH {PIECE} FROM rows"), &[]).await?;
        if rows.is_empty() {
            break;
        }
        let transaction = db.transaction()?;
        let mut statement = transaction.prepare(&insert)?;
        for row in &rows {
            let values = columns.iter().enumerate().map(|(index, (_, kind))| match *kind {
                "uuid" | "bytea" => row.get::<_, Option<Vec<u8>>>(index).map_or(Value::Null, Value::Blob),
                "text" | "integer[]" | "bigint[]" => {
                    row.get::<_, Option<String>>(index).map_or(Value::Null, Value::Text)
                }
                _ => row.get::<_, Option<i64>>(index).map_or(Value::Null, Value::Integer),
            });
            statement.execute(rusqlite::params_from_iter(values))?;
        }
        drop(statement);
        transaction.commit()?;
    }
    Ok(sql.batch_execute("COMMIT").await?)
}

/// A column of Postgres as bytes, text or `bigint`.
fn selected(name: &str, kind: &str) -> String {
    match kind {
        "uuid" => format!("decode(replace({name}::text, '-', ''), 'hex')"),
        "integer[]" | "bigint[]" => format!("to_json({name})::text"),
        "boolean" => format!("{name}::integer::bigint"),
        "bytea" | "text" => name.to_owned(),
        _ => format!("{name}::bigint"),
    }
}
