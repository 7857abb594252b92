//! Events: how fast they leave the outbox, their latency, and their cost to the sale. On one Postgres
//! and one Kafka, in one run.

mod outbox;
mod sale;
mod way;

use std::net::SocketAddr;
use std::process::Child;
use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;
use onsale_testing::kafka::Kafka;
use tokio::runtime::Runtime;

use crate::metrics::Metrics;
use crate::rows::{Row, row};

const CONNECTIONS: usize = 64;

/// Maximum time for the relay to catch up.
const PATIENCE: Duration = Duration::from_secs(60);

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row("events-relay", "a full outbox to Kafka, with nothing and with ten million events behind it", outbox::relay),
    row("events-way", "2,000 changes a second: from the decision to the data platform", way::way),
    row("events-sale", "charges with the relay off and on, and at half of that also in the idle class", sale::sale),
];

/// The notes below the table.
pub(crate) const NOTES: &str = "\
All parts share the machine's cores: program, Postgres, Kafka, consumer, data platform, load generator. The way of an event
begins at its own instant (the decision, before the commit) and ends when the data platform is posted it.";

/// A Kafka and its Tokio runtime.
struct Broker {
    runtime: Runtime,
    kafka: Kafka,
}

impl Broker {
    fn start() -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let kafka = runtime.block_on(Kafka::start());
        Ok(Self { runtime, kafka })
    }
}

/// Number of events sent, read from a relay's metrics address.
fn sent(relay: SocketAddr) -> Outcome<f64> {
    Metrics::of(relay)?.number("relay_events_sent_total")
}

/// Waits until a relay has sent this many events. The relay may not listen yet.
fn until_sent(relay: SocketAddr, many: f64) -> Outcome<()> {
    let began = Instant::now();
    loop {
        let sent = sent(relay);
        if sent.as_ref().is_ok_and(|sent| *sent >= many) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("{sent:?} of {many} events were sent").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that is killed when this is dropped.
struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
