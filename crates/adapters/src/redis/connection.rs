//! Connections to Redis: to one server, to the primary that sentinels name, or to a cluster. Every call has a time limit, and
//! connections are replaced after every fault.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, ScriptInvocation, ServerErrorKind, TlsMode, Value,
};
use tokio::sync::Mutex;

use super::url::{RedisUrl, Sentinels, Target};

/// Time limit for opening a connection. Beyond it the call fails.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);

/// Time limit for an answer. Beyond it the call fails; the server may still run it.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// A shared connection to a server or cluster, opened when it is needed.
pub(super) enum Connection {
    One(One),
    Cluster {
        client: Result<Box<ClusterClient>, RedisError>,
        /// Held while the connection is opened, so that concurrent callers open one and share it.
        connection: Mutex<Option<ClusterConnection>>,
    },
}

/// A shared connection to one server.
pub(super) struct One {
    source: Source,
    /// Held while the connection is opened, so that concurrent callers open one and share it. Not held during requests.
    /// Taken before the lock of [`Source::Sentinels`].
    open: Mutex<Open>,
}

enum Source {
    Server(Result<Box<Client>, RedisError>),
    /// The client owns its connections to the sentinels and needs exclusive access to use them.
    Sentinels(Mutex<Result<Box<SentinelClient>, RedisError>>),
}

/// A call to one server. It can be sent twice.
#[derive(Clone, Copy)]
enum Call<'a> {
    Script(&'a ScriptInvocation<'a>),
    Command(&'a Cmd),
}

impl Call<'_> {
    async fn send(self, connection: &mut MultiplexedConnection) -> Result<Value, RedisError> {
        match self {
            Self::Script(call) => call.invoke_async(connection).await,
            Self::Command(command) => command.query_async(connection).await,
        }
    }
}

/// The shared connection with its number, by which a caller closes only the connection that failed it, not its replacement.
#[derive(Default)]
struct Open {
    /// Counts the connections that were opened.
    number: u64,
    connection: Option<MultiplexedConnection>,
}

impl Connection {
    pub(super) fn new(url: &RedisUrl) -> Self {
        let source = match &url.target {
            Target::Server(info) => Source::Server(Client::open(info.as_ref().clone()).map(Box::new)),
            Target::Sentinels(all) => Source::Sentinels(Mutex::new(sentinels(all).map(Box::new))),
            Target::Cluster(nodes) => {
                let client = ClusterClientBuilder::new(nodes.clone())
                    .connection_timeout(CONNECTED_WITHIN)
                    .response_timeout(ANSWERED_WITHIN)
                    .retries(2)
                    .max_retry_wait(200)
                    .build();
                return Self::Cluster { client: client.map(Box::new), connection: Mutex::default() };
            }
        };
        Self::One(One { source, open: Mutex::default() })
    }

    /// Whether this connects to a cluster.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster { .. })
    }

    /// Runs a script. Sends it once more if the connection turns out to be closed, so every script must be safe to run
    /// twice.
    ///
    /// # Errors
    /// The server's or driver's error; an I/O error after 3 s without an answer.
    pub(super) async fn run(&self, call: &ScriptInvocation<'_>) -> Result<Value, RedisError> {
        self.bounded(async {
            match self {
                Self::One(one) => one.call(Call::Script(call)).await,
                Self::Cluster { .. } => call.invoke_async(&mut self.cluster().await?).await,
            }
        })
        .await
    }

    /// Runs a command at the server, or at every primary of a cluster. Returns one answer per server.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(super) async fn everywhere(&self, command: &Cmd) -> Result<Vec<Value>, RedisError> {
        let answer = self.bounded(async {
            match self {
                Self::One(one) => {
                    one.call(Call::Command(command)).await.map(|answer| Value::Map(vec![(Value::Nil, answer)]))
                }
                Self::Cluster { .. } => {
                    let everywhere = (MultipleNodeRoutingInfo::AllMasters, Some(ResponsePolicy::Special));
                    let mut connection = self.cluster().await?;
                    connection.route_command(command.clone(), RoutingInfo::MultiNode(everywhere)).await
                }
            }
        });
        match answer.await? {
            Value::Map(answers) => Ok(answers.into_iter().map(|(_, answer)| answer).collect()),
            other => Ok(vec![other]),
        }
    }

    /// Runs a call with the time limit of all calls.
    async fn bounded(&self, call: impl Future<Output = Result<Value, RedisError>>) -> Result<Value, RedisError> {
        match tokio::time::timeout(CONNECTED_WITHIN + ANSWERED_WITHIN, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                // The next call makes a new connection, which looks the nodes of the cluster up again.
                if let Self::Cluster { connection, .. } = self
                    && error.is_unrecoverable_error()
                {
                    *connection.lock().await = None;
                }
                Err(error)
            }
            Err(_) => Err(RedisError::from((ErrorKind::Io, "no answer within 3 s"))),
        }
    }

    async fn cluster(&self) -> Result<ClusterConnection, RedisError> {
        let Self::Cluster { client, connection } = self else {
            return Err(RedisError::from((ErrorKind::Client, "a connection of the other kind")));
        };
        // Held while it connects: concurrent callers share the one connection.
        let mut connection = connection.lock().await;
        if let Some(known) = &*connection {
            return Ok(known.clone());
        }
        let fresh = client.as_ref().map_err(Clone::clone)?.get_async_connection().await?;
        *connection = Some(fresh.clone());
        Ok(fresh)
    }
}

