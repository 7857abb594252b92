//! The result of an audit.

use std::fmt;

use super::{Log, Record};

/// A rule of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// One live token a user, one user a token. A user who enters again while the token lives gets it again.
    Unique,
    /// The answers about one token fit together: it waits, then its turn runs, then it is over; no turn ends early.
    Turns,
    /// If one entry was answered before another was sent, it is admitted no later.
    Order,
    /// The number of running turns never exceeds the cap.
    Cap,
    /// The number of admissions in any one second never exceeds the rate.
    Rate,
    /// A token's position never grows.
    Growth,
    /// A position is the number of users who are still in line up to and including the caller.
    Exact,
    /// No answer is older than allowed.
    Age,
    /// No user is admitted before the opening.
    Opening,
    /// The list of a draw has the users who entered before its closing, and admission follows its order.
    Draw,
}

impl Rule {
    /// The rules of every room, in the order of a report.
    pub const ALL: [Self; 8] =
        [Self::Unique, Self::Turns, Self::Order, Self::Cap, Self::Rate, Self::Growth, Self::Exact, Self::Age];

    /// The rules of a room with a draw: early entry alone allows only the first one to be checked.
    pub const OF_DRAWS: [Self; 2] = [Self::Opening, Self::Draw];

    fn every() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().chain(Self::OF_DRAWS)
    }

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
            Self::Opening => "opening",
            Self::Draw => "draw",
        }
    }

    fn index(self) -> usize {
        Self::every().position(|rule| rule == self).unwrap_or(0)
    }
}

/// Answers that contradict each other.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule that the answers break.
    pub rule: Rule,
    /// A description with the answers.
    pub what: String,
    /// The answers that contradict each other.
    pub records: Vec<Record>,
}

/// Maximum number of contradictions of a rule that are described.
const SHOWN: usize = 3;

/// Numbers of checks of a rule.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// Comparisons that the log made possible.
    checked: u64,
    /// Number of comparisons that failed.
    broken: u64,
}

/// The result of an audit.
#[derive(Clone, Debug)]
pub struct Report {
    /// The first contradictions of each rule.
    pub findings: Vec<Finding>,
    counts: [Count; Rule::ALL.len() + Rule::OF_DRAWS.len()],
    /// A description of the log.
    about: String,
    /// Facts found that are not part of a rule.
    notes: Vec<String>,
}

impl Report {
    pub(super) fn of(log: &Log) -> Self {
        let about = format!("{} answers, {} faults declared", log.records.len(), log.faults.len());
        Self { findings: Vec::new(), counts: Default::default(), about, notes: Vec::new() }
    }

    /// Adds to the number of comparisons of a rule.
    pub(super) fn checked(&mut self, rule: Rule, many: usize) {
        self.counts[rule.index()].checked += many as u64;
    }

    /// Adds a finding, unless the rule has enough of them.
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

    /// Whether no rule is broken.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// The number of comparisons for a rule. A log that allows none proves nothing.
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
        for rule in Rule::every() {
            let Count { checked, broken } = self.counts[rule.index()];
            if checked == 0 && Rule::OF_DRAWS.contains(&rule) {
                continue;
            }
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
