//! How far a member got in each of its partitions, and what Kafka removed before it was read.
//!
//! A partition has no holes: its producers are idempotent and without transactions. So a first message behind the
//! committed offset, or a hole between two messages, is what retention or an operator removed. An offset that goes back is
//! a topic that was deleted and made again, or a partition that lost its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::{ClientContext, Offset};

use super::lag::ConsumerMetrics;

/// A topic and a partition of it.
pub(super) type Partition = (String, i32);

/// A member that received nothing for so long has nothing left of what its client fetched before.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// Offsets of one partition in one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: i64,
    pub(super) last: i64,
    /// Messages missing in between.
    pub(super) missing: i64,
}

impl Span {
    pub(super) fn at(offset: i64) -> Self {
        Self { first: offset, last: offset, missing: 0 }
    }

    pub(super) fn extend(&mut self, offset: i64) {
        self.missing += (offset - self.last - 1).max(0);
        self.last = offset;
    }
}

#[derive(Debug, Default)]
struct State {
    /// The offset that is expected next, in partitions of which something was received since they were assigned.
    next: BTreeMap<Partition, i64>,
    /// The same from before: a topic that was deleted takes its committed offsets with it.
    before: BTreeMap<Partition, i64>,
    /// Ends that were seen last.
    ends: BTreeMap<Partition, i64>,
    /// Since when the member waits for a message.
    idle_since: Option<Instant>,
}

/// Shared by the member, its client's rebalance callback and the task that reads its lag.
#[derive(Clone, Debug, Default)]
pub(super) struct Positions {
    state: Arc<Mutex<State>>,
    metrics: ConsumerMetrics,
}

impl Positions {
    pub(super) fn new(metrics: ConsumerMetrics) -> Self {
        Self { state: Arc::default(), metrics }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of these partitions, those whose expected offset is not known.
    pub(super) fn unknown<'a>(&self, partitions: impl IntoIterator<Item = &'a Partition>) -> Vec<Partition> {
        let state = self.state();
        partitions.into_iter().filter(|partition| !state.next.contains_key(*partition)).cloned().collect()
    }

    /// The member waits, or goes on.
    pub(super) fn set_idle(&self, is_idle: bool) {
        self.state().idle_since = is_idle.then(Instant::now);
    }

    /// Takes the offsets of a batch. `committed` says what was committed before it in partitions that are unknown.
    pub(super) fn received(&self, partition: &Partition, span: Span, committed: Option<Offset>) {
        let mut state = self.state();
        let known = state.next.get(partition).copied();
        let before = state.before.get(partition).copied();
        let expected = known.or(match committed {
            Some(Offset::Offset(at)) => Some(at),
            // With a committed offset missing, what was received before tells a new topic from a new group.
            Some(_) => Some(before.filter(|before| span.first < *before).unwrap_or(0)),
            None => None,
        });
        state.next.insert(partition.clone(), span.last + 1);
        state.before.insert(partition.clone(), span.last + 1);
        let end = state.ends.remove(partition);
        drop(state);
        match expected {
            Some(expected) if span.first < expected => self.went_back(partition, expected, end),
            Some(expected) => self.lost(partition, span.first - expected),
            None => {}
        }
        self.lost(partition, span.missing);
    }

    /// Takes what a look found: where a partition begins and ends, and what is committed. Returns the offset to commit, if
    /// a member that waits for messages was overtaken by the beginning of a partition: none of these will ever come.
    pub(super) fn seen(&self, partition: &Partition, low: i64, high: i64, committed: Offset) -> Option<i64> {
        let mut state = self.state();
        // The end of a former life of the topic counts until something is received.
        let end = state.ends.entry(partition.clone()).or_insert(high);
        *end = high.max(*end);
        let is_idle = state.idle_since.is_some_and(|since| since.elapsed() > IDLE_AFTER);
        let committed = if let Offset::Offset(at) = committed { Some(at) } else { None };
        let expected = state.next.get(partition).copied().or(committed)?;
        if !is_idle || expected >= low {
            return None;
        }
        state.next.insert(partition.clone(), low);
        drop(state);
        self.lost(partition, low - expected);
        Some(low)
    }

    fn lost(&self, (topic, partition): &Partition, messages: i64) {
        let Ok(messages @ 1..) = u64::try_from(messages) else { return };
        self.metrics.lost.inc_by(messages);
        tracing::error!(
            topic,
            partition,
            messages,
            "Kafka removed messages before they were read; `onsale events replay --since INSTANT` sends events again"
        );
    }

