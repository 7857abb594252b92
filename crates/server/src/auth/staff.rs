//! Keys of staff: the owner's, from the settings, and those in the database; and the sessions that stand for them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onsale_app::staff::StaffKeys;
use onsale_app::store::StoreError;
use onsale_domain::ids::StaffKeyId;
use onsale_domain::staff::{Actor, Key, Role, Session, SessionHash};
use sha2::{Digest, Sha256};

use super::{AdminKey, SessionSecret};
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

impl Member {
    /// The owner of the key of the settings.
    fn root() -> Self {
        Self { actor: Actor::Root, role: Role::Owner }
    }

    fn of(key: &Key) -> Self {
        Self { actor: Actor::Key { id: key.id, name: key.name.clone() }, role: key.role }
    }
}

/// A session of the back office that has not ended, with its owner.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) member: Member,
    pub(crate) session: Session,
}

/// Finds members of the staff by their keys, and by sessions that stand for keys.
pub(crate) struct Staff {
    /// The keys that the settings give: the present one and the previous one.
    roots: Vec<AdminKey>,
    keys: Arc<StaffKeys>,
}

impl Staff {
    /// `roots` are the keys that the settings give.
    pub(crate) fn new<'a>(roots: impl IntoIterator<Item = &'a Secret>, keys: Arc<StaffKeys>) -> Self {
        Self { roots: roots.into_iter().map(AdminKey::new).collect(), keys }
    }

    /// Whether there was any key at the last check. For limits only.
    pub(crate) fn had_keys(&self) -> bool {
        !self.roots.is_empty() || !self.keys.were_none()
    }

    /// Whether there is any key: without one, calls of administrators answer 404.
    ///
    /// # Errors
    /// [`StoreError`] if that cannot be known.
    pub(crate) async fn has_keys(&self) -> Result<bool, StoreError> {
        if self.roots.is_empty() { self.keys.are_any().await } else { Ok(true) }
    }

    /// Whether a text looks like a key that was made here. It has 32 random bytes, so no client can guess one.
    pub(crate) fn is_made_here(text: &str) -> bool {
        is_key(text)
    }

    /// Whether a text was a key in the database a moment ago. For limits only.
    pub(crate) fn is_known(&self, text: &str) -> bool {
        is_key(text) && self.keys.is_known(&Sha256::digest(text).into())
    }

    /// Whether a text is a key of the settings.
    pub(crate) fn is_root(&self, text: &str) -> bool {
        self.root(text).is_some()
    }

    /// The member of the staff with this key, and the right to act with it now.
    ///
    /// # Errors
    /// [`StoreError`] if the keys of the database could not be checked within the last second. The key of the settings
    /// needs no check.
    pub(crate) async fn member(&self, key: &str) -> Result<Option<Member>, StoreError> {
        if self.is_root(key) {
            return Ok(Some(Member::root()));
        }
        if !is_key(key) {
            return Ok(None);
        }
        Ok(self.keys.find(&Sha256::digest(key).into()).await?.as_deref().map(Member::of))
    }

    /// The session with this secret, in base64url. `None` if it has ended, or its key was deleted or is not the one of the
    /// settings any more.
    ///
    /// # Errors
    /// [`StoreError`] if the session cannot be read, or the keys cannot be checked.
    pub(crate) async fn signed_in(&self, secret: &str) -> Result<Option<SignedIn>, StoreError> {
        let Some(secret) = SessionSecret::parse(secret) else { return Ok(None) };
        let mut hashes = vec![secret.hash()];
        hashes.extend(self.roots.iter().map(|root| secret.hash_with(root)));
        let found = self.keys.session(&hashes).await?;
        Ok(found.map(|(session, key)| {
            let member = key.as_deref().map_or_else(Member::root, Member::of);
            SignedIn { member, session }
        }))
    }

    /// Whether a key of the database still lives.
    ///
    /// # Errors
    /// [`StoreError`] if the keys could not be checked within the last second.
    pub(crate) async fn is_live(&self, key: StaffKeyId) -> Result<bool, StoreError> {
        self.keys.is_live(key).await
    }

    /// Whether a session has not ended, and its key still lives.
    ///
    /// # Errors
    /// [`StoreError`] if the session cannot be read, or the keys cannot be checked.
    pub(crate) async fn goes_on(&self, session: &Session) -> Result<bool, StoreError> {
        Ok(self.keys.session(&[session.hash]).await?.is_some())
    }

    /// The hash of a new session that stands for a key.
    pub(crate) fn hash_of(&self, secret: &SessionSecret, key: &str) -> SessionHash {
        self.root(key).map_or_else(|| secret.hash(), |root| secret.hash_with(root))
    }

    /// Lets this process see the keys that it has just changed.
    pub(crate) async fn see_own_changes(&self) {
        // If the database does not answer, the next check sees them.
        let _ = self.keys.see_own_changes().await;
    }

    /// Compares with each key, so that the time does not tell which of them it is.
    fn root(&self, key: &str) -> Option<&AdminKey> {
        self.roots.iter().fold(None, |found, root| if root.opens_for(key) { Some(root) } else { found })
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
