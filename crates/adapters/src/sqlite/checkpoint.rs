//! Moves the write-ahead log into the database file (checkpoints) in a thread of its own, so that commits never wait for it.
//!
//! SQLite starts the log again from its beginning once all of it is moved and no reader uses it. A checkpoint that runs beside
//! commits never catches up completely. So this thread moves nearly everything, and then asks the writer to move the rest
//! between two units of work, because only the writer can stop commits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::connection::{LOG_PAGES_MAX, Role, open};
use super::growth::Growth;
use super::{Shared, Slot};

/// Interval of checks while the log is short.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Interval of checkpoints while the log is long.
const MOVE_EVERY: Duration = Duration::from_millis(50);

/// Interval of checkpoints while a reader prevents them.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// Pages that may be left for the writer to move: 1 MiB.
const REST_PAGES_MAX: i64 = 256;

/// Consecutive checkpoints to catch up with commits.
const ROUNDS_MAX: usize = 4;

/// The thread that moves the log.
pub(super) struct Checkpointer {
    stop: Arc<Stop>,
    /// Taken by the first call of `stop`, which joins the thread.
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Signals the thread to end.
#[derive(Default)]
struct Stop {
    /// Locked by the thread between two checkpoints, and never during one.
    is_requested: Mutex<bool>,
    /// Notified after `is_requested` was set.
    requested: Condvar,
}

impl Checkpointer {
    /// Starts the thread of a store.
    pub(super) fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let requested = stop.clone();
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || Worker { slot: shared.slot(), growth: Growth::default(), shared }.run(&requested))?;
        Ok(Self { stop, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the thread after it has moved the rest of the log.
    pub(super) fn stop(&self) {
        *self.stop.is_requested.lock() = true;
        self.stop.requested.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // An error means that the thread has panicked; the log is then moved at the next start.
            drop(thread.join());
        }
    }
}

struct Worker {
    slot: Slot,
    shared: Arc<Shared>,
    growth: Growth,
}

impl Worker {
    fn run(mut self, stop: &Stop) {
        loop {
            let pause = self.move_log();
            let mut is_requested = stop.is_requested.lock();
            // Checked under the lock, which waiting releases: a request that comes in between is not missed.
            if !*is_requested {
                let _ = stop.requested.wait_for(&mut is_requested, pause);
            }
            if *is_requested {
                break;
            }
        }
        // After the last unit of work: nothing is added to the log any more.
        self.with_connection(empty);
        *self.slot.lock() = None;
    }

    /// Moves the log if it is long. Returns the pause until the next call.
    fn move_log(&mut self) -> Duration {
        if self.shared.log_pages.load(Ordering::Acquire) < LOG_PAGES_MAX {
            return LOOK_EVERY;
        }
        let moved = self.with_connection(catch_up);
        if let Some(moved) = moved {
            if moved.rest() <= REST_PAGES_MAX {
                // Reset, so that an idle server does not checkpoint again and again. The writer's next commit counts again.
                self.shared.log_pages.store(0, Ordering::Release);
                self.shared.finish_checkpoint.store(true, Ordering::Release);
            }
            // Otherwise a reader uses the log, or commits are faster than checkpoints: the next call tries again.
            self.growth.note(&self.shared, moved.moved, moved.rest() > REST_PAGES_MAX);
        }
        if self.growth.is_held_back() { RETRY_EVERY } else { MOVE_EVERY }
    }

    /// Runs `work` on the connection; opens one if there is none. After an error the connection is closed, and the next call
    /// opens another one.
    fn with_connection<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Option<T> {
        // Held during the work: a writer that distrusts the file waits for it before it closes all connections.
        let mut slot = self.slot.lock();
        let db = match &mut *slot {
            Some(db) => db,
            None => slot.insert(open(&self.shared.path, Role::Checkpointer).ok()?),
        };
        let done = work(db);
        if let Err(error) = &done {
            tracing::warn!(%error, "failed to move the write-ahead log into the database file; retrying");
            *slot = None;
        }
        done.ok()
    }
}

/// Progress of a checkpoint, in pages.
#[derive(Clone, Copy)]
struct Moved {
    /// Pages in the log.
    log: i64,
    /// Pages of these that are in the file.
    moved: i64,
}

impl Moved {
    fn rest(self) -> i64 {
        self.log - self.moved
    }
}

/// Moves the whole log and truncates it, so that the database file alone contains everything.
fn empty(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Moves the log in up to 4 checkpoints, until at most 1 MiB is left.
fn catch_up(db: &Connection) -> rusqlite::Result<Moved> {
    let mut moved = Moved { log: i64::MAX, moved: 0 };
    for _ in 0..ROUNDS_MAX {
        moved = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok(Moved { log: row.get(1)?, moved: row.get(2)? })
        })?;
        if moved.rest() <= REST_PAGES_MAX {
            break;
        }
    }
    Ok(moved)
}
