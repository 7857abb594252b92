//! Encodings of domain values in a database, shared by SQLite and Postgres: words, JSON texts and byte strings.
//!
//! Readers return `None` for a value that no writer of ours produces. The stores turn that into an error that names the value.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use onsale_app::audit::source::ExtensionRow;
use onsale_app::event::EventState;
use onsale_domain::concert::{HoldEnd, Seating, Section, Status, Wish};
use onsale_domain::lecture::HistoryKind;
use onsale_domain::refund::{By, Policy, Rule};
use onsale_domain::seat_list::State;
use onsale_domain::staff::Role;
use onsale_domain::ticket::{Answer, Standing, Why};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::PlaceStanding;
use onsale_domain::wallet::EntryKind;
use serde::Deserialize;

/// A value that is stored as one of a few words.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// All words with their values.
    const WORDS: &'static [(&'static str, Self)];

    /// The word for this value.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }

    /// The value of a word; `None` if the word is not known.
    fn of_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
    }
}

impl Word for EntryKind {
    const WORDS: &'static [(&'static str, Self)] =
        &[("CHARGE", Self::Charge), ("USE", Self::Use), ("REFUND", Self::Refund), ("ADJUSTMENT", Self::Adjustment)];
}

/// The word of a line of history. Its columns with a seat number and a position complete it.
pub(crate) fn history_word(kind: HistoryKind) -> &'static str {
    match kind {
        HistoryKind::Applied { .. } => "APPLIED",
        HistoryKind::Cancelled { .. } => "CANCELLED",
        HistoryKind::Waitlisted { .. } => "WAITLISTED",
        HistoryKind::Promoted { .. } => "PROMOTED",
        HistoryKind::Left => "LEFT",
    }
}

/// What a line of history records, from its word, seat number and position.
pub(crate) fn history_kind(word: &str, seat_number: Option<u32>, position: Option<u32>) -> Option<HistoryKind> {
    Some(match (word, seat_number, position) {
        ("APPLIED", Some(seat_number), None) => HistoryKind::Applied { seat_number },
        ("CANCELLED", Some(seat_number), None) => HistoryKind::Cancelled { seat_number },
        ("PROMOTED", Some(seat_number), None) => HistoryKind::Promoted { seat_number },
        ("WAITLISTED", None, Some(position)) => HistoryKind::Waitlisted { position },
        ("LEFT", None, None) => HistoryKind::Left,
        _ => return None,
    })
}

impl Word for Status {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("HELD", Self::Held),
        ("PAID", Self::Paid),
        ("EXPIRED", Self::Expired),
        ("RELEASED", Self::Released),
        ("REFUNDED", Self::Refunded),
    ];
}

impl Word for State {
    const WORDS: &'static [(&'static str, Self)] =
        &[("WAITING", Self::Waiting), ("OFFERED", Self::Offered), ("LEFT", Self::Left), ("ENDED", Self::Ended)];
}

/// A wish from its columns. An empty text means any.
pub(crate) fn wish_from(count: u32, section: &str, grade: &str) -> Wish {
    let name = |text: &str| (!text.is_empty()).then(|| Arc::from(text));
    Wish { count, section: name(section), grade: name(grade) }
}

/// The column of the section or the grade of a wish.
pub(crate) fn wish_text(name: &Option<Arc<str>>) -> &str {
    name.as_deref().unwrap_or("")
}

impl Word for By {
    const WORDS: &'static [(&'static str, Self)] =
        &[("buyer", Self::Buyer), ("staff", Self::Staff), ("cancellation", Self::Cancellation)];
}

impl Word for Why {
    const WORDS: &'static [(&'static str, Self)] =
        &[("refunded", Self::Refunded), ("cancelled", Self::Cancelled), ("reissued", Self::Reissued)];
}

impl Word for Standing {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("COUNTS", Self::Counts),
        ("SUPERSEDED", Self::Superseded),
        ("UNDONE", Self::Undone),
        ("REFUSED", Self::Refused),
    ];
}

/// The word of an answer to a scan; with the time and the device of the scan before, if there was one.
pub(crate) fn answer_word(answer: &Answer) -> (&'static str, Option<(Timestamp, &Arc<str>)>) {
    match answer {
        Answer::Admitted => ("ADMITTED", None),
        Answer::Invalid => ("INVALID", None),
        Answer::OtherPerformance => ("OTHER_PERFORMANCE", None),
        Answer::Void => ("VOID", None),
        Answer::AlreadyCheckedIn { at, device } => ("ALREADY_CHECKED_IN", Some((*at, device))),
    }
}

