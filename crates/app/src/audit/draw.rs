//! Draws: seed, list and order agree with each other and with what was published, and drawn places are admitted in order.

use std::collections::HashMap;

use onsale_domain::ids::TokenId;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{CLOSED_VERSION, DRAWN_VERSION, DrawKey, ListHash, Mark};
use serde_json::Value;

use super::Finding;
use super::drawn::DrawRow;
use super::source::{AuditSource, EventRow};
use crate::draw_event::{self, closed_data, completed_data};
use crate::store::StoreError;

pub(super) async fn check(source: &dyn AuditSource, forgotten: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let mut draws =
        Finding::new("every draw has the hash of its list, and the order that follows from seed, list and beacon");
    let mut told = Finding::new("every closed list and every drawn order has its event");
    let mut admitted = Finding::new("drawn places are admitted in order, each by the token that was drawn for it");
    let mut rows = source.draws();
    while let Some(row) = rows.recv().await {
        let row = row?;
        for (finding, wrong) in [
            (&mut draws, wrong_seed(&row).or_else(|| wrong_order(&row))),
            (&mut told, wrong_events(&row, forgotten)),
            (&mut admitted, wrong_admission(&row)),
        ] {
            finding.check(wrong.is_none(), || format!("{}: {}", row.concert, wrong.unwrap_or_default()));
        }
    }
    Ok(vec![draws, told, admitted])
}

/// The last commitment among the published changes is that of the seed. A draw that was made with its concert has no such change.
fn wrong_seed(row: &DrawRow) -> Option<&'static str> {
    let last = row.draw.changes.iter().rev().find(|change| &*change.field == "commitment")?;
    let holds = match &last.after {
        Some(Mark::Text(text)) => **text == *row.draw.seed.commitment().to_string(),
        Some(Mark::At(_)) => false,
        None => row.room.settings.draw_at.is_none(),
    };
    (!holds).then_some("its seed is not the one of the published commitment")
}

fn wrong_order(row: &DrawRow) -> Option<&'static str> {
    let DrawRow { concert, dropped_to, draw, order, entries, .. } = row;
    let Some(list) = &row.room.list else {
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
    if row.users_twice > 0 {
        return Some("a user has two entries in its list");
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

/// The event of the list is written with its hash, and that of the order with the draw. The task that deletes old events may have
/// deleted both.
fn wrong_events(row: &DrawRow, forgotten: Timestamp) -> Option<&'static str> {
    let DrawRow { concert, draw, closed_event, drawn_event, .. } = row;
    let Some(list) = row.room.list else {
        let is_told = closed_event.is_some() || drawn_event.is_some();
        return is_told.then_some("it has an event before its list was closed");
    };
    let is_of = |event: &EventRow, kind: &str, version: u64, data: &Value| {
        let same = serde_json::from_str::<Value>(&event.data).is_ok_and(|found| found == *data);
        event.kind == kind && event.subject == concert.to_string() && event.version == version && same
    };
    let is_closed_told = match (closed_event, draw.entries_hash) {
        (Some(event), Some(hash)) => {
            let data = closed_data(*concert, &list, draw.seed.commitment(), hash);
            is_of(event, draw_event::CLOSED, CLOSED_VERSION, &data)
        }
        // It is written a little later than the closing.
        (None, Some(_)) => list.closed_at < forgotten,
        (event, None) => event.is_none(),
    };
    let is_drawn_told = match (drawn_event, list.drawn_at) {
        (Some(event), Some(_)) => {
            is_of(event, draw_event::COMPLETED, DRAWN_VERSION, &completed_data(*concert, &list, draw))
        }
        (None, Some(drawn_at)) => drawn_at < forgotten,
        (event, None) => event.is_none(),
    };
    if !is_closed_told {
        Some("the event of its closed list is missing, or another one")
    } else if !is_drawn_told {
        Some("the event of its drawn order is missing, or another one")
    } else {
        None
    }
}

/// No user is admitted before the draw. Each place behind the entries that was called has a turn or was given up before it.
fn wrong_admission(row: &DrawRow) -> Option<&'static str> {
    let DrawRow { room, dropped_to, order, .. } = row;
    let Some((list, order)) = room.list.zip(order.as_ref()) else {
        let is_early = room.settings.draw_at.is_some() && room.admitted > 0;
        return is_early.then_some("a user was admitted before the draw");
    };
    if *dropped_to > 0 {
        return None;
    }
    let tokens: HashMap<u32, TokenId> = row.entries.iter().map(|(token, number)| (*number, *token)).collect();
    let drawn = |place: &u64| {
        let index = usize::try_from(place.checked_sub(list.issued + 1)?).ok()?;
        order.get(index).and_then(|number| tokens.get(number)).copied()
    };
    if !row.drawn.iter().all(|(place, token)| drawn(place) == Some(*token)) {
        return Some("a drawn place has the token of another entry");
    }
    let called = room.served.saturating_sub(list.issued);
    let known = room.admitted + row.passed;
    // Places that Redis may not have handed out are passed over without a row.
    let holds = if room.blocks.epoch > 0 { known <= called } else { known == called };
    (!holds).then_some("users were not admitted in the order of their places")
}
