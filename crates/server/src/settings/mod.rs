//! Settings: one table of all of them ([`table`]), read from flags, then the environment, then `onsale.toml`, then defaults.

mod auth;
mod clients;
mod effect;
mod kafka;
mod parse;
#[cfg(test)]
mod properties;
mod source;
mod sqlite_url;
mod table;
mod traces;
mod web;

use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use onsale_adapters::kafka::KafkaSettings;
use onsale_adapters::postgres::PostgresUrl;
use onsale_adapters::redis::RedisUrl;
use onsale_adapters::webhook::{PlatformUrl, SigningKey};
use onsale_app::calendar::Calendar;
use onsale_domain::concert::Sale;
use onsale_domain::waiting_room;

use crate::auth::Auth;
use crate::secret::Secret;
use crate::ticket::Seeds;

pub(crate) use clients::{AddressHeader, Limits, RateLimit};
pub(crate) use effect::{Unused, is_used_by};
pub(crate) use parse::database;
pub(crate) use source::{Sources, unknown_variables};
pub(crate) use table::{GROUPS, Setting, all};
pub(crate) use traces::OtlpEndpoint;
pub(crate) use web::{CorsOrigins, PublicUrl, WebSettings};

/// A setting that cannot be used. The message is `NAME PROBLEM`, never with a secret.
#[derive(Debug, thiserror::Error)]
#[error("{name} {problem}")]
pub(crate) struct BadSetting {
    /// The name as the operator wrote it: `--hold-seconds`, `ONSALE_HOLD_SECONDS` or `hold_seconds in onsale.toml`.
    pub(crate) name: String,
    /// What is wrong, and which values can be used.
    pub(crate) problem: String,
}

/// The database of the sale.
#[derive(Clone, Debug)]
pub(crate) enum DatabaseUrl {
    /// A SQLite file. One server process at a time works on it.
    Sqlite(PathBuf),
    /// A Postgres database, shared by any number of instances.
    Postgres(PostgresUrl),
}

/// As an operator knows it, without a password.
impl Display for DatabaseUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(url) => write!(f, "{url}"),
        }
    }
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One line of plain text for each event.
    Text,
    /// One JSON object for each event.
    Json,
}

/// Who may charge wallets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChargedBy {
    /// Each user their own.
    User,
    /// Staff with the role owner or cashier, and no other client.
    Staff,
}

impl ChargedBy {
    /// The value of the setting.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::User => "self",
            Self::Staff => "staff",
        }
    }
}

/// Which pages for buyers this server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShopPages {
    /// The pages of the shop.
    Shop,
    /// None: another program shows the sale. The back office, the door's page and the API description stay.
    Off,
}

impl ShopPages {
    /// The value of the setting.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Off => "off",
        }
    }
}

/// Where `onsale consume` delivers events.
#[derive(Clone, Debug)]
pub(crate) struct PlatformSettings {
    /// The URL that they are posted to; `None` writes files instead.
    pub(crate) url: Option<PlatformUrl>,
    /// The key that signs posts; `None` leaves them unsigned.
    pub(crate) key: Option<SigningKey>,
    /// The folder of the files.
    pub(crate) folder: PathBuf,
}

/// The values of all settings. [`table`] describes each of them, with its unit and range.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) database: DatabaseUrl,
    /// With Postgres: number of connections that write.
    pub(crate) database_lanes: u32,
    /// With Postgres: number of connections that read.
    pub(crate) database_readers: u32,
    /// The Redis that hands out places; `None`: the database does.
    pub(crate) redis: Option<RedisUrl>,
    /// The brokers that receive events; `None`: events stay in the database.
    pub(crate) kafka: Option<KafkaSettings>,
    /// With Kafka: whether `serve` publishes events.
    pub(crate) relay: bool,
    pub(crate) platform: PlatformSettings,
    /// Where `relay` and `consume` serve their metrics.
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) token_secret: Option<Secret>,
    /// A secret whose tokens are valid too.
    pub(crate) token_secret_previous: Option<Secret>,
    /// Keys that sign tickets; without them, the one of the database.
    pub(crate) ticket_keys: Option<Seeds>,
    pub(crate) admin_key: Option<Secret>,
    /// A key that opens the same calls.
    pub(crate) admin_key_previous: Option<Secret>,
    pub(crate) auth: Auth,
    /// The public URL, and the origins that may call this server from a browser.
    pub(crate) web: WebSettings,
    pub(crate) calendar: Calendar,
    pub(crate) queue_strict: bool,
    pub(crate) charged_by: ChargedBy,
    pub(crate) pages: ShopPages,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// The header in which trusted proxies name the client.
    pub(crate) client_address_header: AddressHeader,
    pub(crate) hold_seconds: u32,
    /// The settings of new waiting rooms.
    pub(crate) room: waiting_room::Settings,
    pub(crate) limits: Limits,
    /// Idempotency keys of one user within 24 hours; 0: no limit.
    pub(crate) keys_per_user: u32,
    /// Days until sent events are deleted; `None`: never.
    pub(crate) events_kept_days: Option<u32>,
    /// Days from the entry until a place in a waiting room is deleted, if its turn is over.
    pub(crate) places_kept_days: u32,
    /// With SQLite: free MiB below which writes are refused while another process keeps the log from being truncated.
    pub(crate) disk_reserve_mib: u32,
    /// Whether seats, dates and lists are kept in memory.
    pub(crate) caches: bool,
    /// Polls per second that all waiting visitors of a room should send together.
    pub(crate) polls_per_second: u32,
    /// Time without a request after which a connection is closed.
    pub(crate) idle: Duration,
    /// Time after SIGTERM in which the server still serves while `/readyz` answers 503.
    pub(crate) drain: Duration,
    pub(crate) connections_max: usize,
    pub(crate) connections_per_address: Option<u32>,
    /// Where traces are sent; `None`: there are none.
    pub(crate) otlp_endpoint: Option<OtlpEndpoint>,
    /// Fraction of requests to trace, 0 to 1.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "a program without traces only checks it"))]
    pub(crate) otlp_sample: f64,
    pub(crate) log_level: tracing::Level,
    pub(crate) log_format: LogFormat,
    /// Settings that a source sets and that have no effect in this process.
    pub(crate) unused: Vec<Unused>,
}

