//! Sign-ins of users at an OpenID provider, and their sessions.

use axum::extract::State;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use onsale_domain::session::{EndSession, USER_SESSION_SECONDS};
use onsale_macros::operation;
use reqwest::Url;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::auth::{Answer, Failed, SIGN_IN_SECONDS, SignIns};
use crate::http::input::user_session::{CurrentUser, lax, user_cookie};
use crate::http::input::{Payload, Query};
use crate::http::openapi::{Operation, Output, Sample};
use crate::http::reply::cookie::cookie_of;
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{NoContent, OkJson};
use crate::http::values::Instant;
use crate::http::{App, PATIENCE};
use crate::settings::PublicUrl;

/// The path that the provider sends browsers back to.
pub(crate) const CALLBACK_PATH: &str = "/session/callback";

/// The cookie of a sign-in that is under way.
const SIGN_IN_COOKIE: &str = "onsale_sign_in";

/// The longest page to return to, in bytes.
const PAGE_MAX: usize = 500;

/// Sends the browser to another address, with cookies that are set or cleared.
struct Redirect {
    to: String,
    cookies: Vec<HeaderValue>,
}

impl IntoResponse for Redirect {
    fn into_response(self) -> Response {
        let mut response = StatusCode::SEE_OTHER.into_response();
        let headers = response.headers_mut();
        // Addresses are those of parsed URLs: visible ASCII.
        headers.insert(LOCATION, HeaderValue::try_from(self.to).unwrap_or(HeaderValue::from_static("/")));
        for cookie in self.cookies {
            headers.append(SET_COOKIE, cookie);
        }
        response
    }
}

/// The sign-ins of this server, and its public URL, which they need.
///
/// # Errors
/// `not-found` if this server has none.
fn sign_ins(app: &App) -> Result<(&SignIns, &PublicUrl), Problem> {
    match (&app.sign_ins, &app.web.public_url) {
        (Some(sign_ins), Some(public_url)) => Ok((sign_ins, public_url)),
        _ => Err(Problem::new(Code::NotFound)),
    }
}

/// The address of a page of this server; `None` if the path is of none, such as one that a browser reads as another host.
fn page_of(public_url: &PublicUrl, path: &str) -> Option<String> {
    let is_plain = path.len() <= PAGE_MAX && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if !is_plain || !path.starts_with('/') || path.starts_with("//") {
        return None;
    }
    // Browsers resolve `..` and its encoded forms as this parser does.
    let url = Url::parse(&format!("{}{path}", public_url.as_str())).ok()?;
    let below = url.path().strip_prefix(public_url.path().trim_end_matches('/'))?;
    let is_ours = url.origin().ascii_serialization() == public_url.origin() && below.starts_with('/');
    is_ours.then(|| url.into())
}

/// The address that shows why a sign-in failed.
fn failed(public_url: &PublicUrl, failed: &Failed) -> String {
    format!("{}/#/sign-in/{}", public_url.as_str(), failed.word())
}

/// Ends a sign-in of the part that takes too long.
fn late<T>(_: tokio::time::error::Elapsed) -> Result<T, Failed> {
    Err(Failed::Unavailable("the provider did not answer in time".to_owned()))
}

/// The parameters of a query, decoded. Parameters of the provider that are unknown here are left out by the callers.
fn parameters(uri: &Uri) -> Vec<(String, String)> {
    let url = Url::parse(&format!("http://localhost/?{}", uri.query().unwrap_or_default()));
    url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
}

/// A parameter that is there once.
fn parameter(parameters: &[(String, String)], wanted: &str) -> Option<String> {
    let mut found = parameters.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    found.next().filter(|_| found.next().is_none())
}

/// Sends the browser to the provider. `?return=` is the page to come back to; without it the first one.
pub(crate) async fn begin_sign_in(State(app): State<App>, uri: Uri) -> Response {
    begin(&app, &uri).await.into_response()
}

async fn begin(app: &App, uri: &Uri) -> Result<Redirect, Problem> {
    let (sign_ins, public_url) = sign_ins(app)?;
    let parameters = parameters(uri);
    let page = match parameters.iter().any(|(name, _)| name == "return") {
        false => Some("/".to_owned()),
        true => parameter(&parameters, "return"),
    };
    let page = page.and_then(|path| page_of(public_url, &path));
    let page =
        page.ok_or_else(|| Problem::invalid_field("return", "must be a path of this server, such as /#/account"))?;
    let begun = tokio::time::timeout(PATIENCE, sign_ins.begin(page)).await.unwrap_or_else(late);
    Ok(match begun {
        Ok((cookie, to)) => Redirect { to, cookies: vec![lax(app, SIGN_IN_COOKIE, &cookie, SIGN_IN_SECONDS)] },
        Err(error) => {
            sign_ins.note(&Err::<(), _>(error.clone()));
            Redirect { to: failed(public_url, &error), cookies: Vec::new() }
        }
    })
}

/// Takes the browser back from the provider, and signs the user in.
pub(crate) async fn finish_sign_in(
    State(app): State<App>,
    CurrentUser(before): CurrentUser,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    finish(&app, before.map(|session| EndSession { session: session.id }), &headers, &uri).await.into_response()
}