/// The answer of a word; `None` if the word is not known, or if it needs a scan before and there is none.
pub(crate) fn answer_of(word: &str, first: Option<(Timestamp, Arc<str>)>) -> Option<Answer> {
    match word {
        "ADMITTED" => Some(Answer::Admitted),
        "INVALID" => Some(Answer::Invalid),
        "OTHER_PERFORMANCE" => Some(Answer::OtherPerformance),
        "VOID" => Some(Answer::Void),
        "ALREADY_CHECKED_IN" => first.map(|(at, device)| Answer::AlreadyCheckedIn { at, device }),
        _ => None,
    }
}

/// The words of roles are their names, which the domain lists once.
impl Word for Role {
    const WORDS: &'static [(&'static str, Self)] = &[];

    fn word(self) -> &'static str {
        self.as_str()
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::named(word)
    }
}

impl Word for PlaceStanding {
    const WORDS: &'static [(&'static str, Self)] =
        &[("CURRENT", Self::Current), ("GIVEN_UP", Self::GivenUp), ("REPLACED", Self::Replaced)];
}

impl Word for EventState {
    const WORDS: &'static [(&'static str, Self)] =
        &[("PENDING", Self::Pending), ("SENT", Self::Sent), ("DEAD", Self::Dead)];
}

/// Rows of `children` belong to the row of `parents` with the same value in the column `key`, and in the column `also`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    pub(crate) children: &'static str,
    pub(crate) parents: &'static str,
    pub(crate) key: &'static str,
    /// `key` again if one column leads to the parent.
    pub(crate) also: &'static str,
}

const fn family(children: &'static str, parents: &'static str, key: &'static str) -> Family {
    Family { children, parents, key, also: key }
}

/// The table that explains adjustments, and the table of the adjustments.
pub(crate) const ADJUSTED: (&str, &str) = ("admin_log", "ledger");

/// Counts the log entries about adjustments, and how many more they are than adjustments. That each adjustment has exactly one
/// log entry is checked with the ledger, so an entry without an adjustment is one too many.
pub(crate) const COUNT_ADJUSTED: &str = "SELECT logged.many,
        CASE WHEN logged.many > entered.many THEN logged.many - entered.many ELSE 0 END
    FROM (SELECT count(*) many FROM admin_log WHERE action = 'points.adjusted') logged,
        (SELECT count(*) many FROM ledger WHERE type = 'ADJUSTMENT') entered";

/// Every table whose rows belong to rows of another table.
pub(crate) const FAMILIES: &[Family] = &[
    family("applications", "lectures", "lecture_id"),
    family("freed_seats", "lectures", "lecture_id"),
    family("waiting_blocks", "lectures", "lecture_id"),
    family("lecture_history", "lectures", "lecture_id"),
    family("rooms", "concerts", "concert_id"),
    family("performances", "concerts", "concert_id"),
    family("places", "rooms", "concert_id"),
    family("turns", "rooms", "concert_id"),
    family("reservations", "performances", "performance_id"),
    family("seats", "performances", "performance_id"),
    family("payments", "performances", "performance_id"),
    family("layouts", "performances", "performance_id"),
    family("refunds", "payments", "payment_id"),
    Family { children: "refunded_seats", parents: "refunds", key: "refund_id", also: "reservation_id" },
    family("void_tickets", "payments", "payment_id"),
    family("check_ins", "performances", "performance_id"),
    family("hold_extensions", "performances", "performance_id"),
    family("draws", "rooms", "concert_id"),
    family("cancellations", "performances", "performance_id"),
    family("codes", "concerts", "concert_id"),
    family("code_uses", "reservations", "reservation_id"),
    Family { children: "failed_refunds", parents: "payments", key: "payment_id", also: "reservation_id" },
];

impl Family {
    /// A statement that counts all children, and those without a parent.
    pub(crate) fn count_orphans(self) -> String {
        let Self { children, parents, key, also } = self;
        format!(
            "SELECT count(*), count(*) FILTER (WHERE parent.{key} IS NULL)
             FROM {children} child LEFT JOIN {parents} parent
                ON parent.{key} = child.{key} AND parent.{also} = child.{also}"
        )
    }

    /// A statement that lists up to 10 missing parents.
    pub(crate) fn missing_parents(self) -> String {
        let Self { children, parents, key, also } = self;
        format!(
            "SELECT DISTINCT child.{key} FROM {children} child LEFT JOIN {parents} parent
                ON parent.{key} = child.{key} AND parent.{also} = child.{also}
             WHERE parent.{key} IS NULL ORDER BY child.{key} LIMIT 10"
        )
    }
}

/// The stored form of a section.
#[derive(Deserialize)]
struct StoredSection<'a> {
    from: u32,
    to: u32,
    grade: Cow<'a, str>,
    price: i64,
}

