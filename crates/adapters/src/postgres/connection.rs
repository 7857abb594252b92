//! How the server is reached, and with which settings a connection works.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::task::AbortHandle;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::DbError;
use super::session::Session;
use super::silence::Silence;
use super::values::Sql;

/// How long reaching the server may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// A setting that no server has, in force wherever ours are. A pooler that is told to ignore settings drops it too, and
/// would hand statements that one process prepared to another.
const MARK: &str = "-c onsale.direct=on";

const POOLED: &str = "this looks like PgBouncer, behind which onsale does not work; its few connections go straight to \
    the server";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Runs units of work. Waits for a lock for a bounded time; a process that stands still in the midst of a unit
    /// loses its locks soon. Every statement goes by key, so plans that read whole tables are out of the question. No
    /// statement timeout: one that struck while a commit waits for its standby would call it done.
    Lane,
    /// Answers reads.
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
                "-c lock_timeout=3000 -c idle_in_transaction_session_timeout=2000 -c statement_timeout=0 \
                 -c client_connection_check_interval=1000 -c plan_cache_mode=force_generic_plan -c enable_seqscan=off \
                 -c enable_bitmapscan=off -c enable_material=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
            }
            Self::Reader => {
                "-c statement_timeout=8000 -c idle_in_transaction_session_timeout=10000 -c jit=off \
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

/// A `postgres://` URL that can be used.
#[derive(Clone)]
pub struct PostgresUrl {
    config: Arc<Config>,
    tls: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Where it points, without user and password.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |host: &tokio_postgres::config::Host| match host {
            tokio_postgres::config::Host::Tcp(name) => name.clone(),
            tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
        };
        let hosts: Vec<String> = self.config.get_hosts().iter().map(host).collect();
        let ports: Vec<String> = self.config.get_ports().iter().map(ToString::to_string).collect();
        write!(f, "postgres://{}", hosts.join(","))?;
        if !ports.is_empty() {
            write!(f, ":{}", ports.join(","))?;
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl PostgresUrl {
    /// Reads a URL as libpq knows them. `sslmode` is `disable`, `prefer` or `require`; with TLS the server's
    /// certificate is always checked, against `sslrootcert` (a PEM file) or the system's roots.
    ///
    /// # Errors
    /// What is wrong, to be read after the setting's name; never with the password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (roots, rest): (Vec<&str>, Vec<&str>) =
            query.split('&').filter(|part| !part.is_empty()).partition(|part| part.starts_with("sslrootcert="));
        let url = if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) };
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let reason = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            format!("is no URL of a Postgres database: {reason}")
        })?;
        if config.get_hosts().is_empty() {
            return Err("names no host: postgres://USER@HOST/DATABASE".to_owned());
        }
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err("names no database: postgres://USER@HOST/DATABASE".to_owned());
        }
        config.application_name("onsale").keepalives_idle(Duration::from_secs(10));
        config.tcp_user_timeout(Duration::from_secs(5)).target_session_attrs(TargetSessionAttrs::ReadWrite);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_WITHIN);
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            // Without a certificate to check it by, TLS that the server may refuse at will protects nothing.
            SslMode::Prefer if roots.is_empty() => {
                config.ssl_mode(SslMode::Disable);
                None
            }
            _ => {
                config.ssl_mode(SslMode::Require);
                Some(Arc::new(tls(roots.first().and_then(|part| part.split_once('=')).map(|(_, path)| path))?))
            }
        };
        Ok(Self { config: Arc::new(config), tls })
    }

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
        let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(1);
        let connected = tokio::time::timeout(CONNECT_WITHIN * (1 + hosts), async {
            let (client, driver) = match &self.tls {
                None => {
                    let (client, connection) = config.connect(NoTls).await.map_err(|error| away(&error))?;
                    (client, tokio::spawn(connection).abort_handle())
                }
                Some(tls) => {
                    let tls = MakeRustlsConnect::new(ClientConfig::clone(tls));
                    let (client, connection) = config.connect(tls).await.map_err(|error| away(&error))?;
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
    if said.contains("unsupported startup parameter") {
        return DbError::Away(format!("{said}: {POOLED}"));
    }
    DbError::Away(said)
}

fn tls(root: Option<&str>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match root {
        Some(path) => {
            let bad = |problem: String| format!("names a certificate that cannot be used ({path}): {problem}");
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))? {
                let certificate = certificate.map_err(|error| bad(error.to_string()))?;
                roots.add(certificate).map_err(|error| bad(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(bad("it holds none".to_owned()));
            }
        }
        None => {
            let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err("asks for TLS, and this system trusts no certificate: name one with sslrootcert".to_owned());
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| format!("asks for TLS, which does not work here: {error}"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
