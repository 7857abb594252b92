//! What the database's errors mean.

use onsale_app::store::StoreError;
use tokio_postgres::error::{Severity, SqlState};

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DbError {
    #[error("{}", said(.0))]
    Postgres(#[from] tokio_postgres::Error),
    #[error("the database holds {0}")]
    Broken(&'static str),
    #[error("the database did not answer in time")]
    Late,
    /// Found by another connection.
    #[error("the database fell silent")]
    Silent,
    /// Another question on the same connection is slow.
    #[error("the database is slow")]
    Behind,
    /// This query is slow, and the limit of slow queries is reached.
    #[error("the database is slow with this query, and the limit of slow queries is reached")]
    Slow,
    #[error("the database cannot be reached: {0}")]
    Away(String),
    /// A wallet that was there once is there no longer: the database is another, or an older one.
    #[error("a row is missing that was there before")]
    Vanished,
}

/// The database's own words where there are any.
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
            | Self::Late
            | Self::Silent
            | Self::Behind
            | Self::Slow
            | Self::Away(_)
            | Self::Vanished => None,
        }
    }

    /// Whether the server said no to a statement and goes on: the transaction is rolled back, and nobody need ask.
    /// Anything else (a cut, a shutdown, silence) says nothing of what was sent before it.
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Postgres(error) = self else { return matches!(self, Self::Broken(_) | Self::Vanished) };
        error.as_db_error().is_some_and(|db| db.parsed_severity() == Some(Severity::Error))
    }

    pub(super) fn is_late(&self) -> bool {
        matches!(self, Self::Late)
    }

    pub(super) fn is_deadlock(&self) -> bool {
        self.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED)
    }

    /// An error of which it is known that nothing was done.
    pub(super) fn undone(self) -> StoreError {
        let reason = self.to_string();
        let Some(code) = self.code() else {
            return match self {
                Self::Broken(_) => StoreError::Rejected(reason),
                Self::Vanished => StoreError::Conflict(reason),
                Self::Postgres(_) | Self::Late | Self::Silent | Self::Behind | Self::Slow | Self::Away(_) => {
                    StoreError::Unavailable(reason)
                }
            };
        };
        match code.code() {
            // Others were first: the same again may succeed.
            "40001" | "40P01" | "23505" => StoreError::Conflict(reason),
            "55P03" => StoreError::Locked(reason),
            // The server lacks something or is going down.
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
