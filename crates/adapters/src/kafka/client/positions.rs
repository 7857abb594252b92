//! The next expected offset of each partition, by which lost messages are detected.
//!
//! The offsets of a partition have no gaps: its producers are idempotent and use no transactions. So a gap, between two
//! messages or after the committed offset, is what retention or an operator removed. An offset that goes back means that
//! the topic was deleted and made again, or that the partition lost its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::{ClientContext, Offset};

use super::access::Access;
use super::lag::ConsumerMetrics;

/// A topic and the number of a partition of it.
pub(super) type Partition = (String, i32);

/// After waiting this long for a message, a member has received everything that its client had prefetched.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// The offsets of one partition in one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: i64,
    pub(super) last: i64,
    /// Offsets between the two that no message had.
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
    /// The next expected offset of each partition that delivered a message since it was assigned.
    next: BTreeMap<Partition, i64>,
    /// The same, kept over rebalances: deleting a topic deletes its committed offsets, and this is then all that is known.
    before: BTreeMap<Partition, i64>,
    /// The highest end of each partition that was observed since its last message.
    ends: BTreeMap<Partition, i64>,
    /// When the member began to wait for a message; `None` while it works on a batch.
    idle_since: Option<Instant>,
}

/// Shared by the member, the rebalance callback of its client, and the task that measures the lag.
#[derive(Clone, Debug)]
pub(super) struct Positions {
    /// Guards all offsets together: a rebalance must not fall between reading and writing the expected offset of a
    /// partition. Never held while logging or over I/O.
    state: Arc<Mutex<State>>,
    metrics: ConsumerMetrics,
    access: Access,
}

impl Positions {
    pub(super) fn new(metrics: ConsumerMetrics, access: Access) -> Self {
        Self { state: Arc::default(), metrics, access }
    }

    /// Of these partitions, those whose next expected offset is not known.
    pub(super) fn unknown<'a>(&self, partitions: impl IntoIterator<Item = &'a Partition>) -> Vec<Partition> {
        let state = self.state.lock();
        partitions.into_iter().filter(|partition| !state.next.contains_key(*partition)).cloned().collect()
    }

    /// Notes that the member begins or ends waiting for a message.
    pub(super) fn set_idle(&self, is_idle: bool) {
        self.state.lock().idle_since = is_idle.then(Instant::now);
    }

    /// Compares the offsets of a batch with those that were expected, and counts what is missing. `committed` is the
    /// committed offset before the batch, for partitions whose expected offset is not known.
    pub(super) fn received(&self, partition: &Partition, span: Span, committed: Option<Offset>) {
        let mut state = self.state.lock();
        let known = state.next.get(partition).copied();
        let before = state.before.get(partition).copied();
        let expected = known.or(match committed {
            Some(Offset::Offset(at)) => Some(at),
            // Nothing is committed: either the group is new, or the topic is. If this member has received higher
            // offsets before, the topic is new.
            Some(_) => Some(before.filter(|before| span.first < *before).unwrap_or(0)),
            None => None,
        });
        state.next.insert(partition.clone(), span.last + 1);
        state.before.insert(partition.clone(), span.last + 1);
        let end = state.ends.remove(partition);
        // Counting and logging below need no lock.
        drop(state);
        match expected {
            Some(expected) if span.first < expected => self.went_back(partition, expected, end),
            Some(expected) => self.lost(partition, span.first - expected),
            None => {}
        }
        self.lost(partition, span.missing);
    }

    /// Notes a measurement: the first and the next offset of a partition, and its committed offset. If the member waits and
    /// the partition begins behind the expected offset, the messages in between were removed and will never come:
    /// counts them as lost, and returns the offset to commit.
    pub(super) fn observe(&self, partition: &Partition, low: i64, high: i64, committed: Offset) -> Option<i64> {
        let mut state = self.state.lock();
        // The end only grows until a message comes: for a topic that was made again, the end of the deleted one shows how
        // much was lost.
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

    /// Counts and logs lost messages, if there are any.
    fn lost(&self, partition: &Partition, messages: i64) {
        let Ok(messages @ 1..) = u64::try_from(messages) else { return };
        let (topic, partition) = partition;
        self.metrics.lost.inc_by(messages);
        tracing::error!(
            topic,
            partition,
            messages,
            "Kafka removed messages before they were read; `onsale events replay --since INSTANT` sends events again"
        );
    }

    /// Counts and logs a partition whose offsets began again below the expected one.
    fn went_back(&self, partition: &Partition, expected: i64, end: Option<i64>) {
        let unread = end.map_or(0, |end| (end - expected).max(0));
        self.metrics.restarts.inc();
        self.metrics.lost.inc_by(u64::try_from(unread).unwrap_or(0));
        let (topic, partition) = partition;
        tracing::error!(
            topic,
            partition,
            unread,
            "a partition begins anew: its topic was deleted and made again, or it lost its end. Unread messages are lost; `onsale events replay --since INSTANT` sends events again"
        );
    }
}

