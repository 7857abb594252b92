//! Events: how fast they leave the outbox, how long they are on their way, and what that costs the sale. On one Postgres
//! and one Kafka, in one run.

use std::io::{Write, stderr};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use onsale_testing::auditor::millis_of;
use onsale_testing::kafka::Kafka;
use onsale_testing::now_millis;
use onsale_testing::traffic::{Closed, Histogram, Open, Outcome, Run, closed, open};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::measure::{Bench, Server, median};
use crate::metrics::Metrics;
use crate::postgres::{Cluster, many_charges};
use crate::rows::{Row, row};
use crate::table::{Line, Verdict, grouped};

const CONNECTIONS: usize = 64;

/// Events that wait before the relay begins.
const WAITING: usize = 200_000;

/// Events that were sent before, and how many of them are written at once.
const BEHIND: usize = 10_000_000;
const FILLED_AT_ONCE: usize = 1_000_000;

/// Changes a second while the way of their events is timed.
const CHANGES_A_SECOND: f64 = 2_000.0;

/// Looks in each round at the times at half load.
const LOOKS_AT_HALF: usize = 4;

/// How long the relay may take to catch up.
const PATIENCE: Duration = Duration::from_secs(60);

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row("events-relay", "a full outbox to Kafka, with nothing and with ten million events behind it", relay),
    row("events-way", "2,000 changes a second: from the decision to the data platform", way),
    row("events-sale", "charges with the relay off and on: at saturation, and at half of that", sale),
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

fn sent(server: &Server) -> Outcome<f64> {
    Metrics::of(server.program.address())?.number("relay_events_sent_total")
}

