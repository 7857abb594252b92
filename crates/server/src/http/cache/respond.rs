//! Answers that many clients share. Each has a validator: a client that sends it back gets 304. The gzip form is made
//! once and sent to clients that accept it.

use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use super::Written;
use crate::http::input::weights::weighted;

/// Which caches may store an answer, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The answer belongs to the holder of a token: only the client's own cache stores it, and revalidates each use.
    Privately,
    /// The same for all clients: any cache may reuse it for 1 s.
    Publicly,
    /// A page: any cache may store it, and revalidates each use.
    Checked,
    /// The URL contains the version of the content: any cache may reuse it for a year.
    Forever,
}

impl Kept {
    fn cache_control(self) -> &'static str {
        match self {
            Self::Privately => "private, no-cache",
            Self::Publicly => "public, max-age=1",
            Self::Checked => "no-cache",
            Self::Forever => "public, max-age=31536000, immutable",
        }
    }
}

/// The answer in the form that this request accepts, or 304 if the request names its validator.
pub(crate) fn respond(request: &HeaderMap, written: &Written, kept: Kept, link: Option<&HeaderValue>) -> Response {
    let packed = if takes_gzip(request) { written.packed() } else { None };
    let plain_tag = format!("\"{:016x}\"", written.digest());
    let packed_tag = format!("\"{:016x}-gzip\"", written.digest());
    let known = |known: &str| known == "*" || known == plain_tag || known == packed_tag;
    let mut asked = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let has_it = asked.any(|tags| tags.split(',').any(|tag| known(strong(tag.trim()))));
    let body = if has_it { None } else { Some(packed.unwrap_or(written.text()).clone()) };
    let mut response = Response::new(body.clone().unwrap_or_default().into());
    let headers = response.headers_mut();
    if body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if packed.is_some() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
    let tag = if packed.is_some() { packed_tag } else { plain_tag };
    headers.insert(ETAG, HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\"")));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(kept.cache_control()));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(link) = link {
        headers.insert(LINK, link.clone());
    }
    if has_it {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response
}

/// A validator for comparison: a proxy on the way may have weakened it (RFC 9110, section 13.1.2).
fn strong(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// Whether `Accept-Encoding` names gzip, or anything, and prefers it to no coding.
fn takes_gzip(request: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for coding in weighted(request, ACCEPT_ENCODING) {
        let which = match coding.name {
            _ if coding.is("gzip") || coding.is("x-gzip") => &mut gzip,
            _ if coding.is("identity") => &mut identity,
            "*" => &mut any,
            _ => continue,
        };
        which.get_or_insert(coding.weight);
    }
    gzip.or(any).is_some_and(|gzip| gzip > 0.0 && identity.is_none_or(|identity| gzip >= identity))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(pairs: &[(axum::http::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn gzip_is_sent_to_clients_that_accept_it() {
        let table = [
            ("gzip", true),
            ("br, gzip;q=0.5", true),
            ("GZIP", true),
            ("x-gzip", true),
            ("*", true),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("*;q=0, gzip", true),
            ("gzip; q=0.0", false),
            ("gzip;q=much", false),
            ("gzip;q=2", false),
            ("gzip;Q=0", false),
            ("gzip;x=1;q=0", false),
            ("gzip;q=0.5, identity;q=0.6", false),
            ("identity;q=0.5, gzip;q=0.5", true),
            ("identity;q=0.5, *;q=0.8", true),
            ("identity", false),
            ("gzipped", false),
            ("", false),
        ];
        for (asked, taken) in table {
            assert_eq!(takes_gzip(&asking(&[(ACCEPT_ENCODING, asked)])), taken, "{asked:?}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_client_that_names_the_validator_gets_304() {
        let written = Written::new(|| "[]".repeat(1_000).into());
        let tag = format!("{:016x}", written.digest());
        let status = |asked: String| {
            let asked = [(IF_NONE_MATCH, HeaderValue::try_from(asked).unwrap_or(HeaderValue::from_static("")))];
            respond(&asked.into_iter().collect(), &written, Kept::Publicly, None).status()
        };
        for known in [format!("\"{tag}\""), format!("W/\"{tag}\""), format!("\"{tag}-gzip\""), "*".to_owned()] {
            assert_eq!(status(known.clone()), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(status(format!("\"other\", {known}")), StatusCode::NOT_MODIFIED, "{known}");
        }
        for unknown in [tag.clone(), format!("\"{tag}x\""), "\"\"".to_owned(), String::new()] {
            assert_eq!(status(unknown.clone()), StatusCode::OK, "{unknown}");
        }
        let packed = respond(&asking(&[(ACCEPT_ENCODING, "gzip")]), &written, Kept::Privately, None);
        assert_eq!(packed.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(packed.headers()[ETAG], format!("\"{tag}-gzip\""));
        assert_eq!(packed.headers()[CACHE_CONTROL], "private, no-cache");
    }

    #[test]
    fn a_short_answer_is_not_compressed() {
        let written = Written::new(|| "[]".into());
        let answer = respond(&asking(&[(ACCEPT_ENCODING, "gzip")]), &written, Kept::Publicly, None);
        assert!(!answer.headers().contains_key(CONTENT_ENCODING));
        assert_eq!(answer.headers()[VARY], "accept-encoding");
    }
}
