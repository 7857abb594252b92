//! One connection with prepared statements, shared by many queries.
//!
//! A pipeline sends all of its statements before it waits for the first answer. The server runs them in order, and
//! together they cost one round trip.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt, join, join_all, try_join_all};
use futures_util::{StreamExt, TryStreamExt};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_postgres::{Client, Row, Statement};

use super::error::DbError;
use super::liveness::Subscription;
use super::values::{Param, Sql};

/// Time limit of a query or pipeline. Beyond it the connection is closed; for a commit, its outcome is then queried.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Maximum age of query plans. A plan fits the tables as they were: one that was made for an empty table may read all of it
/// for as long as the plan is kept.
const REPLAN_EVERY: Duration = Duration::from_secs(1);

/// A connection with its prepared statements. Closed when it is dropped, even if the server does not answer.
pub(super) struct Session {
    client: Client,
    driver: AbortHandle,
    /// Prepared statements by their text: those of the opening, and those that were used since. Read for each query, written
    /// once per statement; never held while waiting for the server.
    statements: RwLock<HashMap<&'static str, Statement>>,
    /// When plans were last discarded. Held for one comparison, so that one of many concurrent queries sends the command.
    planned_at: Mutex<Instant>,
    /// Knows whether the server stopped answering this connection or another one.
    liveness: Subscription,
    queue: Queue,
}

/// The queries on a connection. The server runs them one after another, so a slow one delays all behind it.
#[derive(Default)]
struct Queue {
    /// Held for set operations only.
    running: Mutex<Running>,
    /// The first query is slow: queries behind it use another connection. `Release` when set pairs with `Acquire` when
    /// read, so that a query that reads `true` does not wait for `retired`, which was notified before.
    is_retired: AtomicBool,
    retired: Notify,
}

/// The queries that wait for their answers.
#[derive(Default)]
struct Running {
    /// Those without an answer, in the order in which they were sent.
    numbers: BTreeSet<u64>,
    /// The number of the next query.
    next: u64,
}

/// A query's position on a connection. It leaves the queue when this is dropped.
pub(super) struct QueuePosition<'a> {
    session: &'a Session,
    number: u64,
}

impl Drop for QueuePosition<'_> {
    fn drop(&mut self) {
        self.session.queue.running.lock().numbers.remove(&self.number);
    }
}

impl QueuePosition<'_> {
    /// Whether no query before this one waits for its answer: the server is running this one.
    pub(super) fn is_first(&self) -> bool {
        self.session.queue.running.lock().numbers.first() == Some(&self.number)
    }

    /// Retires the connection: queries behind this one move to another connection, and no new ones come.
    pub(super) fn retire_connection(&self) {
        // The flag before the notification: a query that registers in between reads the flag and does not wait.
        self.session.queue.is_retired.store(true, Ordering::Release);
        self.session.queue.retired.notify_waiters();
    }

    /// Waits until the connection is retired.
    pub(super) async fn retired(&self) {
        // Registered before the flag is read: a notification in between is not missed.
        let retired = self.session.queue.retired.notified();
        if !self.session.queue.is_retired.load(Ordering::Acquire) {
            retired.await;
        }
    }
}

impl Session {
    /// Prepares every statement that will be used, in one round trip.
    pub(super) async fn new(
        client: Client,
        driver: AbortHandle,
        liveness: Subscription,
        statements: &[&[&'static str]],
    ) -> Sql<Self> {
        let mut session = Self {
            client,
            driver,
            statements: RwLock::default(),
            planned_at: Mutex::new(Instant::now()),
            liveness,
            queue: Queue::default(),
        };
        let client = &session.client;
        let all = statements.iter().flat_map(|some| some.iter().copied());
        let prepared = all.map(|sql| async move { Ok::<_, DbError>((sql, client.prepare(sql).await?)) });
        let prepared = tokio::time::timeout(ANSWER_WITHIN, try_join_all(prepared.collect::<Vec<_>>()));
        let prepared = prepared.await.map_err(|_| DbError::Late)??.into_iter().collect();
        session.statements = RwLock::new(prepared);
        Ok(session)
    }

    /// Whether the connection must be replaced: it is closed, stale, or retired.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed() || self.liveness.is_stale() || self.queue.is_retired.load(Ordering::Acquire)
    }

    /// Number of queries that wait for their answer.
    pub(super) fn queued(&self) -> usize {
        self.queue.running.lock().numbers.len()
    }

    /// Takes the next position in the queue of this connection.
    pub(super) fn enqueue(&self) -> QueuePosition<'_> {
        let mut running = self.queue.running.lock();
        let number = running.next;
        running.next += 1;
        running.numbers.insert(number);
        QueuePosition { session: self, number }
    }

    fn statement(&self, sql: &'static str) -> Sql<Statement> {
        self.statements.read().get(sql).cloned().ok_or(DbError::Unprepared)
    }

    /// Prepares a statement at its first use. Never in a pipeline: preparing takes a round trip, and statements that come
    /// after it in the pipeline would be sent first.
    async fn prepare(&self, sql: &'static str) -> Sql<()> {
        if self.statement(sql).is_err() {
            let prepared = self.client.prepare(sql).await?;
            self.statements.write().insert(sql, prepared);
        }
        Ok(())
    }

