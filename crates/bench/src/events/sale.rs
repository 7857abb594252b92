//! The cost of the relay to the sale.

use std::io::{Write, stderr};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};

use onsale_load_generator::{Closed, Open, Outcome, Run, closed, open};

use super::{Beside, Broker, CONNECTIONS, PATIENCE, sent, until_sent};
use crate::measure::{Bench, Server, median};
use crate::postgres::many_charges;
use crate::table::{Line, Verdict, grouped};

/// Charges before the measurement.
const FIRST: usize = 10_000;

/// Measurements at half load in each round.
const LOOKS_AT_HALF: usize = 6;

/// A sale with its own database, and the way of its events.
struct Setting {
    server: Server,
    /// The relay, if it is a separate process.
    alone: Option<Alone>,
}

/// A relay and its metrics address.
struct Alone {
    process: Beside,
    metrics: SocketAddr,
}

/// With the relay off, in the server, and in a separate process.
fn settings(bench: &mut Bench, broker: &Broker) -> Outcome<[Setting; 3]> {
    let cluster = bench.cluster()?;
    let brokers = broker.kafka.brokers();
    let setting = |relay: &str, is_alone: bool| -> Outcome<Setting> {
        let url = cluster.url(&cluster.database()?);
        let settings = [
            ("ONSALE_DATABASE_URL", url.as_str()),
            ("ONSALE_KAFKA_BROKERS", brokers.as_str()),
            ("ONSALE_RELAY", relay),
        ];
        let server = bench.server_with(&[], &settings)?;
        let alone = is_alone.then(|| relay_alone(&server)).transpose()?;
        Ok(Setting { server, alone })
    };
    let settings = [setting("false", false)?, setting("true", false)?, setting("false", true)?];
    let how = Closed { connections: CONNECTIONS, time: PATIENCE, count: FIRST, keep: None };
    for setting in &settings {
        closed(setting.server.program.address(), &many_charges(), &how)?.tally.expect(&[(200, "")])?;
    }
    until_sent(settings[1].server.program.address(), FIRST as f64)?;
    settings[2].alone.iter().try_for_each(|relay| until_sent(relay.metrics, FIRST as f64))?;
    Ok(settings)
}

/// Starts `onsale relay` beside a server.
fn relay_alone(server: &Server) -> Outcome<Alone> {
    let metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut relay = server.program.command(&["relay", "--metrics-listen", &metrics.to_string()]);
    let process = relay.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    Ok(Alone { process: Beside(process), metrics })
}

/// Moves processes, with the threads that they start from now on, into the scheduler's idle class, or back to the normal one.
fn set_idle_class(processes: &[u32], is_idle: bool) -> Outcome<()> {
    let class = if is_idle { "-i" } else { "-o" };
    for id in processes {
        let status = Command::new("chrt").args(["-a", class, "-p", "0", &id.to_string()]).status()?;
        if !status.success() {
            return Err(format!("chrt ended with {status}").into());
        }
    }
    Ok(())
}

pub(super) fn sale(bench: &mut Bench) -> Outcome<()> {
    let broker = Broker::start()?;
    let mut settings = settings(bench, &broker)?;
    let [without, with, _] = &settings;
    let relay = with.server.program.address();
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
        let without = look(&without.server)?.rate();
        let before = sent(relay)?;
        let run = look(&with.server)?;
        // The backlog at the end of the load must be small compared with the load.
        let came = run.tally.times.total() as f64;
        let left = came - (sent(relay)? - before);
        writeln!(stderr(), "off {}, on {}, left {left}", grouped(without), grouped(run.rate()))?;
        kept_up &= left < came / 10.0;
        until_sent(relay, before + came)?;
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
    half(bench, &broker, &settings, off / 2.0)?;
    settings.iter_mut().try_for_each(|setting| setting.server.finish())
}

/// The p99 latency at half of the throughput that is possible without the relay. A disk that stalls for 50 ms decides the
/// p99 of the measurement it falls into, so there are many short measurements, in alternating order.
fn half(bench: &mut Bench, broker: &Broker, settings: &[Setting; 3], per_second: f64) -> Outcome<()> {
    let supply = many_charges();
    let how = Open { connections: CONNECTIONS, per_second, time: bench.scale.open / 2 };
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut came = FIRST as f64;
    for turn in 0..bench.scale.rounds * LOOKS_AT_HALF {
        let mut order = [0, 1, 2];
        if turn % 2 == 1 {
            order.reverse();
        }
        for which in order {
            let Setting { server, alone } = &settings[which];
            let in_background = match alone {
                Some(relay) => [broker.kafka.processes(), vec![relay.process.0.id()]].concat(),
                None => Vec::new(),
            };
            set_idle_class(&in_background, true)?;
            let run = open(server.program.address(), &supply, &how)?;
            run.tally.expect(&[(200, "")])?;
            times[which].push(run.tally.times.permille(990).as_secs_f64() * 1_000.0);
            set_idle_class(&in_background, false)?;
            if let Some(relay) = alone {
                came += run.tally.times.total() as f64;
                until_sent(relay.metrics, came)?;
            }
        }
    }
    let [off, on, idle] = times.map(median);
    for (work, on) in [
        ("p99 at half of that, open loop, beside off", on),
        ("the same, relay alone and broker in the idle class", idle),
    ] {
        let line = Line::new(work, Verdict::of(on <= off * 1.1));
        bench.table.add(Line {
            connections: CONNECTIONS,
            rate: grouped(per_second),
            empty: format!("{off:.2} ms"),
            share: format!("{:.3}", on / off),
            target: "≤ 1.1".to_owned(),
            p99: format!("{on:.2}"),
            ..line
        });
    }
    Ok(())
}
