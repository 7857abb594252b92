//! Answers that many callers are given: with a validator, so that who has one is told just that, and compressed for those
//! who take that, once for all of them.

use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use onsale_app::written::Written;

/// Who may keep an answer, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It was given to the bearer of a token: by nobody else, and not used again without asking.
    Privately,
    /// Everybody is given the same: a shared cache may give it to others for a second.
    Publicly,
    /// A page: any cache may keep it, and asks whether it is still right before each use.
    Checked,
    /// The address names the content: any cache may keep it for a year.
    Forever,
}

impl Kept {
    fn told(self) -> &'static str {
        match self {
            Self::Privately => "private, no-cache",
            Self::Publicly => "public, max-age=0, s-maxage=1",
            Self::Checked => "no-cache",
            Self::Forever => "public, max-age=31536000, immutable",
        }
    }
}

/// The answer, in the form that this request takes; 304 where the caller has it already.
pub(crate) fn respond(request: &HeaderMap, written: &Written, kept: Kept, link: Option<&HeaderValue>) -> Response {
    let packed = if takes_gzip(request) { written.packed() } else { None };
    let plain_tag = format!("\"{:016x}\"", written.digest());
    let packed_tag = format!("\"{:016x}-gzip\"", written.digest());
    let known = |known: &str| known == "*" || known == plain_tag || known == packed_tag;
    let mut asked = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    // Whoever is in between may have weakened a tag.
    let has_it = asked.any(|tags| tags.split(',').any(|tag| known(tag.trim().trim_start_matches("W/"))));
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
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(kept.told()));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(link) = link {
        headers.insert(LINK, link.clone());
    }
    if has_it {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response
}

/// Whether `Accept-Encoding` names gzip, or anything, and not with a weight of nothing.
fn takes_gzip(request: &HeaderMap) -> bool {
    let mut any = false;
    for value in request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()) {
        for coding in value.split(',') {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.trim().parse::<f32>().ok());
            let is_taken = weight.is_some_and(|weight| weight > 0.0);
            match name.trim() {
                name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => return is_taken,
                "*" => any = is_taken,
                _ => {}
            }
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(pairs: &[(axum::http::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn gzip_is_given_to_whoever_takes_it() {
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
    fn who_has_an_answer_is_told_just_that() {
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
