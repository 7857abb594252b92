//! Sessions of users who signed in. A session is a signed cookie and has no row. Only its early end is stored, so that each
//! instance can refuse the cookie for the rest of its life.

use crate::ids::UserSessionId;
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// How long a session lasts after its last use, in seconds. A cookie that is older opens nothing.
pub const USER_SESSION_SECONDS: u32 = 12 * 60 * 60;

/// How long the end of a session is kept, in seconds. Longer than a cookie lasts: an instance that does not know the end yet may
/// renew the cookie once more, and its clock may differ.
pub const ENDED_KEPT_SECONDS: u32 = USER_SESSION_SECONDS + 60 * 60;

/// A session that ended before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSession {
    /// Id of the session, as its cookie has it.
    pub id: UserSessionId,
    /// From this instant on no cookie of the session is valid, so its end may be forgotten.
    pub kept_until: Timestamp,
}

/// Ends a session. Succeeds also if it ended before.
#[derive(Clone, Debug)]
pub struct EndSession {
    /// The session to end.
    pub session: UserSessionId,
}

impl Command for EndSession {
    type Output = EndedSession;

    fn needs(&self, _: &mut Keys) {}

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<EndedSession, Refusal> {
        let ended = EndedSession { id: self.session, kept_until: cx.at.plus_seconds(ENDED_KEPT_SECONDS) };
        // Two commands of one unit of work may end one session.
        if !rows.ended_sessions.iter().any(|known| known.id == ended.id) {
            rows.ended_sessions.push(ended.clone());
        }
        Ok(ended)
    }
}
