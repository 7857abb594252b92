//! Errors of the database, and their meaning for callers.

use onsale_app::store::StoreError;
use tokio_postgres::error::{Severity, SqlState};

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DbError {
    #[error("{}", said(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// A stored value or an answer that cannot be read.
    #[error("the database holds {0}")]
    Broken(&'static str),
    /// A bug: a pipeline uses a statement that its session did not prepare.
    #[error("a statement was not prepared")]
    Unprepared,
    #[error("the database did not answer in time")]
    Late,
    /// Another connection found that the server stopped answering.
    #[error("the database stopped answering")]
    Silent,
    /// Another query on the same connection is slow: this one moves to another connection.
    #[error("the database is slow")]
    Behind,
    /// This query is slow, and the limit of slow queries is reached.
    #[error("the database is slow with this query, and the limit of slow queries is reached")]
    Slow,
    #[error("the database cannot be reached: {0}")]
    Away(String),
    /// A row is missing that this process has seen: the database is another one, or was restored to an older state.
    #[error("a row is missing that was there before")]
    Vanished,
}

/// The server's message with its SQLSTATE if it sent one, else the driver's message.
fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

impl DbError {
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Postgres(error) => error.code(),
            Self::Broken(_)
            | Self::Unprepared
            | Self::Late
            | Self::Silent
            | Self::Behind
            | Self::Slow
            | Self::Away(_)
            | Self::Vanished => None,
        }
    }

    /// Whether the server refused a statement and the connection is still good: the transaction is rolled back for certain.
    /// After any other error (a broken connection, a shutdown, a time-out) the outcome of earlier statements is unknown.
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Postgres(error) = self else {
            return matches!(self, Self::Broken(_) | Self::Unprepared | Self::Vanished);
        };
        error.as_db_error().is_some_and(|db| db.parsed_severity() == Some(Severity::Error))
    }

    pub(super) fn is_late(&self) -> bool {
        matches!(self, Self::Late)
    }

    pub(super) fn is_deadlock(&self) -> bool {
        self.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED)
    }

    /// The error for callers, if it is certain that nothing was committed.
    pub(super) fn undone(self) -> StoreError {
        let reason = self.to_string();
        let Some(code) = self.code() else {
            return match self {
                Self::Broken(_) | Self::Unprepared => StoreError::Rejected(reason),
                Self::Vanished => StoreError::Conflict(reason),
                Self::Postgres(_) | Self::Late | Self::Silent | Self::Behind | Self::Slow | Self::Away(_) => {
                    StoreError::Unavailable(reason)
                }
            };
        };
        match code.code() {
            // Another transaction was first (serialization failure, deadlock, unique violation): a retry may succeed.
            "40001" | "40P01" | "23505" => StoreError::Conflict(reason),
            "55P03" => StoreError::Locked(reason),
            // A cancelled statement (57014) and a server that takes no writes (25006); below, classes of missing resources
            // and shutdowns.
            "57014" | "25006" => StoreError::Unavailable(reason),
            other => match other.get(..2) {
                Some("08" | "53" | "57" | "58" | "25" | "XX") => StoreError::Unavailable(reason),
                _ => StoreError::Rejected(reason),
            },
        }
    }
}

impl From<DbError> for StoreError {
    fn from(error: DbError) -> Self {
        error.undone()
    }
}
