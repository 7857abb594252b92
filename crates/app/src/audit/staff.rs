//! Staff: what they may change agrees with the admin log.
//!
//! Entries about one thing have no certain order, because two instances may change it within one millisecond. So the check
//! needs none: each value that an entry left must be the value that another entry found, or the present one.

use std::collections::BTreeMap;

use onsale_domain::concert::{Concert, Notice, Performance};
use onsale_domain::lecture::Lecture;
use onsale_domain::staff::{ExternalCharge, Key};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Settings;
use onsale_domain::wallet::EntryKind;
use serde_json::{Value, json};

use super::Finding;
use super::source::{AuditSource, ExternalRow, StaffRow, StaffSubject};
use crate::calendar::rfc3339;
use crate::store::{LogRow, StoreError};

pub(super) async fn check(source: &dyn AuditSource) -> Result<Vec<Finding>, StoreError> {
    let mut logged = Finding::new("every change by staff has its log entry");
    let mut counted = Finding::new("the directory of staff counts its keys");
    let mut rows = source.staff();
    while let Some(row) = rows.recv().await {
        let StaffRow { subject, entries, since } = row?;
        let entries: Vec<Entry> = entries.iter().map(Entry::of).collect();
        match &subject {
            StaffSubject::Directory(directory, live) => counted.check(u64::from(directory.live) == *live, || {
                format!("{live} keys are not deleted, {} are counted", directory.live)
            }),
            StaffSubject::Key(key) => logged.check(is_key_logged(key, &entries), || format!("key {}", key.id)),
            StaffSubject::Lecture(lecture) => {
                logged.check(is_lecture_as_logged(lecture, &entries), || format!("lecture {}", lecture.id));
            }
            StaffSubject::Concert(concert, settings) => {
                let is_new = concert.created_at >= since;
                let wrong = field_of_concert(concert, settings, &entries, is_new);
                logged.check(wrong.is_none(), || format!("concert {}: {}", concert.id, wrong.unwrap_or_default()));
            }
            StaffSubject::Performance { performance, extended_at, of_concert } => {
                let is_new = made_at(performance) >= since;
                let of_concert: Vec<Entry> = of_concert.iter().map(Entry::of).collect();
                let is_logged = is_performance_logged(performance, &entries, is_new)
                    && extended_at.iter().all(|at| is_extension_logged(*at, entries.iter().chain(&of_concert)));
                logged.check(is_logged, || format!("performance {}", performance.id));
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

/// An entry with its fields as JSON; null if it has none.
struct Entry<'a> {
    action: &'a str,
    before: Value,
    after: Value,
}

impl<'a> Entry<'a> {
    fn of(row: &'a LogRow) -> Self {
        let json = |text: Option<&str>| text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        Self { action: &row.action, before: json(row.before.as_deref()), after: json(row.after.as_deref()) }
    }
}

fn of_action<'a>(entries: &'a [Entry<'a>], action: &str) -> impl Iterator<Item = &'a Entry<'a>> {
    entries.iter().filter(move |entry| entry.action == action)
}

/// The time of the creation, which the id contains.
fn made_at(performance: &Performance) -> Timestamp {
    let [a, b, c, d, e, f, ..] = performance.id.uuid().into_bytes();
    Timestamp::from_millis(i64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}

fn is_key_logged(key: &Key, entries: &[Entry<'_>]) -> bool {
    let fields = json!({"name": &*key.name, "role": key.role.as_str()});
    let created: Vec<_> = of_action(entries, "key.created").map(|entry| &entry.after).collect();
    let deleted: Vec<_> = of_action(entries, "key.deleted").map(|entry| &entry.before).collect();
    created == [&fields] && deleted == vec![&fields; usize::from(key.deleted_at.is_some())]
}

/// A lecture without an entry was made by `onsale seed`, or before there was a log.
fn is_lecture_as_logged(lecture: &Lecture, entries: &[Entry<'_>]) -> bool {
    let fields = json!({
        "title": &*lecture.title, "lecturer": lecture.lecturer.as_deref(), "startsAt": rfc3339(lecture.starts_at),
        "capacity": lecture.capacity,
    });
    let mut created = of_action(entries, "lecture.created");
    created.next().is_none_or(|entry| entry.after == fields) && created.next().is_none()
}

/// The first field that is not as the entries say.
fn field_of_concert(
    concert: &Concert,
    settings: &Settings,
    entries: &[Entry<'_>],
    is_new: bool,
) -> Option<&'static str> {
    let changes = |name| changes_of(entries, ["concert.created", "concert.changed"], name);
    let at_first = |value| is_new.then_some(value);
    let notice = concert.notice.as_deref().map_or(Value::Null, of_notice);
    if !leads_to(changes("notice"), &notice, at_first(Value::Null)) {
        return Some("notice");
    }
    if !leads_to(changes("closed"), &json!(concert.closed), at_first(json!(false))) {
        return Some("closed");
    }
    let queue = [
        ("maxActive", json!(settings.max_active), None),
        ("admitPerSecond", json!(settings.admit_per_second), None),
        ("activeSeconds", json!(settings.active_seconds), None),
        ("claimSeconds", json!(settings.claim_seconds), None),
        ("paused", json!(settings.paused), at_first(json!(false))),
    ];
    let created = of_action(entries, "concert.created").map(|entry| &entry.after["queue"]);
    let created: Vec<&Value> = created.collect();
    queue.into_iter().find_map(|(name, now, first)| {
        let made = created.iter().filter_map(|queue| Some((None, Some(queue.get(name)?.clone()))));
        let changed = changes_of(entries, ["queue.changed", "queue.changed"], name);
        (!leads_to(made.chain(changed), &now, first)).then_some(name)
    })
}

fn of_notice(notice: &Notice) -> Value {
    let texts = [("ko", &notice.ko), ("en", &notice.en)];
    let given = texts.into_iter().filter_map(|(language, text)| Some((language.to_owned(), json!(text.as_deref()?))));
    Value::Object(given.collect())
}

fn is_performance_logged(performance: &Performance, entries: &[Entry<'_>], is_new: bool) -> bool {
    let changes = changes_of(entries, ["performance.created", "performance.changed"], "closed");
    leads_to(changes, &json!(performance.closed), is_new.then_some(json!(false)))
}

fn is_extension_logged<'a>(at: Timestamp, mut entries: impl Iterator<Item = &'a Entry<'a>>) -> bool {
    entries.any(|entry| entry.action == "holds.extended" && entry.after["at"] == rfc3339(at))
}

/// A field before and after a change; `None` if the thing was made by it.
type Step = (Option<Value>, Option<Value>);

/// The changes of a field. Entries that do not name it did not change it.
fn changes_of<'a>(
    entries: &'a [Entry<'a>],
    actions: [&'static str; 2],
    name: &'static str,
) -> impl Iterator<Item = Step> + use<'a> {
    let own = entries.iter().filter(move |entry| actions.contains(&entry.action));
    own.map(move |entry| (entry.before.get(name).cloned(), entry.after.get(name).cloned()))
}

/// Whether changes lead to the present value, in some order. `first` is the value at the creation if no change made the
/// thing; `None` if it is unknown.
fn leads_to(changes: impl Iterator<Item = Step>, now: &Value, first: Option<Value>) -> bool {
    // How often each value was left, less how often it was found. Values are compared as text, which has an order.
    let mut balance: BTreeMap<String, i64> = BTreeMap::new();
    let mut is_made = false;
    for (before, after) in changes {
        is_made |= before.is_none() && after.is_some();
        for (value, step) in [(after, 1), (before, -1)] {
            if let Some(value) = value {
                *balance.entry(value.to_string()).or_default() += step;
            }
        }
    }
    *balance.entry(now.to_string()).or_default() -= 1;
    if is_made {
        return balance.values().all(|left| *left == 0);
    }
    // The first value was found once more than it was left.
    let open: Vec<_> = balance.iter().filter(|(_, left)| **left != 0).collect();
    match (&open[..], first) {
        ([(_, -1)], None) => true,
        ([(value, -1)], Some(first)) => *value == &first.to_string(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(changes: &[(Option<u32>, Option<u32>)], now: u32, first: Option<u32>) -> bool {
        let json = |value: Option<u32>| value.map(|value| json!(value));
        let changes: Vec<Step> = changes.iter().map(|(before, after)| (json(*before), json(*after))).collect();
        leads_to(changes.into_iter(), &json!(now), json(first))
    }

    #[test]
    fn changes_lead_to_the_present_value_in_any_order() {
        assert!(holds(&[], 1, None) && holds(&[], 1, Some(1)) && !holds(&[], 2, Some(1)));
        assert!(holds(&[(None, Some(1))], 1, None) && !holds(&[(None, Some(1))], 2, None));
        let through = [(Some(2), Some(3)), (Some(1), Some(2))];
        assert!(holds(&through, 3, None) && holds(&through, 3, Some(1)) && !holds(&through, 3, Some(2)));
        assert!(!holds(&through, 2, None) && !holds(&through[..1], 2, None));
        let back = [(Some(1), Some(2)), (Some(2), Some(1))];
        assert!(holds(&back, 1, Some(1)) && !holds(&back, 2, Some(1)));
        let made = [(Some(1), Some(2)), (None, Some(1)), (Some(2), Some(5))];
        assert!(holds(&made, 5, None) && !holds(&made, 2, None) && !holds(&made[..2], 5, None));
        assert!(!holds(&[(Some(1), Some(2)), (Some(1), Some(3))], 3, None), "two changes of one value");
    }
}
