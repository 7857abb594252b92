//! Headers of each answer, whichever part of the server made it. Their defaults are set here and nowhere else.

use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

/// The default: no cache stores the answer.
pub(super) const NO_STORE: &str = "no-store";

/// A browser does not guess another media type.
pub(super) const NOSNIFF: &str = "nosniff";

/// Sets the headers. An answer that sets its own `Cache-Control` keeps it: lists, seats, dates and pages.
pub(super) fn set(headers: &mut HeaderMap) {
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static(NO_STORE));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static(NOSNIFF));
}

/// As [`set`], for the small server of `onsale relay`.
pub(crate) async fn set_default_headers(mut response: Response) -> Response {
    set(response.headers_mut());
    response
}
