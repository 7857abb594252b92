//! Log entries as they are stored: fields as JSON, within a bound; and the subjects of log entries as text.

use onsale_domain::ids::{ConcertId, LectureId, PaymentId, PerformanceId, SessionId, StaffKeyId, UserId};
use onsale_domain::staff::{Fields, LogEntry, Subject, Value};
use serde_json::json;

use crate::calendar::rfc3339;
use crate::store::LogRow;

/// Maximum size of the fields of a log entry, before and after together, in bytes of JSON. Each side gets half of it, or all
/// if the other side has no fields. Values that do not fit are left out, and elements of lists.
pub const FIELDS_BYTES_MAX: usize = 16 * 1024;

/// The row of a log entry.
pub fn row_of(entry: &LogEntry) -> LogRow {
    let is_one_sided = entry.before.is_empty() || entry.after.is_empty();
    let share = if is_one_sided { FIELDS_BYTES_MAX } else { FIELDS_BYTES_MAX / 2 };
    let [before, after] = [&entry.before, &entry.after].map(|fields| Budget::of(share).object(fields));
    let truncated = before.truncated || after.truncated;
    LogRow {
        id: entry.id,
        at: entry.at,
        key: entry.actor.key(),
        actor: entry.actor.name().into(),
        action: entry.action.as_str().into(),
        subject: subject(&entry.subject).into(),
        before: before.json.map(Into::into),
        after: after.json.map(Into::into),
        truncated,
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
        Subject::Payment(id) => format!("payment:{id}"),
        Subject::Session(id) => format!("session:{id}"),
        Subject::User(id) => format!("user:{id}"),
    }
}

/// Reads a subject from its text; `None` if the text is of no subject.
pub fn parse_subject(text: &str) -> Option<Subject> {
    let (kind, id) = text.split_once(':')?;
    match kind {
        "key" => StaffKeyId::parse(id).map(Subject::Key),
        "lecture" => LectureId::parse(id).map(Subject::Lecture),
        "concert" => ConcertId::parse(id).map(Subject::Concert),
        "performance" => PerformanceId::parse(id).map(Subject::Performance),
        "payment" => PaymentId::parse(id).map(Subject::Payment),
        "session" => SessionId::parse(id).map(Subject::Session),
        "user" => UserId::parse(id).map(Subject::User),
        _ => None,
    }
}

/// The fields of one side as JSON.
struct Side {
    /// The JSON object; `None` without fields.
    json: Option<String>,
    /// Whether something was left out.
    truncated: bool,
}

/// The bytes that the fields of one side may still take.
struct Budget {
    left: usize,
}

impl Budget {
    /// For an object within this many bytes. Its braces are counted at once.
    fn of(bytes: usize) -> Self {
        Self { left: bytes.saturating_sub(2) }
    }

    /// The fields that fit.
    fn object(mut self, fields: &Fields) -> Side {
        if fields.is_empty() {
            return Side { json: None, truncated: false };
        }
        let (mut kept, mut truncated) = (serde_json::Map::new(), false);
        for (name, value) in fields {
            // Two quotes, a colon and a comma.
            let around = name.len() + 4;
            let whole = json_of(value);
            if self.take(around + whole.to_string().len()) {
                kept.insert((*name).to_owned(), whole);
                continue;
            }
            truncated = true;
            if let Value::List(elements) = value
                && self.take(around + 2)
            {
                kept.insert((*name).to_owned(), self.beginning(elements));
            }
        }
        Side { json: Some(serde_json::Value::Object(kept).to_string()), truncated }
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

    /// A text of `length` characters takes six bytes of JSON for each, and 12 around it: braces, name, quotes, colon, comma.
    #[test]
    fn fields_that_do_not_fit_are_left_out_and_lists_are_cut() {
        // Characters before and after, and whether all of them fit.
        for (before, after, fits) in [
            (None, 2_700, true),
            (None, 2_740, false),
            (Some(1_350), 1_350, true),
            (Some(1_350), 1_400, false),
            (Some(1_400), 1, false),
            (Some(40_000), 1, false),
            (Some(1), 40_000, false),
        ] {
            let before_fields = before.map_or_else(Fields::new, |length| vec![("a", text(length))]);
            let row = row_of(&entry(before_fields, vec![("a", text(after)), ("b", 1_u32.into())]));
            let size = [&row.before, &row.after].into_iter().flatten().map(|text| text.len()).sum::<usize>();
            assert!(size <= FIELDS_BYTES_MAX, "{size}");
            assert_eq!(row.truncated, !fits, "{before:?} and {after}");
            assert!(row.after.is_some_and(|after| after.contains(r#""b":1"#)), "a field that fits is there");
        }
    }

    /// One byte more than the bound would be refused by the database.
    #[test]
    fn no_length_of_a_text_passes_the_bound() {
        for length in 8_150..8_210 {
            let long = || vec![("a", Value::Text(Arc::from("x".repeat(length))))];
            for (before, after) in [(long(), long()), (long(), vec![("b", 1_u32.into())])] {
                let row = row_of(&entry(before, after));
                let sizes = [&row.before, &row.after].map(|side| side.as_ref().map_or(0, |side| side.len()));
                assert!(sizes.iter().all(|size| *size <= FIELDS_BYTES_MAX / 2), "{length}: {sizes:?}");
            }
        }
    }

    #[test]
    fn subjects_are_read_as_they_are_written() {
        let id = Uuid::from_u128(0x019a_b3c0_7a10_7d5e_9f44_2f6d_0c1b_8a01);
        let ada = || UserId::parse("ada").unwrap_or_else(|| unreachable!("a user id"));
        // The subject that is read after this one. A new subject does not compile until it is in this chain.
        let next = |subject: &Subject| match subject {
            Subject::Key(_) => Some(Subject::Lecture(LectureId::new(id))),
            Subject::Lecture(_) => Some(Subject::Concert(ConcertId::new(id))),
            Subject::Concert(_) => Some(Subject::Performance(PerformanceId::new(id))),
            Subject::Performance(_) => Some(Subject::Payment(PaymentId::new(id))),
            Subject::Payment(_) => Some(Subject::Session(SessionId::new(id))),
            Subject::Session(_) => Some(Subject::User(ada())),
            Subject::User(_) => None,
        };
        let all = std::iter::successors(Some(Subject::Key(StaffKeyId::new(id))), next);
        for written in all {
            assert_eq!(parse_subject(&subject(&written)), Some(written));
        }
        for wrong in ["", "ada", "user:", "user:a b", "user:\0", ":ada", "concert:7", "room:ada", "key:root"] {
            assert_eq!(parse_subject(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_list_that_does_not_fit_is_cut() {
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
