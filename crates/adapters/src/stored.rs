//! How values of the rules are written in a database: the words and texts that every store shares.

use std::borrow::Cow;

use onsale_app::event::EventState;
use onsale_domain::concert::{Seating, Section, Status};
use onsale_domain::lecture::HistoryKind;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Blocks, Gap, Memory, PlaceStanding, Window};
use onsale_domain::wallet::EntryKind;
use serde::{Deserialize, Serialize};

/// A value that is stored as one of a few words.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// Every word there is.
    const WORDS: &'static [(&'static str, Self)];

    /// The word for this value.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }

    /// The value of a word; `None` where it is none.
    fn of_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
    }
}

impl Word for EntryKind {
    const WORDS: &'static [(&'static str, Self)] = &[("CHARGE", Self::Charge), ("USE", Self::Use)];
}

impl Word for HistoryKind {
    const WORDS: &'static [(&'static str, Self)] = &[("APPLIED", Self::Applied), ("CANCELLED", Self::Cancelled)];
}

impl Word for Status {
    const WORDS: &'static [(&'static str, Self)] =
        &[("HELD", Self::Held), ("PAID", Self::Paid), ("EXPIRED", Self::Expired), ("RELEASED", Self::Released)];
}

impl Word for PlaceStanding {
    const WORDS: &'static [(&'static str, Self)] =
        &[("CURRENT", Self::Current), ("GIVEN_UP", Self::GivenUp), ("REPLACED", Self::Replaced)];
}

impl Word for EventState {
    const WORDS: &'static [(&'static str, Self)] =
        &[("PENDING", Self::Pending), ("SENT", Self::Sent), ("DEAD", Self::Dead)];
}

/// Tables whose rows belong to rows of another, and the column that says to which.
pub(crate) const FAMILIES: &[(&str, &str, &str)] = &[
    ("applications", "lectures", "lecture_id"),
    ("freed_seats", "lectures", "lecture_id"),
    ("lecture_history", "lectures", "lecture_id"),
    ("rooms", "concerts", "concert_id"),
    ("performances", "concerts", "concert_id"),
    ("places", "rooms", "concert_id"),
    ("turns", "rooms", "concert_id"),
    ("reservations", "performances", "performance_id"),
    ("seats", "performances", "performance_id"),
    ("payments", "performances", "performance_id"),
];

/// Counts the rows of a family, and those that belong to nothing.
pub(crate) fn count_orphans((children, parents, key): (&str, &str, &str)) -> String {
    format!(
        "SELECT count(*), count(*) FILTER (WHERE parent.{key} IS NULL)
         FROM {children} child LEFT JOIN {parents} parent ON parent.{key} = child.{key}"
    )
}

/// Names a few parents that are missing.
pub(crate) fn missing_parents((children, parents, key): (&str, &str, &str)) -> String {
    format!(
        "SELECT DISTINCT child.{key} FROM {children} child LEFT JOIN {parents} parent ON parent.{key} = child.{key}
         WHERE parent.{key} IS NULL ORDER BY child.{key} LIMIT 10"
    )
}

/// A section as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredSection<'a> {
    from: u32,
    to: u32,
    grade: Cow<'a, str>,
    price: i64,
}

/// A seating as JSON.
pub(crate) fn seating_to_text(seating: &Seating) -> String {
    let stored = |section: &'_ Section| {
        let Section { from, to, ref grade, price } = *section;
        StoredSection { from, to, grade: Cow::Owned(grade.to_string()), price }
    };
    serde_json::to_string(&seating.sections().iter().map(stored).collect::<Vec<_>>()).unwrap_or_default()
}

/// A seating from its JSON; `None` where it cannot be one.
pub(crate) fn seating_from_text(text: &str) -> Option<Seating> {
    let stored: Vec<StoredSection<'_>> = serde_json::from_str(text).ok()?;
    let section = |StoredSection { from, to, grade, price }| Section { from, to, grade: grade.as_ref().into(), price };
    Seating::new(stored.into_iter().map(section).collect()).ok()
}

/// Admissions of the last second: 12 bytes each, an instant (8, big-endian) and a count (4).
pub(crate) fn window_to_bytes(window: &Window) -> Vec<u8> {
    window.parts().flat_map(|(at, many)| [&at.as_millis().to_be_bytes()[..], &many.to_be_bytes()].concat()).collect()
}

/// The same, read back.
pub(crate) fn window_from_bytes(bytes: &[u8]) -> Window {
    Window::from_parts(bytes.chunks_exact(12).filter_map(|part| {
        let (at, many) = part.split_at(8);
        let at = i64::from_be_bytes(at.try_into().ok()?);
        Some((Timestamp::from_millis(at), u32::from_be_bytes(many.try_into().ok()?)))
    }))
}

/// How places are handed out beside the database; nothing where they are not. Numbers of 8 bytes, big-endian: epoch,
/// last place reserved, the memory (20 bytes), then each range in doubt by its first and last place and its instant.
pub(crate) fn blocks_to_bytes(blocks: &Blocks) -> Vec<u8> {
    if blocks.epoch == 0 && *blocks == Blocks::default() {
        return Vec::new();
    }
    let mut bytes = [&blocks.epoch.to_be_bytes()[..], &blocks.reserved_to.to_be_bytes(), &blocks.memory.0].concat();
    for gap in &blocks.gaps {
        bytes.extend([gap.first.to_be_bytes(), gap.last.to_be_bytes(), gap.made_at.as_millis().to_be_bytes()].concat());
    }
    bytes
}

/// The same, read back.
pub(crate) fn blocks_from_bytes(bytes: &[u8]) -> Blocks {
    let number = |at: usize| bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_be_bytes);
    let instant = |at: usize| bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, i64::from_be_bytes);
    let memory = bytes.get(16..36).and_then(|part| part.try_into().ok()).map(Memory).unwrap_or_default();
    let gap =
        |at: usize| Gap { first: number(at), last: number(at + 8), made_at: Timestamp::from_millis(instant(at + 16)) };
    Blocks { epoch: number(0), reserved_to: number(8), memory, gaps: (36..bytes.len()).step_by(24).map(gap).collect() }
}
