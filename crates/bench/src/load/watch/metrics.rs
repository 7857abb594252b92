//! The server's own metrics between two moments: duration by route, and the desk.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use onsale_load_generator::Outcome;

use crate::machine;

const ROUTES: &str = "http_server_request_duration_seconds_bucket{";

/// The requests of one route, by the server's clock.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Route {
    pub(crate) count: f64,
    /// With a status of 500 or more.
    pub(crate) failed: f64,
    /// Number of requests by the longest time that they took, in microseconds.
    buckets: BTreeMap<u64, f64>,
}

impl Route {
    /// The bound of the bucket of this quantile, in milliseconds: the true value is at most this.
    pub(crate) fn at_most_millis(&self, quantile: f64) -> f64 {
        let wanted = self.count * quantile;
        let found = self.buckets.iter().find(|(_, count)| **count >= wanted);
        found.map_or(f64::INFINITY, |(micros, _)| *micros as f64 / 1_000.0)
    }
}

/// Sums over all instances.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    routes: BTreeMap<String, Route>,
    numbers: BTreeMap<String, f64>,
}

impl Metrics {
    /// Reads the metrics of all instances. One that does not answer counts as 0.
    pub(crate) fn of(addresses: &[SocketAddr]) -> Self {
        let mut all = Self::default();
        for address in addresses {
            let text: Outcome<machine::Metrics> = machine::Metrics::of(*address);
            if let Ok(text) = text {
                all.add(text.text());
            }
        }
        all
    }

    fn add(&mut self, text: &str) {
        for line in text.lines().filter_map(|line| line.strip_prefix("onsale_")) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            match name.strip_prefix(ROUTES) {
                Some(labels) => self.add_bucket(labels, value),
                None => *self.numbers.entry(name.to_owned()).or_default() += value,
            }
        }
    }

    fn add_bucket(&mut self, labels: &str, value: f64) {
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let (Some(method), Some(route), Some(status), Some(bound)) =
            (label("http_request_method"), label("http_route"), label("http_response_status_code"), label("le"))
        else {
            return;
        };
        let route = self.routes.entry(format!("{method} {route}")).or_default();
        if bound == "+Inf" {
            route.count += value;
            route.failed += if status.starts_with('5') { value } else { 0.0 };
        } else if let Ok(seconds) = bound.parse::<f64>() {
            let micros = std::time::Duration::from_secs_f64(seconds).as_micros();
            *route.buckets.entry(u64::try_from(micros).unwrap_or(u64::MAX)).or_default() += value;
        }
    }

    /// What was added since an earlier moment. A counter that fell belongs to an instance that was started again: then its value
    /// counts.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let grown = |now: f64, then: Option<&f64>| match then {
            Some(then) if *then <= now => now - then,
            _ => now,
        };
        let routes = self.routes.iter().map(|(name, route)| {
            let then = before.routes.get(name);
            let buckets = route
                .buckets
                .iter()
                .map(|(bound, count)| (*bound, grown(*count, then.and_then(|then| then.buckets.get(bound)))));
            let since = Route {
                count: grown(route.count, then.map(|then| &then.count)),
                failed: grown(route.failed, then.map(|then| &then.failed)),
                buckets: buckets.collect(),
            };
            (name.clone(), since)
        });
        let numbers = self.numbers.iter().map(|(name, now)| (name.clone(), grown(*now, before.numbers.get(name))));
        Self { routes: routes.collect(), numbers: numbers.collect() }
    }

    /// The routes that were called, with their names.
    pub(crate) fn routes(&self) -> impl Iterator<Item = (&str, &Route)> {
        self.routes.iter().filter(|(_, route)| route.count > 0.0).map(|(name, route)| (name.as_str(), route))
    }

    /// A number without labels, named without `onsale_`; 0 if there is none.
    pub(crate) fn number(&self, name: &str) -> f64 {
        self.numbers.get(name).copied().unwrap_or(0.0)
    }

    /// The average of a histogram without labels, in milliseconds.
    pub(crate) fn average_millis(&self, name: &str) -> f64 {
        let [sum, count] = ["sum", "count"].map(|part| self.number(&format!("{name}_{part}")));
        sum * 1_000.0 / count.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_between_two_moments() {
        let line = |status: u32, bound: &str, count: u32| {
            format!(
                "onsale_http_server_request_duration_seconds_bucket{{le=\"{bound}\",http_request_method=\"GET\",\
                 http_route=\"/a/{{id}}\",http_response_status_code=\"{status}\"}} {count}\n"
            )
        };
        let (mut before, mut after) = (Metrics::default(), Metrics::default());
        before.add(
            &(line(200, "0.005", 10)
                + &line(200, "0.1", 10)
                + &line(200, "+Inf", 10)
                + "onsale_desk_unit_seconds_sum 1.5\n"),
        );
        after.add(&(line(200, "0.005", 100) + &line(200, "0.1", 109) + &line(200, "+Inf", 109)));
        after.add(&(line(503, "+Inf", 1) + "onsale_desk_unit_seconds_sum 2.0\nonsale_desk_unit_seconds_count 5\n"));
        let since = after.since(&before);
        let (name, route) =
            since.routes().next().map(|(name, route)| (name.to_owned(), route.clone())).unwrap_or_default();
        assert_eq!((name.as_str(), route.count, route.failed), ("GET /a/{id}", 100.0, 1.0));
        assert_eq!((route.at_most_millis(0.5), route.at_most_millis(0.99)), (5.0, 100.0));
        assert!(route.at_most_millis(1.0).is_infinite());
        assert!((since.average_millis("desk_unit_seconds") - 100.0).abs() < 1e-9);
    }
}
