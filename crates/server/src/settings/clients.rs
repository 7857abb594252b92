//! Clients behind proxies, and the rates at which clients may call.

use std::net::IpAddr;

use axum::http::HeaderName;
use ipnet::{IpNet, Ipv4Net};

use super::{BadSetting, Sources, parse};

/// The default rate of one user, in requests per second. The default of an address is higher, because many visitors may
/// share it.
const USER_RATE_MAX: u32 = 200;

/// The header in which trusted proxies name the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AddressHeader {
    /// `X-Forwarded-For`: a list of addresses. Each proxy appends the address of its own peer.
    XForwardedFor(HeaderName),
    /// `Forwarded` (RFC 7239): a list of elements with `for=`.
    Forwarded(HeaderName),
    /// Any other header, such as `X-Real-IP`: one address.
    Single(HeaderName),
}

impl AddressHeader {
    /// Reads a header's name, in upper or lower case.
    ///
    /// # Errors
    /// What is wrong, to be read after the setting's name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let name: HeaderName = text.trim().parse().map_err(|_| format!("is not the name of a header: {text}"))?;
        Ok(match name.as_str() {
            "x-forwarded-for" => Self::XForwardedFor(name),
            "forwarded" => Self::Forwarded(name),
            _ => Self::Single(name),
        })
    }

    /// The name of the header.
    pub(crate) fn name(&self) -> &HeaderName {
        match self {
            Self::XForwardedFor(name) | Self::Forwarded(name) | Self::Single(name) => name,
        }
    }
}

/// The rate of one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimit {
    /// Requests per span, after a burst of twice as many. More get 429. 0: no limit.
    pub(crate) requests: u32,
    /// Length of a span: 1 or 60 s.
    pub(crate) span_seconds: u32,
    /// Whether the limit holds for loopback addresses too.
    pub(crate) loopback: bool,
}

/// The rates of clients, by kind of request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Requests without a valid bearer, by address.
    pub(crate) by_address: RateLimit,
    /// Entries into waiting rooms without a valid bearer, by address.
    pub(crate) entries_by_address: RateLimit,
    /// Requests with an invalid bearer, by address.
    pub(crate) bad_bearers: RateLimit,
    /// Requests with a valid bearer, by user.
    pub(crate) by_user: RateLimit,
    /// Entries into waiting rooms with a valid bearer, by user.
    pub(crate) entries_by_user: RateLimit,
}

impl Limits {
    pub(super) fn read(sources: &Sources) -> Result<Self, BadSetting> {
        let number = parse::between(0, 1_000_000);
        let loopback = sources.parse("rate-limit-loopback", parse::switch)?;
        let by_address = sources.parse("rate-limit-per-second", &number)?;
        let by_user = sources.optional("rate-limit-per-user-per-second", &number)?;
        let a_second = |requests| RateLimit { requests, span_seconds: 1, loopback };
        let a_minute = |requests, loopback| RateLimit { requests, span_seconds: 60, loopback };
        Ok(Self {
            by_address: a_second(by_address),
            entries_by_address: a_minute(sources.parse("entries-per-minute", &number)?, loopback),
            bad_bearers: a_second(by_address.min(USER_RATE_MAX)),
            by_user: a_second(by_user.unwrap_or(by_address.min(USER_RATE_MAX))),
            entries_by_user: a_minute(sources.parse("entries-per-user-per-minute", &number)?, true),
        })
    }
}

/// Reads addresses and networks, separated by commas.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let network = |part: &str| {
        let address = || part.parse::<IpAddr>().map(IpNet::from);
        let network = part.parse().or_else(|_| address());
        network.map(canonical).map_err(|_| format!("has an element that is not an address or a network: {part}"))
    };
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(network).collect()
}

/// Turns an IPv4 network in IPv6 notation (`::ffff:10.0.0.0/104`) into an IPv4 network, as clients' addresses are compared in
/// that form.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(written) = network else { return network };
    let mapped = written.addr().to_ipv4_mapped().zip(written.prefix_len().checked_sub(96));
    mapped.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(network, IpNet::V4)
}
