//! Brings the rows of holds up to date after an extension.
//!
//! An extension adds one row and counts at once, because each read of a hold applies it. This task rewrites the rows of the
//! holds in steps, so that no lock lasts long. Any instance may do it, also after the one that extended has crashed, and
//! two may do it at the same time: a step skips what another instance has rewritten.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_domain::concert;
use onsale_domain::ids::{PerformanceId, ReservationId};
use tokio_util::sync::CancellationToken;

use crate::background::TaskMetrics;
use crate::desk::Desk;
use crate::store::Reader;
use crate::waiting_room::Rooms;

/// Rewrites the rows of extended holds.
#[derive(Clone)]
pub struct Rewriter {
    /// Finds the rows.
    pub reader: Arc<dyn Reader>,
    /// Decides the steps that rewrite rows.
    pub desk: Arc<Desk>,
    /// Notes extensions of this process.
    pub rooms: Arc<Rooms>,
    /// Counts the runs and failures of the task.
    pub metrics: TaskMetrics,
}

impl Rewriter {
    /// How often extensions of other instances are looked for. Until their rows are rewritten, lapsed holds of the
    /// performance are not settled; nothing else depends on it.
    const EVERY: Duration = Duration::from_secs(2);
    /// Seats in one step. A step keeps the lock of the performance for a few milliseconds.
    const SEATS_TOGETHER_MAX: usize = 200;

    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            // A step that is under way at the end is decided as a whole or not at all.
            let rewritten = tokio::select! {
                () = stop.cancelled() => return,
                rewritten = self.rewrite() => rewritten,
            };
            self.metrics.ran(rewritten.is_ok());
            if let Err(reason) = rewritten {
                tracing::warn!(reason, "failed to rewrite extended holds, which count all the same; retrying in 2 s");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Self::EVERY) => {}
                () = self.rooms.holds_extended() => {}
            }
        }
    }

    /// Rewrites the holds of all performances. One that fails does not keep the others from being rewritten.
    ///
    /// # Errors
    /// The first failure.
    async fn rewrite(&self) -> Result<(), String> {
        let unwritten = self.reader.unwritten_extensions().await.map_err(|error| error.to_string())?;
        let mut rewritten = Ok(());
        for (performance, number) in unwritten {
            rewritten = rewritten.and(self.rewrite_holds_of(performance, number).await);
        }
        rewritten
    }

    /// Holds are found by their seats in ascending order. A hold that is taken meanwhile contains the extension, and a hold
    /// that was there before keeps its seats until it is settled. So after the last seat no row lacks the extension.
    async fn rewrite_holds_of(&self, performance: PerformanceId, number: u64) -> Result<(), String> {
        let mut after_seat = 0;
        loop {
            let limit = Self::SEATS_TOGETHER_MAX;
            let found = self.reader.holds_to_rewrite(performance, number, after_seat, limit).await;
            let found = found.map_err(|error| error.to_string())?;
            let is_last = found.len() < limit;
            after_seat = found.last().map_or(after_seat, |(seat, _)| *seat);
            let mut reservations: Vec<ReservationId> = found.into_iter().map(|(_, reservation)| reservation).collect();
            reservations.sort_unstable();
            reservations.dedup();
            let is_lacking = !reservations.is_empty();
            let step = concert::Rewrite { performance, reservations, done_to: is_last.then_some(number) };
            let began = Instant::now();
            let stepped = self.desk.submit_patiently(step).await;
            let rewritten = stepped.map_err(|error| error.to_string())?.map_err(|refusal| format!("{refusal:?}"))?;
            if is_last {
                return Ok(());
            }
            // A performance has many steps, and each shows that the task runs.
            self.metrics.ran(true);
            if is_lacking && rewritten == 0 {
                // Another instance rewrites the same holds at this moment. The next run looks whether it is done.
                return Ok(());
            }
            // Buyers of the performance wait for the same lock.
            tokio::time::sleep(began.elapsed()).await;
        }
    }
}
