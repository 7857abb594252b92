//! Reads the public URL, and the origins that may call this server from a browser.

use std::sync::Arc;

use reqwest::Url;

use super::{BadSetting, Sources};
use crate::auth::is_loopback;

/// The URL under which clients reach this server through a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicUrl {
    /// Without a trailing slash, such as `https://shop.example/tickets`.
    text: Arc<str>,
    origin: String,
    host: String,
}

impl PublicUrl {
    /// Reads an absolute `http://` or `https://` URL, with or without a path.
    ///
    /// # Errors
    /// What is wrong, to be read after the setting's name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("{why}; use a URL such as https://shop.example or https://shop.example/tickets");
        if text.contains(|character: char| character.is_whitespace() || character.is_control() || character == '\\') {
            return Err(bad("has a space, a control character or a backslash"));
        }
        let url = web_url(text).ok_or_else(|| bad("is not an absolute http or https URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("has a user name or a password"));
        }
        if text.contains(['?', '#']) {
            return Err(bad("has a query or a fragment"));
        }
        let path = url.path().trim_end_matches('/');
        if path.contains("//") {
            return Err(bad("has an empty part in its path"));
        }
        let origin = url.origin().ascii_serialization();
        let host = url.host_str().unwrap_or_default().to_owned();
        Ok(Self { text: format!("{origin}{path}").into(), origin, host })
    }

    /// The URL without a trailing slash. A path of this server is appended to it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// As [`Self::as_str`], without a copy.
    pub(crate) fn shared(&self) -> Arc<str> {
        self.text.clone()
    }

    /// The path without a trailing slash; `/` if there is none.
    pub(crate) fn path(&self) -> &str {
        let path = self.text.get(self.origin.len()..).unwrap_or_default();
        if path.is_empty() { "/" } else { path }
    }

    /// Whether clients reach this server without TLS. Then cookies cannot be `Secure`.
    pub(crate) fn is_plain(&self) -> bool {
        self.text.starts_with("http://")
    }

    /// Whether browsers keep cookies of this server that only TLS or this machine may see.
    pub(crate) fn keeps_cookies(&self) -> bool {
        !self.is_plain() || is_loopback(&self.host)
    }

    /// Scheme, host and port, as browsers write them in `Origin`.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The host in lower case; an IPv6 address in brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }
}

/// The origins whose pages may call this server from a browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum CorsOrigins {
    /// Only the server's own origin.
    #[default]
    Own,
    /// These in addition, as browsers write them in `Origin`.
    These(Vec<String>),
    /// Every origin (`*`). Only with `ONSALE_AUTH=jwt`.
    Any,
}

impl CorsOrigins {
    /// Reads origins separated by commas, or `*` alone.
    ///
    /// # Errors
    /// What is wrong, to be read after the setting's name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        match parts[..] {
            [] => Err("has no origin; write them as https://shop.example,https://www.shop.example".to_owned()),
            ["*"] => Ok(Self::Any),
            _ => parts.into_iter().map(origin).collect::<Result<_, _>>().map(Self::These),
        }
    }
}

/// Reads one origin. Returns it as browsers write it: in lower case, without the default port of its scheme.
fn origin(text: &str) -> Result<String, String> {
    let bad = || {
        format!(
            "has an element that is not an origin (http:// or https://, a host, optionally a port, no path): {text}"
        )
    };
    let (_, authority) = text.split_once("://").ok_or_else(bad)?;
    let is_plain =
        authority.bytes().all(|byte| byte.is_ascii_graphic()) && !authority.contains(['/', '\\', '?', '#', '@', '*']);
    let url = web_url(text).filter(|_| is_plain).ok_or_else(bad)?;
    Ok(url.origin().ascii_serialization())
}

/// Parses an absolute `http` or `https` URL. Refuses forms that the `url` crate would silently repair, such as `https:host`.
fn web_url(text: &str) -> Option<Url> {
    let (scheme, rest) = text.split_once("://")?;
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let has_host = !rest.starts_with(['/', '?', '#', ':']) && !rest.is_empty();
    let url = Url::parse(text).ok().filter(|_| is_web && has_host)?;
    (url.host().is_some() && url.port() != Some(0)).then_some(url)
}

