//! Opens connections, with the settings of each role.

use tokio::task::AbortHandle;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::error::DbError;
use super::liveness::Liveness;
use super::session::Session;
use super::url::PostgresUrl;
use super::values::Sql;

/// A setting that no server has by itself. If it is missing on a connection, a pooler in between dropped our settings; it would
/// also mix up the prepared statements of several processes.
const DIRECT: &str = "-c onsale.direct=on";

const POOLED: &str = "this looks like PgBouncer, behind which onsale does not work; its few connections go straight to \
    the server";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Runs units of work. `lock_timeout` is 300 ms, because many commands wait with the one that waits for a lock
    /// (`held.rs`). A process that is stopped inside a unit loses its locks after 2 s. Every statement goes by key, so plans
    /// that read whole tables are disabled. No statement timeout: cancelling a commit that waits for its standby would
    /// acknowledge it.
    Lane,
    /// Answers reads. `statement_timeout` is shorter than the time limit of a query (`session.rs`), so that a slow statement
    /// is not mistaken for a server that stopped answering.
    Reader,
    /// Reads what other processes changed, many times a second ([`super::news`]). The same statements each time, with lists of
    /// all lengths: the planner would plan most of them again each time, for longer than they take.
    Follower,
    /// Reads the outbox and records progress: a few of very many rows, by key.
    Outbox,
    /// Runs an administrator's command.
    Tool,
    /// Changes the schema. Waits without a limit for another process that does the same: a step of a large database takes
    /// minutes ([`super::schema`]). No statement timeout: a database may have one of its own, and would abort the step each
    /// time. The check of the client ends the step soon after its process was killed, so that the next process can begin.
    Migration,
    /// Reads a whole list for an export, in one transaction of bounded length. The limits end the transaction if the process
    /// stops in the middle of it.
    Export,
    /// Reads everything for the audit: for minutes, with pauses while rows are checked. Uses little memory and one process, so
    /// that the sale keeps the rest. Nested loops are disabled: without statistics, the planner would look up each row of
    /// a join. A small `effective_cache_size` makes the planner sort a table on disk instead of reading it in the order of an
    /// index, which would fetch one page per row from the cache that the sale needs.
    Audit,
}

impl Role {
    fn options(self) -> &'static str {
        match self {
            Self::Lane => {
                "-c lock_timeout=300 -c idle_in_transaction_session_timeout=2000 -c statement_timeout=0 \
                 -c client_connection_check_interval=1000 -c plan_cache_mode=force_generic_plan -c enable_seqscan=off \
                 -c enable_bitmapscan=off -c enable_material=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
            }
            Self::Reader => {
                "-c statement_timeout=4000 -c lock_timeout=1000 -c idle_in_transaction_session_timeout=10000 -c jit=off \
                 -c client_connection_check_interval=1000"
            }
            Self::Follower => {
                "-c statement_timeout=4000 -c lock_timeout=1000 -c idle_in_transaction_session_timeout=10000 -c jit=off \
                 -c client_connection_check_interval=1000 -c plan_cache_mode=force_generic_plan"
            }
            Self::Outbox => {
                "-c lock_timeout=30000 -c client_connection_check_interval=1000 -c enable_seqscan=off \
                 -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
            }
            Self::Tool => "-c lock_timeout=30000 -c jit=off",
            Self::Migration => {
                "-c lock_timeout=0 -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 \
                 -c client_connection_check_interval=1000 -c jit=off"
            }
            Self::Export => {
                "-c statement_timeout=25000 -c lock_timeout=1000 -c idle_in_transaction_session_timeout=25000 -c jit=off \
                 -c client_connection_check_interval=1000 -c max_parallel_workers_per_gather=0"
            }
            Self::Audit => {
                "-c lock_timeout=30000 -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 \
                 -c client_connection_check_interval=1000 -c work_mem=32MB -c max_parallel_workers_per_gather=0 \
                 -c effective_cache_size=64MB -c enable_nestloop=off -c jit=off"
            }
        }
    }
}

impl PostgresUrl {
    /// Connects, and prepares statements.
    pub(super) async fn open(&self, role: Role, liveness: &Liveness, statements: &[&[&'static str]]) -> Sql<Session> {
        // Before connecting: an outage that is reported meanwhile makes the new connection stale.
        let subscription = liveness.subscribe();
        let (client, driver) = self.connect(role).await?;
        Session::new(client, driver, subscription, statements).await
    }

    /// Connects. A task of the caller's runtime drives the connection; aborting that task closes it.
    ///
    /// # Errors
    /// `Late` beyond the URL's time limit; `Away` with the reason if the server refuses.
    pub(super) async fn connect(&self, role: Role) -> Sql<(Client, AbortHandle)> {
        let mut config = Config::clone(&self.config);
        let options = format!("{} {} {DIRECT}", config.get_options().unwrap_or_default(), role.options());
        config.options(options.trim());
        if role == Role::Audit {
            // A standby is as good to read, and a long snapshot there does not keep dead rows on the primary (without
            // `hot_standby_feedback`).
            config.target_session_attrs(TargetSessionAttrs::Any);
        }
        let connected = tokio::time::timeout(self.connect_within, async {
            let (client, driver) = match &self.tls {
                None => {
                    let (client, connection) = config.connect(NoTls).await.map_err(|error| away(&error))?;
                    (client, tokio::spawn(connection).abort_handle())
                }
                Some(tls) => {
                    let (client, connection) = config.connect(tls.clone()).await.map_err(|error| away(&error))?;
                    (client, tokio::spawn(connection).abort_handle())
                }
            };
            // Every command of the program begins with one of these roles, so the other roles save the round trip.
            if matches!(role, Role::Tool | Role::Migration | Role::Audit) {
                prove_direct(&client).await?;
            }
            Ok((client, driver))
        });
        connected.await.map_err(|_| DbError::Late)?
    }
}

/// Checks that the connection's settings have reached the server that answers.
///
/// # Errors
/// `Away` if a pooler dropped them.
async fn prove_direct(client: &Client) -> Sql<()> {
    match client.batch_execute("SHOW onsale.direct").await {
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => {
            Err(DbError::Away(format!("the settings of a connection do not reach the server: {POOLED}")))
        }
        shown => Ok(shown?),
    }
}

/// Turns an error of connecting into one with a hint for the operator.
fn away(error: &tokio_postgres::Error) -> DbError {
    let message = match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => format!("{} ({})", db.message(), db.code().code()),
        (None, Some(source)) => source.to_string(),
        (None, None) => error.to_string(),
    };
    if message.contains("database does not allow writes") {
        let why = "it is a standby, or `default_transaction_read_only` is on; name the primary";
        return DbError::Away(format!("the server takes no writes: {why}"));
    }
    if message.contains("no encryption") && message.contains("pg_hba") {
        return DbError::Away(format!("{message}: add sslmode=require to the URL"));
    }
    if message.contains("unsupported startup parameter") {
        return DbError::Away(format!("{message}: {POOLED}"));
    }
    DbError::Away(message)
}
