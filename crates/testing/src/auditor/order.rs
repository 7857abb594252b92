//! Order: if one entry was answered before another was sent, it is admitted no later than the other.
//!
//! If the admission of the first is unknown, it was not admitted as of its last answer with a position, and no user who
//! came later may have been admitted before that. A user who left or expired was in line until then.

use super::lives::{Life, Lives, Told};
use super::{Log, Lost, Report, Rule};

pub(super) fn check(log: &Log, lives: &Lives<'_>, report: &mut Report) {
    // The order of those on the list of a draw is not that of their entries.
    let by_entry = || lives.all.iter().filter(|life| !log.is_drawn(life.shown.token));
    let mut first: Vec<&Life> = by_entry().filter(|life| life.admitted_no_earlier(log).is_some()).collect();
    let mut later: Vec<(&Life, Told)> = by_entry().filter_map(|life| life.admitted.map(|told| (life, told))).collect();
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
        // After a loss, admission does not wait for a user who has not shown the token again.
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
