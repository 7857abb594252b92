//! In which processes each setting acts. A setting that has no effect in this one is named at start, with the reason.

use super::{Auth, DatabaseUrl, Settings, Sources};

/// A setting that was set, and does nothing in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Idle {
    /// As the user wrote it, such as `--kafka-group` or `ONSALE_KAFKA_GROUP`.
    pub(crate) name: String,
    /// Why it has no effect, and what would give it one.
    pub(crate) reason: String,
}

/// Returns what a setting lacks to have an effect, given all settings and the command; `None` if it acts.
type Lack = fn(&Settings, &str) -> Option<&'static str>;

/// Where one setting acts.
struct Acts {
    name: &'static str,
    /// The commands that use it; empty for all.
    commands: &'static [&'static str],
    /// What it needs beside that.
    lack: Lack,
}

const fn acts(name: &'static str, commands: &'static [&'static str], lack: Lack) -> Acts {
    Acts { name, commands, lack }
}

const ALL: &[&str] = &[];
const SERVE: &[&str] = &["serve"];
const CONSUME: &[&str] = &["consume"];
/// Commands that go on until they are stopped.
const LASTING: &[&str] = &["serve", "relay", "consume"];

fn nothing(_: &Settings, _: &str) -> Option<&'static str> {
    None
}

fn postgres(settings: &Settings, _: &str) -> Option<&'static str> {
    matches!(settings.database, DatabaseUrl::Sqlite(_))
        .then_some("it is for Postgres, and ONSALE_DATABASE_URL names a SQLite file")
}

fn sqlite(settings: &Settings, _: &str) -> Option<&'static str> {
    matches!(settings.database, DatabaseUrl::Postgres(_))
        .then_some("it is for SQLite, and ONSALE_DATABASE_URL names a Postgres")
}

fn jwt(settings: &Settings, _: &str) -> Option<&'static str> {
    matches!(settings.auth, Auth::Open).then_some("bearers are checked only with ONSALE_AUTH=jwt")
}

fn proxies(settings: &Settings, _: &str) -> Option<&'static str> {
    settings.trusted_proxies.is_empty().then_some("ONSALE_TRUSTED_PROXIES names no proxy whose header would be read")
}

fn kafka(settings: &Settings, _: &str) -> Option<&'static str> {
    settings.kafka.is_none().then_some("ONSALE_KAFKA_BROKERS names no broker")
}

fn brokers(settings: &Settings, command: &str) -> Option<&'static str> {
    (command == "serve" && !settings.relay)
        .then_some("ONSALE_RELAY is false, so this process sends no events: run `onsale relay` beside it")
}

fn topics(settings: &Settings, command: &str) -> Option<&'static str> {
    kafka(settings, command).or_else(|| brokers(settings, command))
}

/// With Kafka, the relay deletes old events, not the consumer.
fn retention(settings: &Settings, command: &str) -> Option<&'static str> {
    (command == "consume" && settings.kafka.is_some())
        .then_some("with Kafka the relay deletes old events: set it for `onsale serve` or `onsale relay`")
}

fn posts(settings: &Settings, _: &str) -> Option<&'static str> {
    settings
        .platform
        .url
        .is_none()
        .then_some("ONSALE_DATA_PLATFORM_URL is not set, so nothing is posted that it could sign")
}

fn files(settings: &Settings, _: &str) -> Option<&'static str> {
    settings.platform.url.is_some().then_some("events are posted to ONSALE_DATA_PLATFORM_URL, so no files are written")
}

fn traces(settings: &Settings, _: &str) -> Option<&'static str> {
    settings.otlp_endpoint.is_none().then_some("ONSALE_OTLP_ENDPOINT is not set, so no traces are sent")
}

