//! Classifies the platform's answer to a post.

use std::time::{Duration, SystemTime};

use onsale_app::relay::Posted;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};

/// Maximum length of the text of an answer that is kept as a reason, in characters. The rest is dropped.
const REASON_MAX: usize = 200;

/// Maximum length of an answer's body that is read, in bytes. A body comes from outside and may be endless.
const BODY_MAX: usize = 4 * 1024;

/// Time limit for reading the body. Beyond it the reason is what has arrived.
const BODY_WITHIN: Duration = Duration::from_secs(2);

/// The meaning of a status for a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The platform has the events.
    Delivered,
    /// The post is too large. A post with fewer events may be accepted.
    TooLarge,
    /// The platform refuses at least one of the events. The same post fails again.
    Refused,
    /// The platform is unavailable or misconfigured. The same post may be accepted later.
    Later,
}

/// Classifies a status. The named client errors are about the platform or the way it is called, not about an event.
fn verdict(status: StatusCode) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Delivered,
        413 => Verdict::TooLarge,
        401 | 403 | 404 | 405 | 407 | 408 | 410 | 415 | 421 | 429 | 451 => Verdict::Later,
        400..=499 => Verdict::Refused,
        _ => Verdict::Later,
    }
}

/// Classifies an answer. Reads the body only for a reason, and at most 4 KiB of it.
pub(super) async fn judge(answer: Response) -> Posted {
    let (status, verdict) = (answer.status(), verdict(answer.status()));
    if verdict == Verdict::Delivered {
        return Posted::Delivered(Vec::new());
    }
    let rest = rest_of(status, answer.headers());
    let target = answer.headers().get(LOCATION).and_then(|value| redirect_of(answer.url(), value.to_str().ok()?));
    let text = if status.is_redirection() { String::new() } else { beginning(answer).await };
    let mut reason = status.to_string();
    if let Some(target) = target.filter(|_| status.is_redirection()) {
        reason.push_str(&format!(", a redirect to {target}; set ONSALE_DATA_PLATFORM_URL to the final URL"));
    }
    if !text.is_empty() {
        reason.push_str(&format!(": {text}"));
    }
    match verdict {
        Verdict::TooLarge => Posted::TooLarge(reason),
        Verdict::Refused => Posted::Refused(reason),
        Verdict::Delivered | Verdict::Later => Posted::Later(reason, rest),
    }
}

/// How long a busy platform wants no posts, from `Retry-After`: seconds or an HTTP date.
fn rest_of(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(until.duration_since(SystemTime::now()).unwrap_or_default())
}

/// The target of a redirect without the parts that may be secret: user, password, query and fragment.
fn redirect_of(from: &Url, location: &str) -> Option<String> {
    let mut target = from.join(location).ok()?;
    target.set_query(None);
    target.set_fragment(None);
    let _ = target.set_username("");
    let _ = target.set_password(None);
    Some(visible(target.as_str()))
}

/// The beginning of a body, as one line of visible text.
async fn beginning(mut answer: Response) -> String {
    let mut bytes = Vec::new();
    let reading = async {
        while bytes.len() < BODY_MAX
            && let Ok(Some(chunk)) = answer.chunk().await
        {
            bytes.extend_from_slice(&chunk[..chunk.len().min(BODY_MAX - bytes.len())]);
        }
    };
    // A slow or broken body ends here: the status alone decides.
    let _ = tokio::time::timeout(BODY_WITHIN, reading).await;
    visible(&String::from_utf8_lossy(&bytes))
}

/// Replaces control characters and runs of white space by single spaces, and cuts to the length of a reason.
fn visible(text: &str) -> String {
    let spaced: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    words.join(" ").chars().take(REASON_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_classified() {
        for code in 100..=999 {
            let wanted = match code {
                200..=299 => Verdict::Delivered,
                413 => Verdict::TooLarge,
                // Client errors that are about an event.
                400 | 402 | 406 | 409 | 411 | 412 | 414 | 416..=420 | 422..=428 | 430..=450 | 452..=499 => {
                    Verdict::Refused
                }
                _ => Verdict::Later,
            };
            assert_eq!(verdict(StatusCode::from_u16(code).unwrap()), wanted, "{code}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_date_from_429_and_503_only() {
        let rest = |status: u16, text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            rest_of(StatusCode::from_u16(status).unwrap(), &headers)
        };
        assert_eq!(rest(429, "7"), Some(Duration::from_secs(7)));
        assert_eq!(rest(503, "0"), Some(Duration::ZERO));
        assert_eq!(rest(503, "Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO), "it is over");
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
        let read = rest(503, &soon).unwrap();
        assert!(read > Duration::from_secs(80) && read <= Duration::from_secs(90), "{read:?}");
        for text in ["-1", "1.5", "soon", "99999999999999999999999", "٣"] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, reqwest::header::HeaderValue::from_bytes(text.as_bytes()).unwrap());
            assert_eq!(rest_of(StatusCode::SERVICE_UNAVAILABLE, &headers), None, "{text}");
        }
        assert_eq!((rest(500, "7"), rest(302, "7"), rest(401, "7")), (None, None, None));
    }

    #[test]
    fn a_redirect_is_reported_without_secrets() {
        let from = Url::parse("https://shop.example/events").unwrap();
        for (location, target) in [
            ("/login?returnTo=%2Fevents", "https://shop.example/login"),
            ("https://me:pw@id.example/a#x", "https://id.example/a"),
            ("//other.example/x y", "https://other.example/x%20y"),
            ("", "https://shop.example/events"),
        ] {
            assert_eq!(redirect_of(&from, location).as_deref(), Some(target), "{location:?}");
        }
        assert_eq!(redirect_of(&from, "https://"), None);
    }

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        assert_eq!(visible("a\r\n\tb\u{1b}[31mc\0"), "a b [31mc");
        assert_eq!(visible(&"x".repeat(10_000)).len(), REASON_MAX);
        assert_eq!(visible(" \n "), "");
    }
}
