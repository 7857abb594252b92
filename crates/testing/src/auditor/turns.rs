//! Turns: the answers about one token fit together. It waits, then its turn runs, then it is over and stays over. A turn
//! ends by its user, by time, or by silence. During the turn every call is allowed, before it none.

use super::lives::{Life, Lives, described_at};
use super::{Asked, Log, Lost, Record, Report, Rule, Standing};

pub(super) fn check(log: &Log, lives: &Lives<'_>, report: &mut Report) {
    let turns = Turns { log, lives, forgetful: log.windows(Lost::Memory), late: log.windows(Lost::Time) };
    let shown = |life: &Life| Some(life.waited?.at - life.admitted?.at);
    let latest = lives.all.iter().filter_map(shown).max().unwrap_or(0).max(0);
    report.note(format!("an admission was seen to show {latest} ms late at most"));
    for life in &lives.all {
        turns.never_back(life, report);
        turns.ends_for_a_reason(life, report);
        turns.lets_in(life, report);
    }
}

struct Turns<'a> {
    log: &'a Log,
    lives: &'a Lives<'a>,
    /// When tokens may count as given up until their users show them.
    forgetful: Vec<(i64, i64)>,
    /// When signs of life may get lost.
    late: Vec<(i64, i64)>,
}

impl<'a> Turns<'a> {
    fn answers(&self, life: &'a Life, standing: Standing) -> impl Iterator<Item = &'a Record> {
        self.lives.records(life).filter(move |record| record.standing == Some(standing))
    }

    /// From waiting to the turn, from the turn to its end, and never back.
    fn never_back(&self, life: &Life, report: &mut Report) {
        let log = self.log;
        if let (Some(waited), Some(admitted)) = (life.waited, life.admitted) {
            report.checked(Rule::Turns, 1);
            if waited.at > admitted.at + i64::from(log.room.shows_millis_max) {
                let why = || format!("it waits {} ms after it was admitted", waited.at - admitted.at);
                report.broken(Rule::Turns, log, why, &[admitted.by, waited.by]);
            }
        }
        let Some(over) = self.answers(life, Standing::Expired).min_by_key(|record| record.answered) else { return };
        // An instance that has not learned of the change yet may be behind by the age of a snapshot.
        let apart = i64::from(log.room.as_of_millis_max);
        let as_of = |record: &&Record| match record.standing {
            Some(Standing::Active) => log.earliest(record.sent) - apart,
            _ => described_at(log, record),
        };
        let live = self.lives.records(life).filter(|record| record.is_live()).max_by_key(as_of);
        let Some(live) = live else { return };
        report.checked(Rule::Turns, 1);
        let at = log.latest(over.answered);
        let excused = self.forgetful.iter().any(|(from, until)| (*from..=*until).contains(&at));
        if as_of(&live) > at && !excused {
            report.broken(Rule::Turns, log, || "it lives after its end".to_owned(), &[*over, *live]);
        }
    }

    /// If a user neither left nor paid, and the time was not over, the user must have been silent for long enough.
    fn ends_for_a_reason(&self, life: &Life, report: &mut Report) {
        let log = self.log;
        let Some(over) = self.answers(life, Standing::Expired).min_by_key(|record| record.answered) else { return };
        let at = log.latest(over.answered);
        let lasts = i64::from(log.room.active_seconds) * 1_000;
        let out_of_time = life.admitted.is_some_and(|told| told.at + lasts <= at);
        if life.ended_after < over.answered || out_of_time {
            return;
        }
        let before = self.lives.records(life).filter(|record| record.answered < over.sent && record.is_done());
        // A user who waited was admitted after that at the earliest, and the silence began then.
        let shows = i64::from(log.room.shows_millis_max);
        let opens_at = log.opening.as_ref().map_or(i64::MIN, |opening| opening.opens_at);
        let sign = |record: &&Record| match record.standing {
            Some(Standing::Early) => opens_at.max(described_at(log, record) - shows),
            Some(Standing::Waiting) => described_at(log, record) - shows,
            _ => log.earliest(record.sent),
        };
        let Some(last) = before.max_by_key(sign) else { return };
        let used = |record: &&Record| matches!(record.asked, Asked::Use | Asked::Hold) && record.is_done();
        let used = self.lives.records(life).filter(used).find(|record| record.answered < over.sent);
        let silence = at - sign(&last);
        let allowed = match used {
            Some(_) => lasts,
            None => lasts.min(i64::from(log.room.claim_seconds) * 1_000),
        };
        let heard = |window: &(i64, i64)| window.1 >= at - silence && window.0 <= at;
        if self.late.iter().any(heard) {
            return;
        }
        report.checked(Rule::Turns, 1);
        if silence < allowed {
            let why = || format!("it is over after a silence of at most {silence} ms, and for no other reason");
            report.broken(Rule::Turns, log, why, &[*last, *over]);
        }
    }

    /// No call is allowed before the turn, and none is refused while it runs.
    fn lets_in(&self, life: &Life, report: &mut Report) {
        let log = self.log;
        for record in self.lives.records(life).filter(|record| matches!(record.asked, Asked::Use | Asked::Hold)) {
            if record.is_done() {
                report.checked(Rule::Turns, 1);
                let later = life.admitted.or(life.waited).filter(|told| told.at > log.latest(record.answered));
                if let Some(later) = later {
                    let why = || "it is let in before its turn".to_owned();
                    report.broken(Rule::Turns, log, why, &[*record, later.by]);
                }
            }
            if record.code != 403 {
                continue;
            }
            let ends = life.admitted.map(|told| told.at + i64::from(log.room.active_seconds) * 1_000);
            let in_time = ends.is_some_and(|ends| log.latest(record.answered) < ends);
            let before = self.answers(life, Standing::Active).find(|active| active.answered < record.sent);
            let after = self.answers(life, Standing::Active).find(|active| active.sent > record.answered);
            let (Some(before), Some(after)) = (before, after) else { continue };
            report.checked(Rule::Turns, 1);
            if in_time {
                let why = || "it is refused while its turn runs".to_owned();
                report.broken(Rule::Turns, log, why, &[*before, *record, *after]);
            }
        }
    }
}
