//! Users whose calls need a queue token if `ONSALE_QUEUE_STRICT=true`.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use onsale_app::waiting_room::Purpose;
use onsale_domain::ids::UserId;

use super::{Caller, PathUser, QueueToken, is_active};
use crate::http::App;
use crate::http::openapi::{Input, Operation, Proof};
use crate::http::reply::problem::{Code, Problem};

/// The user in the path. If `ONSALE_QUEUE_STRICT=true`, the caller also has a queue token of this user that was admitted,
/// in any room.
pub(crate) struct StrictPathUser {
    user: UserId,
    expired: bool,
}

impl StrictPathUser {
    /// Returns the user if the token has not ended.
    ///
    /// # Errors
    /// `queue-token-expired` if it has.
    pub(crate) fn now(self) -> Result<UserId, Problem> {
        if self.expired { Err(Problem::new(Code::QueueTokenExpired)) } else { Ok(self.user) }
    }

    /// Returns the user, whether the token has ended, and what was read. An ended token may still get an answer that an
    /// idempotency key keeps.
    ///
    /// # Errors
    /// `queue-token-expired` if the token has ended and the request is wrong; else the problem of the request.
    pub(crate) fn first<T>(self, read: Result<T, Problem>) -> Result<(UserId, bool, T), Problem> {
        match read {
            Ok(read) => Ok((self.user, self.expired, read)),
            Err(problem) => self.now().and(Err(problem)),
        }
    }
}

impl FromRequestParts<App> for StrictPathUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        // A member of the staff who reads has no token.
        if !app.queue_strict || matches!(Caller::of(parts, app).await?, Caller::Staff) {
            let PathUser(user) = PathUser::from_request_parts(parts, app).await?;
            return Ok(Self { user, expired: false });
        }
        let QueueToken { token, room, .. } = QueueToken::from_request_parts(parts, app).await?;
        let active = is_active(&room, &token, Purpose::Pass, app).await?;
        let read = PathUser::from_request_parts(parts, app).await;
        let PathUser(user) = if active { read? } else { read.map_err(|_| Problem::new(Code::QueueTokenExpired))? };
        if user == token.user {
            Ok(Self { user, expired: !active })
        } else {
            Err(Problem::new(Code::QueueTokenInvalid))
        }
    }
}

impl Input for StrictPathUser {
    fn describe(operation: &mut Operation) {
        PathUser::describe(operation);
        QueueToken::describe(operation);
        operation.proof(Proof::OnlyIfStrict);
        operation.codes(&[Code::QueueTokenWaiting, Code::QueueTokenExpired]);
        operation.paragraph(
            "With `ONSALE_QUEUE_STRICT=true` the call also needs an ACTIVE queue token of this user, of any room.",
        );
    }
}
