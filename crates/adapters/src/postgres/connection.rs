//! How the server is reached, and with which settings a connection works.

use tokio::task::AbortHandle;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::error::DbError;
use super::session::Session;
use super::silence::Silence;
use super::url::PostgresUrl;
use super::values::Sql;

/// A setting that no server has, in force wherever ours are. A pooler that is told to ignore settings drops it too, and
/// would hand statements that one process prepared to another.
const MARK: &str = "-c onsale.direct=on";

const POOLED: &str = "this looks like PgBouncer, behind which onsale does not work; its few connections go straight to \
    the server";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Runs units of work. Waits for a lock for a moment only, as many commands wait with it (`held.rs`); a process that stands still in the midst of a unit
    /// loses its locks soon. Every statement goes by key, so plans that read whole tables are out of the question. No
    /// statement timeout: one that struck while a commit waits for its standby would call it done.
    Lane,
    /// Answers reads. The server ends what takes longer than a caller waits for it (`session.rs`), so that a slow
    /// statement does not look like a silent server.
    Reader,
    /// Reads the outbox and writes down what became of it: a few of very many rows, by key.
    Outbox,
    /// Does what an administrator asks.
    Tool,
    /// Reads everything for the audit, for minutes, and waits in between for whoever checks it. Memory is little and
    /// one process works, so that the sale keeps the rest. A join is never a lookup for each row, whatever the planner
    /// believes of tables that were filled a moment ago. The cache is the sale's: a table that does not lie in the
    /// order asked for is read through and sorted on disk, where going by its index would fetch a page for each row.
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
            Self::Outbox => {
                "-c lock_timeout=30000 -c client_connection_check_interval=1000 -c enable_seqscan=off \
                 -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
            }
            Self::Tool => "-c lock_timeout=30000 -c jit=off",
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
    pub(super) async fn open(&self, role: Role, silence: &Silence, statements: &[&[&'static str]]) -> Sql<Session> {
        let vigil = silence.listen();
        let (client, driver) = self.connect(role).await?;
        Session::new(client, driver, vigil, statements).await
    }

    /// Connects. The connection is driven by a task of the runtime that asks; ending that task cuts it.
    pub(super) async fn connect(&self, role: Role) -> Sql<(Client, AbortHandle)> {
        let mut config = Config::clone(&self.config);
        let options = format!("{} {} {MARK}", config.get_options().unwrap_or_default(), role.options());
        config.options(options.trim());
        if role == Role::Audit {
            // A standby holds no dead rows of the primary back (without `hot_standby_feedback`), and is as good to read.
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
            // Every command begins with one of these; the others save the round trip.
            if matches!(role, Role::Tool | Role::Audit) {
                prove_direct(&client).await?;
            }
            Ok((client, driver))
        });
        connected.await.map_err(|_| DbError::Late)?
    }
}

/// Whether the settings of a connection reach the server that answers on it.
async fn prove_direct(client: &Client) -> Sql<()> {
    match client.batch_execute("SHOW onsale.direct").await {
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => {
            Err(DbError::Away(format!("the settings of a connection do not reach the server: {POOLED}")))
        }
        shown => Ok(shown?),
    }
}

fn away(error: &tokio_postgres::Error) -> DbError {
    let said = match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => format!("{} ({})", db.message(), db.code().code()),
        (None, Some(source)) => source.to_string(),
        (None, None) => error.to_string(),
    };
    if said.contains("database does not allow writes") {
        let why = "it is a standby, or `default_transaction_read_only` is on; name the primary";
        return DbError::Away(format!("the server takes no writes: {why}"));
    }
    if said.contains("no encryption") && said.contains("pg_hba") {
        return DbError::Away(format!("{said}: add sslmode=require to the URL"));
    }
    if said.contains("unsupported startup parameter") {
        return DbError::Away(format!("{said}: {POOLED}"));
    }
    DbError::Away(said)
}
