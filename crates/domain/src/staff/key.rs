//! Keys of staff: who makes and deletes them.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::Role;
use crate::ids::StaffKeyId;
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// The name of the key that the settings give. No other key has it.
pub const ROOT: &str = "root";

/// Maximum number of keys that are not deleted.
pub const KEYS_MAX: u32 = 1_000;

/// Maximum length of a name, in characters; the minimum is 1.
pub const KEY_NAME_MAX: usize = 100;

/// A key of a member of the staff. Its row stays when it is deleted, so that its name is never used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Id of the key.
    pub id: StaffKeyId,
    /// 1 to [`KEY_NAME_MAX`] characters. Never used twice.
    pub name: Arc<str>,
    /// What its owner may do. Never changes.
    pub role: Role,
    /// SHA-256 of the secret, which is stored nowhere.
    pub hash: [u8; 32],
    /// Time of the creation.
    pub created_at: Timestamp,
    /// Time of the deletion, if it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// The counters of all keys. Instances compare it to find a change of the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// Number of keys that were made or deleted so far.
    pub version: u64,
    /// Id of the last change. A restored database, or a standby that lacked the last commits, may reach the same version by
    /// another change.
    pub change: Uuid,
    /// Number of keys that are not deleted: 0 to [`KEYS_MAX`].
    pub live: u32,
}

/// The rows that a change of the keys needs. The row of the directory is locked first, so that one unit of work at a time
/// changes keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys to delete. Their rows are locked exclusively.
    pub deleted: BTreeSet<StaffKeyId>,
    /// Names of keys to make.
    pub names: BTreeSet<Arc<str>>,
}

/// Makes a key with a name that no other key has or had.
#[derive(Clone, Debug)]
pub struct CreateKey {
    /// 1 to [`KEY_NAME_MAX`] characters.
    pub name: Arc<str>,
    /// What its owner may do.
    pub role: Role,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
}

/// Deletes a key. Succeeds also if it was deleted before.
#[derive(Clone, Debug)]
pub struct DeleteKey {
    /// The key to delete.
    pub key: StaffKeyId,
}

/// Notes when keys were used last.
#[derive(Clone, Debug)]
pub struct NoteUses {
    /// Each key with the minute of its last use.
    pub uses: Vec<(StaffKeyId, Timestamp)>,
}

impl Command for CreateKey {
    type Output = Key;

    fn needs(&self, keys: &mut Keys) {
        keys.staff_changes.get_or_insert_default().names.insert(self.name.clone());
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Key, Refusal> {
        if &*self.name == ROOT || rows.staff_names.get(&self.name).is_some() {
            return Err(Refusal::KeyNameTaken);
        }
        let directory = rows.staff_directory.get(&()).copied().unwrap_or_default();
        if directory.live >= KEYS_MAX {
            return Err(Refusal::KeyLimit);
        }
        let key = Key {
            id: StaffKeyId::new(cx.ids.next(cx.at)),
            name: self.name.clone(),
            role: self.role,
            hash: self.hash,
            created_at: cx.at,
            deleted_at: None,
        };
        let change = cx.ids.next(cx.at);
        rows.staff_directory.put((), Directory { version: directory.version + 1, change, live: directory.live + 1 });
        rows.staff_names.put(key.name.clone(), key.id);
        rows.staff_keys.put(key.id, key.clone());
        Ok(key)
    }
}

impl Command for DeleteKey {
    /// The key as it is from now on.
    type Output = Key;

    fn needs(&self, keys: &mut Keys) {
        keys.staff_changes.get_or_insert_default().deleted.insert(self.key);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Key, Refusal> {
        let key = rows.staff_keys.get(&self.key).ok_or(Refusal::KeyNotFound)?;
        if key.deleted_at.is_some() {
            return Ok(key.clone());
        }
        let deleted = Key { deleted_at: Some(cx.at.not_before(key.created_at)), ..key.clone() };
        let directory = rows.staff_directory.get(&()).copied().unwrap_or_default();
        let live = directory.live.saturating_sub(1);
        let change = cx.ids.next(cx.at);
        rows.staff_directory.put((), Directory { version: directory.version + 1, change, live });
        rows.staff_keys.put(self.key, deleted.clone());
        Ok(deleted)
    }
}

impl Command for NoteUses {
    type Output = ();

    fn needs(&self, _: &mut Keys) {}

    fn decide(&self, rows: &mut Rows, _: &mut Context<'_>) -> Result<(), Refusal> {
        rows.staff_uses.extend_from_slice(&self.uses);
        Ok(())
    }
}
