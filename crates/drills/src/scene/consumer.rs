//! `onsale consume` next to the instances.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use onsale_testing::{Launch, Port};
use tokio::process::Child;

use super::READY_MAX;

/// A consumer that shows its metrics at an address that is known before it starts. Killed when dropped.
pub(crate) struct Consume {
    port: Port,
    process: Option<Child>,
}

impl Consume {
    /// A consumer that does not run yet.
    pub(crate) fn later() -> Self {
        Self { port: Port::free(), process: None }
    }

    /// The address of its metrics.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Starts it with the settings of an instance. Returns when it shows its metrics.
    ///
    /// # Panics
    /// If it does not start.
    pub(crate) async fn start(&mut self, launch: &Launch) {
        let mut command = launch.command(&["consume"]);
        command.env("ONSALE_METRICS_LISTEN", self.address().to_string());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the consumer starts");
        self.process = Some(child);
        let listening = async {
            while tokio::net::TcpStream::connect(self.address()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(READY_MAX, listening).await.expect("the consumer shows its metrics in time");
    }
}
