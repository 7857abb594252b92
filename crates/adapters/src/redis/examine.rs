//! Checks the settings, rights and health of Redis without a room. Each fault has a reason that an operator can act on.

use std::time::Duration;

use onsale_app::conditions::Reason;
use onsale_app::waiting_room::home::Trouble;
use redis::{ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value, cmd};

use super::RedisPlaces;

/// Fraction of `maxmemory` (0 to 1). Above it an operator is warned, and no new place is handed out if keys may be evicted.
pub(super) const FULL_SHARE: f64 = 0.9;

/// How long after a refused entry the condition stays raised.
const REFUSAL_LASTS: Duration = Duration::from_secs(5);

/// Number of probed keys in a cluster: enough to cover several primaries. The keys never exist.
const PROBES: u32 = 12;

/// The section `memory` of INFO, as far as it is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct MemoryInfo {
    /// Used memory in bytes.
    used: u64,
    /// `maxmemory` in bytes; 0 means no limit.
    max: u64,
    policy: String,
}

impl MemoryInfo {
    fn read(info: &str) -> Self {
        let value = |name: &str| info.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
        let number = |name| value(name).and_then(|value| value.parse().ok()).unwrap_or(0);
        let policy = value("maxmemory_policy").unwrap_or_default().to_owned();
        Self { used: number("used_memory"), max: number("maxmemory"), policy }
    }

    /// Whether the policy may evict keys of rooms. They have no expiry, so only `allkeys-*` policies do.
    fn evicts(&self) -> bool {
        self.policy.starts_with("allkeys-")
    }

    /// Fraction of `maxmemory` in use; 0 without a limit.
    #[expect(clippy::cast_precision_loss, reason = "a fraction with a few significant digits")]
    fn share(&self) -> f64 {
        if self.max == 0 { 0.0 } else { self.used as f64 / self.max as f64 }
    }

    fn troubles(&self) -> Vec<(Trouble, Reason)> {
        let mut troubles = Vec::new();
        if self.evicts() {
            let reason = format!(
                "maxmemory-policy is {}: places can be evicted; set noeviction (above {:.0} % of maxmemory no new user \
                 can enter)",
                self.policy,
                FULL_SHARE * 100.0
            );
            troubles.push((Trouble::Eviction, reason.into()));
        }
        if self.share() > FULL_SHARE {
            let percent = self.share() * 100.0;
            let reason = format!("Redis uses {percent:.0} % of maxmemory; give it more, or no new user can enter soon");
            let trouble = if self.evicts() { Trouble::Full } else { Trouble::NearlyFull };
            troubles.push((trouble, reason.into()));
        }
        troubles
    }
}

impl RedisPlaces {
    /// Checks everything that entries need: that Redis can be reached, that the login works, that the user may run each
    /// command, that the server takes writes, and that its memory suffices. Each kind of trouble is returned once.
    pub(super) async fn find_troubles(&self) -> Vec<(Trouble, Reason)> {
        let mut found: Vec<(Trouble, Reason)> = Vec::new();
        if self.connection.is_cluster() {
            found.extend(self.slots_missing().await);
        }
        // Not with slots missing: the driver would retry for seconds to reach a slot that has no server.
        if found.is_empty() {
            found = self.probe().await;
        }
        found.extend(self.refused_lately());
        if !found.iter().any(|(trouble, _)| matches!(trouble, Trouble::Away | Trouble::Login | Trouble::Loading)) {
            found.extend(self.memory_troubles().await);
        }
        // Several servers may have the same trouble: the first reason of each kind is enough.
        let mut once: Vec<(Trouble, Reason)> = Vec::new();
        for (trouble, reason) in found {
            if !once.iter().any(|(known, _)| *known == trouble) {
                once.push((trouble, reason));
            }
        }
        once
    }

    /// Why an entry was refused in the last 5 s, if one was.
    fn refused_lately(&self) -> Option<(Trouble, Reason)> {
        let refused = self.refused.lock().clone();
        let (_, reason) = refused.filter(|(at, _)| at.elapsed() < REFUSAL_LASTS)?;
        Some(explain("HSET", &reason)).filter(|(trouble, _)| *trouble != Trouble::Away)
    }

