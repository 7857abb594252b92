//! Clients that announced to leave: their places and turns are given up after a grace, unless they come back.
//!
//! A client comes back by any call with its token, at any instance, or by an event stream that is open when the grace ends.
//! Instances share announcements by a table ([`LeaveBoard`]). Each keeps them in memory, so that a poll does no I/O: it reads one
//! number, and while a client leaves it takes a lock for one lookup. If instances die, another one gives the place up; if all die
//! with announcements in memory alone, the places stay.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use onsale_domain::ids::TokenId;
use onsale_domain::leaving::Leave;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Token;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::Rooms;
use super::home::Home;
use super::standing::Purpose;
use crate::background::TaskMetrics;
use crate::desk::Desk;
use crate::store::{LeaveBoard, Leaving, StoreError};

/// How often the task runs.
const VISIT_EVERY: Duration = Duration::from_millis(250);

/// How often the announcements of other instances are read, in visits.
const READ_EVERY_VISITS: u32 = 2;

/// With several instances a place is given up this much after the end of its grace, in milliseconds: until then the instance
/// to which its client came back has read the announcement, and withdraws it.
const SHARED_MARGIN_MILLIS: i64 = 1_500;

/// An event stream counts if its place was read within this time before the end of the grace, in milliseconds. A page that is
/// closed takes its stream along, but a server may notice that a second later.
const STREAMED_WITHIN_MILLIS: i64 = 1_000;

/// A shorter grace has no time without a stream: one that is read in this last part of it counts.
const STREAMED_PART: i64 = 2;

/// What this process knows of a client that left.
#[derive(Debug)]
struct Known {
    leaving: Leaving,
    has_returned: bool,
}

impl Known {
    /// The instant from which an open event stream keeps the place.
    fn stream_counts_from(&self) -> Timestamp {
        let Leaving { asked_at, leaves_at, .. } = &self.leaving;
        let last = (asked_at.millis_until(*leaves_at) / STREAMED_PART).min(STREAMED_WITHIN_MILLIS);
        leaves_at.plus_millis(-last)
    }
}

/// The clients that left, as this process knows them.
#[derive(Debug, Default)]
pub(super) struct Leavings {
    /// The number of entries of `by_token`. Polls read it alone while no client leaves.
    count: AtomicUsize,
    /// Held for one map operation, or one pass over the entries. No other lock is taken meanwhile.
    by_token: Mutex<HashMap<TokenId, Known>>,
}

impl Leavings {
    /// Notes a call with a token, or a read of its event stream.
    pub(super) fn note(&self, token: &Token, purpose: Purpose, now: Timestamp) {
        // Relaxed: an announcement that is stored while this call runs may be missed. Its client sent both at once.
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        if let Some(known) = self.by_token.lock().get_mut(&token.id) {
            known.has_returned |= purpose != Purpose::Stream || known.stream_counts_from() <= now;
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashMap<TokenId, Known>) -> T) -> T {
        let mut by_token = self.by_token.lock();
        let changed = change(&mut by_token);
        self.count.store(by_token.len(), Ordering::Relaxed);
        changed
    }

    /// A client announces to leave. A later announcement replaces an earlier one.
    fn announce(&self, leaving: Leaving) {
        self.change(|known| known.insert(leaving.token.id, Known { leaving, has_returned: false }));
    }

    /// Adds the announcements of other instances, and drops those that other instances took or withdrew. `has_returned` is called
    /// for each that is new here.
    fn merge(&self, announced: Vec<Leaving>, read_at: Timestamp, has_returned: impl Fn(&Leaving) -> bool) {
        self.change(|known| {
            let mut before = std::mem::take(known);
            for leaving in announced {
                let of_before =
                    before.remove(&leaving.token.id).filter(|before| leaving.asked_at <= before.leaving.asked_at);
                let entry = of_before.unwrap_or_else(|| Known { has_returned: has_returned(&leaving), leaving });
                known.insert(entry.leaving.token.id, entry);
            }
            // Announced here while the others were read.
            known.extend(before.into_iter().filter(|(_, before)| read_at <= before.leaving.asked_at));
        });
    }

    /// The tokens whose clients came back. They are dropped by [`Self::drop_all`] once that is stored.
    fn returned(&self) -> Vec<TokenId> {
        let known = self.by_token.lock();
        known.iter().filter(|(_, known)| known.has_returned).map(|(token, _)| *token).collect()
    }

    fn drop_all(&self, tokens: &[TokenId]) {
        self.change(|known| known.retain(|token, entry| !(entry.has_returned && tokens.contains(token))));
    }

