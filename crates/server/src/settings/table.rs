//! Every setting, once: its name, its value, its default and what it does. `--help` prints this table, and a test compares
//! the ranges that it names with those that are read.

/// One setting. `database-url` is the flag `--database-url`, the environment variable `ONSALE_DATABASE_URL` and the key
/// `database_url` in `onsale.toml`.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The flag without its dashes.
    pub(crate) name: &'static str,
    /// The form of the value, such as `ADDR:PORT`.
    pub(crate) value: &'static str,
    /// The value that is used if no source sets one. `None`: the help says what happens then.
    pub(crate) default: Option<&'static str>,
    /// What the setting does, with its unit, its range and what happens beyond it.
    pub(crate) help: &'static str,
}

impl Setting {
    /// The environment variable that holds the value.
    pub(crate) fn variable(&self) -> String {
        format!("ONSALE_{}", self.key().to_uppercase())
    }

    /// The environment variable that names a file which holds the value.
    pub(crate) fn file_variable(&self) -> String {
        format!("{}_FILE", self.variable())
    }

    /// The key in `onsale.toml`.
    pub(crate) fn key(&self) -> String {
        self.name.replace('-', "_")
    }
}

/// Settings that `--help` shows together.
pub(crate) struct Group {
    pub(crate) heading: &'static str,
    pub(crate) settings: &'static [Setting],
}

/// All settings, in the order in which `--help` shows them.
pub(crate) fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|group| group.settings)
}

const fn setting(
    name: &'static str,
    value: &'static str,
    default: Option<&'static str>,
    help: &'static str,
) -> Setting {
    Setting { name, value, default, help }
}

/// The groups, in the order in which `--help` shows them.
pub(crate) const GROUPS: &[Group] = &[
    Group { heading: "Server settings", settings: SERVER },
    Group { heading: "Database settings", settings: DATABASE },
    Group { heading: "Waiting room and hold settings", settings: ROOMS },
    Group { heading: "Authentication settings", settings: AUTHENTICATION },
    Group { heading: "Limit settings", settings: LIMITS },
    Group { heading: "Event settings", settings: EVENTS },
    Group { heading: "Log and trace settings", settings: LOG },
];

const SERVER: &[Setting] = &[
    setting(
        "listen",
        "ADDR:PORT",
        Some("127.0.0.1:8080"),
        "Address of the HTTP server. Port 0 picks a free port; the first line of standard output names it",
    ),
    setting(
        "public-url",
        "URL",
        None,
        "URL under which clients reach this server through a proxy, such as https://shop.example/tickets; links use it. \
         The proxy must remove the path. Without it, links are relative",
    ),
    setting(
        "cors-origins",
        "ORIGIN,..",
        None,
        "Origins whose pages may call this server from a browser, such as https://shop.example. * allows every origin, \
         only with auth=jwt. Without it, no other origin",
    ),
    setting("timezone", "ZONE", Some("Asia/Seoul"), "IANA time zone that turns instants into the dates of the API"),
    setting(
        "caches",
        "true|false",
        Some("true"),
        "Keep seats, dates and lists in memory. With false, each request for them queries the database: for measurements, \
         or to rule out a cache as the cause of a fault",
    ),
    setting(
        "idle-seconds",
        "SECONDS",
        Some("75"),
        "Close a connection after this time without a request, 1 to 3600. Choose more than the proxy in front uses, or \
         the proxy may send a request to a connection that is just closing",
    ),
    setting(
        "drain-seconds",
        "SECONDS",
        Some("0"),
        "After SIGTERM, keep serving for this time, 0 to 3600, while /readyz answers 503, so that load balancers stop \
         sending. A second signal ends it early",
    ),
    setting(
        "metrics-listen",
        "ADDR:PORT",
        None,
        "Address where relay and consume serve /metrics and /healthz. Without it, they serve neither; serve has both on \
         its own address",
    ),
];

const DATABASE: &[Setting] = &[
    setting(
        "database-url",
        "URL",
        Some("sqlite://onsale.db"),
        "Database of the sale: sqlite://FILE for one server process, or postgres://USER@HOST/DATABASE for several \
         instances",
    ),
    setting(
        "database-lanes",
        "N",
        Some("2"),
        "With Postgres: number of connections that write, 1 to 64. Each commits its own batches",
    ),
    setting("database-readers", "N", Some("2"), "With Postgres: number of connections that read, 1 to 64"),
    setting(
        "disk-reserve-mib",
        "MIB",
        Some("256"),
        "With SQLite: refuse writes with 503 when another process keeps SQLite from truncating its log and the disk has \
         less than this free, 0 to 1000000000 MiB. 0 never refuses",
    ),
];

