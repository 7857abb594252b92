//! The controls, one file each. All change the same wallets by the same rule through the same harness.

mod advisory;
mod claim;
mod conditional;
mod for_update;
mod function;
mod lane;
mod mutex;
mod no_key_update;
mod none;
mod nowait;
mod optimistic;
mod redis_decides;
mod redis_fence;
mod redis_lock;
mod repeatable_read;
mod serializable;
mod sqlite;

use futures_util::future::BoxFuture;

use super::scene::Op;
use super::session::{Failure, Session};

pub(crate) use redis_lock::TTL_MILLIS;
pub(crate) use sqlite::SCHEMA as SQLITE_SCHEMA;

/// What a control needs beside Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Redis,
    Lane,
    Sqlite,
}

/// What is claimed of a control, and checked by the experiments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Right under every experiment.
    Holds,
    /// Wrong as soon as two clients meet.
    FailsAtOnce,
    /// Right until a client is stopped for longer than its lock lives.
    FailsIfStopped,
    /// Right until Redis loses its data.
    FailsIfRedisIsEmptied,
    /// Right in one process, wrong with two.
    FailsInTwoProcesses,
}

/// Applies a change. `Ok(true)` if it was made, `Ok(false)` if the rule refused it.
type Apply = for<'a> fn(&'a mut Session, &'a Op) -> BoxFuture<'a, Result<bool, Failure>>;

/// A way to control concurrency.
pub(crate) struct Control {
    pub(crate) letter: char,
    pub(crate) name: &'static str,
    /// The statements, as an engineer would type them; shown in the document.
    pub(crate) words: &'static str,
    /// Its file, of which the lines of code are counted.
    source: &'static str,
    /// Whether a client reads in one round trip and writes in a later one, so that it can be stopped in between.
    pub(crate) has_gap: bool,
    /// Round trips to the database while a hot row is locked, or while a conflicting commit makes the attempt fail;
    /// `None` if the database does not decide.
    pub(crate) trips_locked: Option<u32>,
    pub(crate) needs: Needs,
    pub(crate) claim: Claim,
    pub(crate) apply: Apply,
}

impl Control {
    /// Lines of code of its file, without comments and blank lines.
    pub(crate) fn lines(&self) -> usize {
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
        self.source.lines().filter(is_code).count()
    }
}

macro_rules! gap {
    (gap) => {
        true
    };
    (one_statement) => {
        false
    };
}

macro_rules! controls {
    ($($letter:literal $module:ident $name:literal trips $trips:expr, $gap:ident, needs $needs:ident, $claim:ident;)+) => {
        /// All controls, in the order of the tables.
        pub(crate) const CONTROLS: &[Control] = &[$(Control {
            letter: $letter,
            name: $name,
            words: $module::WORDS,
            source: include_str!(concat!(stringify!($module), ".rs")),
            has_gap: gap!($gap),
            trips_locked: $trips,
            needs: Needs::$needs,
            claim: Claim::$claim,
            apply: |session, op| Box::pin($module::apply(session, op)),
        }),+];
    };
}

controls! {
    'A' none "none" trips Some(1), gap, needs Nothing, FailsAtOnce;
    'B' optimistic "version, retry" trips Some(1), gap, needs Nothing, Holds;
    'C' for_update "FOR UPDATE" trips Some(2), gap, needs Nothing, Holds;
    'D' nowait "FOR UPDATE NOWAIT" trips Some(2), gap, needs Nothing, Holds;
    'E' no_key_update "FOR NO KEY UPDATE" trips Some(2), gap, needs Nothing, Holds;
    'F' conditional "conditional UPDATE" trips Some(0), one_statement, needs Nothing, Holds;
    'G' repeatable_read "REPEATABLE READ" trips Some(2), gap, needs Nothing, Holds;
    'H' serializable "SERIALIZABLE" trips Some(2), gap, needs Nothing, Holds;
    'I' advisory "advisory lock" trips Some(3), gap, needs Nothing, Holds;
    'J' claim "unique insert" trips Some(1), gap, needs Nothing, Holds;
    'L' function "stored function" trips Some(0), one_statement, needs Nothing, Holds;
    'M' redis_lock "Redis lock" trips None, gap, needs Redis, FailsIfStopped;
    'N' redis_fence "Redis lock + fence" trips None, gap, needs Redis, Holds;
    'O' redis_decides "Redis decides" trips None, gap, needs Redis, FailsIfRedisIsEmptied;
    'Q' mutex "mutex" trips Some(2), gap, needs Nothing, FailsInTwoProcesses;
    'R' sqlite "SQLite's writer" trips None, one_statement, needs Sqlite, Holds;
    'S' lane "batched lane" trips None, gap, needs Lane, Holds;
}

/// The control with this letter.
pub(crate) fn control(letter: &str) -> Option<&'static Control> {
    CONTROLS.iter().find(|control| letter.chars().eq([control.letter]))
}

/// Runs a whole transaction until it is not in conflict with another: at this isolation level, with this read.
async fn retried(session: &mut Session, op: &Op, begin: &str, read: &'static str) -> Result<bool, Failure> {
    let mut attempt = 0;
    loop {
        session.command(begin).await?;
        match session.decide_in_transaction(read, op).await {
            Err(error) if error.is_conflict() => {
                session.command("ROLLBACK").await?;
                session.back_off(error.class(), attempt).await;
            }
            decided => return decided,
        }
        attempt += 1;
    }
}
