//! Secrets of sessions of the back office, and how they are stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onsale_domain::staff::SessionHash;
use sha2::{Digest, Sha256};

use super::AdminKey;
use crate::secret::Secret;

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// The secret of a session. Only its hash is stored.
pub(crate) struct SessionSecret([u8; SECRET_BYTES]);

impl SessionSecret {
    /// Random bytes from the thread's generator, which is seeded by the operating system.
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    /// Reads what [`Self::text`] wrote; `None` for any other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The secret in base64url, as the cookie holds it.
    pub(crate) fn text(&self) -> Secret {
        Secret::new(URL_SAFE_NO_PAD.encode(self.0))
    }

    /// The hash of a session that stands for a key in the database.
    pub(crate) fn hash(&self) -> SessionHash {
        Sha256::digest(self.0).into()
    }

    /// The hash of a session that stands for a key of the settings. The session is found only as long as the settings have
    /// this key. An attacker who reads the hash cannot try keys with it, because the secret is random.
    pub(crate) fn hash_with(&self, root: &AdminKey) -> SessionHash {
        Sha256::new().chain_update(self.0).chain_update(root.0).finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_random_and_read_as_they_were_written() {
        let (one, other) = (SessionSecret::random(), SessionSecret::random());
        assert_ne!(one.hash(), other.hash());
        let text = one.text();
        assert_eq!(text.expose().len(), 43);
        assert_eq!(SessionSecret::parse(text.expose()).map(|read| read.hash()), Some(one.hash()));
        for wrong in ["", "AAAA", &text.expose()[1..], &format!("{}A", text.expose()), &"=".repeat(43)] {
            assert!(SessionSecret::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_session_of_a_key_of_the_settings_belongs_to_that_key() {
        let secret = SessionSecret::random();
        let [one, other] = ["one key", "another key"].map(|key| AdminKey::new(&Secret::new(key)));
        assert_ne!(secret.hash_with(&one), secret.hash_with(&other));
        assert_ne!(secret.hash_with(&one), secret.hash());
    }
}
