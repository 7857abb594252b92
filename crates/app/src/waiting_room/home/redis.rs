//! Places handed out by Redis: users who enter one room at the same time share one script call.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use onsale_domain::Refusal;
use onsale_domain::ids::{ConcertId, UserId};
use onsale_domain::waiting_room::{self as rules, Enter, Pass, Room, Step, Token};
use parking_lot::RwLock;
use tokio::sync::mpsc;

use super::freshness::Freshness;
use super::opening::Opener;
use super::queue::{RoomQueue, Waiting};
use super::{Home, PlaceMemory};
use crate::desk::{Desk, Failure, Outcome};
use crate::store::StoreError;
use crate::waiting_room::{LiveRoom, Rooms};

/// The most users that wait to enter one room. Beyond that an entry fails with [`Failure::Overloaded`].
const WAITING_MAX: usize = 16_384;

/// How long an entry waits to be admitted at once, if turns are free.
const ADMITTED_WITHIN: Duration = Duration::from_millis(200);

/// An entry is judged by a snapshot of the sale that is at most this old, in milliseconds.
const SNAPSHOT_MILLIS_MAX: i64 = 250;

/// How long an entry waits for a newer snapshot.
const REFRESHED_WITHIN: Duration = Duration::from_millis(500);

/// After a refresh that failed, entries go on by the last snapshot for this long.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How often an entry asks Redis again because the place that it got is over. Other instances may replace it meanwhile.
const ATTEMPTS_MAX: usize = 4;

/// The home of rooms whose places Redis hands out.
pub struct RedisHome {
    memory: Arc<dyn PlaceMemory>,
    desk: Arc<Desk>,
    rooms: Arc<Rooms>,
    freshness: Freshness,
    /// The queue of each room that a user has entered. Entries lock it for reading, the first entry of a room for writing.
    queues: RwLock<HashMap<ConcertId, mpsc::Sender<Waiting>>>,
}

impl RedisHome {
    /// The home that hands out places from this memory.
    pub fn new(memory: Arc<dyn PlaceMemory>, desk: Arc<Desk>, rooms: Arc<Rooms>) -> Self {
        rooms.expect_places_from_redis();
        let freshness = Freshness::new(REFRESHED_WITHIN, REST_AFTER_FAILURE);
        Self { memory, desk, rooms, freshness, queues: RwLock::default() }
    }

    /// Admits a new place before its entry is answered, if a turn is free. Near the front the answer includes the changes of
    /// other instances, which may just have admitted or lost a user.
    async fn admit_at_once(&self, room: &Arc<LiveRoom>, token: &Token) -> Result<(), Failure> {
        if room.is_near_front(token.place) {
            self.rooms.refresh().await.map_err(unavailable)?;
        }
        let Some(room) = self.rooms.current(room) else { return Ok(()) };
        let Some(issued) = room.can_be_admitted(token.place, self.rooms.now()) else { return Ok(()) };
        let step = Step { issued, ..Step::of(token.concert) };
        let _ = self.desk.submit_patiently(step).await?;
        self.rooms.refresh().await.map_err(unavailable)
    }

    /// The place that a user has in a room that hands none out, or why it hands none out.
    async fn find_in(&self, room: &Arc<LiveRoom>, user: UserId, refusal: Refusal) -> Result<Outcome<Enter>, Failure> {
        let held = self.memory.find(room.concert(), &user).await.map_err(|_| Failure::Unavailable)?;
        let Some(token) = held.map(|held| held.into_token(room.concert(), user)) else {
            return Ok(Err(refusal));
        };
        let stands = self.rooms.stands(room, &token).await.map_err(unavailable)?;
        Ok(if stands { Ok(rules::Entered { token, is_new: false }) } else { Err(refusal) })
    }

