//! Waiting rooms: entering, polling, leaving.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use onsale_app::desk::Outcome;
use onsale_app::waiting_room::{LiveRoom, Purpose, Standing, Wait};
use onsale_domain::concert::Release;
use onsale_domain::ids::{ConcertId, TokenId, UserId};
use onsale_domain::leaving::Leave;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{self as rules, Pass, Token};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::edge::Limit;
use crate::http::input::callers::{Caller, QueueToken, offered_until};
use crate::http::input::{Body, Payload, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::openapi::{Content, Operation, Output};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Created, Decided, NoContent, OkJson};
use crate::http::routes::code::{CodeTries, TypedCode};
use crate::http::routes::notice::NoticeShown;
use crate::http::values::{Id, Instant};
use crate::http::{App, PATIENCE};

/// Bounds of a wait, in whole seconds. `low <= estimatedWaitSeconds <= high`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct EstimatedWait {
    /// The least wait that is likely.
    low: u64,
    /// The longest wait that is likely.
    high: u64,
}

/// A place in line and how it stands.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueuePlace {
    /// The value for the header `Queue-Token`.
    token: String,
    token_id: Id<TokenId>,
    user_id: Id<UserId>,
    concert_id: Id<ConcertId>,
    pub(crate) status: TokenStatus,
    /// 1 is the next to be admitted; null unless early or waiting, and before a draw.
    position: Option<u64>,
    /// An estimate, from now on; null unless early or waiting, before a draw, and while admission is paused or the sale closed.
    estimated_wait_seconds: Option<u64>,
    /// Bounds of the wait: four fifths of all waits end between them. Null with `estimatedWaitSeconds`.
    estimated_wait: Option<EstimatedWait>,
    /// Seconds until the next poll; null unless early or waiting.
    poll_after_seconds: Option<u64>,
    issued_at: Instant,
    /// Until when the turn lasts, live holds counted; null unless active.
    active_until: Option<Instant>,
    /// To this instant an unused turn is safe without another call. Each call with the token, and an open stream, moves it; it is as
    /// old as what the database knows. Null unless active, and once the turn was used.
    claim_before: Option<Instant>,
    /// The instant of the snapshot that the position was read from.
    as_of: Instant,
    /// Nothing is left in this concert, and no hold can come back.
    sold_out: bool,
    /// Admission is paused. Its end is not known, so there is no estimate.
    paused: bool,
    /// Before this instant no user is admitted or takes a hold; `estimatedWaitSeconds` counts it in. Null for no bound.
    opens_at: Option<Instant>,
    /// When the list of a draw closes; null if places follow the order of arrival.
    draw_at: Option<Instant>,
    /// From this instant on the sale is closed; null for no bound.
    closes_at: Option<Instant>,
    /// The sale is closed: no user enters, is admitted or takes a hold. Places stay, and live holds can be paid.
    closed: bool,
    /// A text for buyers; null if there is none.
    notice: Option<NoticeShown>,
}

impl Sample for QueuePlace {
    fn sample() -> Value {
        json!({
            "token": sample::JWT, "tokenId": sample::TOKEN, "userId": "42", "concertId": sample::CONCERT,
            "status": "WAITING", "position": 3, "estimatedWaitSeconds": 4,
            "estimatedWait": {"low": 1, "high": 9}, "pollAfterSeconds": 1,
            "issuedAt": "2026-11-22T11:12:13.456Z", "activeUntil": null, "claimBefore": null, "asOf": "2026-11-22T11:12:13.460Z",
            "soldOut": false, "paused": false,
            "opensAt": "2026-11-22T11:00:00.000Z", "drawAt": null, "closesAt": null,
            "closed": false, "notice": {"ko": "결제 시간을 10분 연장했습니다.", "en": "You have 10 more minutes to pay."}
        })
    }
}

/// The part of a place whose changes a stream sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlaceNews {
    pub(crate) status: TokenStatus,
    pub(crate) position: Option<u64>,
    pub(crate) active_until: Option<Timestamp>,
    /// Whether the turn was not used yet. The instant to which it is safe moves with each call, and is no news.
    pub(crate) is_unused: bool,
    pub(crate) sold_out: bool,
    pub(crate) paused: bool,
    pub(crate) closed: bool,
    pub(crate) hours: [Option<Timestamp>; 3],
    pub(crate) notice: Option<NoticeShown>,
}

