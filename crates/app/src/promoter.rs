//! Gives free places of lectures, and free seats of performances, to users on their waiting lists, if the transaction that freed them
//! did not.
//!
//! A cancellation, a higher capacity or a reopening promotes users in its own transaction, at most
//! [`onsale_domain::lecture::PROMOTED_TOGETHER_MAX`]. This task promotes the rest in steps, so that no lock lasts long, and the
//! users who waited for an opening by the clock. Each step only gives places that are free, in the transaction that writes their
//! history, so none is given twice. Any instance may do a step, also after another one crashed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_domain::ids::{LectureId, PerformanceId};
use onsale_domain::lecture::PromoteWaiting;
use onsale_domain::seat_list::OfferSeats;
use tokio_util::sync::CancellationToken;

use crate::background::TaskMetrics;
use crate::desk::Desk;
use crate::store::Reader;

/// Promotes users of waiting lists.
#[derive(Clone)]
pub struct Promoter {
    /// Finds lectures with free places and a waiting list.
    pub reader: Arc<dyn Reader>,
    /// Decides each step in one unit of work.
    pub desk: Arc<Desk>,
    /// Counts the runs and failures of the task.
    pub metrics: TaskMetrics,
}

impl Promoter {
    /// How often such lectures are looked for: a free place waits less than a second for its user.
    const EVERY: Duration = Duration::from_millis(500);

    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            // A step that is under way at the end is decided as a whole or not at all.
            let promoted = tokio::select! {
                () = stop.cancelled() => return,
                promoted = self.promote() => promoted,
            };
            // A long list has many steps, and each round shows that the task runs.
            self.metrics.ran(promoted.is_ok());
            match promoted {
                Ok(true) => continue,
                Ok(false) => {}
                Err(reason) => {
                    tracing::warn!(reason, "failed to promote users of a waiting list; retrying in 500 ms");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Self::EVERY) => {}
            }
        }
    }

    /// Takes one step of each lecture, so that a long list does not keep the others waiting. One that fails does not keep the
    /// others from their steps. Returns whether a step follows now.
    ///
    /// # Errors
    /// The first failure.
    async fn promote(&self) -> Result<bool, String> {
        let lectures = self.reader.lectures_to_promote(self.reader.now()).await.map_err(|error| error.to_string())?;
        let (mut goes_on, mut promoted) = (false, Ok(()));
        for lecture in lectures {
            match self.step(lecture).await {
                Ok(further) => goes_on |= further,
                Err(reason) => promoted = promoted.and(Err(reason)),
            }
        }
        for performance in self.reader.performances_to_serve(self.reader.now()).await.map_err(|e| e.to_string())? {
            match self.offer(performance).await {
                Ok(further) => goes_on |= further,
                Err(reason) => promoted = promoted.and(Err(reason)),
            }
        }
        promoted.map(|()| goes_on)
    }

    /// Takes a step of the waiting list of a performance, and rests as [`Self::step`] does. Returns whether a step follows now.
    async fn offer(&self, performance: PerformanceId) -> Result<bool, String> {
        let began = Instant::now();
        let stepped = self.desk.submit_patiently(OfferSeats { performance }).await;
        let step = stepped.map_err(|error| error.to_string())?.map_err(|refusal| format!("{refusal:?}"))?;
        if step.done == 0 || !step.goes_on {
            return Ok(false);
        }
        tokio::time::sleep(began.elapsed()).await;
        Ok(true)
    }

    /// Takes a step, and rests as long as it took: users who give back a place wait for the same lane. Returns whether a step
    /// follows now.
    async fn step(&self, lecture: LectureId) -> Result<bool, String> {
        let began = Instant::now();
        let stepped = self.desk.submit_patiently(PromoteWaiting { lecture }).await;
        let step = stepped.map_err(|error| error.to_string())?.map_err(|refusal| format!("{refusal:?}"))?;
        // A step that promoted no user found none. The next run looks whether that is still so.
        if step.promoted == 0 || !step.goes_on {
            return Ok(false);
        }
        tokio::time::sleep(began.elapsed()).await;
        Ok(true)
    }
}
