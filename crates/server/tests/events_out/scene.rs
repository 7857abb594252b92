//! A sale that makes events, what its log says, and what came out.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use onsale_testing::{Launch, Sale};
use serde_json::Value;
use tokio::process::Child;

use crate::support::text;

/// The text of a process's standard output.
pub(crate) async fn run(launch: &Launch, arguments: &[&str]) -> String {
    let run = launch.command(arguments).output().await.unwrap();
    assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

/// Starts background work, which is killed when it is dropped.
pub(crate) fn start(launch: &Launch, command: &str) -> Child {
    launch.command(&[command]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Events of many users, some of them many.
pub(crate) async fn charge(sale: &Sale, round: usize, users: usize) {
    for number in 0..users {
        let user = format!("user-{}", number % 7);
        sale.charge(&user, i64::try_from(round * 1_000 + number).unwrap() + 1).await;
    }
}

/// All events of the log, as CloudEvents.
pub(crate) async fn log(launch: &Launch) -> Vec<Value> {
    let lines = run(launch, &["events", "--json"]).await;
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Everything that stands in a folder of days.
pub(crate) fn in_files(folder: &Path) -> Vec<Value> {
    let mut events = Vec::new();
    let Ok(days) = std::fs::read_dir(folder) else { return events };
    for day in days {
        for file in std::fs::read_dir(day.unwrap().path()).unwrap() {
            let lines = std::fs::read_to_string(file.unwrap().path()).unwrap();
            // The last line of a file that is being written may not be whole yet.
            events.extend(lines.lines().filter_map(|line| serde_json::from_str(line).ok()));
        }
    }
    events
}

/// Events by subject, each in the order in which it came, by id.
pub(crate) fn by_subject(events: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut subjects: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events {
        subjects.entry(text(&event["subject"])).or_default().push(text(&event["id"]));
    }
    subjects
}
