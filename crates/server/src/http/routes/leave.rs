//! Leaving by a message that a page sends while it is closed.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::State;
use onsale_domain::leaving::Leave;
use onsale_macros::operation;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::callers::{Caller, QueueToken};
use crate::http::input::{Body, TextPayload};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::problem::Problem;
use crate::http::reply::{Decided, NoContent};
use crate::http::values::{Count, Text};

/// The longest text of a queue token, in characters. Our own are shorter.
const TOKEN_MAX: usize = 2_048;

/// The text of a queue token. It may be wrong.
#[derive(Clone, Debug)]
pub(crate) struct TokenText(Arc<str>);

impl Text for TokenText {
    const WHAT: &'static str = "the text of a queue token";

    fn parse(text: &str) -> Option<Self> {
        (1..=TOKEN_MAX).contains(&text.chars().count()).then(|| Self(text.into()))
    }
}

impl JsonSchema for TokenText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TokenText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": TOKEN_MAX})
    }
}

/// The token of a client that leaves.
#[derive(Body, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LeaveBody {
    /// The queue token. It speaks for its user.
    token: TokenText,
    /// Give the place or turn up after this many seconds, unless a call with the token or an open event stream follows within
    /// them. Without it, or with 0: at once.
    grace_seconds: Option<Count<0, 60>>,
}

impl Sample for LeaveBody {
    fn sample() -> Value {
        json!({"token": sample::JWT, "graceSeconds": 10})
    }
}

/// Leave, from a page that is closed
///
/// As `DELETE /queue/token`, for `navigator.sendBeacon`: the token is in the body and speaks for its user, so that no header is
/// needed, not even a bearer. The body is `application/json`, or the same JSON as `text/plain`. Idempotent by itself; an
/// `Idempotency-Key` is accepted and ignored. With `graceSeconds` the place or turn is given up after that time, unless its client
/// comes back: any call with the token counts, at any instance, and an event stream that is open at the end of the grace. A turn that
/// is given up is free at once.
#[operation(tag = WaitingRoom, returns = "The place is given up, or will be after the grace", codes(QueueTokenInvalid))]
pub(crate) async fn leave_queue_by_body(
    State(app): State<App>,
    payload: TextPayload<LeaveBody>,
) -> Result<Decided<NoContent>, Problem> {
    let LeaveBody { token: TokenText(text), grace_seconds } = payload.read()?;
    let QueueToken { token, .. } = QueueToken::check(Some(&text), &Caller::without_bearer(), &app).await?;
    let grace_seconds = grace_seconds.map_or(0, |Count(seconds)| seconds);
    if grace_seconds > 0 {
        app.read(app.rooms.announce_leave(app.leave_board.as_deref(), token, grace_seconds)).await?;
        return Ok(Decided::now(NoContent));
    }
    let answer = app.decide(Leave(token.clone()), None, |()| NoContent).await;
    if answer.as_ref().is_ok_and(Decided::is_success) {
        app.home.forget(&token).await;
    }
    app.see_own_changes().await;
    answer
}
