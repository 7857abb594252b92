//! Encodings of the state of waiting rooms in a database, shared by SQLite and Postgres. Readers return `None` for a value
//! that no writer of ours produces.

use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Blocks, EarlierClaim, Gap, Memory, Room, Window};

/// Bytes of one admission in a stored window.
const ADMISSION_BYTES: usize = 12;

/// What follows the admissions if a longer `claimSeconds` still applies to some turns. With its 16 bytes the length is no multiple
/// of 12, so a program of an older schema, which would end such turns too early, fails to read the room.
const EARLIER_CLAIM: [u8; 4] = *b"earl";

/// Encodes the admissions of the last second: 12 bytes each, an instant (8, big-endian) and a count (4). Then, if there is one, the
/// earlier `claimSeconds`: its mark (4 bytes), its instant (8) and the seconds (4).
pub(crate) fn window_to_bytes(room: &Room) -> Vec<u8> {
    let admissions = room.window.parts();
    let mut bytes: Vec<u8> =
        admissions.flat_map(|(at, many)| [&at.as_millis().to_be_bytes()[..], &many.to_be_bytes()].concat()).collect();
    if let Some(EarlierClaim { until, seconds }) = room.earlier_claim {
        bytes.extend([&EARLIER_CLAIM[..], &until.as_millis().to_be_bytes(), &seconds.to_be_bytes()].concat());
    }
    bytes
}

/// Decodes what [`window_to_bytes`] wrote; `None` if the length does not fit.
pub(crate) fn window_from_bytes(bytes: &[u8]) -> Option<(Window, Option<EarlierClaim>)> {
    if bytes.len() % ADMISSION_BYTES == 4 {
        let (admissions, earlier) = bytes.split_last_chunk::<16>()?;
        let (mark, earlier) = earlier.split_first_chunk::<4>()?;
        let (until, seconds) = earlier.split_first_chunk::<8>()?;
        let (until, seconds) = (i64::from_be_bytes(*until), u32::from_be_bytes(seconds.try_into().ok()?));
        let earlier = EarlierClaim { until: Timestamp::from_millis(until), seconds };
        return (*mark == EARLIER_CLAIM).then_some((admissions_from_bytes(admissions)?, Some(earlier)));
    }
    Some((admissions_from_bytes(bytes)?, None))
}

fn admissions_from_bytes(bytes: &[u8]) -> Option<Window> {
    if !bytes.len().is_multiple_of(ADMISSION_BYTES) {
        return None;
    }
    let admission = |part: &[u8]| {
        let (at, many) = part.split_at_checked(8)?;
        let at = i64::from_be_bytes(at.try_into().ok()?);
        Some((Timestamp::from_millis(at), u32::from_be_bytes(many.try_into().ok()?)))
    };
    let admissions: Option<Vec<_>> = bytes.chunks_exact(ADMISSION_BYTES).map(admission).collect();
    Some(Window::from_parts(admissions?))
}

/// Encodes how Redis hands out places; empty if the database hands them out. Numbers of 8 bytes, big-endian: epoch, last
/// place reserved; then the run id of the server (20 bytes); then each range in doubt by its first and last place and its
/// instant.
pub(crate) fn blocks_to_bytes(blocks: &Blocks) -> Vec<u8> {
    if blocks.epoch == 0 && *blocks == Blocks::default() {
        return Vec::new();
    }
    let mut bytes = [&blocks.epoch.to_be_bytes()[..], &blocks.reserved_to.to_be_bytes(), &blocks.memory.0].concat();
    for gap in &blocks.gaps {
        bytes.extend([gap.first.to_be_bytes(), gap.last.to_be_bytes(), gap.made_at.as_millis().to_be_bytes()].concat());
    }
    bytes
}

/// Decodes what [`blocks_to_bytes`] wrote; `None` if the length does not fit.
pub(crate) fn blocks_from_bytes(bytes: &[u8]) -> Option<Blocks> {
    if bytes.is_empty() {
        return Some(Blocks::default());
    }
    let (epoch, rest) = bytes.split_first_chunk()?;
    let (reserved_to, rest) = rest.split_first_chunk()?;
    let (memory, mut rest) = rest.split_first_chunk()?;
    let mut gaps = Vec::new();
    while !rest.is_empty() {
        let (first, after_first) = rest.split_first_chunk()?;
        let (last, after_last) = after_first.split_first_chunk()?;
        let (made_at, after_gap) = after_last.split_first_chunk()?;
        gaps.push(Gap {
            first: u64::from_be_bytes(*first),
            last: u64::from_be_bytes(*last),
            made_at: Timestamp::from_millis(i64::from_be_bytes(*made_at)),
        });
        rest = after_gap;
    }
    let (epoch, reserved_to) = (u64::from_be_bytes(*epoch), u64::from_be_bytes(*reserved_to));
    Some(Blocks { epoch, reserved_to, memory: Memory(*memory), gaps })
}

#[cfg(test)]
mod tests {
    use onsale_domain::waiting_room::Settings;

    use super::*;

    #[test]
    fn values_are_read_as_they_were_written() {
        let gap = Gap { first: 4, last: 9, made_at: Timestamp::from_millis(-5) };
        for blocks in [
            Blocks::default(),
            Blocks { epoch: 3, reserved_to: 1 << 40, memory: Memory([7; 20]), gaps: Vec::new() },
            Blocks { epoch: 3, reserved_to: 9, memory: Memory([7; 20]), gaps: vec![gap, gap] },
        ] {
            assert_eq!(blocks_from_bytes(&blocks_to_bytes(&blocks)), Some(blocks));
        }
        let window = Window::from_parts([(Timestamp::from_millis(1_000), 3), (Timestamp::from_millis(1_500), 4)]);
        let room = Room { window: window.clone(), ..Room::new(Settings::default(), Timestamp::default()) };
        let earlier = Some(EarlierClaim { until: Timestamp::from_millis(-7), seconds: 3_600 });
        for earlier_claim in [None, earlier] {
            let room = Room { earlier_claim, ..room.clone() };
            assert_eq!(window_from_bytes(&window_to_bytes(&room)), Some((window.clone(), earlier_claim)));
        }
    }

    #[test]
    fn damaged_values_are_not_read_as_empty_ones() {
        let blocks = Blocks { epoch: 3, reserved_to: 9, memory: Memory([7; 20]), gaps: Vec::new() };
        let bytes = blocks_to_bytes(&blocks);
        assert_eq!(blocks_from_bytes(&bytes[1..]), None, "cut");
        assert_eq!(blocks_from_bytes(&[&bytes[..], &[0; 23]].concat()), None, "half a range");
        assert!([4, 11, 13, 16, 28].iter().all(|length| window_from_bytes(&vec![0; *length]).is_none()));
    }
}
