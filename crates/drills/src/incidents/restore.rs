//! The database is lost, and a backup is older than the last payments.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use onsale_testing::Port;
use serde_json::Value;
use tempfile::TempDir;

use super::Incident;
use crate::Outcome;
use crate::scene::{Consumer, Scene, Stage};

/// Payments after the backup that the data platform knows when the database is lost.
const BEYOND: usize = 5;

/// Longest time until they are made and delivered.
const BEYOND_MAX: Duration = Duration::from_secs(60);

/// The list of lost payments that the page makes: the id is the first word of a line.
const LIST: &str = "lost.tsv";

/// The database is dropped by mistake.
pub(super) struct Restore {
    backups: TempDir,
    /// Of the instance that no buyer reaches.
    private: Port,
    /// The payments after the backup that were delivered.
    beyond: BTreeSet<String>,
}

impl Restore {
    /// A folder for the backup, and a port for an instance that no buyer reaches.
    pub(super) fn new() -> Self {
        let backups = tempfile::Builder::new().prefix("onsale-backups-").tempdir().expect("a temporary folder");
        Self { backups, private: Port::free(), beyond: BTreeSet::new() }
    }
}

impl Incident for Restore {
    const NAME: &'static str = "restore";

    fn stage(&self) -> Stage {
        // It writes the events into files, which survive the database.
        Stage { consumer: Consumer::AtOnce, ..Stage::default() }
    }

    async fn prepare(&mut self, scene: &mut Scene) {
        let server = scene.parts.store.server().url("");
        let events = scene.first().instance.folder().join("events");
        let shell = &mut scene.shell;
        shell.set("BACKUPS", self.backups.path().display());
        shell.set("SERVER", server.trim_end_matches('/'));
        shell.set("PRIVATE", self.private.address());
        shell.set("EVENTS", events.display());
    }

    async fn cause(&mut self, scene: &mut Scene) {
        let backup = scene.shell.run("\"$DEPLOY/backup\" \"$BACKUPS\"").await;
        assert!(backup.is_done, "{}", backup.output);
        let (kept, events) = (paid(scene).await, scene.first().instance.folder().join("events"));
        let began = Instant::now();
        while self.beyond.len() < BEYOND {
            assert!(began.elapsed() < BEYOND_MAX, "fewer than {BEYOND} payments are delivered after the backup");
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.beyond = delivered(&events).difference(&kept).cloned().collect();
        }
        let drop = format!("DROP DATABASE \"{}\" WITH (FORCE)", scene.parts.store.database().name());
        let sql = scene.parts.store.server().sql("postgres").await;
        sql.batch_execute(&drop).await.expect("the database can be dropped");
    }

    fn what(&self) -> &'static str {
        "the database of the sale is dropped, and at least five payments are not in the backup"
    }

    fn accounts_for(&self, scene: &Scene, lost: &[String]) -> Outcome<String> {
        let list = scene.shell.read(LIST);
        let listed: BTreeSet<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
        let missing: Vec<&String> = self.beyond.iter().filter(|id| !listed.contains(id.as_str())).collect();
        if !missing.is_empty() {
            return Err(format!("these payments were delivered and are not on the list: {missing:?}"));
        }
        let known = lost.iter().filter(|id| listed.contains(id.as_str())).count();
        Ok(format!("{} are lost, {known} of them on the list", lost.len()))
    }
}

/// The ids of all payments in the database.
async fn paid(scene: &Scene) -> BTreeSet<String> {
    let rows = scene.sql().await.query("SELECT payment_id::text FROM payments", &[]).await.expect("the payments");
    rows.iter().map(|row| row.get(0)).collect()
}

/// The ids of the payments in the files of the data platform.
fn delivered(events: &Path) -> BTreeSet<String> {
    let files = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let texts = files(events).flat_map(|day| files(&day).collect::<Vec<_>>());
    let texts: Vec<String> = texts.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    let events = texts.iter().flat_map(|text| text.lines()).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let payments = events.filter(|event| event["type"] == "onsale.payment.completed.v1");
    payments.filter_map(|event| event["data"]["paymentId"].as_str().map(str::to_owned)).collect()
}
