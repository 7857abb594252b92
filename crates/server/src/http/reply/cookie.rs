//! Cookies that this server sets. None of them is readable by scripts, and none goes to another site's subrequests.

use axum::http::{HeaderMap, HeaderValue};

use crate::settings::WebSettings;

/// Whether a browser sends a cookie with a request that a page of another site caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SameSite {
    /// It sends the cookie with no such request.
    Strict,
    /// It sends the cookie if the visitor goes to a page of this server, as on the way back from a provider.
    Lax,
}

/// A cookie for every path of this server, as browsers see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookie<'a> {
    pub(crate) name: &'a str,
    /// Visible ASCII without a semicolon.
    pub(crate) value: &'a str,
    /// How long the browser keeps it, in seconds; 0 deletes it.
    pub(crate) seconds: u32,
    pub(crate) same_site: SameSite,
    /// Whether it goes over TLS only. Not for pages over http from this machine, which has no certificate.
    pub(crate) is_secure: bool,
}

impl Cookie<'_> {
    /// The value of `Set-Cookie`.
    pub(crate) fn to_header(self, web: &WebSettings) -> HeaderValue {
        let Self { name, value, seconds, same_site, is_secure } = self;
        let path = web.public_url.as_ref().map_or("/", |url| url.path());
        let secure = if is_secure { "; Secure" } else { "" };
        let cookie =
            format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite={same_site:?}{secure}");
        // Values are base64url, and the path of a URL is visible ASCII.
        HeaderValue::try_from(cookie).unwrap_or(HeaderValue::from_static(""))
    }
}

/// The value of a cookie of a request.
pub(crate) fn cookie_of<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let lines = headers.get_all(axum::http::header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use axum::http::header::COOKIE;

    use super::*;
    use crate::settings::PublicUrl;

    #[test]
    fn a_cookie_is_found_among_others() {
        for (lines, found) in [
            (&["onsale_session=abc"][..], Some("abc")),
            (&["a=b; onsale_session=abc;c=d"], Some("abc")),
            (&["a=b", "onsale_session=abc"], Some("abc")),
            (&["onsale_session="], Some("")),
            (&["onsale_session"], None),
            (&["xonsale_session=abc; Onsale_session=abc"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_static(line));
            }
            assert_eq!(cookie_of(&headers, "onsale_session"), found, "{lines:?}");
        }
    }

    #[test]
    fn a_cookie_has_the_path_of_the_server() {
        let cookie = Cookie { name: "a", value: "b", seconds: 7, same_site: SameSite::Lax, is_secure: true };
        let mut web = WebSettings::default();
        assert_eq!(cookie.to_header(&web), "a=b; Path=/; Max-Age=7; HttpOnly; SameSite=Lax; Secure");
        web.public_url = PublicUrl::parse("https://shop.example/tickets/").ok();
        let plain = Cookie { is_secure: false, same_site: SameSite::Strict, ..cookie };
        assert_eq!(plain.to_header(&web), "a=b; Path=/tickets; Max-Age=7; HttpOnly; SameSite=Strict");
    }
}
