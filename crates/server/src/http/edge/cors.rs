//! Pages of other sites that may call the API from a browser (the CORS protocol of the Fetch standard). Our own few lines
//! and not a layer around the router, as refusals are also made outside of it, and carry the same headers.

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use axum::response::Response;

use super::guard::is_allowed;
use crate::settings::{CorsOrigins, WebSettings};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// Headers that a page may send.
const SENT: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Queue-Token, X-Request-Id, \
     X-Requested-With, Cache-Control, traceparent, tracestate, baggage",
);

/// Headers of an answer that a page may read.
const READ: HeaderValue =
    HeaderValue::from_static("Allow, ETag, Idempotency-Replayed, Link, Retry-After, WWW-Authenticate, X-Request-Id");

/// For how many seconds a browser may keep the answer to a preflight.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("600");

/// The CORS headers of an answer.
pub(super) struct Sharing {
    /// Whether the answer depends on `Origin`.
    varies: bool,
    /// The value of `Access-Control-Allow-Origin`, if the page may read the answer.
    allowed: Option<HeaderValue>,
}

impl Sharing {
    /// The site whose pages may read the answer to a request.
    pub(super) fn of<B>(web: &WebSettings, request: &Request<B>) -> Self {
        let allowed = |origin: &&HeaderValue| is_allowed(web, origin);
        match web.cors {
            CorsOrigins::Own => Self { varies: false, allowed: None },
            CorsOrigins::Any => Self { varies: false, allowed: Some(HeaderValue::from_static("*")) },
            CorsOrigins::These(_) => {
                Self { varies: true, allowed: request.headers().get(ORIGIN).filter(allowed).cloned() }
            }
        }
    }

    /// The answer to a preflight of an allowed site; `None` for any other request.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(ORIGIN)
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || self.allowed.is_none() {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, SENT);
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
        Some(response)
    }

    /// Sets the headers of an answer.
    pub(super) fn set_headers(self, headers: &mut HeaderMap) {
        if self.varies {
            vary_by_origin(headers);
        }
        if let Some(allowed) = self.allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READ);
        }
    }
}

/// Adds `origin` to the `Vary` of an answer.
fn vary_by_origin(headers: &mut HeaderMap) {
    let vary = match headers.get(VARY).and_then(|vary| vary.to_str().ok()) {
        Some(others) => HeaderValue::try_from(format!("{others}, origin")),
        None => Ok(HeaderValue::from_static("origin")),
    };
    headers.insert(VARY, vary.unwrap_or(HeaderValue::from_static("*")));
}
