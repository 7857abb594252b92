//! The record of a run: what the tables, the charts and the page are made from. It is kept as JSON next to the page.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answers::{Sample, Summary, by_call, permille};
use super::calls::{Call, Kind};
use super::run::Task;
use super::verdict::{Evidence, Verdict};
use super::watch::Metrics;

/// A run that has been judged.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record(pub(super) Value);

/// Numbers of a run that nothing else has.
pub(super) struct Counts {
    pub(super) persons: u32,
    /// Bytes of WAL, on Postgres.
    pub(super) wal: Option<u64>,
    /// The highest rate at which all objectives held.
    pub(super) knee: f64,
    /// Answers of the waiting room that the auditor read.
    pub(super) audited: usize,
}

impl Record {
    /// The record of a run that has been judged.
    pub(super) fn of(
        task: &Task<'_>,
        evidence: &Evidence<'_>,
        verdict: &Verdict,
        (metrics, counts): (&Metrics, &Counts),
    ) -> Self {
        let seconds = evidence.arriving.as_secs_f64();
        let liveness = evidence.liveness;
        let pressure = [0, 1, 2].map(|which| evidence.resources.pressure(which).map(rounded));
        Self(json!({
            "scenario": task.scenario.name(), "deployment": task.deployment.name(),
            "generator": task.generator().name(), "scale": task.factors.scale, "stretch": task.factors.stretch,
            "persons": counts.persons, "arriving": rounded(seconds), "foundKnee": rounded(counts.knee),
            "verdict": verdict.word(), "wrong": verdict.wrong, "missed": verdict.missed, "void": verdict.void,
            "calls": calls(&evidence.answers.samples), "ends": evidence.answers.ends,
            "sold": evidence.answers.paid.len(), "seats": evidence.seats, "audited": counts.audited,
            "cut": evidence.answers.cut,
            "seconds": series(&evidence.answers.samples),
            "liveness": {
                "probes": liveness.probes, "failed": liveness.failed, "longestGap": rounded(liveness.longest_gap),
                "longestMillis": rounded(liveness.longest_millis), "alive": liveness.is_alive,
            },
            "resources": resources(evidence), "pressure": pressure,
            "desk": desk(metrics), "wal": counts.wal, "routes": routes(metrics),
        }))
    }

    /// A text of the record; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// A number of the record; 0 if there is none.
    pub(super) fn number(&self, name: &str) -> f64 {
        self.0[name].as_f64().unwrap_or(0.0)
    }

    /// A list of the record.
    pub(super) fn list(&self, name: &str) -> &[Value] {
        self.0[name].as_array().map_or(&[], Vec::as_slice)
    }

    /// Texts of a list of the record.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        self.list(name).iter().filter_map(Value::as_str).collect()
    }

    /// Scenario, deployment and generator in one line.
    pub(super) fn title(&self) -> String {
        format!("{} · {} · {}", self.text("scenario"), self.text("deployment"), self.text("generator"))
    }

    /// Whether the server did something that no load excuses.
    pub(super) fn is_wrong(&self) -> bool {
        !self.list("wrong").is_empty()
    }
}

/// At most three decimals: what is below is noise, and would make each file differ.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn calls(samples: &[Sample]) -> Vec<Value> {
    let call = |(call, samples): (Call, Vec<&Sample>)| {
        let summary = Summary::of(samples);
        json!({
            "call": call.name(), "count": summary.count, "shed": summary.shed, "failed": summary.failed,
            "p50": rounded(summary.p50), "p99": rounded(summary.p99), "longest": rounded(summary.longest),
            "problems": summary.problems(),
        })
    };
    by_call(samples).into_iter().map(call).collect()
}

/// For each second: good, shed and failed answers, and the p99 of entries, of polls and of all other calls, in milliseconds.
fn series(samples: &[Sample]) -> Vec<[f64; 7]> {
    let mut seconds: BTreeMap<u32, Vec<&Sample>> = BTreeMap::new();
    samples.iter().for_each(|sample| seconds.entry(sample.at / 1_000).or_default().push(sample));
    let second = |(second, samples): (u32, Vec<&Sample>)| {
        let count = |kind: Kind| samples.iter().filter(|sample| sample.kind() == kind).count() as f64;
        let p99 = |is: fn(Call) -> bool| {
            let good = samples.iter().filter(|sample| sample.kind() == Kind::Good && is(sample.call));
            let mut micros: Vec<u32> = good.map(|sample| sample.micros).collect();
            micros.sort_unstable();
            rounded(permille(&micros, 990))
        };
        let others = |call| call != Call::Enter && call != Call::Poll;
        let [entries, polls, others] = [p99(|call| call == Call::Enter), p99(|call| call == Call::Poll), p99(others)];
        [f64::from(second), count(Kind::Good), count(Kind::Shed), count(Kind::Failed), entries, polls, others]
    };
    seconds.into_iter().map(second).collect()
}

fn resources(evidence: &Evidence<'_>) -> Vec<Value> {
    let resources = evidence.resources;
    let group = |name: &&'static str| {
        json!({
            "group": name, "cores": rounded(resources.cores(name)),
            "coresArriving": rounded(resources.cores_arriving(name)),
            "megabytes": rounded(resources.peak_megabytes(name)), "files": resources.peak_files(name),
            "megabytesPerHour": rounded(resources.megabytes_per_hour(name)),
        })
    };
    resources.names().iter().map(group).collect()
}

fn desk(metrics: &Metrics) -> Value {
    let [batches, commands] = ["count", "sum"].map(|part| metrics.number(&format!("desk_batch_size_{part}")));
    json!({
        "batch": rounded(commands / batches.max(1.0)), "wait": rounded(metrics.average_millis("desk_wait_seconds")),
        "unit": rounded(metrics.average_millis("desk_unit_seconds")),
        "commit": rounded(metrics.average_millis("desk_commit_seconds")),
        "shed": metrics.number("desk_shed_total"), "failed": metrics.number("desk_commands_failed_total"),
    })
}

fn routes(metrics: &Metrics) -> Vec<Value> {
    let finite = |millis: f64| if millis.is_finite() { json!(rounded(millis)) } else { json!(null) };
    let route = |(name, route): (&str, &super::watch::Route)| {
        let [p50, p99] = [0.5, 0.99].map(|quantile| finite(route.at_most_millis(quantile)));
        json!({"route": name, "count": route.count, "failed": route.failed, "p50": p50, "p99": p99})
    };
    metrics.routes().filter(|(name, _)| !name.ends_with("/metrics")).map(route).collect()
}
