//! Looks topics up at the brokers, and makes those that are missing.

use std::time::Duration;

use onsale_app::conditions::Reason;
use onsale_app::event::TOPICS;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::kafka::KafkaSettings;

/// How long making the topics may take.
const MADE_WITHIN: Duration = Duration::from_secs(5);

/// A broker's answer about one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The topic exists and can be used.
    There,
    /// The topic does not exist.
    Missing,
    /// This user lacks the right to see it: it may exist or not.
    Hidden,
}

/// Fetches the metadata of each topic, which makes none of them. Blocks for at most `within` per topic.
pub(super) fn find<C: ClientContext>(
    client: &Client<C>,
    within: Duration,
) -> Result<Vec<(&'static str, Found)>, KafkaError> {
    let find_one = |name: &'static str| {
        let metadata = client.fetch_metadata(Some(name), within)?;
        let error = metadata.topics().iter().find(|topic| topic.name() == name).map(|topic| topic.error());
        let found = match error.map(|error| error.map(RDKafkaErrorCode::from)) {
            Some(Some(RDKafkaErrorCode::TopicAuthorizationFailed)) => Found::Hidden,
            None | Some(Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {
                Found::Missing
            }
            // Any other error, such as a missing leader, is about a topic that exists.
            Some(_) => Found::There,
        };
        Ok((name, found))
    };
    TOPICS.iter().map(|name| find_one(name)).collect()
}

/// Makes these topics. Succeeds too if another process makes one of them at the same time.
///
/// # Errors
/// What an operator can do about the first topic that could not be made.
pub(super) async fn make(settings: &KafkaSettings, wanted: &[(&'static str, Found)]) -> Result<(), Reason> {
    let failed = |error: KafkaError| {
        Reason::new("topics are missing and the brokers did not make them; trying again").because(error.to_string())
    };
    let admin: AdminClient<DefaultClientContext> = settings.client().create().map_err(failed)?;
    let KafkaSettings { partitions, replication, .. } = settings;
    let topic =
        |(name, _): &(&'static str, Found)| NewTopic::new(name, *partitions, TopicReplication::Fixed(*replication));
    let topics: Vec<_> = wanted.iter().map(topic).collect();
    let options = AdminOptions::new().request_timeout(Some(MADE_WITHIN)).operation_timeout(Some(MADE_WITHIN));
    let made = admin.create_topics(&topics, &options).await;
    // Dropping the admin client joins its thread: that would block this task's worker.
    let _ = tokio::task::spawn_blocking(move || drop(admin)).await;
    for (topic, (_, found)) in made.map_err(failed)?.into_iter().zip(wanted) {
        match topic {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(refusal(settings, &name, code, *found)),
        }
    }
    Ok(())
}

/// The message for the operator: why a topic cannot be made, and what to do.
fn refusal(settings: &KafkaSettings, name: &str, code: RDKafkaErrorCode, found: Found) -> Reason {
    let KafkaSettings { partitions, replication, .. } = settings;
    let text = match (code, found) {
        (RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed, Found::Hidden) => {
            format!(
                "the topic {name} may be neither used nor made by this user: grant Write and Describe on it (Read and \
                 Describe for `onsale consume`), or Create"
            )
        }
        (RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed, _) => format!(
            "the topic {name} is missing and this user may not make it: make it with {partitions} partitions, or grant \
             Create on it"
        ),
        (RDKafkaErrorCode::InvalidReplicationFactor, _) => format!(
            "the topic {name} cannot be made with {replication} replicas: there are fewer brokers; set \
             ONSALE_KAFKA_REPLICATION"
        ),
        _ => {
            let text = format!(
                "the topic {name} is missing and the brokers refuse to make it: make it by hand, with {partitions} partitions"
            );
            return Reason::new(text).because(code.to_string());
        }
    };
    text.into()
}
