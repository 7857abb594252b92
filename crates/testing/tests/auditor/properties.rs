//! Whatever an honest room answers passes; one answer changed in a way that matters does not.

use std::collections::BTreeMap;

use onsale_testing::Dice;
use onsale_testing::auditor::{Asked, Log, Record, Rule, Standing, audit};

use crate::model::Model;

const RUNS: u64 = 12;

#[test]
fn honest_rooms_pass() {
    let seed = Dice::seed();
    for run in 0..RUNS {
        let log = Model::run(150, seed.wrapping_add(run));
        let report = audit(&log);
        assert!(report.is_sound(), "run {run}:\n{report}");
        for rule in Rule::ALL {
            assert!(report.checks(rule) > 50, "run {run}: {rule:?} is hardly checked:\n{report}");
        }
    }
}

/// A change of one answer or one token; `false` where the log offers no chance for it.
type Cheat = fn(&mut Log, &mut Dice) -> bool;

const CHEATS: &[(&str, Rule, Cheat)] = &[
    ("a place is shared", Rule::Unique, shared_place),
    ("a token is swapped while it lives", Rule::Unique, swapped_token),
    ("two admissions are swapped", Rule::Order, swapped_admissions),
    ("all users are admitted at once", Rule::Rate, admitted_at_once),
    ("turns last on", Rule::Cap, lasting_turns),
    ("a position is too high", Rule::Exact, too_high),
    ("a position grows", Rule::Growth, growing),
    ("an answer is old", Rule::Age, old),
    ("one waits after the turn has begun", Rule::Turns, waiting_again),
];

#[test]
fn cheats_are_caught() {
    let seed = Dice::seed();
    let mut tried: BTreeMap<&str, u32> = BTreeMap::new();
    for run in 0..RUNS {
        let mut dice = Dice::new(seed.wrapping_add(run));
        let honest = Model::run(120, seed.wrapping_add(run));
        for (name, rule, cheat) in CHEATS {
            let mut log = honest.clone();
            if cheat(&mut log, &mut dice) {
                *tried.entry(name).or_default() += 1;
                let report = audit(&log);
                assert!(report.breaks(*rule), "run {run}: {name} was not caught:\n{report}");
            }
        }
    }
    for (name, ..) in CHEATS {
        assert!(tried.get(name).is_some_and(|times| *times >= 6), "{name}: tried {tried:?}");
    }
}

/// One of the records for which this holds.
fn some(log: &Log, dice: &mut Dice, holds: impl Fn(&Record) -> bool) -> Option<usize> {
    let all: Vec<usize> = (0..log.records.len()).filter(|number| holds(&log.records[*number])).collect();
    (!all.is_empty()).then(|| *dice.one_of(&all))
}

fn waits(record: &Record) -> bool {
    record.standing == Some(Standing::Waiting)
}

fn shared_place(log: &mut Log, dice: &mut Dice) -> bool {
    let Some(number) = some(log, dice, |record| record.asked == Asked::Poll && waits(record)) else { return false };
    let other = log.records[number].user;
    let Some(thief) = some(log, dice, |record| record.user != other && waits(record)) else { return false };
    let (token, issued_at) = (log.records[number].token, log.records[number].issued_at);
    (log.records[thief].token, log.records[thief].issued_at) = (token, issued_at);
    true
}

fn swapped_token(log: &mut Log, dice: &mut Dice) -> bool {
    let middle = |record: &Record| {
        let same = |other: &&Record| other.token == record.token && waits(other);
        let before = log.records.iter().filter(same).any(|other| other.answered + 1_000_000 < record.sent);
        let after = log.records.iter().filter(same).any(|other| other.sent > record.answered + 1_000_000);
        waits(record) && before && after
    };
    let Some(number) = some(log, dice, middle) else { return false };
    log.records[number].token = 1 << 100;
    true
}

/// When tokens were admitted, and when their entry was sent and answered.
fn admissions(log: &Log) -> Vec<(i64, u128, u64, u64)> {
    let mut all: BTreeMap<u128, i64> = BTreeMap::new();
    for record in &log.records {
        if let Some(until) = record.active_until {
            all.insert(record.token, until);
        }
    }
    let entered = |token: u128| log.records.iter().find(|record| record.token == token && record.code == 201);
    let known = all.into_iter().filter_map(|(token, until)| {
        let entry = entered(token)?;
        Some((until, token, entry.sent, entry.answered))
    });
    known.collect()
}

