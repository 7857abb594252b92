//! Latency of an event from its commit to the data platform.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use onsale_load_generator::{ClosedLoop, Histogram, OpenLoop, Outcome, closed_loop, open_loop};
use onsale_testing::auditor::millis_of;
use onsale_testing::now_millis;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::broker::{Broker, Killed, PATIENCE, READ_EVERY, wait_until_sent};
use crate::machine::Machine;
use crate::measure::OK;
use crate::postgres::points::many as many_charges;
use crate::results::{Figure, Line, Target};
use crate::row::Work;

const CONNECTIONS: usize = 64;

/// Changes per second while latencies are measured.
const CHANGES_PER_SECOND: f64 = 2_000.0;

/// The targets of the p50 and p99 latencies, in milliseconds.
const MILLIS_MAX: (f64, f64) = (50.0, 250.0);

/// A data platform that records the latencies of the events it receives.
#[derive(Clone, Default)]
struct Platform {
    /// Guards the histogram between the server's tasks and the measuring thread. It is held for one post at most.
    latencies: Arc<Mutex<Histogram>>,
}

impl Platform {
    /// Serves until the runtime ends.
    fn serve(&self, runtime: &Runtime) -> Outcome<SocketAddr> {
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/", post(receive)).with_state(self.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Histogram) -> T) -> T {
        act(&mut self.latencies.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until this many events were received.
    fn wait_until_received(&self, count: u64) -> Outcome<()> {
        let began = Instant::now();
        while self.with(|latencies| latencies.total()) < count {
            if began.elapsed() > PATIENCE {
                let received = self.with(|latencies| latencies.total());
                return Err(
                    format!("after {PATIENCE:?}, the data platform received {received} of {count} events").into()
                );
            }
            std::thread::sleep(READ_EVERY);
        }
        Ok(())
    }
}

async fn receive(State(platform): State<Platform>, body: String) -> StatusCode {
    let Ok(Value::Array(events)) = serde_json::from_str(&body) else { return StatusCode::BAD_REQUEST };
    let now = now_millis();
    platform.with(|latencies| {
        for event in events {
            let Some(at) = event["time"].as_str().and_then(millis_of) else { return StatusCode::BAD_REQUEST };
            latencies.add(Duration::from_millis(u64::try_from(now - at).unwrap_or(0)));
        }
        StatusCode::NO_CONTENT
    })
}

pub(super) fn to_the_platform(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let (broker, platform) = (Broker::start()?, Platform::default());
    let postgres = machine.postgres()?;
    let url = postgres.url(&postgres.database()?);
    let (brokers, platform_url) = (broker.kafka.brokers(), format!("http://{}/", platform.serve(&broker.runtime)?));
    let settings = [
        ("ONSALE_DATABASE_URL", url.as_str()),
        ("ONSALE_KAFKA_BROKERS", brokers.as_str()),
        ("ONSALE_DATA_PLATFORM_URL", platform_url.as_str()),
    ];
    let mut server = machine.server(&[], &settings)?;
    let supply = many_charges();
    let how = ClosedLoop { connections: 1, time: PATIENCE, count: 1, keep: None };
    closed_loop(server.program.address(), &supply, &how)?.tally.expect(OK)?;
    wait_until_sent(server.program.address(), 1.0)?;
    let consumer = server.program.command(&["consume"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let consumer = Killed(consumer);
    // The consumer group needs seconds to form. That time is not measured.
    platform.wait_until_received(1)?;
    Ok(Box::new(move |results| {
        platform.with(|latencies| *latencies = Histogram::default());
        let time = machine.scale.open * 2;
        let how = OpenLoop { connections: CONNECTIONS, per_second: CHANGES_PER_SECOND, time };
        let run = open_loop(server.program.address(), &supply, &how)?;
        run.tally.expect(OK)?;
        platform.wait_until_received(run.tally.times.total())?;
        drop(consumer);
        // The broker must live until the last event is received.
        drop(broker);
        let latencies = platform.with(|latencies| latencies.clone());
        let (p50, p99) = (latencies.millis(500), latencies.millis(990));
        let line = Line {
            result: Figure::PerSecond(run.rate()),
            p50_millis: Some(p50),
            p99_millis: Some(p99),
            ..Line::new("way of an event at 2,000 a second")
        };
        results.add(line.judged_if(target, p50 <= MILLIS_MAX.0 && p99 <= MILLIS_MAX.1));
        server.finish()
    }))
}
