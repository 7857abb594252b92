//! The host that a request names (RFC 9112, section 3.2): exactly one, and a sound one.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::header::HOST;
use axum::http::{Method, Request, Version};

use crate::http::reply::problem::{Code, Problem};

/// The longest name that DNS knows, in bytes.
const NAME_MAX: usize = 255;

/// A host with or without a port, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    pub(super) host: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host`, `host:port` or `[address]:port`. A port may be empty, as in a URL.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let end = if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
        let (host, rest) = text.split_at(end);
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            None => return None,
            Some("") => None,
            Some(digits) => Some(digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??),
        };
        let is_sound = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => is_name(host),
        };
        is_sound.then_some(Self { host, port })
    }

    /// Whether the host is an address, or a name that always means this machine (RFC 6761, section 6.3). No foreign DNS
    /// server can resolve such a name to another machine.
    pub(super) fn is_local_or_address(&self) -> bool {
        let name = self.host.strip_suffix('.').unwrap_or(self.host);
        let ends_in_localhost = || {
            let last = name.rsplit('.').next().unwrap_or_default();
            last.eq_ignore_ascii_case("localhost")
        };
        name.starts_with('[') || name.parse::<Ipv4Addr>().is_ok() || ends_in_localhost()
    }

    /// Whether both name the same place, for a scheme with this default port.
    pub(super) fn is_same(&self, other: &Authority<'_>, default_port: u16) -> bool {
        let port = |authority: &Authority<'_>| authority.port.unwrap_or(default_port);
        self.host.eq_ignore_ascii_case(other.host) && port(self) == port(other)
    }
}

fn is_name(host: &str) -> bool {
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    (1..=NAME_MAX).contains(&host.len()) && host.bytes().all(is_sound)
}

/// The host of a request: of its target if that is a whole URL, else of `Host`. None in a request of HTTP/1.0 without.
///
/// # Errors
/// `malformed-request` if `Host` is absent in HTTP/1.1, is there twice, or is no host; if the target is neither a path nor a
/// URL.
pub(super) fn host_of<B>(request: &Request<B>) -> Result<Option<Authority<'_>>, Problem> {
    let malformed = |detail: &'static str| Problem::new(Code::MalformedRequest).detail(detail);
    let mut values = request.headers().get_all(HOST).iter();
    let host = match (values.next(), values.next()) {
        (Some(_), Some(_)) => return Err(malformed("Host is there twice")),
        (Some(host), None) => {
            let host = host.to_str().ok().and_then(Authority::parse);
            Some(host.ok_or_else(|| malformed("Host is no host name or address"))?)
        }
        (None, _) if request.version() >= Version::HTTP_11 => return Err(malformed("Host is missing")),
        (None, _) => None,
    };
    match request.uri().authority() {
        // RFC 9112, section 3.2.3: only CONNECT names a host and no path.
        Some(_) if request.uri().scheme().is_none() && request.method() != Method::CONNECT => {
            Err(malformed("the target is no path"))
        }
        Some(target) => {
            let target = Authority::parse(target.as_str());
            target.map(Some).ok_or_else(|| malformed("the target names no host name or address"))
        }
        None => Ok(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_strictly() {
        for (text, host, port) in [
            ("onsale", "onsale", None),
            ("Shop.Example:8080", "Shop.Example", Some(8080)),
            ("onsale_1:8080", "onsale_1", Some(8080)),
            ("localhost.:80", "localhost.", Some(80)),
            ("127.0.0.1:", "127.0.0.1", None),
            ("[::1]", "[::1]", None),
            ("[2001:db8::1]:65535", "[2001:db8::1]", Some(65_535)),
        ] {
            assert_eq!(Authority::parse(text), Some(Authority { host, port }), "{text}");
        }
        for text in [
            "",
            ":80",
            "a b",
            "a,b",
            "a/b",
            "http://a",
            "u@a",
            "a:b",
            "a:65536",
            "a:-1",
            "a:+1",
            "a:1:2",
            "::1",
            "[::1",
            "[::1]x",
            "[a]",
            "[]",
            "[fe80::1%25eth0]",
            "a\\b",
            "%61",
            "é",
        ] {
            assert_eq!(Authority::parse(text), None, "{text}");
        }
        assert_eq!(Authority::parse(&"a".repeat(256)), None);
    }

    #[test]
    fn names_of_this_machine_and_addresses_are_known() {
        let is_local = |text| Authority::parse(text).is_some_and(|authority| authority.is_local_or_address());
        for text in [
            "localhost",
            "LOCALHOST:80",
            "localhost.",
            "a.localhost",
            "a.b.Localhost.:1",
            "127.0.0.1",
            "127.0.0.1.",
            "192.168.1.4:80",
            "8.8.8.8",
            "[::1]:80",
            "[2001:db8::1]",
        ] {
            assert!(is_local(text), "{text}");
        }
        for text in [
            "evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.1.evil.example",
            "2130706433",
            "0x7f.1",
            "127.1",
            "onsale",
            "localhost..",
            "localhost-",
        ] {
            assert!(!is_local(text), "{text}");
        }
    }
}
