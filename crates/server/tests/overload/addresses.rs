//! Which address is limited: the socket's peer, or what trusted proxies say in the one header that is named.

use onsale_testing::{ADMIN_KEY, Call, Sale};
use serde_json::json;

use crate::exhaust;
use crate::support::{at_once, start, until};

/// Header lines: names and values.
type Lines = &'static [(&'static str, &'static str)];

/// A server that trusts this machine as a proxy. One request a second, after a burst of two.
async fn behind_a_proxy(header: &str) -> Sale {
    let settings = [
        ("ONSALE_RATE_LIMIT_PER_SECOND", "1"),
        ("ONSALE_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8"),
        ("ONSALE_CLIENT_ADDRESS_HEADER", header),
    ];
    start(&settings).await
}

/// A call with these header lines.
fn from(sale: &Sale, lines: &[(&str, &str)]) -> Call {
    lines.iter().fold(sale.caller.get("/point/ada"), |call, (name, value)| call.header(name, value))
}

/// Two ways to say who calls are one client.
async fn are_one(sale: &Sale, one: &[(&str, &str)], same: &[(&str, &str)]) {
    // On a slow machine the allowance refills meanwhile, so both send requests until both are refused.
    let both = async || {
        exhaust(|| from(sale, one)).await;
        (from(sale, same).send().await.status == 429).then_some(())
    };
    until(&format!("{one:?} and {same:?} are one client"), both).await;
}

const XFF: &str = "x-forwarded-for";

#[tokio::test]
async fn a_proxy_that_is_trusted_is_believed() {
    let sale = behind_a_proxy("X-Forwarded-For").await;
    let table: [(Lines, Lines, &str); 5] = [
        (&[(XFF, "198.51.100.1")], &[(XFF, "192.0.2.9, 198.51.100.1, 10.0.0.7")], "198.51.100.2"),
        (&[(XFF, "198.51.100.3")], &[(XFF, "192.0.2.9"), (XFF, "198.51.100.3:4711")], "198.51.100.4"),
        (&[(XFF, "2001:db8::1")], &[(XFF, "[2001:db8::ffff]:80")], "2001:db8:0:1::1"),
        (&[(XFF, "198.51.100.5")], &[(XFF, "::ffff:198.51.100.5"), ("forwarded", "for=192.0.2.1")], "198.51.100.6"),
        // Nothing on the left of what cannot be read counts: the nearest proxy itself is the client then.
        (&[(XFF, "10.0.0.8")], &[(XFF, "198.51.100.7, unknown, 10.0.0.8")], "198.51.100.7"),
    ];
    for (often, same, another) in table {
        are_one(&sale, often, same).await;
        from(&sale, &[(XFF, another)]).expect(200).await;
        sale.caller.get("/point/ada").expect(200).await;
    }
}

#[tokio::test]
async fn only_the_header_that_is_named_counts() {
    let sale = behind_a_proxy("Forwarded").await;
    let named = [("forwarded", "for=198.51.100.3;proto=https")];
    are_one(&sale, &named, &[("forwarded", "for=192.0.2.1, For=\"198.51.100.3:4711\""), (XFF, "192.0.2.2")]).await;
    from(&sale, &[("forwarded", "for=198.51.100.4"), (XFF, "198.51.100.3")]).expect(200).await;

    let sale = behind_a_proxy("CF-Connecting-IP").await;
    let named = [("cf-connecting-ip", "198.51.100.3")];
    are_one(&sale, &named, &[named[0], (XFF, "192.0.2.2"), ("forwarded", "for=192.0.2.3")]).await;
    from(&sale, &[("cf-connecting-ip", "198.51.100.4"), (XFF, "198.51.100.3")]).expect(200).await;
}

#[tokio::test]
async fn a_client_with_a_header_is_never_local() {
    let sale = behind_a_proxy("X-Forwarded-For").await;
    for value in ["127.0.0.1", "::1", "127.9.9.9", "::ffff:127.0.0.1", "nonsense", "unknown", "127.0.0.1, unknown"] {
        exhaust(|| from(&sale, &[(XFF, value)])).await;
    }
    for _ in 0..20 {
        sale.caller.get("/point/ada").expect(200).await;
    }
}

#[tokio::test]
async fn no_other_peer_is_believed() {
    let sale = start(&[("ONSALE_RATE_LIMIT_PER_SECOND", "2"), ("ONSALE_RATE_LIMIT_LOOPBACK", "true")]).await;
    let number = std::cell::Cell::new(0);
    let passed = exhaust(|| {
        number.set(number.get() + 1);
        let claimed = format!("198.51.{}.{}", number.get() / 250, number.get() % 250);
        from(&sale, &[(XFF, &claimed), ("forwarded", &format!("for={claimed}")), ("x-real-ip", &claimed)])
    });
    let passed = passed.await;
    assert!(passed < 500, "{passed} passed under as many names");
}

#[tokio::test]
async fn guesses_of_the_admin_key_are_limited_by_address() {
    let sale = start(&[("ONSALE_RATE_LIMIT_PER_SECOND", "20"), ("ONSALE_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let path = format!("/admin/concerts/{}/queue", sale.concert(&json!({})).await);
    let call = |from: &str, key: &str| sale.caller.get(&path).header(XFF, from).bearer(key);
    let guesses = async || {
        let replies = at_once((0..100).map(|number| call("198.51.100.1", &format!("guess-{number}")))).await;
        assert!(replies.iter().all(|reply| [401, 429].contains(&reply.status.as_u16())));
        // The right key is no exception: else the answer would tell it.
        let reply = call("198.51.100.1", ADMIN_KEY).send().await;
        let is_limited = reply.status == 429
            && reply.refused(429, "too-many-requests")["detail"]
                .as_str()
                .unwrap()
                .contains("bearers that are not valid");
        is_limited.then_some(())
    };
    until("guesses are limited", guesses).await;
    call("198.51.100.2", ADMIN_KEY).expect(200).await;
    // This machine itself is not limited.
    for number in 0..100 {
        sale.caller.get(&path).bearer(&format!("guess-{number}")).refused(401, "admin-key-invalid").await;
    }
}
