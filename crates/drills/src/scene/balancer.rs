//! HAProxy with the shipped file, in front of the instances of a drill.

use std::net::SocketAddr;

use onsale_testing::{Balancer, Port, shipped};

/// Starts it in front of these instances: at most three, the number in the file. Returns it with the port of its health page,
/// which is reserved for its next start.
///
/// # Panics
/// If the file does not have what is to be changed.
pub(crate) async fn in_front_of(instances: &[SocketAddr]) -> (Balancer, Port) {
    let (front, health) = (Balancer::port(), Balancer::port());
    let mut text = shipped("haproxy.cfg");
    let replaced = [
        ("bind :8080", format!("bind {}", front.address())),
        ("bind 127.0.0.1:8404", format!("bind {}", health.address())),
        // As many open files as a machine for tests allows.
        ("maxconn 20000", "maxconn 2000".to_owned()),
        // Names are resolved by Docker there; here each instance is named by its address.
        (" init-addr last,libc,none resolvers docker", String::new()),
    ];
    for (from, to) in replaced {
        assert!(text.contains(from), "haproxy.cfg has {from:?}");
        text = text.replace(from, &to);
    }
    for number in 1..=3 {
        let name = format!("onsale-{number}:8080");
        text = match instances.get(number - 1) {
            Some(address) => text.replace(&name, &address.to_string()),
            None => text.lines().filter(|line| !line.contains(&name)).map(|line| format!("{line}\n")).collect(),
        };
    }
    (Balancer::haproxy(front, &text).await, health)
}
