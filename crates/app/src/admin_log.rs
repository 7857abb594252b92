//! Entries of the admin log as they are stored: fields as JSON, within a bound.

use onsale_domain::staff::{Fields, LogEntry, Subject, Value};
use serde_json::json;

use crate::calendar::rfc3339;
use crate::store::LogRow;

/// Maximum size of the fields of an entry, before and after together, in bytes of JSON. Values that do not fit are left out,
/// and elements of lists.
pub const FIELDS_BYTES_MAX: usize = 16 * 1024;

/// The row of an entry.
pub fn row_of(entry: &LogEntry) -> LogRow {
    let mut room = Room { left: FIELDS_BYTES_MAX, truncated: false };
    let before = room.object(&entry.before);
    let after = room.object(&entry.after);
    LogRow {
        id: entry.id,
        at: entry.at,
        key: entry.actor.key(),
        actor: entry.actor.name().into(),
        action: entry.action.as_str().into(),
        subject: subject(&entry.subject).into(),
        before: before.map(Into::into),
        after: after.map(Into::into),
        truncated: room.truncated,
        request: entry.request.clone(),
    }
}

/// The subject as text, such as `performance:019ab3c0-7a11-7c0a-8e21-51d3a7be9f02`.
pub fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Key(id) => format!("key:{id}"),
        Subject::Lecture(id) => format!("lecture:{id}"),
        Subject::Concert(id) => format!("concert:{id}"),
        Subject::Performance(id) => format!("performance:{id}"),
        Subject::User(id) => format!("user:{id}"),
    }
}

/// The bytes that the fields of an entry may still take.
struct Room {
    left: usize,
    truncated: bool,
}

impl Room {
    /// The fields that fit, as a JSON object; `None` if there are none at all.
    fn object(&mut self, fields: &Fields) -> Option<String> {
        if fields.is_empty() {
            return None;
        }
        let mut kept = serde_json::Map::new();
        // The braces. A comma and a colon belong to each field.
        self.take(2);
        for (name, value) in fields {
            let around = name.len() + 4;
            let whole = json_of(value);
            if self.take(around + whole.to_string().len()) {
                kept.insert((*name).to_owned(), whole);
                continue;
            }
            self.truncated = true;
            if let Value::List(elements) = value
                && self.take(around + 2)
            {
                kept.insert((*name).to_owned(), self.beginning(elements));
            }
        }
        Some(serde_json::Value::Object(kept).to_string())
    }

    /// The first elements of a list, as many as fit.
    fn beginning(&mut self, elements: &[Value]) -> serde_json::Value {
        let shown = elements.iter().map(json_of);
        shown.take_while(|element| self.take(element.to_string().len() + 1)).collect()
    }

    /// Takes this many bytes, if they are left.
    fn take(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

fn json_of(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => json!(value),
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(&**text),
        Value::Instant(at) => json!(rfc3339(*at)),
        Value::List(elements) => elements.iter().map(json_of).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json_of(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use onsale_domain::ids::{LectureId, LogId};
    use onsale_domain::staff::{Action, Actor};
    use onsale_domain::time::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn entry(before: Fields, after: Fields) -> LogEntry {
        LogEntry {
            id: LogId::new(Uuid::nil()),
            at: Timestamp::from_millis(0),
            actor: Actor::Root,
            action: Action::LectureCreated,
            subject: Subject::Lecture(LectureId::new(Uuid::nil())),
            before,
            after,
            request: "r".into(),
        }
    }

    fn text(length: usize) -> Value {
        Value::Text(Arc::from("\u{1}".repeat(length)))
    }

    #[test]
    fn fields_are_json_and_nothing_is_null() {
        let row =
            row_of(&entry(Fields::new(), vec![("startsAt", Timestamp::from_millis(0).into()), ("n", 7_u32.into())]));
        assert_eq!((row.before, row.truncated), (None, false));
        assert_eq!(row.after.as_deref(), Some(r#"{"n":7,"startsAt":"1970-01-01T00:00:00.000Z"}"#));
        assert_eq!((&*row.actor, row.key), ("root", None));
        assert_eq!(&*row.subject, "lecture:00000000-0000-0000-0000-000000000000");
    }

    #[test]
    fn fields_that_do_not_fit_are_left_out_and_lists_are_cut() {
        for (before, after) in [(0, 2_700), (2_700, 2_700), (1_400, 1_400), (40_000, 1), (1, 40_000)] {
            let row = row_of(&entry(vec![("a", text(before))], vec![("a", text(after)), ("b", 1_u32.into())]));
            let size = [&row.before, &row.after].into_iter().flatten().map(|text| text.len()).sum::<usize>();
            assert!(size <= FIELDS_BYTES_MAX, "{size}");
            // Six bytes of JSON for each character.
            assert_eq!(row.truncated, 6 * (before + after) > FIELDS_BYTES_MAX - 30, "{before} and {after}");
            assert!(row.after.is_some_and(|after| after.contains(r#""b":1"#)), "a field that fits is there");
        }
        let list = (0..10_000_u32).map(Value::from).collect();
        let row = row_of(&entry(Fields::new(), vec![("seats", Value::List(list)), ("last", true.into())]));
        let after = row.after.unwrap_or_default();
        assert!(
            row.truncated && after.len() <= FIELDS_BYTES_MAX && after.len() > FIELDS_BYTES_MAX - 20,
            "{}",
            after.len()
        );
        let read: serde_json::Value = serde_json::from_str(&after).unwrap_or_default();
        assert!(read["seats"].as_array().is_some_and(|seats| seats.len() > 1_000 && seats[1_000] == 1_000));
    }
}
