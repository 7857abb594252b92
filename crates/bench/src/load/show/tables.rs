//! The tables of runs.

use onsale_report::{Table, number};
use serde_json::Value;

use super::super::calls::Call;
use super::super::record::Record;
use super::super::scenario::{Factors, Scenario, Scenarios};

fn float(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or(0.0)
}

fn word(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// A count: thousands separated, without decimals.
pub(super) fn count(value: f64) -> String {
    if value < 100.0 { format!("{:.0}", value.abs()) } else { number(value) }
}

fn millis(value: &Value, name: &str) -> String {
    value[name].as_f64().map_or_else(|| "> 10,000".to_owned(), |millis| format!("{millis:.1}"))
}

/// The calls of one run, as clients saw them.
pub(super) fn calls(record: &Record) -> Table {
    let mut table = Table::new(["call", "answers", "p50 ms", "p99 ms", "longest", "shed", "failed", "problems"]);
    for call in record.list("calls") {
        let [count, shed, failed] = ["count", "shed", "failed"].map(|name| float(call, name));
        table.row([
            word(call, "call"),
            self::count(count),
            millis(call, "p50"),
            millis(call, "p99"),
            millis(call, "longest"),
            self::count(shed),
            self::count(failed),
            word(call, "problems"),
        ]);
    }
    table
}

/// A cell with the p99 of a call; empty if it was not called.
fn p99(record: &Record, call: &str) -> String {
    let found = record.list("calls").iter().find(|one| one["call"] == call);
    found.map(|call| millis(call, "p99")).unwrap_or_default()
}

/// One line for each run.
pub(in crate::load) fn results(records: &[Record]) -> Table {
    let calls = [Call::Enter, Call::Poll, Call::Seats, Call::Hold, Call::Pay].map(Call::name);
    let head = ["scenario", "on", "by", "scale", "persons", "answers/s"].map(str::to_owned).into_iter();
    let head = head.chain(calls.map(|call| format!("{call} p99"))).chain(["shed", "failed"].map(str::to_owned));
    let mut table = Table::new(head.chain(["verdict".to_owned()]));
    for record in records {
        // Not `sum`: of no number at all it is -0.
        let sum = |name: &str| record.list("calls").iter().fold(0.0, |sum, call| sum + float(call, name));
        let seconds = record.list("seconds").len().max(1) as f64;
        let mut cells = vec![
            record.text("scenario").to_owned(),
            record.text("deployment").to_owned(),
            record.text("generator").to_owned(),
            format!("{:.2} × {:.2}", record.number("scale"), record.number("stretch")),
            count(record.number("persons")),
            number(sum("count") / seconds),
        ];
        cells.extend(calls.map(|call| p99(record, call)));
        cells.extend(["shed", "failed"].map(|name| count(sum(name))));
        let causes: Vec<&str> = ["wrong", "missed", "void"].into_iter().flat_map(|list| record.texts(list)).collect();
        let first = |cause: &str| cause.lines().next().unwrap_or_default().to_owned();
        let causes: Vec<String> = causes.into_iter().map(first).collect();
        let found = record.number("foundKnee");
        let knee = if record.text("scenario") == "breakpoint" { format!("knee {found:.0}/s") } else { String::new() };
        let all: Vec<String> = [record.text("verdict").to_owned(), knee].into_iter().chain(causes).collect();
        cells.push(all.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; "));
        table.row(cells);
    }
    table
}

/// By route, as the server measured it. A percentile is the bound of its bucket: the true value is at most that.
pub(super) fn routes(records: &[Record]) -> Table {
    let mut table = Table::new(["run", "route", "requests", "5xx", "p50 ≤ ms", "p99 ≤ ms"]);
    for record in records {
        for route in record.list("routes") {
            table.row([
                record.title(),
                format!("`{}`", word(route, "route")),
                count(float(route, "count")),
                format!("{:.0}", float(route, "failed")),
                millis(route, "p50"),
                millis(route, "p99"),
            ]);
        }
    }
    table
}

/// By resource: use of each group of processes, pressure on the machine, and the desk.
pub(super) fn resources(records: &[Record]) -> Table {
    let mut table = Table::new(["run", "of", "cores", "while arriving", "MB", "files", "more"]);
    for record in records {
        for group in record.list("resources") {
            let more = match group["group"].as_str() {
                Some("onsale") => {
                    let desk = &record.0["desk"];
                    format!("desk: wait {} ms, unit {} ms, commit {} ms", desk["wait"], desk["unit"], desk["commit"])
                }
                Some("postgres") => format!("{} MB of WAL", number(record.number("wal") / 1e6)),
                _ => String::new(),
            };
            table.row([
                record.title(),
                word(group, "group"),
                format!("{:.2}", float(group, "cores")),
                format!("{:.2}", float(group, "coresArriving")),
                number(float(group, "megabytes")),
                format!("{:.0}", float(group, "files")),
                more,
            ]);
        }
        let pressure: Vec<String> = record
            .list("pressure")
            .iter()
            .zip(["processor", "disk", "memory"])
            .filter_map(|(share, of)| Some(format!("{of} {:.1} %", share.as_f64()? * 100.0)))
            .collect();
        if !pressure.is_empty() {
            let cells = [record.title(), "pressure".to_owned()].into_iter().chain(vec![String::new(); 4]);
            table.row(cells.chain([pressure.join(", ")]));
        }
    }
    table
}

/// The published objectives.
///
/// # Errors
/// If the file of scenarios has an objective for no call.
pub(super) fn objectives(scenarios: &Scenarios) -> onsale_load_generator::Outcome<Table> {
    let mut table = Table::new(["call", "good: answered within", "objective"]);
    for objective in scenarios.objectives()? {
        let share = f64::from(objective.permille) / 10.0;
        table.row([objective.call.name().to_owned(), format!("{:.0} ms", objective.millis), format!("{share:.0} %")]);
    }
    Ok(table)
}

/// The scenarios with their arrivals and thresholds.
pub(super) fn scenarios(scenarios: &Scenarios) -> Table {
    let mut table = Table::new(["name", "question", "persons a second", "passes if"]);
    for scenario in scenarios.all() {
        table.row([
            format!("`{}`", scenario.name()),
            scenario.aim().to_owned(),
            arrivals(scenario),
            scenario.passes().to_owned(),
        ]);
    }
    table
}

fn arrivals(scenario: Scenario) -> String {
    let factors = Factors { scale: 1.0, stretch: 1.0 };
    let stages = |unit: &Value, stages: &Value| {
        let stage = |stage: &Value| {
            let [seconds, from, to] = ["seconds", "from", "to"].map(|name| float(stage, name));
            let rate = |rate: f64| if unit == "knee" { format!("{:.0} %", rate * 100.0) } else { format!("{rate:.0}") };
            let rates = if from == to { rate(from) } else { format!("{} to {}", rate(from), rate(to)) };
            format!("{rates} for {seconds:.0} s")
        };
        stages.as_array().into_iter().flatten().map(stage).collect::<Vec<_>>().join(", ")
    };
    let party = |party: &Value| {
        let of_knee = if party["unit"] == "knee" { " of the knee" } else { "" };
        format!("{}: {}{of_knee}", word(party, "journey"), stages(&party["unit"], &party["arrivals"]))
    };
    let mut text = scenario.crowd().iter().map(party).collect::<Vec<_>>().join("; ");
    if scenario.levels().0 > 1 {
        text.push_str(&format!(", then × {} again and again", scenario.levels().1));
    }
    if let Some(at) = scenario.kill_at_seconds(factors) {
        text.push_str(&format!("; all instances are killed after {at:.0} s"));
    }
    text
}
