//! Keys of staff and log entries, as they are listed.

use std::sync::Arc;

use onsale_domain::ids::{LogId, StaffKeyId};
use onsale_domain::staff::Key;
use onsale_domain::time::Timestamp;

/// A key of staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// The key, which is not deleted.
    pub key: Key,
    /// The minute of its last use, if it was used.
    pub last_used_at: Option<Timestamp>,
}

/// Which log entries to list; `None` for any.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Only entries of this actor: the id of a key, or its name.
    pub actor: Option<Arc<str>>,
    /// Only entries of this action.
    pub action: Option<Arc<str>>,
    /// Only entries about this.
    pub subject: Option<Arc<str>>,
    /// Leaves out entries about keys of staff.
    pub without_keys: bool,
}

/// A log entry, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// Id of the entry.
    pub id: LogId,
    /// Time of the change.
    pub at: Timestamp,
    /// The key of who acted; `None` for the key of the settings.
    pub key: Option<StaffKeyId>,
    /// The name of that key.
    pub actor: Arc<str>,
    /// The name of an action, such as `key.created`.
    pub action: Arc<str>,
    /// What it is about: a kind, a colon, an id.
    pub subject: Arc<str>,
    /// The changed fields before, as a JSON object.
    pub before: Option<Arc<str>>,
    /// The changed fields after, as a JSON object.
    pub after: Option<Arc<str>>,
    /// Whether values were left out, because all of them would be larger than [`crate::admin_log::FIELDS_BYTES_MAX`].
    pub truncated: bool,
    /// The `X-Request-Id` of the call.
    pub request: Arc<str>,
}
