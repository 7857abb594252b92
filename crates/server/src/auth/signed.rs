//! Values of cookies that are signed and not stored: bytes and their HMAC-SHA-256, each in base64url, joined by a dot.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The longest value that is read, in bytes. Longer text is refused before anything is decoded.
const LENGTH_MAX: usize = 1_024;

/// Signs values of one purpose. A value of another purpose has another signature, though the key is the same.
#[derive(Clone)]
pub(super) struct Signer(Hmac<Sha256>);

impl Signer {
    /// `key` is the key that all purposes share, and `purpose` names this one.
    pub(super) fn new(key: &[u8], purpose: &str) -> Self {
        let Ok(keyed) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!("HMAC takes a key of any length") };
        Self(keyed.chain_update(purpose).chain_update([0]))
    }

    /// The HMAC of some bytes.
    pub(super) fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        self.0.clone().chain_update(bytes).finalize().into_bytes().into()
    }

    /// A value as a cookie holds it.
    pub(super) fn seal(&self, bytes: &[u8]) -> String {
        format!("{}.{}", URL_SAFE_NO_PAD.encode(bytes), URL_SAFE_NO_PAD.encode(self.mac(bytes)))
    }

    /// The bytes that [`Self::seal`] signed; `None` for any other text. The signature is compared in constant time.
    pub(super) fn open(&self, text: &str) -> Option<Vec<u8>> {
        if text.len() > LENGTH_MAX {
            return None;
        }
        let (bytes, signature) = text.split_once('.')?;
        let bytes = URL_SAFE_NO_PAD.decode(bytes).ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.0.clone().chain_update(&bytes).verify_slice(&signature).ok()?;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_for_the_purpose_is_opened() {
        let [one, other, foreign] =
            [Signer::new(b"key", "one"), Signer::new(b"key", "other"), Signer::new(b"another key", "one")];
        let sealed = one.seal(b"bytes");
        assert_eq!(one.open(&sealed).as_deref(), Some(&b"bytes"[..]));
        for signer in [other, foreign] {
            assert_eq!(signer.open(&sealed), None);
        }
        let (bytes, signature) = sealed.split_once('.').unwrap();
        for wrong in [
            String::new(),
            ".".to_owned(),
            bytes.to_owned(),
            format!("{bytes}."),
            format!("{bytes}.{}", &signature[..42]),
            format!("{bytes}.{signature}A"),
            format!("{bytes}A.{signature}"),
            format!("{sealed}.{signature}"),
            format!("{}.{signature}", URL_SAFE_NO_PAD.encode(b"bytez")),
            "A".repeat(LENGTH_MAX + 1),
        ] {
            assert_eq!(one.open(&wrong), None, "{wrong}");
        }
    }
}
