//! Cancels the applications of cancelled lectures.
//!
//! Cancelling a lecture is one transaction. This task then cancels its applications in steps, so that no lock lasts long. Each
//! step ends applications that the lecture still has, in the transaction that writes their history, so none is cancelled twice.
//! Any instance may do a step, also after the one that cancelled the lecture has crashed, and several may do them in turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_domain::ids::LectureId;
use onsale_domain::lecture::CancelApplications;
use onsale_domain::time::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::background::TaskMetrics;
use crate::desk::Desk;
use crate::store::Reader;

/// Wakes the task of this process.
#[derive(Clone, Debug, Default)]
pub struct EmptierWaker(Arc<Notify>);

impl EmptierWaker {
    /// Has the task look for cancelled lectures at once.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// Cancels applications of cancelled lectures.
#[derive(Clone)]
pub struct Emptier {
    /// Finds cancelled lectures that still have applications.
    pub reader: Arc<dyn Reader>,
    /// Decides each step in one unit of work.
    pub desk: Arc<Desk>,
    /// Wakes the task when this process cancels a lecture.
    pub waker: EmptierWaker,
    /// Counts the runs and failures of the task.
    pub metrics: TaskMetrics,
}

/// A cancelled lecture takes no application, so one that is empty stays empty. Lectures that were cancelled before `since` are not
/// looked for again, but for once in a while: a standby that took over may lack the last steps.
#[derive(Default)]
struct Looked {
    since: Timestamp,
    /// When all were looked for; `None` if they never were.
    at_all: Option<Instant>,
}

/// What a round of steps found.
struct Round {
    /// Whether a step follows at once.
    goes_on: bool,
    /// Whether there was nothing to do.
    is_idle: bool,
}

impl Looked {
    /// How often all cancelled lectures are looked for.
    const ALL_EVERY: Duration = Duration::from_secs(600);

    /// A cancellation carries the instant of its decision and is visible after its commit. The commit comes at most this much later.
    const COMMITTED_WITHIN_MILLIS: i64 = 60_000;

    /// Reads all cancelled lectures in this round if the last such round was [`Self::ALL_EVERY`] ago.
    fn begin(&mut self) {
        if self.at_all.is_none_or(|at| at.elapsed() >= Self::ALL_EVERY) {
            *self = Self { since: Timestamp::default(), at_all: Some(Instant::now()) };
        }
    }

    /// Notes that no lecture cancelled since `since` had applications, as of this instant.
    fn found_none(&mut self, as_of: Timestamp) {
        self.since = self.since.max(as_of.plus_millis(-Self::COMMITTED_WITHIN_MILLIS));
    }
}

impl Emptier {
    /// How often lectures that another instance cancelled are looked for.
    const EVERY: Duration = Duration::from_secs(2);

    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut looked = Looked::default();
        loop {
            looked.begin();
            // Before the query: a lecture that is cancelled meanwhile is looked for again.
            let as_of = self.reader.now();
            // A step that is under way at the end is decided as a whole or not at all.
            let emptied = tokio::select! {
                () = stop.cancelled() => return,
                emptied = self.empty(looked.since) => emptied,
            };
            // A large lecture has many steps, and each round shows that the task runs.
            self.metrics.ran(emptied.is_ok());
            match emptied {
                Ok(Round { goes_on: true, .. }) => continue,
                Ok(Round { is_idle: true, .. }) => looked.found_none(as_of),
                Ok(Round { .. }) => {}
                Err(reason) => {
                    tracing::warn!(reason, "failed to cancel applications of a cancelled lecture; retrying in 2 s");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Self::EVERY) => {}
                () = self.waker.0.notified() => {}
            }
        }
    }

    /// Takes one step of each lecture that was cancelled since an instant and still has applications, so that a large one does not
    /// keep the others waiting. One that fails does not keep the others from being emptied.
    ///
    /// # Errors
    /// The first failure.
    async fn empty(&self, since: Timestamp) -> Result<Round, String> {
        let lectures = self.reader.lectures_to_empty(since).await.map_err(|error| error.to_string())?;
        let (mut goes_on, mut emptied, is_idle) = (false, Ok(()), lectures.is_empty());
        for lecture in lectures {
            match self.step(lecture).await {
                Ok(further) => goes_on |= further,
                Err(reason) => emptied = emptied.and(Err(reason)),
            }
        }
        emptied.map(|()| Round { goes_on, is_idle })
    }

    /// Takes a step, and rests as long as it took: users who read or give back a place wait for the same lane. Returns whether a
    /// step follows now.
    async fn step(&self, lecture: LectureId) -> Result<bool, String> {
        let began = Instant::now();
        let stepped = self.desk.submit_patiently(CancelApplications { lecture }).await;
        let step = stepped.map_err(|error| error.to_string())?.map_err(|refusal| format!("{refusal:?}"))?;
        // A step that ended nothing found nothing to end. The next run looks whether that is still so.
        if step.left == 0 || step.cancelled == 0 {
            return Ok(false);
        }
        tokio::time::sleep(began.elapsed()).await;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lectures_are_looked_for_from_a_minute_before_a_round_that_found_none() {
        let mut looked = Looked::default();
        looked.begin();
        assert_eq!(looked.since, Timestamp::default(), "all, at first");
        let at = Timestamp::from_millis(1_700_000_000_000);
        looked.found_none(at);
        looked.begin();
        assert_eq!(looked.since, at.plus_millis(-60_000));
        // The clock of another server may be behind.
        looked.found_none(at.plus_millis(-5_000));
        assert_eq!(looked.since, at.plus_millis(-60_000));
        looked.at_all = None;
        looked.begin();
        assert_eq!(looked.since, Timestamp::default(), "all again");
    }
}
