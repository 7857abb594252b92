//! Keys of staff, as their owner makes and deletes them.

use std::sync::Arc;

use axum::extract::State;
use onsale_app::store::ListedKey;
use onsale_domain::ids::StaffKeyId;
use onsale_domain::staff::{CreateKey, DeleteKey, KEY_NAME_MAX, Key, Role};
use onsale_macros::operation;
use parking_lot::Mutex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Value, json};

use crate::auth::NewKey;
use crate::http::App;
use crate::http::input::fields;
use crate::http::input::staff::{ManageKeys, Staff};
use crate::http::input::{Body, Paged, Path, Payload, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::problem::Problem;
use crate::http::reply::{Created, Decided, Listed, NoContent};
use crate::http::values::{Id, Instant, Text};

/// The name of a key: 1 to 100 characters that all show.
#[derive(Clone, Debug)]
pub(crate) struct KeyName(pub(super) String);

impl Text for KeyName {
    const WHAT: &'static str = "1 to 100 characters that all show";

    fn parse(text: &str) -> Option<Self> {
        (fields::is_name(text) && text.chars().count() <= KEY_NAME_MAX).then(|| Self(text.to_owned()))
    }
}

impl JsonSchema for KeyName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KeyName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": KEY_NAME_MAX})
    }
}

/// The role of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoleName(pub(crate) Role);

impl Text for RoleName {
    const WHAT: &'static str = "the name of a role, such as organiser";

    fn parse(text: &str) -> Option<Self> {
        Role::named(text).map(Self)
    }
}

impl Serialize for RoleName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl JsonSchema for RoleName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StaffRole".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "enum": Role::ALL.map(|(_, name)| name),
            "description": "`owner`: everything.\n\n`organiser`: everything but keys, corrections of wallets and \
                charging.\n\n`support`: all reads but keys, refunds, corrections of wallets.\n\n`door`: lists of attendees \
                and check-in, no other read.\n\n`cashier`: charging only."
        })
    }
}

/// A key to make.
#[derive(Body, JsonSchema)]
#[schemars(rename = "StaffKeyBody")]
pub(crate) struct KeyBody {
    /// Whose key it is, for the log. Never used twice, also after the key was deleted. `root` is taken.
    name: KeyName,
    role: RoleName,
}

impl Sample for KeyBody {
    fn sample() -> Value {
        json!({"name": "front desk", "role": "support"})
    }
}

/// A key that was made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewStaffKey")]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyMade {
    key_id: Id<StaffKeyId>,
    name: String,
    role: RoleName,
    /// The secret, for `Authorization: Bearer`. It is shown this one time: null if the answer is given again under an
    /// `Idempotency-Key`.
    key: Option<String>,
    created_at: Instant,
}

impl KeyMade {
    fn of(key: &Key, secret: Option<&str>) -> Self {
        Self {
            key_id: Id(key.id),
            name: key.name.to_string(),
            role: RoleName(key.role),
            key: secret.map(str::to_owned),
            created_at: Instant(key.created_at),
        }
    }
}

impl Sample for KeyMade {
    fn sample() -> Value {
        json!({
            "keyId": sample::KEY, "name": "front desk", "role": "support",
            "key": "onsale_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "createdAt": "2026-11-22T11:12:13.456Z"
        })
    }
}

/// Make a key for a member of the staff
///
/// The answer shows the secret once. The server stores only its SHA-256.
#[operation(tag = Staff, returns = "The key with its secret", codes(KeyNameTaken, KeyLimit))]
pub(crate) async fn create_staff_key(
    State(app): State<App>,
    staff: Staff<ManageKeys>,
    payload: Payload<KeyBody>,
) -> Result<Decided<Created<KeyMade>>, Problem> {
    let KeyBody { name: KeyName(name), role: RoleName(role) } = payload.read()?;
    let NewKey { secret, hash } = NewKey::random();
    let create = CreateKey { name: name.into(), role, hash };
    // The answer that an idempotency key keeps has no secret. The one that is sent now gets it from here. A later decision of
    // the same request replaces an earlier one that was not saved.
    let made: Arc<Mutex<Option<Key>>> = Arc::default();
    let note = made.clone();
    let show = move |key: &Key| {
        *note.lock() = Some(key.clone());
        Created(KeyMade::of(key, None))
    };
    let answer = app.decide_by_staff(&staff, create, &payload, show).await?;
    if !answer.is_success() || answer.is_replayed() {
        return Ok(answer);
    }
    app.staff.see_own_changes().await;
    let made = made.lock().take();
    Ok(made.map_or(answer, |key| Decided::now(Created(KeyMade::of(&key, Some(secret.expose()))))))
}

/// A key of staff, without its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StaffKey")]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyShown {
    key_id: Id<StaffKeyId>,
    name: String,
    role: RoleName,
    created_at: Instant,
    /// The minute of its last use.
    last_used_at: Option<Instant>,
}

impl KeyShown {
    fn of(listed: &ListedKey) -> Self {
        let ListedKey { key, last_used_at } = listed;
        Self {
            key_id: Id(key.id),
            name: key.name.to_string(),
            role: RoleName(key.role),
            created_at: Instant(key.created_at),
            last_used_at: last_used_at.map(Instant),
        }
    }
}

impl Sample for KeyShown {
    fn sample() -> Value {
        json!({
            "keyId": sample::KEY, "name": "front desk", "role": "support", "createdAt": "2026-11-22T11:12:13.456Z",
            "lastUsedAt": "2026-11-22T11:30:00.000Z"
        })
    }
}

/// List the keys of staff, oldest first
///
/// Deleted keys and the key of the setting are not among them.
#[operation(tag = Staff, returns = "The keys")]
pub(crate) async fn list_staff_keys(
    State(app): State<App>,
    _: Staff<ManageKeys>,
    mut query: Query<Paged<StaffKeyId>>,
) -> Result<Listed<KeyShown>, Problem> {
    let Paged { rows, .. } = query.read()?;
    let keys = app.read(app.reader.staff_keys(rows)).await?;
    Ok(Listed::page(&query, keys, |listed| listed.key.id.to_string(), KeyShown::of))
}

/// Delete a key of staff
///
/// It ends on every instance within one second, and no change of its owner is saved after this answer. Deleting it again
/// succeeds.
#[operation(tag = Staff, returns = "The key is deleted", codes(KeyNotFound))]
pub(crate) async fn delete_staff_key(
    State(app): State<App>,
    staff: Staff<ManageKeys>,
    path: Path<StaffKeyId>,
    payload: Payload,
) -> Result<Decided<NoContent>, Problem> {
    let key = path.id()?;
    payload.arrived()?;
    let answer = app.decide_by_staff(&staff, DeleteKey { key }, &payload, |_| NoContent).await?;
    app.staff.see_own_changes().await;
    Ok(answer)
}
