//! What was found for one size. It is kept as JSON next to the page.

use onsale_testing::{Means, Usage};
use serde_json::{Value, json};

use super::super::record::Record;
use super::cell::Cell;

/// The finding of one cell, as an object of numbers and texts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding(pub(super) Value);

/// What became of a line that was filled until memory ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Persons whose entry was acknowledged.
    pub(super) entered: u64,
    /// Persons in line after a restart without a limit.
    pub(super) found: u64,
    /// Entries that were acknowledged and are not in line any more.
    pub(super) lost: u64,
    /// Whether the instance was killed. If not, the run ended at its largest number of persons.
    pub(super) is_killed: bool,
    /// Whether `onsale audit` found no contradiction after the kill.
    pub(super) is_sound: bool,
}

/// Megabytes with one decimal.
fn megabytes(bytes: u64) -> f64 {
    (bytes as f64 / 1_048_576.0 * 10.0).round() / 10.0
}

fn head(cell: &Cell, means: Means) -> Value {
    json!({
        "kind": if cell.is_line { "line" } else { "knee" }, "name": cell.to_string(), "means": means.name(),
        "on": cell.deployment.name(), "instances": cell.instances, "cpus": cell.instance.cpus,
        "megabytes": cell.instance.megabytes, "postgresCpus": cell.postgres.map(|size| size.cpus),
        "sharedBuffers": cell.postgres.map(|size| size.megabytes), "redisCpus": cell.redis,
        "period": cell.odd_period(),
    })
}

impl Finding {
    /// A size that could not be measured, for this reason.
    pub(super) fn failed(cell: &Cell, means: Means, reason: &str) -> Self {
        let mut value = head(cell, means);
        // Without the log of the server, which is long.
        value["failed"] = json!(reason.lines().next().unwrap_or_default());
        Self(value)
    }

    /// A knee, the run at half of it if there was one, and what the instances used in that run and at most.
    pub(super) fn of_knee(
        cell: &Cell,
        means: Means,
        (knee, half): (f64, Option<&Record>),
        (used, whole): (Option<Usage>, Option<Usage>),
    ) -> Self {
        let mut value = head(cell, means);
        value["knee"] = json!((knee * 10.0).round() / 10.0);
        for (name, call, which) in
            [("enter", "enter", "p99"), ("poll", "poll", "p99"), ("payMedian", "pay", "p50"), ("pay", "pay", "p99")]
        {
            let calls = half.map_or(&[][..], |half| half.list("calls"));
            value[name] = calls.iter().find(|one| one["call"] == call).map_or(Value::Null, |one| one[which].clone());
        }
        value["verdict"] = json!(half.map(|half| half.text("verdict")));
        value["wrong"] = json!(half.map(|half| half.texts("wrong")));
        if let (Some(Usage { cpu, .. }), Some(persons)) = (used, half.map(|half| half.number("persons"))) {
            // With the start of the instances, which a short run shows.
            value["micros"] = json!((cpu.as_secs_f64() * 1e6 / persons.max(1.0)).round());
        }
        if let Some(half) = half {
            // The most while it ran: a group has no anonymous memory after its last process.
            let group = half.list("resources").iter().find(|group| group["group"] == "onsale");
            value["anonymous"] = group.map_or(Value::Null, |group| group["megabytes"].clone());
        }
        if let Some(Usage { periods, throttled, .. }) = used {
            value["throttled"] = json!((throttled as f64 / periods.max(1) as f64 * 1_000.0).round() / 1_000.0);
        }
        if let Some(Usage { peak, oom_kills, .. }) = whole {
            (value["peak"], value["oomKills"]) = (json!(megabytes(peak)), json!(oom_kills));
        }
        Self(value)
    }

    /// A line that was filled until memory ended.
    pub(super) fn of_line(cell: &Cell, means: Means, line: &Line, usage: Option<Usage>) -> Self {
        let mut value = head(cell, means);
        let Line { entered, found, lost, is_killed, is_sound } = *line;
        value["entered"] = json!(entered);
        (value["found"], value["lost"]) = (json!(found), json!(lost));
        (value["killed"], value["sound"]) = (json!(is_killed), json!(is_sound));
        value["oomKills"] = json!(usage.map(|usage| usage.oom_kills));
        Self(value)
    }

    /// Whether the books contradict each other: no limit excuses that.
    pub(super) fn is_wrong(&self) -> bool {
        let has_wrong = self.0["wrong"].as_array().is_some_and(|wrong| !wrong.is_empty());
        has_wrong || self.0["sound"] == false || self.0["lost"].as_u64().is_some_and(|lost| lost > 0)
    }

    /// A number of the finding; `None` if it was not measured.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.0[name].as_f64()
    }

    /// A text of the finding; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// The finding in one line.
    pub(super) fn in_words(&self) -> String {
        let number = |name: &str| self.number(name).unwrap_or_default();
        if !self.text("failed").is_empty() {
            return format!("not measured: {}", self.text("failed"));
        }
        if self.text("kind") == "line" {
            let end = if self.0["killed"] == true { "killed for memory" } else { "not killed" };
            let books = if self.is_wrong() { "THE BOOKS ARE WRONG" } else { "audit passed" };
            let (entered, found, lost) = (number("entered"), number("found"), number("lost"));
            return format!(
                "{end} after {entered:.0} entries; {found:.0} in line after a restart, {lost:.0} lost; {books}"
            );
        }
        let wrong = if self.is_wrong() { "; THE BOOKS ARE WRONG" } else { "" };
        format!(
            "knee {:.1} persons a second; at half of it pay p99 {:.1} ms, {:.1} % of the periods throttled; peak {:.1} MB{wrong}",
            number("knee"),
            number("pay"),
            number("throttled") * 100.0,
            number("peak"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::matrix;
    use super::*;

    #[test]
    fn a_lost_entry_or_a_failed_audit_is_wrong() {
        let cell = matrix("tiny", 2.0)[1];
        let line = Line { entered: 9, found: 9, lost: 0, is_killed: true, is_sound: true };
        let finding = |line: Line| Finding::of_line(&cell, Means::Cgroup1, &line, None);
        assert!(!finding(line).is_wrong(), "{:?}", finding(line));
        assert!(finding(Line { lost: 1, found: 8, ..line }).is_wrong());
        assert!(finding(Line { is_sound: false, ..line }).in_words().contains("WRONG"));
        assert!(Finding::failed(&cell, Means::Cgroup1, "no\nlog").in_words().ends_with(": no"));
    }
}