impl Settings {
    /// Reads the address that the server listens on, without the other settings.
    ///
    /// # Errors
    /// `BadSetting` if it is not an address.
    pub(crate) fn listen(sources: &Sources) -> Result<SocketAddr, BadSetting> {
        sources.parse("listen", parse::address)
    }

    /// Reads all settings from their sources.
    ///
    /// # Errors
    /// `BadSetting` for the first setting that cannot be used.
    pub(crate) fn read(sources: &Sources) -> Result<Self, BadSetting> {
        let listen = Self::listen(sources)?;
        Ok(Self {
            listen,
            database: sources.parse("database-url", database)?,
            database_lanes: sources.parse("database-lanes", parse::between(1, 64))?,
            database_readers: sources.parse("database-readers", parse::between(1, 64))?,
            redis: sources.optional("redis-url", RedisUrl::parse)?,
            kafka: kafka::kafka(sources)?,
            relay: sources.parse("relay", parse::switch)?,
            platform: PlatformSettings {
                url: sources.optional("data-platform-url", PlatformUrl::parse)?,
                key: sources.optional("data-platform-secret", SigningKey::parse)?,
                folder: sources.parse("data-platform-dir", |text| Ok(PathBuf::from(text)))?,
            },
            metrics_listen: sources.optional("metrics-listen", parse::address)?,
            token_secret: sources.optional("token-secret", parse::secret)?,
            token_secret_previous: sources.optional("token-secret-previous", parse::secret)?,
            ticket_keys: sources.optional("ticket-key", Seeds::parse)?,
            admin_key: sources.optional("admin-key", parse::admin_key)?,
            admin_key_previous: sources.optional("admin-key-previous", parse::admin_key)?,
            auth: auth::auth(sources, listen)?,
            web: WebSettings::read(sources)?,
            calendar: sources.parse("timezone", parse::timezone)?,
            queue_strict: sources.parse("queue-strict", parse::switch)?,
            charged_by: sources.parse("charge", parse::charged_by)?,
            pages: sources.parse("pages", parse::pages)?,
            trusted_proxies: sources.optional("trusted-proxies", clients::networks)?.unwrap_or_default(),
            client_address_header: sources.parse("client-address-header", AddressHeader::parse)?,
            hold_seconds: sources.parse("hold-seconds", parse::between(1, 86_400))?,
            room: waiting_room::Settings {
                max_active: sources.parse("queue-max-active", parse::between(1, waiting_room::Settings::RATE_MAX))?,
                admit_per_second: sources
                    .parse("queue-admit-per-second", parse::between(1, waiting_room::Settings::RATE_MAX))?,
                active_seconds: sources
                    .parse("queue-active-seconds", parse::between(1, waiting_room::Settings::ACTIVE_SECONDS_MAX))?,
                claim_seconds: sources
                    .parse("queue-claim-seconds", parse::between(1, waiting_room::Settings::CLAIM_SECONDS_MAX))?,
                paused: false,
                sale: Sale::default(),
                early_from: None,
                draw_at: None,
            },
            limits: Limits::read(sources)?,
            keys_per_user: sources.parse("idempotency-keys-per-user", parse::between(0, 10_000_000))?,
            events_kept_days: sources.optional("events-kept-days", parse::between(1, 36_500))?,
            places_kept_days: sources.parse("places-kept-days", parse::between(1, 36_500))?,
            disk_reserve_mib: sources.parse("disk-reserve-mib", parse::between(0, 1_000_000_000))?,
            caches: sources.parse("caches", parse::switch)?,
            polls_per_second: sources.parse("queue-polls-per-second", parse::between(1, 10_000_000))?,
            idle: sources.parse("idle-seconds", parse::seconds_between(1, 3_600))?,
            drain: sources.parse("drain-seconds", parse::seconds_between(0, 3_600))?,
            connections_max: sources.parse("connections-max", parse::between(1, 1_000_000))? as usize,
            connections_per_address: sources.optional("connections-per-address", parse::between(1, 1_000_000))?,
            otlp_endpoint: sources.optional("otlp-endpoint", OtlpEndpoint::parse)?,
            otlp_sample: sources.parse("otlp-sample", parse::fraction)?,
            log_level: sources.parse("log", parse::log_level)?,
            log_format: sources.parse("log-format", parse::log_format)?,
            unused: Vec::new(),
        })
    }
}
