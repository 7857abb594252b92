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
mod partition;
mod redis_decides;
mod redis_fence;
mod redis_hold;
mod redis_lock;
mod repeatable_read;
mod retried;
mod serializable;
mod sqlite;

use futures_util::future::BoxFuture;

use super::scene::Op;
use super::session::{Failure, Session};

pub(crate) use function::FUNCTION;
pub(crate) use redis_hold::TTL_MILLIS;
pub(crate) use sqlite::SCHEMA as SQLITE_SCHEMA;

/// What a control needs beside Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Redis,
    Lane,
    Sqlite,
    Kafka,
}

impl Needs {
    /// Whether each client has a connection to Postgres.
    pub(crate) fn connection(self) -> bool {
        matches!(self, Self::Nothing | Self::Redis)
    }
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
    /// Its own files, of which the lines of code are counted.
    sources: &'static [&'static str],
    /// Round trips of a decision without a retry.
    pub(crate) trips: &'static str,
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
    /// Lines of code of its files, without comments, imports, blank lines and the text for the document.
    pub(crate) fn lines(&self) -> usize {
        self.sources.iter().map(|source| lines(source)).sum()
    }
}

/// See [`Control::lines`]. A statement ends with a line that ends in `;`, a text with one that ends in `";`.
pub(crate) fn lines(source: &str) -> usize {
    let (mut count, mut skipped_to) = (0, None);
    for line in source.lines() {
        if skipped_to.is_none() {
            skipped_to = match line {
                line if line.starts_with("use ") => Some(";"),
                line if line.contains("const WORDS: &str") => Some("\";"),
                _ => None,
            };
            let is_code = !line.trim().is_empty() && !line.trim_start().starts_with("//");
            count += usize::from(skipped_to.is_none() && is_code);
        }
        skipped_to = skipped_to.filter(|end| !line.ends_with(end));
    }
    count
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
    ($($letter:literal $module:ident $name:literal $(and $more:literal)*,
        trips $all:literal, locked $trips:expr, $gap:ident, needs $needs:ident, $claim:ident;)+) => {
        /// All controls, in the order of the tables.
        pub(crate) const CONTROLS: &[Control] = &[$(Control {
            letter: $letter,
            name: $name,
            words: $module::WORDS,
            sources: &[include_str!(concat!(stringify!($module), ".rs")), $(include_str!($more)),*],
            has_gap: gap!($gap),
            trips: $all,
            trips_locked: $trips,
            needs: Needs::$needs,
            claim: Claim::$claim,
            apply: |session, op| Box::pin($module::apply(session, op)),
        }),+];
    };
}

controls! {
    'A' none "none", trips "2", locked Some(1), gap, needs Nothing, FailsAtOnce;
    'B' optimistic "version, retry", trips "2", locked Some(1), gap, needs Nothing, Holds;
    'C' for_update "FOR UPDATE", trips "4", locked Some(2), gap, needs Nothing, Holds;
    'D' nowait "FOR UPDATE NOWAIT" and "retried.rs", trips "4", locked Some(2), gap, needs Nothing, Holds;
    'E' no_key_update "FOR NO KEY UPDATE", trips "4", locked Some(2), gap, needs Nothing, Holds;
    'F' conditional "conditional UPDATE", trips "1", locked Some(0), one_statement, needs Nothing, Holds;
    'G' repeatable_read "REPEATABLE READ" and "retried.rs", trips "4", locked Some(2), gap, needs Nothing, Holds;
    'H' serializable "SERIALIZABLE" and "retried.rs", trips "4", locked Some(2), gap, needs Nothing, Holds;
    'I' advisory "advisory lock", trips "5", locked Some(3), gap, needs Nothing, Holds;
    'J' claim "unique insert", trips "2", locked Some(1), gap, needs Nothing, Holds;
    'L' function "stored function", trips "1", locked Some(0), one_statement, needs Nothing, Holds;
    'M' redis_lock "Redis lock" and "redis_hold.rs" and "none.rs", trips "2, Redis 2", locked Some(3), gap, needs Redis, FailsIfStopped;
    'N' redis_fence "Redis lock + fence" and "redis_hold.rs", trips "2, Redis 3", locked Some(4), gap, needs Redis, Holds;
    'O' redis_decides "Redis decides", trips "1, Redis 2", locked Some(0), gap, needs Redis, FailsIfRedisIsEmptied;
    'P' partition "Kafka partition" and "../partition/mod.rs" and "../partition/decider.rs" and "../batch.rs",
        trips "2 a batch, Kafka 4", locked None, gap, needs Kafka, Holds;
    'Q' mutex "mutex" and "none.rs", trips "2", locked Some(2), gap, needs Nothing, FailsInTwoProcesses;
    'R' sqlite "SQLite's writer", trips "0", locked None, one_statement, needs Sqlite, Holds;
    'S' lane "batched lane" and "../lane.rs" and "../batch.rs", trips "2 a batch", locked Some(2), gap, needs Lane, Holds;
}

/// The control with this letter.
pub(crate) fn control(letter: &str) -> Option<&'static Control> {
    CONTROLS.iter().find(|control| letter.chars().eq([control.letter]))
}
