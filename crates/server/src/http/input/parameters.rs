//! A query as the struct that documents it.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use onsale_app::store::Page;
use onsale_domain::ids::{CheckInId, ConcertId, LectureId, LogId, PaymentId, RefundId, ReservationId, StaffKeyId};
use onsale_domain::time::Timestamp;
use serde_json::json;

use super::RawQuery;
use crate::http::App;
use crate::http::openapi::{Input, Operation};
use crate::http::reply::problem::Problem;

pub(crate) use onsale_macros::Parameters;

/// The parameters of a query.
pub(crate) trait Parameters: Sized {
    /// Takes each parameter and notes what is wrong. Returns `None` if a required one is missing or wrong.
    fn read(query: &mut RawQuery) -> Option<Self>;

    fn describe(operation: &mut Operation);
}

/// No parameter is known.
impl Parameters for () {
    fn read(_: &mut RawQuery) -> Option<Self> {
        Some(())
    }

    fn describe(_: &mut Operation) {}
}

/// The query of a request. It is read when the handler calls for it, because a refusal for another reason may come first.
pub(crate) struct Query<P = ()> {
    raw: RawQuery,
    parameters: PhantomData<fn() -> P>,
}

impl<P: Parameters> Query<P> {
    /// # Errors
    /// `invalid-request` with all errors, if a parameter is missing, wrong, unknown or there twice.
    pub(crate) fn read(&mut self) -> Result<P, Problem> {
        let parameters = P::read(&mut self.raw);
        self.raw.finish(parameters)
    }
}

impl<P> Deref for Query<P> {
    type Target = RawQuery;

    fn deref(&self) -> &RawQuery {
        &self.raw
    }
}

impl<P: Parameters> FromRequestParts<App> for Query<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let raw = RawQuery::from_request_parts(parts, app).await?;
        Ok(Self { raw, parameters: PhantomData })
    }
}

impl<P: Parameters> Input for Query<P> {
    fn describe(operation: &mut Operation) {
        P::describe(operation);
    }
}

/// A list in pages, with the parameters `P` before `limit` and `cursor`.
pub(crate) struct Paged<C, P = ()> {
    pub(crate) filter: P,
    /// The rows to read: one more than the page has, which shows whether the list goes on.
    pub(crate) rows: Page<C>,
}

impl<C: Cursor, P: Parameters> Parameters for Paged<C, P> {
    fn read(query: &mut RawQuery) -> Option<Self> {
        let filter = P::read(query);
        let rows = query.rows(C::parse);
        Some(Self { filter: filter?, rows })
    }

    fn describe(operation: &mut Operation) {
        P::describe(operation);
        let limit = json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50});
        operation.optional_query("limit", limit, "Rows of a page at most");
        let description = "The page begins after this row; taken from the `Link` of the page before";
        operation.optional_query("cursor", json!({"type": "string"}), description);
        operation.headers.push(("Link", "`<…>; rel=\"next\"` names the next page; absent on the last one"));
        operation.paragraph("A further page is announced by `Link: <…>; rel=\"next\"`.");
    }
}

/// The last row of a page, as `cursor` names it.
pub(crate) trait Cursor: Sized {
    /// Returns `None` if the text was not made by this list.
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! cursors {
    ($($id:ident),+) => {$(
        impl Cursor for $id {
            fn parse(text: &str) -> Option<Self> {
                Self::parse(text)
            }
        }
    )+};
}

cursors!(CheckInId, ConcertId, LogId, PaymentId, RefundId, ReservationId, StaffKeyId);

/// The version of a row.
impl Cursor for u64 {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// The number of a seat.
impl Cursor for u32 {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// The start of a lecture in milliseconds, a space, and its id.
impl Cursor for (Timestamp, LectureId) {
    fn parse(text: &str) -> Option<Self> {
        let (start, id) = text.split_once(' ')?;
        Some((Timestamp::from_millis(start.parse().ok()?), LectureId::parse(id)?))
    }
}
