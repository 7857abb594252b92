//! Extractors that check the caller. A handler that takes one as an argument cannot forget the check.

mod strict;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method};
use onsale_app::waiting_room::{LiveRoom, Purpose, Standing};
use onsale_domain::concert::Reservation;
use onsale_domain::ids::{ConcertId, UserId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{PutBack, Token};

use crate::auth::{Checked, Refused};
use crate::http::App;
use crate::http::input::user_session::Offered;
use crate::http::input::{PathArgs, RawQuery, staff};
use crate::http::openapi::{Input, Operation, Proof};
use crate::http::reply::problem::{Code, Problem};
use crate::http::values::{Id, PathId};

pub(crate) use strict::StrictPathUser;

const QUEUE_TOKEN: HeaderName = HeaderName::from_static("queue-token");

/// The bearer of a request; `Ok(None)` if it has none.
///
/// # Errors
/// `SeveralHeaders` if `Authorization` comes twice, because it is unclear which one counts; `Malformed` if it is not
/// visible ASCII; `OtherScheme` if it is not a bearer.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(Refused::SeveralHeaders);
    }
    let text = line.to_str().map_err(|_| Refused::Malformed)?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refused::OtherScheme);
    }
    let token = token.trim();
    Ok((!token.is_empty()).then_some(token))
}

/// Who calls, and for whom the caller may act.
#[derive(Clone)]
pub(crate) enum Caller {
    /// A client that may act for each user, because the server needs no bearer (`ONSALE_AUTH=open`).
    Unchecked,
    /// A client that may act for the user that its bearer or its session names.
    User(UserId),
    /// A browser with the session of this user and that of a member of the staff, who may read the data of each user
    /// (`ONSALE_AUTH=jwt`, GET only).
    UserAndStaff(UserId),
    /// A member of the staff, who may read the data of each user (`ONSALE_AUTH=jwt`, GET only).
    Staff,
}

impl Caller {
    /// Checks the bearer once for each request: a result of the edge or of another extractor is reused.
    async fn of(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        if let Some(offered) = parts.extensions.get::<Offered>().cloned() {
            let caller = Self::of_session(offered, parts, app).await?;
            parts.extensions.insert(caller.clone());
            return Ok(caller);
        }
        let checked = parts.extensions.remove::<Checked>();
        let caller = match app.bearers.user_of(bearer(&parts.headers), checked).await {
            Ok(None) => return Ok(Self::Unchecked),
            Ok(Some(user)) => Self::User(user),
            // After the check for a user, which nearly every request passes.
            Err(_) if parts.method == Method::GET && staff::reads_users(parts, app).await? => Self::Staff,
            Err(refused) => {
                // Without one bearer there is nothing to count.
                if matches!(bearer(&parts.headers), Ok(Some(_))) {
                    app.bearers.note(refused);
                }
                return Err(refused.into());
            }
        };
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }

    /// The caller of a request with the session of a user.
    ///
    /// # Errors
    /// `origin-not-allowed` for a write of a page of another site; `authentication-required` if the session has ended and the
    /// request has no session of the staff either.
    async fn of_session(offered: Offered, parts: &Parts, app: &App) -> Result<Self, Problem> {
        // Reads the database only if there is a session of the staff too.
        let is_staff = parts.method == Method::GET && staff::may_read_users(parts, app).await;
        match offered.session() {
            Ok(session) if is_staff => Ok(Self::UserAndStaff(session.user)),
            Ok(session) => Ok(Self::User(session.user)),
            Err(problem) if is_staff && problem.code == Code::AuthenticationRequired => Ok(Self::Staff),
            Err(problem) => Err(problem),
        }
    }

    /// A caller that needs no bearer.
    pub(crate) fn without_bearer() -> Self {
        Self::Unchecked
    }

    /// The user that the bearer or the session names; `None` without one.
    pub(crate) fn verified(&self) -> Option<&UserId> {
        match self {
            Self::User(user) | Self::UserAndStaff(user) => Some(user),
            Self::Unchecked | Self::Staff => None,
        }
    }

    /// Returns the user if the caller may act for it.
    ///
    /// # Errors
    /// `not-your-account` if the bearer names another user.
    pub(crate) fn acting_for(&self, user: UserId) -> Result<UserId, Problem> {
        match self {
            Self::User(own) if *own != user => Err(Problem::new(Code::NotYourAccount)),
            _ => Ok(user),
        }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Self::of(parts, app).await
    }
}

impl Input for Caller {
    fn describe(operation: &mut Operation) {
        operation.proof(Proof::Bearer);
        operation.codes(&[Code::AuthenticationRequired, Code::NotYourAccount]);
        if operation.route.method == "GET" {
            operation.codes(&[Code::RoleInsufficient]);
        }
    }
}

