//! The board of conditions: which parts are degraded now, and why.
//!
//! Background tasks check a part or a precondition and write the result here. `/readyz`, the metrics and the log only read
//! it, so that none of them waits for a part.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// A raised condition whose reason changes is logged again, but not more often than this.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Names of a condition: both are words for labels, in kebab-case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Labels {
    part: &'static str,
    condition: &'static str,
}

/// Why a condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A sentence that names an actor and the next step. `/readyz` shows it to any client.
    text: String,
    /// The words of a server or a library. They may contain addresses and paths, so only the log has them.
    cause: Option<String>,
}

impl Reason {
    /// A reason in this sentence, without a cause.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), cause: None }
    }

    /// Adds the words of a server or a library, for the log.
    #[must_use]
    pub fn because(self, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// The sentence for any client, without the cause.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Reason {
    /// Writes the sentence with its cause: for the log, not for clients.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(cause) => write!(f, "{} ({cause})", self.text),
            None => f.write_str(&self.text),
        }
    }
}

#[derive(Debug)]
struct Raised {
    reason: Reason,
    logged_at: Instant,
}

/// A part that a background task checks, with the reasons why it is degraded now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartState {
    /// The name of the part, such as `redis`.
    pub part: &'static str,
    /// Why it is degraded, one sentence for each condition; empty if it is well.
    pub reasons: Vec<String>,
}

#[derive(Debug, Default)]
struct Board {
    /// In the order of their first mention.
    parts: Vec<&'static str>,
    raised: BTreeMap<Labels, Raised>,
}

/// The board of conditions.
#[derive(Debug, Default)]
pub struct Conditions {
    /// Guards the whole board; held for map operations only, never over I/O.
    board: Mutex<Board>,
    degraded: Family<Labels, Gauge>,
}

impl Conditions {
    /// Shows the gauge `part_degraded{part,condition}`: 1 while a condition is raised, then 0.
    pub fn register(&self, registry: &mut Registry) {
        let help = "1 while this condition degrades the part";
        registry.register("part_degraded", help, self.degraded.clone());
    }

    /// Lists a part, well until a condition is raised.
    pub fn watch(&self, part: &'static str) {
        add_part(&mut self.board(), part);
    }

    /// States that a condition holds, and why. Logs it if it is new, or if its reason changed and was not logged lately.
    pub fn raise(&self, part: &'static str, condition: &'static str, reason: impl Into<Reason>) {
        let (labels, reason, now) = (Labels { part, condition }, reason.into(), Instant::now());
        let mut board = self.board();
        add_part(&mut board, part);
        // The first raise is always logged; a flapping reason is logged once every 10 s.
        let logged_at = match board.raised.get(&labels) {
            Some(before) if before.reason == reason || now.duration_since(before.logged_at) < LOG_EVERY => {
                before.logged_at
            }
            _ => {
                tracing::warn!(part, condition, reason = reason.text, cause = reason.cause, "part is degraded");
                now
            }
        };
        board.raised.insert(labels, Raised { reason, logged_at });
        // While the board is locked: raise and clear of one condition set the gauge in the order of the board.
        self.degraded.get_or_create(&labels).set(1);
    }

    /// States that a condition does not hold. Logs it if it was raised. Shows it in the metrics with 0 from now on.
    pub fn clear(&self, part: &'static str, condition: &'static str) {
        let labels = Labels { part, condition };
        let mut board = self.board();
        add_part(&mut board, part);
        if board.raised.remove(&labels).is_some() {
            tracing::info!(part, condition, "condition is over");
        }
        self.degraded.get_or_create(&labels).set(0);
    }

    /// Raises the condition if there is a reason, else clears it.
    pub fn set(&self, part: &'static str, condition: &'static str, reason: Option<impl Into<Reason>>) {
        match reason {
            Some(reason) => self.raise(part, condition, reason),
            None => self.clear(part, condition),
        }
    }

    /// Every part that was ever mentioned, in the order of first mention.
    pub fn parts(&self) -> Vec<PartState> {
        let board = self.board();
        let reasons_of = |part| {
            let own = board.raised.iter().filter(move |(labels, _)| labels.part == part);
            own.map(|(_, raised)| raised.reason.text.clone()).collect()
        };
        board.parts.iter().map(|part| PartState { part, reasons: reasons_of(*part) }).collect()
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock()
    }
}

fn add_part(board: &mut Board, part: &'static str) {
    if !board.parts.contains(&part) {
        board.parts.push(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(conditions: &Conditions) -> String {
        let mut registry = Registry::default();
        conditions.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn a_part_lists_its_reasons_while_they_hold() {
        let conditions = Conditions::default();
        conditions.watch("redis");
        conditions.raise("kafka", "away", "no broker answers");
        conditions.raise("redis", "eviction", "maxmemory-policy is allkeys-lru");
        conditions.raise("redis", "away", "no answer within 2 s");
        conditions.raise("redis", "away", "connection refused");
        let reasons = |index: usize| conditions.parts()[index].reasons.clone();
        assert_eq!(conditions.parts().iter().map(|state| state.part).collect::<Vec<_>>(), ["redis", "kafka"]);
        assert_eq!(reasons(0), ["connection refused", "maxmemory-policy is allkeys-lru"]);
        assert!(metrics(&conditions).contains("part_degraded{part=\"redis\",condition=\"away\"} 1"));

        conditions.clear("redis", "away");
        conditions.set("redis", "eviction", None::<Reason>);
        assert_eq!((reasons(0), reasons(1)), (vec![], vec!["no broker answers".to_owned()]));
        assert!(metrics(&conditions).contains("part_degraded{part=\"redis\",condition=\"away\"} 0"));
    }

    #[test]
    fn the_words_of_a_server_are_for_the_log_alone() {
        let conditions = Conditions::default();
        let reason = Reason::new("no broker answers: check the network").because("10.0.0.7:9092: connection refused");
        assert_eq!(reason.to_string(), "no broker answers: check the network (10.0.0.7:9092: connection refused)");
        conditions.raise("kafka", "away", reason);
        assert_eq!(conditions.parts()[0].reasons, ["no broker answers: check the network"]);
    }
}
