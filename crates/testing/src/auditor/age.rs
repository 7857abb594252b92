//! Age: an answer is not older than the limit while the room's home answers, and never from the future. A turn is shown as
//! of a moment before its end.

use super::{Log, Lost, Report, Rule};

pub(super) fn check(log: &Log, report: &mut Report) {
    let windows = log.windows(Lost::Time);
    let allowed = i64::from(log.room.as_of_millis_max);
    let mut oldest = 0;
    for record in &log.records {
        let Some(as_of) = record.as_of else { continue };
        report.checked(Rule::Age, 1);
        let ahead = as_of - log.latest(record.answered);
        if ahead > 0 {
            report.broken(Rule::Age, log, || format!("the answer is {ahead} ms ahead of its time"), &[*record]);
        }
        // The server may have read the position at any moment of the call. The request time is the most lenient choice.
        let age = log.earliest(record.sent) - record.active_until.map_or(as_of, |until| as_of.min(until - 1));
        let excused = windows.iter().any(|(from, until)| as_of <= *until && log.latest(record.answered) >= *from);
        if excused {
            continue;
        }
        oldest = oldest.max(age);
        if age > allowed {
            report.broken(Rule::Age, log, || format!("the answer is {age} ms old, not {allowed}"), &[*record]);
        }
    }
    report.note(format!("the oldest answer outside of faults was {oldest} ms old when its request was sent"));
}
