//! The standing of a token: one call for polls, streams and calls that use a turn.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use onsale_domain::concert::Notice;
use onsale_domain::ids::UserId;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Token;

use super::live::OutdatedAfter;
use super::{LiveRoom, Rooms};
use crate::store::StoreError;

/// If a place lies beyond all that the database has reserved, the room is read again this often, and this many times.
const BEYOND_READ_EVERY: Duration = Duration::from_millis(100);
const BEYOND_READS: u32 = 20;

/// Why the standing is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To show it. The answer may be as old as the last refresh. A sign of life all the same.
    Poll,
    /// To send it in an open event stream. As a poll, but a client that announced to leave has not come back by it alone.
    Stream,
    /// To let a call pass that does not use the turn. A user who was admitted must not be refused, whichever instance
    /// admitted the place.
    Pass,
    /// To let a call pass that uses the turn: from then on silence no longer ends it.
    Use,
}

/// What a client in line gets to know of its wait, in whole seconds. `low <= seconds <= high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The estimate, at least 1.
    pub seconds: u64,
    /// The least wait that is likely.
    pub low: u64,
    /// The longest wait that is likely. Four fifths of all waits end between `low` and this.
    pub high: u64,
}

impl Wait {
    /// The same wait from this many seconds on.
    #[must_use]
    pub(super) fn after(self, seconds: u64) -> Self {
        Self { seconds: self.seconds + seconds, low: self.low + seconds, high: self.high + seconds }
    }
}

/// The standing of a token in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In line before the opening: no place is admitted yet.
    Early {
        /// 1 is the first to be admitted; `None` before the order is known.
        position: Option<u64>,
        /// The wait until the admission, counted from now; `None` before the order is known, and while admission is paused or the sale closed.
        wait: Option<Wait>,
        /// Seconds until the next poll, at least 1.
        poll_after_seconds: u64,
    },
    /// In line.
    Waiting {
        /// 1 is the next to be admitted.
        position: u64,
        /// The wait until the admission; `None` while admission is paused or the sale closed: the end of that is not known.
        wait: Option<Wait>,
        /// Seconds until the next poll, at least 1.
        poll_after_seconds: u64,
    },
    /// Admitted, and the turn runs.
    Active {
        /// The end of the turn, live holds included.
        until: Timestamp,
        /// Until when silence does not end the turn, by what the database knows; `None` once it was used.
        claim_before: Option<Timestamp>,
    },
    /// The turn is over, or the place was given up.
    Expired,
}

/// The standing of a place, as staff see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// In line before the opening, at this position. 1 is the first to be admitted.
    Early(Option<u64>),
    /// In line, at this position. 1 is the next to be admitted.
    Waiting(u64),
    /// Admitted, and the turn runs.
    Active,
    /// The turn is over, or the place was given up.
    Expired,
}

/// The standing of a token, with what its client gets to know of the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// In line, admitted or over.
    pub standing: Standing,
    /// The instant of the snapshot that the standing was read from.
    pub as_of: Timestamp,
    /// Whether nothing is left in the concert and no hold can come back.
    pub is_sold_out: bool,
    /// Whether admission is paused.
    pub is_paused: bool,
    /// Whether the sale is closed now: by an organiser, or because its end is reached.
    pub is_closed: bool,
    /// When the sale opens or has opened, if that is set.
    pub opens_at: Option<Timestamp>,
    /// When the list of a draw closes or has closed, if places are drawn.
    pub draw_at: Option<Timestamp>,
    /// When the sale closes or has closed, if that is set.
    pub closes_at: Option<Timestamp>,
    /// The text that buyers read, if there is one. Shared by all polls of the room.
    pub notice: Option<Arc<Notice>>,
}

/// For which instants a standing is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instants {
    pub(super) now: Timestamp,
    /// Everything that was committed until then is known: now if no other process changes the rooms.
    pub(super) as_of: Timestamp,
    /// Whether another instance may have changed the standing since then, so that a refresh may be due.
    pub(super) may_be_outdated: bool,
}

impl Rooms {
    /// The standing of a token in its room; `None` if the room no longer exists.
    ///
    /// A poll is answered from memory: two loads of the snapshot, one computation of the position, no lock and no I/O. The
    /// database is read first only if another instance may have changed a standing on which the call depends.
    ///
    /// # Errors
    /// `StoreError` if the answer depends on the database and it cannot be read.
    pub async fn placement(
        &self,
        room: &Arc<LiveRoom>,
        token: &Token,
        purpose: Purpose,
    ) -> Result<Option<Placement>, StoreError> {
        self.leavings.note(token, purpose, self.now());
        // A reload of all rooms replaces their values. Nothing updates the old ones.
        let reloaded = if self.is_current(room) { None } else { Some(self.get(token.concert)) };
        let room = match &reloaded {
            None => room,
            Some(Some(room)) => room,
            Some(None) => return Ok(None),
        };
        // Read before the standing. A refresh in between that brings the place would otherwise make it look known, while the
        // standing is still that of an unknown place: expired.
        let was_beyond = room.is_beyond(token.place);
        let (known, was_beyond) = match room.placement(token, purpose, self.instants(true)) {
            Ok(placement) => (Some(placement), was_beyond),
            Err(OutdatedAfter(pause)) => {
                let arrived = Instant::now();
                // The pause gathers callers. A refresh that began since they arrived answers all of them.
                tokio::time::sleep(pause).await;
                self.refresh_since(arrived).await?;
                let was_beyond = self.is_beyond(token);
                (self.known_placement(token, purpose), was_beyond)
            }
        };
        // After the refresh, because it may show that the database was set back.
        if was_beyond && known.as_ref().is_some_and(|known| known.standing == Standing::Expired) {
            self.wait_for_place(token).await?;
            return Ok(self.known_placement(token, purpose));
        }
        Ok(known)
    }

