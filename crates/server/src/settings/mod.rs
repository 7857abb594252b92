//! Settings: one table, three sources, one precedence — flag, environment, `onsale.toml`, default.

mod auth;
mod clients;
mod kafka;
mod parse;
#[cfg(test)]
mod properties;
mod shape;
mod source;
mod sqlite_url;
mod table;
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use onsale_adapters::kafka::KafkaSettings;
use onsale_adapters::postgres::PostgresUrl;
use onsale_adapters::redis::RedisUrl;
use onsale_adapters::webhook::{PlatformUrl, SigningKey};
use onsale_app::calendar::Calendar;
use onsale_domain::waiting_room;

use crate::telemetry::OtlpEndpoint;

pub(crate) use auth::{Auth, JwtSettings};
pub(crate) use clients::{AddressHeader, Limits, RateLimit};
pub(crate) use shape::Idle;
pub(crate) use source::{Sources, unknown_variables};
pub(crate) use table::TABLE;
pub(crate) use web::{CorsOrigins, PublicUrl, WebSettings};

/// A setting that cannot be used. The message names it as the user wrote it, and never shows a secret.
#[derive(Debug, thiserror::Error)]
#[error("{name} {problem}")]
pub(crate) struct BadSetting {
    pub(crate) name: String,
    pub(crate) problem: String,
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is shorter than the hash that it keys (RFC 7518, section 3.2), and so may be guessed.
    pub(crate) fn is_weak(&self) -> bool {
        self.0.len() < 32
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// Where the sale is kept.
#[derive(Clone, Debug)]
pub(crate) enum DatabaseUrl {
    /// A SQLite file, which one process has to itself.
    Sqlite(PathBuf),
    /// A Postgres, shared by any number of instances.
    Postgres(PostgresUrl),
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people on a terminal, for machines elsewhere.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Where delivered events go.
#[derive(Clone, Debug)]
pub(crate) struct PlatformSettings {
    /// Where they are posted.
    pub(crate) url: Option<PlatformUrl>,
    /// What posts are signed with.
    pub(crate) key: Option<SigningKey>,
    /// Where they are written if they are not posted.
    pub(crate) folder: PathBuf,
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) database: DatabaseUrl,
    /// With Postgres: connections that run units of work.
    pub(crate) database_lanes: u32,
    /// With Postgres: connections that answer reads.
    pub(crate) database_readers: u32,
    /// Where places in line are handed out, if not at the database.
    pub(crate) redis: Option<RedisUrl>,
    /// Where events are published, if anywhere.
    pub(crate) kafka: Option<KafkaSettings>,
    /// Whether `serve` relays events by itself.
    pub(crate) relay: bool,
    pub(crate) platform: PlatformSettings,
    /// Where background work alone shows its metrics.
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) token_secret: Option<Secret>,
    pub(crate) admin_key: Option<Secret>,
    pub(crate) auth: Auth,
    /// Where clients see this server, and which sites may call it.
    pub(crate) web: WebSettings,
    pub(crate) calendar: Calendar,
    pub(crate) queue_strict: bool,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Which of their headers names the client.
    pub(crate) client_address_header: AddressHeader,
    pub(crate) hold_seconds: u32,
    pub(crate) room: waiting_room::Settings,
    pub(crate) limits: Limits,
    /// How many answers under idempotency keys one user may keep at a time; 0 for no limit.
    pub(crate) keys_per_user: u32,
    /// After how many days events are forgotten that were sent.
    pub(crate) events_kept_days: Option<u32>,
    /// After how many days places in line are dropped whose turns are over.
    pub(crate) places_kept_days: u32,
    /// With SQLite: writes are refused before less than this is free, if a reader makes the log grow, in MiB; 0: never.
    pub(crate) disk_reserve_mib: u32,
    /// Whether what many look at is kept in memory.
    pub(crate) caches: bool,
    /// How many polls a second a crowd that waits should make, if it asks as it is told.
    pub(crate) polls_per_second: u32,
    /// How long a connection is kept without a request.
    pub(crate) idle: Duration,
    /// How long the server goes on serving after SIGTERM while it is not ready.
    pub(crate) drain: Duration,
    pub(crate) connections_max: usize,
    pub(crate) connections_per_address: Option<u32>,
    /// Where traces are sent, if anywhere.
    pub(crate) otlp_endpoint: Option<OtlpEndpoint>,
    /// Which share of requests is traced.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "only checked"))]
    pub(crate) otlp_sample: f64,
    pub(crate) log_level: tracing::Level,
    pub(crate) log_format: LogFormat,
    /// Settings that were set and have no effect in this process.
    pub(crate) idle_settings: Vec<Idle>,
}

impl Settings {
    /// The address that the server listens on, read without the other settings.
    ///
    /// # Errors
    /// `BadSetting` if it is no address.
    pub(crate) fn listen(sources: &Sources) -> Result<SocketAddr, BadSetting> {
        sources.parse("listen", parse::address)
    }

    /// Reads all settings from their sources.
    ///
    /// # Errors
    /// Names the first that cannot be used.
    pub(crate) fn read(sources: &Sources) -> Result<Self, BadSetting> {
        let listen = Self::listen(sources)?;
        Ok(Self {
            listen,
            database: sources.parse("database-url", parse::database)?,
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
            admin_key: sources.optional("admin-key", parse::admin_key)?,
            auth: auth::auth(sources, listen)?,
            web: WebSettings::read(sources)?,
            calendar: sources.parse("timezone", parse::timezone)?,
            queue_strict: sources.parse("queue-strict", parse::switch)?,
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
            otlp_sample: sources.parse("otlp-sample", parse::share)?,
            log_level: sources.parse("log", parse::log_level)?,
            log_format: sources.parse("log-format", parse::log_format)?,
            idle_settings: Vec::new(),
        })
    }
}
