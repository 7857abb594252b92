//! A Kafka partition as a queue of commands: clients send commands by key, one consumer of the partition decides them and
//! answers on a topic of replies.

mod decider;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;
use onsale_testing::PATIENCE;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::scene::Op;
use super::session::Failure;

/// Partitions of the topic of commands. A command goes to the partition of its wallet.
pub(crate) const PARTITIONS: i32 = 4;

/// The wallet of commands that only ask whether an answer comes. No wallet has this number.
const NO_WALLET: i32 = -1;

/// Pause after a failed receive, so that a broker that is away is not asked all the time.
const REST: Duration = Duration::from_millis(50);

/// The addresses of the queue and of its database.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) brokers: String,
    /// The topic of commands. Its name is also that of the group of consumers.
    pub(crate) commands: String,
    /// The database in which the consumer decides.
    pub(crate) database: String,
}

type Waiting = Arc<Mutex<HashMap<i64, oneshot::Sender<bool>>>>;

/// The clients' end: sends commands, and wakes the client of each reply. Also runs a consumer that decides.
pub(crate) struct Link {
    producer: FutureProducer,
    commands: String,
    replies: String,
    waiting: Waiting,
    tasks: [JoinHandle<()>; 2],
}

impl Link {
    /// Creates the topics, unless they exist, and starts a consumer that decides. `name` makes the topic of replies this
    /// process's own. `between` is called once between a read and its write.
    pub(crate) async fn start(place: &Place, name: &str, between: Option<fn()>) -> Outcome<Self> {
        let replies = format!("{}-replies-{name}", place.commands);
        create_topics(place, &replies).await?;
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &place.brokers).set("allow.auto.create.topics", "false");
        let producer: FutureProducer =
            client.clone().set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "1").create()?;
        let consumer = |config: &mut ClientConfig| {
            config.set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
            config.create::<StreamConsumer>()
        };
        let own = consumer(client.clone().set("group.id", &replies))?;
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(&replies, 0, Offset::Beginning)?;
        own.assign(&all)?;
        // The broker's shortest session: a consumer that is away for longer loses its partitions to another one.
        let group = client.set("group.id", &place.commands).set("session.timeout.ms", "6000");
        let deciding = consumer(group.set("heartbeat.interval.ms", "200"))?;
        deciding.subscribe(&[&place.commands])?;
        let waiting = Waiting::default();
        let tasks = [
            tokio::spawn(listen(own, waiting.clone())),
            tokio::spawn(decider::run(Arc::new(deciding), producer.clone(), place.database.clone(), between)),
        ];
        Ok(Self { producer, commands: place.commands.clone(), replies, waiting, tasks })
    }

    /// Returns when the consumer answers.
    pub(crate) async fn ready(&self) -> Result<(), Failure> {
        let nothing = Op { id: -1, wallet: NO_WALLET, amount: 0 };
        self.submit(&nothing).await.map(|_| ())
    }

    /// Sends a command and waits for its decision. Returns also when the broker had accepted the command.
    pub(crate) async fn submit(&self, op: &Op) -> Result<(bool, Instant), Failure> {
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(op.id, answer);
        let (key, command) = (op.wallet.to_string(), format!("{} {} {} {}", op.id, op.wallet, op.amount, self.replies));
        let record = FutureRecord::to(&self.commands).key(&key).payload(&command);
        self.producer.send(record, PATIENCE).await.map_err(|_| Failure::Closed)?;
        let accepted = Instant::now();
        let won = tokio::time::timeout(PATIENCE, answered).await;
        Ok((won.map_err(|_| Failure::Closed)?.map_err(|_| Failure::Closed)?, accepted))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Wakes the clients of replies.
async fn listen(consumer: StreamConsumer, waiting: Waiting) {
    loop {
        let Ok(message) = consumer.recv().await else {
            tokio::time::sleep(REST).await;
            continue;
        };
        let text = message.payload().and_then(|payload| std::str::from_utf8(payload).ok()).unwrap_or_default();
        let Some((id, won)) = text.split_once(' ') else { continue };
        let client = id.parse().ok().and_then(|id: i64| {
            // A command that was decided twice is answered twice; the client waits for the first answer.
            waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id)
        });
        if let Some(client) = client {
            let _ = client.send(won == "1");
        }
    }
}

async fn create_topics(place: &Place, replies: &str) -> Outcome<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &place.brokers).create()?;
    // The same durability as the database's: an accepted command is on the disk.
    let commands = NewTopic::new(&place.commands, PARTITIONS, TopicReplication::Fixed(1)).set("flush.messages", "1");
    let replies = NewTopic::new(replies, 1, TopicReplication::Fixed(1));
    for created in admin.create_topics([&commands, &replies], &AdminOptions::new()).await? {
        match created {
            Ok(_) | Err((_, rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, error)) => return Err(format!("topic {topic}: {error}").into()),
        }
    }
    Ok(())
}