fn set_until(log: &mut Log, token: u128, until: i64) {
    for record in log.records.iter_mut().filter(|record| record.token == token && record.active_until.is_some()) {
        record.active_until = Some(until);
    }
}

fn swapped_admissions(log: &mut Log, dice: &mut Dice) -> bool {
    let mut all = admissions(log);
    all.sort_unstable();
    let first = usize::try_from(dice.below(all.len() as u64 / 2)).unwrap();
    let (until, token, _, answered) = all[first];
    let later = all.iter().find(|(others, _, sent, _)| *others > until && *sent > answered);
    let Some((others, other, ..)) = later.copied() else { return false };
    set_until(log, token, others);
    set_until(log, other, until);
    true
}

fn admitted_at_once(log: &mut Log, _: &mut Dice) -> bool {
    let mut all = admissions(log);
    all.sort_unstable();
    let many = log.room.admit_per_second as usize + 1;
    let Some(last) = all.get(many - 1).map(|(until, ..)| *until) else { return false };
    for (_, token, ..) in &all[..many] {
        set_until(log, *token, last - 1);
    }
    true
}

fn lasting_turns(log: &mut Log, _: &mut Dice) -> bool {
    let mut all = admissions(log);
    all.sort_unstable();
    let many = log.room.max_active as usize + 1;
    let Some((last, ..)) = all.get(many - 1).copied() else { return false };
    let lasts = i64::from(log.room.active_seconds) * 1_000;
    let until = u64::try_from(last - log.began_at - lasts).unwrap() * 1_000;
    // Each of them gets the answer, a second after the last admission, that the turn still runs. It must not be over.
    if all[0].0 <= last - lasts + 1_000 {
        return false;
    }
    for (_, token, ..) in &all[..many] {
        log.records.retain(|record| record.token != *token || !matches!(record.asked, Asked::Pay | Asked::Leave));
        let known = log.records.iter().find(|record| record.token == *token && record.active_until.is_some());
        let told = Record { sent: until + 1_000_000, answered: until + 1_010_000, ..*known.unwrap() };
        log.records.push(told);
    }
    true
}

fn too_high(log: &mut Log, dice: &mut Dice) -> bool {
    let Some(number) = some(log, dice, waits) else { return false };
    // More than there are people.
    log.records[number].position = 500_u32.try_into().ok();
    true
}

fn growing(log: &mut Log, dice: &mut Dice) -> bool {
    let polls = |record: &Record| record.asked == Asked::Poll && waits(record);
    let before = |later: &Record| {
        let earlier = |record: &&Record| {
            polls(record)
                && record.token == later.token
                && later.as_of.unwrap() > record.as_of.unwrap() + i64::from(log.room.as_of_millis_max)
        };
        log.records.iter().find(earlier).copied()
    };
    let Some(number) = some(log, dice, |later| waits(later) && before(later).is_some()) else { return false };
    let position = before(&log.records[number]).and_then(|earlier| earlier.position);
    log.records[number].position = position.and_then(|position| position.checked_add(1));
    true
}

fn old(log: &mut Log, dice: &mut Dice) -> bool {
    let Some(number) = some(log, dice, waits) else { return false };
    let sent = i64::try_from(log.records[number].sent / 1_000).unwrap();
    log.records[number].as_of = Some(log.began_at + sent - 260);
    true
}

fn waiting_again(log: &mut Log, dice: &mut Dice) -> bool {
    let Some(number) = some(log, dice, |record| record.active_until.is_some()) else { return false };
    let record = &mut log.records[number];
    // As the answer of a moment later, and of a later instant: a turn may begin in the millisecond in which it is shown.
    record.sent = record.answered;
    let later = Record {
        standing: Some(Standing::Waiting),
        position: 1_u32.try_into().ok(),
        as_of: Some(log.began_at + i64::try_from(record.answered / 1_000).unwrap() + 1),
        active_until: None,
        answered: record.answered + 1_000,
        ..*record
    };
    log.records.push(later);
    true
}
