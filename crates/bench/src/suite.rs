//! The suites: groups of rows that share one table.

use crate::print::Heads;
use crate::row::Row;
use crate::{events, grown, opening, postgres, reads, room, server, staff};

/// A group of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    /// The program alone, on SQLite.
    Server,
    /// The program on Postgres.
    Postgres,
    /// What staff do during a sale, on SQLite and on Postgres.
    Staff,
    /// The waiting room on Redis and on Postgres.
    Room,
    /// Early entry, draws and best seats, on Postgres, Redis and SQLite.
    Opening,
    /// Reads that are cached in memory.
    Reads,
    /// Events on Postgres and Kafka.
    Events,
    /// A database after a year of sales next to a small one, on SQLite and on Postgres.
    Grown,
}

impl Suite {
    /// The suite of a word of the command line.
    pub(crate) fn named(word: &str) -> Option<Self> {
        let all = [Self::Postgres, Self::Staff, Self::Room, Self::Opening, Self::Reads, Self::Events, Self::Grown];
        all.into_iter().find(|suite| suite.name() == word)
    }

    /// Its name, which is also that of its file of raw output.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Postgres => "postgres",
            Self::Staff => "staff",
            Self::Room => "room",
            Self::Opening => "opening",
            Self::Reads => "reads",
            Self::Events => "events",
            Self::Grown => "grown",
        }
    }

    /// Its rows, in the order of the table.
    pub(crate) fn rows(self) -> &'static [Row] {
        match self {
            Self::Server => server::ROWS,
            Self::Postgres => postgres::ROWS,
            Self::Staff => staff::ROWS,
            Self::Room => room::ROWS,
            Self::Opening => opening::ROWS,
            Self::Reads => reads::ROWS,
            Self::Events => events::ROWS,
            Self::Grown => grown::ROWS,
        }
    }

    /// The notes below the table.
    pub(crate) fn notes(self) -> &'static str {
        match self {
            Self::Server => server::NOTES,
            Self::Postgres => postgres::NOTES,
            Self::Staff => staff::NOTES,
            Self::Room => room::NOTES,
            Self::Opening => opening::NOTES,
            Self::Reads => reads::NOTES,
            Self::Events => events::NOTES,
            Self::Grown => grown::NOTES,
        }
    }

    /// The name of the column of references.
    pub(crate) fn heads(self) -> Heads {
        if self == Self::Server { Heads::Empty } else { Heads::Mixed }
    }
}
