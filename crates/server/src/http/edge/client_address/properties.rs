//! Whatever a client writes into a forwarded header, the address is one that a trusted proxy wrote, or the peer.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::ClientAddresses;
use crate::settings::AddressHeader;

const HEADERS: [&str; 3] = ["x-forwarded-for", "forwarded", "x-real-ip"];

const PROXY: &str = "10.0.0.1";

fn addresses(header: &str) -> ClientAddresses {
    let header = AddressHeader::parse(header).unwrap_or_else(|wrong| unreachable!("{header} {wrong}"));
    ClientAddresses::new(["10.0.0.0/8".parse().unwrap_or_else(|error| unreachable!("{error}"))].into(), header)
}

fn find(header: &'static str, peer: &str, lines: &[Vec<u8>]) -> IpAddr {
    let mut headers = HeaderMap::new();
    for line in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append(HeaderName::from_static(header), line);
    }
    addresses(header).find(address(peer), &headers).address
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

/// What a client may send: nearly sound, or any bytes.
fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        "[0-9a-f.:,;=\"\\\\ \\[\\]for-]{0,120}".prop_map(String::into_bytes),
        "((for|by|proto|host)=\"?[0-9]{1,3}(\\.[0-9]{1,3}){3}\"?[;,] ?){0,6}".prop_map(String::into_bytes),
        "(([0-9]{1,3}(\\.[0-9]{1,3}){3}|unknown|[0-9a-f]{0,4}::[0-9a-f]{1,4})(:[0-9]{1,6})?, ?){0,60}"
            .prop_map(String::into_bytes),
    ]
}

/// An address that is no proxy's.
fn stranger() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>().prop_filter("a stranger", |address| !addresses("forwarded").trusts(&address.to_canonical()))
}

proptest! {
    #![proptest_config(crate::properties::cases(400))]

    #[test]
    fn the_client_of_an_untrusted_peer_is_the_peer(header in prop::sample::select(&HEADERS[..]), peer in stranger(), lines in prop::collection::vec(line(), 0..4)) {
        prop_assert_eq!(find(header, &peer.to_string(), &lines), peer.to_canonical());
    }

    #[test]
    fn any_header_is_read_or_not_believed(header in prop::sample::select(&HEADERS[..]), lines in prop::collection::vec(line(), 0..4)) {
        let found = find(header, PROXY, &lines);
        let written: Vec<u8> = lines.concat();
        let is_written = written.contains(&b'.') || written.contains(&b':');
        prop_assert!(found == address(PROXY) || is_written, "{found}");
        prop_assert_eq!(found, found.to_canonical());
    }

    /// The proxy adds the client's address at the right end, in whatever form: what stood there before does not count.
    #[test]
    fn what_a_client_writes_changes_nothing(client in stranger(), lines in prop::collection::vec(line(), 0..4), port in any::<u16>(), form in 0..3_u8) {
        let client = client.to_canonical();
        let plain = match form {
            0 => client.to_string(),
            1 => SocketAddr::new(client, port).to_string(),
            _ => client.to_string(),
        };
        let own_line = |added: &str| [lines.clone(), vec![added.as_bytes().to_vec()]].concat();
        prop_assert_eq!(find("x-forwarded-for", PROXY, &own_line(&plain)), client);
        let node = if client.is_ipv6() && form != 1 { format!("[{client}]") } else { plain };
        let added = format!("proto=https;for=\"{node}\";by=_proxy");
        prop_assert_eq!(find("forwarded", PROXY, &own_line(&added)), client);

        // Proxies that add to the client's own line.
        let mut same_line = lines.last().cloned().unwrap_or_default();
        same_line.retain(|byte| *byte != b'"' && (*byte >= b' ' || *byte == b'\t') && *byte != 0x7f);
        let joined = |added: &str| vec![[&same_line[..], b", ", added.as_bytes(), b", 10.9.8.7"].concat()];
        prop_assert_eq!(find("x-forwarded-for", PROXY, &joined(&client.to_string())), client);
        let joined = vec![[&same_line[..], b", ", added.as_bytes(), b", for=10.9.8.7"].concat()];
        prop_assert_eq!(find("forwarded", PROXY, &joined), client);
    }
}
