//! The condition `kafka`/`access`: raised when the brokers refuse this consumer's user, cleared when they no longer do.
//!
//! A broker reports a missing right once, and reports nothing when the right is granted. So success is noticed by what it
//! makes possible: a member that may use the group gets partitions assigned, and one that may read the topics fetches
//! messages or reaches the ends of its partitions.

use std::sync::Arc;

use onsale_app::conditions::Conditions;
use onsale_app::event::TOPICS;
use parking_lot::Mutex;

const PART: &str = "kafka";
const CONDITION: &str = "access";

/// A right that the user lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// To use the consumer group.
    Group,
    /// To read the topics.
    Topics,
}

#[derive(Debug, Default)]
struct State {
    lacking: Option<Right>,
    /// Partitions of the last assignment.
    assigned: usize,
    /// Whether the last assignment has partitions of every topic.
    has_every_topic: bool,
    /// Ends of partitions that were reached since the right was found to be missing.
    ends: usize,
}

/// Shared by a member and the rebalance callback of its client. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Access {
    conditions: Arc<Conditions>,
    /// Held while the condition is set, so that raising and clearing happen in the order of the events. Taken before the
    /// lock of the board.
    state: Arc<Mutex<State>>,
}

impl Access {
    pub(super) fn new(conditions: Arc<Conditions>) -> Self {
        conditions.clear(PART, CONDITION);
        Self { conditions, state: Arc::default() }
    }

    /// Notes that the user lacks a right, and why.
    pub(super) fn denied(&self, right: Right, reason: String) {
        let mut state = self.state.lock();
        (state.lacking, state.ends) = (Some(right), 0);
        self.conditions.raise(PART, CONDITION, reason);
    }

    /// Notes an assignment of partitions, perhaps none, each by its topic: the group may be used.
    pub(super) fn assigned<'a>(&self, topics: impl IntoIterator<Item = &'a str>) {
        let topics: Vec<&str> = topics.into_iter().collect();
        let mut state = self.state.lock();
        (state.assigned, state.ends) = (topics.len(), 0);
        state.has_every_topic = TOPICS.iter().all(|topic| topics.contains(topic));
        if state.lacking == Some(Right::Group) {
            self.clear(&mut state);
        }
    }

    /// Notes that the end of a partition was reached. One end does not prove that every topic may be read: the condition
    /// clears after as many ends as there are partitions, if these are of every topic. A group does not assign partitions
    /// of a topic that it may not see. Without an end or a message the condition stays, so a right that was revoked and
    /// granted again between two messages shows as missing until the next one.
    pub(super) fn reached_end(&self) {
        let mut state = self.state.lock();
        state.ends += 1;
        if state.lacking == Some(Right::Topics) && state.has_every_topic && state.ends >= state.assigned {
            self.clear(&mut state);
        }
    }

    /// Notes that messages were received.
    pub(super) fn received(&self) {
        self.clear(&mut self.state.lock());
    }

    fn clear(&self, state: &mut State) {
        if state.lacking.take().is_some() {
            self.conditions.clear(PART, CONDITION);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_raised(access: &Access) -> bool {
        access.conditions.parts().iter().any(|part| part.part == PART && !part.reasons.is_empty())
    }

    #[test]
    fn a_missing_right_to_the_group_ends_with_an_assignment() {
        let access = Access::new(Arc::default());
        access.denied(Right::Group, "why".to_owned());
        access.reached_end();
        assert!(is_raised(&access));
        access.assigned([]);
        assert!(!is_raised(&access), "also if the other members have all partitions");
    }

    #[test]
    fn a_missing_right_to_topics_ends_when_every_partition_is_read_to_its_end() {
        let access = Access::new(Arc::default());
        access.assigned(TOPICS);
        access.denied(Right::Topics, "why".to_owned());
        access.assigned(TOPICS);
        for _ in 1..TOPICS.len() {
            access.reached_end();
            assert!(is_raised(&access), "the other partitions may be of topics that are refused");
        }
        access.reached_end();
        assert!(!is_raised(&access));
    }

    #[test]
    fn a_missing_right_to_one_topic_stays_while_the_partitions_of_the_others_are_read() {
        let access = Access::new(Arc::default());
        access.denied(Right::Topics, "why".to_owned());
        access.assigned([TOPICS[0], TOPICS[0]]);
        for _ in 0..9 {
            access.reached_end();
        }
        assert!(is_raised(&access));
    }

    #[test]
    fn a_message_ends_it() {
        let access = Access::new(Arc::default());
        access.denied(Right::Topics, "why".to_owned());
        access.received();
        assert!(!is_raised(&access));
    }
}