/// The user in the path. The caller may act for it.
pub(crate) struct PathUser(pub(crate) UserId);

impl FromRequestParts<App> for PathUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::of(parts, app).await?;
        let path = PathArgs::from_request_parts(parts, app).await?;
        let name = if path.get("id").is_some() { "id" } else { "userId" };
        let Id(user) = path.parse(name)?;
        caller.acting_for(user).map(Self)
    }
}

impl Input for PathUser {
    fn describe(operation: &mut Operation) {
        let name = if operation.route.path.contains("{id}") { "id" } else { "userId" };
        operation.path::<Id<UserId>>(name, "The user");
        Caller::describe(operation);
    }
}

/// The user in the path, for an answer with queue tokens: a key of staff does not get them, because a token is the key to its place.
pub(crate) struct TokenUser(pub(crate) UserId);

impl FromRequestParts<App> for TokenUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if matches!(Caller::of(parts, app).await?, Caller::Staff) {
            let detail = "A key of staff cannot read queue tokens: the bearer must be that of the user";
            return Err(Problem::new(Code::AuthenticationRequired).challenge(detail));
        }
        let PathUser(user) = PathUser::from_request_parts(parts, app).await?;
        Ok(Self(user))
    }
}

impl Input for TokenUser {
    fn describe(operation: &mut Operation) {
        PathUser::describe(operation);
    }
}

/// A queue token of the caller, of any status.
pub(crate) struct QueueToken {
    pub(crate) token: Token,
    pub(crate) text: String,
    /// The room of the token.
    pub(crate) room: Arc<LiveRoom>,
}

impl QueueToken {
    /// Checks a token's text: signed here, for a room that is here, and the caller's.
    pub(crate) async fn check(text: Option<&str>, caller: &Caller, app: &App) -> Result<Self, Problem> {
        // A place in line is its user's alone: a poll of another caller would be a sign of life.
        if matches!(caller, Caller::Staff) {
            let detail = "A key of staff cannot use a queue token: the bearer must be that of the token's user";
            return Err(Problem::new(Code::AuthenticationRequired).challenge(detail));
        }
        let text = text.ok_or_else(|| Problem::new(Code::QueueTokenMissing))?;
        let invalid = || Problem::new(Code::QueueTokenInvalid);
        let token = app.tokens.decode(text).ok_or_else(invalid)?;
        if caller.verified().is_some_and(|own| *own != token.user) {
            return Err(Problem::new(Code::NotYourAccount));
        }
        let room = app.rooms.find(token.concert).await?.ok_or_else(invalid)?;
        if token.offer().is_none() && room.may_be_lost(&token) {
            put_back(app, &room, &token).await?;
        }
        // From here on the number of an entry is the place that it was drawn as.
        let token = if token.offer().is_some() { token } else { room.shown(token) };
        Ok(Self { token, text: text.to_owned(), room })
    }
}

/// Puts an early entry back that the database lost. Another instance may have handed its number out since the last refresh, so that
/// comes first.
async fn put_back(app: &App, room: &Arc<LiveRoom>, token: &Token) -> Result<(), Problem> {
    app.see_own_changes().await;
    if app.rooms.current(room).is_some_and(|room| room.may_be_lost(token)) {
        let _ = app.desk.submit(PutBack(token.clone())).await?;
        app.see_own_changes().await;
    }
    Ok(())
}

/// The queue token of a client that may not be able to set a header, as a browser's `EventSource`: `?token=` counts if there is no
/// header. A token in the query stands for its user even with `ONSALE_AUTH=jwt`, because such a client cannot send a bearer either.
///
/// # Errors
/// As [`QueueToken::check`].
pub(crate) async fn token_of_stream(
    in_query: Option<String>,
    parts: &mut Parts,
    app: &App,
) -> Result<QueueToken, Problem> {
    match (in_query, token_text(&parts.headers)) {
        (Some(text), None) => QueueToken::check(Some(&text), &Caller::without_bearer(), app).await,
        _ => QueueToken::from_request_parts(parts, app).await,
    }
}

pub(crate) fn token_text(headers: &HeaderMap) -> Option<&str> {
    headers.get(QUEUE_TOKEN).map(|value| value.to_str().unwrap_or(""))
}

impl FromRequestParts<App> for QueueToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::of(parts, app).await?;
        Self::check(token_text(&parts.headers), &caller, app).await
    }
}

impl Input for QueueToken {
    fn describe(operation: &mut Operation) {
        Caller::describe(operation);
        operation.proof(Proof::QueueToken);
        operation.codes(&[Code::QueueTokenMissing, Code::QueueTokenInvalid]);
    }
}

/// A queue token that was admitted, for a command that the desk decides. The desk refuses a token that has ended, because
/// an answer that an idempotency key keeps is given even then.
pub(crate) struct Turn {
    pub(crate) token: Token,
    expired: bool,
}