/// Waits until the relay has sent so many.
fn until_sent(server: &Server, many: f64) -> Outcome<()> {
    let began = Instant::now();
    while sent(server)? < many {
        if began.elapsed() > PATIENCE {
            return Err(format!("{} of {many} events were sent", sent(server)?).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A full outbox, with nothing behind it and with very many events that were sent.
fn relay(bench: &mut Bench) -> Outcome<()> {
    let is_quick = bench.scale.rounds == 1;
    let (waiting, behind) = if is_quick { (WAITING / 4, BEHIND / 10) } else { (WAITING, BEHIND) };
    let broker = Broker::start()?;
    let cluster = bench.cluster()?;
    let long = cluster.database()?;
    fill(&cluster, &long, behind)?;
    let (mut short_of, mut long_of) = (<[Vec<f64>; 2]>::default(), <[Vec<f64>; 2]>::default());
    for _ in 0..bench.scale.rounds {
        let short = cluster.database()?;
        for (database, rates, past) in [(&short, &mut short_of, Past::None), (&long, &mut long_of, Past::MadeUp)] {
            let [written, sent] = through(bench, &broker, (&cluster.url(database), past), waiting)?;
            rates[0].push(written);
            rates[1].push(sent);
        }
    }
    let ([short_written, short_sent], [long_written, long_sent]) = (short_of.map(median), long_of.map(median));
    let line =
        Line::new(format!("outbox of {} to Kafka", grouped(waiting as f64)), Verdict::of(short_sent >= 20_000.0));
    bench.table.add(Line { rate: grouped(short_sent), target: "≥ 20,000".to_owned(), ..line });
    let work = format!("the same, {} sent before", grouped(behind as f64));
    for (work, long, short) in [
        (work.as_str(), long_sent, short_sent),
        ("charges that filled it, beside the first", long_written, short_written),
    ] {
        let ratio = long / short;
        bench.table.add(Line {
            rate: grouped(long),
            empty: grouped(short),
            share: format!("{ratio:.3}"),
            target: "≥ 0.8".to_owned(),
            ..Line::new(work, Verdict::of(ratio >= 0.8))
        });
    }
    Ok(())
}

/// What lies behind a full outbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    None,
    /// Events of wallets that never were: the audit would say so.
    MadeUp,
}

/// Events of the past: all of them were sent.
fn fill(cluster: &Cluster, database: &str, many: usize) -> Outcome<()> {
    for first in (1..=many).step_by(FILLED_AT_ONCE) {
        let last = (first + FILLED_AT_ONCE - 1).min(many);
        cluster.execute(
            database,
            &format!(
                "INSERT INTO events (topic, subject, version, event_id, position, type, at, data)
                 SELECT 'onsale.points', 'past-' || n % 1000003, n, gen_random_uuid(), n, 'onsale.points.charged.v1',
                     1700000000000 + n, '{{\"userId\":\"past-' || n % 1000003 || '\",\"amount\":1,\"balanceAfter\":1}}'
                 FROM generate_series({first}, {last}) n"
            ),
        )?;
    }
    cluster.execute(database, &format!("UPDATE relay_parts SET sent_to = {many}"))?;
    cluster.settle(database)
}

/// So many charges with the relay off, then their events with it on. Returns both, a second.
fn through(bench: &Bench, broker: &Broker, (url, past): (&str, Past), waiting: usize) -> Outcome<[f64; 2]> {
    let brokers = broker.kafka.brokers();
    let mut filling = bench.server_with(&[], &[("ONSALE_DATABASE_URL", url)])?;
    let how = Closed { connections: CONNECTIONS, time: PATIENCE, count: waiting, keep: None };
    let run = closed(filling.program.address(), &many_charges(), &how)?;
    run.tally.expect(&[(200, "")])?;
    filling.program.stop()?;
    let settings = [("ONSALE_DATABASE_URL", url), ("ONSALE_KAFKA_BROKERS", brokers.as_str())];
    let mut server = bench.server_with(&[], &settings)?;
    // Topics are made before the first is sent; that is not what is measured.
    until_sent(&server, 1.0)?;
    let (began, before) = (Instant::now(), sent(&server)?);
    until_sent(&server, waiting as f64)?;
    let rate = (waiting as f64 - before) / began.elapsed().as_secs_f64();
    match past {
        Past::None => server.finish()?,
        Past::MadeUp if server.program.stop()?.success() => {}
        Past::MadeUp => return Err("the server did not end well".into()),
    }
    Ok([run.rate(), rate])
}

/// How long the events that a data platform was posted had been on their way.
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

/// Killed when it is dropped.
struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn way(bench: &mut Bench) -> Outcome<()> {
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
    until_sent(&server, 1.0)?;
    let consumer = server.program.command(&["consume"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let consumer = Beside(consumer);
    // The group comes together, which takes seconds and is not what is measured.
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

/// A server with the relay off, and one with it on.
fn both(bench: &mut Bench, broker: &Broker) -> Outcome<[Server; 2]> {
    let cluster = bench.cluster()?;
    let brokers = broker.kafka.brokers();
    let server = |relay: &str| -> Outcome<Server> {
        let url = cluster.url(&cluster.database()?);
        let settings = [
            ("ONSALE_DATABASE_URL", url.as_str()),
            ("ONSALE_KAFKA_BROKERS", brokers.as_str()),
            ("ONSALE_RELAY", relay),
        ];
        bench.server_with(&[], &settings)
    };
    let servers = [server("false")?, server("true")?];
    let how = Closed { connections: CONNECTIONS, time: PATIENCE, count: 10_000, keep: None };
    for server in &servers {
        closed(server.program.address(), &many_charges(), &how)?.tally.expect(&[(200, "")])?;
    }
    until_sent(&servers[1], 10_000.0)?;
    Ok(servers)
}

fn sale(bench: &mut Bench) -> Outcome<()> {
    let broker = Broker::start()?;
    let mut servers = both(bench, &broker)?;
    let (supply, slice) = (many_charges(), bench.scale.slice);
    let (mut off, mut on, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut kept_up = true;
    for _ in 0..bench.scale.rounds {
        let how = Closed { connections: CONNECTIONS, time: slice, count: usize::MAX, keep: None };
        let look = |server: &Server| -> Outcome<Run> {
            let run = closed(server.program.address(), &supply, &how)?;
            run.tally.expect(&[(200, "")])?;
            Ok(run)
        };
        let without = look(&servers[0])?.rate();
        let before = sent(&servers[1])?;
        let run = look(&servers[1])?;
        // What is left when the load ends has to be little beside what came.
        let came = run.tally.times.total() as f64;
        let left = came - (sent(&servers[1])? - before);
        writeln!(stderr(), "off {}, on {}, left {left}", grouped(without), grouped(run.rate()))?;
        kept_up &= left < came / 10.0;
        until_sent(&servers[1], before + came)?;
        off.push(without);
        on.push(run.rate());
        ratios.push(run.rate() / without);
    }
    let (off, on, ratio) = (median(off), median(on), median(ratios));
    let line = Line::new("charges with the relay on, beside off", Verdict::of(ratio >= 0.6 && kept_up));
    let kept = if kept_up { "the relay keeps up" } else { "the relay falls behind" };
    bench.table.add(Line {
        connections: CONNECTIONS,
        rate: grouped(on),
        empty: grouped(off),
        share: format!("{ratio:.3}"),
        target: format!("≥ 0.6; {kept}"),
        ..line
    });
    half(bench, &servers, off / 2.0)?;
    servers.iter_mut().try_for_each(Server::finish)
}

/// The time that 99 of 100 take at half of what could be served without the relay. A disk that stalls for some 50 ms makes
/// the 99th of whichever look it meets, so there are many short looks.
fn half(bench: &mut Bench, servers: &[Server; 2], per_second: f64) -> Outcome<()> {
    let supply = many_charges();
    let how = Open { connections: CONNECTIONS, per_second, time: bench.scale.open / 2 };
    let mut times: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..bench.scale.rounds * LOOKS_AT_HALF {
        for (server, times) in servers.iter().zip(&mut times) {
            let run = open(server.program.address(), &supply, &how)?;
            run.tally.expect(&[(200, "")])?;
            times.push(run.tally.times.permille(990).as_secs_f64() * 1_000.0);
        }
    }
    let [off, on] = times.map(median);
    let line = Line::new("p99 at half of that, open loop, beside off", Verdict::of(on <= off * 1.1));
    bench.table.add(Line {
        connections: CONNECTIONS,
        rate: grouped(per_second),
        empty: format!("{off:.2} ms"),
        share: format!("{:.3}", on / off),
        target: "≤ 1.1".to_owned(),
        p99: format!("{on:.2}"),
        ..line
    });
    Ok(())
}