/// How a place stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum TokenStatus {
    /// In line before the opening of the sale. No place is admitted yet.
    Early,
    /// In line.
    Waiting,
    /// Admitted, and the turn runs.
    Active,
    /// Ended, lapsed or given up.
    Expired,
}

impl QueuePlace {
    /// The place of a token now.
    ///
    /// # Errors
    /// `queue-token-invalid` if the room no longer exists; `unavailable` if the database is needed and does not answer.
    pub(crate) async fn of(
        app: &App,
        room: &Arc<LiveRoom>,
        token: &Token,
        purpose: Purpose,
        text: String,
    ) -> Result<Self, Problem> {
        let placement = app.rooms.placement(room, token, purpose).await?;
        let placement = placement.ok_or_else(|| Problem::new(Code::QueueTokenInvalid))?;
        let place = |status| Self {
            token: text,
            token_id: Id(token.id),
            user_id: Id(token.user.clone()),
            concert_id: Id(token.concert),
            status,
            position: None,
            estimated_wait_seconds: None,
            estimated_wait: None,
            poll_after_seconds: None,
            issued_at: Instant(token.issued_at),
            active_until: None,
            claim_before: None,
            as_of: Instant(placement.as_of),
            sold_out: placement.is_sold_out,
            paused: placement.is_paused,
            opens_at: placement.opens_at.map(Instant),
            draw_at: placement.draw_at.map(Instant),
            closes_at: placement.closes_at.map(Instant),
            closed: placement.is_closed,
            notice: placement.notice.map(NoticeShown),
        };
        if token.offer().is_some() {
            // The token of an offer is no place in line.
            let until = offered_until(token, app).await?;
            let status = if until.is_some() { TokenStatus::Active } else { TokenStatus::Expired };
            return Ok(Self { active_until: until.map(Instant), ..place(status) });
        }
        Ok(match placement.standing {
            Standing::Early { position, wait, poll_after_seconds } => {
                Self { position, ..place(TokenStatus::Early).waiting(wait, poll_after_seconds) }
            }
            Standing::Waiting { position, wait, poll_after_seconds } => {
                Self { position: Some(position), ..place(TokenStatus::Waiting).waiting(wait, poll_after_seconds) }
            }
            Standing::Active { until, claim_before } => Self {
                active_until: Some(Instant(until)),
                claim_before: claim_before.map(Instant),
                ..place(TokenStatus::Active)
            },
            Standing::Expired => place(TokenStatus::Expired),
        })
    }

    /// The same place in line, with its wait.
    fn waiting(self, wait: Option<Wait>, poll_after_seconds: u64) -> Self {
        Self {
            estimated_wait_seconds: wait.map(|wait| wait.seconds),
            estimated_wait: wait.map(|Wait { low, high, .. }| EstimatedWait { low, high }),
            poll_after_seconds: Some(poll_after_seconds),
            ..self
        }
    }

    /// The part whose changes a stream sends.
    pub(crate) fn news(&self) -> PlaceNews {
        let Self { status, position, sold_out, paused, closed, .. } = *self;
        let active_until = self.active_until.map(|Instant(until)| until);
        let hours = [self.opens_at, self.closes_at, self.draw_at].map(|bound| bound.map(|Instant(at)| at));
        let is_unused = self.claim_before.is_some();
        PlaceNews {
            status,
            position,
            active_until,
            is_unused,
            sold_out,
            paused,
            closed,
            hours,
            notice: self.notice.clone(),
        }
    }

    /// The id of an event that shows this place: the milliseconds of the instant that it was read.
    pub(crate) fn event_id(&self) -> String {
        self.as_of.0.as_millis().to_string()
    }
}

/// The user who enters and the concert.
#[derive(Body, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnterBody {
    user_id: Id<UserId>,
    concert_id: Id<ConcertId>,
    /// A presale code, which is needed until `codesUntil` of the concert by a user who has no place yet. It is not used up by this.
    code: Option<TypedCode>,
}

impl Sample for EnterBody {
    fn sample() -> Value {
        json!({"userId": "42", "concertId": sample::CONCERT})
    }
}

/// 201 with a new place, or 200 with the place that the user has already.
pub(crate) enum Entered {
    New(QueuePlace),
    Known(QueuePlace),
}

