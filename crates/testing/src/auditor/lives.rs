//! What the log proves of each token: when its place was handed out, until when it surely waited,
//! when it was admitted, and from when it is surely not in line.

use std::collections::HashMap;
use std::ops::Range;

use super::{Asked, Log, Record, Report, Rule, Standing};

/// An instant of the room's clock, and the record that shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) at: i64,
    pub(super) by: Record,
}

/// A token's life, from its entry to its end, as the answers show it.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// The place was handed out after this record was sent.
    pub(super) asked: Record,
    /// The place was handed out before this record was answered.
    pub(super) shown: Record,
    /// When it was admitted, if an answer shows it.
    pub(super) admitted: Option<Told>,
    /// The last instant at which it surely waited.
    pub(super) waited: Option<Told>,
    /// From this instant on it is surely not in line.
    pub(super) gone: i64,
    /// When its user first asked to leave or to pay, if that may have succeeded.
    pub(super) ended_after: u64,
    records: Range<usize>,
}

impl Life {
    /// When the request that created the place was sent.
    pub(super) fn after(&self) -> u64 {
        self.asked.sent
    }

    /// When the place surely existed.
    pub(super) fn before(&self) -> u64 {
        self.shown.answered
    }

    /// It was surely not admitted before this instant.
    pub(super) fn admitted_no_earlier(&self, log: &Log) -> Option<Told> {
        let shows = i64::from(log.room.shows_millis_max);
        self.admitted.or(self.waited.map(|told| Told { at: told.at - shows, ..told }))
    }
}

/// All tokens of a log.
pub(super) struct Lives<'a> {
    log: &'a Log,
    pub(super) all: Vec<Life>,
    /// Numbers of records, by token and then by the time at which they were sent.
    by_token: Vec<u32>,
    /// When requests to enter were sent that may have created a place that no answer shows.
    pub(super) untold: Vec<u64>,
}

impl<'a> Lives<'a> {
    pub(super) fn of(log: &'a Log, report: &mut Report) -> Self {
        let many = u32::try_from(log.records.len()).unwrap_or(u32::MAX);
        let record = |number: &u32| &log.records[*number as usize];
        let mut by_token: Vec<u32> = (0..many).filter(|number| record(number).token != 0).collect();
        by_token.sort_unstable_by_key(|number| (record(number).token, record(number).sent));
        let mut first_untold: HashMap<u32, Record> = HashMap::new();
        let mut untold = Vec::new();
        for record in log.records.iter().filter(|record| record.asked == Asked::Enter && record.standing.is_none()) {
            if record.may_be_done() {
                untold.push(record.sent);
                let first = first_untold.entry(record.user).or_insert(*record);
                *first = if record.sent < first.sent { *record } else { *first };
            }
        }
        untold.sort_unstable();
        let mut all = Vec::new();
        let mut from = 0;
        for group in by_token.chunk_by(|one, other| record(one).token == record(other).token) {
            let records: Vec<Record> = group.iter().map(record).copied().collect();
            let range = from..from + records.len();
            from = range.end;
            all.extend(life(log, &records, range, &first_untold));
            admissions_agree(log, &records, report);
        }
        Self { log, all, by_token, untold }
    }

    /// The records of a token, in the order in which they were sent.
    pub(super) fn records(&self, life: &Life) -> impl Iterator<Item = &'a Record> {
        self.by_token[life.records.clone()].iter().map(|number| &self.log.records[*number as usize])
    }
}

/// The earliest instant that an answer may describe: a position names its instant, all other fields are as of the call. A
/// turn that has just ended may be shown as of the moment before its end.
pub(super) fn described_at(log: &Log, record: &Record) -> i64 {
    let called = log.earliest(record.sent);
    match record.standing {
        Some(Standing::Early | Standing::Waiting) => record.as_of.unwrap_or(called),
        Some(Standing::Active) => record.active_until.map_or(called, |until| called.min(until - 1)),
        _ => called,
    }
}

/// Returns `None` if no answer shows the token: a client invented it.
fn life(log: &Log, records: &[Record], range: Range<usize>, untold: &HashMap<u32, Record>) -> Option<Life> {
    let told = || records.iter().filter(|record| record.standing.is_some());
    let shown = *told().min_by_key(|record| record.answered)?;
    let first = || told().filter(|record| record.asked == Asked::Enter);
    // An answer with a new place comes from the request that created it. An answer with a known place comes from any later request.
    let asked = first().find(|record| record.code == 201).copied().unwrap_or_else(|| {
        let known = first().min_by_key(|record| record.sent).copied().unwrap_or(Record { sent: 0, ..shown });
        untold.get(&known.user).filter(|earlier| earlier.sent < known.sent).copied().unwrap_or(known)
    });
    let waited = told().filter(|record| record.waits());
    let waited = waited.filter_map(|record| Some(Told { at: record.as_of?, by: *record })).max_by_key(|told| told.at);
    let admitted = admissions(log, records).map(|(told, _)| told).min_by_key(|told| told.at);
    let is_gone = |record: &&Record| {
        let over = matches!(record.standing, Some(Standing::Active | Standing::Expired));
        over || (record.asked == Asked::Leave && record.is_done())
    };
    let gone = records.iter().filter(is_gone).map(|record| log.latest(record.answered)).min().unwrap_or(i64::MAX);
    let ends = |record: &&Record| matches!(record.asked, Asked::Leave | Asked::Pay) && record.may_be_done();
    Some(Life {
        asked,
        shown,
        gone: admitted.map_or(gone, |told| gone.min(told.at + i64::from(log.room.shows_millis_max))),
        admitted,
        waited,
        ended_after: records.iter().filter(ends).map(|record| record.sent).min().unwrap_or(u64::MAX),
        records: range,
    })
}

/// When the token was admitted, by each answer that shows it: a turn lasts `activeSeconds`, and can last longer only
/// after its user asked for seats.
fn admissions<'r>(log: &Log, records: &'r [Record]) -> impl Iterator<Item = (Told, i64)> + use<'r> {
    let lasts = i64::from(log.room.active_seconds) * 1_000;
    let holds = records.iter().filter(|record| record.asked == Asked::Hold).map(|record| record.sent);
    let held = holds.min().unwrap_or(u64::MAX);
    let active = records.iter().filter(move |record| record.standing == Some(Standing::Active));
    active.filter(move |record| record.answered < held).filter_map(move |record| {
        let until = record.active_until?;
        Some((Told { at: until - lasts, by: *record }, until))
    })
}

fn admissions_agree(log: &Log, records: &[Record], report: &mut Report) {
    let mut all = admissions(log, records);
    let Some((first, until)) = all.next() else { return };
    for (other, others) in all {
        report.checked(Rule::Turns, 1);
        if until != others {
            report.broken(Rule::Turns, log, || "one token has two turns".to_owned(), &[first.by, other.by]);
        }
    }
}
