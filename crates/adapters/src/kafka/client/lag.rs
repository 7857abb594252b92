//! The lag of the consumer group: messages in its topics that it has not committed.
//!
//! A separate task measures it, because one delivery can last as long as an outage of the platform.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_app::event::TOPICS;
use onsale_app::relay::Outage;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::positions::{Partition, Positions};

/// Interval between two measurements of the lag.
const MEASURE_EVERY: Duration = Duration::from_secs(2);

/// Time limit of each request to the brokers. Beyond it the measurement fails, and the next one comes 2 s later.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// If messages wait and none is delivered for this long, the log reports it.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// Metrics of a consumer.
#[derive(Clone, Debug, Default)]
pub struct ConsumerMetrics {
    pub(super) received: Counter,
    pub(super) unreadable: Counter,
    pub(super) lost: Counter,
    pub(super) restarts: Counter,
    lag: Lag,
}

impl ConsumerMetrics {
    /// Registers the metrics under the prefix `consumer`.
    pub fn register(&self, registry: &mut Registry) {
        let consumer = registry.sub_registry_with_prefix("consumer");
        consumer.register("messages_received", "Messages received from Kafka", self.received.clone());
        let help = "Messages that are not events and were skipped";
        consumer.register("messages_unreadable", help, self.unreadable.clone());
        let help = "Messages that Kafka removed before this consumer group read them, as far as offsets show";
        consumer.register("messages_lost", help, self.lost.clone());
        let help =
            "Partitions that restarted: their topic was deleted and created again, or they lost their last messages";
        consumer.register("partition_restarts", help, self.restarts.clone());
        registry.register_collector(Box::new(self.lag.clone()));
    }
}

/// The last measured lag. Clones share it.
#[derive(Clone, Debug)]
struct Lag {
    /// Written by the measuring task, read when metrics are scraped. Held for one copy only.
    last: Arc<Mutex<Measured>>,
}

/// A measurement of the lag.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// Messages; `None` before the first measurement.
    messages: Option<i64>,
    /// When it was measured. Before the first measurement: when this process started.
    at: Instant,
}

impl Default for Lag {
    fn default() -> Self {
        Self { last: Arc::new(Mutex::new(Measured { messages: None, at: Instant::now() })) }
    }
}

impl Collector for Lag {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Measured { messages, at } = *self.last.lock();
        if let Some(lag) = messages {
            let lag = ConstGauge::new(lag);
            let help =
                "Messages that the consumer group has not committed as delivered, over all partitions of its topics";
            lag.encode(encoder.encode_descriptor("consumer_lag", help, None, lag.metric_type())?)?;
        }
        let age = ConstGauge::new(at.elapsed().as_secs_f64());
        let help = "Seconds since the brokers last reported the lag of the consumer group";
        let kind = age.metric_type();
        age.encode(encoder.encode_descriptor("consumer_lag_age", help, Some(&Unit::Seconds), kind)?)
    }
}

/// Measures the lag every 2 s until stopped.
pub(super) async fn watch(consumer: Arc<StreamConsumer<Positions>>, metrics: ConsumerMetrics, stop: CancellationToken) {
    let stalled = Outage::of("messages wait to be delivered to the data platform");
    let (mut last_delivered, mut moved_at) = (0, Instant::now());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(MEASURE_EVERY) => {}
        }
        let client = consumer.clone();
        let measured = tokio::select! {
            () = stop.cancelled() => return,
            measured = tokio::task::spawn_blocking(move || measure(&client)) => measured,
        };
        match measured {
            Ok(Ok(Offsets { lag, delivered })) => {
                *metrics.lag.last.lock() = Measured { messages: Some(lag), at: Instant::now() };
                // Under steady load the lag may never shrink, so progress is judged by the committed offsets.
                if lag == 0 || delivered != last_delivered {
                    (last_delivered, moved_at) = (delivered, Instant::now());
                }
                if moved_at.elapsed() > STALLED_AFTER {
                    stalled.failed(&format!(
                        "{lag} messages wait and none was delivered for {} s",
                        moved_at.elapsed().as_secs()
                    ));
                } else {
                    stalled.over();
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, "failed to measure the consumer lag; retrying in 2 s"),
            // The task was cancelled because the runtime shuts down.
            Err(_) => return,
        }
    }
}

/// Sums over all partitions of the topics.
struct Offsets {
    /// Messages that the group has not committed.
    lag: i64,
    /// Sum of the committed offsets. Grows with every delivery.
    delivered: i64,
}

/// The first (`Offset::Beginning`) or next (`Offset::End`) offsets of the partitions, in one request per broker.
fn ends(
    consumer: &StreamConsumer<Positions>,
    partitions: &[Partition],
    which: Offset,
) -> Result<BTreeMap<Partition, i64>, KafkaError> {
    let mut wanted = TopicPartitionList::new();
    for (topic, partition) in partitions {
        wanted.add_partition_offset(topic, *partition, which)?;
    }
    let found = consumer.offsets_for_times(wanted, ANSWERED_WITHIN)?;
    let of = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element.offset() {
        Offset::Offset(at) => Some(((element.topic().to_owned(), element.partition()), at)),
        _ => None,
    };
    Ok(found.elements().into_iter().filter_map(of).collect())
}

/// Measures the lag of the group. Also finds messages of this member's partitions that retention removed before they were
/// read, counts them as lost, and commits the offset behind them. Blocks.
fn measure(consumer: &StreamConsumer<Positions>) -> Result<Offsets, KafkaError> {
    let mut all: Vec<Partition> = Vec::new();
    for name in TOPICS {
        let metadata = consumer.fetch_metadata(Some(name), ANSWERED_WITHIN)?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        all.extend(partitions.map(|partition| (name.to_owned(), partition.id())));
    }
    let mut wanted = TopicPartitionList::new();
    for (topic, partition) in &all {
        wanted.add_partition(topic, *partition);
    }
    // Committed offsets before the ends: in the other order a commit in between could lie beyond the end that was read.
    let committed = consumer.committed_offsets(wanted, ANSWERED_WITHIN)?.to_topic_map();
    let (lows, highs) = (ends(consumer, &all, Offset::Beginning)?, ends(consumer, &all, Offset::End)?);
    let own = consumer.assignment()?.to_topic_map();
    let (mut lag, mut delivered, mut overtaken) = (0, 0, TopicPartitionList::new());
    for partition in all {
        let (Some(low), Some(high)) = (lows.get(&partition), highs.get(&partition)) else { continue };
        let at = committed.get(&partition).copied().unwrap_or(Offset::Invalid);
        lag += match at {
            // An offset beyond the end belongs to a deleted topic of the same name: everything in the new one is unread.
            Offset::Offset(at) if at <= *high => high - at.max(*low),
            _ => high - low,
        };
        if let Offset::Offset(at) = at {
            delivered += at;
        }
        if own.contains_key(&partition)
            && let Some(to) = consumer.context().observe(&partition, *low, *high, at)
        {
            overtaken.add_partition_offset(&partition.0, partition.1, Offset::Offset(to))?;
        }
    }
    if overtaken.count() > 0 {
        consumer.commit(&overtaken, CommitMode::Sync)?;
    }
    Ok(Offsets { lag, delivered })
}