impl IntoResponse for Entered {
    fn into_response(self) -> Response {
        match self {
            Self::New(place) => Created(place).into_response(),
            Self::Known(place) => OkJson(place).into_response(),
        }
    }
}

impl Output for Entered {
    fn describe(operation: &mut Operation) {
        operation.answers::<QueuePlace>(201);
        let known = Content::new::<QueuePlace>("application/json", QueuePlace::sample());
        operation.answers_as(200, "The place that this user has already", vec![known]);
    }
}

/// Take a place in a concert's waiting room
///
/// One user has one place in a room: entering again returns the same token. Idempotent by itself; an `Idempotency-Key`
/// is accepted and ignored. A user who enters again after the token has ended gets a new place at the end. A sale that is not
/// open still returns the place that a user has. From `earlyFrom` on users enter before the opening: status `EARLY`.
/// `sale-not-open` has `earlyFrom` and `opensAt`, and a `Retry-After` of at most an hour that ends when users may enter. The code
/// is judged after that.
#[operation(tag = WaitingRoom, returns = "A new place", codes(ConcertNotFound, SaleClosed, SaleNotOpen))]
pub(crate) async fn enter_queue(
    State(app): State<App>,
    caller: Caller,
    tries: CodeTries,
    payload: Payload<EnterBody>,
) -> Result<Entered, Problem> {
    let EnterBody { user_id: Id(user), concert_id: Id(concert), code } = payload.read()?;
    let user = caller.acting_for(user)?;
    let again = caller.verified().map_or(Ok(()), |user| app.user_entries.check(user));
    again.map_err(Limit::UserEntries.refuses()).inspect_err(|too_often| app.metrics.count_limited(too_often.limit))?;

    let code_try = tries.begin(&app, &user, code.as_ref());
    let pass = code_try.pass(&app, concert, code.as_ref()).await?;
    // Entering is idempotent by itself: the place is the answer, with or without a key.
    let entered = tokio::time::timeout(PATIENCE, enter(&app, concert, user, pass)).await;
    let (room, outcome) = entered.map_err(|_| Problem::new(Code::Unavailable))??;
    match outcome {
        Ok(rules::Entered { token, is_new }) => {
            let text = app.tokens.encode(&token);
            let place = QueuePlace::of(&app, &room, &token, Purpose::Poll, text).await?;
            Ok(if is_new { Entered::New(place) } else { Entered::Known(place) })
        }
        Err(refusal) => Err(code_try.note(&app, Problem::from(&refusal))),
    }
}

/// Finds the room and takes a place in it. The room is found once: the answer is read from the same value.
async fn enter(
    app: &App,
    concert: ConcertId,
    user: UserId,
    pass: Pass,
) -> Result<(Arc<LiveRoom>, Outcome<rules::Enter>), Problem> {
    let room = app.rooms.find(concert).await?.ok_or_else(|| Problem::new(Code::ConcertNotFound))?;
    let outcome = app.home.enter(&room, user, pass).await?;
    Ok((room, outcome))
}

/// Get the place of a token
///
/// An ended token is answered with 200 and its status. Until a turn is used, polling is a sign of life.
#[operation(tag = WaitingRoom, returns = "The place")]
pub(crate) async fn get_queue_place(
    State(app): State<App>,
    QueueToken { token, text, room }: QueueToken,
    mut query: Query,
) -> Result<OkJson<QueuePlace>, Problem> {
    query.read()?;
    Ok(OkJson(QueuePlace::of(&app, &room, &token, Purpose::Poll, text).await?))
}

/// Give a place up
///
/// The seats that its user holds are free again.
#[operation(tag = WaitingRoom, returns = "The place is given up")]
pub(crate) async fn leave_queue(
    State(app): State<App>,
    QueueToken { token, .. }: QueueToken,
    payload: Payload,
) -> Result<Decided<NoContent>, Problem> {
    payload.arrived()?;
    let key = payload.key(&token.user);
    if let Some(reservation) = token.offer() {
        return app.decide(Release { token, reservation }, key, |()| NoContent).await;
    }
    let answer = app.decide(Leave(token.clone()), key, |()| NoContent).await;
    // Only a place that is given up is forgotten: otherwise its user would get a second one.
    if answer.as_ref().is_ok_and(Decided::is_success) {
        app.home.forget(&token).await;
    }
    app.see_own_changes().await;
    answer
}
