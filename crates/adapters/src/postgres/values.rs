//! Conversions between columns of rows and values of the domain.

use std::sync::Arc;

use onsale_domain::concert::Seating;
use onsale_domain::ids::UserId;
use onsale_domain::refund::Policy;
use onsale_domain::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};
use uuid::Uuid;

use super::error::DbError;
use crate::stored::{Word, policy_from_text, seating_from_text};

pub(super) type Sql<T> = Result<T, DbError>;

/// A boxed parameter of a statement.
pub(super) type Param<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// Boxes the parameters of a statement.
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$(Box::new($value) as $crate::postgres::values::Param<'_>),*] };
}
pub(super) use params;

/// Turns rows into columns, as `unnest` takes them; `None` without rows.
macro_rules! columns {
    ($rows:expr, |$row:pat_param| $($value:expr),+ $(,)?) => {{
        let rows: Vec<_> = $rows.collect();
        if rows.is_empty() {
            None
        } else {
            Some($crate::postgres::values::params![$({
                #[allow(unused_variables, reason = "each column uses a part of the row")]
                let column: Vec<_> = rows.iter().map(|$row| $value).collect();
                column
            }),+])
        }
    }};
}
pub(super) use columns;

/// A column of a row.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Sql<T> {
    row.try_get(column).map_err(DbError::from)
}

pub(super) fn instant(row: &Row, column: usize) -> Sql<Timestamp> {
    get(row, column).map(Timestamp::from_millis)
}

pub(super) fn optional_instant(row: &Row, column: usize) -> Sql<Option<Timestamp>> {
    Ok(get::<Option<i64>>(row, column)?.map(Timestamp::from_millis))
}

pub(super) fn uuid(row: &Row, column: usize) -> Sql<Uuid> {
    get(row, column)
}

/// A `bigint` that is never negative.
pub(super) fn number(row: &Row, column: usize) -> Sql<u64> {
    u64::try_from(get::<i64>(row, column)?).map_err(|_| DbError::Broken("a number below 0"))
}

/// An `integer` that is never negative.
pub(super) fn small(row: &Row, column: usize) -> Sql<u32> {
    u32::try_from(get::<i32>(row, column)?).map_err(|_| DbError::Broken("a number below 0"))
}

/// An `integer` that is never negative, or null.
pub(super) fn optional_small(row: &Row, column: usize) -> Sql<Option<u32>> {
    let found = get::<Option<i32>>(row, column)?.map(u32::try_from).transpose();
    found.map_err(|_| DbError::Broken("a number below 0"))
}

/// The number of some rows.
pub(super) fn small_count(row: &Row, column: usize) -> Sql<u32> {
    u32::try_from(get::<i64>(row, column)?).map_err(|_| DbError::Broken("a number of rows that is out of range"))
}

pub(super) fn user(row: &Row, column: usize) -> Sql<UserId> {
    UserId::parse(get(row, column)?).ok_or(DbError::Broken("what is not a user id"))
}

pub(super) fn text(row: &Row, column: usize) -> Sql<Arc<str>> {
    Ok(get::<&str>(row, column)?.into())
}

pub(super) fn optional_text(row: &Row, column: usize) -> Sql<Option<Arc<str>>> {
    Ok(get::<Option<&str>>(row, column)?.map(Into::into))
}

/// A column with one of the words of `T`.
pub(super) fn word<T: Word>(row: &Row, column: usize) -> Sql<T> {
    T::of_word(get(row, column)?).ok_or(DbError::Broken("an unknown word"))
}

pub(super) fn seats(row: &Row, column: usize) -> Sql<Arc<[u32]>> {
    let seats: Vec<i32> = get(row, column)?;
    seats.into_iter().map(|seat| u32::try_from(seat).map_err(|_| DbError::Broken("a seat below 0"))).collect()
}

/// Seat numbers that may be none.
pub(super) fn some_seats(row: &Row, column: usize) -> Sql<Vec<u32>> {
    let seats: Vec<i32> = get(row, column)?;
    seats.into_iter().map(|seat| u32::try_from(seat).map_err(|_| DbError::Broken("a seat below 0"))).collect()
}

/// Seat numbers or prices as the text of an array. Postgres has no arrays of arrays of different lengths, so a list of lists is
/// sent as texts.
pub(super) fn numbers_to_text<N: ToString>(numbers: &[N]) -> String {
    let numbers: Vec<String> = numbers.iter().map(N::to_string).collect();
    format!("{{{}}}", numbers.join(","))
}

pub(super) fn prices(row: &Row, column: usize) -> Sql<Arc<[i64]>> {
    get::<Vec<i64>>(row, column).map(Into::into)
}

pub(super) fn policy(row: &Row, column: usize) -> Sql<Policy> {
    policy_from_text(get(row, column)?).ok_or(DbError::Broken("a refund policy that cannot be read"))
}

pub(super) fn seating(row: &Row, column: usize) -> Sql<Seating> {
    seating_from_text(get(row, column)?).ok_or(DbError::Broken("sections that make no seating"))
}

/// A number as `bigint`. Numbers of the domain are far below its maximum.
pub(super) fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number as `integer`.
pub(super) fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A number of rows as a `LIMIT`.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