async fn finish(app: &App, before: Option<EndSession>, headers: &HeaderMap, uri: &Uri) -> Result<Redirect, Problem> {
    let (sign_ins, public_url) = sign_ins(app)?;
    let parameters = parameters(uri);
    let answer = Answer {
        state: parameter(&parameters, "state"),
        code: parameter(&parameters, "code"),
        error: parameter(&parameters, "error"),
        issuer: parameter(&parameters, "iss"),
    };
    let finishing = sign_ins.finish(cookie_of(headers, SIGN_IN_COOKIE), &answer);
    let finished = tokio::time::timeout(PATIENCE, finishing).await.unwrap_or_else(late);
    sign_ins.note(&finished);
    // The values of a sign-in are good for one answer.
    let mut cookies = vec![lax(app, SIGN_IN_COOKIE, "", 0)];
    let to = match finished {
        Ok((session, page)) => {
            cookies.push(user_cookie(app, &session, USER_SESSION_SECONDS));
            // The session before is not needed any more. If the database is away, it ends by itself.
            if let Some(end) = before {
                let _ = end_session(app, end).await;
            }
            page
        }
        Err(error) => failed(public_url, &error),
    };
    Ok(Redirect { to, cookies })
}

/// Ends a session, here at once and elsewhere within a second.
///
/// # Errors
/// As [`App::decide`].
async fn end_session(app: &App, end: EndSession) -> Result<(), Problem> {
    let noted = app.clone();
    app.decide(end, None, move |ended| {
        if let Some(sign_ins) = &noted.sign_ins {
            sign_ins.note_end(ended);
        }
        NoContent
    })
    .await
    .map(drop)
}

/// The user who is signed in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UserSession")]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionShown {
    /// The user; null if no session counts.
    user_id: Option<String>,
    /// The end of the session, if it is not used until then.
    expires_at: Option<Instant>,
}

impl Sample for SessionShown {
    fn sample() -> Value {
        json!({"userId": "ada", "expiresAt": "2026-11-22T23:12:13.456Z"})
    }
}

/// Get the user who is signed in
///
/// A page reads here for which user its cookie acts. Without a session, or with an `Authorization`, all members are null. A
/// browser signs in by `GET /session/login?return=PATH`, which sends it to the provider and back to a path of this server.
#[operation(tag = Sessions, returns = "The session")]
pub(crate) async fn get_session(
    CurrentUser(session): CurrentUser,
    mut query: Query,
) -> Result<OkJson<SessionShown>, Problem> {
    query.read()?;
    let user_id = session.as_ref().map(|session| session.user.to_string());
    Ok(OkJson(SessionShown { user_id, expires_at: session.map(|session| Instant(session.expires_at)) }))
}

/// 204 that clears the cookie of a session, if there was one.
pub(crate) struct SignedOut(Option<HeaderValue>);

impl IntoResponse for SignedOut {
    fn into_response(self) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        response.headers_mut().extend(self.0.map(|cookie| (SET_COOKIE, cookie)));
        response
    }
}

impl Output for SignedOut {
    fn describe(operation: &mut Operation) {
        operation.answers_nothing(204, operation.returns);
        operation.headers.push(("Set-Cookie", "Clears the cookie of the session"));
    }
}

/// Sign out
///
/// The session ends here at once, and on every other instance within a second. Places in line, holds and open event streams stay as
/// they are. Succeeds also without a session. An `Idempotency-Key` is ignored.
#[operation(tag = Sessions, returns = "Signed out")]
pub(crate) async fn delete_session(
    State(app): State<App>,
    CurrentUser(session): CurrentUser,
    payload: Payload,
) -> Result<SignedOut, Problem> {
    payload.arrived()?;
    let Some(session) = session else { return Ok(SignedOut(None)) };
    end_session(&app, EndSession { session: session.id }).await?;
    Ok(SignedOut(Some(user_cookie(&app, "", 0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_returns_to_paths_of_this_server_only() {
        let plain = PublicUrl::parse("https://shop.example").unwrap();
        let below = PublicUrl::parse("https://shop.example/tickets").unwrap();
        for (path, plain_page, page_below) in [
            ("/", "https://shop.example/", "https://shop.example/tickets/"),
            ("/#/account", "https://shop.example/#/account", "https://shop.example/tickets/#/account"),
            ("/a/../b?c=//d", "https://shop.example/b?c=//d", "https://shop.example/tickets/b?c=//d"),
            ("/@evil.example", "https://shop.example/@evil.example", "https://shop.example/tickets/@evil.example"),
        ] {
            assert_eq!(page_of(&plain, path).as_deref(), Some(plain_page), "{path}");
            assert_eq!(page_of(&below, path).as_deref(), Some(page_below), "{path}");
        }
        for path in [
            "",
            "account",
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/a b",
            "/é",
            ".evil.example",
            "@evil.example",
            ":80/",
            "javascript:alert(1)",
            &format!("/{}", "a".repeat(PAGE_MAX)),
        ] {
            assert_eq!(page_of(&plain, path), None, "{path}");
            assert_eq!(page_of(&below, path), None, "{path}");
        }
        for path in ["/../admin", "/%2e%2e/admin", "/a/../../admin", "/..", "/.%2E/ticketsandmore"] {
            assert_eq!(page_of(&below, path), None, "{path}: another site's path");
            assert!(page_of(&plain, path).is_some(), "{path}");
        }
    }

    #[test]
    fn a_parameter_that_is_there_twice_counts_as_absent() {
        let found = parameters(&Uri::from_static("/session/callback?a=b%20c+d&e=1&e=2&f"));
        for (name, value) in [("a", Some("b c d")), ("e", None), ("f", Some("")), ("g", None)] {
            assert_eq!(parameter(&found, name).as_deref(), value, "{name}");
        }
    }
}
