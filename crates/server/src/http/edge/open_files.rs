//! The system's limit on open files of this process: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files in addition to connections: databases, Redis, Kafka, logs, connections that are closing.
const BESIDE_CONNECTIONS: u64 = 512;

/// Raises the limit as far as this process may, and returns how many connections fit under it, at most `wanted`.
pub(crate) fn connections_that_fit(wanted: usize) -> usize {
    let needed = wanted as u64 + BESIDE_CONNECTIONS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // `None` is "no limit".
    let allowed = match (current, maximum) {
        (Some(current), maximum) if current < needed => {
            let raised = maximum.map_or(needed, |maximum| maximum.min(needed));
            let is_raised = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).is_ok();
            Some(if is_raised { raised } else { current })
        }
        (current, _) => current,
    };
    let fit = fitting(wanted, allowed);
    if fit < wanted {
        tracing::warn!(
            open_files = allowed,
            connections = fit,
            "ONSALE_CONNECTIONS_MAX is {wanted}, but the limit on open files allows only {fit} connections; raise it to \
             {needed} (ulimit -n, LimitNOFILE)"
        );
    }
    fit
}

/// At least half of a limit is left for what is not a connection, up to what that needs.
fn fitting(wanted: usize, allowed: Option<u64>) -> usize {
    let Some(allowed) = allowed else { return wanted };
    let beside = BESIDE_CONNECTIONS.min(allowed / 2);
    wanted.min(usize::try_from(allowed - beside).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        let table = [
            (20_000, None, 20_000),
            (20_000, Some(1_000_000), 20_000),
            (20_000, Some(20_512), 20_000),
            (20_000, Some(4_096), 3_584),
            (20_000, Some(256), 128),
            (20_000, Some(1), 1),
            (4, Some(1_024), 4),
        ];
        for (wanted, allowed, fit) in table {
            assert_eq!(fitting(wanted, allowed), fit, "{wanted} of {allowed:?}");
        }
    }
}
