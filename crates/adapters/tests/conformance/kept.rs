//! Rows that are never changed again: triggers and constraints refuse it for every writer.

use crate::bed::{Bed, on_each_database};
use crate::stage::Stage;

/// Statements that no code of ours sends: an operator or a future defect might.
const REWRITES: &[&str] = &[
    "UPDATE ledger SET amount = amount + 1",
    "UPDATE ledger SET balance_after = 0",
    "DELETE FROM ledger",
    "UPDATE lecture_history SET seat_number = 9",
    "DELETE FROM lecture_history",
    "UPDATE payments SET amount = 0",
    "DELETE FROM payments",
    "UPDATE reservations SET status = 'HELD' WHERE status = 'PAID'",
    "DELETE FROM reservations",
    "UPDATE seats SET sold = NOT sold WHERE sold",
    "DELETE FROM seats WHERE sold",
    "UPDATE accounts SET balance = balance - 1000000",
    "UPDATE lectures SET enrolled = capacity + 1",
];

/// Why the database refused a statement; `None` if it did not.
async fn refusal(bed: &Bed, statement: &str) -> Option<String> {
    match bed {
        Bed::Sqlite { folder, .. } => {
            let db = rusqlite::Connection::open(folder.path().join("sale.db")).unwrap();
            db.execute(statement, []).err().map(|error| error.to_string())
        }
        Bed::Postgres(database) => {
            let refused = database.sql().await.execute(statement, &[]).await.err()?;
            Some(refused.as_db_error()?.message().to_owned())
        }
    }
}

async fn final_rows_cannot_be_changed(bed: Bed) {
    let store = bed.store().await;
    let stage = Stage::new(&*store).await;
    let before = stage.picture(&*store).await;
    for rewrite in REWRITES {
        let refused = refusal(&bed, rewrite).await.unwrap_or_default();
        let reason = refused.contains("never") || refused.to_lowercase().contains("check constraint");
        assert!(reason, "{rewrite}: {refused:?}");
    }
    stage.picture(&*store).await.assert_same(&before, "after what was refused");
}

on_each_database!(final_rows_cannot_be_changed);
