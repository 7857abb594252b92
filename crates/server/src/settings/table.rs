//! Every setting, once: its name, its value, its default and what it does. `--help` prints this table, and a test compares
//! the ranges that it names with those that are read.

mod access;
mod events;

use access::{AUTHENTICATION, LIMITS};
use events::EVENTS;

/// One setting. `database-url` is the flag `--database-url`, the environment variable `ONSALE_DATABASE_URL` and the key
/// `database_url` in `onsale.toml`.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The flag without its dashes.
    pub(crate) name: &'static str,
    /// The form of the value, such as `ADDR:PORT`.
    pub(crate) value: &'static str,
    /// The value that is used if no source sets one. `None`: the help describes what happens then.
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
    setting(
        "pages",
        "shop|off",
        Some("shop"),
        "Pages for buyers at /. off: they answer 404, for a sale that another program shows; /desk, /check-in and /docs stay",
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
        "token-secret-previous",
        "SECRET",
        None,
        "Former or next token-secret: queue tokens that it signed are valid, and it signs none. For a change of the secret \
         on several instances",
    ),
    setting(
        "ticket-key",
        "KEYS",
        None,
        "Keys that sign tickets: 32 random bytes each, in base64, separated by commas. The first signs new tickets, all \
         verify. Without it, the first start creates one and keeps it in the database",
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
mod tests;
