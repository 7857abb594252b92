//! `onsale size`, its page and the limits of `compose.yaml` agree.

use std::fmt::Write;

use onsale_testing::Launch;
use serde_json::{Value, json};

use crate::files;
use crate::support::ONSALE;
use crate::tools::{Tools, missing, said};

const DOCUMENT: &str = "docs/measurements/sizes.md";
const PAGE: &str = "docs/measurements/size.html";

/// If this variable is set, the tests write the tables and the figures of the page.
const WRITE: &str = "ONSALE_TEST_WRITE_DOCS";
const REFILL: &str = "run: ONSALE_TEST_WRITE_DOCS=1 cargo test --workspace --test deploy -- sizes";

/// A demand: seats, crowd, minutes.
type Demand = [u32; 3];

/// The sale for which the instances of `compose.yaml` are sized.
const COMPOSE: Demand = [5_000, 100_000, 30];

async fn run(arguments: &[&str]) -> Value {
    let run = Launch::new(ONSALE).run(arguments).await;
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).unwrap()
}

async fn plan([seats, crowd, minutes]: Demand) -> Value {
    let [seats, crowd, minutes] = [seats, crowd, minutes].map(|number| number.to_string());
    run(&["size", "--json", "--seats", &seats, "--crowd", &crowd, "--minutes", &minutes]).await
}

/// The text between a begin and an end.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    text.split_once(begin).unwrap_or_else(|| panic!("no {begin}")).1.split_once(end).unwrap().0
}

/// Compares a part of a file with what it must be, or writes it.
fn holds(file: &str, (begin, end): (&str, &str), wanted: &str) {
    let text = files::text(file);
    let found = between(&text, begin, end);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(
            files::path(file),
            text.replace(&format!("{begin}{found}{end}"), &format!("{begin}{wanted}{end}")),
        )
        .unwrap();
    } else {
        assert_eq!(found, wanted, "{file} is old; {REFILL}");
    }
}

fn section(name: &str, head: &str, rows: &[String]) {
    let columns = head.matches('|').count() - 1;
    let table = format!("\n{head}\n|{}\n{}\n\n", " --- |".repeat(columns), rows.join("\n"));
    holds(DOCUMENT, (&format!("<!-- begin {name} -->\n"), &format!("<!-- end {name} -->")), &table);
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn part(value: &Value) -> String {
    let [count, cpus, megabytes] = ["count", "cpus", "megabytes"].map(|name| number(&value[name]));
    format!("{count} × {cpus} vCPU, {megabytes} MB")
}

fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        let is_border = index > 0 && (digits.len() - index).is_multiple_of(3);
        write!(text, "{}{digit}", if is_border { "," } else { "" }).unwrap();
    }
    text
}

/// The cells of a plan that both tables have.
fn cells(plan: &Value) -> String {
    let (rates, shared) = (&plan["rates"], &plan["shared"]);
    let room = format!("{} / {}", number(&rates["admissions"]), number(&rates["maxActive"]));
    let parts = ["instances", "postgres", "redis"].map(|name| part(&shared[name])).join(" | ");
    format!("{} | {room} | {parts}", grouped(number(&rates["entries"])))
}

#[tokio::test]
async fn the_tables_of_sizes_are_what_the_command_prints() {
    let (mut halls, mut crowds) = (Vec::new(), Vec::new());
    for seats in [500, 5_000, 50_000] {
        for times in [10, 100] {
            let plan = plan([seats, seats * times, 30]).await;
            let alone = if plan["sqlite"].is_null() { "–".to_owned() } else { part(&plan["sqlite"]) };
            let hours = number(&plan["shared"]["cpuHours"]);
            let hall = grouped(seats.into());
            halls.push(format!("| {hall} | {times} × | {} | {alone} | {hours:.1} |", cells(&plan)));
        }
    }
    for crowd in [1_000_000, 3_000_000, 10_000_000] {
        let plan = plan([50_000, crowd, 30]).await;
        let (seconds, connections) = (&plan["rates"]["enteredSeconds"], &plan["shared"]["databaseConnections"]);
        let (seconds, connections) = (number(seconds), number(connections));
        crowds.push(format!("| {} | {} | {seconds:.0} s | {connections} |", grouped(crowd.into()), cells(&plan)));
    }
    let head = "entries/s | admitPerSecond / maxActive | instances | Postgres | Redis";
    section("recommendation", &format!("| seats | crowd | {head} | alone | vCPU-hours |"), &halls);
    section("paper", &format!("| crowd | {head} | opening | database connections |"), &crowds);

    let basis = run(&["size", "--figures", "--json"]).await;
    let figures = basis["figures"].as_array().unwrap().iter().map(|figure| {
        let text = |name: &str| figure[name].as_str().unwrap();
        let link = if text("document") == "measurements/sizes.md" {
            "assumed".to_owned()
        } else {
            let (folder, name) = text("document").split_once('/').unwrap();
            let path = if folder == "measurements" { name.to_owned() } else { format!("../{}", text("document")) };
            format!("[{name}]({path})")
        };
        format!("| {} | {} | {link} | {} |", number(&figure["value"]), text("unit"), text("row"))
    });
    let mut figures: Vec<String> = figures.collect();
    // What `./bench sizes` measures as one figure.
    let value = |name: &str| {
        let figure = basis["figures"].as_array().unwrap().iter().find(|figure| figure["name"] == name);
        number(&figure.unwrap_or_else(|| panic!("no {name}"))["value"])
    };
    let calls = ["enterMicros", "pollMicros", "readMicros", "readMicros", "holdMicros", "chargeMicros", "payMicros"];
    let purchase: f64 = calls.into_iter().map(value).sum();
    figures.push(format!("| {purchase} | µs of an instance for a purchase with one poll | | the sum of its calls |"));
    section("figures", "| figure | unit | document | row |", &figures);
}

