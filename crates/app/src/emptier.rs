//! Cancels the applications of cancelled lectures.
//!
//! Cancelling a lecture is one transaction. This task then cancels its applications in steps, so that no lock lasts long. Each
//! step ends applications that the lecture still has, in the transaction that writes their history, so none is cancelled twice.
//! Any instance may do a step, also after the one that cancelled the lecture has crashed, and several may do them in turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_domain::ids::LectureId;
use onsale_domain::lecture::CancelApplications;
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

impl Emptier {
    /// How often lectures that another instance cancelled are looked for.
    const EVERY: Duration = Duration::from_secs(2);

    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            // A step that is under way at the end is decided as a whole or not at all.
            let emptied = tokio::select! {
                () = stop.cancelled() => return,
                emptied = self.empty() => emptied,
            };
            // A large lecture has many steps, and each round shows that the task runs.
            self.metrics.ran(emptied.is_ok());
            match emptied {
                Ok(true) => continue,
                Ok(false) => {}
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

    /// Takes one step of each cancelled lecture that still has applications, so that a large one does not keep the others waiting.
    /// One that fails does not keep the others from being emptied. Returns whether a step follows now.
    ///
    /// # Errors
    /// The first failure.
    async fn empty(&self) -> Result<bool, String> {
        let lectures = self.reader.lectures_to_empty().await.map_err(|error| error.to_string())?;
        let (mut goes_on, mut emptied) = (false, Ok(()));
        for lecture in lectures {
            match self.step(lecture).await {
                Ok(further) => goes_on |= further,
                Err(reason) => emptied = emptied.and(Err(reason)),
            }
        }
        emptied.map(|()| goes_on)
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