    /// The standing of a place, for staff: as of the last refresh, and no sign of life. `None` if the room is not in memory.
    pub fn look(&self, token: &Token) -> Option<Look> {
        let room = self.get(token.concert)?;
        let now = self.reader.now();
        let snapshot = room.snapshot();
        Some(match snapshot.line.position(room.resolved(token.clone()).place) {
            Some(position) if snapshot.room.is_early() => {
                Look::Early(Some(position).filter(|_| snapshot.room.is_order_known()))
            }
            Some(position) => Look::Waiting(position),
            None if room.is_waiting(token) => Look::Early(None),
            None if room.stands(token, now) => Look::Active,
            None => Look::Expired,
        })
    }

    /// The standing as of the last refresh, which may have reloaded the room; `None` if the room no longer exists.
    fn known_placement(&self, token: &Token, purpose: Purpose) -> Option<Placement> {
        self.get(token.concert)?.placement(token, purpose, self.instants(false)).ok()
    }

    /// Whether the place lies beyond all that the database has reserved, as of the last refresh.
    fn is_beyond(&self, token: &Token) -> bool {
        self.get(token.concert).is_some_and(|room| room.is_beyond(token.place))
    }

    /// Read before the snapshot, so that the snapshot is as of this instant or of a later change of the room.
    fn instants(&self, may_be_outdated: bool) -> Instants {
        let now = self.reader.now();
        match self.refreshed_at() {
            Some(as_of) => Instants { now, as_of, may_be_outdated },
            None => Instants { now, as_of: now, may_be_outdated: false },
        }
    }

    /// A token is signed, so its place was handed out. If the place lies beyond all that the database has reserved, either
    /// another instance reserved it since the last refresh, or the database was set back and the room is about to be opened
    /// anew behind that place. Until then the token must not be called expired.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the room was not opened anew within 2 s.
    async fn wait_for_place(&self, token: &Token) -> Result<(), StoreError> {
        self.refresh().await?;
        // Relaxed: set once, before the first request.
        if !self.are_places_from_redis.load(Ordering::Relaxed) {
            return Ok(());
        }
        let room = self.get(token.concert).filter(|room| room.is_beyond(token.place));
        let Some(room) = room else { return Ok(()) };
        room.handed_out.show_beyond(token.place);
        for _ in 0..BEYOND_READS {
            tokio::time::sleep(BEYOND_READ_EVERY).await;
            self.refresh().await?;
            if !self.is_beyond(token) {
                return Ok(());
            }
        }
        Err(StoreError::Unavailable("the database is older than a place in line".to_owned()))
    }

    /// The entry of a user in the closed list of a room, with whether its place is in line or its turn runs. Reads the database.
    ///
    /// # Errors
    /// `StoreError` if the database cannot be read.
    pub(super) async fn entry_in(
        &self,
        room: &Arc<LiveRoom>,
        user: &UserId,
    ) -> Result<Option<(Token, bool)>, StoreError> {
        let Some(list) = room.snapshot().room.list else { return Ok(None) };
        let Some(token) = self.reader.draw_entry_of(room.concert(), user, list).await? else { return Ok(None) };
        let stands = self.stands(room, &token).await?;
        Ok(Some((token, stands)))
    }

    /// The token of a user's place, if it is in line or its turn runs, with the number that its text carries: an entry of a draw keeps
    /// its entry number after its place was admitted. No sign of life. Reads the database if the list of the room is closed.
    ///
    /// # Errors
    /// `StoreError` if the database cannot be read and the answer depends on it.
    pub async fn standing_token(&self, known: Token) -> Result<Option<Token>, StoreError> {
        let Some(room) = self.get(known.concert) else { return Ok(None) };
        if let Some((entry, true)) = self.entry_in(&room, &known.user).await? {
            return Ok(Some(entry));
        }
        Ok(self.stands(&room, &known).await?.then_some(known))
    }

    /// Whether a place is in line, or its turn runs. The changes of other instances are read before the answer is no.
    ///
    /// # Errors
    /// `StoreError` if the database cannot be read and the answer depends on it.
    pub(super) async fn stands(&self, room: &Arc<LiveRoom>, token: &Token) -> Result<bool, StoreError> {
        if room.is_waiting(token) {
            return Ok(true);
        }
        self.refresh().await?;
        Ok(self.get(token.concert).is_some_and(|room| room.stands(token, self.reader.now())))
    }
}
