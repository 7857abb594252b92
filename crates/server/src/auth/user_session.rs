//! Sessions of users who signed in at a provider, as cookies hold them. All instances sign with one key of the database, so each
//! of them checks every session without a query.

use onsale_domain::ids::{UserId, UserSessionId};
use onsale_domain::session::USER_SESSION_SECONDS;
use onsale_domain::time::Timestamp;
use uuid::Uuid;

use super::signed::Signer;

/// The first byte of a session, so that this form differs from later ones.
const VERSION: u8 = 1;

/// The bytes before the user: version, id, and the instant from which it opens nothing.
const FIXED: usize = 1 + 16 + 8;

/// A session is renewed by a use if it was issued or renewed this long ago or longer, in milliseconds.
const RENEWED_AFTER_MILLIS: i64 = 15 * 60 * 1000;

/// The session of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserSession {
    /// Stays the same when the session is renewed.
    pub(crate) id: UserSessionId,
    pub(crate) user: UserId,
    /// From this instant on it opens nothing.
    pub(crate) expires_at: Timestamp,
}

impl UserSession {
    /// A new session of a user.
    pub(super) fn new(user: UserId, now: Timestamp) -> Self {
        Self { id: UserSessionId::new(Uuid::from_bytes(rand::random())), user, expires_at: end(now) }
    }

    /// The same session for another 12 hours, if it is time for that.
    pub(super) fn renewed(&self, now: Timestamp) -> Option<Self> {
        let renewed = Self { expires_at: end(now), ..self.clone() };
        (renewed.expires_at.as_millis() - self.expires_at.as_millis() >= RENEWED_AFTER_MILLIS).then_some(renewed)
    }

    pub(super) fn text(&self, signer: &Signer) -> String {
        let mut bytes = Vec::with_capacity(FIXED + UserId::LENGTH_MAX);
        bytes.push(VERSION);
        bytes.extend(self.id.uuid().as_bytes());
        bytes.extend(self.expires_at.as_millis().to_be_bytes());
        bytes.extend(self.user.as_str().as_bytes());
        signer.seal(&bytes)
    }

    /// Reads what [`Self::text`] wrote; `None` for any other text, and if the session is over.
    pub(super) fn read(text: &str, signer: &Signer, now: Timestamp) -> Option<Self> {
        let bytes = signer.open(text)?;
        let (fixed, user) = bytes.split_at_checked(FIXED)?;
        let (version, fixed) = fixed.split_first()?;
        let (id, expires_at) = fixed.split_at_checked(16)?;
        let session = Self {
            id: UserSessionId::new(Uuid::from_bytes(id.try_into().ok()?)),
            user: UserId::parse(std::str::from_utf8(user).ok()?)?,
            expires_at: Timestamp::from_millis(i64::from_be_bytes(expires_at.try_into().ok()?)),
        };
        (*version == VERSION && session.expires_at > now).then_some(session)
    }
}

/// The end of a session that is used now.
fn end(now: Timestamp) -> Timestamp {
    now.plus_seconds(USER_SESSION_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * 60 * 1000;

    #[test]
    fn a_session_is_read_as_it_was_written_until_it_is_over() {
        let signer = Signer::new(b"key", "test");
        let now = Timestamp::from_millis(1_700_000_000_000);
        for user in ["a", &"a".repeat(64)] {
            let session = UserSession::new(UserId::parse(user).unwrap(), now);
            let text = session.text(&signer);
            assert!(text.len() < 200, "{}", text.len());
            for (later, is_open) in [(0, true), (12 * HOUR - 1, true), (12 * HOUR, false)] {
                let read = UserSession::read(&text, &signer, now.plus_millis(later));
                assert_eq!(read, is_open.then(|| session.clone()), "{later}");
            }
            assert_eq!(UserSession::read(&text, &Signer::new(b"another", "test"), now), None);
        }
    }

    #[test]
    fn each_sign_in_makes_another_session_and_each_use_renews_it() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let ada = UserId::parse("ada").unwrap();
        let session = UserSession::new(ada.clone(), now);
        assert_ne!(session.id, UserSession::new(ada, now).id);
        assert_eq!(session.renewed(now.plus_millis(RENEWED_AFTER_MILLIS - 1)), None, "too early");
        let renewed = session.renewed(now.plus_millis(HOUR)).unwrap();
        assert_eq!((renewed.id, renewed.expires_at), (session.id, now.plus_millis(13 * HOUR)));
        assert_eq!(session.renewed(now.plus_millis(-HOUR)), None, "a clock that went back shortens nothing");
    }

    #[test]
    fn signed_bytes_of_another_form_are_no_session() {
        let (signer, now) = (Signer::new(b"key", "test"), Timestamp::from_millis(0));
        let mut good = vec![VERSION];
        good.extend([7; 16]);
        good.extend(i64::MAX.to_be_bytes());
        let with = |user: &[u8]| [&good, user].concat();
        assert!(UserSession::read(&signer.seal(&with(b"ada")), &signer, now).is_some());
        for wrong in [with(b""), with(b"a b"), with(&[b'a'; 65]), with(&[0xff]), good[1..].to_vec(), Vec::new()] {
            assert_eq!(UserSession::read(&signer.seal(&wrong), &signer, now), None, "{wrong:?}");
        }
        let mut later = with(b"ada");
        later[0] = 2;
        assert_eq!(UserSession::read(&signer.seal(&later), &signer, now), None, "another version");
    }
}
