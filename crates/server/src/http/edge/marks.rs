//! What every answer says, whichever part of the server made it: the one place where these headers have their default.

use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

/// No cache keeps an answer that says nothing else.
pub(super) const NO_STORE: &str = "no-store";

/// A browser believes the media type.
pub(super) const NOSNIFF: &str = "nosniff";

/// Marks an answer. Lists that are the same for all clients, seats and dates, and pages have set `Cache-Control` before.
pub(super) fn mark(headers: &mut HeaderMap) {
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static(NO_STORE));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static(NOSNIFF));
}

/// The same for the answers of a small server beside the sale's.
pub(crate) async fn mark_answer(mut response: Response) -> Response {
    mark(response.headers_mut());
    response
}
