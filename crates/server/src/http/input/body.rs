//! The body of a request and its idempotency key.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body as HttpBody, Bytes, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, request::Parts};
use http_body_util::BodyExt;
use onsale_app::idempotency::{Fingerprint, KeyId, Keyed, Owner};
use onsale_domain::ids::UserId;
use schemars::JsonSchema;
use sha2::{Digest, Sha256};

use super::{Fields, RawQuery};
use crate::http::App;
use crate::http::input::coding;
use crate::http::openapi::{Input, Operation, Sample};
use crate::http::reply::problem::{Code, Problem};
use crate::http::values::Scalar;

pub(crate) use onsale_macros::Body;

/// The largest body, in bytes, unless a call takes larger ones. A larger one is refused with `body-too-large`.
pub(crate) const BODY_MAX: usize = 64 * 1024;

/// How long a body may take to arrive: less than a request may wait in all, so that the client gets `request-timeout`.
const BODY_TIMEOUT: Duration = Duration::from_secs(9);

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A JSON object that a client sends. The struct that is read is the one that the OpenAPI document shows; derive it with
/// `#[derive(Body)]`.
pub(crate) trait Body: Sized {
    /// Whether the body is a list. It is then read as the member of an empty name.
    const IS_LIST: bool = false;

    /// Takes each member and notes what is wrong. Returns `None` if a required one is missing or wrong.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

/// A member of a JSON object: a scalar, or an object that derives [`Body`].
pub(crate) trait Member: Sized {
    /// Takes the member of this name. Returns `None` if it is absent; one that is wrong is noted and gives `None` too.
    fn take(fields: &mut Fields<'_>, name: &str) -> Option<Self>;

    /// As [`Member::take`], and notes a member that is absent.
    fn require(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        if !fields.has(name) {
            fields.wrong(name, "is required".to_owned());
        }
        Self::take(fields, name)
    }
}

impl<T: Scalar> Member for T {
    fn take(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        fields.optional(name, T::read)
    }
}

/// A request that may change something: its body `B`, read whole, and its idempotency key. `()` stands for no body,
/// and `Option` for one that may be left out.
///
/// The body has at most `MAX` bytes. An error in it is returned when the handler reads it, because a refusal for another reason may
/// come first.
pub(crate) struct Payload<B = (), const MAX: usize = BODY_MAX> {
    received: Result<Received, Problem>,
    body: PhantomData<fn() -> B>,
}

struct Received {
    bytes: Bytes,
    is_json: bool,
    /// Whether `Content-Encoding` is absent or `identity`.
    is_plain: bool,
    key: Option<(Arc<str>, Fingerprint)>,
}

impl<B, const MAX: usize> FromRequest<App> for Payload<B, MAX> {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &App) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        Ok(Self { received: receive(&parts, body, MAX).await, body: PhantomData })
    }
}

/// As [`Payload`], for a page that is being closed: the same JSON may come as `text/plain`, which a browser sends without asking
/// first.
pub(crate) struct TextPayload<B>(Payload<B>);

impl<B> FromRequest<App> for TextPayload<B> {
    type Rejection = Infallible;

    async fn from_request(request: Request, app: &App) -> Result<Self, Infallible> {
        let is_text = is_in_utf8(request.headers(), "text/plain");
        let mut payload = Payload::from_request(request, app).await?;
        if let Ok(received) = &mut payload.received {
            received.is_json |= is_text;
        }
        Ok(Self(payload))
    }
}

impl<B: Body> TextPayload<B> {
    /// The body.
    ///
    /// # Errors
    /// As [`Payload::read`].
    pub(crate) fn read(&self) -> Result<B, Problem> {
        self.0.read()
    }
}

impl<B: Body + JsonSchema + Sample> Input for TextPayload<B> {
    fn describe(operation: &mut Operation) {
        operation.body::<B>();
        operation.is_body_text_too = true;
    }
}

impl<B: Body + JsonSchema + Sample, const MAX: usize> Input for Payload<B, MAX> {
    fn describe(operation: &mut Operation) {
        operation.body::<B>();
    }
}

impl<B: Body + JsonSchema + Sample> Input for Payload<Option<B>> {
    fn describe(operation: &mut Operation) {
        operation.body::<B>();
        operation.is_body_optional = true;
    }
}

impl Input for Payload<()> {
    fn describe(_: &mut Operation) {}
}

async fn receive(parts: &Parts, body: HttpBody, most: usize) -> Result<Received, Problem> {
    let bytes = read(body, most).await?;
    let key = idempotency_key(&parts.headers)?;
    // No request that changes something takes a parameter in its query.
    RawQuery::read(&parts.uri)?.finish(Some(()))?;
    let key = key.map(|key| (key, fingerprint(parts, &bytes)));
    let (is_json, is_plain) = (is_in_utf8(&parts.headers, "application/json"), coding::is_identity(&parts.headers));
    Ok(Received { bytes, is_json, is_plain, key })
}

