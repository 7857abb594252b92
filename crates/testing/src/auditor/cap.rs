//! The cap, checked with the turns that the log proves to run at one instant; and the rate.
//!
//! The rate is checked in its strict form: no window of one second, wherever it begins, has more admissions than
//! `admitPerSecond`. A token bucket that refills during a burst would admit nearly twice as many in one second. "At most
//! `admitPerSecond` become so each second" forbids that, and "a burst of one second's worth" is a second whose
//! admissions come at once. Admissions are compared only with each other, all by the room's clock, so the only
//! uncertain admissions are those that no answer shows.

use super::lives::{Life, Lives, Told, described_at};
use super::{Log, Record, Report, Rule, Standing};

const SECOND: i64 = 1_000;

pub(super) fn check(log: &Log, lives: &Lives<'_>, report: &mut Report) {
    let mut admitted: Vec<(&Life, Told)> =
        lives.all.iter().filter_map(|life| life.admitted.map(|told| (life, told))).collect();
    admitted.sort_unstable_by_key(|(_, told)| told.at);
    cap(log, lives, &admitted, report);
    rate(log, &admitted, report);
}

fn cap(log: &Log, lives: &Lives<'_>, admitted: &[(&Life, Told)], report: &mut Report) {
    // An answer gives the begin of a turn in whole milliseconds, so the turn surely runs from the next millisecond on. If
    // one turn ends when another begins, the end counts first.
    let mut steps: Vec<(i64, bool, Record)> = Vec::new();
    for (life, told) in admitted {
        // After its own end a turn does not run, even if an instance that has not learned of the end still reports it. An
        // answer that comes just after the end of the time that it names describes the moment before this end.
        let active = |record: &&Record| record.standing == Some(Standing::Active) && record.sent < life.ended_after;
        let active = lives.records(life).filter(active);
        let Some(last) = active.max_by_key(|record| record.sent) else { continue };
        let (begins, ends) = (told.at + 1, described_at(log, last));
        if begins < ends {
            steps.extend([(begins, true, *last), (ends, false, *last)]);
        }
    }
    steps.sort_unstable_by_key(|(at, begins, _)| (*at, *begins));
    let (mut running, mut most) = (0_u32, 0);
    let mut longest: Option<(i64, Record)> = None;
    for (at, begins, record) in steps {
        if !begins {
            running -= 1;
            continue;
        }
        running += 1;
        most = most.max(running);
        report.checked(Rule::Cap, 1);
        if running > log.room.max_active {
            let (_, other) = longest.unwrap_or((at, record));
            let why = || format!("{running} turns run at once, not {}", log.room.max_active);
            report.broken(Rule::Cap, log, why, &[record, other]);
        }
        if longest.is_none_or(|(known, _)| known < at) {
            longest = Some((at, record));
        }
    }
    report.note(format!("at most {most} turns were seen to run at once, of {} allowed", log.room.max_active));
}

fn rate(log: &Log, admitted: &[(&Life, Told)], report: &mut Report) {
    let allowed = log.room.admit_per_second as usize;
    let mut most = 0;
    let mut first = 0;
    for (number, (_, told)) in admitted.iter().enumerate() {
        while admitted[first].1.at + SECOND <= told.at {
            first += 1;
        }
        let within = number - first + 1;
        most = most.max(within);
        report.checked(Rule::Rate, 1);
        if within > allowed {
            let why = || format!("{within} were admitted within a second, not {allowed}");
            report.broken(Rule::Rate, log, why, &[admitted[first].1.by, told.by]);
        }
    }
    report.note(format!("at most {most} were seen to be admitted within a second, of {allowed} allowed"));
}
