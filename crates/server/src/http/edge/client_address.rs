//! The address of the client: the peer of the socket, or the one that trusted proxies name in one header.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use super::address::network_of;
use crate::settings::AddressHeader;

/// Elements of the header that are read at most. A chain of proxies is short; what is beyond is not believed.
const HOPS_MAX: usize = 32;

/// The address of a client, and how it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress {
    pub(crate) address: IpAddr,
    /// A trusted proxy relayed the request and sent the header, readable or not. Such a client is never local, even if
    /// the header names a loopback address.
    pub(crate) is_relayed: bool,
}

impl ClientAddress {
    /// Whether the request comes from this machine itself.
    pub(crate) fn is_local(self) -> bool {
        !self.is_relayed && self.address.is_loopback()
    }

    /// What limits are counted by.
    pub(crate) fn network(self) -> IpAddr {
        network_of(self.address)
    }
}

/// Finds the address of the client behind trusted proxies.
#[derive(Clone, Debug)]
pub(crate) struct ClientAddresses {
    proxies: Vec<IpNet>,
    header: AddressHeader,
}

impl ClientAddresses {
    pub(crate) fn new(proxies: Vec<IpNet>, header: AddressHeader) -> Self {
        Self { proxies, header }
    }

    /// The client behind the trusted proxies. The header is read from its right end, which the nearest proxy wrote, for
    /// as long as it names trusted proxies. An element that cannot be read ends the walk at the last trusted proxy:
    /// what is on its left may be the client's own invention.
    pub(crate) fn find(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let peer = peer.to_canonical();
        if !self.trusts(&peer) {
            return ClientAddress { address: peer, is_relayed: false };
        }
        let is_relayed = headers.contains_key(self.header.name());
        let lines = headers.get_all(self.header.name()).iter().rev().map(HeaderValue::as_bytes);
        let address = match &self.header {
            AddressHeader::XForwardedFor(_) => self.walk(peer, lines.flat_map(Elements::by_commas), address_of),
            AddressHeader::Forwarded(_) => self.walk(peer, lines.flat_map(Elements::outside_quotes), for_of),
            AddressHeader::Single(name) => single(headers, name).unwrap_or(peer),
        };
        ClientAddress { address, is_relayed }
    }

    fn trusts(&self, address: &IpAddr) -> bool {
        self.proxies.iter().any(|proxy| proxy.contains(address))
    }

    fn walk<'a>(
        &self,
        peer: IpAddr,
        elements: impl Iterator<Item = Element<'a>>,
        read: fn(&'a [u8]) -> Option<IpAddr>,
    ) -> IpAddr {
        let mut nearest = peer;
        for element in elements.take(HOPS_MAX) {
            // RFC 9110, section 5.6.1: empty elements of a list do not count.
            let Element::Text(element) = element else { break };
            if element.is_empty() {
                continue;
            }
            let Some(address) = read(element) else { break };
            nearest = address;
            if !self.trusts(&address) {
                break;
            }
        }
        nearest
    }
}

/// The address of a header that holds just one, on just one line.
fn single(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let mut lines = headers.get_all(name).iter();
    let address = address_of(lines.next()?.as_bytes().trim_ascii())?;
    lines.next().is_none().then_some(address)
}

/// An element of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element<'a> {
    Text(&'a [u8]),
    /// A quote that has no partner on its left.
    Unreadable,
}

/// The elements of one line, the last one first. Each byte is read once.
struct Elements<'a> {
    rest: Option<&'a [u8]>,
    /// Whether commas within quotes belong to an element.
    quotes: bool,
}

impl<'a> Elements<'a> {
    fn by_commas(line: &'a [u8]) -> Self {
        Self { rest: Some(line), quotes: false }
    }

    fn outside_quotes(line: &'a [u8]) -> Self {
        Self { rest: Some(line), quotes: true }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let line = self.rest.take()?;
        let mut end = line.len();
        while end > 0 {
            end -= 1;
            if line[end] == b',' {
                self.rest = Some(&line[..end]);
                return Some(Element::Text(line[end + 1..].trim_ascii()));
            }
            if line[end] == b'"' && self.quotes {
                let Some(opening) = opening_quote(&line[..end]) else { return Some(Element::Unreadable) };
                end = opening;
            }
        }
        Some(Element::Text(line.trim_ascii()))
    }
}

/// The position of the opening quote of the text that ends here: the next quote on the left without a backslash.
fn opening_quote(text: &[u8]) -> Option<usize> {
    let mut end = text.len();
    while let Some(quote) = text[..end].iter().rposition(|byte| *byte == b'"') {
        let backslashes = text[..quote].iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes % 2 == 0 {
            return Some(quote);
        }
        // The backslashes are on the left of the quote and cannot be quotes: they are read twice at most.
        end = quote - backslashes;
    }
    None
}

