//! The open loop: a long line, entries and polls at constant rates, over three instances. All answers are
//! audited.

use std::io::{Write, stdout};
use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_load_generator::{Outcome, Tally};
use onsale_testing::auditor::{Asked, Log, Standing};
use onsale_testing::now_millis;

use super::crowd::{Person, Play, Played};
use super::parts::{Home, Parts, audited, room, rules};
use crate::measure::Bench;
use crate::rows::crowd::user;
use crate::table::{Line, Verdict, grouped};

/// Number of users in line beforehand.
const WAITING: u64 = 50_000;

const ARRIVALS_A_SECOND: u64 = 2_000;
const POLLS_A_SECOND: u64 = 10_000;

const MAX_ACTIVE: u32 = 1_000_000;
const ADMITTED_A_SECOND: u32 = 200;

const CONNECTIONS: usize = 192;

const TARGET: Duration = Duration::from_millis(15);

/// Fractions of the target load to try, in hundredths, until it is served in time.
const PARTS: [u64; 4] = [100, 50, 25, 10];

pub(super) fn open_loop(bench: &mut Bench) -> Outcome<()> {
    let seconds = if bench.scale.rounds == 1 { 4 } else { 15 };
    for home in Home::BOTH {
        let parts = Parts::start(bench, home, 3)?;
        for part in PARTS {
            if at(bench, &parts, home, (part, seconds))? || home == Home::Database {
                break;
            }
        }
        parts.finish()?;
    }
    Ok(())
}

fn number(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Runs a fraction of the load for some seconds. Returns whether it was served in time.
fn at(bench: &mut Bench, parts: &Parts, home: Home, (part, seconds): (u64, u64)) -> Outcome<bool> {
    let concert = parts.first().stage.concert(&room(MAX_ACTIVE, ADMITTED_A_SECOND))?;
    let (polls, arrivals) = (POLLS_A_SECOND * part / 100, ARRIVALS_A_SECOND * part / 100);
    let mut log = Log::new(rules(MAX_ACTIVE, ADMITTED_A_SECOND), now_millis());
    let began = Instant::now();
    for number in 0..WAITING + arrivals * seconds {
        log.user(&user(usize::try_from(number)?));
    }
    let play = |until: u64, polls_every: u64| Play {
        addresses: parts.addresses(),
        connections: CONNECTIONS,
        concert: concert.clone(),
        began,
        until,
        patience: Duration::from_secs(120),
        // Users who are in line beforehand keep polling. New users only enter.
        next: Box::new(move |person, _| {
            person.due += polls_every;
            let polls = u64::from(person.number) < WAITING && polls_every > 0;
            person.asked = Asked::Poll;
            polls
        }),
        entered: 0.into(),
    };
    let before = (0..WAITING).map(|one| Person::new(number(one), one * 50)).collect();
    let mut before = Arc::new(play(u64::MAX, 0)).run(before)?;
    before.entries.expect(&[(201, "")]).map_err(|error| format!("while preparing: {error}"))?;

    // Every user is polled for once per round.
    let round = WAITING * 1_000_000 / polls;
    let from = u64::try_from(began.elapsed().as_micros())? + 200_000;
    let mut people = std::mem::take(&mut before.people);
    for person in &mut people {
        (person.asked, person.due) = (Asked::Poll, from + u64::from(person.number) * round / WAITING);
    }
    people.extend(
        (0..arrivals * seconds).map(|one| Person::new(number(WAITING + one), from + one * 1_000_000 / arrivals)),
    );
    let cpu = parts.process_time()?;
    let played = Arc::new(play(from + seconds * 1_000_000, round)).run(people)?;
    let cpu = parts.process_time()?.saturating_sub(cpu);
    let in_time = told(bench, home, (part, &played), cpu)?;
    let admitted =
        |played: &Played| played.records.iter().filter(|record| record.standing == Some(Standing::Active)).count();
    writeln!(stdout(), "{part} % of the load, room on {}: {} answers of a turn", home.name(), admitted(&played))?;
    log.records = before.records;
    log.records.extend(played.records);
    audited(&log)?;
    Ok(in_time)
}

/// Lines for entries and polls. Returns whether both were in time, without unexpected answers.
fn told(bench: &mut Bench, home: Home, (part, played): (u64, &Played), cpu: Duration) -> Outcome<bool> {
    let millis = |tally: &Tally, permille| format!("{:.2}", tally.times.permille(permille).as_secs_f64() * 1e3);
    let errors = |tally: &Tally| tally.problems().iter().map(|(_, _, count)| count).sum::<u64>();
    let mut all = true;
    for (what, tally, rate) in
        [("entries", &played.entries, ARRIVALS_A_SECOND), ("polls", &played.polls, POLLS_A_SECOND)]
    {
        let in_time = errors(tally) == 0 && tally.times.permille(990) <= TARGET;
        all &= in_time;
        bench.table.add(Line {
            connections: CONNECTIONS,
            rate: grouped((rate * part / 100) as f64),
            empty: format!("{} errors", errors(tally)),
            target: format!("p99 ≤ {} ms, 0 errors", TARGET.as_millis()),
            p50: millis(tally, 500),
            p99: millis(tally, 990),
            ..Line::new(
                format!("open loop, room on {}, 50,000 in line: {what}", home.name()),
                if home == Home::Redis { Verdict::of(in_time) } else { Verdict::Told },
            )
        });
    }
    let answers = (played.entries.times.total() + played.polls.times.total()) as f64;
    bench.table.add(Line {
        p50: format!("{:.2}", played.late.permille(500).as_secs_f64() * 1e3),
        p99: format!("{:.2}", played.late.permille(990).as_secs_f64() * 1e3),
        cpu: format!("{:.1}", cpu.as_secs_f64() * 1e6 / answers.max(1.0)),
        ..Line::new("    so late were requests sent; cpu of all three instances", Verdict::Told)
    });
    Ok(all)
}
