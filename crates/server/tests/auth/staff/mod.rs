//! Keys of staff: made, used by role and by session, deleted, and the log of what their owners did.

mod charging;
mod keys;
mod log;
mod reads;
mod roles;
mod sessions;

use onsale_testing::Sale;
use serde_json::{Value, json};

use crate::support::{answer, text};

/// A key that no server made.
const UNKNOWN: &str = "onsale_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// Makes a key with the key of the setting. Returns the whole answer.
async fn made(sale: &Sale, name: &str, role: &str) -> Value {
    let body = json!({"name": name, "role": role});
    sale.admin(sale.caller.post("/admin/keys").json(&body)).expect(201).await
}

/// The secret of a new key.
async fn key(sale: &Sale, name: &str, role: &str) -> String {
    text(&made(sale, name, role).await["key"])
}

/// All log entries, newest first.
async fn log(sale: &Sale, query: &str) -> Vec<Value> {
    let first = format!("/admin/log?limit=3{query}");
    crate::support::walk(&first, |path| sale.admin(sale.caller.get(path))).await
}
