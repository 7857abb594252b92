//! A sale that makes events, its log, and the delivered events.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use onsale_testing::{Launch, Port, Sale};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::support::{text, until};

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

/// Background work whose log and metrics can be read. Killed when it is dropped.
pub(crate) struct Work {
    pub(crate) child: Child,
    log: Arc<Mutex<String>>,
    /// The port of its metrics. Reserved, so that no other process or connection gets it before this one listens.
    port: Port,
}

impl Work {
    /// Starts it, with its metrics on a free port.
    pub(crate) fn start(launch: &Launch, command: &str) -> Self {
        let port = Port::free();
        let mut command = launch.command(&[command]);
        command.env("ONSALE_METRICS_LISTEN", port.address().to_string()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let gathered = log.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = gathered.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, log, port }
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until its log contains this text.
    pub(crate) async fn has_logged(&self, text: &str) {
        let logged = async || self.log().contains(text).then_some(());
        until(&format!("the log holds {text:?}"), logged).await;
    }

    /// Waits until a metric with these labels has a wanted value, and returns it.
    pub(crate) async fn until_metric(&self, series: &str, wanted: impl Fn(f64) -> bool) -> f64 {
        let caller = onsale_testing::Caller::new(&format!("http://{}", self.port.address()));
        let shown = async || {
            let reply = caller.get("/metrics").try_send().await.ok()?;
            value_of(&String::from_utf8_lossy(&reply.unpacked()), series).filter(|value| wanted(*value))
        };
        until(&format!("{series} is as wanted"), shown).await
    }
}

/// The value of a series in an exposition.
pub(crate) fn value_of(exposition: &str, series: &str) -> Option<f64> {
    exposition.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Makes events of many users, several of some.
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

/// All lines of a folder of days.
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

/// Waits until this many events have come out: each once, those of a subject in order. On a server that other tests use too
/// the log shows an event only once older transactions are over.
pub(crate) async fn all_came_out(launch: &Launch, many: usize) {
    let folder = launch.folder().join("events");
    let whole = async || {
        let log = log(launch).await;
        (log.len() == many && by_subject(&in_files(&folder)) == by_subject(&log)).then_some(())
    };
    until("each event stands there once, in order", whole).await;
}

impl Drop for Work {
    /// A test that fails shows what the process logged.
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.log());
        }
    }
}
