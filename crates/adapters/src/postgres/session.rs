//! One connection, and many statements sent over it at once.
//!
//! A pipeline sends all of its statements before it waits for the first answer: the server runs them one after
//! another, and the wire is crossed once.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt, join, join_all, try_join_all};
use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_postgres::{Client, Row, Statement};

use super::error::DbError;
use super::silence::Vigil;
use super::values::{Param, Sql};

/// How long a pipeline may take. What takes longer is cut off, and its outcome asked for.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How old plans may get. They are made for the tables as they are: one that was made while a table was empty, and known
/// to be, may go through all of it for as long as it is kept.
const PLANNED_EVERY: Duration = Duration::from_secs(1);

/// A connection with all of its statements prepared. Cut when it is dropped, also if the server does not answer.
pub(super) struct Session {
    client: Client,
    driver: AbortHandle,
    /// Those that were prepared when it was opened, and those that were asked since.
    statements: RwLock<HashMap<&'static str, Statement>>,
    /// When plans were last thrown away.
    planned_at: Mutex<Instant>,
    /// Whether this or another connection waited for the server in vain.
    vigil: Vigil,
    queue: Queue,
}

/// The questions on a connection that waits for each in turn.
#[derive(Default)]
struct Queue {
    /// Those under way, by their number, and the number of the next.
    under_way: Mutex<(BTreeSet<u64>, u64)>,
    /// The first of them is slow: those behind it are to be asked elsewhere.
    is_left: AtomicBool,
    left: Notify,
}

/// A question's place on a connection.
pub(super) struct Turn<'a> {
    session: &'a Session,
    number: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.session.queue().0.remove(&self.number);
    }
}

impl Turn<'_> {
    /// Whether the server is at this question, as far as can be known here.
    pub(super) fn is_first(&self) -> bool {
        self.session.queue().0.first() == Some(&self.number)
    }

    /// Sends the questions behind this one elsewhere. The connection is not used for new ones.
    pub(super) fn stay_alone(&self) {
        self.session.queue.is_left.store(true, Ordering::Release);
        self.session.queue.left.notify_waiters();
    }

    /// Waits until the first question on this connection turns out to be slow.
    pub(super) async fn left(&self) {
        let left = self.session.queue.left.notified();
        if !self.session.queue.is_left.load(Ordering::Acquire) {
            left.await;
        }
    }
}