    /// Runs the commands of an entry on keys that do not exist.
    async fn probe(&self) -> Vec<(Trouble, Reason)> {
        let mut found = Vec::new();
        for number in 0..if self.connection.is_cluster() { PROBES } else { 1 } {
            let mut call = self.scripts.probe.prepare_invoke();
            call.key(format!("onsale:{{probe-{number}}}:probe"));
            match self.connection.run(&call).await {
                Ok(faults) => found.extend(faults_of(&faults)),
                Err(error) => {
                    found.push(trouble_of(&error));
                    break;
                }
            }
        }
        found
    }

    /// Checks the memory of every primary, and notes for entries whether keys may be evicted.
    async fn memory_troubles(&self) -> Vec<(Trouble, Reason)> {
        let answers = match self.connection.everywhere(cmd("INFO").arg("memory")).await {
            Ok(answers) => answers,
            Err(error) => return vec![trouble_of(&error)],
        };
        let read = |answer: Value| String::from_redis_value(answer).map(|info| MemoryInfo::read(&info)).ok();
        let infos: Vec<MemoryInfo> = answers.into_iter().filter_map(read).collect();
        self.guard_against_eviction(infos.iter().any(MemoryInfo::evicts));
        infos.iter().flat_map(MemoryInfo::troubles).collect()
    }

    /// Checks that every slot of a cluster has a server: rooms lie in all slots. Returns nothing if the user lacks the right
    /// to run `CLUSTER INFO`, which entries do not need.
    async fn slots_missing(&self) -> Option<(Trouble, Reason)> {
        let answers = self.connection.everywhere(cmd("CLUSTER").arg("INFO")).await.ok()?;
        let infos = answers.into_iter().filter_map(|answer| String::from_redis_value(answer).ok());
        let served = infos.filter_map(|info| {
            let served = info.lines().find_map(|line| line.trim().strip_prefix("cluster_slots_ok:")?.parse().ok());
            served.filter(|served: &u32| *served < 16_384)
        });
        let served = served.min()?;
        Some((
            Trouble::Slots,
            format!(
                "the cluster serves {served} of 16384 slots: rooms in the others cannot be entered until their servers \
                 return"
            )
            .into(),
        ))
    }
}

/// Decodes the answer of the probe script: pairs of the command that failed and the server's message.
fn faults_of(answer: &Value) -> Vec<(Trouble, Reason)> {
    let Value::Array(words) = answer else {
        let odd = "Redis returned an unexpected answer to a script: check that it is Redis 6.2 or later, or Valkey";
        return vec![(Trouble::Away, odd.into())];
    };
    let text = |value: &Value| match value {
        Value::BulkString(text) => String::from_utf8_lossy(text).into_owned(),
        Value::SimpleString(text) => text.clone(),
        _ => String::new(),
    };
    words.chunks(2).map(|pair| explain(&text(&pair[0]), &pair.get(1).map(text).unwrap_or_default())).collect()
}

/// Classifies a driver error by its meaning for entries.
pub(super) fn trouble_of(error: &RedisError) -> (Trouble, Reason) {
    match error.kind() {
        ErrorKind::AuthenticationFailed => explain("AUTH", &format!("WRONGPASS {error}")),
        ErrorKind::Server(ServerErrorKind::BusyLoading) => explain("", "LOADING"),
        ErrorKind::Server(ServerErrorKind::ReadOnly) => explain("", &format!("READONLY {error}")),
        ErrorKind::Server(ServerErrorKind::ClusterDown) => explain("", &format!("CLUSTERDOWN {error}")),
        ErrorKind::Server(ServerErrorKind::NoPerm) => explain("EVALSHA or SCRIPT", &format!("NOPERM {error}")),
        _ => explain("", &error.to_string()),
    }
}

