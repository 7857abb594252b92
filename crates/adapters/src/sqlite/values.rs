//! Conversions between columns of rows and values of the domain.

use std::sync::Arc;

use onsale_domain::concert::Seating;
use onsale_domain::ids::UserId;
use onsale_domain::refund::Policy;
use onsale_domain::time::Timestamp;
use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type};
use uuid::Uuid;

use crate::stored::{Word, policy_from_text, seating_from_text};

pub(super) type Sql<T> = rusqlite::Result<T>;

/// A number as SQLite's `INTEGER`. Callers may send any number as a page cursor: one that is too large becomes the maximum, after
/// which there are no rows.
pub(super) fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn instant(row: &Row<'_>, column: usize) -> Sql<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

pub(super) fn optional_instant(row: &Row<'_>, column: usize) -> Sql<Option<Timestamp>> {
    row.get::<_, Option<i64>>(column).map(|millis| millis.map(Timestamp::from_millis))
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> Sql<Uuid> {
    row.get(column).map(Uuid::from_bytes)
}

pub(super) fn optional_uuid(row: &Row<'_>, column: usize) -> Sql<Option<Uuid>> {
    row.get::<_, Option<[u8; 16]>>(column).map(|bytes| bytes.map(Uuid::from_bytes))
}

pub(super) fn user(row: &Row<'_>, column: usize) -> Sql<UserId> {
    let text = row.get_ref(column)?.as_str()?;
    UserId::parse(text).ok_or_else(|| broken(column, "not a user id"))
}

pub(super) fn text(row: &Row<'_>, column: usize) -> Sql<Arc<str>> {
    Ok(row.get_ref(column)?.as_str()?.into())
}

pub(super) fn optional_text(row: &Row<'_>, column: usize) -> Sql<Option<Arc<str>>> {
    Ok(row.get_ref(column)?.as_str_or_null()?.map(Into::into))
}

/// A column with one of the words of `T`.
pub(super) fn word<T: Word>(row: &Row<'_>, column: usize) -> Sql<T> {
    T::of_word(row.get_ref(column)?.as_str()?).ok_or_else(|| broken(column, "an unknown word"))
}

pub(super) fn seats(row: &Row<'_>, column: usize) -> Sql<Arc<[u32]>> {
    some_seats(row, column).map(Into::into)
}

/// Seat numbers that may be none.
pub(super) fn some_seats(row: &Row<'_>, column: usize) -> Sql<Vec<u32>> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|_| broken(column, "not seat numbers"))
}

/// Seat numbers or prices, as JSON.
pub(super) fn numbers_to_text<N: ToString>(numbers: &[N]) -> String {
    let numbers: Vec<String> = numbers.iter().map(N::to_string).collect();
    format!("[{}]", numbers.join(","))
}

pub(super) fn prices(row: &Row<'_>, column: usize) -> Sql<Arc<[i64]>> {
    let prices: Vec<i64> =
        serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|_| broken(column, "not prices"))?;
    Ok(prices.into())
}

pub(super) fn policy(row: &Row<'_>, column: usize) -> Sql<Policy> {
    policy_from_text(row.get_ref(column)?.as_str()?)
        .ok_or_else(|| broken(column, "a refund policy that cannot be read"))
}

pub(super) fn seating(row: &Row<'_>, column: usize) -> Sql<Seating> {
    seating_from_text(row.get_ref(column)?.as_str()?).ok_or_else(|| broken(column, "sections that make no seating"))
}

/// The error for a stored value that cannot be read. `what` completes "the database holds".
pub(super) fn broken(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, FromSqlError::other(Broken(what)).into())
}

#[derive(Debug, thiserror::Error)]
#[error("the database holds {0}")]
struct Broken(&'static str);
