//! Clients that hammer: a bounded table of addresses or users, each with what they may still ask for.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::http::{HeaderMap, HeaderName, header::FORWARDED};
use ipnet::IpNet;
use onsale_domain::ids::UserId;

use super::edge::address::network_of;
use crate::settings::RateLimit;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Addresses remembered at once: groups of neighbours, each with a lock of its own. 64 Ki addresses in 1.5 MiB.
const GROUPS: usize = 4_096;
const GROUP: usize = 16;

/// An address and the instant, in microseconds, up to which its requests are paid for (GCRA).
#[derive(Clone, Copy, Default)]
struct Entry {
    address: u64,
    paid_until: u64,
}

/// Limits requests by client address, or by user.
pub(crate) struct Limiter {
    limit: RateLimit,
    proxies: Vec<IpNet>,
    began: Instant,
    hasher: RandomState,
    groups: Box<[Mutex<[Entry; GROUP]>]>,
}

impl Limiter {
    pub(crate) fn new(limit: RateLimit, proxies: Vec<IpNet>) -> Self {
        let groups = if limit.requests == 0 { 0 } else { GROUPS };
        let groups = (0..groups).map(|_| Mutex::new([Entry::default(); GROUP])).collect();
        Self { limit, proxies, began: Instant::now(), hasher: RandomState::new(), groups }
    }

    /// Whether a request may pass; else after how many seconds the next may.
    pub(crate) fn check(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(), u32> {
        if self.limit.requests == 0 {
            return Ok(());
        }
        let client = self.client(peer, headers);
        if client.is_loopback() && !self.limit.loopback {
            return Ok(());
        }
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.take(self.hasher.hash_one(network_of(client)), now)
    }

    /// Whether a user who is known by their bearer may ask once more; else after how many seconds.
    pub(crate) fn check_user(&self, user: &UserId) -> Result<(), u32> {
        if self.limit.requests == 0 {
            return Ok(());
        }
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.take(self.hasher.hash_one(user), now)
    }

    /// Pays for one request, where the address has not used up its span's worth and the burst.
    fn take(&self, address: u64, now: u64) -> Result<(), u32> {
        let span = 1_000_000 * u64::from(self.limit.span_seconds);
        let (cost, burst) = (span / u64::from(self.limit.requests), 2 * span);
        let group = usize::try_from(address % GROUPS as u64).unwrap_or(0);
        let mut group = self.groups[group].lock().unwrap_or_else(PoisonError::into_inner);
        // A newcomer takes the place of whoever has been quiet longest.
        let found = group.iter().position(|entry| entry.address == address);
        let quietest = || (0..GROUP).min_by_key(|index| group[*index].paid_until).unwrap_or(0);
        let index = found.unwrap_or_else(quietest);
        let paid_until = if found.is_some() { group[index].paid_until.max(now) } else { now };
        if paid_until + cost > now + burst {
            let wait = (paid_until + cost - now - burst).div_ceil(1_000_000);
            return Err(u32::try_from(wait).unwrap_or(u32::MAX));
        }
        group[index] = Entry { address, paid_until: paid_until + cost };
        Ok(())
    }

    /// The client behind the proxies that are trusted: the last address that is none of them.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        let trusted = |address: &IpAddr| self.proxies.iter().any(|proxy| proxy.contains(address));
        if !trusted(&peer) {
            return peer;
        }
        let hops = forwarded(headers);
        hops.iter().rev().find(|address| !trusted(address)).or(hops.first()).copied().unwrap_or(peer)
    }
}

/// The addresses that `Forwarded` (RFC 7239) or `X-Forwarded-For` name, nearest last. What cannot be read ends the
/// list: nothing before it can be believed.
fn forwarded(headers: &HeaderMap) -> Vec<IpAddr> {
    let name = if headers.contains_key(FORWARDED) { FORWARDED } else { X_FORWARDED_FOR };
    let standard = name == FORWARDED;
    let lines: Vec<&str> = headers.get_all(&name).iter().filter_map(|line| line.to_str().ok()).collect();
    let mut hops = Vec::new();
    for element in lines.join(",").rsplit(',') {
        let node = if standard { for_of(element) } else { Some(element.trim()) };
        let Some(address) = node.and_then(address_of) else { break };
        hops.insert(0, address);
    }
    hops
}

fn for_of(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then(|| value.trim_matches('"'))
    })
}

/// An address with or without a port, an IPv6 one with or without brackets.
fn address_of(node: &str) -> Option<IpAddr> {
    let bare = || node.parse().ok();
    let with_port = || node.parse().ok().map(|socket: std::net::SocketAddr| socket.ip());
    let bracketed = || node.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    bare().or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(per_second: u32, proxies: &str) -> Limiter {
        let proxies = proxies.split(',').filter(|part| !part.is_empty()).map(|part| part.parse().unwrap()).collect();
        Limiter::new(RateLimit { requests: per_second, span_seconds: 1, loopback: false }, proxies)
    }

    #[test]
    fn an_address_may_burst_then_keeps_its_rate() {
        let limiter = limiter(10, "");
        for _ in 0..20 {
            assert_eq!(limiter.take(7, 1_000_000), Ok(()));
        }
        assert_eq!(limiter.take(7, 1_000_000), Err(1));
        assert_eq!(limiter.take(8, 1_000_000), Ok(()), "another address has its own");
        assert_eq!(limiter.take(7, 1_100_000), Ok(()), "a tenth of a second pays for one");
        assert_eq!(limiter.take(7, 1_100_000), Err(1));
    }

    #[test]
    fn a_full_table_forgets_whoever_was_quiet_longest() {
        let limiter = limiter(1, "");
        let neighbours = |index: u64| index * GROUPS as u64;
        assert_eq!((limiter.take(0, 0), limiter.take(0, 0), limiter.take(0, 0)), (Ok(()), Ok(()), Err(1)));
        for index in 1..=GROUP as u64 {
            assert_eq!(limiter.take(neighbours(index), 10), Ok(()));
        }
        assert_eq!(limiter.take(0, 20), Err(1), "one that hammers is not the quietest");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let table = [
            ("", "203.0.113.9", "x-forwarded-for", "198.51.100.1", "203.0.113.9"),
            ("203.0.113.0/24", "203.0.113.9", "x-forwarded-for", "198.51.100.1", "198.51.100.1"),
            ("203.0.113.9/32", "203.0.113.9", "x-forwarded-for", "10.0.0.1, 198.51.100.1", "198.51.100.1"),
            ("203.0.113.9/32,10.0.0.0/8", "203.0.113.9", "x-forwarded-for", "198.51.100.1, 10.0.0.1", "198.51.100.1"),
            ("203.0.113.9/32", "203.0.113.9", "x-forwarded-for", "198.51.100.1, nonsense", "203.0.113.9"),
            ("203.0.113.9/32", "203.0.113.9", "forwarded", "for=198.51.100.1;proto=https", "198.51.100.1"),
            ("203.0.113.9/32", "203.0.113.9", "forwarded", "For=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("203.0.113.9/32", "::ffff:203.0.113.9", "x-forwarded-for", "198.51.100.1:80", "198.51.100.1"),
        ];
        for (proxies, peer, name, value, client) in table {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
            let found = limiter(1, proxies).client(peer.parse().unwrap(), &headers);
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{name}: {value} from {peer}");
        }
    }
}