impl Session {
    /// Prepares every statement that will be used, in one round trip.
    pub(super) async fn new(
        client: Client,
        driver: AbortHandle,
        vigil: Vigil,
        statements: &[&[&'static str]],
    ) -> Sql<Self> {
        let mut session = Self {
            client,
            driver,
            statements: RwLock::default(),
            planned_at: Mutex::new(Instant::now()),
            vigil,
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

    /// Whether it is of no use any more.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed() || self.vigil.is_broken() || self.queue.is_left.load(Ordering::Acquire)
    }

    fn queue(&self) -> MutexGuard<'_, (BTreeSet<u64>, u64)> {
        self.queue.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many questions are under way that took a turn.
    pub(super) fn under_way(&self) -> usize {
        self.queue().0.len()
    }

    /// Takes the next turn on this connection.
    pub(super) fn turn(&self) -> Turn<'_> {
        let mut queue = self.queue();
        let number = queue.1;
        queue.1 += 1;
        queue.0.insert(number);
        Turn { session: self, number }
    }

    fn statement(&self, sql: &'static str) -> Sql<Statement> {
        let statements = self.statements.read().unwrap_or_else(PoisonError::into_inner);
        statements.get(sql).cloned().ok_or(DbError::Broken("no statement that was prepared"))
    }

    /// Prepares a statement at its first use. Never in a pipeline: what is sent behind it would overtake it.
    async fn prepare(&self, sql: &'static str) -> Sql<()> {
        if self.statement(sql).is_err() {
            let prepared = self.client.prepare(sql).await?;
            self.statements.write().unwrap_or_else(PoisonError::into_inner).insert(sql, prepared);
        }
        Ok(())
    }

    /// Says that the server has not answered in time.
    pub(super) fn tell_of_silence(&self) {
        self.vigil.tell();
    }

    /// Asks one question, beside others that may be under way on the same connection. Given up as soon as another
    /// connection finds that the server has fallen silent.
    pub(super) async fn query(&self, sql: &'static str, params: Vec<Param<'_>>) -> Sql<Vec<Row>> {
        tokio::select! {
            biased;
            (_, answer) = join(self.plan_anew(), self.prepare_and_send(sql, params)) => answer,
            () = self.vigil.broken() => Err(DbError::Silent),
            () = tokio::time::sleep(ANSWER_WITHIN) => {
                self.tell_of_silence();
                Err(DbError::Late)
            }
        }
    }

    /// Throws plans away that are old, with what is sent next: each statement is planned when it is used again.
    async fn plan_anew(&self) {
        let is_due = {
            let mut planned_at = self.planned_at.lock().unwrap_or_else(PoisonError::into_inner);
            let is_due = planned_at.elapsed() >= PLANNED_EVERY;
            if is_due {
                *planned_at = Instant::now();
            }
            is_due
        };
        if is_due {
            // Within a transaction that has failed it is refused, and done a second later.
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
        // A refusal is a sign of life too; a connection that was cut is none.
        if answer.as_ref().err().is_none_or(|error| error.as_db_error().is_some()) {
            self.vigil.hear();
        }
        Ok(answer?)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What becomes of an answer.
type Take<'a, T> = Box<dyn FnOnce(&[Row], &mut T) -> Sql<()> + Send + 'a>;

/// A statement on its way, and what becomes of its answer.
type Call<'a, T> = (BoxFuture<'a, Sql<Vec<Row>>>, Take<'a, T>);

/// Statements to be sent together, each with how its answer is taken into a `T`.
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

    /// Adds a question.
    pub(super) fn ask(
        &mut self,
        sql: &'static str,
        params: Vec<Param<'a>>,
        take: impl FnOnce(&[Row], &mut T) -> Sql<()> + Send + 'a,
    ) {
        self.calls.push((self.session.send(sql, params).boxed(), Box::new(take)));
    }

    /// Adds a statement whose answer says nothing.
    pub(super) fn tell(&mut self, sql: &'static str, params: Vec<Param<'a>>) {
        self.ask(sql, params, |_, _| Ok(()));
    }

    /// Adds a commit. Sent as text, so that whoever watches the wire sees where a transaction ends.
    pub(super) fn commit(&mut self) {
        let client = &self.session.client;
        let commit = async move { Ok(client.batch_execute("COMMIT").await.map(|()| Vec::new())?) };
        self.calls.push((commit.boxed(), Box::new(|_, _| Ok(()))));
    }

    /// Adds a statement that writes rows, if there are any.
    pub(super) fn write(&mut self, sql: &'static str, rows: Option<Vec<Param<'a>>>) {
        if let Some(rows) = rows {
            self.tell(sql, rows);
        }
    }

    /// Sends everything, waits for all answers, and takes them in, in order. The first error counts: those after it
    /// only say that the transaction has failed.
    pub(super) async fn run(self, into: &mut T) -> Sql<()> {
        let (answers, takes): (Vec<_>, Vec<_>) = self.calls.into_iter().unzip();
        let all = join(self.session.plan_anew(), join_all(answers));
        let (_, answers) = tokio::time::timeout(ANSWER_WITHIN, all).await.map_err(|_| {
            self.session.tell_of_silence();
            DbError::Late
        })?;
        let answers: Vec<Vec<Row>> = answers.into_iter().collect::<Sql<_>>()?;
        answers.into_iter().zip(takes).try_for_each(|(rows, take)| take(&rows, into))
    }
}
