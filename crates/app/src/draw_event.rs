//! The events of draws as consumers read them.

use onsale_domain::ids::ConcertId;
use onsale_domain::waiting_room::{Digest, Draw, List};
use serde_json::{Value, json};

use crate::calendar::rfc3339;

/// The CloudEvents type of the event of a closed list.
pub const CLOSED: &str = "onsale.draw.closed.v1";

/// The CloudEvents type of the event of a drawn order.
pub const COMPLETED: &str = "onsale.draw.completed.v1";

/// The data of a closed list, which the audit compares too.
pub fn closed_data(concert: ConcertId, list: &List, commitment: Digest, entries_hash: Digest) -> Value {
    json!({
        "concertId": concert.to_string(), "entries": list.entries, "closedAt": rfc3339(list.closed_at),
        "commitment": commitment.to_string(), "entriesHash": entries_hash.to_string(),
    })
}

/// The data of a drawn order, which the audit compares too. It reveals the seed, as the transaction that draws does.
pub fn completed_data(concert: ConcertId, list: &List, draw: &Draw) -> Value {
    json!({
        "concertId": concert.to_string(), "entries": list.entries, "closedAt": rfc3339(list.closed_at),
        "drawnAt": list.drawn_at.map(rfc3339), "commitment": draw.seed.commitment().to_string(),
        "entriesHash": draw.entries_hash.map(|hash| hash.to_string()),
        "beaconName": draw.beacon.as_ref().map(|beacon| &*beacon.name), "beacon": draw.value.as_deref(),
        "seed": draw.seed.reveal().to_string(),
    })
}
