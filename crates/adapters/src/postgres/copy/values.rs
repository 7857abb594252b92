//! The types of Postgres, as copies keep their values: each type in one place.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::copy::{Kind, Value};

/// How values of a type are kept between two databases; `None` if the schema has no column of this type.
pub(super) fn kind_of(ty: &Type) -> Option<Kind> {
    match *ty {
        Type::BOOL | Type::INT2 | Type::INT4 | Type::INT8 => Some(Kind::Integer),
        Type::TEXT | Type::INT4_ARRAY | Type::INT8_ARRAY => Some(Kind::Text),
        Type::BYTEA | Type::UUID => Some(Kind::Blob),
        _ => None,
    }
}

type Failure = Box<dyn Error + Sync + Send>;

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(match *ty {
            Type::BOOL => Self::Integer(i64::from(bool::from_sql(ty, raw)?)),
            Type::INT2 => Self::Integer(i16::from_sql(ty, raw)?.into()),
            Type::INT4 => Self::Integer(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(ty, raw)?),
            Type::TEXT => Self::Text(String::from_sql(ty, raw)?),
            Type::INT4_ARRAY => list(&Vec::<i32>::from_sql(ty, raw)?)?,
            Type::INT8_ARRAY => list(&Vec::<i64>::from_sql(ty, raw)?)?,
            Type::BYTEA => Self::Blob(raw.to_vec()),
            Type::UUID => Self::Blob(Uuid::from_sql(ty, raw)?.into_bytes().to_vec()),
            _ => return Err(format!("the type {ty} has no rule").into()),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        kind_of(ty).is_some()
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match (self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Integer(number), &Type::BOOL) => boolean(*number)?.to_sql(ty, out),
            (Self::Integer(number), &Type::INT2) => i16::try_from(*number)?.to_sql(ty, out),
            (Self::Integer(number), &Type::INT4) => i32::try_from(*number)?.to_sql(ty, out),
            (Self::Integer(number), &Type::INT8) => number.to_sql(ty, out),
            (Self::Text(text), &Type::TEXT) => text.to_sql(ty, out),
            (Self::Text(text), &Type::INT4_ARRAY) => serde_json::from_str::<Vec<i32>>(text)?.to_sql(ty, out),
            (Self::Text(text), &Type::INT8_ARRAY) => serde_json::from_str::<Vec<i64>>(text)?.to_sql(ty, out),
            (Self::Blob(bytes), &Type::BYTEA) => bytes.as_slice().to_sql(ty, out),
            (Self::Blob(bytes), &Type::UUID) => Uuid::from_slice(bytes)?.to_sql(ty, out),
            _ => Err(format!("{self:?} is no value of the type {ty}").into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        kind_of(ty).is_some()
    }

    to_sql_checked!();
}

fn boolean(number: i64) -> Result<bool, Failure> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(format!("{number} is neither yes nor no").into()),
    }
}

/// A list as SQLite stores it.
fn list<N: serde::Serialize>(numbers: &[N]) -> Result<Value, Failure> {
    Ok(Value::Text(serde_json::to_string(numbers)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_survives_the_way_there_and_back() {
        let bytes = |bytes: &[u8]| Value::Blob(bytes.to_vec());
        let text = |text: &str| Value::Text(text.to_owned());
        for (ty, value) in [
            (Type::BOOL, Value::Integer(0)),
            (Type::BOOL, Value::Integer(1)),
            (Type::INT2, Value::Integer(-7)),
            (Type::INT4, Value::Integer(i32::MAX.into())),
            (Type::INT8, Value::Integer(i64::MIN)),
            (Type::TEXT, text("좌석 \u{1f3ab}")),
            (Type::TEXT, text("")),
            (Type::INT4_ARRAY, text("[]")),
            (Type::INT4_ARRAY, text("[7,8]")),
            (Type::INT8_ARRAY, text("[100000000000,-1]")),
            (Type::BYTEA, bytes(&[])),
            (Type::BYTEA, bytes(&[0, 255, 10])),
            (Type::UUID, bytes(&[7; 16])),
        ] {
            let mut out = BytesMut::new();
            value.to_sql(&ty, &mut out).unwrap();
            assert_eq!(Value::from_sql(&ty, &out).unwrap(), value, "{ty}");
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused() {
        for (ty, value) in [
            (Type::BOOL, Value::Integer(2)),
            (Type::INT4, Value::Integer(i64::MAX)),
            (Type::INT4, Value::Text("7".to_owned())),
            (Type::INT4_ARRAY, Value::Text("[1.5]".to_owned())),
            (Type::UUID, Value::Blob(vec![0; 15])),
            (Type::TIMESTAMPTZ, Value::Integer(0)),
        ] {
            assert!(value.to_sql(&ty, &mut BytesMut::new()).is_err(), "{ty}");
        }
        assert!(!<Value as FromSql>::accepts(&Type::JSONB));
    }
}
