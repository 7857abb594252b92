//! What came back: statuses, codes, times.

use std::time::Duration;

use super::{Histogram, Outcome, Reply};

/// Counts of replies, with the times they took.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By status and, for problems, code. Few differ, so a list serves.
    counts: Vec<(u16, Box<str>, u64)>,
    /// How long the replies took.
    pub times: Histogram,
    /// What was to be kept of each success, with the request's number.
    pub kept: Vec<(usize, Box<str>)>,
}

impl Tally {
    /// Counts a reply.
    pub fn add(&mut self, reply: Reply<'_>, took: Duration) {
        let code = if reply.status >= 400 { reply.text("code").unwrap_or("no code") } else { "" };
        self.count(reply.status, code, 1);
        self.times.add(took);
    }

    fn count(&mut self, status: u16, code: &str, more: u64) {
        match self.counts.iter_mut().find(|(known, text, _)| *known == status && **text == *code) {
            Some((_, _, count)) => *count += more,
            None => self.counts.push((status, code.into(), more)),
        }
    }

    /// Takes in another's counts.
    pub fn merge(&mut self, other: Self) {
        for (status, code, count) in &other.counts {
            self.count(*status, code, *count);
        }
        self.times.merge(&other.times);
        self.kept.extend(other.kept);
    }

    /// How many replies had this status and code (empty for a success).
    pub fn of(&self, status: u16, code: &str) -> u64 {
        let same = |(known, text, _): &&(u16, Box<str>, u64)| *known == status && **text == *code;
        self.counts.iter().find(same).map_or(0, |(_, _, count)| *count)
    }

    /// Refusals and failures: code, status, count; the most frequent first.
    pub fn problems(&self) -> Vec<(&str, u16, u64)> {
        let problems = self.counts.iter().filter(|(status, _, _)| *status >= 400);
        let mut problems: Vec<_> = problems.map(|(status, code, count)| (&**code, *status, *count)).collect();
        problems.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
        problems
    }

    /// Holds the replies against what may come back.
    ///
    /// # Errors
    /// If anything else came, or nothing.
    pub fn expect(&self, allowed: &[(u16, &str)]) -> Outcome<()> {
        let is_allowed = |status: u16, code: &str| allowed.contains(&(status, code));
        let odd: Vec<String> = self
            .counts
            .iter()
            .filter(|(status, code, _)| !is_allowed(*status, code))
            .map(|(status, code, count)| format!("{count} x {status} {code}"))
            .collect();
        match (odd.is_empty(), self.times.total()) {
            (true, 0) => Err("no reply came at all".into()),
            (true, _) => Ok(()),
            (false, all) => Err(format!("unexpected replies: {} of {all}", odd.join(", ")).into()),
        }
    }
}
