//! Waiting rooms in tests.

use onsale_testing::Sale;
use serde_json::{Value, json};

use super::{millis, text};

/// A room that lets this many people in, at once, and has patience with them.
pub(crate) fn room(max_active: u32) -> Value {
    json!({"maxActive": max_active, "admitPerSecond": 1_000_000, "activeSeconds": 3_600, "claimSeconds": 3_600})
}

/// Whether the tests' rooms have their places handed out beside the database, which then does not have all of them.
pub(crate) fn places_are_beside() -> bool {
    std::env::var("ONSALE_TEST_ROOM").as_deref() == Ok("redis")
}

/// Changes a room's settings.
pub(crate) async fn configure(sale: &Sale, concert: &str, settings: &Value) -> Value {
    sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}/queue")).json(settings)).expect(200).await
}

/// A room as its administrator sees it.
pub(crate) async fn queue(sale: &Sale, concert: &str) -> Value {
    sale.admin(sale.caller.get(&format!("/admin/concerts/{concert}/queue"))).expect(200).await
}

/// The token of a place.
pub(crate) fn token(place: &Value) -> String {
    text(&place["token"])
}

/// The place of a token now.
pub(crate) async fn place(sale: &Sale, token: &str) -> Value {
    sale.caller.get("/queue/token").token(token).expect(200).await
}

/// The members of a waiting place are absent.
pub(crate) fn has_no_members_of_waiting(place: &Value) {
    for member in ["position", "estimatedWaitSeconds", "estimatedWait", "pollAfterSeconds"] {
        assert!(place[member].is_null(), "{member}: {place}");
    }
}

/// When a place was admitted, computed from its end if it has no hold.
pub(crate) fn admitted_at(place: &Value, active_seconds: i64) -> i64 {
    millis(&place["activeUntil"]) - active_seconds * 1000
}