    /// Reports to the other connections that the server has not answered in time.
    pub(super) fn report_timeout(&self) {
        self.liveness.report_timeout();
    }

    /// Runs one statement, concurrently with other queries on the same connection.
    ///
    /// # Errors
    /// `Late` after 5 s without an answer. `Silent` as soon as another connection reports that the server stopped answering.
    pub(super) async fn query(&self, sql: &'static str, params: Vec<Param<'_>>) -> Sql<Vec<Row>> {
        tokio::select! {
            biased;
            (_, answer) = join(self.discard_old_plans(), self.prepare_and_send(sql, params)) => answer,
            () = self.liveness.stale() => Err(DbError::Silent),
            () = tokio::time::sleep(ANSWER_WITHIN) => {
                self.report_timeout();
                Err(DbError::Late)
            }
        }
    }

    /// Discards plans that are older than 1 s. Sent together with the next statement, so it costs no round trip; each
    /// statement is planned again when it is next used.
    async fn discard_old_plans(&self) {
        let is_due = {
            let mut planned_at = self.planned_at.lock();
            let is_due = planned_at.elapsed() >= REPLAN_EVERY;
            if is_due {
                *planned_at = Instant::now();
            }
            is_due
        };
        if is_due {
            // Fails inside a transaction that has already failed; then the next second does it.
            let _ = self.client.batch_execute("DISCARD PLANS").await;
        }
    }

    async fn prepare_and_send(&self, sql: &'static str, params: Vec<Param<'_>>) -> Sql<Vec<Row>> {
        self.prepare(sql).await?;
        self.send(sql, params).await
    }

    async fn send(&self, sql: &'static str, params: Vec<Param<'_>>) -> Sql<Vec<Row>> {
        let params = params.iter().map(|param| &**param as &(dyn tokio_postgres::types::ToSql + Sync));
        let statement = self.statement(sql)?;
        let answer = async { self.client.query_raw(&statement, params).await?.boxed().try_collect().await };
        let answer: Result<Vec<Row>, tokio_postgres::Error> = answer.await;
        // An error that the server sent is an answer too. A connection that broke is not.
        if answer.as_ref().err().is_none_or(|error| error.as_db_error().is_some()) {
            self.liveness.note_answer();
        }
        Ok(answer?)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Puts the rows of an answer into a `T`.
type Take<'a, T> = Box<dyn FnOnce(&[Row], &mut T) -> Sql<()> + Send + 'a>;

/// A statement with the function that takes its answer.
type Call<'a, T> = (BoxFuture<'a, Sql<Vec<Row>>>, Take<'a, T>);

/// Statements to be sent together. Their answers are taken into a `T`.
pub(super) struct Pipeline<'a, T> {
    session: &'a Session,
    calls: Vec<Call<'a, T>>,
}

impl<'a, T> Pipeline<'a, T> {
    pub(super) fn new(session: &'a Session) -> Self {
        Self { session, calls: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Adds a statement, and the function that takes its rows.
    pub(super) fn query(
        &mut self,
        sql: &'static str,
        params: Vec<Param<'a>>,
        take: impl FnOnce(&[Row], &mut T) -> Sql<()> + Send + 'a,
    ) {
        self.calls.push((self.session.send(sql, params).boxed(), Box::new(take)));
    }

    /// Adds a statement whose answer is not needed.
    pub(super) fn execute(&mut self, sql: &'static str, params: Vec<Param<'a>>) {
        self.query(sql, params, |_, _| Ok(()));
    }

    /// Adds a commit. Sent as text and not as a prepared statement, so that tests on the wire can find it.
    pub(super) fn commit(&mut self) {
        let client = &self.session.client;
        let commit = async move { Ok(client.batch_execute("COMMIT").await.map(|()| Vec::new())?) };
        self.calls.push((commit.boxed(), Box::new(|_, _| Ok(()))));
    }

    /// Adds a statement that writes rows, if there are any.
    pub(super) fn write(&mut self, sql: &'static str, rows: Option<Vec<Param<'a>>>) {
        if let Some(rows) = rows {
            self.execute(sql, rows);
        }
    }

    /// Sends all statements, waits for all answers, and takes them in order. Returns the first error: those after it only
    /// say that the transaction has failed.
    pub(super) async fn run(self, into: &mut T) -> Sql<()> {
        // A statement is written to the connection when its future is first polled, and `join_all` polls in order: the
        // server receives the statements in the order in which they were added.
        let (answers, takes): (Vec<_>, Vec<_>) = self.calls.into_iter().unzip();
        let all = join(self.session.discard_old_plans(), join_all(answers));
        let (_, answers) = tokio::time::timeout(ANSWER_WITHIN, all).await.map_err(|_| {
            self.session.report_timeout();
            DbError::Late
        })?;
        let answers: Vec<Vec<Row>> = answers.into_iter().collect::<Sql<_>>()?;
        answers.into_iter().zip(takes).try_for_each(|(rows, take)| take(&rows, into))
    }
}