    /// Takes the announcements that end at this instant or before, without those whose client came back.
    fn take_due(&self, at: Timestamp) -> Vec<Leaving> {
        self.change(|known| {
            let due: Vec<TokenId> =
                known.iter().filter(|(_, known)| known.leaving.leaves_at <= at).map(|(token, _)| *token).collect();
            let due = due.into_iter().filter_map(|token| known.remove(&token));
            due.filter(|known| !known.has_returned).map(|known| known.leaving).collect()
        })
    }

    /// Whether a client came back at this process. Forgets the announcement.
    fn take_returned(&self, token: TokenId) -> bool {
        self.change(|known| known.remove(&token)).is_some_and(|known| known.has_returned)
    }
}

impl Rooms {
    /// A client announces to leave: its place or turn is given up after the grace, in seconds, unless it comes back.
    ///
    /// # Errors
    /// `StoreError` if other instances cannot be told.
    pub async fn announce_leave(
        &self,
        board: Option<&dyn LeaveBoard>,
        token: Token,
        grace_seconds: u32,
    ) -> Result<(), StoreError> {
        let asked_at = self.now();
        let leaving = Leaving { token, asked_at, leaves_at: asked_at.plus_seconds(grace_seconds) };
        // In memory first: a call that comes while the announcement is written counts.
        self.leavings.announce(leaving.clone());
        match board {
            Some(board) => board.announce(&leaving).await,
            None => Ok(()),
        }
    }
}

/// Gives up the places and turns of clients that left and did not come back.
#[derive(Clone)]
pub struct Leaver {
    /// The rooms of the tokens.
    pub rooms: Arc<Rooms>,
    /// The desk that decides.
    pub desk: Arc<Desk>,
    /// Forgets the places.
    pub home: Arc<dyn Home>,
    /// Shared with other instances; `None` if this database has one process.
    pub board: Option<Arc<dyn LeaveBoard>>,
    /// Counts runs and failures.
    pub metrics: TaskMetrics,
}

impl Leaver {
    /// Runs until stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut interval = tokio::time::interval(VISIT_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut visits = 0_u32;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = interval.tick() => {}
            }
            visits = visits.wrapping_add(1);
            let visited = match &self.board {
                None => self.give_up_own().await,
                Some(_) if visits % READ_EVERY_VISITS != 0 => continue,
                Some(board) => self.give_up_shared(&**board).await,
            };
            if let Err(error) = &visited {
                tracing::warn!(%error, "failed to give up places of clients that left; retrying in 500 ms");
            }
            self.metrics.ran(visited.is_ok());
        }
    }

    async fn give_up_own(&self) -> Result<(), StoreError> {
        self.rooms.leavings.drop_all(&self.rooms.leavings.returned());
        for leaving in self.rooms.leavings.take_due(self.rooms.now()) {
            self.give_up(leaving).await;
        }
        Ok(())
    }

    async fn give_up_shared(&self, board: &dyn LeaveBoard) -> Result<(), StoreError> {
        let (rooms, leavings) = (&self.rooms, &self.rooms.leavings);
        let returned = leavings.returned();
        if !returned.is_empty() {
            board.withdraw(&returned).await?;
            leavings.drop_all(&returned);
        }
        let read_at = rooms.now();
        let was_called = |leaving: &Leaving| {
            let room = rooms.get(leaving.token.concert);
            room.is_some_and(|room| room.was_called_after(&leaving.token, leaving.asked_at))
        };
        leavings.merge(board.announced().await?, read_at, was_called);
        // Withdrawn with the next visit, before any of them is due.
        let due = rooms.now().plus_millis(-SHARED_MARGIN_MILLIS);
        for leaving in board.take_due(due).await? {
            if !leavings.take_returned(leaving.token.id) {
                self.give_up(leaving).await;
            }
        }
        Ok(())
    }

    /// As a client that leaves at once. A failure keeps the place: its user is not known to be gone for good.
    async fn give_up(&self, leaving: Leaving) {
        let Ok(Some(room)) = self.rooms.find(leaving.token.concert).await else { return };
        let token = room.resolved(leaving.token);
        match self.desk.submit_patiently(Leave(token.clone())).await {
            Ok(Ok(())) => self.home.forget(&token).await,
            Ok(Err(_)) => {}
            Err(error) => tracing::warn!(concert.id = %token.concert, place = token.place, %error,
                "failed to give up the place of a client that left; it stays until it lapses"),
        }
    }
}
