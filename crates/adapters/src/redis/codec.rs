//! Keys and values of rooms and places in Redis.

use onsale_app::waiting_room::home::{Held, MemoryError};
use onsale_domain::ids::{ConcertId, TokenId, UserId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Memory;
use redis::Value;
use uuid::Uuid;

use super::broken;

/// Number of hashes ("buckets") that the users of a room are spread over. With a million users each has about sixty, few
/// enough for Redis to keep a hash in its compact encoding.
const BUCKETS: u64 = 16_384;

/// The key of a room. The part in braces decides the cluster slot, so all keys of a room are in one slot.
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

/// The key of a user's bucket. Must never change: every process and every version has to find the same one.
pub(super) fn bucket(concert: ConcertId, user: &UserId) -> String {
    // FNV-1a, 64 bits.
    let hash = user
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    bucket_key(concert, hash % BUCKETS)
}

/// Encodes a place with its token: the place and the time of issue (8 bytes each, big-endian), then the token's id (16).
pub(super) fn held_to_bytes(held: &Held) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&held.place.to_be_bytes());
    bytes[8..16].copy_from_slice(&held.issued_at.as_millis().to_be_bytes());
    bytes[16..].copy_from_slice(held.token.uuid().as_bytes());
    bytes
}

/// Decodes what [`held_to_bytes`] wrote; `None` if the length is wrong.
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

/// Lua numbers are doubles: up to here every integer is exact. A larger place or epoch is an error.
const NUMBER_MAX: u64 = 1 << 53;

/// Decodes a number, which Redis returns as an integer or as text.
///
/// # Errors
/// `MemoryError::Away` if it is neither, negative, or above 2^53.
pub(super) fn number(value: &Value) -> Result<u64, MemoryError> {
    let number = match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BulkString(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    number.filter(|number| *number <= NUMBER_MAX).ok_or_else(|| broken("a number"))
}

/// Decodes a server's run id from its forty hexadecimal digits.
///
/// # Errors
/// `MemoryError::Away` if it is anything else.
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
