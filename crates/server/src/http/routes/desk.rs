//! Sessions of the back office.

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use onsale_domain::staff::{ByStaff, SESSION_SECONDS, SignIn, SignOut};
use onsale_macros::operation;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Value, json};

use super::admin::key::RoleName;
use crate::auth::{SessionSecret, SignedIn};
use crate::http::App;
use crate::http::input::session::{Leaving, OwnPage, Present, SESSION_COOKIE};
use crate::http::input::{Body, Payload, Query};
use crate::http::openapi::{Operation, Output, Sample};
use crate::http::reply::cookie::{Cookie, SameSite};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{NoContent, OkJson};
use crate::http::values::{Instant, Text};
use crate::secret::Secret;

/// The longest key that is compared, in bytes.
const KEY_MAX: usize = 1_000;

/// A key of staff, as its owner types it: 1 to 1,000 visible ASCII characters.
#[derive(Clone, Debug)]
pub(crate) struct KeyText(Secret);

impl Text for KeyText {
    const WHAT: &'static str = "a key: 1 to 1000 visible characters";

    fn parse(text: &str) -> Option<Self> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        (is_visible && (1..=KEY_MAX).contains(&text.len())).then(|| Self(Secret::new(text)))
    }
}

impl JsonSchema for KeyText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StaffKeyText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": KEY_MAX, "pattern": "^[!-~]*$"})
    }
}

/// The key to sign in with.
#[derive(Body, JsonSchema)]
#[schemars(rename = "DeskSessionBody")]
pub(crate) struct SessionBody {
    /// The key of the owner.
    key: KeyText,
}

impl Sample for SessionBody {
    fn sample() -> Value {
        json!({"key": "onsale_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"})
    }
}

/// 204 with a cookie that is set or cleared.
pub(crate) struct WithCookie(HeaderValue);

impl WithCookie {
    /// The cookie goes to every path of this server, as browsers see it. It is never sent to a page of another site, never
    /// readable by scripts, and never sent over plain http, except to this machine.
    fn new(app: &App, page: &OwnPage, value: &str, seconds: u32) -> Self {
        let is_secure = !page.is_plain_loopback;
        let cookie = Cookie { name: SESSION_COOKIE, value, seconds, same_site: SameSite::Strict, is_secure };
        Self(cookie.to_header(&app.web))
    }
}

impl IntoResponse for WithCookie {
    fn into_response(self) -> Response {
        (StatusCode::NO_CONTENT, [(SET_COOKIE, self.0)]).into_response()
    }
}

impl Output for WithCookie {
    fn describe(operation: &mut Operation) {
        operation.answers_nothing(204, operation.returns);
        operation.headers.push(("Set-Cookie", "The cookie of the session"));
    }
}

/// Sign in to the back office
///
/// The cookie stands for the key for 8 hours, on every instance, until the sign-out or until the key is deleted. At most
/// ten sign-ins a minute and client address.
#[operation(tag = Staff, returns = "Signed in", codes(AdminKeyInvalid, NotFound))]
pub(crate) async fn create_desk_session(
    State(app): State<App>,
    page: OwnPage,
    payload: Payload<SessionBody>,
) -> Result<WithCookie, Problem> {
    let SessionBody { key: KeyText(key) } = payload.read()?;
    let Some(member) = app.read(app.staff.member(key.expose())).await? else {
        let has_keys = app.read(app.staff.has_keys()).await?;
        return Err(Problem::new(if has_keys { Code::AdminKeyInvalid } else { Code::NotFound }));
    };
    let secret = SessionSecret::random();
    let command = SignIn { hash: app.staff.hash_of(&secret, key.expose()), key: member.actor.key() };
    // No key keeps the answer, because it would have no cookie. A repeated sign-in makes one more session, which is harmless.
    app.decide(ByStaff { call: page.call(member.actor), command }, None, |_| NoContent).await?;
    Ok(WithCookie::new(&app, &page, secret.text().expose(), SESSION_SECONDS))
}

/// A session of the back office.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeskSession")]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionShown {
    /// The name of the key; `root` for the key of the setting.
    name: String,
    role: RoleName,
    expires_at: Instant,
}

impl Sample for SessionShown {
    fn sample() -> Value {
        json!({"name": "front desk", "role": "support", "expiresAt": "2026-11-22T19:12:13.456Z"})
    }
}

/// Get the session of the back office
///
/// A page reads here whose key it acts with, and until when. Without a session that still lasts this is 401.
#[operation(tag = Staff, returns = "The session")]
pub(crate) async fn get_desk_session(
    Present(SignedIn { member, session }): Present,
    mut query: Query,
) -> Result<OkJson<SessionShown>, Problem> {
    query.read()?;
    let (name, role) = (member.actor.name().to_owned(), RoleName(member.role));
    Ok(OkJson(SessionShown { name, role, expires_at: Instant(session.expires_at) }))
}

/// Sign out of the back office
///
/// The session ends on every instance at once. Succeeds also without a session.
#[operation(tag = Staff, returns = "Signed out", codes(AdminKeyInvalid))]
pub(crate) async fn delete_desk_session(
    State(app): State<App>,
    page: OwnPage,
    Leaving(signed_in): Leaving,
    payload: Payload,
) -> Result<WithCookie, Problem> {
    payload.arrived()?;
    if let Some(SignedIn { member, session }) = signed_in {
        let command = SignOut { session };
        app.decide(ByStaff { call: page.call(member.actor), command }, None, |_| NoContent).await?;
    }
    Ok(WithCookie::new(&app, &page, "", 0))
}
