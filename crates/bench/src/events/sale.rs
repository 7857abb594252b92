//! The cost of the relay to the sale.

use std::io::{Write, stderr};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};

use onsale_load_generator::{ClosedLoop, OpenLoop, Outcome, Run, closed_loop, open_loop};
use onsale_report::number;

use super::broker::{Broker, Killed, PATIENCE, sent, wait_until_sent};
use crate::machine::{Machine, Server};
use crate::measure::{OK, median, slice_of};
use crate::postgres::points::many as many_charges;
use crate::results::{Figure, Line, Results, Target};
use crate::row::Work;

const CONNECTIONS: usize = 64;

/// Charges before the measurement.
const FIRST: usize = 10_000;

/// Measurements at half load in each round.
const HALF_PER_ROUND: usize = 6;

/// The p99 latency with the relay, divided by that without.
const P99: Target = Target::at_most(1.1);

/// A server with its own database, and the process that relays its events.
struct Setting {
    server: Server,
    /// The relay, if it is a separate process.
    relay: Option<Relay>,
}

/// A relay process and its metrics address.
struct Relay {
    process: Killed,
    metrics: SocketAddr,
}

impl Relay {
    /// Starts `onsale relay` for the database of a server.
    fn start(server: &Server) -> Outcome<Self> {
        let metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut relay = server.program.command(&["relay", "--metrics-listen", &metrics.to_string()]);
        let process = relay.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { process: Killed(process), metrics })
    }
}

/// A server with the relay off, one with the relay on, and one with a separate relay. All have sent their first events.
fn start_all(machine: &Machine, broker: &Broker) -> Outcome<[Setting; 3]> {
    let postgres = machine.postgres()?;
    let brokers = broker.kafka.brokers();
    let start = |relay: &str, is_separate: bool| -> Outcome<Setting> {
        let url = postgres.url(&postgres.database()?);
        let settings = [
            ("ONSALE_DATABASE_URL", url.as_str()),
            ("ONSALE_KAFKA_BROKERS", brokers.as_str()),
            ("ONSALE_RELAY", relay),
        ];
        let server = machine.server(&[], &settings)?;
        let relay = is_separate.then(|| Relay::start(&server)).transpose()?;
        Ok(Setting { server, relay })
    };
    let settings = [start("false", false)?, start("true", false)?, start("false", true)?];
    let first = machine.scale.at_most(FIRST);
    let how = ClosedLoop { connections: CONNECTIONS, time: PATIENCE, count: first, keep: None };
    for setting in &settings {
        closed_loop(setting.server.program.address(), &many_charges(), &how)?.tally.expect(OK)?;
    }
    wait_until_sent(settings[1].server.program.address(), first as f64)?;
    settings[2].relay.iter().try_for_each(|relay| wait_until_sent(relay.metrics, first as f64))?;
    Ok(settings)
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

pub(super) fn cost(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let broker = Broker::start()?;
    let mut settings = start_all(machine, &broker)?;
    Ok(Box::new(move |results| {
        let off = at_saturation(machine, results, &settings, target)?;
        at_half(machine, results, &broker, &settings, off / 2.0)?;
        settings.iter_mut().try_for_each(|setting| setting.server.finish())
    }))
}

/// Charges with the relay off and on, in turns. Returns the rate with the relay off.
fn at_saturation(
    machine: &Machine,
    results: &mut Results,
    [without, with, _]: &[Setting; 3],
    target: Target,
) -> Outcome<f64> {
    let relay = with.server.program.address();
    let (supply, how) = (many_charges(), slice_of(machine, CONNECTIONS));
    let measure = |server: &Server| -> Outcome<Run> {
        let run = closed_loop(server.program.address(), &supply, &how)?;
        run.tally.expect(OK)?;
        Ok(run)
    };
    let (mut off, mut on, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut keeps_up = true;
    for _ in 0..machine.scale.rounds {
        let without = measure(&without.server)?.rate();
        let before = sent(relay)?;
        let run = measure(&with.server)?;
        // The events that are not sent at the end of the load must be few compared with the load.
        let charges = run.tally.times.total() as f64;
        let left = charges - (sent(relay)? - before);
        writeln!(stderr(), "off {}, on {}, left {left}", number(without), number(run.rate()))?;
        keeps_up &= left < charges / 10.0;
        wait_until_sent(relay, before + charges)?;
        off.push(without);
        on.push(run.rate());
        ratios.push(run.rate() / without);
    }
    let (off, on, ratio) = (median(off), median(on), median(ratios));
    let line = Line {
        connections: CONNECTIONS,
        result: Figure::PerSecond(on),
        reference: Figure::PerSecond(off),
        ratio: Some(ratio),
        ..Line::new("charges with the relay on, beside off")
    };
    let kept = if keeps_up { "the relay keeps up" } else { "the relay falls behind" };
    let line = line.judged_if(target, target.is_reached_by(ratio) && keeps_up);
    results.add(Line { target: format!("{}; {kept}", line.target), ..line });
    Ok(off)
}

/// The p99 latency at half of the throughput that is possible without the relay. A disk that stalls for 50 ms decides the
/// p99 of the measurement it falls into, so there are many short measurements, in alternating order.
fn at_half(
    machine: &Machine,
    results: &mut Results,
    broker: &Broker,
    settings: &[Setting; 3],
    per_second: f64,
) -> Outcome<()> {
    let supply = many_charges();
    let how = OpenLoop { connections: CONNECTIONS, per_second, time: machine.scale.open / 2 };
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut charges = machine.scale.at_most(FIRST) as f64;
    for round in 0..machine.scale.rounds * HALF_PER_ROUND {
        let mut order = [0, 1, 2];
        if round % 2 == 1 {
            order.reverse();
        }
        for which in order {
            let Setting { server, relay } = &settings[which];
            let in_background = match relay {
                Some(relay) => [broker.kafka.processes(), vec![relay.process.0.id()]].concat(),
                None => Vec::new(),
            };
            set_idle_class(&in_background, true)?;
            let run = open_loop(server.program.address(), &supply, &how)?;
            run.tally.expect(OK)?;
            times[which].push(run.tally.times.millis(990));
            set_idle_class(&in_background, false)?;
            if let Some(relay) = relay {
                charges += run.tally.times.total() as f64;
                wait_until_sent(relay.metrics, charges)?;
            }
        }
    }
    let [off, on, idle] = times.map(median);
    for (work, on) in [
        ("p99 at half of that, open loop, beside off", on),
        ("the same, relay alone and broker in the idle class", idle),
    ] {
        let line = Line {
            connections: CONNECTIONS,
            result: Figure::PerSecond(per_second),
            reference: Figure::Words(format!("{off:.2} ms")),
            ratio: Some(on / off),
            p99_millis: Some(on),
            ..Line::new(work)
        };
        results.add(line.judged(P99, on / off));
    }
    Ok(())
}