impl One {
    /// Sends a call over the shared connection. If that turns out to be closed, because Redis closed it as idle or was
    /// restarted, opens another connection and sends the call once more.
    async fn call(&self, call: Call<'_>) -> Result<Value, RedisError> {
        let (mut connection, number) = self.connection().await?;
        let error = match call.send(&mut connection).await {
            Err(error) if must_be_replaced(&error) => error,
            answer => return answer,
        };
        // By its number: another caller may have replaced it by now, and the new one is good.
        self.close(number).await;
        // After a time-out or a refusal the caller has waited long enough. Only a closed connection is cheap to retry.
        if !error.is_connection_dropped() {
            return Err(error);
        }
        let (mut connection, number) = self.connection().await?;
        let answer = call.send(&mut connection).await;
        if answer.as_ref().is_err_and(must_be_replaced) {
            self.close(number).await;
        }
        answer
    }

    /// The shared connection with its number; opens one if there is none.
    async fn connection(&self) -> Result<(MultiplexedConnection, u64), RedisError> {
        let mut open = self.open.lock().await;
        if let Some(known) = &open.connection {
            return Ok((known.clone(), open.number));
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTED_WITHIN))
            .set_response_timeout(Some(ANSWERED_WITHIN));
        let fresh = match &self.source {
            Source::Server(client) => {
                let client = client.as_ref().map_err(Clone::clone)?;
                client.get_multiplexed_async_connection_with_config(&config).await?
            }
            Source::Sentinels(client) => {
                let mut client = client.lock().await;
                let client = client.as_mut().map_err(|error| error.clone())?;
                client.get_async_connection_with_config(&config).await?
            }
        };
        open.number += 1;
        open.connection = Some(fresh.clone());
        Ok((fresh, open.number))
    }

    /// Closes the connection with this number, unless another caller has replaced it.
    async fn close(&self, number: u64) {
        let mut open = self.open.lock().await;
        if open.number == number {
            open.connection = None;
        }
    }
}

fn sentinels(all: &Sentinels) -> Result<SentinelClient, RedisError> {
    let mut builder = SentinelClientBuilder::new(all.nodes.clone(), &all.service, SentinelServerType::Master)?;
    let (server, sentinel) = (all.server.redis_settings(), all.sentinel.redis_settings());
    builder = builder.set_client_to_redis_db(server.db());
    if let Some(user) = server.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = server.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(user) = sentinel.username() {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = sentinel.password() {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if all.is_tls {
        let mode = if all.is_insecure { TlsMode::Insecure } else { TlsMode::Secure };
        builder = builder.set_client_to_redis_tls_mode(mode).set_client_to_sentinel_tls_mode(mode);
    }
    builder.build()
}

/// Whether the connection must be replaced after this error: it is closed, does not answer, or leads to a server that has
/// become a replica, as after a failover behind the same name.
fn must_be_replaced(error: &RedisError) -> bool {
    let is_replica = matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) | ErrorKind::AuthenticationFailed
    );
    is_replica || error.is_io_error() || error.is_unrecoverable_error()
}
