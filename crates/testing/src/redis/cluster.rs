//! A cluster of three servers, each with a third of the slots.

use std::time::Duration;

use super::{Keeps, Redis};
use crate::patience::PATIENCE;
use crate::port::Port;

/// The first and the last slot of each server.
const SLOTS: [(u16, u16); 3] = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)];

/// Three servers that know each other.
pub struct Cluster {
    servers: Vec<Redis>,
    _buses: Vec<Port>,
}

impl Cluster {
    /// Starts them, and returns when all slots are served.
    ///
    /// # Panics
    /// If they do not come together.
    pub async fn start() -> Self {
        let (mut servers, mut buses) = (Vec::new(), Vec::new());
        for _ in SLOTS {
            let bus = Port::free();
            let port = bus.address().port().to_string();
            let arguments = ["--cluster-enabled", "yes", "--cluster-port", &port, "--cluster-node-timeout", "2000"];
            servers.push(Redis::start_with(Keeps::Nothing, &arguments).await);
            buses.push(bus);
        }
        for (server, (first, last)) in servers.iter().zip(SLOTS) {
            server.run::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        }
        for (server, bus) in servers.iter().zip(&buses).skip(1) {
            let (port, bus) = (server.address().port().to_string(), bus.address().port().to_string());
            servers[0].run::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        let whole = |server: &Redis| server.run::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
        let together = async {
            while !servers.iter().all(whole) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, together).await.expect("the servers come together");
        Self { servers, _buses: buses }
    }

    /// The URL by which onsale reaches it.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.servers.iter().map(|server| server.address().to_string()).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }

    /// The servers of the cluster, each with its share of the slots.
    pub fn servers(&self) -> &[Redis] {
        &self.servers
    }
}
