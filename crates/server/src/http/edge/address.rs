//! Client addresses, as limits count them.

use std::net::{IpAddr, Ipv6Addr};

/// One household or office: an IPv6 client has a whole /64 network to call from.
pub(crate) fn network_of(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}