/// Classifies a server's message by its meaning for entries, and names the next step. `command` is empty if it is not known. The
/// message itself is the cause, for the log.
fn explain(command: &str, words: &str) -> (Trouble, Reason) {
    let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    let forbidden = [
        "NOPERM",
        "can't run this command",
        "can't access",
        "no permission",
        "No permission",
        "nknown Redis command",
        "unknown command",
    ];
    let permit = || {
        let command = if command.is_empty() { "a command" } else { command };
        let rights = "~onsale:* with +@hash +info +eval +evalsha +script|load +unlink +lpushx";
        format!("Redis does not permit {command}: grant the user {rights}")
    };
    let (trouble, text) = if says(&["WRONGPASS", "NOAUTH", "invalid password", "AUTH failed", "uthentication"]) {
        (Trouble::Login, "Redis refuses the user or the password: correct them in ONSALE_REDIS_URL".to_owned())
    } else if says(&forbidden) {
        (Trouble::Rights, permit())
    } else if says(&["LOADING"]) {
        (Trouble::Loading, "Redis is still loading its data: entries work again when it has".to_owned())
    } else if says(&["READONLY"]) {
        (Trouble::ReadOnly, "Redis is a replica: name the primary, or sentinels, in ONSALE_REDIS_URL".to_owned())
    } else if says(&["OOM"]) {
        (Trouble::Full, "Redis has no memory left: raise maxmemory".to_owned())
    } else if says(&["MISCONF"]) {
        (Trouble::Persistence, "Redis takes no writes because it cannot save: check its disk and its log".to_owned())
    } else if says(&["NOREPLICAS"]) {
        let text =
            "Redis takes no writes because it has too few replicas: start replicas, or lower min-replicas-to-write";
        (Trouble::Replicas, text.to_owned())
    } else if says(&["CLUSTERDOWN"]) {
        (Trouble::Slots, "the cluster does not serve all slots: start the servers of the missing ones".to_owned())
    } else {
        (Trouble::Away, "Redis does not answer: check that it runs and that this server reaches it".to_owned())
    };
    (trouble, Reason::new(text).because(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_messages_are_classified() {
        let known = [
            ("WRONGPASS invalid username-password pair or user is disabled.", Trouble::Login),
            ("NOAUTH Authentication required.", Trouble::Login),
            ("ERR The user executing the script can't run this command or subcommand", Trouble::Rights),
            ("NOPERM this user has no permissions to run the 'evalsha' command", Trouble::Rights),
            ("ERR Unknown Redis command called from script", Trouble::Rights),
            ("LOADING Redis is loading the dataset in memory", Trouble::Loading),
            ("READONLY You can't write against a read only replica.", Trouble::ReadOnly),
            ("OOM command not allowed when used memory > 'maxmemory'.", Trouble::Full),
            ("MISCONF Redis is configured to save RDB snapshots", Trouble::Persistence),
            ("NOREPLICAS Not enough good replicas to write.", Trouble::Replicas),
            ("CLUSTERDOWN Hash slot not served", Trouble::Slots),
            ("connection refused", Trouble::Away),
        ];
        for (words, trouble) in known {
            assert_eq!(explain("HSET", words).0, trouble, "{words}");
        }
    }

    #[test]
    fn only_policies_that_evict_keys_without_an_expiry_are_reported() {
        let info = |policy: &str, used: u64| {
            MemoryInfo::read(&format!(
                "# Memory\r\nused_memory:{used}\r\nmaxmemory:1000\r\nmaxmemory_policy:{policy}\r\n"
            ))
        };
        let troubles = |info: MemoryInfo| info.troubles().into_iter().map(|(trouble, _)| trouble).collect::<Vec<_>>();
        assert_eq!(troubles(info("noeviction", 100)), []);
        assert_eq!(troubles(info("volatile-lru", 100)), []);
        assert_eq!(troubles(info("noeviction", 901)), [Trouble::NearlyFull]);
        assert_eq!(troubles(info("allkeys-lru", 100)), [Trouble::Eviction]);
        assert_eq!(troubles(info("allkeys-random", 901)), [Trouble::Eviction, Trouble::Full]);
        assert_eq!(troubles(MemoryInfo::read("")), []);
    }
}
