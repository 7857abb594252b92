//! Throughput of a full outbox.

use std::time::Instant;

use onsale_load_generator::{Closed, Outcome, closed};

use super::{Broker, CONNECTIONS, PATIENCE, sent, until_sent};
use crate::measure::{Bench, median};
use crate::postgres::{Cluster, many_charges};
use crate::table::{Line, Verdict, grouped};

/// Events that wait before the relay starts.
const WAITING: usize = 200_000;

/// Events that were sent before, and how many of them are written in one statement.
const BEHIND: usize = 10_000_000;
const FILLED_AT_ONCE: usize = 1_000_000;

/// A full outbox, first in an empty table and then after many sent events.
pub(super) fn relay(bench: &mut Bench) -> Outcome<()> {
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

/// The events before a full outbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    None,
    /// Events of wallets that do not exist, so the audit would report them.
    MadeUp,
}

/// Sent events of the past.
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

/// Runs this many charges with the relay off, then sends their events with the relay on. Returns both rates, per second.
fn through(bench: &Bench, broker: &Broker, (url, past): (&str, Past), waiting: usize) -> Outcome<[f64; 2]> {
    let brokers = broker.kafka.brokers();
    let mut filling = bench.server_with(&[], &[("ONSALE_DATABASE_URL", url)])?;
    let how = Closed { connections: CONNECTIONS, time: PATIENCE, count: waiting, keep: None };
    let run = closed(filling.program.address(), &many_charges(), &how)?;
    run.tally.expect(&[(200, "")])?;
    filling.program.stop()?;
    let settings = [("ONSALE_DATABASE_URL", url), ("ONSALE_KAFKA_BROKERS", brokers.as_str())];
    let mut server = bench.server_with(&[], &settings)?;
    // The relay creates the topics before it sends; that time is not measured.
    until_sent(server.program.address(), 1.0)?;
    let (began, before) = (Instant::now(), sent(server.program.address())?);
    until_sent(server.program.address(), waiting as f64)?;
    let rate = (waiting as f64 - before) / began.elapsed().as_secs_f64();
    match past {
        Past::None => server.finish()?,
        Past::MadeUp if server.program.stop()?.success() => {}
        Past::MadeUp => return Err("the server did not end well".into()),
    }
    Ok([run.rate(), rate])
}
