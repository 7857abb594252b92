//! Staff: what they may change agrees with the admin log.
//!
//! Log entries about one thing have no certain order, because two instances may change it within one millisecond. So the
//! check needs none: each value that a log entry left must be the value that another one found, or the present one.

use std::collections::{BTreeMap, BTreeSet};

use onsale_domain::concert::{Concert, Notice, Performance};
use onsale_domain::lecture::Lecture;
use onsale_domain::staff::{ExternalCharge, Key};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Settings;
use onsale_domain::wallet::EntryKind;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Finding;
use super::change::LoggedChanges;
use super::source::{AuditSource, ExternalRow, StaffRow, StaffSubject};
use crate::calendar::rfc3339;
use crate::event::{policy_data, seating_data};
use crate::store::{LogRow, StoreError};

/// Also counts the changes of performances in `changes`.
pub(super) async fn check(source: &dyn AuditSource, changes: &mut LoggedChanges) -> Result<Vec<Finding>, StoreError> {
    let mut logged = Finding::new("every change by staff has its log entry");
    let mut counted = Finding::new("the directory of staff counts its keys");
    let mut rows = source.staff();
    while let Some(row) = rows.recv().await {
        let StaffRow { subject, entries: all, since } = row?;
        let entries: Vec<Entry> = all.iter().map(Entry::of).collect();
        match &subject {
            StaffSubject::Directory(directory, live) => counted.check(u64::from(directory.live) == *live, || {
                format!("{live} keys are not deleted, {} are counted", directory.live)
            }),
            StaffSubject::Key(key) => logged.check(is_key_logged(key, &entries), || format!("key {}", key.id)),
            StaffSubject::Session(id) => {
                // The row of a session is deleted with the sign-out.
                let started = of_action(&entries, "session.started").count();
                let is_logged = started == 1 && of_action(&entries, "session.ended").next().is_none();
                logged.check(is_logged, || format!("session {id}"));
            }
            StaffSubject::Lecture(lecture) => {
                let made_at = made_at(lecture.id.uuid()).min(lecture.updated_at);
                let wrong = OF_LECTURE.wrong_field(&fields_of_lecture(lecture), &entries, made_at >= since);
                let wrong =
                    wrong.or_else(|| (!is_lecture_cancellation_logged(lecture, &entries)).then_some("cancelled"));
                logged.check(wrong.is_none(), || format!("lecture {}: {}", lecture.id, wrong.unwrap_or_default()));
            }
            StaffSubject::Concert(concert, settings) => {
                let is_new = concert.created_at >= since;
                let wrong = OF_CONCERT.wrong_field(&fields_of_concert(concert), &entries, is_new);
                let wrong = wrong.or_else(|| OF_QUEUE.wrong_field(&fields_of_queue(settings), &entries, is_new));
                logged.check(wrong.is_none(), || format!("concert {}: {}", concert.id, wrong.unwrap_or_default()));
            }
            StaffSubject::Performance { performance, extended_at, of_concert, blocks } => {
                changes.log(performance.id, &all);
                let made_at = made_at(performance.id.uuid()).min(performance.updated_at);
                let fields = fields_of_performance(performance);
                let mut wrong = OF_PERFORMANCE.wrong_field(&fields, &entries, made_at >= since);
                if !is_cancellation_logged(performance.cancelled_at, &entries) {
                    wrong = wrong.or(Some("cancelledAt"));
                }
                let of_concert: Vec<Entry> = of_concert.iter().map(Entry::of).collect();
                if !extended_at.iter().all(|at| is_extension_logged(*at, entries.iter().chain(&of_concert))) {
                    wrong = wrong.or(Some("holds"));
                }
                if !are_blocks_logged(performance.blocked, &entries) {
                    wrong = wrong.or(Some("blocked"));
                }
                if !are_reasons_logged(blocks, &entries) {
                    wrong = wrong.or(Some("blockReason"));
                }
                let shown = || format!("performance {}: {}", performance.id, wrong.unwrap_or_default());
                logged.check(wrong.is_none(), shown);
            }
        }
    }
    Ok(vec![logged, counted, external_charges(source).await?])
}

