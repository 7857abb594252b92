//! A Kafka, and how far a relay has sent its events.

use std::net::SocketAddr;
use std::process::Child;
use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;
use onsale_testing::kafka::Kafka;
use tokio::runtime::Runtime;

use crate::machine::Metrics;

/// Maximum time for the relay to send what waits.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Interval at which progress is read.
pub(super) const READ_EVERY: Duration = Duration::from_millis(20);

/// A Kafka and its Tokio runtime.
pub(super) struct Broker {
    pub(super) runtime: Runtime,
    pub(super) kafka: Kafka,
}

impl Broker {
    /// Starts a Kafka broker, and returns when it listens.
    pub(super) fn start() -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let kafka = runtime.block_on(Kafka::start());
        Ok(Self { runtime, kafka })
    }
}

/// Number of events that a relay has sent, from its metrics address.
pub(super) fn sent(relay: SocketAddr) -> Outcome<f64> {
    Metrics::of(relay)?.number("relay_events_sent_total")
}

/// Waits until a relay has sent this many events. The relay may not listen yet.
///
/// # Errors
/// If that takes longer than 60 s.
pub(super) fn wait_until_sent(relay: SocketAddr, count: f64) -> Outcome<()> {
    let began = Instant::now();
    loop {
        let sent = sent(relay);
        if sent.as_ref().is_ok_and(|sent| *sent >= count) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("after {PATIENCE:?}, {sent:?} of {count} events are sent").into());
        }
        std::thread::sleep(READ_EVERY);
    }
}

/// A process that is killed when this is dropped.
pub(super) struct Killed(pub(super) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
