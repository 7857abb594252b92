//! Encodings of draws in a database, shared by SQLite and Postgres. Readers return `None` for a value that no writer of ours
//! produces.

use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Beacon, Digest, DrawChange, List, Mark, Seed};
use serde::{Deserialize, Serialize};

/// Encodes a list: the closing, the entries, the last entry number, the users who left, and the draw (0 before it), 8 bytes each.
pub(crate) fn list_to_bytes(list: &List) -> Vec<u8> {
    let drawn_at = list.drawn_at.map_or(0, Timestamp::as_millis);
    let numbers = [list.entries, list.issued, list.left].map(u64::to_be_bytes).concat();
    [&list.closed_at.as_millis().to_be_bytes()[..], &numbers, &drawn_at.to_be_bytes()].concat()
}

/// Decodes what [`list_to_bytes`] wrote; `None` if the length does not fit.
pub(crate) fn list_from_bytes(bytes: &[u8]) -> Option<List> {
    let (parts, []) = bytes.as_chunks::<8>() else { return None };
    let [closed_at, entries, issued, left, drawn_at] = parts else { return None };
    let drawn_at = i64::from_be_bytes(*drawn_at);
    Some(List {
        closed_at: Timestamp::from_millis(i64::from_be_bytes(*closed_at)),
        entries: u64::from_be_bytes(*entries),
        issued: u64::from_be_bytes(*issued),
        left: u64::from_be_bytes(*left),
        drawn_at: (drawn_at != 0).then(|| Timestamp::from_millis(drawn_at)),
    })
}

/// Encodes entry numbers in drawn order, 4 bytes each, the highest byte first.
pub(crate) fn order_to_bytes(order: &[u32]) -> Vec<u8> {
    order.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// Decodes what [`order_to_bytes`] wrote; `None` if the length does not fit.
pub(crate) fn order_from_bytes(bytes: &[u8]) -> Option<Vec<u32>> {
    let (numbers, []) = bytes.as_chunks::<4>() else { return None };
    Some(numbers.iter().map(|number| u32::from_be_bytes(*number)).collect())
}

pub(crate) fn seed_from_bytes(bytes: &[u8]) -> Option<Seed> {
    bytes.try_into().ok().map(Seed::new)
}

pub(crate) fn digest_from_bytes(bytes: &[u8]) -> Option<Digest> {
    bytes.try_into().ok().map(Digest)
}

/// A beacon from its two columns.
pub(crate) fn beacon_of(name: Option<String>, at: Option<Timestamp>) -> Option<Beacon> {
    name.zip(at).map(|(name, at)| Beacon { name: name.into(), at })
}

/// A change of a draw as it is stored: an instant is a number of milliseconds, anything else a text.
#[derive(Serialize, Deserialize)]
struct StoredChange {
    at: i64,
    field: String,
    before: Option<StoredMark>,
    after: Option<StoredMark>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredMark {
    At(i64),
    Text(String),
}

fn stored(mark: &Mark) -> StoredMark {
    match mark {
        Mark::At(at) => StoredMark::At(at.as_millis()),
        Mark::Text(text) => StoredMark::Text(text.to_string()),
    }
}

fn mark(stored: StoredMark) -> Mark {
    match stored {
        StoredMark::At(at) => Mark::At(Timestamp::from_millis(at)),
        StoredMark::Text(text) => Mark::Text(text.into()),
    }
}

pub(crate) fn changes_to_text(changes: &[DrawChange]) -> String {
    let changes: Vec<StoredChange> = changes
        .iter()
        .map(|change| StoredChange {
            at: change.at.as_millis(),
            field: change.field.to_string(),
            before: change.before.as_ref().map(stored),
            after: change.after.as_ref().map(stored),
        })
        .collect();
    // Texts and numbers can always be written.
    serde_json::to_string(&changes).unwrap_or_default()
}

pub(crate) fn changes_from_text(text: &str) -> Option<Vec<DrawChange>> {
    let changes: Vec<StoredChange> = serde_json::from_str(text).ok()?;
    let read = |StoredChange { at, field, before, after }| DrawChange {
        at: Timestamp::from_millis(at),
        field: field.into(),
        before: before.map(mark),
        after: after.map(mark),
    };
    Some(changes.into_iter().map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_read_as_they_were_written() {
        for drawn_at in [None, Some(Timestamp::from_millis(9))] {
            let list = List { closed_at: Timestamp::from_millis(-3), entries: 2, issued: 3, left: 1, drawn_at };
            assert_eq!(list_from_bytes(&list_to_bytes(&list)), Some(list));
        }
        assert_eq!(list_from_bytes(&[0; 39]), None);
        for order in [vec![], vec![3, 1, u32::MAX]] {
            assert_eq!(order_from_bytes(&order_to_bytes(&order)), Some(order));
        }
        assert_eq!(order_from_bytes(&[0; 5]), None);
        let (at, text) = (Mark::At(Timestamp::from_millis(5)), Mark::Text("a \"b\"".into()));
        let changes = [(Some(at.clone()), None), (None, Some(text)), (Some(at.clone()), Some(at))];
        let changes = changes.map(|(before, after)| DrawChange {
            at: Timestamp::from_millis(7),
            field: "drawAt".into(),
            before,
            after,
        });
        assert_eq!(changes_from_text(&changes_to_text(&changes)).as_deref(), Some(&changes[..]));
        assert_eq!((changes_from_text("x"), seed_from_bytes(&[0; 31])), (None, None));
    }
}
