//! Moving the log into the file, off the path of the commits.
//!
//! SQLite begins its log anew once all of it is moved and nobody reads from it. While commits go on, a checkpoint
//! beside them never quite catches up; so this thread moves nearly everything, and then asks the writer, which
//! alone can stand still, to move the rest between two units of work.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::connection::{LOG_PAGES_MAX, Role, open};
use super::growth::Growth;
use super::{Shared, Slot};

/// How often the length of the log is checked while it is short.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often a long log is moved, as far as it can be.
const MOVE_EVERY: Duration = Duration::from_millis(50);

/// How often that is tried while another process holds the log back.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// What may be left for the writer to move: 1 MiB.
const REST_PAGES_MAX: i64 = 256;

/// How often in a row this thread tries to catch up.
const ROUNDS_MAX: usize = 4;

/// The thread that moves the log.
pub(super) struct Checkpointer {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpointer {
    pub(super) fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || Worker { slot: shared.slot(), growth: Growth::default(), shared }.run(&stopped))?;
        Ok(Self { stop, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the thread, once it has moved what is left of the log.
    pub(super) fn stop(&self) {
        let (stopped, wake) = &*self.stop;
        *stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.into_iter().for_each(|thread| drop(thread.join()));
    }
}

struct Worker {
    slot: Slot,
    shared: Arc<Shared>,
    growth: Growth,
}

impl Worker {
    fn run(mut self, (stopped, wake): &(Mutex<bool>, Condvar)) {
        let mut stop = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        while !*stop {
            drop(stop);
            let rest = self.look();
            stop = stopped.lock().unwrap_or_else(PoisonError::into_inner);
            if !*stop {
                stop = wake.wait_timeout(stop, rest).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        drop(stop);
        self.with_connection(empty);
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Moves the log if it is long. Returns how long to rest.
    fn look(&mut self) -> Duration {
        if self.shared.log_pages.load(Ordering::Acquire) < LOG_PAGES_MAX {
            return LOOK_EVERY;
        }
        let moved = self.with_connection(catch_up);
        if let Some(moved) = moved {
            if moved.rest() <= REST_PAGES_MAX {
                // The writer counts again with its next commit. Without this an idle server would go on moving nothing.
                self.shared.log_pages.store(0, Ordering::Release);
                self.shared.finish_checkpoint.store(true, Ordering::Release);
            }
            // Otherwise another process reads from the log, or the commits are faster: it is tried again shortly.
            self.growth.note(&self.shared, moved.moved, moved.rest() > REST_PAGES_MAX);
        }
        if self.growth.is_held_back() { RETRY_EVERY } else { MOVE_EVERY }
    }

    /// Works on the connection, opened where there is none. Where that fails it is closed, and opened the next time.
    fn with_connection<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Option<T> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let db = match &mut *slot {
            Some(db) => db,
            None => slot.insert(open(&self.shared.path, Role::Checkpointer).ok()?),
        };
        let done = work(db);
        if let Err(error) = &done {
            tracing::warn!(%error, "the log could not be moved into the file");
            *slot = None;
        }
        done.ok()
    }
}

/// How far the log was moved, in pages.
#[derive(Clone, Copy)]
struct Moved {
    log: i64,
    moved: i64,
}

impl Moved {
    fn rest(self) -> i64 {
        self.log - self.moved
    }
}

/// Empties the log, so that the file alone holds everything.
fn empty(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Moves what is in the log, again and again until little is left.
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
