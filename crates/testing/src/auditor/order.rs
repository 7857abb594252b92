//! Order: whose entry was answered before another's was sent is admitted no later than the other.
//!
//! Where the first is not known to be admitted, it was not so as of the last answer that let it wait, and nobody who
//! came later may have been admitted before that. One who left or lapsed was in line until then all the same.

use super::lives::{Life, Lives, Told};
use super::{Log, Lost, Report, Rule};

pub(super) fn check(log: &Log, lives: &Lives<'_>, report: &mut Report) {
    let mut first: Vec<&Life> = lives.all.iter().filter(|life| life.admitted_no_earlier(log).is_some()).collect();
    let mut later: Vec<(&Life, Told)> =
        lives.all.iter().filter_map(|life| life.admitted.map(|told| (life, told))).collect();
    first.sort_unstable_by_key(|life| life.before());
    later.sort_unstable_by_key(|(life, _)| life.after());
    let windows = log.windows(Lost::Memory);
    let mut first = first.into_iter().peekable();
    let mut last: Option<(&Life, Told)> = None;
    for (life, admitted) in later {
        while let Some(ahead) = first.next_if(|ahead| ahead.before() < life.after()) {
            let told = ahead.admitted_no_earlier(log).filter(|told| last.is_none_or(|(_, known)| known.at < told.at));
            last = told.map(|told| (ahead, told)).or(last);
        }
        let Some((ahead, told)) = last else { continue };
        report.checked(Rule::Order, 1);
        // Who was not heard yet after a loss is not waited for.
        let excused = windows.iter().any(|(from, until)| (*from..=*until).contains(&admitted.at));
        if told.at > admitted.at && !excused {
            let why = || {
                format!(
                    "{} came before {}, and was admitted no earlier than {} ms after",
                    log.name(ahead.asked.user),
                    log.name(life.asked.user),
                    told.at - admitted.at
                )
            };
            report.broken(Rule::Order, log, why, &[ahead.shown, told.by, life.asked, admitted.by]);
        }
    }
}
