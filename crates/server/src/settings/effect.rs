//! Which commands use which setting. A setting that has no effect in this process is reported at start, with the reason.

use super::{DatabaseUrl, Settings, Sources};
use crate::auth::Auth;

/// A setting that a source sets and that has no effect in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unused {
    /// The name in its source, such as `--kafka-group` or `ONSALE_KAFKA_GROUP`.
    pub(crate) name: String,
    /// Why it has no effect, and what would give it one.
    pub(crate) reason: String,
}

/// Returns what a setting lacks to have an effect, given all settings and the command; `None` if it has one.
type Lack = fn(&Settings, &str) -> Option<&'static str>;

/// What uses one setting.
struct Effect {
    name: &'static str,
    /// The commands that use it.
    commands: &'static [&'static str],
    /// What it needs in addition, such as another setting.
    lack: Lack,
}

const fn effect(name: &'static str, commands: &'static [&'static str], lack: Lack) -> Effect {
    Effect { name, commands, lack }
}

const SERVE: &[&str] = &["serve"];
const CONSUME: &[&str] = &["consume"];
/// Commands that run until a signal stops them.
const LONG_RUNNING: &[&str] = &["serve", "relay", "consume"];

fn nothing(_: &Settings, _: &str) -> Option<&'static str> {
    None
}

fn postgres(settings: &Settings, _: &str) -> Option<&'static str> {
    matches!(settings.database, DatabaseUrl::Sqlite(_))
        .then_some("only Postgres uses it, and ONSALE_DATABASE_URL names a SQLite file")
}

fn sqlite(settings: &Settings, _: &str) -> Option<&'static str> {
    matches!(settings.database, DatabaseUrl::Postgres(_))
        .then_some("only SQLite uses it, and ONSALE_DATABASE_URL names a Postgres database")
}

fn jwt(settings: &Settings, _: &str) -> Option<&'static str> {
    matches!(settings.auth, Auth::Open).then_some("the server checks bearers only with ONSALE_AUTH=jwt")
}

fn proxies(settings: &Settings, _: &str) -> Option<&'static str> {
    settings
        .trusted_proxies
        .is_empty()
        .then_some("the server reads the header only from trusted proxies, and ONSALE_TRUSTED_PROXIES is not set")
}

fn kafka(settings: &Settings, _: &str) -> Option<&'static str> {
    settings.kafka.is_none().then_some("ONSALE_KAFKA_BROKERS is not set")
}

fn brokers(settings: &Settings, command: &str) -> Option<&'static str> {
    (command == "serve" && !settings.relay)
        .then_some("ONSALE_RELAY is false, so this process publishes no events; run onsale relay beside it")
}

fn topics(settings: &Settings, command: &str) -> Option<&'static str> {
    kafka(settings, command).or_else(|| brokers(settings, command))
}

/// With Kafka, the relay deletes old events, not the consumer.
fn retention(settings: &Settings, command: &str) -> Option<&'static str> {
    (command == "consume" && settings.kafka.is_some())
        .then_some("with Kafka the relay deletes old events; set it for onsale serve or onsale relay")
}

fn posts(settings: &Settings, _: &str) -> Option<&'static str> {
    settings.platform.url.is_none().then_some("ONSALE_DATA_PLATFORM_URL is not set, so there are no posts to sign")
}

fn files(settings: &Settings, _: &str) -> Option<&'static str> {
    settings
        .platform
        .url
        .is_some()
        .then_some("ONSALE_DATA_PLATFORM_URL is set, so events are posted and not written to files")
}

fn traces(settings: &Settings, _: &str) -> Option<&'static str> {
    settings.otlp_endpoint.is_none().then_some("ONSALE_OTLP_ENDPOINT is not set, so no traces are sent")
}

