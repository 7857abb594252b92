//! Places in line from Redis: one small hash for a room, and its users in buckets, all in one slot of a cluster.
//!
//! Every decision is one script (`scripts/`). Each script also checks that the server is still in the run (run id and
//! replication id) that the room was opened for. So a restart, lost data or a replica that took over is noticed in
//! the same atomic step that would have handed out a place.

mod codec;
mod connection;
mod examine;
mod url;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use onsale_app::conditions::Reason;
use onsale_app::waiting_room::home::{
    BlockUse, Entered, Entrant, Given, Held, MemoryError, PlaceMemory, State, Trouble,
};
use onsale_domain::ids::{ConcertId, UserId};
use onsale_domain::waiting_room::{Memory, Token};
use parking_lot::Mutex;
use redis::{Script, ScriptInvocation, Value};

pub use url::RedisUrl;

use codec::{bucket, buckets, held_from_bytes, held_to_bytes, memory, number, room_key};
use connection::Connection;
use examine::FULL_SHARE;

/// The most keys of a room that one script deletes.
const DELETED_AT_ONCE: usize = 1_024;

/// The scripts. Each is hashed once, so that calls send the hash (EVALSHA).
struct Scripts {
    enter: Script,
    state: Script,
    open: Script,
    extend: Script,
    find: Script,
    forget: Script,
    restore: Script,
    retire: Script,
    probe: Script,
}

/// Hands out places in line from Redis.
pub struct RedisPlaces {
    connection: Connection,
    scripts: Scripts,
    /// The eviction policy may drop places, so entries also check the used memory. `Relaxed` everywhere: it is a setting
    /// that guards no other data, and an entry that misses a change of it is covered by the next check.
    may_evict: AtomicBool,
    /// When and why an entry was last refused. Memory that is nearly full refuses some calls and takes others, so the
    /// periodic check alone could miss it. Held for one assignment or copy.
    refused: Mutex<Option<(Instant, String)>>,
}

impl RedisPlaces {
    /// Connects at the first call, and again after every fault.
    pub fn new(url: &RedisUrl) -> Self {
        let scripts = Scripts {
            enter: Script::new(include_str!("scripts/enter.lua")),
            state: Script::new(include_str!("scripts/state.lua")),
            open: Script::new(include_str!("scripts/open.lua")),
            extend: Script::new(include_str!("scripts/extend.lua")),
            find: Script::new(include_str!("scripts/find.lua")),
            forget: Script::new(include_str!("scripts/forget.lua")),
            restore: Script::new(include_str!("scripts/restore.lua")),
            retire: Script::new(include_str!("scripts/retire.lua")),
            probe: Script::new(include_str!("scripts/probe.lua")),
        };
        Self { connection: Connection::new(url), scripts, may_evict: AtomicBool::new(false), refused: Mutex::default() }
    }

    fn guard_against_eviction(&self, may_evict: bool) {
        self.may_evict.store(may_evict, Ordering::Relaxed);
    }

    async fn read_state(&self, concert: ConcertId, to_write: bool) -> Result<State, MemoryError> {
        let mut call = self.scripts.state.prepare_invoke();
        call.key(room_key(concert)).arg(u8::from(to_write));
        let Value::Array(answer) = self.run(&call).await? else { return Err(broken("a state")) };
        let [run, epoch, issued, end, after, to, last, passed] = answer.as_slice() else {
            return Err(broken("a state"));
        };
        Ok(State {
            memory: memory(run)?,
            epoch: number(epoch)?,
            last_epoch: number(last)?,
            block_use: BlockUse { issued: number(issued)?, block_end: number(end)? },
            missing: (number(after)?, number(to)?),
            passed: (number(passed)?, number(to)?),
        })
    }

    async fn run(&self, call: &ScriptInvocation<'_>) -> Result<Value, MemoryError> {
        self.connection.run(call).await.map_err(|error| MemoryError::Away(error.to_string()))
    }
}

/// The error for an answer that does not have the form that the scripts document.
fn broken(what: &str) -> MemoryError {
    MemoryError::Away(format!("Redis returned an unexpected answer for {what}"))
}

/// Returns `NotOpen` unless the script returned 1.
fn expect_open(answer: &Value) -> Result<(), MemoryError> {
    match answer {
        Value::Int(1) => Ok(()),
        _ => Err(MemoryError::NotOpen),
    }
}

#[async_trait]
impl PlaceMemory for RedisPlaces {
    async fn examine(&self) -> Vec<(Trouble, Reason)> {
        self.find_troubles().await
    }

    async fn state(&self, concert: ConcertId) -> Result<State, MemoryError> {
        self.read_state(concert, false).await
    }

    async fn prepare(&self, concert: ConcertId) -> Result<State, MemoryError> {
        self.read_state(concert, true).await
    }

    async fn open(
        &self,
        concert: ConcertId,
        epoch: u64,
        memory: Memory,
        block_use: BlockUse,
    ) -> Result<(), MemoryError> {
        let mut call = self.scripts.open.prepare_invoke();
        call.key(room_key(concert)).arg(epoch).arg(memory.to_string()).arg(block_use.issued).arg(block_use.block_end);
        expect_open(&self.run(&call).await?)
    }

