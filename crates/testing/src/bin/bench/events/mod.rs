//! Events: how fast they leave the outbox, how long they are on their way, and what that costs the sale. On one Postgres
//! and one Kafka, in one run.

mod outbox;
mod sale;
mod way;

use std::net::SocketAddr;
use std::process::Child;
use std::time::{Duration, Instant};

use onsale_testing::kafka::Kafka;
use onsale_testing::traffic::Outcome;
use tokio::runtime::Runtime;

use crate::metrics::Metrics;
use crate::rows::{Row, row};

const CONNECTIONS: usize = 64;

/// How long the relay may take to catch up.
const PATIENCE: Duration = Duration::from_secs(60);

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row("events-relay", "a full outbox to Kafka, with nothing and with ten million events behind it", outbox::relay),
    row("events-way", "2,000 changes a second: from the decision to the data platform", way::way),
    row("events-sale", "charges with the relay off and on, and at half of that also in the idle class", sale::sale),
];

/// What is told beneath the table.
pub(crate) const NOTES: &str = "\
All parts share the machine's cores: program, Postgres, Kafka, consumer, data platform, load generator. The way of an event
begins at its own instant (the decision, before the commit) and ends when the data platform is posted it.";

/// A Kafka, and what makes it run.
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

/// Events that a relay has sent, as it says at an address.
fn sent(relay: SocketAddr) -> Outcome<f64> {
    Metrics::of(relay)?.number("relay_events_sent_total")
}

/// Waits until a relay has sent so many; it may not listen yet.
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

/// Killed when it is dropped.
struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
