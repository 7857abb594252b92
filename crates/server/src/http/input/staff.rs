//! Extractors of staff: a handler that takes one states the right that its call needs, and cannot forget the check.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use futures_util::{StreamExt, stream};
use onsale_app::idempotency::Owner;
use onsale_app::store::StoreError;
use onsale_domain::ids::StaffKeyId;
use onsale_domain::staff::{Call, Right, Session};
use tokio::time::{Instant, sleep, timeout};

use super::callers::bearer;
use super::session;
use crate::auth::{Member, SignedIn};
use crate::http::App;
use crate::http::openapi::{Input, Operation, Proof};
use crate::http::reply::problem::{Code, Problem};

/// The time from one check of the key of a call that lasts to the next. With the check of all keys, 250 ms, the call ends within a
/// second after its key.
pub(crate) const CHECK_EVERY: Duration = Duration::from_millis(300);

/// A check of the key of a call that lasts has failed after this long.
const CHECKED_WITHIN: Duration = Duration::from_secs(1);

/// The longest time for a client to take an answer that is sent part by part. Beyond it the answer is cut.
pub(crate) const TAKEN_WITHIN: Duration = Duration::from_secs(15 * 60);

/// The detail of the refusal of a write with a session that no page of this server sent.
pub(super) const FOREIGN_PAGE: &str = "the Origin must be that of this server";

/// The right that a call needs.
pub(crate) trait Needed {
    const RIGHT: Right;
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl Needed for $name {
            const RIGHT: Right = Right::$name;
        }
    )+};
}

rights! {
    /// Makes, lists and deletes keys of staff.
    ManageKeys,
    /// Makes and changes what is on sale.
    RunSale,
    /// Reads what calls of administrators show.
    ReadSale,
    /// Reads lists of attendees.
    ReadAttendees,
    /// Checks attendees in at the door.
    CheckIn,
    /// Reads the data of any user.
    ReadUsers,
    /// Gives points back for seats that were paid.
    Refund,
    /// Adds points to a wallet or takes them, as a correction.
    Adjust,
    /// Charges wallets of users.
    Charge,
}

/// What the edge knows of a call of staff, as an extension of its request.
#[derive(Clone)]
pub(crate) struct StaffCall {
    /// The `X-Request-Id`.
    pub(crate) request_id: HeaderValue,
    /// Whether a page of this server sent it.
    pub(crate) is_from_own_page: bool,
}

impl StaffCall {
    /// The `X-Request-Id` of a request; empty if its path is of no call of staff.
    pub(super) fn request_id(parts: &Parts) -> Arc<str> {
        let call = parts.extensions.get::<Self>();
        call.and_then(|call| call.request_id.to_str().ok()).unwrap_or_default().into()
    }

    /// Checks that a page of this server sent a request.
    ///
    /// # Errors
    /// `origin-not-allowed`.
    pub(super) fn check_page(parts: &Parts) -> Result<(), Problem> {
        match parts.extensions.get::<Self>() {
            Some(call) if call.is_from_own_page => Ok(()),
            _ => Err(Problem::new(Code::OriginNotAllowed).detail(FOREIGN_PAGE)),
        }
    }
}

/// How long a call that lasts may go on: until its key is deleted, and until its session ends if it came with one.
#[derive(Clone)]
pub(crate) struct Lasting {
    key: Option<StaffKeyId>,
    session: Option<Session>,
}

impl Lasting {
    /// Whether the key still lives, and the session with it.
    ///
    /// # Errors
    /// [`StoreError`] if that cannot be known.
    pub(crate) async fn goes_on(&self, app: &App) -> Result<bool, StoreError> {
        match (&self.session, self.key) {
            (Some(session), _) => app.staff.goes_on(session).await,
            (None, Some(key)) => app.staff.is_live(key).await,
            (None, None) => Ok(true),
        }
    }

    /// The body of an answer that may take long. It ends with an error, so that the connection is closed before its end, once the
    /// call may not go on, or after [`TAKEN_WITHIN`].
    pub(crate) fn guard(self, app: &App, body: Body) -> Body {
        let guard = Guard { app: app.clone(), lasting: self, until: Instant::now() + TAKEN_WITHIN, checked_at: None };
        Body::from_stream(stream::try_unfold((guard, body.into_data_stream()), |(mut guard, mut parts)| async {
            let Some(part) = parts.next().await.transpose()? else { return Ok(None) };
            guard.check().await?;
            Ok::<_, BoxError>(Some((part, (guard, parts))))
        }))
    }
}

/// Checks whether an answer may go on.
struct Guard {
    app: App,
    lasting: Lasting,
    until: Instant,
    /// The beginning of the last check that succeeded.
    checked_at: Option<Instant>,
}

impl Guard {
    /// Waits while keys cannot be checked: without a check nothing is sent.
    ///
    /// # Errors
    /// If the key was deleted, the session has ended, or the client has taken too long.
    async fn check(&mut self) -> Result<(), &'static str> {
        loop {
            let now = Instant::now();
            if self.until <= now {
                return Err("the client did not take the answer within 15 minutes");
            }
            if self.checked_at.is_some_and(|at| now < at + CHECK_EVERY) {
                return Ok(());
            }
            match timeout(CHECKED_WITHIN, self.lasting.goes_on(&self.app)).await {
                Ok(Ok(true)) => {
                    self.checked_at = Some(now);
                    return Ok(());
                }
                Ok(Ok(false)) => return Err("the key was deleted, or the session has ended"),
                Ok(Err(_)) | Err(_) => sleep(CHECK_EVERY).await,
            }
        }
    }
}

