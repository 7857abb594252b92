//! The open loop: a long line, entries and polls at constant rates, over three instances. All answers are audited.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_load_generator::{Outcome, Tally};
use onsale_testing::auditor::{Asked, Log, Standing};
use onsale_testing::now_millis;

use super::deployment::{Deployment, Issuer, audit, limits, room};
use super::visitors::{Answers, Behaviour, Visitor};
use crate::machine::Machine;
use crate::results::{Figure, Line, Results, Target};
use crate::row::Work;
use crate::scale::Scale;
use crate::users::user;

const MAX_ACTIVE: u32 = 1_000_000;
const ADMITTED_PER_SECOND: u32 = 200;

const CONNECTIONS: usize = 192;

/// The wanted p99 latency, which decides whether a smaller load is tried.
const IN_TIME: Duration = Duration::from_millis(15);

/// Percentages of the load to try, until one is served in time.
const PERCENTAGES: [u64; 4] = [100, 50, 25, 10];

/// The load of a run.
#[derive(Clone, Copy)]
struct Load {
    /// Number of users in line beforehand.
    waiting: u64,
    entries_per_second: u64,
    polls_per_second: u64,
    seconds: u64,
}

impl Load {
    fn of(scale: Scale, percentage: u64) -> Self {
        let full = Self { waiting: 50_000, entries_per_second: 2_000, polls_per_second: 10_000, seconds: 15 };
        let tiny = Self { waiting: 20, entries_per_second: 100, polls_per_second: 100, seconds: 1 };
        let load = scale.pick(full, Self { seconds: 4, ..full }, tiny);
        let part = |rate: u64| (rate * percentage / 100).max(1);
        Self {
            entries_per_second: part(load.entries_per_second),
            polls_per_second: part(load.polls_per_second),
            ..load
        }
    }

    fn entries(self) -> u64 {
        self.entries_per_second * self.seconds
    }

    /// Microseconds between two polls of the same user.
    fn poll_interval(self) -> u64 {
        self.waiting * 1_000_000 / self.polls_per_second
    }
}

pub(super) fn open(machine: &Machine, target: Target, issuer: Issuer) -> Outcome<Work<'_>> {
    let deployment = Deployment::start(machine, issuer, 3)?;
    Ok(Box::new(move |results| {
        let percentages = machine.scale.pick(&PERCENTAGES[..], &PERCENTAGES, &PERCENTAGES[..1]);
        for percentage in percentages.iter().copied() {
            let load = Load::of(machine.scale, percentage);
            let is_in_time = run(results, &deployment, (issuer, target), load)?;
            if is_in_time || issuer == Issuer::Database {
                break;
            }
        }
        deployment.finish()
    }))
}

fn visitor(number: u64, due: u64) -> Visitor {
    Visitor::new(u32::try_from(number).unwrap_or(u32::MAX), due)
}

/// Runs a load. Returns whether it was served in time.
fn run(
    results: &mut Results,
    deployment: &Deployment<'_>,
    (issuer, target): (Issuer, Target),
    load: Load,
) -> Outcome<bool> {
    let concert = deployment.first().admin.concert(&room(MAX_ACTIVE, ADMITTED_PER_SECOND))?;
    let mut log = Log::new(limits(MAX_ACTIVE, ADMITTED_PER_SECOND), now_millis());
    let began = Instant::now();
    for number in 0..load.waiting + load.entries() {
        log.user(&user(usize::try_from(number)?));
    }
    let behaviour = |until: u64, poll_interval: Option<u64>| Behaviour {
        addresses: deployment.addresses(),
        connections: CONNECTIONS,
        concert: concert.clone(),
        began,
        until,
        horizon: u64::MAX.into(),
        patience: Duration::from_secs(120),
        // Users who are in line beforehand keep polling. New users only enter.
        next: Box::new(move |visitor, _| {
            visitor.asks = Asked::Poll;
            visitor.due += poll_interval.unwrap_or(0);
            poll_interval.is_some() && u64::from(visitor.number) < load.waiting
        }),
        entered: 0.into(),
    };
    let before = (0..load.waiting).map(|number| visitor(number, number * 50)).collect();
    let mut before = Arc::new(behaviour(u64::MAX, None)).run(before)?;
    before.entries.expect(&[(201, "")]).map_err(|error| format!("during preparation: {error}"))?;

    let interval = load.poll_interval();
    let from = u64::try_from(began.elapsed().as_micros())? + 200_000;
    let mut visitors = std::mem::take(&mut before.visitors);
    for visitor in &mut visitors {
        (visitor.asks, visitor.due) = (Asked::Poll, from + u64::from(visitor.number) * interval / load.waiting);
    }
    let entry = |number| visitor(load.waiting + number, from + number * 1_000_000 / load.entries_per_second);
    visitors.extend((0..load.entries()).map(entry));
    let cpu = deployment.process_time()?;
    let answers = Arc::new(behaviour(from + load.seconds * 1_000_000, Some(interval))).run(visitors)?;
    let cpu = deployment.process_time()?.saturating_sub(cpu);
    let is_in_time = add_lines(results, (issuer, target), load, &answers, cpu);
    log.records = before.records;
    log.records.extend(answers.records);
    let turns = log.records.iter().filter(|record| record.standing == Some(Standing::Active)).count();
    results.remark(format!("open loop, room on {}: {turns} answers show a turn", issuer.name()));
    audit(&log, results)?;
    Ok(is_in_time)
}

/// Adds lines for entries and polls. Returns whether both were in time, without an error.
fn add_lines(
    results: &mut Results,
    (issuer, target): (Issuer, Target),
    load: Load,
    answers: &Answers,
    cpu: Duration,
) -> bool {
    let errors = |tally: &Tally| tally.problems().iter().map(|(_, _, count)| count).sum::<u64>();
    let mut all_in_time = true;
    for (what, tally, rate) in
        [("entries", &answers.entries, load.entries_per_second), ("polls", &answers.polls, load.polls_per_second)]
    {
        let is_in_time = errors(tally) == 0 && tally.times.permille(990) <= IN_TIME;
        all_in_time &= is_in_time;
        let line = Line {
            connections: CONNECTIONS,
            result: Figure::PerSecond(rate as f64),
            reference: Figure::Words(format!("{} errors", errors(tally))),
            p50_millis: Some(tally.times.millis(500)),
            p99_millis: Some(tally.times.millis(990)),
            ..Line::new(format!("open loop, room on {}, 50,000 in line: {what}", issuer.name()))
        };
        results.add(line.judged_if(target, is_in_time));
    }
    let count = (answers.entries.times.total() + answers.polls.times.total()) as f64;
    results.add(Line {
        p50_millis: Some(answers.late.millis(500)),
        p99_millis: Some(answers.late.millis(990)),
        cpu_micros: Some(cpu.as_secs_f64() * 1e6 / count.max(1.0)),
        ..Line::new("    delay of sending; cpu of all three instances")
    });
    all_in_time
}
