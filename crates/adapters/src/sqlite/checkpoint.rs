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

use super::Shared;
use super::connection::{Role, open};

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
            .spawn(move || Worker { shared, db: None, generation: 0 }.run(&stopped))?;
        Ok(Self { stop, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the thread. Its connection is the last to close: SQLite then moves what is left of the log.
    pub(super) fn stop(&self) {
        let (stopped, wake) = &*self.stop;
        *stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.into_iter().for_each(|thread| drop(thread.join()));
    }
}

struct Worker {
    shared: Arc<Shared>,
    db: Option<Connection>,
    generation: u64,
}

impl Worker {
    fn run(mut self, (stopped, wake): &(Mutex<bool>, Condvar)) {
        let mut stop = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        while !*stop {
            drop(stop);
            self.look();
            stop = stopped.lock().unwrap_or_else(PoisonError::into_inner);
            if !*stop {
                stop = wake.wait_timeout(stop, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    fn look(&mut self) {
        if self.db.is_none() || self.generation != self.shared.generation() {
            self.db = None;
            self.generation = self.shared.generation();
            self.db = open(&self.shared.path, Role::Checkpointer).ok();
        }
        if self.shared.log_pages.load(Ordering::Acquire) < LOG_PAGES_MAX {
            return;
        }
        let Some(db) = &self.db else { return };
        match catch_up(db) {
            Ok(rest) if rest <= REST_PAGES_MAX => self.shared.finish_checkpoint.store(true, Ordering::Release),
            // Somebody reads from the log, or the commits are faster: it is tried again shortly.
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the log could not be moved into the file");
                self.db = None;
            }
        }
    }
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
