//! Reads over a few connections. Each carries many queries at once, so no query waits for a free connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use super::Shared;
use super::connection::Role;
use super::news::PostgresNews;
use super::session::Session;
use super::slow_queries::{Kind, SlowQueries};
use super::values::Sql;

/// How often a query moves to another connection because the one before it is slow. After that it fails.
const ATTEMPTS_MAX: u32 = 4;

/// A connection that is opened when it is needed.
#[derive(Default)]
struct Slot {
    /// Read by every query without a lock.
    session: ArcSwapOption<Session>,
    /// Held while a connection is opened, so that concurrent queries open one and share it.
    connecting: Mutex<()>,
}

/// The connections for reads.
pub(super) struct PostgresReader {
    shared: Arc<Shared>,
    news: Arc<PostgresNews>,
    slots: Vec<Slot>,
    /// Counts queries to spread them over the connections. `Relaxed`: any two queries may get the same number.
    next: AtomicUsize,
    /// The connection for kinds of queries that are slow now. Closed when no kind is slow.
    slow: Slot,
    slow_queries: SlowQueries,
}

impl PostgresReader {
    pub(super) fn new(shared: Arc<Shared>, connections: usize, news: Arc<PostgresNews>) -> Self {
        let slots = (0..connections.max(1)).map(|_| Slot::default()).collect();
        let (next, slow, slow_queries) = (AtomicUsize::new(0), Slot::default(), SlowQueries::default());
        Self { shared, news, slots, next, slow, slow_queries }
    }

    /// An open connection: of two neighbours, the one with fewer queries.
    async fn session(&self) -> Sql<Arc<Session>> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = |number: usize| &self.slots[number % self.slots.len()];
        let busy = |slot: &Slot| slot.session.load().as_ref().map_or(0, |session| session.queued());
        let slot = if busy(slot(next)) <= busy(slot(next + 1)) { slot(next) } else { slot(next + 1) };
        self.session_of(slot).await
    }

    /// The open connection of a slot; opens one if there is none, or if it must be replaced.
    async fn session_of(&self, slot: &Slot) -> Sql<Arc<Session>> {
        let alive = || slot.session.load_full().filter(|session| !session.is_closed());
        if let Some(session) = alive() {
            return Ok(session);
        }
        let _one_connects = slot.connecting.lock().await;
        // Checked again: another query may have connected while this one waited for the lock.
        if let Some(session) = alive() {
            return Ok(session);
        }
        // No statement is prepared in advance: preparing one about a locked table would make all other queries wait.
        let session = Arc::new(self.shared.session(Role::Reader, &[]).await?);
        slot.session.store(Some(session.clone()));
        Ok(session)
    }

    /// Notes the duration of a query. Closes the connection for slow queries when none is slow any more.
    fn note(&self, kind: Kind, asked: Instant) {
        self.slow_queries.note(kind, asked.elapsed());
        if self.slow.session.load().is_some() && self.slow_queries.is_quiet() {
            self.slow.session.store(None);
        }
    }
}

/// Runs a query over a connection. If it turns out to be slow and is the first on the connection, the connection is retired:
/// queries behind it end with `Behind` and move to another connection.
macro_rules! query_over {
    ($reader:ident, $kind:expr, $session:ident, $query:expr) => {{
        let (position, asked) = ($session.enqueue(), Instant::now());
        let mut answer = std::pin::pin!($query);
        let soon = tokio::select! {
            biased;
            answer = &mut answer => Some(answer),
            () = position.retired() => Some(Err(DbError::Behind)),
            () = tokio::time::sleep(SLOW) => None,
        };
        let answer = match soon {
            Some(answer) => answer,
            // The server is running this query: it is the slow one, and keeps the connection to itself.
            None if position.is_first() => {
                $reader.slow_queries.note($kind, SLOW);
                position.retire_connection();
                answer.await
            }
            // An earlier query is slow. This one waits for its answer, or until that one retires the connection.
            None => tokio::select! {
                biased;
                answer = &mut answer => answer,
                () = position.retired() => Err(DbError::Behind),
            },
        };
        drop(position);
        if !matches!(answer, Err(DbError::Behind)) {
            $reader.note($kind, asked);
        }
        answer
    }};
}

/// Runs a query. Runs it again over another connection if the first one turns out to be closed, or retired because of a slow
/// query. Not after a time-out: the caller has waited long enough, and the next query gets another connection.
macro_rules! query {
    ($reader:ident, $kind:ident, |$session:ident| $query:expr) => {{
        let mut attempt = 0;
        loop {
            attempt += 1;
            if $reader.slow_queries.is_slow(Kind::$kind) {
                // Held until the answer: it bounds how many slow queries wait at the server.
                let _permit = $reader.slow_queries.permit().ok_or(DbError::Slow)?;
                let $session = $reader.session_of(&$reader.slow).await?;
                let asked = Instant::now();
                let answer = $query.await;
                $reader.note(Kind::$kind, asked);
                break Ok(answer?);
            }
            let $session = $reader.session().await?;
            match query_over!($reader, Kind::$kind, $session, $query) {
                Err(DbError::Behind) if attempt < ATTEMPTS_MAX => {}
                Err(error) if attempt == 1 && $session.is_closed() && !error.is_late() && !error.is_refusal() => {}
                answer => break Ok(answer?),
            }
        }
    }};
}

// After the macros, which it uses.
mod ended;
mod leavings;
mod lists;
mod reads;

#[cfg(test)]
pub(super) use reads::STATEMENTS;
