//! Content codings of requests: only `identity` is accepted.

use axum::body::HttpBody;
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, Request};

use crate::http::reply::problem::{Code, Problem};

/// Whether `Content-Encoding` names no coding but `identity`.
pub(crate) fn is_identity(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().all(|value| {
        let codings = value.to_str().map(|codings| codings.split(',').map(str::trim));
        codings
            .is_ok_and(|mut codings| codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity")))
    })
}

/// The refusal of a body in another coding.
pub(crate) fn refused() -> Problem {
    Problem::new(Code::UnsupportedMediaType).detail("the body must come without a Content-Encoding")
}

/// Checks a request whose route reads no body. Routes that read one check it themselves, after the caller.
///
/// # Errors
/// `unsupported-media-type` if there is a body in another coding.
pub(crate) fn check_unread<B: HttpBody>(request: &Request<B>) -> Result<(), Problem> {
    let is_unread = request.method().is_safe() && !request.body().is_end_stream();
    if is_unread && !is_identity(request.headers()) { Err(refused()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_identity_is_no_coding() {
        for (values, expected) in [
            (&[][..], true),
            (&["identity"], true),
            (&["Identity"], true),
            (&[""], true),
            (&["identity, identity"], true),
            (&["identity", "identity"], true),
            (&["gzip"], false),
            (&["GZIP"], false),
            (&["br"], false),
            (&["deflate"], false),
            (&["zstd"], false),
            (&["identity, gzip"], false),
            (&["identity", "gzip"], false),
            (&["identity;q=1"], false),
            (&["\u{e9}"], false),
            (&["none"], false),
        ] {
            let headers: HeaderMap = values
                .iter()
                .filter_map(|value| HeaderValue::from_bytes(value.as_bytes()).ok())
                .map(|value| (CONTENT_ENCODING, value))
                .collect();
            assert_eq!(is_identity(&headers), expected, "{values:?}");
        }
    }
}