async fn external_charges(source: &dyn AuditSource) -> Result<Finding, StoreError> {
    let mut finding = Finding::new("every charge with an external id has its ledger entry and its log entry");
    let mut rows = source.external_charges();
    while let Some(row) = rows.recv().await {
        let ExternalRow { external_id, charge, entry, logged } = row?;
        let ExternalCharge { version, amount, balance_after, charged_at, .. } = charge;
        let is_entered = entry.is_some_and(|entry| {
            (entry.kind, entry.version, entry.amount, entry.balance_after, entry.created_at)
                == (EntryKind::Charge, version, amount, balance_after, charged_at)
        });
        finding.check(is_entered && logged == 1, || external_id);
    }
    Ok(finding)
}

/// A log entry with its fields as JSON; null if it has none.
struct Entry<'a> {
    action: &'a str,
    before: Value,
    after: Value,
    /// A field that is absent, or a list, may be other than the entry shows.
    is_truncated: bool,
}

impl<'a> Entry<'a> {
    fn of(row: &'a LogRow) -> Self {
        let json = |text: Option<&str>| text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        Self {
            action: &row.action,
            before: json(row.before.as_deref()),
            after: json(row.after.as_deref()),
            is_truncated: row.truncated,
        }
    }
}

fn of_action<'a>(entries: &'a [Entry<'a>], action: &str) -> impl Iterator<Item = &'a Entry<'a>> {
    entries.iter().filter(move |entry| entry.action == action)
}

