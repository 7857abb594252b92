//! Counts of replies by status and code, and their latencies.

use std::time::Duration;

use super::{Histogram, Outcome, Reply};

/// Counts of replies, and their latencies.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By status and, for problems, code. There are few different ones, so a list is fast enough.
    counts: Vec<(u16, Box<str>, u64)>,
    /// The latencies of all replies.
    pub times: Histogram,
    /// The kept field of each success, with the number of its request.
    pub kept: Vec<(usize, Box<str>)>,
}

impl Tally {
    /// Counts a reply with its latency.
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

    /// Adds the counts of another tally.
    pub fn merge(&mut self, other: Self) {
        for (status, code, count) in &other.counts {
            self.count(*status, code, *count);
        }
        self.times.merge(&other.times);
        self.kept.extend(other.kept);
    }

    /// Number of replies with this status and code (empty for a success).
    pub fn of(&self, status: u16, code: &str) -> u64 {
        let same = |(known, text, _): &&(u16, Box<str>, u64)| *known == status && **text == *code;
        self.counts.iter().find(same).map_or(0, |(_, _, count)| *count)
    }

    /// Replies with a status of 400 or more: code, status, count. The most frequent come first.
    pub fn problems(&self) -> Vec<(&str, u16, u64)> {
        let problems = self.counts.iter().filter(|(status, _, _)| *status >= 400);
        let mut problems: Vec<_> = problems.map(|(status, code, count)| (&**code, *status, *count)).collect();
        problems.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
        problems
    }

    /// Checks that every reply has one of these statuses and codes.
    ///
    /// # Errors
    /// If a reply has another one, or there is no reply.
    pub fn expect(&self, allowed: &[(u16, &str)]) -> Outcome<()> {
        let is_allowed = |status: u16, code: &str| allowed.contains(&(status, code));
        let odd: Vec<String> = self
            .counts
            .iter()
            .filter(|(status, code, _)| !is_allowed(*status, code))
            .map(|(status, code, count)| format!("{count} x {status} {code}"))
            .collect();
        match (odd.is_empty(), self.times.total()) {
            (true, 0) => Err("there was no reply".into()),
            (true, _) => Ok(()),
            (false, all) => Err(format!("unexpected replies: {} of {all}", odd.join(", ")).into()),
        }
    }
}
