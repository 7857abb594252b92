//! Sessions of the back office: a browser signs in with a key once, and acts with it for some hours.

use super::{Action, Fields, Logged, Subject};
use crate::ids::{SessionId, StaffKeyId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// The length of a session, in seconds.
pub const SESSION_SECONDS: u32 = 8 * 60 * 60;

/// SHA-256 that stands for a session. Its secret is stored nowhere.
pub type SessionHash = [u8; 32];

/// A session of the back office. It opens what its key opens, until it ends or the key is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Id of the session, for the admin log.
    pub id: SessionId,
    /// The hash by which the session is found.
    pub hash: SessionHash,
    /// The key that it stands for; `None` for the key of the settings.
    pub key: Option<StaffKeyId>,
    /// Time of the sign-in.
    pub started_at: Timestamp,
    /// From this instant on the session opens nothing.
    pub expires_at: Timestamp,
}

/// Starts a session, and lets the store delete a few sessions that are over.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The hash of a new secret.
    pub hash: SessionHash,
    /// The key of the caller; `None` for the key of the settings.
    pub key: Option<StaffKeyId>,
}

/// Ends a session. Succeeds also if it ended before.
#[derive(Clone, Debug)]
pub struct SignOut {
    /// The session to end.
    pub session: Session,
}

impl Command for SignIn {
    type Output = Session;

    fn needs(&self, _: &mut Keys) {}

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Session, Refusal> {
        let session = Session {
            id: SessionId::new(cx.ids.next(cx.at)),
            hash: self.hash,
            key: self.key,
            started_at: cx.at,
            expires_at: cx.at.plus_seconds(SESSION_SECONDS),
        };
        rows.staff_sessions.put(self.hash, session.clone());
        rows.sessions_over_at = Some(cx.at);
        Ok(session)
    }
}

impl Command for SignOut {
    type Output = ();

    fn needs(&self, keys: &mut Keys) {
        keys.staff_sessions.insert(self.session.hash);
    }

    fn decide(&self, rows: &mut Rows, _: &mut Context<'_>) -> Result<(), Refusal> {
        rows.staff_sessions.remove(&self.session.hash);
        Ok(())
    }
}

impl Logged for SignIn {
    const ACTION: Action = Action::SessionStarted;

    fn subject(&self, session: &Session) -> Subject {
        Subject::Session(session.id)
    }

    fn before(&self, _: &Rows) -> Fields {
        Fields::new()
    }

    fn after(&self, session: &Session) -> Fields {
        of_session(session)
    }
}

impl Logged for SignOut {
    const ACTION: Action = Action::SessionEnded;

    fn subject(&self, (): &()) -> Subject {
        Subject::Session(self.session.id)
    }

    fn before(&self, rows: &Rows) -> Fields {
        rows.staff_sessions.get(&self.session.hash).map_or_else(Fields::new, of_session)
    }

    fn after(&self, (): &()) -> Fields {
        Fields::new()
    }
}

/// The secret and its hash are in no log.
fn of_session(session: &Session) -> Fields {
    vec![("expiresAt", session.expires_at.into())]
}
