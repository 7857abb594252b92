//! Extractors of the back office: a page of this server signs in with a key and gets a cookie, which stands for the key.
//!
//! A browser sends a cookie with every request, also with one that a foreign page caused. So each write with it, and the
//! sign-in, must come from a page of this server.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, ORIGIN};
use axum::http::request::Parts;
use onsale_domain::staff::{Actor, Call};

use super::staff::{StaffCall, unknown};
use crate::auth::{SignedIn, is_loopback};
use crate::http::App;
use crate::http::openapi::{Input, Operation, Proof};
use crate::http::reply::cookie::cookie_of;
use crate::http::reply::problem::{Code, Problem};

/// The path of sign-ins, sign-outs, and reads of the session.
pub(crate) const SESSION_PATH: &str = "/desk/session";

/// The name of the cookie.
pub(crate) const SESSION_COOKIE: &str = "onsale_session";

/// The detail of the refusal of a request for the session that has an `Authorization`, with which the cookie does not count.
const WANTS_COOKIE: &str = "This call takes the cookie of a sign-in, without an Authorization header";

/// The secret in the cookie of a request.
pub(super) fn secret(headers: &HeaderMap) -> Option<&str> {
    cookie_of(headers, SESSION_COOKIE)
}

/// The session of a request that has no `Authorization`, if it has not ended.
///
/// # Errors
/// `unavailable` if that cannot be known.
pub(super) async fn signed_in(parts: &Parts, app: &App) -> Result<Option<SignedIn>, Problem> {
    if parts.headers.contains_key(AUTHORIZATION) {
        return Ok(None);
    }
    match secret(&parts.headers) {
        Some(secret) => app.read(app.staff.signed_in(secret)).await,
        None => Ok(None),
    }
}

/// A request that a page of this server sent: its `Origin` is ours.
pub(crate) struct OwnPage {
    request: Arc<str>,
    /// Whether the page came over http from this machine, which has no certificate.
    pub(crate) is_plain_loopback: bool,
}

impl OwnPage {
    /// A call of a member of the staff, for the admin log.
    pub(crate) fn call(&self, actor: Actor) -> Box<Call> {
        Box::new(Call { actor, request: self.request.clone() })
    }
}

impl FromRequestParts<App> for OwnPage {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        StaffCall::check_page(parts)?;
        let origin = parts.headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
        let is_plain_loopback = origin.is_some_and(is_plain_loopback);
        Ok(Self { request: StaffCall::request_id(parts), is_plain_loopback })
    }
}

impl Input for OwnPage {
    fn describe(operation: &mut Operation) {
        operation.codes(&[Code::OriginNotAllowed]);
        operation.paragraph(
            "The request must have an `Origin` equal to that of this server (`ONSALE_PUBLIC_URL`, else `Host`), as browsers \
             send it from its own pages. An `Idempotency-Key` is ignored.",
        );
    }
}

fn is_plain_loopback(origin: &str) -> bool {
    let Some(authority) = origin.strip_prefix("http://") else { return false };
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => authority.split(':').next(),
    };
    is_loopback(host.unwrap_or_default())
}

/// The session of the caller.
pub(crate) struct Present(pub(crate) SignedIn);

impl FromRequestParts<App> for Present {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match signed_in(parts, app).await? {
            Some(found) => Ok(Self(found)),
            None => {
                let problem = unknown(parts, app).await;
                let sent_key = parts.headers.contains_key(AUTHORIZATION) && problem.code == Code::AdminKeyInvalid;
                Err(if sent_key { Problem::new(Code::AdminKeyInvalid).detail(WANTS_COOKIE) } else { problem })
            }
        }
    }
}

impl Input for Present {
    fn describe(operation: &mut Operation) {
        operation.proof(Proof::Session);
        operation.codes(&[Code::AdminKeyInvalid, Code::NotFound]);
    }
}

/// The session to end, if it has not ended.
pub(crate) struct Leaving(pub(crate) Option<SignedIn>);

impl FromRequestParts<App> for Leaving {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        signed_in(parts, app).await.map(Self)
    }
}

impl Input for Leaving {
    fn describe(operation: &mut Operation) {
        operation.proof(Proof::Session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_of_this_machine_may_come_over_http() {
        for origin in ["http://127.0.0.1:8080", "http://localhost", "http://LOCALHOST:1", "http://[::1]:8080"] {
            assert!(is_plain_loopback(origin), "{origin}");
        }
        for origin in [
            "https://127.0.0.1:8080",
            "https://localhost",
            "http://shop.example",
            "http://localhost.example",
            "http://10.0.0.1",
            "http://[2001:db8::1]",
            "null",
            "",
        ] {
            assert!(!is_plain_loopback(origin), "{origin}");
        }
    }
}
