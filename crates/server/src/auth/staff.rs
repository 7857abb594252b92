//! Keys of staff: the owner's, from the settings, and those in the database.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onsale_app::staff::StaffKeys;
use onsale_app::store::StoreError;
use onsale_domain::staff::{Actor, Role};
use sha2::{Digest, Sha256};

use super::AdminKey;
use crate::secret::Secret;

/// The first characters of each key that is made here, so that scanners of leaked secrets find it.
const PREFIX: &str = "onsale_";

/// Random bytes of a key.
const SECRET_BYTES: usize = 32;

/// A new key, as its owner gets it, and its SHA-256.
pub(crate) struct NewKey {
    pub(crate) secret: Secret,
    pub(crate) hash: [u8; 32],
}

impl NewKey {
    /// Random bytes from the thread's generator, which is seeded by the operating system.
    pub(crate) fn random() -> Self {
        let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; SECRET_BYTES]>()));
        let hash = Sha256::digest(&secret).into();
        Self { secret: Secret::new(secret), hash }
    }
}

/// Whether a text looks like a key that was made here: only such a text is looked up.
fn is_key(text: &str) -> bool {
    let secret = text.strip_prefix(PREFIX).and_then(|rest| URL_SAFE_NO_PAD.decode(rest).ok());
    secret.is_some_and(|secret| secret.len() == SECRET_BYTES)
}

/// A member of the staff, by the key of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) actor: Actor,
    pub(crate) role: Role,
}

/// Finds members of the staff by their keys.
pub(crate) struct Staff {
    root: Option<AdminKey>,
    keys: Arc<StaffKeys>,
}

impl Staff {
    /// `root` is the key that the settings give.
    pub(crate) fn new(root: Option<&Secret>, keys: Arc<StaffKeys>) -> Self {
        Self { root: root.map(AdminKey::new), keys }
    }

    /// Whether there is any key: without one, calls of administrators answer 404.
    pub(crate) fn has_keys(&self) -> bool {
        self.root.is_some() || !self.keys.is_empty()
    }

    /// Whether a text was a key a moment ago. For limits only.
    pub(crate) fn is_known(&self, text: &str) -> bool {
        self.is_root(text) || (is_key(text) && self.keys.is_known(&Sha256::digest(text).into()))
    }

    /// The member of the staff with this key, and the right to act with it now.
    ///
    /// # Errors
    /// [`StoreError`] if the keys of the database could not be checked within the last second. The key of the settings
    /// needs no check.
    pub(crate) async fn member(&self, key: &str) -> Result<Option<Member>, StoreError> {
        if self.is_root(key) {
            return Ok(Some(Member { actor: Actor::Root, role: Role::Owner }));
        }
        if !is_key(key) {
            return Ok(None);
        }
        let found = self.keys.find(&Sha256::digest(key).into()).await?;
        let member = |key: &onsale_domain::staff::Key| {
            let actor = Actor::Key { id: key.id, name: key.name.clone() };
            Member { actor, role: key.role }
        };
        Ok(found.as_deref().map(member))
    }

    /// Lets this process see the keys that it has just changed.
    pub(crate) async fn see_own_changes(&self) {
        // If the database does not answer, the next check sees them.
        let _ = self.keys.see_own_changes().await;
    }

    fn is_root(&self, key: &str) -> bool {
        self.root.as_ref().is_some_and(|root| root.opens_for(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_random_and_look_like_keys() {
        let (one, other) = (NewKey::random(), NewKey::random());
        assert!(one.secret != other.secret && one.hash != other.hash);
        assert_eq!(one.secret.expose().len(), "onsale_".len() + 43);
        assert!(is_key(one.secret.expose()));
        assert_eq!(one.hash, <[u8; 32]>::from(Sha256::digest(one.secret.expose())));
        let short = &one.secret.expose()[..one.secret.expose().len() - 2];
        for text in ["", "onsale_", "onsale_x", short, &one.secret.expose()["onsale_".len()..], "a.b.c"] {
            assert!(!is_key(text), "{text}");
        }
    }
}
