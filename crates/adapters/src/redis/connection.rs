//! How Redis is reached: one server or a cluster; bounded in time, and again after every fault.

use std::fmt;
use std::time::Duration;

use onsale_app::waiting_room::door::MemoryError;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::{Client, ErrorKind, IntoConnectionInfo, RedisError, ScriptInvocation, Value, cmd};
use tokio::sync::Mutex;

/// How long reaching a server may take.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);

/// How long an answer may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// A `redis://` URL, or several hosts of a cluster.
#[derive(Clone)]
pub struct RedisUrl {
    nodes: Vec<String>,
    is_cluster: bool,
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Where it points, without user and password.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |node: &String| {
            let (scheme, rest) = node.split_once("://").unwrap_or(("redis", node));
            format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
        };
        write!(f, "{}", self.nodes.iter().map(bare).collect::<Vec<_>>().join(","))
    }
}

impl RedisUrl {
    /// Reads `redis://` or `rediss://` (TLS) with a host, for one server; `redis-cluster://` or `rediss-cluster://` with
    /// one host or several, separated by commas, for a cluster.
    ///
    /// # Errors
    /// What is wrong, to be read after the setting's name; never with the password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = || "is no URL of a Redis: redis://HOST, rediss://HOST, redis-cluster://HOST,HOST".to_owned();
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let (scheme, is_cluster) = match scheme {
            "redis" | "rediss" => (scheme, false),
            "redis-cluster" => ("redis", true),
            "rediss-cluster" => ("rediss", true),
            _ => return Err(wrong()),
        };
        let (login, hosts) = rest.rsplit_once('@').map_or(("", rest), |(login, hosts)| (login, hosts));
        let login = if login.is_empty() { String::new() } else { format!("{login}@") };
        let hosts: Vec<&str> = if is_cluster { hosts.split(',').collect() } else { vec![hosts] };
        let nodes: Vec<String> = hosts.iter().map(|host| format!("{scheme}://{login}{host}")).collect();
        let is_good = |node: &String| node.as_str().into_connection_info().is_ok();
        if hosts.iter().any(|host| host.is_empty() || host.starts_with('/')) || !nodes.iter().all(is_good) {
            return Err(wrong());
        }
        Ok(Self { nodes, is_cluster })
    }
}

/// The way to a server or cluster, opened when it is needed.
pub(super) enum Connection {
    One { client: Result<Box<Client>, String>, manager: Mutex<Option<ConnectionManager>> },
    Cluster { client: Result<Box<ClusterClient>, String>, connection: Mutex<Option<ClusterConnection>> },
}

impl Connection {
    pub(super) fn new(url: &RedisUrl) -> Self {
        let said = |error: RedisError| error.to_string();
        if url.is_cluster {
            let client = ClusterClientBuilder::new(url.nodes.iter().map(String::as_str))
                .connection_timeout(CONNECTED_WITHIN)
                .response_timeout(ANSWERED_WITHIN)
                .retries(2)
                .max_retry_wait(200)
                .build();
            return Self::Cluster { client: client.map(Box::new).map_err(said), connection: Mutex::default() };
        }
        Self::One { client: Client::open(url.nodes[0].as_str()).map(Box::new).map_err(said), manager: Mutex::default() }
    }

    /// Runs a script.
    pub(super) async fn run(&self, call: &ScriptInvocation<'_>) -> Result<Value, MemoryError> {
        self.bounded(async {
            match self {
                Self::One { .. } => call.invoke_async(&mut self.manager().await?).await,
                Self::Cluster { .. } => call.invoke_async(&mut self.cluster().await?).await,
            }
        })
        .await
    }

    pub(super) async fn ping(&self) -> Result<(), MemoryError> {
        let asked = async {
            match self {
                Self::One { .. } => cmd("PING").query_async::<Value>(&mut self.manager().await?).await,
                Self::Cluster { .. } => cmd("PING").query_async::<Value>(&mut self.cluster().await?).await,
            }
        };
        self.bounded(asked).await.map(|_| ())
    }

    async fn bounded(&self, asked: impl Future<Output = Result<Value, RedisError>>) -> Result<Value, MemoryError> {
        match tokio::time::timeout(CONNECTED_WITHIN + ANSWERED_WITHIN, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                // A cluster's connection looks for the nodes anew; a single one comes back by itself.
                if let Self::Cluster { connection, .. } = self
                    && error.is_unrecoverable_error()
                {
                    *connection.lock().await = None;
                }
                Err(MemoryError::Away(error.to_string()))
            }
            Err(_) => Err(MemoryError::Away("no answer in time".to_owned())),
        }
    }

    async fn manager(&self) -> Result<ConnectionManager, RedisError> {
        let Self::One { client, manager } = self else { return Err(misused()) };
        let mut manager = manager.lock().await;
        if let Some(known) = &*manager {
            return Ok(known.clone());
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECTED_WITHIN))
            .set_response_timeout(Some(ANSWERED_WITHIN))
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(Duration::from_millis(500));
        let client = client.as_ref().map_err(|error| bad_url(error))?;
        let fresh = ConnectionManager::new_with_config(Client::clone(client), config).await?;
        *manager = Some(fresh.clone());
        Ok(fresh)
    }

    async fn cluster(&self) -> Result<ClusterConnection, RedisError> {
        let Self::Cluster { client, connection } = self else { return Err(misused()) };
        let mut connection = connection.lock().await;
        if let Some(known) = &*connection {
            return Ok(known.clone());
        }
        let client = client.as_ref().map_err(|error| bad_url(error))?;
        let fresh = client.get_async_connection().await?;
        *connection = Some(fresh.clone());
        Ok(fresh)
    }
}

fn misused() -> RedisError {
    RedisError::from((ErrorKind::Client, "a connection of the other kind"))
}

fn bad_url(error: &str) -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, "the URL cannot be used", error.to_owned()))
}