/// One row for each setting of [`super::TABLE`]; a test compares the two.
const ACTS: &[Acts] = &[
    acts("listen", &["serve", "health"], nothing),
    acts("database-url", &["serve", "migrate", "seed", "audit", "events", "relay", "consume"], nothing),
    acts("database-lanes", &["serve", "seed"], postgres),
    acts("database-readers", &["serve", "seed"], postgres),
    acts("disk-reserve-mib", SERVE, sqlite),
    acts("redis-url", &["serve", "seed"], nothing),
    acts("kafka-brokers", LASTING, brokers),
    acts("kafka-partitions", &["serve", "relay"], topics),
    acts("kafka-replication", &["serve", "relay"], topics),
    acts("kafka-group", CONSUME, kafka),
    acts("kafka-security", LASTING, kafka),
    acts("kafka-sasl-mechanism", LASTING, kafka),
    acts("kafka-sasl-username", LASTING, kafka),
    acts("kafka-sasl-password", LASTING, kafka),
    acts("kafka-ca", LASTING, kafka),
    acts("kafka-certificate", LASTING, kafka),
    acts("kafka-key", LASTING, kafka),
    acts("relay", SERVE, kafka),
    acts("events-kept-days", LASTING, retention),
    acts("places-kept-days", SERVE, nothing),
    acts("data-platform-url", CONSUME, nothing),
    acts("data-platform-secret", CONSUME, posts),
    acts("data-platform-dir", CONSUME, files),
    acts("metrics-listen", &["relay", "consume"], nothing),
    acts("auth", SERVE, nothing),
    acts("jwt-secret", SERVE, jwt),
    acts("jwt-public-key", SERVE, jwt),
    acts("jwks-url", SERVE, jwt),
    acts("jwt-issuer", SERVE, jwt),
    acts("jwt-audience", SERVE, jwt),
    acts("admin-key", SERVE, nothing),
    acts("token-secret", SERVE, nothing),
    acts("public-url", SERVE, nothing),
    acts("cors-origins", SERVE, nothing),
    acts("timezone", ALL, nothing),
    acts("hold-seconds", SERVE, nothing),
    acts("queue-max-active", &["serve", "seed"], nothing),
    acts("queue-admit-per-second", &["serve", "seed"], nothing),
    acts("queue-active-seconds", &["serve", "seed"], nothing),
    acts("queue-claim-seconds", &["serve", "seed"], nothing),
    acts("queue-polls-per-second", SERVE, nothing),
    acts("caches", SERVE, nothing),
    acts("queue-strict", SERVE, nothing),
    acts("trusted-proxies", SERVE, nothing),
    acts("client-address-header", SERVE, proxies),
    acts("rate-limit-per-second", SERVE, nothing),
    acts("rate-limit-per-user-per-second", SERVE, jwt),
    acts("entries-per-minute", SERVE, nothing),
    acts("entries-per-user-per-minute", SERVE, jwt),
    acts("idempotency-keys-per-user", SERVE, nothing),
    acts("rate-limit-loopback", SERVE, nothing),
    acts("idle-seconds", SERVE, nothing),
    acts("drain-seconds", SERVE, nothing),
    acts("connections-max", SERVE, nothing),
    acts("connections-per-address", SERVE, nothing),
    acts("otlp-endpoint", LASTING, nothing),
    acts("otlp-sample", LASTING, traces),
    acts("log", &["serve", "seed", "relay", "consume"], nothing),
    acts("log-format", &["serve", "seed", "relay", "consume"], nothing),
];

impl Sources {
    /// Settings that were set and do nothing for this command.
    ///
    /// Several commands may share one file or environment. So a setting of another command is named only by `serve`, the
    /// command that is often expected to do everything, or if it was given as a flag, and so for this very command.
    pub(crate) fn idle(&self, settings: &Settings, command: &str) -> Vec<Idle> {
        let lasts = LASTING.contains(&command);
        let idle = |acts: &Acts| {
            let name = self.given(acts.name)?;
            let is_flag = name.starts_with("--");
            let is_used = acts.commands.is_empty() || acts.commands.contains(&command);
            let reason = match is_used {
                true if is_flag || lasts => (acts.lack)(settings, command)?.to_owned(),
                false if is_flag || command == "serve" => {
                    format!("`onsale {command}` does not use it, only {}", listed(acts.commands))
                }
                _ => return None,
            };
            Some(Idle { name: name.to_owned(), reason })
        };
        ACTS.iter().filter_map(idle).collect()
    }
}

