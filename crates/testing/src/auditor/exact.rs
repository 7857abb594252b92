//! Exactness: a position is at least the number of users who were surely ahead and in line, and at most the number of
//! users who may have been, the caller included.
//!
//! Each answer is compared with every token, so a log with many answers is sampled.

use std::collections::BTreeSet;

use super::lives::{Life, Lives};
use super::{Log, Lost, Record, Report, Rule};
use crate::workload::Dice;

/// Maximum number of comparisons of an answer with a token.
const COMPARED_MAX: usize = 200_000_000;

/// A token in line, as other users see it.
struct Other {
    /// When the request to enter was sent and answered.
    after: u64,
    before: u64,
    /// Surely in line up to this instant, once handed out.
    waits: i64,
    /// Surely not in line from this instant on.
    gone: i64,
}

/// The data that positions are compared with.
struct Line<'a> {
    log: &'a Log,
    others: Vec<Other>,
    /// For each admission, in order, the latest entry among all users admitted by then: every user who surely entered before
    /// that entry was admitted or has left.
    called: Vec<(i64, u64)>,
    untold: &'a [u64],
}

pub(super) fn check(log: &Log, lives: &Lives<'_>, report: &mut Report) {
    let line = Line::of(log, lives);
    let windows = log.windows(Lost::Memory);
    let mut answers: Vec<(usize, &Record)> = Vec::new();
    // Who is ahead of a drawn place does not follow from the entries.
    for (number, life) in lives.all.iter().enumerate().filter(|(_, life)| !log.is_drawn(life.shown.token)) {
        answers.extend(lives.records(life).filter(|record| record.position.is_some()).map(|record| (number, record)));
    }
    let most = COMPARED_MAX / lives.all.len().max(1);
    for (number, record) in sample(answers, most) {
        let (Some(position), Some(as_of)) = (record.position, record.as_of) else { continue };
        if windows.iter().any(|(from, until)| (*from..=*until).contains(&as_of)) {
            continue;
        }
        report.checked(Rule::Exact, 1);
        let (surely, perhaps) = line.bounds(number, record, as_of);
        let allowed = surely + 1..=perhaps + 1;
        if !allowed.contains(&position.get()) {
            let why = || format!("the position is {position}, not {} to {}", allowed.start(), allowed.end());
            report.broken(Rule::Exact, log, why, &[*record, lives.all[number].asked]);
        }
    }
}

/// At most this many, sampled evenly with a fixed seed.
fn sample<T: Copy>(all: Vec<T>, most: usize) -> Vec<T> {
    if all.len() <= most {
        return all;
    }
    let mut dice = Dice::new(all.len() as u64);
    let mut chosen = BTreeSet::new();
    while chosen.len() < most {
        chosen.insert(usize::try_from(dice.below(all.len() as u64)).unwrap_or(0));
    }
    chosen.into_iter().map(|number| all[number]).collect()
}

impl<'a> Line<'a> {
    fn of(log: &'a Log, lives: &'a Lives<'_>) -> Self {
        let other = |life: &Life| {
            // In the millisecond of its admission it may be in line or not.
            let waits = life.admitted.map(|told| told.at - 1).max(life.waited.map(|told| told.at));
            Other { after: life.after(), before: life.before(), waits: waits.unwrap_or(i64::MIN), gone: life.gone }
        };
        let by_entry = lives.all.iter().filter(|life| !log.is_drawn(life.shown.token));
        let mut called: Vec<(i64, u64)> = by_entry.filter_map(|life| Some((life.admitted?.at, life.after()))).collect();
        called.sort_unstable();
        let mut last = 0;
        for (_, entered) in &mut called {
            last = last.max(*entered);
            *entered = last;
        }
        Self { log, others: lives.all.iter().map(other).collect(), called, untold: &lives.untold }
    }

    /// The number of users who were surely ahead of a token and in line, and of those who may have been, for one answer.
    fn bounds(&self, number: usize, record: &Record, as_of: i64) -> (u32, u32) {
        let own = &self.others[number];
        // An answer may know a little more than the state at the instant that it names, but nothing that happened after it was sent.
        let known = self.log.latest(record.answered).min(as_of + i64::from(self.log.room.as_of_millis_max));
        let shows = i64::from(self.log.room.shows_millis_max);
        let called = self.called.partition_point(|(at, _)| *at + shows < as_of);
        let called = if called == 0 { 0 } else { self.called[called - 1].1 };
        let (mut surely, mut perhaps) = (0, 0);
        for (_, other) in self.others.iter().enumerate().filter(|(other, _)| *other != number) {
            surely += u32::from(other.before < own.after && other.waits >= known);
            let may_be_ahead = own.before >= other.after && self.log.earliest(other.after) <= known;
            perhaps += u32::from(may_be_ahead && other.gone >= as_of && other.before >= called);
        }
        let untold = self.untold.partition_point(|sent| *sent <= own.before && self.log.earliest(*sent) <= known);
        (surely, perhaps.saturating_add(u32::try_from(untold).unwrap_or(u32::MAX)))
    }
}
