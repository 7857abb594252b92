//! How rooms and places are written in Redis.

use onsale_app::waiting_room::door::{Held, MemoryError};
use onsale_domain::ids::{ConcertId, TokenId, UserId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Memory;
use redis::Value;
use uuid::Uuid;

use super::broken;

/// A room's users are spread over so many buckets: with a million of them, some sixty are in each, and Redis keeps them
/// in one packed list instead of a table with pointers.
const BUCKETS: u64 = 16_384;

/// The key of a room. What stands in braces decides the slot: all keys of a room share it.
pub(super) fn room_key(concert: ConcertId) -> String {
    format!("onsale:{{{concert}}}:room")
}

/// The keys of all buckets of a room.
pub(super) fn buckets(concert: ConcertId) -> impl Iterator<Item = String> {
    (0..BUCKETS).map(move |number| bucket_key(concert, number))
}

fn bucket_key(concert: ConcertId, number: u64) -> String {
    format!("onsale:{{{concert}}}:{number:x}")
}

/// The key of the bucket that a user of a room belongs to. The same for every process and version.
pub(super) fn bucket(concert: ConcertId, user: &UserId) -> String {
    // FNV-1a, 64 bits.
    let hash = user
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    bucket_key(concert, hash % BUCKETS)
}

/// A place with its token: the number and the instant (8 bytes each, big-endian), and the token's id (16).
pub(super) fn held_to_bytes(held: &Held) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&held.place.to_be_bytes());
    bytes[8..16].copy_from_slice(&held.issued_at.as_millis().to_be_bytes());
    bytes[16..].copy_from_slice(held.token.uuid().as_bytes());
    bytes
}

/// The same, read back.
pub(super) fn held_from_bytes(bytes: &[u8]) -> Option<Held> {
    let bytes: &[u8; 32] = bytes.try_into().ok()?;
    let (place, rest) = bytes.split_at(8);
    let (at, token) = rest.split_at(8);
    Some(Held {
        place: u64::from_be_bytes(place.try_into().ok()?),
        token: TokenId::new(Uuid::from_slice(token).ok()?),
        issued_at: Timestamp::from_millis(i64::from_be_bytes(at.try_into().ok()?)),
    })
}

/// Scripts count in doubles: no place and no epoch is beyond this.
const NUMBER_MAX: u64 = 1 << 53;

/// A number, which Redis may say as a number or as text.
pub(super) fn number(value: &Value) -> Result<u64, MemoryError> {
    let number = match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BulkString(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    number.filter(|number| *number <= NUMBER_MAX).ok_or_else(|| broken("a number"))
}

/// A life of a server, from its forty hexadecimal digits.
pub(super) fn memory(value: &Value) -> Result<Memory, MemoryError> {
    let parse = |text: &[u8]| {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() == 40)?;
        let mut memory = [0; 20];
        for (index, byte) in memory.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Memory(memory))
    };
    match value {
        Value::BulkString(text) => parse(text).ok_or_else(|| broken("a run id")),
        _ => Err(broken("a run id")),
    }
}
