//! Throughput of a full outbox.

use std::time::Instant;

use onsale_load_generator::{ClosedLoop, Outcome, closed_loop};
use onsale_report::number;

use super::broker::{Broker, PATIENCE, sent, wait_until_sent};
use crate::machine::{Machine, Postgres};
use crate::measure::{OK, median};
use crate::postgres::points::many as many_charges;
use crate::results::{Figure, Line, Target};
use crate::row::Work;

const CONNECTIONS: usize = 64;

/// Events that wait before the relay starts.
const WAITING: usize = 200_000;

/// Events that were sent before.
const SENT_BEFORE: usize = 10_000_000;

/// Events of the past that one statement writes.
const PER_STATEMENT: usize = 1_000_000;

/// Rates with many sent events, divided by those with none.
const FLAT: Target = Target::at_least(0.8);

/// Rates per second of one round.
#[derive(Clone, Copy)]
struct Rates {
    /// Of the charges that filled the outbox.
    charges: f64,
    /// Of the events that the relay sent.
    sent: f64,
}

/// The events before a full outbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    None,
    /// Events of wallets that do not exist, which the audit would report.
    Invented,
}

/// A full outbox, first in an empty table and then after many sent events.
pub(super) fn relay(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let waiting = machine.scale.pick(WAITING, WAITING / 4, 200);
    let before = machine.scale.pick(SENT_BEFORE, SENT_BEFORE / 10, 1_000);
    let broker = Broker::start()?;
    let postgres = machine.postgres()?;
    let long = postgres.database()?;
    invent_past(postgres, &long, before)?;
    Ok(Box::new(move |results| {
        let (mut short_rates, mut long_rates) = (Vec::new(), Vec::new());
        for _ in 0..machine.scale.rounds {
            let short = postgres.database()?;
            short_rates.push(fill_and_send(machine, &broker, (&postgres.url(&short), Past::None), waiting)?);
            long_rates.push(fill_and_send(machine, &broker, (&postgres.url(&long), Past::Invented), waiting)?);
        }
        let of = |all: &[Rates], rate: fn(&Rates) -> f64| median(all.iter().map(rate).collect());
        let sent_short = of(&short_rates, |rates| rates.sent);
        let line = Line {
            result: Figure::PerSecond(sent_short),
            ..Line::new(format!("outbox of {} to Kafka", number(waiting as f64)))
        };
        results.add(line.judged(target, sent_short));
        let work = format!("the same, {} sent before", number(before as f64));
        let (charges_short, charges_long) = (of(&short_rates, |all| all.charges), of(&long_rates, |all| all.charges));
        for (work, long, short) in [
            (work.as_str(), of(&long_rates, |rates| rates.sent), sent_short),
            ("charges that filled it, beside the first", charges_long, charges_short),
        ] {
            let line = Line {
                result: Figure::PerSecond(long),
                reference: Figure::PerSecond(short),
                ratio: Some(long / short),
                ..Line::new(work)
            };
            results.add(line.judged(FLAT, long / short));
        }
        Ok(())
    }))
}

/// Writes events of the past, all of them sent.
fn invent_past(postgres: &Postgres, database: &str, count: usize) -> Outcome<()> {
    for first in (1..=count).step_by(PER_STATEMENT) {
        let last = (first + PER_STATEMENT - 1).min(count);
        postgres.execute(
            database,
            &format!(
                "INSERT INTO events (topic, subject, version, event_id, position, type, at, data)
                 SELECT 'onsale.points', 'past-' || n % 1000003, n, gen_random_uuid(), n, 'onsale.points.charged.v1',
                     1700000000000 + n, '{{\"userId\":\"past-' || n % 1000003 || '\",\"amount\":1,\"balanceAfter\":1}}'
                 FROM generate_series({first}, {last}) n"
            ),
        )?;
    }
    postgres.execute(database, &format!("UPDATE relay_parts SET sent_to = {count}"))?;
    postgres.settle(database)
}

/// Runs this many charges with the relay off, then sends their events with the relay on.
fn fill_and_send(machine: &Machine, broker: &Broker, (url, past): (&str, Past), waiting: usize) -> Outcome<Rates> {
    let brokers = broker.kafka.brokers();
    let mut filling = machine.server(&[], &[("ONSALE_DATABASE_URL", url)])?;
    let how = ClosedLoop { connections: CONNECTIONS, time: PATIENCE, count: waiting, keep: None };
    let run = closed_loop(filling.program.address(), &many_charges(), &how)?;
    run.tally.expect(OK)?;
    filling.program.stop()?;
    let settings = [("ONSALE_DATABASE_URL", url), ("ONSALE_KAFKA_BROKERS", brokers.as_str())];
    let mut server = machine.server(&[], &settings)?;
    // The relay creates the topics before it sends. That time is not measured.
    wait_until_sent(server.program.address(), 1.0)?;
    let (began, before) = (Instant::now(), sent(server.program.address())?);
    wait_until_sent(server.program.address(), waiting as f64)?;
    let sent = (waiting as f64 - before) / began.elapsed().as_secs_f64();
    match past {
        Past::None => server.finish()?,
        Past::Invented if server.program.stop()?.success() => {}
        Past::Invented => return Err("the server ended with an error".into()),
    }
    Ok(Rates { charges: run.rate(), sent })
}
