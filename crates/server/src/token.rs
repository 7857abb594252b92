//! Queue tokens as text: a signed place in a waiting room.
//!
//! A token is a JWT (RFC 7519) with one fixed header. Text that does not begin with exactly this header is refused before its
//! signature is checked, so a client cannot choose another algorithm.
//!
//! By hand, because every poll decodes a token: that takes 0.7 µs of processor time here, and 2.2 µs with `jsonwebtoken`, which
//! parses the header as JSON and allocates. Here the header is one comparison, and claims are read from the stack.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use onsale_domain::ids::{ConcertId, TokenId, UserId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Token;
use serde::Deserialize;
use sha2::Sha256;

/// The header of every token: `{"alg":"HS256","typ":"queue+jwt"}` in base64url.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6InF1ZXVlK2p3dCJ9";

/// The longest token, in bytes. Longer text is refused before anything is decoded.
const LENGTH_MAX: usize = 512;

/// The length of an HMAC-SHA256 in base64url without padding, in bytes.
const SIGNATURE_LENGTH: usize = 43;

/// Signs tokens and verifies them.
#[derive(Clone)]
pub(crate) struct TokenCodec {
    /// Keyed once and cloned for each token: keying hashes two further blocks, which would double the work.
    keyed: Hmac<Sha256>,
    /// Keyed with a secret that signs no tokens, and whose tokens are valid. Used only if the signature is not of `keyed`.
    previous: Option<Hmac<Sha256>>,
}

#[derive(Deserialize)]
struct Claims<'a> {
    jti: &'a str,
    sub: &'a str,
    room: &'a str,
    place: u64,
    iat: f64,
}

impl TokenCodec {
    /// Creates a codec with a secret of any length. `serve` logs a warning if it is shorter than 32 bytes.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self { keyed: keyed(secret), previous: None }
    }

    /// Accepts tokens that another secret signed, if there is one.
    pub(crate) fn accepting(self, previous: Option<&[u8]>) -> Self {
        Self { previous: previous.map(keyed), ..self }
    }

    /// Returns the text of a token: always the same text for the same place.
    pub(crate) fn encode(&self, token: &Token) -> String {
        let millis = token.issued_at.as_millis();
        let claims = format!(
            r#"{{"jti":"{}","sub":"{}","room":"{}","place":{},"iat":{}.{:03}}}"#,
            token.id,
            token.user,
            token.concert,
            token.place,
            millis.div_euclid(1000),
            millis.rem_euclid(1000)
        );
        let mut text = String::with_capacity(LENGTH_MAX);
        text.push_str(HEADER);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut text);
        let signature = self.keyed.clone().chain_update(&text).finalize().into_bytes();
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        text
    }

    /// Returns the token of a text; `None` if neither secret signed the text.
    pub(crate) fn decode(&self, text: &str) -> Option<Token> {
        if text.len() > LENGTH_MAX {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let claims = signed.strip_prefix(HEADER)?.strip_prefix('.')?;
        let mut expected = [0; 33];
        if signature.len() != SIGNATURE_LENGTH {
            return None;
        }
        let length = URL_SAFE_NO_PAD.decode_slice(signature, &mut expected).ok()?;
        let is_signed_with =
            |keyed: &Hmac<Sha256>| keyed.clone().chain_update(signed).verify_slice(&expected[..length]).is_ok();
        if !is_signed_with(&self.keyed) && !self.previous.as_ref().is_some_and(is_signed_with) {
            return None;
        }

        let mut json = [0; LENGTH_MAX];
        let length = URL_SAFE_NO_PAD.decode_slice(claims, &mut json).ok()?;
        let claims: Claims<'_> = serde_json::from_slice(&json[..length]).ok()?;
        Some(Token {
            id: TokenId::parse(claims.jti)?,
            concert: ConcertId::parse(claims.room)?,
            user: UserId::parse(claims.sub)?,
            place: claims.place,
            issued_at: Timestamp::from_millis(millis(claims.iat)),
        })
    }
}

fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    let Ok(keyed) = Hmac::new_from_slice(secret) else { unreachable!("HMAC takes a key of any length") };
    keyed
}

#[expect(clippy::cast_possible_truncation, reason = "milliseconds of this era are exact in 53 bits")]
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn token() -> Token {
        Token {
            id: TokenId::new(Uuid::from_u128(1)),
            concert: ConcertId::new(Uuid::from_u128(2)),
            user: UserId::parse("a-user_42").unwrap(),
            place: 987_654_321,
            issued_at: Timestamp::from_millis(1_763_800_000_123),
        }
    }

    #[test]
    fn decoding_reverses_encoding_and_encoding_is_stable() {
        let codec = TokenCodec::new(&[7; 32]);
        let text = codec.encode(&token());
        assert_eq!(codec.decode(&text), Some(token()));
        assert_eq!(codec.encode(&token()), text);
    }

    #[test]
    fn the_constant_is_the_header_in_base64url() {
        let header = URL_SAFE_NO_PAD.decode(HEADER).unwrap();
        assert_eq!(header, br#"{"alg":"HS256","typ":"queue+jwt"}"#);
    }

    #[test]
    fn a_changed_or_shortened_token_is_refused() {
        let codec = TokenCodec::new(&[7; 32]);
        let text = codec.encode(&token());
        assert_eq!(TokenCodec::new(&[8; 32]).decode(&text), None, "another secret");
        let rotated = TokenCodec::new(&[8; 32]).accepting(Some(&[7; 32]));
        assert!(rotated.decode(&text).is_some(), "the previous secret is accepted");
        let fresh = rotated.encode(&rotated.decode(&text).unwrap());
        assert!(fresh != text && codec.decode(&fresh).is_none(), "and signs nothing");
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last character carries bits that base64 does not use; any other change must show.
            assert!(codec.decode(&changed).is_none_or(|same| same == token()), "changed at {at}");
        }
        for cut in 0..text.len() {
            assert_eq!(codec.decode(&text[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_token_with_another_header_is_refused_even_if_signed() {
        let codec = TokenCodec::new(&[7; 32]);
        let text = codec.encode(&token());
        let claims = text.split('.').nth(1).unwrap();
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS256"}"#, r#"{"alg":"HS512","typ":"queue+jwt"}"#] {
            let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header));
            let signature = codec.keyed.clone().chain_update(&signed).finalize().into_bytes();
            assert_eq!(codec.decode(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))), None, "{header}");
            assert_eq!(codec.decode(&format!("{signed}.")), None, "{header} without a signature");
        }
    }
}
