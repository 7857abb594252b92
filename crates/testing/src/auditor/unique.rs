//! Uniqueness: one user a token, one live token a user; a user who enters again while it lives gets it again.

use std::collections::HashMap;

use super::lives::{Life, Lives, described_at};
use super::{Log, Lost, Record, Report, Rule, Standing};

pub(super) fn check(log: &Log, lives: &Lives<'_>, report: &mut Report) {
    let mut by_user: HashMap<u32, Vec<&Life>> = HashMap::new();
    for life in &lives.all {
        one_user(log, lives, life, report);
        by_user.entry(life.asked.user).or_default().push(life);
    }
    let windows = log.windows(Lost::Memory);
    for of_user in by_user.into_values().filter(|lives| lives.len() > 1) {
        for one in &of_user {
            for other in of_user.iter().filter(|other| other.asked.token != one.asked.token) {
                one_token(log, lives, (one, other), &windows, report);
            }
        }
    }
}

/// All answers about one token name the same user and the same moment, and one of them shows a new place.
fn one_user(log: &Log, lives: &Lives<'_>, life: &Life, report: &mut Report) {
    let mut new: Option<&Record> = None;
    for record in lives.records(life).filter(|record| record.standing.is_some()) {
        report.checked(Rule::Unique, 1);
        if record.user != life.shown.user {
            report.broken(Rule::Unique, log, || "two users have one token".to_owned(), &[life.shown, *record]);
        }
        if record.issued_at != life.shown.issued_at {
            let why = || "answers show two instants of issue for one token".to_owned();
            report.broken(Rule::Unique, log, why, &[life.shown, *record]);
        }
        if record.code != 201 {
            continue;
        }
        if let Some(earlier) = new {
            report.broken(Rule::Unique, log, || "one place is new twice".to_owned(), &[*earlier, *record]);
        }
        new = Some(record);
    }
}

/// The answers that show these states of a token. An answer of an instance that has not learned of the end of a turn
/// is left out.
fn living<'a>(lives: &Lives<'a>, life: &Life, counts: fn(&Record) -> bool) -> Vec<&'a Record> {
    let ended = |record: &Record| record.standing == Some(Standing::Active) && record.sent > life.ended_after;
    lives.records(life).filter(|record| counts(record) && !ended(record)).collect()
}

/// While one token of a user surely lives, no answer shows another live token.
fn one_token(log: &Log, lives: &Lives<'_>, (one, other): (&Life, &Life), windows: &[(i64, i64)], report: &mut Report) {
    let until_told = |life: &Life| {
        let (from, until) = (log.earliest(life.after()), log.latest(life.before()));
        windows.iter().any(|(lost, known)| until >= *lost && from <= *known)
    };
    // After a loss, a user who enters before the token was shown again may get a second place, but never a second turn.
    let counts: fn(&Record) -> bool = if until_told(one) || until_told(other) {
        |record| record.standing == Some(Standing::Active)
    } else {
        Record::is_live
    };
    let living_one = living(lives, one, counts);
    let Some(first) = living_one.iter().min_by_key(|record| record.answered) else { return };
    let Some(last) = living_one.iter().max_by_key(|record| described_at(log, record)) else { return };
    for record in living(lives, other, counts) {
        report.checked(Rule::Unique, 1);
        if log.latest(first.answered) < described_at(log, record)
            && log.latest(record.answered) < described_at(log, last)
        {
            let why = || "one user has two tokens at once".to_owned();
            return report.broken(Rule::Unique, log, why, &[**first, *record, **last]);
        }
    }
}