/// The time of the creation, which the id contains. Rows that were last written before there was a log are older than it,
/// whatever their ids are.
pub(super) fn made_at(id: Uuid) -> Timestamp {
    let [a, b, c, d, e, f, ..] = id.into_bytes();
    Timestamp::from_millis(i64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}

fn is_key_logged(key: &Key, entries: &[Entry<'_>]) -> bool {
    let fields = json!({"name": &*key.name, "role": key.role.as_str()});
    let created: Vec<_> = of_action(entries, "key.created").map(|entry| &entry.after).collect();
    let deleted: Vec<_> = of_action(entries, "key.deleted").map(|entry| &entry.before).collect();
    created == [&fields] && deleted == vec![&fields; usize::from(key.deleted_at.is_some())]
}

/// Fields with their present values.
type Now = Vec<(&'static str, Value)>;

fn fields_of_lecture(lecture: &Lecture) -> Now {
    vec![
        ("title", json!(&*lecture.title)),
        ("lecturer", json!(lecture.lecturer.as_deref())),
        ("startsAt", json!(rfc3339(lecture.starts_at))),
        ("capacity", json!(lecture.capacity)),
        ("opensAt", json!(lecture.opens_at.map(rfc3339))),
        ("closed", json!(lecture.closed)),
    ]
}

/// A cancelled lecture has one entry of that, with the same figures; others have none.
fn is_lecture_cancellation_logged(lecture: &Lecture, entries: &[Entry<'_>]) -> bool {
    let logged: Vec<_> = of_action(entries, "lecture.cancelled").map(|entry| &entry.after).collect();
    let fields = lecture
        .cancellation
        .as_ref()
        .map(|it| json!({"cancelledAt": rfc3339(it.at), "reason": &*it.reason, "applications": it.applications}));
    logged == fields.iter().collect::<Vec<_>>()
}

fn fields_of_concert(concert: &Concert) -> Now {
    vec![
        ("title", json!(&*concert.title)),
        ("venue", json!(&*concert.venue)),
        ("notice", concert.notice.as_deref().map_or(Value::Null, of_notice)),
        ("closed", json!(concert.sale.closed)),
        ("opensAt", json!(concert.sale.opens_at.map(rfc3339))),
        ("closesAt", json!(concert.sale.closes_at.map(rfc3339))),
        ("codesUntil", json!(concert.sale.codes_until.map(rfc3339))),
        ("maxSeatsPerUser", json!(concert.seats_per_user)),
    ]
}

fn of_notice(notice: &Notice) -> Value {
    let texts = [("ko", &notice.ko), ("en", &notice.en)];
    let given = texts.into_iter().filter_map(|(language, text)| Some((language.to_owned(), json!(text.as_deref()?))));
    Value::Object(given.collect())
}

fn fields_of_queue(settings: &Settings) -> Now {
    vec![
        ("maxActive", json!(settings.max_active)),
        ("admitPerSecond", json!(settings.admit_per_second)),
        ("activeSeconds", json!(settings.active_seconds)),
        ("claimSeconds", json!(settings.claim_seconds)),
        ("paused", json!(settings.paused)),
        ("earlyFrom", json!(settings.early_from.map(rfc3339))),
        ("drawAt", json!(settings.draw_at.map(rfc3339))),
    ]
}

fn fields_of_performance(performance: &Performance) -> Now {
    vec![
        ("concertId", json!(performance.concert.to_string())),
        ("startsAt", json!(rfc3339(performance.starts_at))),
        ("seats", seating_data(&performance.seating)),
        ("closed", json!(performance.closed)),
        ("refundPolicy", policy_data(&performance.refund_policy)),
    ]
}

fn is_extension_logged<'a>(at: Timestamp, mut entries: impl Iterator<Item = &'a Entry<'a>>) -> bool {
    entries.any(|entry| entry.action == "holds.extended" && entry.after["at"] == rfc3339(at))
}

/// Whether a cancellation has exactly one log entry, and a performance that is on has none.
fn is_cancellation_logged(cancelled_at: Option<Timestamp>, entries: &[Entry<'_>]) -> bool {
    let logged: Vec<&Value> =
        of_action(entries, "performance.cancelled").map(|entry| &entry.after["cancelledAt"]).collect();
    let at: Vec<Value> = cancelled_at.map(|at| json!(rfc3339(at))).into_iter().collect();
    logged == at.iter().collect::<Vec<_>>()
}

/// Whether the log entries blocked as many seats more than they unblocked as are blocked now. An entry names all of its seats: a
/// list of 1,000 is not cut.
fn are_blocks_logged(blocked: u32, entries: &[Entry<'_>]) -> bool {
    let seats = |action: &str| -> usize {
        of_action(entries, action).map(|entry| entry.after["seats"].as_array().map_or(0, Vec::len)).sum()
    };
    seats("seats.blocked") == seats("seats.unblocked") + usize::try_from(blocked).unwrap_or(usize::MAX)
}

/// Whether each blocked seat has the reason of a log entry that blocked it.
fn are_reasons_logged(blocks: &[(u32, String)], entries: &[Entry<'_>]) -> bool {
    if blocks.is_empty() {
        return true;
    }
    let mut logged = BTreeSet::new();
    for Entry { after, .. } in of_action(entries, "seats.blocked") {
        let seats = after["seats"].as_array().into_iter().flatten().filter_map(Value::as_u64);
        logged.extend(seats.map(|seat| (seat, after["reason"].as_str())));
    }
    blocks.iter().all(|(seat, reason)| logged.contains(&(u64::from(*seat), Some(reason))))
}

/// The log entries that make a thing and change its fields.
struct Actions {
    created: &'static str,
    changed: &'static str,
    /// The member of the creation that holds the fields; `None` if they are its own.
    within: Option<&'static str>,
}

const OF_LECTURE: Actions = Actions { created: "lecture.created", changed: "lecture.changed", within: None };
const OF_CONCERT: Actions = Actions { created: "concert.created", changed: "concert.changed", within: None };
const OF_QUEUE: Actions = Actions { created: "concert.created", changed: "queue.changed", within: Some("queue") };
const OF_PERFORMANCE: Actions =
    Actions { created: "performance.created", changed: "performance.changed", within: None };

impl Actions {
    /// The first field that is not as the log entries state; `created` if the creation has no log entry, or two. What was
    /// made before there was a log may have none.
    fn wrong_field(&self, now: &[(&'static str, Value)], entries: &[Entry<'_>], is_new: bool) -> Option<&'static str> {
        match of_action(entries, self.created).count() {
            0 if is_new => return Some("created"),
            0 | 1 => {}
            _ => return Some("created"),
        }
        let wrong = now.iter().find(|(name, now)| !self.lead_to(name, now, entries));
        wrong.map(|(name, _)| *name)
    }

    /// Whether the creation and the changes of a field lead to its present value. True if a log entry was truncated that
    /// could name it.
    fn lead_to(&self, name: &str, now: &Value, entries: &[Entry<'_>]) -> bool {
        let mut steps = Vec::new();
        for entry in of_action(entries, self.created) {
            let fields = self.within.map_or(&entry.after, |within| &entry.after[within]);
            let after = fields.get(name);
            if entry.is_truncated && after.is_none_or(Value::is_array) {
                return true;
            }
            // A version that did not know the field left nothing of it.
            steps.extend(after.map(|after| (None, Some(after.clone()))));
        }
        for entry in of_action(entries, self.changed) {
            let (before, after) = (entry.before.get(name), entry.after.get(name));
            let is_whole = |value: Option<&Value>| value.is_some_and(|value| !value.is_array());
            if entry.is_truncated && !(is_whole(before) && is_whole(after)) {
                return true;
            }
            steps.push((before.cloned(), after.cloned()));
        }
        leads_to(steps, now)
    }
}

/// A field before and after a change. Before is `None` for the creation. Both are `None` if the change left the field as it was.
type Step = (Option<Value>, Option<Value>);

/// Whether changes lead to the present value, in some order. Without a creation the first value is unknown. If there are
/// changes, one of them left the present value.
fn leads_to(changes: impl IntoIterator<Item = Step>, now: &Value) -> bool {
    // How often each value was left, less how often it was found. Values are compared as text, which has an order.
    let mut balance: BTreeMap<String, i64> = BTreeMap::new();
    let (mut is_made, mut is_changed, mut is_left) = (false, false, false);
    for (before, after) in changes {
        is_made |= before.is_none() && after.is_some();
        is_changed |= after.is_some();
        is_left |= after.as_ref() == Some(now);
        for (value, step) in [(after, 1), (before, -1)] {
            if let Some(value) = value {
                *balance.entry(value.to_string()).or_default() += step;
            }
        }
    }
    *balance.entry(now.to_string()).or_default() -= 1;
    let mut open = balance.values().filter(|left| **left != 0);
    // Without a creation the first value was found once more than it was left.
    match (open.next(), is_made) {
        (None, is_made) => is_made,
        (Some(-1), false) => open.next().is_none() && (is_left || !is_changed),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(changes: &[(Option<u32>, Option<u32>)], now: u32) -> bool {
        let json = |value: Option<u32>| value.map(|value| json!(value));
        leads_to(changes.iter().map(|(before, after)| (json(*before), json(*after))), &json!(now))
    }

    #[test]
    fn changes_lead_to_the_present_value_in_any_order() {
        assert!(holds(&[], 1));
        assert!(holds(&[(None, Some(1))], 1) && !holds(&[(None, Some(1))], 2));
        let through = [(Some(2), Some(3)), (Some(1), Some(2))];
        assert!(holds(&through, 3) && !holds(&through, 2) && !holds(&through[..1], 2));
        let back = [(Some(1), Some(2)), (Some(2), Some(1))];
        assert!(holds(&back, 1) && !holds(&back, 3));
        let made = [(Some(1), Some(2)), (None, Some(1)), (Some(2), Some(5))];
        assert!(holds(&made, 5) && !holds(&made, 2) && !holds(&made[..2], 5));
        assert!(!holds(&[(Some(1), Some(2)), (Some(1), Some(3))], 3), "two changes of one value");
    }

    fn entry(action: &'static str, before: Value, after: Value, is_truncated: bool) -> Entry<'static> {
        Entry { action, before, after, is_truncated }
    }

    #[test]
    fn what_was_made_since_there_is_a_log_has_one_log_entry_of_its_creation() {
        let now = [("title", json!("Rust"))];
        let made = || entry("lecture.created", Value::Null, json!({"title": "Rust"}), false);
        let wrong = |entries: &[Entry<'_>], is_new| OF_LECTURE.wrong_field(&now, entries, is_new);
        assert_eq!((wrong(&[], true), wrong(&[], false)), (Some("created"), None));
        assert_eq!((wrong(&[made()], true), wrong(&[made()], false)), (None, None));
        assert_eq!(
            (wrong(&[made(), made()], true), wrong(&[made(), made()], false)),
            (Some("created"), Some("created"))
        );
        let other = entry("lecture.created", Value::Null, json!({"title": "Go"}), false);
        assert_eq!(wrong(&[other], true), Some("title"));
    }

    #[test]
    fn a_field_that_a_truncated_log_entry_may_lack_is_unknown() {
        let now = [("closed", json!(true)), ("seats", json!([1, 2]))];
        let wrong = |entry| OF_PERFORMANCE.wrong_field(&now, &[entry], true);
        let made = |after, is_truncated| entry("performance.created", Value::Null, after, is_truncated);
        assert_eq!(wrong(made(json!({"closed": true, "seats": [1]}), true)), None, "the list was cut");
        assert_eq!(wrong(made(json!({"closed": true, "seats": [1]}), false)), Some("seats"));
        assert_eq!(wrong(made(json!({"seats": [1]}), true)), None, "the field was left out");
        assert_eq!(wrong(made(json!({"closed": false}), true)), Some("closed"), "the field is there");
        let changed = entry("performance.changed", json!({"closed": true}), json!({}), true);
        assert_eq!(OF_PERFORMANCE.wrong_field(&now[..1], &[changed], false), None);
    }
}