const ROOMS: &[Setting] = &[
    setting(
        "redis-url",
        "URL",
        None,
        "Redis that hands out places in the waiting rooms: redis://HOST, rediss://HOST (TLS), redis-cluster://HOST,HOST or \
         redis-sentinel://HOST,HOST/SERVICE. Without it, the database hands them out",
    ),
    setting(
        "token-secret",
        "SECRET",
        None,
        "Secret that signs queue tokens; shorter than 32 bytes logs a warning. Another value invalidates all tokens. \
         Without it, the first start creates one and keeps it in the database",
    ),
    setting(
        "hold-seconds",
        "SECONDS",
        Some("300"),
        "Time in which a buyer must pay for held seats, 1 to 86400. After that the seats are free again and the hold \
         cannot be paid",
    ),
    setting(
        "queue-max-active",
        "N",
        Some("200"),
        "New waiting rooms: maximum number of visitors with an active turn, 1 to 1000000. More visitors wait",
    ),
    setting(
        "queue-admit-per-second",
        "N",
        Some("50"),
        "New waiting rooms: maximum number of admissions per second, 1 to 1000000. More visitors wait",
    ),
    setting(
        "queue-active-seconds",
        "SECONDS",
        Some("600"),
        "New waiting rooms: length of an active turn, 1 to 86400. After that its token takes no new hold; held seats can \
         still be paid",
    ),
    setting(
        "queue-claim-seconds",
        "SECONDS",
        Some("60"),
        "New waiting rooms: time in which an admitted visitor must poll or call, 1 to 3600. After that the turn goes to \
         the next in line",
    ),
    setting(
        "queue-polls-per-second",
        "N",
        Some("2000"),
        "Polls per second that all waiting visitors of a room should send together, 1 to 10000000. The server spreads \
         them through pollAfterSeconds",
    ),
    setting(
        "queue-strict",
        "true|false",
        Some("false"),
        "Require an active queue token for charging and reading points too, not only for seats and payments",
    ),
    setting(
        "places-kept-days",
        "DAYS",
        Some("30"),
        "Delete places in waiting rooms this long after they were handed out, if their turns are over, 1 to 36500",
    ),
];

const AUTHENTICATION: &[Setting] = &[
    setting(
        "auth",
        "open|jwt|open-anywhere",
        Some("open"),
        "Who may act as which user. open: any client as any user, on loopback addresses only. jwt: a bearer as the user \
         in its sub claim. open-anywhere: as open, on every address",
    ),
    setting(
        "jwt-secret",
        "SECRET,..",
        None,
        "With auth=jwt: secret of HS256 signatures; shorter than 32 bytes logs a warning. For a rotation, up to 8 secrets \
         of at least 32 bytes each, separated by commas",
    ),
    setting(
        "jwt-public-key",
        "PEM|FILE,..",
        None,
        "With auth=jwt: public keys of RS256 (RSA, 2048 to 4096 bits) or ES256 (P-256) signatures, up to 8",
    ),
    setting(
        "jwks-url",
        "URL",
        None,
        "With auth=jwt: JWK Set with public keys, fetched at start, every 10 minutes, and for an unknown key id at most \
         once a minute",
    ),
    setting("jwt-issuer", "TEXT", None, "With auth=jwt: required issuer (iss claim). Without it, iss is not checked"),
    setting(
        "jwt-audience",
        "TEXT",
        None,
        "With auth=jwt: required audience (aud claim). Without it, aud is not checked",
    ),
    setting(
        "admin-key",
        "SECRET",
        None,
        "Bearer of the admin calls, at least 5 visible ASCII characters; fewer than 16 log a warning. Without it, admin \
         calls answer 404; serve --demo prints a fresh key",
    ),
];

const LIMITS: &[Setting] = &[
    setting(
        "trusted-proxies",
        "ADDR,..",
        None,
        "Addresses and networks of proxies whose client-address-header is believed, such as 10.0.0.0/8. Without it, the \
         client is the peer of the connection",
    ),
    setting(
        "client-address-header",
        "NAME",
        Some("X-Forwarded-For"),
        "Header in which trusted proxies name the client: X-Forwarded-For, Forwarded, or another header with one address",
    ),
    setting(
        "rate-limit-per-second",
        "N",
        Some("2000"),
        "Requests per second of one client address, after a burst of twice as many, 0 to 1000000. More get 429. 0: no limit",
    ),
    setting(
        "rate-limit-per-user-per-second",
        "N",
        None,
        "With auth=jwt: requests per second of one user, which replaces the limit by address, 0 to 1000000. More get 429. \
         0: no limit. Without it, 200 or rate-limit-per-second, if that is lower",
    ),
    setting(
        "entries-per-minute",
        "N",
        Some("3000"),
        "Entries into waiting rooms per minute of one client address, after a burst of twice as many, 0 to 1000000. More \
         get 429. 0: no limit",
    ),
    setting(
        "entries-per-user-per-minute",
        "N",
        Some("120"),
        "With auth=jwt: entries into waiting rooms per minute of one user, after a burst of twice as many, 0 to 1000000. \
         More get 429. 0: no limit",
    ),
    setting(
        "rate-limit-loopback",
        "true|false",
        Some("false"),
        "Apply the limits by address to loopback addresses too",
    ),
    setting(
        "idempotency-keys-per-user",
        "N",
        Some("20000"),
        "Idempotency keys of one user within 24 hours, 0 to 10000000. A request under a further key gets 429. 0: no limit",
    ),
    setting(
        "connections-max",
        "N",
        Some("20000"),
        "Open connections, 1 to 1000000. Beyond that, a new connection replaces an idle one; if none is idle, it gets 503",
    ),
    setting(
        "connections-per-address",
        "N",
        None,
        "Open connections of one client address, 1 to 1000000; loopback and trusted proxies have no such limit. Beyond \
         that, a new connection replaces an idle one of its address or gets 429. Without it, half of connections-max",
    ),
];