fn listed(commands: &[&str]) -> String {
    commands.iter().map(|command| format!("`onsale {command}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::TABLE;

    #[test]
    fn every_setting_says_where_it_acts() {
        let (mut listed, mut known): (Vec<&str>, Vec<&str>) =
            (ACTS.iter().map(|acts| acts.name).collect(), TABLE.iter().map(|setting| setting.name).collect());
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known, "one row for each setting");
        let commands = ["serve", "migrate", "seed", "audit", "events", "relay", "consume", "health"];
        for acts in ACTS {
            assert!(acts.commands.iter().all(|command| commands.contains(command)), "{}", acts.name);
        }
    }

    /// The names of the settings that do nothing.
    fn idle(command: &str, flags: &[(&str, &str)]) -> Vec<String> {
        let flag = |name: &str| flags.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let sources = Sources::gather(flag, None).unwrap();
        let settings = Settings::read(&sources).unwrap();
        sources.idle(&settings, command).into_iter().map(|idle| idle.name).collect()
    }

    #[test]
    fn what_has_no_effect_depends_on_the_other_settings() {
        let jwt = ("auth", "jwt");
        let secret = ("jwt-secret", "a-secret-of-thirty-two-characters");
        let brokers = ("kafka-brokers", "127.0.0.1:1");
        let platform = ("data-platform-url", "http://127.0.0.1:1");
        let kept = ("events-kept-days", "3");
        type Flags<'a> = &'a [(&'a str, &'a str)];
        let table: &[(&str, Flags<'_>, &[&str])] = &[
            ("serve", &[], &[]),
            ("serve", &[platform], &["--data-platform-url"]),
            ("consume", &[platform], &[]),
            ("consume", &[("data-platform-secret", "s")], &["--data-platform-secret"]),
            ("consume", &[platform, ("data-platform-secret", "s")], &[]),
            ("consume", &[platform, ("data-platform-dir", "d")], &["--data-platform-dir"]),
            ("serve", &[kept], &[]),
            ("serve", &[kept, brokers], &[]),
            ("serve", &[kept, brokers, ("relay", "false")], &["--kafka-brokers"]),
            ("consume", &[kept], &[]),
            ("consume", &[kept, brokers], &["--events-kept-days"]),
            ("relay", &[kept, brokers], &[]),
            ("serve", &[("relay", "false")], &["--relay"]),
            ("serve", &[("kafka-partitions", "3")], &["--kafka-partitions"]),
            ("serve", &[("kafka-partitions", "3"), brokers], &[]),
            ("serve", &[("kafka-group", "g"), brokers], &["--kafka-group"]),
            ("consume", &[("kafka-group", "g")], &["--kafka-group"]),
            ("serve", &[secret], &["--jwt-secret"]),
            ("serve", &[jwt, secret], &[]),
            ("serve", &[("jwt-issuer", "i"), ("jwks-url", "https://a/k")], &["--jwks-url", "--jwt-issuer"]),
            ("serve", &[("entries-per-user-per-minute", "5")], &["--entries-per-user-per-minute"]),
            ("serve", &[("database-lanes", "3")], &["--database-lanes"]),
            ("serve", &[("database-lanes", "3"), ("database-url", "postgres://u@h/d")], &[]),
            ("serve", &[("client-address-header", "X-Real-IP")], &["--client-address-header"]),
            ("serve", &[("client-address-header", "X-Real-IP"), ("trusted-proxies", "10.0.0.0/8")], &[]),
            ("serve", &[("metrics-listen", "127.0.0.1:1")], &["--metrics-listen"]),
            ("serve", &[("otlp-sample", "1")], &["--otlp-sample"]),
            ("audit", &[("hold-seconds", "5")], &["--hold-seconds"]),
            ("relay", &[("hold-seconds", "5"), brokers], &["--hold-seconds"]),
        ];
        for (command, flags, expected) in table {
            assert_eq!(idle(command, flags), *expected, "{command} {flags:?}");
        }
    }
}
