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
    /// Finds the lectures.
    pub reader: Arc<dyn Reader>,
    /// Decides the steps.
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
                emptied = self.empty_all() => emptied,
            };
            self.metrics.ran(emptied.is_ok());
            if let Err(reason) = emptied {
                tracing::warn!(reason, "failed to cancel applications of a cancelled lecture; retrying in 2 s");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Self::EVERY) => {}
                () = self.waker.0.notified() => {}
            }
        }
    }

    /// Empties all cancelled lectures. One that fails does not keep the others from being emptied.
    ///
    /// # Errors
    /// The first failure.
    async fn empty_all(&self) -> Result<(), String> {
        let lectures = self.reader.lectures_to_empty().await.map_err(|error| error.to_string())?;
        let mut emptied = Ok(());
        for lecture in lectures {
            emptied = emptied.and(self.empty(lecture).await);
        }
        emptied
    }

    async fn empty(&self, lecture: LectureId) -> Result<(), String> {
        loop {
            let began = Instant::now();
            let stepped = self.desk.submit_patiently(CancelApplications { lecture }).await;
            let step = stepped.map_err(|error| error.to_string())?.map_err(|refusal| format!("{refusal:?}"))?;
            if step.left == 0 || step.cancelled == 0 {
                return Ok(());
            }
            // A lecture has many steps, and each shows that the task runs.
            self.metrics.ran(true);
            // Users who read or give back a place wait for the same lane.
            tokio::time::sleep(began.elapsed()).await;
        }
    }
}
