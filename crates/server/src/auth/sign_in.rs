//! Sign-ins of users: the way to the provider and back, and the sessions that they make.
//!
//! Between the way there and the way back nothing is stored: a signed cookie of ten minutes holds a random secret and the page to
//! return to. The values that the provider sees are derived from the secret, so any instance can finish a sign-in that another one
//! began.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onsale_app::sessions::SessionEnds;
use onsale_domain::session::EndedSession;
use onsale_domain::time::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use subtle::ConstantTimeEq;

use super::config::ProviderSettings;
use super::provider::{Failed, Provider, Values};
use super::signed::Signer;
use super::user_session::UserSession;

/// How long a sign-in may take at the provider, in seconds.
pub(crate) const SIGN_IN_SECONDS: u32 = 600;

/// Random bytes of a sign-in.
const SECRET_BYTES: usize = 32;

/// The bytes before the page to return to: the secret, and the instant from which the sign-in is over.
const FIXED: usize = SECRET_BYTES + 8;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

/// A sign-in that has begun in a browser.
struct Begun {
    secret: [u8; SECRET_BYTES],
    expires_at: Timestamp,
    /// The path of this server to return to.
    page: String,
}

/// What the provider sent the browser back with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) state: Option<String>,
    pub(crate) code: Option<String>,
    /// The error of the provider, such as `access_denied`.
    pub(crate) error: Option<String>,
    /// The issuer of the answer (RFC 9207).
    pub(crate) issuer: Option<String>,
}

/// Signs users in, and checks their sessions.
pub(crate) struct SignIns {
    provider: Provider,
    ends: Arc<SessionEnds>,
    sessions: Signer,
    begun: Signer,
    states: Signer,
    nonces: Signer,
    verifiers: Signer,
    outcomes: Family<Labels, Counter>,
}

impl SignIns {
    /// `key` is the key of the database that all instances share, and `redirect` the address that the provider sends browsers
    /// back to.
    ///
    /// # Errors
    /// The reason, if the HTTP client cannot be created.
    pub(crate) fn new(
        settings: &ProviderSettings,
        redirect: String,
        key: &[u8],
        ends: Arc<SessionEnds>,
    ) -> Result<Self, String> {
        // Sessions of another provider open nothing: it may have another user under the same id.
        let key = Signer::new(key, "onsale-issuer-1").mac(settings.issuer.as_bytes());
        let signer = |purpose| Signer::new(&key, purpose);
        Ok(Self {
            provider: Provider::new(settings.clone(), redirect)?,
            ends,
            sessions: signer("onsale-session-1"),
            begun: signer("onsale-sign-in-1"),
            states: signer("onsale-state-1"),
            nonces: signer("onsale-nonce-1"),
            verifiers: signer("onsale-verifier-1"),
            outcomes: Family::default(),
        })
    }

