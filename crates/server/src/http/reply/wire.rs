//! Shapes that several contexts share.

use std::borrow::Cow;

use axum::http::header::{CONTENT_TYPE, LINK};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use jiff::civil::Date;
use onsale_app::calendar::rfc3339;
use onsale_domain::ids::{ConcertId, EventId, LectureId, PaymentId, PerformanceId, ReservationId, TokenId, UserId};
use onsale_domain::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::http::input::Query;

/// An instant in RFC 3339, in UTC with milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instant(pub(crate) Timestamp);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(self.0))
    }
}

impl JsonSchema for Instant {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

/// A date, `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Day(pub(crate) Date);

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl JsonSchema for Day {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date"})
    }
}

/// Something that prints itself: an id.
#[derive(Clone, Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: std::fmt::Display> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// How an id looks in JSON.
pub(crate) trait IdShape {
    /// Its schema.
    fn shape() -> Schema;
}

macro_rules! uuids {
    ($($id:ident),+) => {$(
        impl IdShape for $id {
            fn shape() -> Schema {
                json_schema!({"type": "string", "format": "uuid"})
            }
        }
    )+};
}

uuids!(ConcertId, EventId, LectureId, PaymentId, PerformanceId, ReservationId, TokenId);

impl IdShape for UserId {
    fn shape() -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"})
    }
}

impl<T: IdShape> JsonSchema for Id<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::shape()
    }
}

/// An answer in JSON.
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    // Most answers fit: written without growing on the way.
    let mut bytes = Vec::with_capacity(1_024);
    if serde_json::to_writer(&mut bytes, body).is_err() {
        bytes.clear();
    }
    json_bytes(status, bytes)
}

/// An answer in JSON that is written already.
pub(crate) fn json_bytes(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A page of a list as JSON, and the `Link` to the next where there is one. `rows` holds one row more than the page, if
/// the list goes on.
pub(crate) fn written_page<R, T: Serialize>(
    query: &Query,
    limit: usize,
    mut rows: Vec<R>,
    cursor: impl Fn(&R) -> String,
    show: impl Fn(&R) -> T,
) -> (Vec<u8>, Option<HeaderValue>) {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let body = serde_json::to_vec(&rows.iter().map(show).collect::<Vec<_>>()).unwrap_or_default();
    let last = rows.last().filter(|_| more);
    (body, last.and_then(|last| HeaderValue::try_from(query.next_link(&cursor(last))).ok()))
}

/// A page of a list that is one caller's.
pub(crate) fn page<R, T: Serialize>(
    query: &Query,
    limit: usize,
    rows: Vec<R>,
    cursor: impl Fn(&R) -> String,
    show: impl Fn(&R) -> T,
) -> Response {
    let (body, link) = written_page(query, limit, rows, cursor, show);
    let mut response = json_bytes(StatusCode::OK, body);
    if let Some(link) = link {
        response.headers_mut().insert(LINK, link);
    }
    response
}
