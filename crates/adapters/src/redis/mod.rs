//! Places in line from Redis: one small hash for a room, and its users in buckets, all in one slot of a cluster.
//!
//! Every decision is one script (`scripts/`), which also looks whether this is the life of the server that the room was
//! opened for. So a restart, an emptied memory or a copy that took over is found in the very step that would have
//! handed out a place, whatever the connection believes.

mod codec;
mod connection;

use async_trait::async_trait;
use onsale_app::waiting_room::door::{Entrant, Given, Held, Mark, MemoryError, PlaceMemory, State};
use onsale_domain::ids::{ConcertId, UserId};
use onsale_domain::waiting_room::{Memory, Token};
use redis::{Script, Value};

pub use connection::RedisUrl;

use codec::{bucket, held_from_bytes, held_to_bytes, memory, number, room_key};
use connection::Connection;

/// The scripts, each prepared once.
struct Scripts {
    enter: Script,
    state: Script,
    open: Script,
    extend: Script,
    forget: Script,
    restore: Script,
}

/// A memory of places in Redis.
pub struct RedisPlaces {
    connection: Connection,
    scripts: Scripts,
}

impl RedisPlaces {
    /// Connects when it is first asked, and again after every fault.
    pub fn new(url: &RedisUrl) -> Self {
        let scripts = Scripts {
            enter: Script::new(include_str!("scripts/enter.lua")),
            state: Script::new(include_str!("scripts/state.lua")),
            open: Script::new(include_str!("scripts/open.lua")),
            extend: Script::new(include_str!("scripts/extend.lua")),
            forget: Script::new(include_str!("scripts/forget.lua")),
            restore: Script::new(include_str!("scripts/restore.lua")),
        };
        Self { connection: Connection::new(url), scripts }
    }
}

fn broken(what: &str) -> MemoryError {
    MemoryError::Away(format!("an answer that makes no sense: {what}"))
}

/// Whether a room was open for what was asked.
fn done(answer: &Value) -> Result<(), MemoryError> {
    match answer {
        Value::Int(1) => Ok(()),
        _ => Err(MemoryError::NotOpen),
    }
}

#[async_trait]
impl PlaceMemory for RedisPlaces {
    async fn ping(&self) -> Result<(), MemoryError> {
        self.connection.ping().await
    }

    async fn state(&self, concert: ConcertId) -> Result<State, MemoryError> {
        let mut call = self.scripts.state.prepare_invoke();
        call.key(room_key(concert));
        let Value::Array(answer) = self.connection.run(&call).await? else { return Err(broken("a state")) };
        let [run, epoch, issued, end, after, to] = answer.as_slice() else { return Err(broken("a state")) };
        Ok(State {
            memory: memory(run)?,
            epoch: number(epoch)?,
            mark: Mark { issued: number(issued)?, block_end: number(end)? },
            missing: (number(after)?, number(to)?),
        })
    }

    async fn open(&self, concert: ConcertId, epoch: u64, memory: Memory, mark: Mark) -> Result<(), MemoryError> {
        let mut call = self.scripts.open.prepare_invoke();
        call.key(room_key(concert)).arg(epoch).arg(memory.to_string()).arg(mark.issued).arg(mark.block_end);
        done(&self.connection.run(&call).await?)
    }

    async fn extend(&self, concert: ConcertId, epoch: u64, block_end: u64) -> Result<(), MemoryError> {
        let mut call = self.scripts.extend.prepare_invoke();
        call.key(room_key(concert)).arg(epoch).arg(block_end);
        done(&self.connection.run(&call).await?)
    }

    async fn enter(
        &self,
        concert: ConcertId,
        epoch: u64,
        entrants: &[Entrant],
    ) -> Result<(Vec<Given>, Mark), MemoryError> {
        let mut call = self.scripts.enter.prepare_invoke();
        call.key(room_key(concert)).arg(epoch);
        for entrant in entrants {
            let held = Held { place: 0, token: entrant.token, issued_at: entrant.at };
            call.key(bucket(concert, &entrant.user)).arg(entrant.user.as_str()).arg(&held_to_bytes(&held)[8..]);
            match entrant.replacing {
                Some(place) => call.arg(place),
                None => call.arg(""),
            };
        }
        let answer = match self.connection.run(&call).await? {
            Value::Array(answer) => answer,
            Value::Int(-1) => return Err(MemoryError::NotOpen),
            _ => return Err(broken("places")),
        };
        let [issued, end, places @ ..] = answer.as_slice() else { return Err(broken("places")) };
        let given = entrants.iter().zip(places).map(|(entrant, place)| match place {
            Value::Int(place) => {
                let place = u64::try_from(*place).map_err(|_| broken("a place"))?;
                Ok(Given::New(Held { place, token: entrant.token, issued_at: entrant.at }))
            }
            Value::BulkString(had) if had.is_empty() => Ok(Given::Exhausted),
            Value::BulkString(had) => held_from_bytes(had).map(Given::Before).ok_or_else(|| broken("a place")),
            _ => Err(broken("a place")),
        });
        let given = given.collect::<Result<Vec<_>, _>>()?;
        if given.len() != entrants.len() {
            return Err(broken("places"));
        }
        Ok((given, Mark { issued: number(issued)?, block_end: number(end)? }))
    }

    async fn forget(&self, concert: ConcertId, user: &UserId, place: u64) -> Result<(), MemoryError> {
        let mut call = self.scripts.forget.prepare_invoke();
        call.key(bucket(concert, user)).arg(user.as_str()).arg(place);
        self.connection.run(&call).await.map(|_| ())
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
        let Value::Array(answer) = self.connection.run(&call).await? else { return Err(broken("places")) };
        let held = answer.iter().map(|place| match place {
            Value::BulkString(had) => held_from_bytes(had).ok_or_else(|| broken("a place")),
            _ => Err(broken("a place")),
        });
        let held = held.collect::<Result<Vec<_>, _>>()?;
        if held.len() == tokens.len() { Ok(held) } else { Err(broken("places")) }
    }
}
