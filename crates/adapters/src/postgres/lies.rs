//! Where rows lie in their tables, so that a hot row is found without a look at its older versions.
//!
//! Each change of a row leaves a version behind, which the server clears away at once unless another transaction may
//! still see it. While a backup or an audit keeps a snapshot open, thousands of versions of a hot row pile up, and every
//! lookup by key goes through all of them. A lookup by the place of the newest version (`ctid`) does not.
//!
//! A locked row does not move, so what locked it knows the place for the update. After that, a lane remembers the place
//! of rows that it changed alone in their table: those are hot. A place is a hint for the lock: the key is compared too,
//! and a row that has moved meanwhile is looked up by its key.

use std::collections::HashMap;
use std::error::Error;
use std::hash::Hash;

use bytes::{BufMut, BytesMut};
use onsale_domain::ids::{ConcertId, LectureId, PerformanceId, UserId};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use super::session::Pipeline;
use super::values::{Param, Sql, get};

/// The most rows of a table of which a lane remembers the place. One more, and all are forgotten.
const HOT_MAX: usize = 256;

/// A place in a table: page and line, as the server writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tid([u8; 6]);

impl<'a> FromSql<'a> for Tid {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw.try_into()?))
    }

    accepts!(TID);
}

impl ToSql for Tid {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    accepts!(TID);
    to_sql_checked!();
}

/// The addresses of the rows of one table.
#[derive(Debug)]
pub(super) struct Lies<K> {
    /// Rows that the unit under way has locked.
    locked: HashMap<K, Tid>,
    /// Rows that this lane changed alone in their table.
    hot: HashMap<K, Tid>,
}

impl<K> Default for Lies<K> {
    fn default() -> Self {
        Self { locked: HashMap::new(), hot: HashMap::new() }
    }
}

impl<K: Eq + Hash + Clone> Lies<K> {
    /// The last known address of the one row that a unit needs.
    pub(super) fn near<'k>(&self, mut keys: impl Iterator<Item = &'k K>) -> Option<Tid>
    where
        K: 'k,
    {
        let only = keys.next()?;
        if keys.next().is_some() { None } else { self.hot.get(only).copied() }
    }

    /// A row was locked; its place stands in this column.
    pub(super) fn lock(&mut self, key: K, row: &Row, column: usize) -> Sql<()> {
        self.locked.insert(key, get(row, column)?);
        Ok(())
    }

    fn remember(&mut self, key: K, tid: Tid) {
        if self.hot.len() >= HOT_MAX {
            self.hot.clear();
        }
        self.hot.insert(key, tid);
    }
}

/// The addresses of the rows of all parents.
#[derive(Debug, Default)]
pub(super) struct AllLies {
    pub(super) accounts: Lies<UserId>,
    pub(super) lectures: Lies<LectureId>,
    pub(super) rooms: Lies<ConcertId>,
    pub(super) performances: Lies<PerformanceId>,
}

impl AllLies {
    /// A unit begins: nothing is locked yet.
    pub(super) fn begin(&mut self) {
        self.accounts.locked.clear();
        self.lectures.locked.clear();
        self.rooms.locked.clear();
        self.performances.locked.clear();
    }
}

/// Statements that lock rows by key, in order, and one row at a place where it may lie (`$2`), or else by key. The place
/// is the last column.
macro_rules! locks {
    ($table:literal, $key:literal, $columns:literal) => {
        [
            concat!(
                "SELECT ",
                $columns,
                ", ctid FROM ",
                $table,
                " WHERE ",
                $key,
                " = ANY ($1) ORDER BY ",
                $key,
                " FOR NO KEY UPDATE"
            ),
            concat!(
                "WITH near AS MATERIALIZED (SELECT ",
                $columns,
                ", ctid AS lies FROM ",
                $table,
                " WHERE ctid = $2 AND ",
                $key,
                " = ANY ($1) FOR NO KEY UPDATE),
                far AS MATERIALIZED (SELECT ",
                $columns,
                ", ctid AS lies FROM ",
                $table,
                " WHERE ",
                $key,
                " = ANY ($1) AND NOT EXISTS (SELECT FROM near) FOR NO KEY UPDATE)
                SELECT * FROM near UNION ALL SELECT * FROM far"
            ),
        ]
    };
}
pub(super) use locks;

/// Statements that change locked rows: by key, and where they lie (the last array). The second fails if it does not find
/// each of them, and returns where the row lies now if it is one.
macro_rules! updates {
    ($table:literal, $key:literal, $set:literal, $arrays:literal, $lies:literal, $columns:literal) => {
        [
            concat!(
                "UPDATE ",
                $table,
                " SET ",
                $set,
                " FROM unnest(",
                $arrays,
                ") v (",
                $columns,
                ") WHERE ",
                $table,
                ".",
                $key,
                " = v.",
                $key
            ),
            concat!(
                "WITH changed AS (UPDATE ",
                $table,
                " SET ",
                $set,
                " FROM unnest(",
                $arrays,
                ", ",
                $lies,
                "::tid[]) v (",
                $columns,
                ", lies) WHERE ",
                $table,
                ".ctid = v.lies AND ",
                $table,
                ".",
                $key,
                " = v.",
                $key,
                " RETURNING ",
                $table,
                ".ctid AS lies)
                SELECT 1 / (count(*) = cardinality($1))::integer, min(lies) FROM changed"
            ),
        ]
    };
}
pub(super) use updates;

/// Changes rows, with statements of [`updates`]: where they lie if all of them were locked by this unit.
pub(super) fn update<'a, K: Eq + Hash + Clone + Send>(
    pipeline: &mut Pipeline<'a, ()>,
    [by_key, lying]: [&'static str; 2],
    rows: Option<Vec<Param<'a>>>,
    mut keys: Vec<K>,
    lies: &'a mut Lies<K>,
) {
    let Some(mut rows) = rows else { return };
    let Some(tids) = keys.iter().map(|key| lies.locked.get(key).copied()).collect::<Option<Vec<Tid>>>() else {
        return pipeline.tell(by_key, rows);
    };
    rows.push(Box::new(tids));
    let only = if keys.len() == 1 { keys.pop() } else { None };
    pipeline.ask(lying, rows, move |found, ()| {
        if let (Some(key), Some(row)) = (only, found.first())
            && let Some(tid) = get::<Option<Tid>>(row, 1)?
        {
            lies.remember(key, tid);
        }
        Ok(())
    });
}