/// The node that an element of `Forwarded` (RFC 7239) names in `for`: exactly one, that is an address.
fn for_of(element: &[u8]) -> Option<IpAddr> {
    let mut node = None;
    let mut rest = std::str::from_utf8(element).ok()?;
    loop {
        let (name, value) = rest.split_once('=')?;
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => value.split_at(value.find(';').unwrap_or(value.len())),
        };
        if name.trim_ascii().eq_ignore_ascii_case("for") && node.replace(value.trim_ascii()).is_some() {
            return None;
        }
        match after.trim_ascii_start().strip_prefix(';') {
            // A semicolon at the end announces nothing.
            Some(more) if more.trim_ascii().is_empty() => break,
            Some(more) => rest = more,
            None if after.trim_ascii().is_empty() => break,
            None => return None,
        }
    }
    address_of(node?.as_bytes())
}

/// The text up to the closing quote, and what follows it. Escapes stay as they are: no address has one.
fn unquote(quoted: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (index, byte) in quoted.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((&quoted[..index], &quoted[index + 1..])),
            _ => {}
        }
    }
    None
}

/// An address, with or without a port, an IPv6 address with or without brackets. `unknown` and obfuscated identifiers
/// (`_name`) are none. A port may be obfuscated.
fn address_of(node: &[u8]) -> Option<IpAddr> {
    let node = std::str::from_utf8(node).ok()?;
    let found: IpAddr = if let Some(bracketed) = node.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let is_alone = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        IpAddr::V6(address.parse().ok().filter(|_| is_alone)?)
    } else if let Ok(address) = node.parse() {
        address
    } else if let Ok(socket) = node.parse::<SocketAddr>() {
        socket.ip()
    } else {
        let (address, port) = node.split_once(':')?;
        IpAddr::V4(address.parse().ok().filter(|_| is_port(port))?)
    };
    Some(found.to_canonical())
}

