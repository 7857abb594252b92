//! Every setting there is, each once: its name, default and meaning.

/// One setting. `database-url` is the flag `--database-url`, `ONSALE_DATABASE_URL` in the environment and
/// `database_url` in `onsale.toml`.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) default: Option<&'static str>,
    /// What the value looks like, for the help.
    pub(crate) value: &'static str,
    pub(crate) help: &'static str,
}

impl Setting {
    pub(crate) fn variable(&self) -> String {
        format!("ONSALE_{}", self.key().to_uppercase())
    }

    /// Names a file that holds the value.
    pub(crate) fn file_variable(&self) -> String {
        format!("{}_FILE", self.variable())
    }

    pub(crate) fn key(&self) -> String {
        self.name.replace('-', "_")
    }
}

const fn setting(
    name: &'static str,
    value: &'static str,
    default: Option<&'static str>,
    help: &'static str,
) -> Setting {
    Setting { name, default, value, help }
}

/// In the order in which `--help` shows them.
pub(crate) const TABLE: &[Setting] = &[
    setting("listen", "ADDR:PORT", Some("127.0.0.1:8080"), "Where to listen; port 0 picks a free one"),
    setting(
        "database-url",
        "URL",
        Some("sqlite://onsale.db"),
        "Where the sale is kept: sqlite://FILE, or postgres://USER@HOST/DATABASE for several instances",
    ),
    setting("database-lanes", "N", Some("2"), "With Postgres: connections that write, each with a batch of its own"),
    setting("database-readers", "N", Some("2"), "With Postgres: connections that answer reads"),
    setting(
        "redis-url",
        "URL",
        None,
        "Where places in line are handed out: redis://HOST, rediss://HOST, redis-cluster://HOST,HOST, \
         redis-sentinel://HOST,HOST/SERVICE; at the database if not named",
    ),
    setting("kafka-brokers", "HOST:PORT,..", None, "Where events are published; without it they stay in the event log"),
    setting("kafka-partitions", "N", Some("6"), "Partitions of a topic that is made"),
    setting("kafka-replication", "N", Some("1"), "Replicas of each partition of a topic that is made"),
    setting("kafka-group", "NAME", Some("onsale-data-platform"), "The group of consumers that share the topics"),
    setting(
        "kafka-security",
        "plaintext|ssl|sasl_plaintext|sasl_ssl",
        Some("plaintext"),
        "How brokers are reached: as they are, over TLS, with a password, with a password over TLS",
    ),
    setting("kafka-sasl-mechanism", "NAME", None, "With a password: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
    setting("kafka-sasl-username", "NAME", None, "With a password: whose"),
    setting("kafka-sasl-password", "SECRET", None, "With a password: the password"),
    setting("kafka-ca", "PEM|FILE", None, "With TLS: certificates that are trusted; those of the system if not named"),
    setting("kafka-certificate", "PEM|FILE", None, "With TLS: a client certificate, and its chain"),
    setting("kafka-key", "PEM|FILE", None, "With TLS: the key of the client certificate, not encrypted"),
    setting("relay", "true|false", Some("true"), "Whether `serve` relays events to Kafka; else `onsale relay` does"),
    setting(
        "events-kept-days",
        "N",
        None,
        "Delete sent events after this many days (all events, if none are relayed); without it: never",
    ),
    setting(
        "places-kept-days",
        "N",
        Some("30"),
        "Drop places in line this many days after they were handed out, once their turns are over",
    ),
    setting(
        "disk-reserve-mib",
        "N",
        Some("256"),
        "With SQLite: if another process keeps the log from being shortened, writes are refused before the disk has less \
         than this free, in MiB; 0: never",
    ),
    setting("data-platform-url", "URL", None, "Where `consume` posts events; without it they are written to files"),
    setting("data-platform-secret", "SECRET", None, "Signs those posts as Standard Webhooks are: whsec_…, or any text"),
    setting("data-platform-dir", "DIR", Some("events"), "The folder of those files, by day"),
    setting("metrics-listen", "ADDR:PORT", None, "Where `relay` and `consume` show /metrics and /healthz"),
    setting(
        "auth",
        "open|jwt|open-anywhere",
        Some("open"),
        "Who may act for whom. open: anyone for anyone, on loopback addresses only; jwt: the bearer for its `sub`; \
         open-anywhere: as open, on any address",
    ),
    setting(
        "jwt-secret",
        "SECRET,..",
        None,
        "With auth=jwt: the secret of HS256 signatures, or several of 32 bytes or more with commas between them",
    ),
    setting(
        "jwt-public-key",
        "PEM|FILE,..",
        None,
        "With auth=jwt: the public keys of RS256 (RSA, 2,048 to 4,096 bits) or ES256 (P-256) signatures",
    ),
    setting("jwks-url", "URL", None, "With auth=jwt: a JWK Set with more public keys, fetched again when they change"),
    setting("jwt-issuer", "TEXT", None, "With auth=jwt: the only issuer (iss) whose bearers are trusted"),
    setting("jwt-audience", "TEXT", None, "With auth=jwt: what a bearer's audience (aud) must name"),
    setting(
        "admin-key",
        "SECRET",
        None,
        "The bearer of the admin calls, 5 characters or more (16 random ones are safe); without it they answer 404",
    ),
    setting("token-secret", "SECRET", None, "Signs queue tokens; made once and kept in the database if not named"),
    setting(
        "public-url",
        "URL",
        None,
        "Where clients see this server, such as https://shop.example/tickets: used in links; a proxy removes the path",
    ),
    setting(
        "cors-origins",
        "ORIGIN,..",
        None,
        "Sites whose pages may call this server from a browser; * for all of them",
    ),
    setting("timezone", "ZONE", Some("Asia/Seoul"), "The IANA zone in which dates are read"),
    setting("hold-seconds", "N", Some("300"), "How long a seat is held for payment"),
    setting("queue-max-active", "N", Some("200"), "New rooms: how many may be active at once"),
    setting("queue-admit-per-second", "N", Some("50"), "New rooms: how many may become active within a second"),
    setting("queue-active-seconds", "N", Some("600"), "New rooms: how long a turn lasts"),
    setting("queue-claim-seconds", "N", Some("60"), "New rooms: how long one who was called may stay silent"),
    setting(
        "queue-polls-per-second",
        "N",
        Some("2000"),
        "How many polls a second all who wait in a room make together, if they ask as they are told",
    ),
    setting(
        "caches",
        "true|false",
        Some("true"),
        "Whether seats, dates and lists are kept in memory; else each look asks",
    ),
    setting("queue-strict", "true|false", Some("false"), "Charging and reading points need an active queue token too"),
    setting(
        "trusted-proxies",
        "ADDR,..",
        None,
        "Addresses and networks of proxies that are believed when they name the client",
    ),
    setting(
        "client-address-header",
        "NAME",
        Some("X-Forwarded-For"),
        "The one header in which they name it: X-Forwarded-For, Forwarded, or another with a single address",
    ),
    setting(
        "rate-limit-per-second",
        "N",
        Some("2000"),
        "Requests a second of one client address, after a burst of twice as many; 0: no limit",
    ),
    setting(
        "rate-limit-per-user-per-second",
        "N",
        None,
        "With ONSALE_AUTH=jwt: requests a second of one user, in place of the limit by address; 200 or that limit, if it \
         is lower, if not named; 0: no limit",
    ),
    setting(
        "entries-per-minute",
        "N",
        Some("3000"),
        "How often one client address may ask for a place in line within a minute, after a burst of twice as many; 0: no \
         limit",
    ),
    setting(
        "entries-per-user-per-minute",
        "N",
        Some("120"),
        "With ONSALE_AUTH=jwt: how often one user may ask for a place in line within a minute, after a burst of twice as many; 0: no limit",
    ),
    setting(
        "idempotency-keys-per-user",
        "N",
        Some("20000"),
        "How many idempotency keys one user may use within 24 hours; a request under a further key is refused with 429; 0: no limit",
    ),
    setting("rate-limit-loopback", "true|false", Some("false"), "Whether loopback addresses are limited too"),
    setting(
        "idle-seconds",
        "N",
        Some("75"),
        "Keep a connection this many seconds without a request; longer than a proxy in front keeps its own",
    ),
    setting(
        "drain-seconds",
        "N",
        Some("0"),
        "After SIGTERM, answer /readyz with 503 and go on serving for this many seconds; a second signal ends it early",
    ),
    setting(
        "connections-max",
        "N",
        Some("20000"),
        "Connections at once; beyond that idle ones are closed for new ones, and if none is idle new ones are refused",
    ),
    setting(
        "connections-per-address",
        "N",
        None,
        "Connections at once of one client address, except loopback and trusted proxies; half of connections-max if \
         not set",
    ),
    setting(
        "otlp-endpoint",
        "URL",
        None,
        "Where traces are sent, as OTLP over HTTP; in programs built with `--features otlp`",
    ),
    setting(
        "otlp-sample",
        "SHARE",
        Some("0.01"),
        "Which share of requests is traced of which the caller does not say whether to",
    ),
    setting("log", "LEVEL", Some("info"), "How much is logged: error, warn, info, debug or trace"),
    setting(
        "log-format",
        "auto|text|json",
        Some("auto"),
        "How it is logged: auto is text on a terminal, json elsewhere",
    ),
];
