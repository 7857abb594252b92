//! Writes a log during a run.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Instant;

use super::file::{standing_of, token_of};
use super::{Asked, Fault, Log, Lost, Opening, Record, Room, millis_of};
use crate::caller::Call;
use crate::{Reply, now_millis};

/// The parts of an answer that the auditor reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer<'a> {
    /// Status code; 0 if there was no answer.
    pub code: u16,
    /// Fields of the contract, as text.
    pub token_id: Option<&'a str>,
    /// `EARLY`, `WAITING`, `ACTIVE` or `EXPIRED`.
    pub status: Option<&'a str>,
    /// Position in line.
    pub position: Option<u64>,
    /// The instant of the position.
    pub as_of: Option<&'a str>,
    /// When the place was handed out.
    pub issued_at: Option<&'a str>,
    /// End of the turn.
    pub active_until: Option<&'a str>,
}

impl Answer<'_> {
    /// The record of this answer.
    pub fn record(
        &self,
        (instance, asked): (u16, Asked),
        (user, shown): (u32, u128),
        (sent, answered): (u64, u64),
    ) -> Record {
        Record {
            instance,
            asked,
            code: self.code,
            user,
            token: self.token_id.map_or(shown, token_of),
            sent,
            answered,
            standing: self.status.and_then(standing_of),
            position: self.position.and_then(|position| u32::try_from(position).ok()).and_then(NonZeroU32::new),
            as_of: self.as_of.and_then(millis_of),
            issued_at: self.issued_at.and_then(millis_of),
            active_until: self.active_until.and_then(millis_of),
        }
    }
}

/// A log that all clients of a run write to.
pub struct Recorder {
    began: Instant,
    log: Mutex<Log>,
}

impl Recorder {
    /// Starts the log of a room.
    pub fn begin(room: Room) -> Self {
        let began = Instant::now();
        Self { began, log: Mutex::new(Log::new(room, now_millis())) }
    }

    /// Microseconds since the log began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Sends a call and records the answer. `shown` is the id of the token that it carries, or empty.
    ///
    /// # Errors
    /// If there is no answer. That is recorded too.
    pub async fn send(&self, what: (u16, Asked), who: (&str, &str), call: Call) -> Result<Reply, String> {
        let sent = self.now();
        let reply = call.try_send().await;
        let answered = self.now();
        let body = reply.as_ref().map(Reply::json).unwrap_or_default();
        let code = reply.as_ref().map_or(0, |reply| reply.status.as_u16());
        let text = |name: &str| body[name].as_str().filter(|_| (200..300).contains(&code));
        // Seats and payments have fields of the same names.
        let is_place = matches!(what.1, Asked::Enter | Asked::Poll);
        let answer = if is_place {
            Answer {
                code,
                token_id: text("tokenId"),
                status: text("status"),
                position: body["position"].as_u64().filter(|_| code < 300),
                as_of: text("asOf"),
                issued_at: text("issuedAt"),
                active_until: text("activeUntil"),
            }
        } else {
            Answer { code, ..Answer::default() }
        };
        let mut log = self.log.lock().unwrap();
        let user = log.user(who.0);
        log.records.push(answer.record(what, (user, token_of(who.1)), (sent, answered)));
        reply
    }

    /// Declares a fault between two moments of [`Recorder::now`].
    pub fn fault(&self, lost: Lost, from: u64, until: u64) {
        self.log.lock().unwrap().faults.push(Fault { lost, from, until });
    }

    /// States when the room opened, and what it published of its draw.
    pub fn opened(&self, opening: Opening) {
        self.log.lock().unwrap().opening = Some(opening);
    }

    /// The log so far.
    pub fn log(&self) -> Log {
        self.log.lock().unwrap().clone()
    }
}
