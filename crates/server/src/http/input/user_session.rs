//! The session of a user who signed in at a provider: a cookie in place of a bearer.
//!
//! It counts only if the request has no `Authorization`. A browser sends a cookie with every request, also with one that a foreign
//! page caused, so a write with it must come from a page of this server. Sites of `ONSALE_CORS_ORIGINS` are foreign here too.

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request};
use onsale_domain::ids::UserId;
use onsale_domain::session::USER_SESSION_SECONDS;

use super::staff::FOREIGN_PAGE;
use crate::auth::{Refused, UserSession};
use crate::http::App;
use crate::http::openapi::{Input, Operation, Proof};
use crate::http::reply::cookie::{Cookie, SameSite, cookie_of};
use crate::http::reply::problem::{Code, Problem};

/// The name of the cookie.
pub(crate) const USER_COOKIE: &str = "onsale_user";

/// The session that a request has, as the edge found it. An extension of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// The request acts for the user of this session.
    Valid(UserSession),
    /// A page of another site sent a write with a session.
    Foreign,
    /// The session is over, was ended, or is not one of this server.
    Ended,
}

impl Offered {
    /// The session of a request, checked in memory. `None` if the request has none, or has an `Authorization`, or is a read by a
    /// page of another site. `is_from_own_page`: whether a page of this server sent it.
    pub(crate) fn of<B>(app: &App, request: &Request<B>, is_from_own_page: impl FnOnce() -> bool) -> Option<Self> {
        let sign_ins = app.sign_ins.as_ref()?;
        let headers = request.headers();
        if headers.contains_key(AUTHORIZATION) {
            return None;
        }
        let cookie = cookie_of(headers, USER_COOKIE).filter(|value| !value.is_empty())?;
        let is_write = !request.method().is_safe();
        // A browser leaves `Origin` out of reads of its own pages, and of those that no script makes.
        let is_foreign = (is_write || headers.contains_key(ORIGIN)) && !is_from_own_page();
        if is_foreign && !is_write {
            return None;
        }
        Some(match sign_ins.session(cookie) {
            None => Self::Ended,
            Some(_) if is_foreign => Self::Foreign,
            Some(session) => Self::Valid(session),
        })
    }

    /// The user, if the session counts.
    pub(crate) fn user(&self) -> Option<&UserId> {
        if let Self::Valid(session) = self { Some(&session.user) } else { None }
    }

    /// The session, if it counts.
    ///
    /// # Errors
    /// `origin-not-allowed` for a write of a page of another site; [`Refused::SessionEnded`] as a problem if it has ended.
    pub(super) fn session(self) -> Result<UserSession, Problem> {
        match self {
            Self::Valid(session) => Ok(session),
            Self::Foreign => Err(Problem::new(Code::OriginNotAllowed).detail(FOREIGN_PAGE)),
            Self::Ended => Err(Refused::SessionEnded.into()),
        }
    }
}

/// Renews the cookie of a session that was used, if it is time for that. Never in an answer that a shared cache may store, and
/// not if the answer sets the cookie itself.
pub(crate) fn renew(app: &App, session: &UserSession, headers: &mut HeaderMap) {
    let is_private = |value: &HeaderValue| {
        let value = value.to_str().unwrap_or_default();
        value.contains("no-store") || value.contains("private")
    };
    if !headers.get(CACHE_CONTROL).is_some_and(is_private) || headers.contains_key(SET_COOKIE) {
        return;
    }
    if let Some(value) = app.sign_ins.as_ref().and_then(|sign_ins| sign_ins.renewed(session)) {
        headers.append(SET_COOKIE, user_cookie(app, &value, USER_SESSION_SECONDS));
    }
}

/// `Set-Cookie` of a session, or with 0 seconds of its end.
pub(crate) fn user_cookie(app: &App, value: &str, seconds: u32) -> HeaderValue {
    lax(app, USER_COOKIE, value, seconds)
}

/// `Set-Cookie` of a cookie that comes along when the visitor goes to a page of this server.
pub(crate) fn lax(app: &App, name: &str, value: &str, seconds: u32) -> HeaderValue {
    let is_secure = app.web.public_url.as_ref().is_none_or(|url| !url.is_plain());
    Cookie { name, value, seconds, same_site: SameSite::Lax, is_secure }.to_header(&app.web)
}

/// The session of the caller, if there is one that counts.
pub(crate) struct CurrentUser(pub(crate) Option<UserSession>);

impl FromRequestParts<App> for CurrentUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        match parts.extensions.get::<Offered>().cloned() {
            Some(Offered::Foreign) => Offered::Foreign.session().map(|session| Self(Some(session))),
            Some(Offered::Valid(session)) => Ok(Self(Some(session))),
            Some(Offered::Ended) | None => Ok(Self(None)),
        }
    }
}

impl Input for CurrentUser {
    fn describe(operation: &mut Operation) {
        operation.proof(Proof::UserSession);
        operation.paragraph("There are sessions only with `ONSALE_OIDC_ISSUER`.");
    }
}