impl ClientContext for Positions {
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(facility, line, "Kafka client logs");
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client reports an error");
    }
}

impl ConsumerContext for Positions {
    /// Forgets expected offsets when partitions are revoked: another member may move on in them before they come back.
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if !matches!(rebalance, Rebalance::Assign(_)) {
            self.state.lock().next.clear();
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            let elements = partitions.elements();
            self.access.assigned(elements.iter().map(|element| element.topic()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Metrics after some steps: messages lost, and restarts.
    fn counted(steps: impl FnOnce(&Positions, &Partition)) -> (u64, u64) {
        let metrics = ConsumerMetrics::default();
        steps(&Positions::new(metrics.clone(), Access::new(Arc::default())), &("onsale.points".to_owned(), 3));
        (metrics.lost.get(), metrics.restarts.get())
    }

    fn span(first: i64, last: i64) -> Span {
        Span { first, last, missing: 0 }
    }

    #[test]
    fn consecutive_offsets_lose_nothing() {
        let whole = counted(|positions, own| {
            positions.received(own, span(7, 9), Some(Offset::Offset(7)));
            positions.received(own, span(10, 10), None);
            assert_eq!(positions.observe(own, 0, 11, Offset::Offset(11)), None);
            assert!(positions.unknown([own]).is_empty());
        });
        assert_eq!(whole, (0, 0));
        assert_eq!(counted(|positions, own| positions.received(own, span(0, 3), Some(Offset::Invalid))), (0, 0));
        // The committed offset is unknown, so a gap cannot be proven.
        assert_eq!(counted(|positions, own| positions.received(own, span(5, 5), None)), (0, 0));
    }

    #[test]
    fn a_gap_is_counted_once() {
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
        for offset in [4, 8, 9] {
            within.extend(offset);
        }
        assert_eq!(counted(|positions, own| positions.received(own, within, Some(Offset::Offset(3)))), (3, 0));
    }

    #[test]
    fn a_waiting_member_counts_removed_messages_as_lost() {
        let overtaken = counted(|positions, own| {
            positions.received(own, span(0, 9), Some(Offset::Invalid));
            assert_eq!(
                positions.observe(own, 50, 50, Offset::Offset(10)),
                None,
                "it may still have fetched some of them"
            );
            positions.state.lock().idle_since = Instant::now().checked_sub(2 * IDLE_AFTER);
            assert_eq!(positions.observe(own, 50, 50, Offset::Offset(10)), Some(50));
            assert_eq!(positions.observe(own, 50, 50, Offset::Offset(10)), None);
            positions.received(own, span(50, 50), None);
        });
        assert_eq!(overtaken, (40, 0));
    }

    #[test]
    fn a_topic_made_again_counts_as_a_restart() {
        let with_its_offsets = |positions: &Positions, own: &Partition| {
            positions.received(own, span(0, 99), Some(Offset::Invalid));
            positions.observe(own, 0, 120, Offset::Offset(100));
            positions.state.lock().next.clear();
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