/// The basis in lines of a readable length.
fn lines(basis: &Value) -> String {
    let list = |name: &str| {
        let items: Vec<String> = basis[name].as_array().unwrap().iter().map(Value::to_string).collect();
        format!("\"{name}\": [\n{}\n]", items.join(",\n"))
    };
    format!("{{\n{}\n}}\n", ["figures", "instances", "postgres", "redis"].map(list).join(",\n"))
}

/// JSON with every number as a float: JavaScript writes 4, and Rust 4.0.
fn floats(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.into_iter().map(floats).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, floats(value))).collect(),
        other => other,
    }
}

#[tokio::test]
async fn the_page_computes_what_the_command_computes() {
    let basis = run(&["size", "--figures", "--json"]).await;
    holds(PAGE, ("<script type=\"application/json\" id=\"basis\">\n", "</script>"), &lines(&basis));
    if missing("node") {
        return;
    }
    let page = files::text(PAGE);
    let formula = between(&page, "<script id=\"formula\">", "</script>");
    let demands: Vec<Demand> = vec![
        COMPOSE,
        [1, 1, 1],
        [50, 20_000, 5],
        [500, 5_000, 30],
        [50_000, 500_000, 7],
        [50_000, 5_000_000, 30],
        [1_000_000, 10_000_000, 1],
        [10_000_000, 100_000_000, 1_440],
    ];
    let script = format!(
        "{formula}\nconst basis = {basis};\nconsole.log(JSON.stringify({}.map(([seats, crowd, minutes]) => \
         planOf(basis, {{ seats, crowd, minutes }}))));",
        json!(demands)
    );
    let launch = Launch::new(ONSALE);
    let tools = Tools::beside(launch.folder());
    let printed = tools.run(tools.command("node").args(["--eval", &script])).await;
    assert!(printed.status.success(), "{}", said(&printed));
    let pages: Vec<Value> = serde_json::from_slice(&printed.stdout).unwrap();
    for (demand, of_page) in demands.into_iter().zip(pages) {
        assert_eq!(floats(of_page), floats(plan(demand).await), "{demand:?}");
    }
}

#[tokio::test]
async fn the_limits_of_compose_are_those_of_the_table() {
    if missing("python") {
        return;
    }
    let document = files::text(DOCUMENT);
    let table = between(&document, "<!-- begin compose -->", "<!-- end compose -->");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let mut rows: Vec<(&str, Vec<&str>)> = rows.map(|(name, rest)| (name, rest.split(" | ").collect())).collect();
    let compose = files::yaml(&["compose.yaml".to_owned()]).await;
    let services = compose[0]["services"].as_object().unwrap();
    for (name, service) in services {
        let limits = &service["deploy"]["resources"]["limits"];
        let at = rows.iter().position(|(known, _)| known == name).unwrap_or_else(|| panic!("{DOCUMENT} has no {name}"));
        let (_, cells) = rows.remove(at);
        assert_eq!([&limits["cpus"], &limits["memory"]], [&json!(cells[0]), &json!(cells[1])], "{name}");
    }
    assert!(rows.is_empty(), "compose.yaml has no {rows:?}");

    let shared = plan(COMPOSE).await["shared"].clone();
    let given =
        |name: &str, which: &str| services[name]["deploy"]["resources"]["limits"][which].as_str().unwrap().to_owned();
    let instances = services.keys().filter(|name| name.starts_with("onsale-")).count();
    assert_eq!(number(&shared["instances"]["count"]), instances as f64);
    assert_eq!(number(&shared["instances"]["cpus"]), given("onsale-1", "cpus").parse::<f64>().unwrap());
    let megabytes = |limit: String| (files::bytes(&limit) >> 20) as f64;
    assert_eq!(number(&shared["instances"]["megabytes"]), megabytes(given("onsale-1", "memory")));
    for name in ["postgres", "redis"] {
        assert!(number(&shared[name]["cpus"]) <= given(name, "cpus").parse::<f64>().unwrap(), "{name}");
        assert!(number(&shared[name]["megabytes"]) <= megabytes(given(name, "memory")), "{name}");
    }
    // The calculation allows some more than the file, which is rounded down.
    let max: f64 = services["onsale-1"]["environment"]["ONSALE_CONNECTIONS_MAX"].as_str().unwrap().parse().unwrap();
    assert!(max <= number(&shared["connectionsMax"]), "{max}");
}

#[tokio::test]
async fn a_demand_without_a_number_is_refused() {
    for arguments in [&["size"][..], &["size", "--seats", "0", "--crowd", "1", "--minutes", "1"]] {
        let run = Launch::new(ONSALE).run(arguments).await;
        assert_eq!(run.status.code(), Some(2), "{arguments:?}");
    }
}