/// One row for each setting of [`super::table`]; a test compares the two.
const EFFECTS: &[Effect] = &[
    effect("listen", &["serve", "health"], nothing),
    effect("database-url", &["serve", "migrate", "seed", "audit", "events", "relay", "consume"], nothing),
    effect("database-lanes", &["serve", "seed"], postgres),
    effect("database-readers", &["serve", "seed"], postgres),
    effect("disk-reserve-mib", SERVE, sqlite),
    effect("redis-url", &["serve", "seed"], nothing),
    effect("kafka-brokers", LONG_RUNNING, brokers),
    effect("kafka-partitions", &["serve", "relay"], topics),
    effect("kafka-replication", &["serve", "relay"], topics),
    effect("kafka-group", CONSUME, kafka),
    effect("kafka-security", LONG_RUNNING, kafka),
    effect("kafka-sasl-mechanism", LONG_RUNNING, kafka),
    effect("kafka-sasl-username", LONG_RUNNING, kafka),
    effect("kafka-sasl-password", LONG_RUNNING, kafka),
    effect("kafka-ca", LONG_RUNNING, kafka),
    effect("kafka-certificate", LONG_RUNNING, kafka),
    effect("kafka-key", LONG_RUNNING, kafka),
    effect("relay", SERVE, kafka),
    effect("events-kept-days", LONG_RUNNING, retention),
    effect("places-kept-days", SERVE, nothing),
    effect("data-platform-url", CONSUME, nothing),
    effect("data-platform-secret", CONSUME, posts),
    effect("data-platform-dir", CONSUME, files),
    effect("metrics-listen", &["relay", "consume"], nothing),
    effect("auth", SERVE, nothing),
    effect("jwt-secret", SERVE, jwt),
    effect("jwt-secret-previous", SERVE, jwt),
    effect("jwt-public-key", SERVE, jwt),
    effect("jwks-url", SERVE, jwt),
    effect("jwt-issuer", SERVE, jwt),
    effect("jwt-audience", SERVE, jwt),
    effect("oidc-issuer", SERVE, jwt),
    effect("oidc-client-id", SERVE, jwt),
    effect("oidc-client-secret", SERVE, jwt),
    effect("admin-key", SERVE, nothing),
    effect("admin-key-previous", SERVE, nothing),
    effect("charge", SERVE, nothing),
    effect("token-secret", SERVE, nothing),
    effect("token-secret-previous", SERVE, nothing),
    effect("ticket-key", SERVE, nothing),
    effect("public-url", SERVE, nothing),
    effect("cors-origins", SERVE, nothing),
    effect("pages", SERVE, nothing),
    effect("timezone", &["serve", "seed"], nothing),
    effect("hold-seconds", SERVE, nothing),
    effect("queue-max-active", &["serve", "seed"], nothing),
    effect("queue-admit-per-second", &["serve", "seed"], nothing),
    effect("queue-active-seconds", &["serve", "seed"], nothing),
    effect("queue-claim-seconds", &["serve", "seed"], nothing),
    effect("queue-polls-per-second", SERVE, nothing),
    effect("caches", SERVE, nothing),
    effect("queue-strict", SERVE, nothing),
    effect("trusted-proxies", SERVE, nothing),
    effect("client-address-header", SERVE, proxies),
    effect("rate-limit-per-second", SERVE, nothing),
    effect("rate-limit-per-user-per-second", SERVE, jwt),
    effect("entries-per-minute", SERVE, nothing),
    effect("entries-per-user-per-minute", SERVE, jwt),
    effect("idempotency-keys-per-user", SERVE, nothing),
    effect("rate-limit-loopback", SERVE, nothing),
    effect("idle-seconds", SERVE, nothing),
    effect("drain-seconds", SERVE, nothing),
    effect("connections-max", SERVE, nothing),
    effect("connections-per-address", SERVE, nothing),
    effect("otlp-endpoint", LONG_RUNNING, nothing),
    effect("otlp-sample", LONG_RUNNING, traces),
    effect("log", &["serve", "seed", "relay", "consume"], nothing),
    effect("log-format", &["serve", "seed", "relay", "consume"], nothing),
];

impl Sources {
    /// Returns the settings that a source sets and that have no effect for this command.
    ///
    /// Several commands may share one file or environment. So a setting of another command is reported in two cases only: it
    /// was given as a flag, and so for this command; or the command is `serve`, which operators expect to do everything.
    pub(crate) fn unused(&self, settings: &Settings, command: &str) -> Vec<Unused> {
        let is_long_running = LONG_RUNNING.contains(&command);
        let unused = |effect: &Effect| {
            let name = self.given(effect.name)?;
            let is_flag = name.starts_with("--");
            let reason = match effect.is_used_by(command) {
                true if is_flag || is_long_running => (effect.lack)(settings, command)?.to_owned(),
                false if is_flag || command == "serve" => {
                    format!("onsale {command} does not use it, only {}", listed(effect.commands))
                }
                _ => return None,
            };
            Some(Unused { name: name.to_owned(), reason })
        };
        EFFECTS.iter().filter_map(unused).collect()
    }
}

impl Effect {
    fn is_used_by(&self, command: &str) -> bool {
        self.commands.contains(&command)
    }
}

/// Returns whether a command uses a setting, given the others that it may need. `serve` counts as using every setting, so
/// that its help is complete.
pub(crate) fn is_used_by(command: &str, setting: &str) -> bool {
    command == "serve" || EFFECTS.iter().any(|effect| effect.name == setting && effect.is_used_by(command))
}

fn listed(commands: &[&str]) -> String {
    commands.iter().map(|command| format!("onsale {command}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::table;

    #[test]
    fn each_setting_has_one_row_with_known_commands() {
        let (mut listed, mut known): (Vec<&str>, Vec<&str>) =
            (EFFECTS.iter().map(|effect| effect.name).collect(), table::all().map(|setting| setting.name).collect());
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known, "one row for each setting");
        let commands = ["serve", "migrate", "seed", "audit", "events", "relay", "consume", "health"];
        for effect in EFFECTS {
            assert!(effect.commands.iter().all(|command| commands.contains(command)), "{}", effect.name);
        }
    }

    /// The names of the settings without effect.
    fn unused(command: &str, flags: &[(&str, &str)]) -> Vec<String> {
        let flag = |name: &str| flags.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let sources = Sources::gather(flag, None).unwrap();
        let settings = Settings::read(&sources).unwrap();
        sources.unused(&settings, command).into_iter().map(|unused| unused.name).collect()
    }

    #[test]
    fn whether_a_setting_has_an_effect_depends_on_the_other_settings() {
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
            assert_eq!(unused(command, flags), *expected, "{command} {flags:?}");
        }
    }
}
