//! Draws: the hash is that of the list, and the order follows from seed, list and beacon.

use onsale_domain::waiting_room::{DrawKey, ListHash};

use super::Finding;
use super::source::{AuditSource, DrawRow};
use crate::store::StoreError;

pub(super) async fn check(source: &dyn AuditSource) -> Result<Finding, StoreError> {
    let mut draws =
        Finding::new("every draw has the hash of its list, and the order that follows from seed, list and beacon");
    let mut rows = source.draws();
    while let Some(row) = rows.recv().await {
        let row = row?;
        let wrong = what_is_wrong(&row);
        draws.check(wrong.is_none(), || format!("{}: {}", row.concert, wrong.unwrap_or_default()));
    }
    Ok(draws)
}

fn what_is_wrong(row: &DrawRow) -> Option<&'static str> {
    let DrawRow { concert, list, dropped_to, draw, order, entries } = row;
    let Some(list) = list else {
        let is_open = draw.entries_hash.is_none() && draw.value.is_none() && order.is_none();
        return (!is_open).then_some("it has a hash, a beacon or an order before its list was closed");
    };
    if draw.value.is_some() && draw.beacon.is_none() {
        return Some("it has the value of a beacon that it does not name");
    }
    if list.drawn_at.is_some() != order.is_some() {
        return Some("it is drawn without an order, or has one before the draw");
    }
    // The rows of a sale that is long over are deleted.
    if *dropped_to > 0 {
        return None;
    }
    if entries.len() as u64 != list.entries {
        return Some("its list has another number of entries than were closed");
    }
    let mut sorted = entries.clone();
    sorted.sort_unstable();
    let mut hash = ListHash::default();
    sorted.iter().for_each(|(token, _)| hash.add(&[*token]));
    let hash = hash.finish();
    if draw.entries_hash.is_some_and(|known| known != hash) {
        return Some("its hash is not that of its list");
    }
    let order = order.as_ref()?;
    if draw.entries_hash.is_none() || draw.awaits_beacon() {
        return Some("it is drawn without the hash of its list, or without its beacon");
    }
    let key = DrawKey::of(&draw.seed, *concert, hash, draw.value.as_deref().unwrap_or_default().as_bytes());
    let count = u32::try_from(sorted.len()).unwrap_or(u32::MAX);
    let drawn = key.order_of(count, |index| sorted[index as usize].0);
    let follows = drawn.into_iter().map(|index| sorted[index as usize].1).eq(order.iter().copied());
    (!follows).then_some("its order does not follow from its seed, list and beacon")
}