    /// Registers the metrics of sign-ins.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("sign_ins", "Sign-ins of users at the provider, by outcome", self.outcomes.clone());
        // Exported as 0 from the start: `increase()` does not count a series that begins at 1.
        for outcome in ["ok", "invalid", "refused", "unavailable"] {
            drop(self.outcomes.get_or_create(&Labels { outcome }));
        }
    }

    /// Counts and logs a sign-in, never with what the browser or the provider sent.
    pub(crate) fn note<T>(&self, outcome: &Result<T, Failed>) {
        let word = outcome.as_ref().err().map_or("ok", Failed::word);
        self.outcomes.get_or_create(&Labels { outcome: word }).inc();
        match outcome {
            Ok(_) => {}
            Err(Failed::Invalid(reason)) => tracing::info!(reason, "refused a sign-in"),
            Err(Failed::Refused) => tracing::info!("the provider refused a sign-in"),
            Err(Failed::Unavailable(error)) => {
                tracing::warn!(error, "a sign-in failed; check the provider and the settings ONSALE_OIDC_*");
            }
        }
    }

    /// Begins a sign-in. Returns the value of its cookie, and the address of the provider.
    ///
    /// # Errors
    /// [`Failed::Unavailable`] if the provider never described itself.
    pub(crate) async fn begin(&self, page: String) -> Result<(String, String), Failed> {
        let expires_at = self.ends.now().plus_seconds(SIGN_IN_SECONDS);
        let begun = Begun { secret: rand::random(), expires_at, page };
        let url = self.provider.sign_in_url(&self.values(&begun.secret)).await?;
        Ok((begun.text(&self.begun), url.into()))
    }

    /// Finishes a sign-in: `cookie` is the value that [`Self::begin`] returned to this browser. Returns the value of the new
    /// session's cookie, and the page to return to.
    ///
    /// # Errors
    /// Why there is no session.
    pub(crate) async fn finish(&self, cookie: Option<&str>, answer: &Answer) -> Result<(String, String), Failed> {
        let begun = cookie.and_then(|cookie| Begun::read(cookie, &self.begun, self.ends.now()));
        let begun = begun.ok_or(Failed::Invalid("no sign-in has begun in this browser within ten minutes"))?;
        let values = self.values(&begun.secret);
        let state = answer.state.as_deref().unwrap_or_default();
        // Without this a foreign page could sign a visitor in as another user.
        if !bool::from(state.as_bytes().ct_eq(values.state.as_bytes())) {
            return Err(Failed::Invalid("the state is of another sign-in"));
        }
        match (&answer.error, &answer.code) {
            (Some(error), _) if matches!(error.as_str(), "server_error" | "temporarily_unavailable") => {
                Err(Failed::Unavailable("the provider answered a sign-in with an error of its own".to_owned()))
            }
            (Some(_), _) => Err(Failed::Refused),
            (None, None) => Err(Failed::Invalid("the answer has no code")),
            (None, Some(code)) => {
                let user = self.provider.user_of(code, answer.issuer.as_deref(), &values).await?;
                let session = UserSession::new(user, self.ends.now());
                Ok((session.text(&self.sessions), begun.page))
            }
        }
    }

    /// The session of a cookie; `None` if it is wrong, is over, or was ended. Reads memory only.
    pub(crate) fn session(&self, cookie: &str) -> Option<UserSession> {
        let session = UserSession::read(cookie, &self.sessions, self.ends.now())?;
        (!self.ends.has_ended(session.id)).then_some(session)
    }

    /// The value of a cookie that renews a session, if it is time for that and the session was not ended meanwhile.
    pub(crate) fn renewed(&self, session: &UserSession) -> Option<String> {
        let renewed = session.renewed(self.ends.now())?;
        (!self.ends.has_ended(session.id)).then(|| renewed.text(&self.sessions))
    }

    /// Notes that this process has ended a session.
    pub(crate) fn note_end(&self, ended: &EndedSession) {
        self.ends.note(ended);
    }

    /// The values that the provider sees of a sign-in. Each hides the secret.
    fn values(&self, secret: &[u8]) -> Values {
        let text = |signer: &Signer| URL_SAFE_NO_PAD.encode(signer.mac(secret));
        Values { state: text(&self.states), nonce: text(&self.nonces), verifier: text(&self.verifiers) }
    }
}

impl Begun {
    fn text(&self, signer: &Signer) -> String {
        signer.seal(&[&self.secret[..], &self.expires_at.as_millis().to_be_bytes(), self.page.as_bytes()].concat())
    }

    /// Reads what [`Self::text`] wrote; `None` for any other text, and if the sign-in is over.
    fn read(text: &str, signer: &Signer, now: Timestamp) -> Option<Self> {
        let bytes = signer.open(text)?;
        let (fixed, page) = bytes.split_at_checked(FIXED)?;
        let (secret, expires_at) = fixed.split_at_checked(SECRET_BYTES)?;
        let begun = Self {
            secret: secret.try_into().ok()?,
            expires_at: Timestamp::from_millis(i64::from_be_bytes(expires_at.try_into().ok()?)),
            page: String::from_utf8(page.to_vec()).ok()?,
        };
        (begun.expires_at > now).then_some(begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_is_read_as_it_was_written_for_ten_minutes() {
        let (signer, now) = (Signer::new(b"key", "test"), Timestamp::from_millis(1_700_000_000_000));
        let begun = Begun { secret: [7; 32], expires_at: now.plus_seconds(SIGN_IN_SECONDS), page: "/#/a?b".into() };
        let text = begun.text(&signer);
        let read = Begun::read(&text, &signer, now).unwrap();
        assert_eq!((read.secret, read.page.as_str()), (begun.secret, "/#/a?b"));
        assert!(Begun::read(&text, &signer, begun.expires_at).is_none(), "over");
        assert!(Begun::read(&text, &Signer::new(b"key", "another"), now).is_none(), "of another purpose");
        assert!(Begun::read(&signer.seal(b"short"), &signer, now).is_none());
    }
}
