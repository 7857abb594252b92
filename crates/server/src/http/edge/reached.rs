//! Limits that were reached: counted and logged. The log counts repetitions.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// A limit that was reached, as a label of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Bound {
    /// `ONSALE_CONNECTIONS_MAX`.
    Connections,
    /// `ONSALE_CONNECTIONS_PER_ADDRESS`.
    ConnectionsPerAddress,
    /// Event streams of one queue token.
    StreamsPerToken,
    /// The system's limit on open files of this process.
    OpenFiles,
}

impl Bound {
    const ALL: [Self; 4] = [Self::Connections, Self::ConnectionsPerAddress, Self::StreamsPerToken, Self::OpenFiles];

    fn advice(self) -> &'static str {
        match self {
            Self::Connections => "every connection slot is taken; raise ONSALE_CONNECTIONS_MAX or add an instance",
            Self::ConnectionsPerAddress => {
                "one client address has all the connections it may have; name a proxy in ONSALE_TRUSTED_PROXIES, \
                 or raise ONSALE_CONNECTIONS_PER_ADDRESS"
            }
            Self::StreamsPerToken => "one queue token has all the event streams it may have",
            Self::OpenFiles => "no file descriptor is left for a connection; raise the limit on open files (ulimit -n)",
        }
    }
}

/// The consequence of a limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Outcome {
    /// An idle connection was closed in favour of the new one.
    IdleClosed,
    /// The newcomer was refused.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    bound: Bound,
    outcome: Outcome,
}

/// How often each bound was reached.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    times: Family<Labels, Counter>,
}

impl Reached {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Connections and event streams that reached a limit, by limit and outcome";
        registry.register("http_server_bounds_reached", help, self.times.clone());
        // Shown with 0 before the first: else its increase is seen by no query.
        for bound in Bound::ALL {
            drop(self.times.get_or_create(&Labels { bound, outcome: Outcome::Refused }));
        }
    }

    pub(crate) fn note(&self, bound: Bound, outcome: Outcome) {
        self.times.get_or_create(&Labels { bound, outcome }).inc();
        tracing::warn!(?bound, ?outcome, "a bound was reached: {}", bound.advice());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_counted() {
        let reached = Reached::default();
        let mut registry = Registry::default();
        reached.register(&mut registry);
        reached.note(Bound::OpenFiles, Outcome::Refused);
        reached.note(Bound::OpenFiles, Outcome::Refused);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let line = "http_server_bounds_reached_total{bound=\"OpenFiles\",outcome=\"Refused\"} 2";
        assert!(text.contains(line), "{text}");
    }
}