const EVENTS: &[Setting] = &[
    setting(
        "kafka-brokers",
        "HOST:PORT,..",
        None,
        "Kafka brokers that receive the events. Without it, events stay in the database's event log",
    ),
    setting(
        "kafka-partitions",
        "N",
        Some("6"),
        "Partitions of topics that onsale creates, 1 to 1000. Existing topics stay as they are",
    ),
    setting(
        "kafka-replication",
        "N",
        Some("1"),
        "Replicas of each partition of topics that onsale creates, 1 to 100. Existing topics stay as they are",
    ),
    setting("kafka-group", "NAME", Some("onsale-data-platform"), "Consumer group of onsale consume"),
    setting(
        "kafka-security",
        "plaintext|ssl|sasl_plaintext|sasl_ssl",
        Some("plaintext"),
        "Connection to the brokers: without TLS, with TLS (ssl), with a user name and password (sasl_plaintext), or with \
         both (sasl_ssl)",
    ),
    setting("kafka-sasl-mechanism", "NAME", None, "With SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
    setting("kafka-sasl-username", "NAME", None, "With SASL: user name for the brokers"),
    setting("kafka-sasl-password", "SECRET", None, "With SASL: password for the brokers"),
    setting(
        "kafka-ca",
        "PEM|FILE",
        None,
        "With TLS: certificates of the authorities that sign the brokers' certificates. Without it, those of the system",
    ),
    setting(
        "kafka-certificate",
        "PEM|FILE",
        None,
        "With TLS: client certificate with its chain, if the brokers require one",
    ),
    setting("kafka-key", "PEM|FILE", None, "With TLS: private key of the client certificate, not encrypted"),
    setting(
        "relay",
        "true|false",
        Some("true"),
        "With Kafka: publish events from this serve process. With false, run onsale relay beside it",
    ),
    setting(
        "events-kept-days",
        "DAYS",
        None,
        "Delete sent events after this time, 1 to 36500 (if no relay ever ran on this database, all events). Without it, \
         keep them forever",
    ),
    setting(
        "data-platform-url",
        "URL",
        None,
        "URL that onsale consume posts events to. Without it, it writes them to files in data-platform-dir",
    ),
    setting(
        "data-platform-secret",
        "SECRET",
        None,
        "Key that signs posts to data-platform-url by Standard Webhooks: whsec_ and Base64, or any text. Without it, posts \
         are not signed",
    ),
    setting(
        "data-platform-dir",
        "DIR",
        Some("events"),
        "Folder for the event files of onsale consume: a folder per day, JSON lines",
    ),
];

const LOG: &[Setting] = &[
    setting("log", "LEVEL", Some("info"), "Least severe level that is logged: error, warn, info, debug or trace"),
    setting(
        "log-format",
        "auto|text|json",
        Some("auto"),
        "Format of the log. auto: text on a terminal, json elsewhere",
    ),
    setting(
        "otlp-endpoint",
        "URL",
        None,
        "Collector that receives traces as OTLP over HTTP, such as http://127.0.0.1:4318. Needs a program built with \
         --features otlp. Without it, no traces",
    ),
    setting(
        "otlp-sample",
        "FRACTION",
        Some("0.01"),
        "Fraction of requests to trace, 0 to 1, if the client sends no sampling decision (traceparent)",
    ),
];

#[cfg(test)]
mod tests {
    use super::{Setting, all};
    use crate::settings::{Settings, Sources};

    /// The range that a help text names, such as `1 to 64`.
    fn range(setting: &Setting) -> (u64, u64) {
        let words: Vec<&str> = setting.help.split([' ', '.', ',', ';']).collect();
        let named = words.windows(3).find_map(|words| match words {
            [least, "to", most] => Some((least.parse().ok()?, most.parse().ok()?)),
            _ => None,
        });
        named.unwrap_or_else(|| panic!("the help of {} names no range", setting.name))
    }

    #[test]
    fn the_range_in_the_help_is_the_range_that_is_read() {
        let mut seen = 0;
        for setting in all().filter(|setting| matches!(setting.value, "N" | "SECONDS" | "DAYS" | "MIB")) {
            let (least, most) = range(setting);
            let is_read = |number: u64| {
                let flag = |name: &str| (name == setting.name).then(|| number.to_string());
                Sources::gather(flag, None).and_then(|sources| Settings::read(&sources)).is_ok()
            };
            assert!(is_read(least) && is_read(most), "{}: {least} and {most} are in its range", setting.name);
            assert!(!is_read(most + 1), "{}: {} is beyond its range", setting.name, most + 1);
            assert!(least == 0 || !is_read(least - 1), "{}: {} is below its range", setting.name, least - 1);
            seen += 1;
        }
        assert!(seen >= 20, "only {seen} settings are numbers");
    }
}