/// Encodes a seating as JSON. Written by hand because serializing to a `String` has an error that cannot happen.
pub(crate) fn seating_to_text(seating: &Seating) -> String {
    let stored = |section: &Section| {
        let Section { from, to, ref grade, price } = *section;
        // A JSON string with the characters escaped that need it.
        let grade = serde_json::Value::from(&**grade);
        format!(r#"{{"from":{from},"to":{to},"grade":{grade},"price":{price}}}"#)
    };
    format!("[{}]", seating.sections().iter().map(stored).collect::<Vec<_>>().join(","))
}

/// Decodes a seating; `None` if the text is not the JSON of one, or its sections make no seating.
pub(crate) fn seating_from_text(text: &str) -> Option<Seating> {
    let stored: Vec<StoredSection<'_>> = serde_json::from_str(text).ok()?;
    let section = |StoredSection { from, to, grade, price }| Section { from, to, grade: grade.as_ref().into(), price };
    Seating::new(stored.into_iter().map(section).collect()).ok()
}

/// Encodes a refund policy: `hours percent`, comma-separated; empty without rules.
pub(crate) fn policy_to_text(policy: &Policy) -> String {
    let rules = policy.rules().iter().map(|rule| format!("{} {}", rule.hours_before, rule.fee_percent));
    rules.collect::<Vec<_>>().join(",")
}

/// Decodes a refund policy; `None` if the text is not of one.
pub(crate) fn policy_from_text(text: &str) -> Option<Policy> {
    if text.is_empty() {
        return Some(Policy::default());
    }
    // Each lock of a performance reads its policy, and most performances of a sale have the same one.
    LAST_POLICY.with_borrow_mut(|(last, policy)| {
        if last.as_str() != text {
            *policy = parse_policy(text)?;
            text.clone_into(last);
        }
        Some(policy.clone())
    })
}

thread_local! {
    /// The policy that this thread read last, with its text.
    static LAST_POLICY: RefCell<(String, Policy)> = RefCell::default();
}

fn parse_policy(text: &str) -> Option<Policy> {
    let rule = |text: &str| {
        let (hours, percent) = text.split_once(' ')?;
        Some(Rule { hours_before: hours.parse().ok()?, fee_percent: percent.parse().ok()? })
    };
    Policy::new(text.split(',').map(rule).collect::<Option<_>>()?).ok()
}

/// Parses extensions as `number version at seconds`, comma-separated and in order: each with its instant and seconds.
/// `None` if the text is not of that form.
pub(crate) fn extensions_from_text(text: &str) -> Option<Vec<ExtensionRow>> {
    let one = |text: &str| {
        let mut fields = text.split(' ');
        let mut next = || fields.next();
        let (number, version) = (next()?.parse().ok()?, next()?.parse().ok()?);
        let (at, seconds) = (Timestamp::from_millis(next()?.parse().ok()?), next()?.parse().ok()?);
        next().is_none().then_some(ExtensionRow { number, version, at, seconds })
    };
    text.split(',').map(one).collect()
}

/// The end of a hold: that of its row, with the extensions that the row does not contain, as text. `None` if the text is
/// not of the form of [`extensions_from_text`].
pub(crate) fn hold_end(until: Timestamp, extended: u64, further: Option<&str>) -> Option<HoldEnd> {
    let end = HoldEnd { until, extended };
    match further {
        None => Some(end),
        Some(text) => Some(end.after(extensions_from_text(text)?.iter().map(|row| (row.at, row.seconds)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_were_written() {
        let sections = [(1, 10, "R \"front\"\n", 120_000), (11, 50, "S", 90_000)];
        let sections = sections.map(|(from, to, grade, price)| Section { from, to, grade: grade.into(), price });
        let seating = Seating::new(sections.into()).unwrap();
        assert_eq!(seating_from_text(&seating_to_text(&seating)), Some(seating));
        let rule = |hours_before, fee_percent| Rule { hours_before, fee_percent };
        for rules in [vec![], vec![rule(0, 90)], vec![rule(240, 0), rule(8_760, 100), rule(0, 7)]] {
            let policy = Policy::new(rules).unwrap();
            assert_eq!(policy_from_text(&policy_to_text(&policy)), Some(policy));
        }
        let end = |until, extended| Some(HoldEnd { until: Timestamp::from_millis(until), extended });
        assert_eq!(hold_end(Timestamp::from_millis(5_000), 3, None), end(5_000, 3));
        // The last one came after the hold had lapsed.
        let further = Some("4 8 4999 10,5 9 15000 20");
        assert_eq!(hold_end(Timestamp::from_millis(5_000), 3, further), end(15_000, 5));
    }

    #[test]
    fn damaged_values_are_not_read_as_empty_ones() {
        assert_eq!(seating_from_text("[]x"), None);
        for text in [",", "1", "1 2,", "1 2,1 3", "8761 0", "0 101", "-1 2", " 2"] {
            assert_eq!(policy_from_text(text), None, "{text}");
        }
        for text in ["", "1 2 3", "1 2 3 4 5", "1 2 3 4,", "1 2 x 4"] {
            assert_eq!(hold_end(Timestamp::from_millis(9), 0, Some(text)), None, "{text}");
        }
    }
}
