//! The user that a `sub` claim names. Bearers and sign-ins use the same rule, so that both name the same user.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onsale_domain::ids::UserId;
use sha2::{Digest, Sha256};

use super::Refused;

/// The first characters of a user id that was made from a `sub` in another alphabet.
const PREFIX: &str = "u_";

/// The length of a SHA-256 in base64url without padding, in bytes.
const HASH_LENGTH: usize = 43;

/// Returns the user of a `sub`: the `sub` itself if it is a user id, else `u_` and the base64url of
/// SHA-256(`iss` ‖ 0x00 ‖ `sub`). `issuer` is the `iss` claim, empty if there is none.
///
/// # Errors
/// [`Refused::SubjectMissing`] if it is empty; [`Refused::SubjectReserved`] if it has the form of a hash, by which it would name
/// the user of another `sub`.
pub(super) fn user_of(issuer: &str, subject: &str) -> Result<UserId, Refused> {
    if subject.is_empty() {
        return Err(Refused::SubjectMissing);
    }
    if is_hash(subject) {
        return Err(Refused::SubjectReserved);
    }
    if let Some(user) = UserId::parse(subject) {
        return Ok(user);
    }
    let hash = Sha256::new().chain_update(issuer).chain_update([0]).chain_update(subject).finalize();
    UserId::parse(&format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(hash))).ok_or(Refused::SubjectReserved)
}

fn is_hash(subject: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    subject.strip_prefix(PREFIX).is_some_and(|rest| rest.len() == HASH_LENGTH && rest.bytes().all(is_base64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of `https://id.example`, a zero byte and `ada@example.com`.
    const OF_ADA: &str = "u_7rgTFCdCJ93Qj8iw-zK5TkP4FlvoUJ75gI83nlA0RUk";

    /// SHA-256 of a zero byte and `ada@example.com`.
    const WITHOUT_ISSUER: &str = "u_qnXQRjz1FzXa4OaLZNyM3_kzfpcNB-joWYWyDeah5jo";

    #[test]
    fn a_subject_is_the_user_or_is_hashed_with_its_issuer() {
        let issuer = "https://id.example";
        let long = "a".repeat(65);
        for (issuer, subject, user) in [
            (issuer, "ada", Some("ada")),
            ("", "ada", Some("ada")),
            (issuer, "u_ada", Some("u_ada")),
            (issuer, "auth0|5f7c8ec7c33c6c004bbafe82", None),
            (issuer, "ada@example.com", Some(OF_ADA)),
            ("", "ada@example.com", Some(WITHOUT_ISSUER)),
            (issuer, "가나다", None),
            (issuer, " ada", None),
            (issuer, long.as_str(), None),
        ] {
            let found = user_of(issuer, subject).unwrap();
            match user {
                Some(user) => assert_eq!(found.as_str(), user, "{subject}"),
                None => assert!(is_hash(found.as_str()), "{subject}: {found}"),
            }
        }
        assert_ne!(user_of(issuer, "a|b").unwrap(), user_of("https://other.example", "a|b").unwrap(), "another issuer");
    }

    #[test]
    fn a_subject_in_the_form_of_a_hash_is_refused() {
        for subject in [OF_ADA, WITHOUT_ISSUER, &format!("u_{}", "A".repeat(HASH_LENGTH))] {
            assert_eq!(user_of("https://id.example", subject), Err(Refused::SubjectReserved), "{subject}");
        }
        for subject in [&OF_ADA[..44], &format!("{OF_ADA}A"), &OF_ADA[1..], &OF_ADA.replacen("u_", "U_", 1)] {
            assert_eq!(user_of("", subject).unwrap().as_str(), subject, "another length or beginning");
        }
        assert_eq!(user_of("", ""), Err(Refused::SubjectMissing));
    }
}
