//! The notice: a text for buyers, as an administrator writes it and as clients read it.

use std::borrow::Cow;
use std::sync::Arc;

use onsale_domain::concert::Notice;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::http::input::{Body, Fields, Member};
use crate::http::values::Name;

/// A text for buyers in one or two languages. A language that is missing has no text.
#[derive(Body, JsonSchema)]
#[schemars(rename = "Notice", extend("minProperties" = 1))]
pub(crate) struct NoticeBody {
    /// Korean. Every character shows.
    ko: Option<Name>,
    /// English. Every character shows.
    en: Option<Name>,
}

/// A notice in a request: the texts, or null for none.
pub(crate) struct NoticeField(pub(crate) Option<Arc<Notice>>);

impl Member for NoticeField {
    fn take(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        if fields.take_null(name) {
            return Some(Self(None));
        }
        let NoticeBody { ko, en } = fields.object(name, NoticeBody::read)??;
        if ko.is_none() && en.is_none() {
            fields.wrong(name, "must have a text in ko or in en, or be null".to_owned());
            return None;
        }
        let text = |name: Option<Name>| name.map(|Name(text)| text.into());
        Some(Self(Some(Arc::new(Notice { ko: text(ko), en: text(en) }))))
    }
}

impl JsonSchema for NoticeField {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NoticeField".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // `oneOf`, because the `anyOf` with null of a member that may be left out is reduced to the member.
        json_schema!({"oneOf": [generator.subschema_for::<NoticeBody>(), {"type": "null"}]})
    }
}

/// A notice in an answer. Shares the texts with the waiting room, so that a poll copies none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoticeShown(pub(crate) Arc<Notice>);

impl Serialize for NoticeShown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Notice { ko, en } = &*self.0;
        let mut map = serializer.serialize_map(None)?;
        for (language, text) in [("ko", ko), ("en", en)] {
            if let Some(text) = text {
                map.serialize_entry(language, &**text)?;
            }
        }
        map.end()
    }
}

impl JsonSchema for NoticeShown {
    fn schema_name() -> Cow<'static, str> {
        NoticeBody::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        NoticeBody::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        NoticeBody::json_schema(generator)
    }
}
