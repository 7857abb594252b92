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

use super::connection::{Role, open};
use super::{Shared, Slot};

/// How often the length of the log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A log this long is moved: 16 MiB of 4 KiB pages.
const LOG_PAGES_MAX: u64 = 4_096;

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
            .spawn(move || Worker { slot: shared.slot(), shared }.run(&stopped))?;
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
}

impl Worker {
    fn run(self, (stopped, wake): &(Mutex<bool>, Condvar)) {
        let mut stop = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        while !*stop {
            drop(stop);
            if self.shared.log_pages.load(Ordering::Acquire) >= LOG_PAGES_MAX {
                self.with_connection(|db| self.shorten(db));
            }
            stop = stopped.lock().unwrap_or_else(PoisonError::into_inner);
            if !*stop {
                stop = wake.wait_timeout(stop, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        drop(stop);
        self.with_connection(empty);
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Works on the connection, opened where there is none. Where that fails it is closed, and opened the next time.
    fn with_connection(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<()>) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let db = match &mut *slot {
            Some(db) => db,
            None => match open(&self.shared.path, Role::Checkpointer) {
                Ok(db) => slot.insert(db),
                Err(_) => return,
            },
        };
        if let Err(error) = work(db) {
            tracing::warn!(%error, "the log could not be moved into the file");
            *slot = None;
        }
    }

    fn shorten(&self, db: &Connection) -> rusqlite::Result<()> {
        // Else somebody reads from the log, or the commits are faster: it is tried again shortly.
        if catch_up(db)? <= REST_PAGES_MAX {
            self.shared.finish_checkpoint.store(true, Ordering::Release);
        }
        Ok(())
    }
}

/// Empties the log, so that the file alone holds everything.
fn empty(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Moves what is in the log, again and again until little is left. Returns how many pages are.
fn catch_up(db: &Connection) -> rusqlite::Result<i64> {
    let mut rest = i64::MAX;
    for _ in 0..ROUNDS_MAX {
        let (log, moved): (i64, i64) =
            db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))?;
        rest = log - moved;
        if rest <= REST_PAGES_MAX {
            break;
        }
    }
    Ok(rest)
}