impl Turn {
    /// Returns what was read.
    ///
    /// # Errors
    /// `queue-token-expired` if the token has ended and the request is wrong; else the problem of the request.
    pub(crate) fn first<T>(&self, read: Result<T, Problem>) -> Result<T, Problem> {
        read.map_err(|problem| if self.expired { Problem::new(Code::QueueTokenExpired) } else { problem })
    }

    /// The turn of a token that was checked, of the concert of the path if the path names one.
    async fn of(QueueToken { token, room, .. }: &QueueToken, parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = PathArgs::from_request_parts(parts, app).await?;
        let another = |concert| ConcertId::parse(concert) != Some(token.concert);
        if path.get("concertId").is_some_and(another) {
            return Err(Problem::new(Code::QueueTokenInvalid));
        }
        let expired = !is_active(room, token, Purpose::Use, app).await?;
        Ok(Self { token: token.clone(), expired })
    }
}

impl FromRequestParts<App> for Turn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let found = QueueToken::from_request_parts(parts, app).await?;
        Self::of(&found, parts, app).await
    }
}

impl Input for Turn {
    fn describe(operation: &mut Operation) {
        QueueToken::describe(operation);
        operation.codes(&[Code::QueueTokenWaiting, Code::QueueTokenExpired]);
        operation.paragraph(
            "● Needs a queue token of this concert whose status is ACTIVE. The token is checked before anything else.",
        );
    }
}

/// A turn for an event stream, which uses it as any call does and then lasts as long as the turn. The token is in the header or in
/// the query.
pub(crate) struct StreamTurn {
    pub(crate) token: Token,
    /// The room of the token.
    pub(crate) room: Arc<LiveRoom>,
    /// Whether the turn is over.
    pub(crate) is_over: bool,
}

impl FromRequestParts<App> for StreamTurn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        // The other parameters are read once the token is good.
        let in_query = RawQuery::from_request_parts(parts, app).await?.optional("token");
        let found = token_of_stream(in_query, parts, app).await?;
        let Turn { token, expired } = Turn::of(&found, parts, app).await?;
        // The token of an offer is for its reservation alone.
        let is_over = expired || token.offer().is_some();
        Ok(Self { token, room: found.room, is_over })
    }
}

impl Input for StreamTurn {
    fn describe(operation: &mut Operation) {
        operation.path::<Id<ConcertId>>(ConcertId::NAME, ConcertId::DESCRIPTION);
        Turn::describe(operation);
        operation.proof(Proof::QueueTokenInQuery);
    }
}

/// A queue token of the path's concert whose turn runs.
pub(crate) struct ActiveTurn(pub(crate) Token);

impl FromRequestParts<App> for ActiveTurn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let turn = Turn::from_request_parts(parts, app).await?;
        // The token of an offer is for its reservation alone.
        let is_over = turn.expired || turn.token.offer().is_some();
        turn.first(if is_over { Err(Problem::new(Code::QueueTokenExpired)) } else { Ok(()) })?;
        Ok(Self(turn.token))
    }
}

/// Whether a turn runs; one that waits is refused with its position.
async fn is_active(room: &Arc<LiveRoom>, token: &Token, purpose: Purpose, app: &App) -> Result<bool, Problem> {
    if token.offer().is_some() {
        // It pays and releases, and passes nowhere else.
        return Ok(purpose == Purpose::Use && offered_until(token, app).await?.is_some());
    }
    let placement = app.rooms.placement(room, token, purpose).await?;
    let placement = placement.ok_or_else(|| Problem::new(Code::QueueTokenInvalid))?;
    match placement.standing {
        Standing::Early { position, poll_after_seconds, .. } => {
            let seconds = u32::try_from(poll_after_seconds).unwrap_or(u32::MAX);
            let problem = Problem::new(Code::QueueTokenWaiting).early_position(position).opens_at(placement.opens_at);
            Err(problem.retry_after(seconds))
        }
        Standing::Active { .. } => Ok(true),
        Standing::Expired => Ok(false),
        Standing::Waiting { position, poll_after_seconds, .. } => {
            let seconds = u32::try_from(poll_after_seconds).unwrap_or(u32::MAX);
            Err(Problem::new(Code::QueueTokenWaiting).position(position).retry_after(seconds))
        }
    }
}

/// Until when an offer lives, for its token; `None` if it has ended, or if the token is that of a place.
pub(crate) async fn offered_until(token: &Token, app: &App) -> Result<Option<Timestamp>, Problem> {
    let Some(id) = token.offer() else { return Ok(None) };
    let found = app.read(app.reader.reservation(id)).await?;
    let is_live = |own: &Reservation| own.is_offer() && own.user == token.user && own.is_live(app.reader.now());
    Ok(found.filter(is_live).map(|own| own.held_until))
}