fn is_port(text: &str) -> bool {
    let obfuscated = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    match text.strip_prefix('_') {
        Some(name) => obfuscated(name),
        None => (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(proxies: &str, header: &str) -> ClientAddresses {
        let proxies = proxies.split(',').filter(|part| !part.is_empty()).map(|part| part.parse().unwrap()).collect();
        ClientAddresses::new(proxies, AddressHeader::parse(header).unwrap())
    }

    fn of(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    const XFF: &str = "x-forwarded-for";
    const PEER: &str = "203.0.113.9";
    const PROXIES: &str = "203.0.113.9/32,10.0.0.0/8";

    /// Who the client is if the peer is a trusted proxy that sends these lines.
    fn client(header: &str, lines: &[&str]) -> String {
        let name: &'static str = if header == "x-real-ip" { "x-real-ip" } else { header_name(header) };
        let lines: Vec<(&'static str, &[u8])> = lines.iter().map(|line| (name, line.as_bytes())).collect();
        addresses(PROXIES, header).find(PEER.parse().unwrap(), &of(&lines)).address.to_string()
    }

    fn header_name(header: &str) -> &'static str {
        if header == "forwarded" { "forwarded" } else { XFF }
    }

    #[test]
    fn x_forwarded_for_is_read_from_the_right() {
        let table: &[(&[&str], &str)] = &[
            (&["198.51.100.1"], "198.51.100.1"),
            (&["192.0.2.1, 198.51.100.1"], "198.51.100.1"),
            (&["198.51.100.1, 10.0.0.1"], "198.51.100.1"),
            (&["198.51.100.1,10.0.0.1,10.0.0.2"], "198.51.100.1"),
            (&["10.0.0.2, 10.0.0.1"], "10.0.0.2"),
            (&["192.0.2.1", "198.51.100.1"], "198.51.100.1"),
            (&["198.51.100.1", "10.0.0.1"], "198.51.100.1"),
            (&["198.51.100.1, nonsense"], PEER),
            (&["198.51.100.1, nonsense, 10.0.0.1"], "10.0.0.1"),
            (&["198.51.100.1, unknown"], PEER),
            (&["198.51.100.1, \u{e9}", "10.0.0.3"], "10.0.0.3"),
            (&["198.51.100.1, \"10.0.0.1\""], PEER),
            (&["198.51.100.1:8080"], "198.51.100.1"),
            (&["[2001:db8::1]:8080"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:198.51.100.1"], "198.51.100.1"),
            (&["198.51.100.1, ::ffff:10.0.0.1"], "198.51.100.1"),
            (&["198.51.100.1, , 10.0.0.1,"], "198.51.100.1"),
            (&["198.51.100.1", ""], "198.51.100.1"),
            (&[""], PEER),
            (&[], PEER),
            (&["127.0.0.1"], "127.0.0.1"),
            (&["198.51.100.01"], PEER),
            (&["198.51.100.1:x"], PEER),
            (&["[198.51.100.1]"], PEER),
        ];
        for (lines, expected) in table {
            assert_eq!(client(XFF, lines), *expected, "{lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_from_the_right() {
        let table: &[(&[&str], &str)] = &[
            (&["for=198.51.100.1;proto=https;by=203.0.113.9"], "198.51.100.1"),
            (&["proto=https; For=198.51.100.1 ;"], "198.51.100.1"),
            (&["for=\"[2001:db8::1]:4711\""], "2001:db8::1"),
            (&["for=\"198.51.100.1:_hidden\""], "198.51.100.1"),
            (&["for=192.0.2.1, for=198.51.100.1", "for=10.0.0.1"], "198.51.100.1"),
            (&["for=198.51.100.1, for=unknown"], PEER),
            (&["for=198.51.100.1, for=_hidden, for=10.0.0.1"], "10.0.0.1"),
            (&["for=198.51.100.1, proto=https"], PEER),
            (&["for=198.51.100.1, for=10.0.0.1;for=10.0.0.2"], PEER),
            (&["for=198.51.100.1, 10.0.0.1"], PEER),
            // Quotes that a client left open, and a host with a comma that a proxy quoted.
            (&["for=\"x, for=198.51.100.1"], "198.51.100.1"),
            (&["for=198.51.100.1;host=\"a, for=192.0.2.1\""], "198.51.100.1"),
            (&["for=198.51.100.1;host=\"a\\\", for=192.0.2.1\""], "198.51.100.1"),
            (&["for=192.0.2.1, for=10.0.0.1\""], PEER),
            (&["for=\"198.51.100.1"], PEER),
        ];
        for (lines, expected) in table {
            assert_eq!(client("forwarded", lines), *expected, "{lines:?}");
        }
    }

    #[test]
    fn a_single_address_is_alone() {
        assert_eq!(client("x-real-ip", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("x-real-ip", &["[2001:db8::1]"]), "2001:db8::1");
        for lines in [&["192.0.2.1, 198.51.100.1"][..], &["192.0.2.1", "198.51.100.1"], &["unknown"], &[]] {
            assert_eq!(client("x-real-ip", lines), PEER, "{lines:?}");
        }
    }

    #[test]
    fn only_the_named_header_of_a_trusted_proxy_counts() {
        let both = of(&[(XFF, b"198.51.100.1"), ("forwarded", b"for=198.51.100.2")]);
        for (header, expected) in [(XFF, "198.51.100.1"), ("Forwarded", "198.51.100.2"), ("X-Real-IP", PEER)] {
            let found = addresses(PROXIES, header).find(PEER.parse().unwrap(), &both);
            assert_eq!(found.address.to_string(), expected, "{header}");
        }
        let stranger = addresses("", XFF).find(PEER.parse().unwrap(), &both);
        assert_eq!((stranger.address.to_string().as_str(), stranger.is_relayed), (PEER, false));
        let mapped = addresses(PROXIES, XFF).find("::ffff:203.0.113.9".parse().unwrap(), &both);
        assert_eq!(mapped.address.to_string(), "198.51.100.1");
    }

    #[test]
    fn a_relayed_client_is_never_local() {
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        let find = |lines: &[(&'static str, &[u8])]| addresses("127.0.0.0/8,::1/128", XFF).find(local, &of(lines));
        for value in [&b"127.0.0.1"[..], b"::1", b"nonsense", b"unknown", b"\xff", b""] {
            assert!(!find(&[(XFF, value)]).is_local(), "{value:?}");
        }
        assert!(find(&[]).is_local());
        assert!(find(&[("forwarded", b"for=198.51.100.1")]).is_local());
    }

    #[test]
    fn long_headers_cost_little_and_are_not_believed() {
        let value = [b"198.51.100.1,".repeat(3), b"10.0.0.1,".repeat(3_000)].concat();
        let find = |name, value: &[u8]| {
            addresses(PROXIES, name).find(PEER.parse().unwrap(), &of(&[(header_name(name), value)]))
        };
        assert_eq!(find(XFF, &value).address.to_string(), "10.0.0.1");
        for odd in [&b"\""[..], b"\\\"", b",", b"\",\"", b"for=\"", b";", b"=", b"for=1.1.1.1;"] {
            let began = std::time::Instant::now();
            for name in [XFF, "forwarded"] {
                for _ in 0..10 {
                    find(name, &odd.repeat(30_000 / odd.len()));
                }
            }
            assert!(began.elapsed() < std::time::Duration::from_secs(2), "{odd:?}: {:?}", began.elapsed());
        }
    }
}
