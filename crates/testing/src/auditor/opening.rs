//! Opening: no user is admitted, and no call uses a turn, before the room opens. Draw: the list has the users who entered before its
//! closing, each once. They are admitted in the drawn order, and all others behind them.

use std::collections::HashMap;

use super::lives::{Life, Lives, Told};
use super::{Asked, Drawn, Log, Lost, Report, Rule};

pub(super) fn check(log: &Log, lives: &Lives<'_>, report: &mut Report) {
    let Some(opening) = &log.opening else { return };
    for life in &lives.all {
        opens(log, lives, life, opening.opens_at, report);
    }
    if let Some(drawn) = &opening.drawn {
        list(log, lives, drawn, report);
        order(log, lives, drawn, report);
        positions(log, lives, drawn, report);
    }
}

/// Neither an answer nor a call that succeeded shows a turn before the opening.
fn opens(log: &Log, lives: &Lives<'_>, life: &Life, opens_at: i64, report: &mut Report) {
    if let Some(told) = life.admitted {
        report.checked(Rule::Opening, 1);
        if told.at < opens_at {
            let why = || format!("it was admitted {} ms before the opening", opens_at - told.at);
            report.broken(Rule::Opening, log, why, &[told.by]);
        }
    }
    let uses = |asked| matches!(asked, Asked::Use | Asked::Hold | Asked::Pay);
    for record in lives.records(life).filter(|record| uses(record.asked) && record.is_done()) {
        report.checked(Rule::Opening, 1);
        if log.latest(record.answered) < opens_at {
            report.broken(Rule::Opening, log, || "it is let in before the opening".to_owned(), &[*record]);
        }
    }
}

/// A user who surely entered before the closing and did not leave is on the list, one who surely entered later is not, and none is on
/// it twice. No place is drawn twice.
fn list(log: &Log, lives: &Lives<'_>, drawn: &Drawn, report: &mut Report) {
    let mut by_user: HashMap<u32, &Life> = HashMap::new();
    for life in &lives.all {
        report.checked(Rule::Draw, 1);
        let left = life.ended_after != u64::MAX && log.earliest(life.ended_after) <= drawn.closed_at;
        if drawn.places.contains_key(&life.shown.token) {
            if log.earliest(life.after()) > drawn.closed_at {
                let why = || "it is on the list and entered after the closing".to_owned();
                report.broken(Rule::Draw, log, why, &[life.asked]);
            }
            if let Some(other) = by_user.insert(life.shown.user, life) {
                let why = || "one user is on the list twice".to_owned();
                report.broken(Rule::Draw, log, why, &[other.shown, life.shown]);
            }
        } else if log.latest(life.before()) < drawn.closed_at && !left {
            let why = || "it entered before the closing and is not on the list".to_owned();
            report.broken(Rule::Draw, log, why, &[life.shown]);
        }
    }
    let mut places: Vec<u32> = drawn.places.values().copied().collect();
    places.sort_unstable();
    report.checked(Rule::Draw, places.len());
    if !places.iter().copied().eq((1..).take(places.len())) {
        report.broken(Rule::Draw, log, || "the drawn places are not 1, 2, 3 and so on".to_owned(), &[]);
    }
}

/// A drawn place is admitted no later than those behind it. A user who left or expired was in line until then.
fn order(log: &Log, lives: &Lives<'_>, drawn: &Drawn, report: &mut Report) {
    let place = |life: &Life| drawn.places.get(&life.shown.token).copied().unwrap_or(u32::MAX);
    let mut all: Vec<&Life> = lives.all.iter().collect();
    all.sort_unstable_by_key(|life| place(life));
    let windows = log.windows(Lost::Memory);
    let mut last: Option<(&Life, Told)> = None;
    for life in all {
        // Users who are not on the list are behind all who are. Their own order is that of their entries.
        let ahead = last.filter(|(ahead, _)| place(ahead) < place(life));
        if let (Some((ahead, told)), Some(admitted)) = (ahead, life.admitted) {
            report.checked(Rule::Draw, 1);
            let excused = windows.iter().any(|(from, until)| (*from..=*until).contains(&admitted.at));
            if told.at > admitted.at && !excused {
                let why = || {
                    let (first, later) = (log.name(ahead.asked.user), log.name(life.asked.user));
                    let late = told.at - admitted.at;
                    format!("{first} was drawn before {later}, and was admitted no earlier than {late} ms after")
                };
                report.broken(Rule::Draw, log, why, &[told.by, admitted.by]);
            }
        }
        if place(life) < u32::MAX
            && let Some(told) = life.admitted_no_earlier(log)
            && last.is_none_or(|(_, known)| known.at < told.at)
        {
            last = Some((life, told));
        }
    }
}

/// A drawn user stands no further back than the drawn place: only users ahead can leave.
fn positions(log: &Log, lives: &Lives<'_>, drawn: &Drawn, report: &mut Report) {
    for life in &lives.all {
        let Some(place) = drawn.places.get(&life.shown.token) else { continue };
        for record in lives.records(life) {
            let Some(position) = record.position else { continue };
            report.checked(Rule::Draw, 1);
            if position.get() > *place {
                let why = || format!("the position is {position}, and the drawn place {place}");
                report.broken(Rule::Draw, log, why, &[*record]);
            }
        }
    }
}
