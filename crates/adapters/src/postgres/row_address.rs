//! Physical addresses (`ctid`) of rows, so that a hot row is found without reading its older versions.
//!
//! Each update leaves an old version of the row behind. The server removes it at once unless another transaction may still
//! see it. While a backup or an audit keeps a snapshot open, thousands of versions of a hot row pile up, and every
//! lookup by key reads all of them. A lookup by the address of the newest version does not.
//!
//! A locked row does not move, so the statement that locked it returns the address for the update. After the update, a
//! lane remembers the address of a row that it changed alone in its table: such a row is hot. A remembered address
//! is only a hint: the statement that locks also compares the key, and falls back to a lookup by key if the row has moved.

use std::collections::HashMap;
use std::error::Error;
use std::hash::Hash;

use bytes::{BufMut, BytesMut};
use onsale_domain::ids::{ConcertId, LectureId, PerformanceId, UserId};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use super::session::Pipeline;
use super::values::{Param, Sql, get};

/// Maximum number of remembered addresses per table and lane. With one more, all of the table are forgotten.
const HOT_MAX: usize = 256;

/// An address in a table: page and line, in the server's binary form.
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

/// Addresses of rows of one table.
#[derive(Debug)]
pub(super) struct RowAddresses<K> {
    /// Rows that the current unit of work has locked: these addresses are exact until it ends.
    locked: HashMap<K, Tid>,
    /// Rows that this lane changed alone in their table: hints.
    hot: HashMap<K, Tid>,
}

impl<K> Default for RowAddresses<K> {
    fn default() -> Self {
        Self { locked: HashMap::new(), hot: HashMap::new() }
    }
}

impl<K: Eq + Hash + Clone> RowAddresses<K> {
    /// The remembered address of the row that a unit needs; `None` if it needs several, or none is remembered.
    pub(super) fn hint<'k>(&self, mut keys: impl Iterator<Item = &'k K>) -> Option<Tid>
    where
        K: 'k,
    {
        let only = keys.next()?;
        if keys.next().is_some() { None } else { self.hot.get(only).copied() }
    }

    /// Notes the address of a row that was just locked, from this column.
    pub(super) fn note_locked(&mut self, key: K, row: &Row, column: usize) -> Sql<()> {
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

/// Addresses of rows of all tables that units of work lock.
#[derive(Debug, Default)]
pub(super) struct ParentAddresses {
    pub(super) accounts: RowAddresses<UserId>,
    pub(super) lectures: RowAddresses<LectureId>,
    pub(super) rooms: RowAddresses<ConcertId>,
    pub(super) performances: RowAddresses<PerformanceId>,
}

impl ParentAddresses {
    /// Forgets the locked rows of the unit before: they may have moved since.
    pub(super) fn begin(&mut self) {
        self.accounts.locked.clear();
        self.lectures.locked.clear();
        self.rooms.locked.clear();
        self.performances.locked.clear();
    }
}

/// Two statements: one locks rows by key, in the order of the keys. The other locks one row at an address (`$2`), or by its key
/// if it is not there any more. The address is the last column.
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
                ", ctid AS address FROM ",
                $table,
                " WHERE ctid = $2 AND ",
                $key,
                " = ANY ($1) FOR NO KEY UPDATE),
                far AS MATERIALIZED (SELECT ",
                $columns,
                ", ctid AS address FROM ",
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

/// Two statements that update locked rows: by key, and by address (the last array). The second fails with a division by zero
/// unless it finds every row, and returns the new address if it updated one. Its limit changes no row: the planner takes
/// a limit that it does not know for one row. Without it, it expects ten rows, and looks them up by key, through all versions.
macro_rules! updates {
    ($table:literal, $key:literal, $set:literal, $arrays:literal, $addresses:literal, $columns:literal) => {
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
                " FROM (SELECT * FROM unnest(",
                $arrays,
                ", ",
                $addresses,
                "::tid[]) LIMIT cardinality($1)) v (",
                $columns,
                ", address) WHERE ",
                $table,
                ".ctid = v.address AND ",
                $table,
                ".",
                $key,
                " = v.",
                $key,
                " RETURNING ",
                $table,
                ".ctid AS address)
                SELECT 1 / (count(*) = cardinality($1))::integer, min(address) FROM changed"
            ),
        ]
    };
}
pub(super) use updates;

/// Updates rows with the statements of [`updates`]: by address if this unit has locked all of them, else by key.
pub(super) fn update<'a, K: Eq + Hash + Clone + Send>(
    pipeline: &mut Pipeline<'a, ()>,
    [by_key, by_address]: [&'static str; 2],
    rows: Option<Vec<Param<'a>>>,
    mut keys: Vec<K>,
    addresses: &'a mut RowAddresses<K>,
) {
    let Some(mut rows) = rows else { return };
    let Some(tids) = keys.iter().map(|key| addresses.locked.get(key).copied()).collect::<Option<Vec<Tid>>>() else {
        return pipeline.execute(by_key, rows);
    };
    rows.push(Box::new(tids));
    let only = if keys.len() == 1 { keys.pop() } else { None };
    pipeline.query(by_address, rows, move |found, ()| {
        if let (Some(key), Some(row)) = (only, found.first())
            && let Some(tid) = get::<Option<Tid>>(row, 1)?
        {
            addresses.remember(key, tid);
        }
        Ok(())
    });
}
