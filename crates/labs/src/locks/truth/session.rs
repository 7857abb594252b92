//! A session of the truth table: runs one unit of steps at a time, and notices when it waits for a lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_testing::postgres::driver::{self, Client, SimpleQueryMessage};
use tokio::task::JoinHandle;

use super::Step;
use crate::locks::bed::Bed;

/// Interval of checks whether a session waits.
const ASK_EVERY: Duration = Duration::from_micros(200);

/// Statements that are run together, and the condition after them. `BEGIN` belongs to the statement after it: where it
/// comes makes no difference.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    sql: String,
    at_least: Option<i64>,
}

/// The units of a session's steps.
pub(super) fn units(steps: &[Step]) -> VecDeque<Unit> {
    let mut units: VecDeque<Unit> = VecDeque::new();
    let mut begin = String::new();
    for step in steps {
        match step {
            Step::Run(sql) if sql.starts_with("BEGIN") => begin = format!("{sql}; "),
            Step::Run(sql) => {
                let sql = format!("{}{sql}", std::mem::take(&mut begin));
                units.push_back(Unit { sql, at_least: None });
            }
            Step::AtLeast(least) => {
                if let Some(unit) = units.back_mut() {
                    unit.at_least = Some(*least);
                }
            }
        }
    }
    units
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Committed,
    /// A condition did not hold.
    GaveUp,
    /// The database aborted it, with this SQLSTATE.
    Aborted(String),
}

type Running = JoinHandle<Result<Vec<SimpleQueryMessage>, driver::Error>>;

/// One of the two sessions of an interleaving.
pub(super) struct Session {
    client: Arc<Client>,
    process: i32,
    units: VecDeque<Unit>,
    read: Option<i64>,
    running: Option<(Unit, Running)>,
    ended: Option<Ended>,
}

impl Session {
    pub(super) async fn open(bed: &Bed) -> Outcome<Self> {
        let client = bed.sql().await?;
        client.batch_execute("SET synchronous_commit = off").await?;
        let process = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
        Ok(Self { client: Arc::new(client), process, units: VecDeque::new(), read: None, running: None, ended: None })
    }

    pub(super) fn begin(&mut self, units: VecDeque<Unit>) {
        (self.units, self.read, self.running, self.ended) = (units, None, None, None);
    }

    pub(super) fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Whether nothing runs, and nothing is left to run.
    pub(super) fn is_over(&self) -> bool {
        self.running.is_none() && (self.units.is_empty() || self.ended.is_some())
    }

    /// Whether a unit was started and is not done.
    async fn is_running(&mut self) -> Outcome<bool> {
        if self.running.as_ref().is_some_and(|(_, running)| running.is_finished()) {
            self.harvest().await?;
        }
        Ok(self.running.is_some())
    }

    /// Returns when the running unit is done, or waits for a lock of the other session. Returns whether it waits.
    pub(super) async fn settle(&mut self, observer: &Client) -> Outcome<bool> {
        // Exact at once: a lock that is granted blocks no longer, even if the session has not noticed yet.
        let blocked = "SELECT cardinality(pg_blocking_pids($1)) > 0";
        while self.is_running().await? {
            let is_blocked: bool = observer.query_one(blocked, &[&self.process]).await?.get(0);
            tokio::time::sleep(ASK_EVERY).await;
            if is_blocked {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Starts the next unit unless one runs, and lets it settle. Returns whether it waits for the other session.
    pub(super) async fn step(&mut self, observer: &Client) -> Outcome<bool> {
        if self.running.is_none() {
            let Some(unit) = self.units.pop_front().filter(|_| self.ended.is_none()) else {
                tokio::time::sleep(ASK_EVERY).await;
                return Ok(false);
            };
            let sql = unit.sql.replace(":read", &self.read.unwrap_or_default().to_string());
            let client = Arc::clone(&self.client);
            self.running = Some((unit, tokio::spawn(async move { client.simple_query(&sql).await })));
        }
        self.settle(observer).await
    }

    /// Ends what is left, so that the next interleaving starts clean.
    pub(super) async fn finish(&mut self) -> Outcome<()> {
        self.harvest().await?;
        self.client.batch_execute("ROLLBACK; SELECT pg_advisory_unlock_all()").await?;
        Ok(())
    }

    /// Takes the result of the running unit.
    async fn harvest(&mut self) -> Outcome<()> {
        let Some((unit, running)) = self.running.take() else { return Ok(()) };
        match running.await? {
            Ok(messages) => self.take(&unit, &messages).await?,
            Err(error) => {
                let class = error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned());
                self.ended = Some(Ended::Aborted(class));
                self.client.batch_execute("ROLLBACK").await?;
            }
        }
        Ok(())
    }

    async fn take(&mut self, unit: &Unit, messages: &[SimpleQueryMessage]) -> Outcome<()> {
        for message in messages {
            match message {
                // A query without rows reads nothing; a statement that is no query leaves what was read.
                SimpleQueryMessage::RowDescription(_) => self.read = None,
                SimpleQueryMessage::Row(row) => self.read = row.get(0).and_then(|text| text.parse().ok()),
                _ => {}
            }
        }
        if unit.at_least.is_some_and(|least| self.read.is_none_or(|read| read < least)) {
            self.ended = Some(Ended::GaveUp);
            self.client.batch_execute("ROLLBACK").await?;
        } else if unit.sql.ends_with("COMMIT") {
            self.ended = Some(Ended::Committed);
        }
        Ok(())
    }
}