/// Settings for clients in browsers.
#[derive(Clone, Debug, Default)]
pub(crate) struct WebSettings {
    /// The URL under which clients reach this server; `None`: the address that it listens on.
    pub(crate) public_url: Option<PublicUrl>,
    /// The origins that may call it.
    pub(crate) cors: CorsOrigins,
    /// Whether `Host` must be a loopback name or an address, and a write must not come from another site. True with
    /// `ONSALE_AUTH=open`: no bearer proves who the user is, so a foreign page could act through a visitor's browser.
    pub(crate) is_guarded: bool,
}

impl WebSettings {
    /// Reads `public-url` and `cors-origins`.
    ///
    /// # Errors
    /// `BadSetting` for the first setting that cannot be used.
    pub(super) fn read(sources: &Sources) -> Result<Self, BadSetting> {
        let public_url = sources.optional("public-url", PublicUrl::parse)?;
        let cors = sources.optional("cors-origins", CorsOrigins::parse)?.unwrap_or_default();
        let auth = sources.parse("auth", |mode| Ok(mode.to_owned()))?;
        if cors == CorsOrigins::Any && auth != "jwt" {
            let problem = "is *, so every site could act as any user: list the origins, or set ONSALE_AUTH=jwt";
            return Err(BadSetting { name: sources.name_of("cors-origins"), problem: problem.to_owned() });
        }
        Ok(Self { public_url, cors, is_guarded: auth == "open" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_an_absolute_http_url() {
        let table = [
            ("https://shop.example", "https://shop.example", "https://shop.example", "shop.example"),
            ("https://shop.example/", "https://shop.example", "https://shop.example", "shop.example"),
            ("https://shop.example/tickets/", "https://shop.example/tickets", "https://shop.example", "shop.example"),
            ("HTTP://Shop.Example:80/a/b", "http://shop.example/a/b", "http://shop.example", "shop.example"),
            ("http://127.0.0.1:8081/x", "http://127.0.0.1:8081/x", "http://127.0.0.1:8081", "127.0.0.1"),
            ("http://[::1]:8081", "http://[::1]:8081", "http://[::1]:8081", "[::1]"),
        ];
        for (text, url, origin, host) in table {
            let read = PublicUrl::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
            assert_eq!((read.as_str(), read.origin(), read.host()), (url, origin, host), "{text}");
            assert_eq!(format!("{origin}{}", read.path()).trim_end_matches('/'), url, "{text}");
        }
        for text in [
            "shop.example",
            "/tickets",
            "ftp://shop.example",
            "https://",
            "https:///tickets",
            "https:shop.example",
            "https://shop.example:99999",
            "https://shop.example:0",
            "https://user@shop.example",
            "https://user:pass@shop.example",
            "https://shop.example?x=1",
            "https://shop.example/#top",
            "https://shop.example//tickets",
            "https://shop .example",
            "https://shop.example\\tickets",
            "https://[::1",
            "javascript://shop.example",
        ] {
            assert!(PublicUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn origins_are_stored_as_browsers_write_them() {
        let these = |origins: &[&str]| CorsOrigins::These(origins.iter().map(|origin| (*origin).to_owned()).collect());
        let table = [
            ("https://shop.example", these(&["https://shop.example"])),
            (
                "https://Shop.Example:443, http://localhost:3000",
                these(&["https://shop.example", "http://localhost:3000"]),
            ),
            ("http://[::1]:3000,", these(&["http://[::1]:3000"])),
            ("*", CorsOrigins::Any),
        ];
        for (text, origins) in table {
            assert_eq!(CorsOrigins::parse(text), Ok(origins), "{text}");
        }
        for text in [
            ",",
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://shop.example/x",
            "https://*.shop.example",
            "https://shop.example,*",
            "https://a@shop.example",
            "https://shop.example?x",
            "null",
            "ftp://shop.example",
            "https://shop.example:x",
        ] {
            assert!(CorsOrigins::parse(text).is_err(), "{text}");
        }
    }
}
