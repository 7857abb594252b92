//! The body of a request, with the idempotency key under which it came.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, request::Parts};
use http_body_util::BodyExt;
use onsale_app::idempotency::{Fingerprint, KeyId, Keyed};
use onsale_domain::ids::UserId;
use sha2::{Digest, Sha256};

use super::{Fields, Query};
use crate::http::App;
use crate::http::input::coding;
use crate::http::reply::problem::{Code, Problem};

/// The largest body, in bytes.
const BODY_MAX: usize = 64 * 1024;

/// How long a body may take to arrive: less than a request may wait in all, so that its sender is told what was missing.
const BODY_TIMEOUT: Duration = Duration::from_secs(9);

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A request that may change something, read whole. What is wrong with it is for the handler to ask, as there may be
/// something to say that comes before.
pub(crate) struct Payload(Result<Received, Problem>);

struct Received {
    bytes: Bytes,
    is_json: bool,
    /// Whether it comes in no other coding than `identity`.
    is_plain: bool,
    key: Option<(Arc<str>, Fingerprint)>,
}

impl FromRequest<App> for Payload {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &App) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        Ok(Self(receive(&parts, body).await))
    }
}

async fn receive(parts: &Parts, body: Body) -> Result<Received, Problem> {
    let bytes = read(body).await?;
    let key = idempotency_key(&parts.headers)?;
    // No request that changes something takes a parameter in its query.
    Query::read(&parts.uri)?.done(|| Some(()))?;
    let key = key.map(|key| (key, fingerprint(parts, &bytes)));
    let (is_json, is_plain) = (is_json(&parts.headers), coding::is_identity(&parts.headers));
    Ok(Received { bytes, is_json, is_plain, key })
}

impl Payload {
    /// The body as a JSON object.
    ///
    /// # Errors
    /// A request that did not arrive whole, another media type, no JSON, no object.
    pub(crate) fn fields(&self) -> Result<Fields<'_>, Problem> {
        let received = self.0.as_ref().map_err(Problem::clone)?;
        if !received.is_plain {
            return Err(coding::refused());
        }
        if !received.is_json {
            return Err(Problem::new(Code::UnsupportedMediaType));
        }
        Fields::read(&received.bytes)
    }

    /// Checks that the request arrived whole. Its body says nothing.
    ///
    /// # Errors
    /// A request that did not arrive whole, or a body in a coding.
    pub(crate) fn arrived(&self) -> Result<(), Problem> {
        let received = self.0.as_ref().map_err(Problem::clone)?;
        if received.is_plain || received.bytes.is_empty() { Ok(()) } else { Err(coding::refused()) }
    }

    /// The key, as the acting user's; an administrator's where there is no user.
    pub(crate) fn key(&self, owner: Option<&UserId>) -> Option<Keyed> {
        let (key, fingerprint) = self.0.as_ref().ok()?.key.as_ref()?;
        Some(Keyed { id: KeyId { owner: owner.cloned(), key: key.clone() }, fingerprint: *fingerprint })
    }
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let reading = tokio::time::timeout(BODY_TIMEOUT, collect(body));
    reading.await.unwrap_or_else(|_| Err(Problem::new(Code::RequestTimeout)))
}

/// The whole body. What is left of one that is too large is discarded by the edge.
async fn collect(mut body: Body) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Code::BodyTooLarge);
    if body.size_hint().lower() > BODY_MAX as u64 {
        return Err(too_large());
    }
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Code::MalformedRequest).detail("the body broke off"))?;
        let Some(data) = frame.data_ref() else { continue };
        if read.len() + data.len() > BODY_MAX {
            return Err(too_large());
        }
        read.extend_from_slice(data);
    }
    Ok(read.into())
}

/// `application/json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let (media_type, parameters) = value.split_once(';').unwrap_or((value, ""));
    let charset = parameters
        .split(';')
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("charset").then(|| value.trim_matches('"').to_owned()));
    media_type.trim().eq_ignore_ascii_case("application/json")
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

/// What makes two requests the same: method, path, query and body. Each part ends with its length, so that none can
/// pass for the beginning of the next.
fn fingerprint(parts: &Parts, body: &[u8]) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in [parts.method.as_str(), parts.uri.path(), parts.uri.query().unwrap_or("")] {
        hash.update(part);
        hash.update((part.len() as u64).to_be_bytes());
    }
    hash.update(body);
    hash.finalize().into()
}