    async fn extend(&self, concert: ConcertId, epoch: u64, block_end: u64) -> Result<(), MemoryError> {
        let mut call = self.scripts.extend.prepare_invoke();
        call.key(room_key(concert)).arg(epoch).arg(block_end);
        expect_open(&self.run(&call).await?)
    }

    async fn enter(
        &self,
        concert: ConcertId,
        epoch: u64,
        known: u64,
        entrants: &[Entrant],
    ) -> Result<Entered, MemoryError> {
        let mut call = self.scripts.enter.prepare_invoke();
        call.key(room_key(concert)).arg(epoch).arg(known);
        match self.may_evict.load(Ordering::Relaxed) {
            true => call.arg(FULL_SHARE),
            false => call.arg(""),
        };
        for entrant in entrants {
            let held = Held { place: 0, token: entrant.token, issued_at: entrant.at };
            call.key(bucket(concert, &entrant.user)).arg(entrant.user.as_str()).arg(&held_to_bytes(&held)[8..]);
            match entrant.replacing {
                Some(place) => call.arg(place),
                None => call.arg(""),
            };
        }
        // One script for all entrants: their order in the line is the order of this call, even with concurrent calls.
        let answer = match self.run(&call).await? {
            Value::Array(answer) => answer,
            Value::Int(-1) => return Err(MemoryError::NotOpen),
            _ => return Err(broken("places")),
        };
        let [issued, end, refused, places @ ..] = answer.as_slice() else { return Err(broken("places")) };
        let refused = match refused {
            Value::BulkString(reason) if reason.is_empty() => None,
            Value::BulkString(reason) => Some(String::from_utf8_lossy(reason).into_owned()),
            _ => return Err(broken("a reason")),
        };
        if let Some(reason) = &refused {
            *self.refused.lock() = Some((Instant::now(), reason.clone()));
        }
        let given = entrants.iter().zip(places).map(|(entrant, place)| match place {
            Value::Int(place) => {
                let place = u64::try_from(*place).map_err(|_| broken("a place"))?;
                Ok(Given::New(Held { place, token: entrant.token, issued_at: entrant.at }))
            }
            Value::BulkString(had) if had.is_empty() && refused.is_some() => Ok(Given::Refused),
            Value::BulkString(had) if had.is_empty() => Ok(Given::Exhausted),
            Value::BulkString(had) => match held_from_bytes(had).ok_or_else(|| broken("a place"))? {
                // Our own token id: this call ran twice because the answer to the first run was lost.
                held if held.token == entrant.token => Ok(Given::New(held)),
                held => Ok(Given::Before(held)),
            },
            _ => Err(broken("a place")),
        });
        let given = given.collect::<Result<Vec<_>, _>>()?;
        // `zip` ends with the shorter side, so a short answer would silently drop entrants.
        if given.len() != entrants.len() {
            return Err(broken("places"));
        }
        Ok(Entered { given, block_use: BlockUse { issued: number(issued)?, block_end: number(end)? }, refused })
    }

    async fn find(&self, concert: ConcertId, user: &UserId) -> Result<Option<Held>, MemoryError> {
        let mut call = self.scripts.find.prepare_invoke();
        call.key(bucket(concert, user)).arg(user.as_str());
        match self.run(&call).await? {
            Value::BulkString(had) if had.is_empty() => Ok(None),
            Value::BulkString(had) => held_from_bytes(&had).map(Some).ok_or_else(|| broken("a place")),
            _ => Err(broken("a place")),
        }
    }

    async fn forget(&self, concert: ConcertId, user: &UserId, place: u64) -> Result<(), MemoryError> {
        let mut call = self.scripts.forget.prepare_invoke();
        call.key(bucket(concert, user)).arg(user.as_str()).arg(place);
        self.run(&call).await.map(|_| ())
    }

    async fn restore(&self, concert: ConcertId, tokens: &[(Token, Option<u64>)]) -> Result<Vec<Held>, MemoryError> {
        let mut call = self.scripts.restore.prepare_invoke();
        for (token, replacing) in tokens {
            let held = Held { place: token.place, token: token.id, issued_at: token.issued_at };
            call.key(bucket(concert, &token.user)).arg(token.user.as_str()).arg(&held_to_bytes(&held)[..]);
            match replacing {
                Some(place) => call.arg(*place),
                None => call.arg(""),
            };
        }
        let Value::Array(answer) = self.run(&call).await? else { return Err(broken("places")) };
        let held = answer.iter().map(|place| match place {
            Value::BulkString(had) => held_from_bytes(had).ok_or_else(|| broken("a place")),
            _ => Err(broken("a place")),
        });
        let held = held.collect::<Result<Vec<_>, _>>()?;
        if held.len() == tokens.len() { Ok(held) } else { Err(broken("places")) }
    }

    async fn retire(&self, concert: ConcertId, epoch: u64, issued: u64) -> Result<bool, MemoryError> {
        let all: Vec<String> = buckets(concert).collect();
        // The key of the room last: if this is interrupted, the next call still finds the room and deletes the rest.
        // In parts: one script blocks the server until it ends.
        let parts = all.chunks(DELETED_AT_ONCE).map(Some).chain([None]);
        for part in parts {
            let mut call = self.scripts.retire.prepare_invoke();
            call.key(room_key(concert)).key(part.unwrap_or_default()).arg(epoch).arg(issued);
            call.arg(u8::from(part.is_none()));
            if expect_open(&self.run(&call).await?).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
