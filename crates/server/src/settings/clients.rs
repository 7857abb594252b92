//! Clients: how their addresses are found behind proxies, and how often they may call.

use std::net::IpAddr;

use axum::http::HeaderName;
use ipnet::{IpNet, Ipv4Net};

use super::{BadSetting, Sources, parse};

/// The most requests a second of one user, unless a setting says otherwise. An address has more, as many people may be
/// behind it.
const USER_RATE_MAX: u32 = 200;

/// The header in which trusted proxies name the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AddressHeader {
    /// A list of addresses, to which each proxy adds the one that it was called from.
    XForwardedFor(HeaderName),
    /// The same by RFC 7239.
    Forwarded(HeaderName),
    /// Any other header: a single address.
    Single(HeaderName),
}

impl AddressHeader {
    /// Reads a header's name; its case does not matter.
    ///
    /// # Errors
    /// What is wrong, to be read after the setting's name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let name: HeaderName = text.trim().parse().map_err(|_| format!("is no name of a header: {text}"))?;
        Ok(match name.as_str() {
            "x-forwarded-for" => Self::XForwardedFor(name),
            "forwarded" => Self::Forwarded(name),
            _ => Self::Single(name),
        })
    }

    pub(crate) fn name(&self) -> &HeaderName {
        match self {
            Self::XForwardedFor(name) | Self::Forwarded(name) | Self::Single(name) => name,
        }
    }
}

/// How often one client may call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimit {
    /// Requests in a span, after a burst of twice as many; 0 for no limit.
    pub(crate) requests: u32,
    /// How long a span is.
    pub(crate) span_seconds: u32,
    /// Whether loopback addresses are limited too.
    pub(crate) loopback: bool,
}

/// How often clients may call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Requests of an address without a valid bearer.
    pub(crate) by_address: RateLimit,
    /// Entries to waiting rooms by an address without a valid bearer.
    pub(crate) entries_by_address: RateLimit,
    /// Bearers of an address that are not valid.
    pub(crate) bad_bearers: RateLimit,
    /// Requests of a user with a valid bearer.
    pub(crate) by_user: RateLimit,
    /// Entries to waiting rooms by a user with a valid bearer.
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

/// Addresses and networks with commas between them.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let network = |part: &str| {
        let address = || part.parse::<IpAddr>().map(IpNet::from);
        let network = part.parse().or_else(|_| address());
        network.map(canonical).map_err(|_| format!("holds what is no address or network: {part}"))
    };
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(network).collect()
}

/// An IPv4 network that is written as IPv6 (`::ffff:10.0.0.0/104`) is an IPv4 network: clients' addresses are, too.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(written) = network else { return network };
    let mapped = written.addr().to_ipv4_mapped().zip(written.prefix_len().checked_sub(96));
    mapped.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(network, IpNet::V4)
}
