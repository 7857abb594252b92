//! Ids of the domain as values: each is written as text, and those that paths name are parameters.

use std::borrow::Cow;
use std::fmt;

use onsale_domain::ids::{
    CheckInId, ConcertId, EventId, LectureId, LogId, PaymentId, PerformanceId, RefundId, ReservationId, StaffKeyId,
    TicketId, TokenId, UserId, WaitlistId,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::Text;

/// An id of the domain.
#[derive(Clone, Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: fmt::Display> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// How an id looks as text.
pub(crate) trait IdText: Sized {
    const WHAT: &'static str;

    fn parse_id(text: &str) -> Option<Self>;

    fn shape() -> Schema;
}

/// An id that paths name.
pub(crate) trait PathId: IdText {
    /// The name of the parameter.
    const NAME: &'static str;
    /// Its description in the OpenAPI document.
    const DESCRIPTION: &'static str;
}

macro_rules! uuids {
    ($($id:ident $(as $name:literal, $description:literal)?;)+) => {$(
        impl IdText for $id {
            const WHAT: &'static str = "a UUID";

            fn parse_id(text: &str) -> Option<Self> {
                Self::parse(text)
            }

            fn shape() -> Schema {
                json_schema!({"type": "string", "format": "uuid"})
            }
        }

        $(impl PathId for $id {
            const NAME: &'static str = $name;
            const DESCRIPTION: &'static str = $description;
        })?
    )+};
}

uuids! {
    ConcertId as "concertId", "The concert";
    LectureId as "lectureId", "The lecture";
    PaymentId as "paymentId", "The payment";
    ReservationId as "reservationId", "The reservation";
    PerformanceId as "performanceId", "The performance";
    StaffKeyId as "keyId", "The key";
    CheckInId as "checkInId", "The check-in";
    LogId;
    TicketId;
    RefundId;
    EventId;
    TokenId;
    WaitlistId;
}

impl IdText for UserId {
    const WHAT: &'static str = "1 to 64 of A-Z a-z 0-9 _ -";

    fn parse_id(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    fn shape() -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"})
    }
}

impl PathId for UserId {
    const NAME: &'static str = "userId";
    const DESCRIPTION: &'static str = "The user";
}

impl<T: IdText> Text for Id<T> {
    const WHAT: &'static str = T::WHAT;

    fn parse(text: &str) -> Option<Self> {
        T::parse_id(text).map(Self)
    }
}

impl<T: IdText> JsonSchema for Id<T> {
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
