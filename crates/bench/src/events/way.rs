//! Latency of an event from its commit to the data platform.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use onsale_load_generator::{Closed, Histogram, Open, Outcome, closed, open};
use onsale_testing::auditor::millis_of;
use onsale_testing::now_millis;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{Beside, Broker, CONNECTIONS, PATIENCE, until_sent};
use crate::measure::Bench;
use crate::postgres::many_charges;
use crate::table::{Line, Verdict, grouped};

/// Changes per second while latencies are measured.
const CHANGES_A_SECOND: f64 = 2_000.0;

/// Latencies of the events that the data platform received.
type Ways = Arc<Mutex<Histogram>>;

async fn take(State(ways): State<Ways>, body: String) -> StatusCode {
    let Ok(Value::Array(events)) = serde_json::from_str(&body) else { return StatusCode::BAD_REQUEST };
    let now = now_millis();
    let mut ways = ways.lock().unwrap_or_else(PoisonError::into_inner);
    for event in events {
        let Some(at) = event["time"].as_str().and_then(millis_of) else { return StatusCode::BAD_REQUEST };
        ways.add(Duration::from_millis(u64::try_from(now - at).unwrap_or(0)));
    }
    StatusCode::NO_CONTENT
}

fn platform(runtime: &Runtime, ways: &Ways) -> Outcome<SocketAddr> {
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/", post(take)).with_state(ways.clone());
    runtime.spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

pub(super) fn way(bench: &mut Bench) -> Outcome<()> {
    let (broker, ways) = (Broker::start()?, Ways::default());
    let cluster = bench.cluster()?;
    let url = cluster.url(&cluster.database()?);
    let (brokers, platform) = (broker.kafka.brokers(), format!("http://{}/", platform(&broker.runtime, &ways)?));
    let settings = [
        ("ONSALE_DATABASE_URL", url.as_str()),
        ("ONSALE_KAFKA_BROKERS", brokers.as_str()),
        ("ONSALE_DATA_PLATFORM_URL", platform.as_str()),
    ];
    let mut server = bench.server_with(&[], &settings)?;
    let supply = many_charges();
    let took = || ways.lock().unwrap_or_else(PoisonError::into_inner).total();
    let how = Closed { connections: 1, time: PATIENCE, count: 1, keep: None };
    closed(server.program.address(), &supply, &how)?.tally.expect(&[(200, "")])?;
    until_sent(server.program.address(), 1.0)?;
    let consumer = server.program.command(&["consume"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let consumer = Beside(consumer);
    // The consumer group needs seconds to form; that time is not measured.
    until_taken(&took, 1)?;
    ways.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&Histogram::default());
    let how = Open { connections: CONNECTIONS, per_second: CHANGES_A_SECOND, time: bench.scale.open * 2 };
    let run = open(server.program.address(), &supply, &how)?;
    run.tally.expect(&[(200, "")])?;
    until_taken(&took, run.tally.times.total())?;
    drop(consumer);
    let ways = ways.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let millis = |permille| ways.permille(permille).as_secs_f64() * 1_000.0;
    let (p50, p99) = (millis(500), millis(990));
    let line = Line::new("way of an event at 2,000 a second", Verdict::of(p50 <= 50.0 && p99 <= 250.0));
    bench.table.add(Line {
        rate: grouped(run.rate()),
        target: "p50 ≤ 50, p99 ≤ 250 ms".to_owned(),
        p50: format!("{p50:.1}"),
        p99: format!("{p99:.1}"),
        ..line
    });
    server.finish()
}

fn until_taken(took: &impl Fn() -> u64, many: u64) -> Outcome<()> {
    let began = Instant::now();
    while took() < many {
        if began.elapsed() > PATIENCE {
            return Err(format!("the data platform was posted {} of {many} events", took()).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