    fn went_back(&self, partition: &Partition, expected: i64, end: Option<i64>) {
        let unread = end.map_or(0, |end| (end - expected).max(0));
        self.metrics.restarts.inc();
        self.metrics.lost.inc_by(u64::try_from(unread).unwrap_or(0));
        let (topic, partition) = partition;
        tracing::error!(
            topic,
            partition,
            unread,
            "a partition begins anew: its topic was deleted and made again, or it lost its end. Messages that were not read \
             are gone; `onsale events replay --since INSTANT` sends events again"
        );
    }
}

impl ClientContext for Positions {
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(facility, line, "Kafka's client logs");
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka's client reports an error");
    }
}

impl ConsumerContext for Positions {
    /// Other members may go on in partitions that are given up.
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if !matches!(rebalance, Rebalance::Assign(_)) {
            self.state().next.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Metrics after some steps: messages lost, and restarts.
    fn counted(steps: impl FnOnce(&Positions, &Partition)) -> (u64, u64) {
        let metrics = ConsumerMetrics::default();
        steps(&Positions::new(metrics.clone()), &("onsale.points".to_owned(), 3));
        (metrics.lost.get(), metrics.restarts.get())
    }

    fn span(first: i64, last: i64) -> Span {
        Span { first, last, missing: 0 }
    }

    #[test]
    fn messages_that_follow_each_other_are_whole() {
        let whole = counted(|positions, own| {
            positions.received(own, span(7, 9), Some(Offset::Offset(7)));
            positions.received(own, span(10, 10), None);
            assert_eq!(positions.seen(own, 0, 11, Offset::Offset(11)), None);
            assert!(positions.unknown([own]).is_empty());
        });
        assert_eq!(whole, (0, 0));
        assert_eq!(counted(|positions, own| positions.received(own, span(0, 3), Some(Offset::Invalid))), (0, 0));
        // The broker did not say what was committed: nothing is claimed.
        assert_eq!(counted(|positions, own| positions.received(own, span(5, 5), None)), (0, 0));
    }

    #[test]
    fn what_is_missing_is_counted_once() {
        let after_a_pause = |positions: &Positions, own: &Partition| {
            positions.received(own, span(40, 40), Some(Offset::Offset(10)));
            positions.received(own, span(41, 50), None);
        };
        assert_eq!(counted(after_a_pause), (30, 0));
        assert_eq!(
            counted(|positions, own| positions.received(own, span(5, 5), Some(Offset::Invalid))),
            (5, 0),
            "a new group"
        );
        let mut within = Span::at(3);
        [4, 8, 9].into_iter().for_each(|offset| within.extend(offset));
        assert_eq!(counted(|positions, own| positions.received(own, within, Some(Offset::Offset(3)))), (3, 0));
    }

    #[test]
    fn a_member_that_waits_is_overtaken() {
        let overtaken = counted(|positions, own| {
            positions.received(own, span(0, 9), Some(Offset::Invalid));
            assert_eq!(positions.seen(own, 50, 50, Offset::Offset(10)), None, "it may still have fetched some of them");
            positions.state().idle_since = Instant::now().checked_sub(2 * IDLE_AFTER);
            assert_eq!(positions.seen(own, 50, 50, Offset::Offset(10)), Some(50));
            assert_eq!(positions.seen(own, 50, 50, Offset::Offset(10)), None);
            positions.received(own, span(50, 50), None);
        });
        assert_eq!(overtaken, (40, 0));
    }

    #[test]
    fn a_topic_that_is_made_again_begins_anew() {
        let with_its_offsets = |positions: &Positions, own: &Partition| {
            positions.received(own, span(0, 99), Some(Offset::Invalid));
            positions.seen(own, 0, 120, Offset::Offset(100));
            positions.state().next.clear();
            positions.received(own, span(0, 4), Some(Offset::Invalid));
        };
        assert_eq!(counted(with_its_offsets), (20, 1));
        let without_its_end = |positions: &Positions, own: &Partition| {
            positions.received(own, span(0, 99), Some(Offset::Invalid));
            positions.received(own, span(90, 95), None);
        };
        assert_eq!(counted(without_its_end), (0, 1));
    }
}