impl<B: Body, const MAX: usize> Payload<B, MAX> {
    /// The body.
    ///
    /// # Errors
    /// The first of: the request did not arrive whole; `unsupported-media-type`; `malformed-request` if the body is no
    /// JSON; `invalid-request` with all errors in its members.
    pub(crate) fn read(&self) -> Result<B, Problem> {
        self.received.as_ref().map_err(Problem::clone)?.parse()
    }
}

impl<B: Body> Payload<Option<B>> {
    /// The body; `None` for a request without one.
    ///
    /// # Errors
    /// As [`Payload::read`].
    pub(crate) fn read_if_any(&self) -> Result<Option<B>, Problem> {
        let received = self.received.as_ref().map_err(Problem::clone)?;
        if received.bytes.is_empty() { Ok(None) } else { received.parse().map(Some) }
    }
}

impl Received {
    fn parse<B: Body>(&self) -> Result<B, Problem> {
        if !self.is_plain {
            return Err(coding::refused());
        }
        if !self.is_json {
            return Err(Problem::new(Code::UnsupportedMediaType));
        }
        let mut fields = if B::IS_LIST { Fields::read_list(&self.bytes)? } else { Fields::read(&self.bytes)? };
        let body = B::read(&mut fields);
        fields.finish(body)
    }
}

impl Payload<()> {
    /// Checks that the request arrived whole. A body is not read.
    ///
    /// # Errors
    /// The request did not arrive whole, or `unsupported-media-type` if it has a body in a coding.
    pub(crate) fn arrived(&self) -> Result<(), Problem> {
        let received = self.received.as_ref().map_err(Problem::clone)?;
        if received.is_plain || received.bytes.is_empty() { Ok(()) } else { Err(coding::refused()) }
    }
}

impl<B, const MAX: usize> Payload<B, MAX> {
    /// The idempotency key, if there is one. It belongs to the acting user.
    pub(crate) fn key(&self, user: &UserId) -> Option<Keyed> {
        self.key_of(|| Owner::User(user.clone()))
    }

    /// The idempotency key, if there is one, of any owner.
    pub(crate) fn key_of(&self, owner: impl FnOnce() -> Owner) -> Option<Keyed> {
        let (key, fingerprint) = self.received.as_ref().ok()?.key.as_ref()?;
        Some(Keyed { id: KeyId { owner: owner(), key: key.clone() }, fingerprint: *fingerprint })
    }
}

async fn read(body: HttpBody, most: usize) -> Result<Bytes, Problem> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let reading = tokio::time::timeout(BODY_TIMEOUT, collect(body, most));
    reading.await.unwrap_or_else(|_| Err(Problem::new(Code::RequestTimeout)))
}

/// The whole body. The edge discards the rest of one that is too large.
async fn collect(mut body: HttpBody, most: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let problem = Problem::new(Code::BodyTooLarge);
        if most == BODY_MAX { problem } else { problem.detail(format!("The body is larger than {} KiB", most / 1024)) }
    };
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Code::MalformedRequest).detail("the body broke off"))?;
        let Some(data) = frame.data_ref() else { continue };
        if read.len() + data.len() > most {
            return Err(too_large());
        }
        read.extend_from_slice(data);
    }
    Ok(read.into())
}

/// Whether a body is of this media type, with or without parameters, in UTF-8.
fn is_in_utf8(headers: &HeaderMap, wanted: &str) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let (media_type, parameters) = value.split_once(';').unwrap_or((value, ""));
    let charset = parameters
        .split(';')
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("charset").then(|| value.trim_matches('"').to_owned()));
    media_type.trim().eq_ignore_ascii_case(wanted)
        && charset.is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8"))
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<Arc<str>>, Problem> {
    let wrong = |message: &str| Problem::invalid_field("Idempotency-Key", message);
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong("is there twice"));
    }
    let visible = (1..=255).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(text) if visible => Ok(Some(text.into())),
        _ => Err(wrong("must be 1 to 255 visible characters")),
    }
}

/// A hash of method, path, query and body: two requests with the same fingerprint are the same request. Each part is
/// followed by its length, so that no part can pass for the beginning of the next.
fn fingerprint(parts: &Parts, body: &[u8]) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in [parts.method.as_str(), parts.uri.path(), parts.uri.query().unwrap_or("")] {
        hash.update(part);
        hash.update((part.len() as u64).to_be_bytes());
    }
    hash.update(body);
    hash.finalize().into()
}
