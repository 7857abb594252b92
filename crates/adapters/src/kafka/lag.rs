//! How far the group is behind the ends of its topics: looked up by a task of its own, as a delivery lasts as long as an
//! outage of the platform.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use onsale_app::event::TOPICS;
use onsale_app::relay::Outage;
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

/// How often the lag is looked up, and how long one question about it may take.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const ASKED_WITHIN: Duration = Duration::from_secs(2);

/// If messages wait and none was delivered for this long, the log says so.
const OLD: Duration = Duration::from_secs(10);

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct ConsumerMetrics {
    pub(super) received: Counter,
    pub(super) unreadable: Counter,
    pub(super) lost: Counter,
    pub(super) restarts: Counter,
    lag: Lag,
}

impl ConsumerMetrics {
    /// Shows them.
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

/// The lag as it was seen last, and when. Clones share it.
#[derive(Clone)]
struct Lag(Arc<Mutex<(Option<i64>, Instant)>>);

impl Default for Lag {
    fn default() -> Self {
        Self(Arc::new(Mutex::new((None, Instant::now()))))
    }
}

impl fmt::Debug for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lag")
    }
}

impl Collector for Lag {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (lag, read_at) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lag) = lag {
            let lag = ConstGauge::new(lag);
            let help =
                "Messages that the consumer group has not committed as delivered, over all partitions of its topics";
            lag.encode(encoder.encode_descriptor("consumer_lag", help, None, lag.metric_type())?)?;
        }
        let age = ConstGauge::new(read_at.elapsed().as_secs_f64());
        let help = "Seconds since the brokers last reported the lag of the consumer group";
        let kind = age.metric_type();
        age.encode(encoder.encode_descriptor("consumer_lag_age", help, Some(&Unit::Seconds), kind)?)
    }
}

/// Looks until stopped.
pub(super) async fn watch(consumer: Arc<StreamConsumer<Positions>>, metrics: ConsumerMetrics, stop: CancellationToken) {
    let waiting = Outage::of("messages wait to be delivered to the data platform");
    let (mut last_delivered, mut moved_at) = (0, Instant::now());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let asked = consumer.clone();
        let found = tokio::select! {
            () = stop.cancelled() => return,
            found = tokio::task::spawn_blocking(move || look(&asked)) => found,
        };
        match found {
            Ok(Ok((lag, delivered))) => {
                *metrics.lag.0.lock().unwrap_or_else(PoisonError::into_inner) = (Some(lag), Instant::now());
                // Under steady load the lag may never shrink; what was delivered still grows.
                if lag == 0 || delivered != last_delivered {
                    (last_delivered, moved_at) = (delivered, Instant::now());
                }
                if moved_at.elapsed() > OLD {
                    waiting.failed(&format!(
                        "{lag} messages wait, and none was delivered for {} s",
                        moved_at.elapsed().as_secs()
                    ));
                } else {
                    waiting.over();
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, "the lag is not known"),
            Err(_) => return,
        }
    }
}

/// The first or last offsets of the partitions, in one request per broker.
fn ends(
    consumer: &StreamConsumer<Positions>,
    partitions: &[Partition],
    which: Offset,
) -> Result<BTreeMap<Partition, i64>, KafkaError> {
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in partitions {
        asked.add_partition_offset(topic, *partition, which)?;
    }
    let found = consumer.offsets_for_times(asked, ASKED_WITHIN)?;
    let of = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element.offset() {
        Offset::Offset(at) => Some(((element.topic().to_owned(), element.partition()), at)),
        _ => None,
    };
    Ok(found.elements().into_iter().filter_map(of).collect())
}

/// The lag of the group. Counts what was removed unread from partitions of this member, and commits that.
fn look(consumer: &StreamConsumer<Positions>) -> Result<(i64, i64), KafkaError> {
    let mut all: Vec<Partition> = Vec::new();
    for name in TOPICS {
        let metadata = consumer.fetch_metadata(Some(name), ASKED_WITHIN)?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        all.extend(partitions.map(|partition| (name.to_owned(), partition.id())));
    }
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in &all {
        asked.add_partition(topic, *partition);
    }
    let committed = consumer.committed_offsets(asked, ASKED_WITHIN)?.to_topic_map();
    let (lows, highs) = (ends(consumer, &all, Offset::Beginning)?, ends(consumer, &all, Offset::End)?);
    let own = consumer.assignment()?.to_topic_map();
    let (mut lag, mut delivered, mut overtaken) = (0, 0, TopicPartitionList::new());
    for partition in all {
        let (Some(low), Some(high)) = (lows.get(&partition), highs.get(&partition)) else { continue };
        let at = committed.get(&partition).copied().unwrap_or(Offset::Invalid);
        lag += match at {
            // An offset beyond the end is of another life of the topic.
            Offset::Offset(at) if at <= *high => high - at.max(*low),
            _ => high - low,
        };
        if let Offset::Offset(at) = at {
            delivered += at;
        }
        if own.contains_key(&partition)
            && let Some(to) = consumer.context().seen(&partition, *low, *high, at)
        {
            overtaken.add_partition_offset(&partition.0, partition.1, Offset::Offset(to))?;
        }
    }
    if overtaken.count() > 0 {
        consumer.commit(&overtaken, CommitMode::Sync)?;
    }
    Ok((lag, delivered))
}
