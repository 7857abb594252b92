//! What an audit found.

use std::fmt;

use super::{Log, Record};

/// A rule of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// One live token a user, one user a token; who enters again while the token lives gets it again.
    Unique,
    /// What is told of one token fits together: it waits, then its turn runs, then it is over; no turn ends early.
    Turns,
    /// Whose entry was answered before another's was sent is admitted no later.
    Order,
    /// No more turns run at once than may.
    Cap,
    /// No more are admitted within any one second than may be.
    Rate,
    /// No position grows.
    Growth,
    /// A position is the number of those who are still in line up to and including the caller.
    Exact,
    /// What is told is not older than it may be.
    Age,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Unique, Self::Turns, Self::Order, Self::Cap, Self::Rate, Self::Growth, Self::Exact, Self::Age];

    fn name(self) -> &'static str {
        match self {
            Self::Unique => "unique",
            Self::Turns => "turns",
            Self::Order => "order",
            Self::Cap => "cap",
            Self::Rate => "rate",
            Self::Growth => "growth",
            Self::Exact => "exact",
            Self::Age => "age",
        }
    }

    fn index(self) -> usize {
        Self::ALL.iter().position(|rule| *rule == self).unwrap_or(0)
    }
}

/// Answers that contradict each other.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule that does not hold.
    pub rule: Rule,
    /// Why not, and the answers that say so, in words.
    pub what: String,
    /// The answers.
    pub records: Vec<Record>,
}

/// How many contradictions of a rule are kept in words.
const SHOWN: usize = 3;

/// What was looked at for a rule.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// Comparisons that the log allowed to be made.
    checked: u64,
    /// Those that ended in a contradiction.
    broken: u64,
}

/// The result of an audit.
#[derive(Clone, Debug)]
pub struct Report {
    /// The first contradictions of each rule.
    pub findings: Vec<Finding>,
    counts: [Count; Rule::ALL.len()],
    /// What is in the log, in words.
    about: String,
    /// What was found out beside the rules, in words.
    notes: Vec<String>,
}

impl Report {
    pub(super) fn of(log: &Log) -> Self {
        let about = format!("{} answers, {} faults declared", log.records.len(), log.faults.len());
        Self { findings: Vec::new(), counts: Default::default(), about, notes: Vec::new() }
    }

    /// Counts comparisons.
    pub(super) fn checked(&mut self, rule: Rule, many: usize) {
        self.counts[rule.index()].checked += many as u64;
    }

    /// Adds a contradiction.
    pub(super) fn broken(&mut self, rule: Rule, log: &Log, why: impl FnOnce() -> String, records: &[Record]) {
        let count = &mut self.counts[rule.index()];
        count.broken += 1;
        if count.broken <= SHOWN as u64 {
            let told = records.iter().map(|record| format!("\n    {}", log.tell(record)));
            let what = format!("{}{}", why(), told.collect::<String>());
            self.findings.push(Finding { rule, what, records: records.to_vec() });
        }
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Whether nothing contradicts anything.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// How many comparisons were made for a rule: a log that allows none proves nothing.
    pub fn checks(&self, rule: Rule) -> u64 {
        self.counts[rule.index()].checked
    }

    /// Whether this rule is broken.
    pub fn breaks(&self, rule: Rule) -> bool {
        self.counts[rule.index()].broken > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "audit of {}", self.about)?;
        for rule in Rule::ALL {
            let Count { checked, broken } = self.counts[rule.index()];
            let verdict = match (checked, broken) {
                (0, 0) => "nothing to compare".to_owned(),
                (_, 0) => "holds".to_owned(),
                _ => format!("BROKEN {broken} times"),
            };
            writeln!(f, "  {:<7} {checked:>10} comparisons  {verdict}", rule.name())?;
        }
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        for finding in &self.findings {
            writeln!(f, "  {}: {}", finding.rule.name(), finding.what)?;
        }
        Ok(())
    }
}