/// A member of the staff who has the right `R`.
pub(crate) struct Staff<R> {
    member: Member,
    /// The session, if the request came with one and not with a key.
    session: Option<Session>,
    request: Arc<str>,
    right: PhantomData<fn() -> R>,
}

impl<R> Staff<R> {
    /// The call of this member, for the admin log.
    pub(crate) fn call(&self) -> Box<Call> {
        Box::new(Call { actor: self.member.actor.clone(), request: self.request.clone() })
    }

    /// What ends a call of this member that lasts.
    pub(crate) fn lasting(&self) -> Lasting {
        Lasting { key: self.member.actor.key(), session: self.session.clone() }
    }

    /// Whether the role of this member includes a further right.
    pub(crate) fn may(&self, right: Right) -> bool {
        self.member.role.may(right)
    }

    /// The owner of the idempotency keys of this member.
    pub(crate) fn owner(&self) -> Owner {
        self.member.actor.key().map_or(Owner::Root, Owner::Staff)
    }
}

/// Checks that a member has a right. A refusal is in the server's log, because a thief tries what a stolen key can do.
///
/// # Errors
/// `role-insufficient`.
pub(super) fn check(member: &Member, right: Right, parts: &Parts) -> Result<(), Problem> {
    if member.role.may(right) {
        return Ok(());
    }
    tracing::warn!(
        key.name = member.actor.name(),
        key.id = member.actor.key().map(tracing::field::display),
        role = member.role.as_str(),
        method = %parts.method,
        path = parts.uri.path(),
        request_id = &*StaffCall::request_id(parts),
        "refused a call of staff: the role of the key is not sufficient"
    );
    Err(Problem::new(Code::RoleInsufficient))
}

/// The member of the staff who sent a request: by its bearer, or by its session if it has no `Authorization`.
///
/// # Errors
/// `origin-not-allowed` for a write with a session from a page of another site; `unavailable` if the keys cannot be checked.
async fn member_of(parts: &Parts, app: &App) -> Result<Option<(Member, Option<Session>)>, Problem> {
    if let Some(SignedIn { member, session }) = session::signed_in(parts, app).await? {
        if !parts.method.is_safe() {
            StaffCall::check_page(parts)?;
        }
        return Ok(Some((member, Some(session))));
    }
    match bearer(&parts.headers) {
        Ok(Some(key)) => Ok(app.read(app.staff.member(key)).await?.map(|member| (member, None))),
        _ => Ok(None),
    }
}

/// The refusal of a request that no member of the staff sent.
pub(super) async fn unknown(parts: &Parts, app: &App) -> Problem {
    match app.read(app.staff.has_keys()).await {
        Ok(true) => {}
        Ok(false) => return Problem::new(Code::NotFound),
        Err(unavailable) => return unavailable,
    }
    let problem = Problem::new(Code::AdminKeyInvalid);
    match bearer(&parts.headers) {
        Ok(Some(_)) => problem.challenge("The key is wrong, or was deleted"),
        Ok(None) if session::secret(&parts.headers).is_some() => problem.detail("The session has ended: sign in again"),
        _ => problem,
    }
}

impl<R: Needed> FromRequestParts<App> for Staff<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Some((member, session)) = member_of(parts, app).await? else { return Err(unknown(parts, app).await) };
        check(&member, R::RIGHT, parts)?;
        Ok(Self { member, session, request: StaffCall::request_id(parts), right: PhantomData })
    }
}

impl<R: Needed> Input for Staff<R> {
    fn describe(operation: &mut Operation) {
        operation.proof(Proof::AdminKey);
        operation.codes(&[Code::AdminKeyInvalid, Code::RoleInsufficient, Code::NotFound]);
        let roles: Vec<String> = R::RIGHT.roles().map(|role| format!("`{role}`")).collect();
        operation.paragraph(&format!("Needs a key with one of these roles: {}.", roles.join(", ")));
        operation.paragraph("Without `ONSALE_ADMIN_KEY` and without keys in the database this answers 404.");
    }
}

/// Whether a member of the staff sent a request who may read the data of any user.
///
/// # Errors
/// `role-insufficient` if the member may not; `unavailable` if the keys cannot be checked.
pub(super) async fn reads_users(parts: &Parts, app: &App) -> Result<bool, Problem> {
    let Some((member, _)) = member_of(parts, app).await? else { return Ok(false) };
    check(&member, Right::ReadUsers, parts)?;
    Ok(true)
}

/// Whether a member of the staff sent a request who may read the data of any user. `false` also if the keys cannot be checked:
/// then the request counts for its user alone.
pub(super) async fn may_read_users(parts: &Parts, app: &App) -> bool {
    matches!(member_of(parts, app).await, Ok(Some((member, _))) if member.role.may(Right::ReadUsers))
}
