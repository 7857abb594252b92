//! The ended sessions of users, in memory. Each request with a session is checked against them, so a check reads no database.
//!
//! They are read four times a second: a session that was ended by any instance ends here within one second. While the database
//! does not answer, the last ones count. Then no other instance can store an end either.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use onsale_domain::ids::UserSessionId;
use onsale_domain::session::EndedSession;
use onsale_domain::time::Timestamp;
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use crate::background::TaskMetrics;
use crate::store::{Reader, StoreError};

/// The time from one read to the next.
const READ_EVERY: Duration = Duration::from_millis(250);

/// A read that takes longer has failed.
const READ_WITHIN: Duration = Duration::from_millis(800);

/// The most ends that one query returns. If there are more, the next query follows at once.
const READ_TOGETHER: usize = 10_000;

/// The last end that was read: its number, and its session.
type Last = Option<(u64, UserSessionId)>;

/// The sessions that ended and whose cookies could still be valid.
pub struct SessionEnds {
    reader: Arc<dyn Reader>,
    /// Each session with the instant from which its end may be forgotten. Held for one lookup, or to add what was read.
    ended: RwLock<HashMap<UserSessionId, Timestamp>>,
    /// Held during a read, so that one read runs at a time.
    last: tokio::sync::Mutex<Last>,
}

impl SessionEnds {
    /// Reads all ended sessions.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub async fn load(reader: Arc<dyn Reader>) -> Result<Self, StoreError> {
        let ends = Self { reader, ended: RwLock::default(), last: tokio::sync::Mutex::new(None) };
        ends.read().await?;
        Ok(ends)
    }

    /// Whether a session has ended, as far as this process knows. Reads memory only.
    pub fn has_ended(&self, session: UserSessionId) -> bool {
        self.ended.read().contains_key(&session)
    }

    /// Adds an end that this process has just stored, so that it counts here at once.
    pub fn note(&self, ended: &EndedSession) {
        self.ended.write().insert(ended.id, ended.kept_until);
    }

    /// The database's time now. Costs no query.
    pub fn now(&self) -> Timestamp {
        self.reader.now()
    }

    /// Reads the ends since the last read.
    async fn read(&self) -> Result<(), StoreError> {
        let mut last = self.last.lock().await;
        loop {
            let from = last.map_or(0, |(number, _)| number);
            let found = self.reader.ended_sessions(from, READ_TOGETHER).await?;
            let first = found.first().map(|(number, ended)| (*number, ended.id));
            // The last row that was read is missing: an older state of the database was restored, or the row was over and deleted.
            if last.is_some() && first != *last {
                *last = None;
                continue;
            }
            let is_all = found.len() < READ_TOGETHER;
            // The first row of each further read is known already.
            if found.len() > usize::from(last.is_some()) {
                self.add(&found);
            }
            *last = found.last().map(|(number, ended)| (*number, ended.id)).or(*last);
            if is_all {
                return Ok(());
            }
        }
    }

    /// Adds ends that were read, and forgets those that may be forgotten.
    fn add(&self, found: &[(u64, EndedSession)]) {
        let now = self.reader.now();
        let mut ended = self.ended.write();
        ended.extend(found.iter().map(|(_, ended)| (ended.id, ended.kept_until)));
        ended.retain(|_, kept_until| *kept_until > now);
    }

    /// Reads the ends until stopped.
    pub async fn run(self: Arc<Self>, metrics: TaskMetrics, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(READ_EVERY) => {}
            }
            let late = |_| StoreError::Unavailable("the ended sessions could not be read within 800 ms".to_owned());
            let read = tokio::time::timeout(READ_WITHIN, self.read()).await.map_err(late).flatten();
            metrics.ran(read.is_ok());
            if let Err(error) = read {
                tracing::warn!(%error, "failed to read the ended sessions of users; retrying in 250 ms");
            }
        }
    }
}