    /// Whether users may enter, and the presale code of the request is right if one is needed, by a snapshot that is at most
    /// 250 ms old while the database answers. The transaction of a hold
    /// refuses users who entered after a close.
    ///
    /// # Errors
    /// The refusal of an entry.
    async fn judge_sale(&self, room: &Arc<LiveRoom>, pass: &Pass) -> Result<(), Refusal> {
        let is_fresh = || {
            let refreshed_at = self.rooms.refreshed_at();
            refreshed_at.is_none_or(|at| at.millis_until(self.rooms.now()) <= SNAPSHOT_MILLIS_MAX)
        };
        let refresh = || {
            let rooms = self.rooms.clone();
            async move { rooms.refresh().await.is_ok() }
        };
        // While the database does not answer, entries go on by the last snapshot.
        self.freshness.wait(is_fresh, refresh).await;
        let room = self.rooms.current(room);
        room.map_or(Ok(()), |room| rules::judge_entry(&room.snapshot().room, pass, self.rooms.now()))
    }

    /// Waits for the place that Redis has or hands out. Returns it with whether it is new.
    async fn ask(&self, room: &Arc<LiveRoom>, user: UserId, replacing: Option<u64>) -> Result<(Token, bool), Failure> {
        let (waiting, answer) = Waiting::new(room.clone(), user, replacing);
        self.queue(room).try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Failure::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Failure::Unavailable,
        })?;
        answer.await.unwrap_or(Err(Failure::Unavailable))
    }

    /// The queue of a room, which starts with the first entry.
    fn queue(&self, room: &LiveRoom) -> mpsc::Sender<Waiting> {
        let concert = room.concert();
        let known = self.queues.read().get(&concert).cloned();
        if let Some(queue) = known.filter(|queue| !queue.is_closed()) {
            return queue;
        }
        let mut queues = self.queues.write();
        // Another entry may have started it since the lock for reading was released.
        if let Some(queue) = queues.get(&concert).filter(|queue| !queue.is_closed()) {
            return queue.clone();
        }
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let opener = Opener::new(room, self.memory.clone(), self.desk.clone(), self.rooms.rivals.clone());
        tokio::spawn(RoomQueue::new(opener, self.memory.clone(), self.rooms.clone()).run(receiver));
        queues.insert(concert, sender.clone());
        sender
    }
}

#[async_trait]
impl Home for RedisHome {
    async fn enter(&self, room: &Arc<LiveRoom>, user: UserId, pass: Pass) -> Result<Outcome<Enter>, Failure> {
        let Room { list, settings, .. } = room.snapshot().room.clone();
        if settings.draw_at.is_some() && list.is_none() {
            // Each entry of a draw is a row before it is answered, so that Redis cannot change the list.
            return self.desk.submit(Enter { concert: room.concert(), user, pass, ended: None }).await;
        }
        if let Some((token, true)) = self.rooms.entry_in(room, &user).await.map_err(unavailable)? {
            return Ok(Ok(rules::Entered { token, is_new: false }));
        }
        if let Err(refusal) = self.judge_sale(room, &pass).await {
            return self.find_in(room, user, refusal).await;
        }
        let mut replacing = None;
        for _ in 0..ATTEMPTS_MAX {
            let (token, is_new) = self.ask(room, user.clone(), replacing).await?;
            if is_new {
                // If that fails or takes too long, the driver admits the place.
                let _ = tokio::time::timeout(ADMITTED_WITHIN, self.admit_at_once(room, &token)).await;
                return Ok(Ok(rules::Entered { token, is_new }));
            }
            if self.rooms.stands(room, &token).await.map_err(unavailable)? {
                return Ok(Ok(rules::Entered { token, is_new }));
            }
            replacing = Some(token.place);
        }
        Err(Failure::Unavailable)
    }

    async fn find(&self, concert: ConcertId, user: &UserId) -> Result<Option<Token>, Failure> {
        let held = self.memory.find(concert, user).await.map_err(|_| Failure::Unavailable)?;
        Ok(held.map(|held| held.into_token(concert, user.clone())))
    }

    async fn forget(&self, token: &Token) {
        if let Err(error) = self.memory.forget(token.concert, &token.user, token.place).await {
            tracing::debug!(concert.id = %token.concert, place = token.place, %error,
                "failed to forget a place that was given up; the next entry of its user replaces it");
        }
    }
}

fn unavailable(_: StoreError) -> Failure {
    Failure::Unavailable
}
