//! What this process knows of the places that Redis handed out in one room: how far the numbers are used, and what tokens
//! show of places that Redis lost.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Blocks, Line, Token};
use parking_lot::Mutex;

/// The most tokens that wait to be put back. A token beyond that is put back when it is shown again.
const PENDING_MAX: usize = 50_000;

/// The last place that Redis handed out is written to the database at least this often while it changes, so that few places
/// are in doubt after a loss.
const WRITTEN_EVERY_MILLIS: i64 = 1_000;

/// See the module. The atomics are read by polls without the lock.
#[derive(Debug, Default)]
pub(crate) struct HandedOut {
    /// The last place that is known to be handed out. It only rises.
    issued: AtomicU64,
    /// Places up to this one may be missing in the data of Redis; 0 if none is.
    missing_to: AtomicU64,
    /// The last place that a token showed beyond all that the database has reserved; 0 if none did.
    shown_beyond: AtomicU64,
    /// When `issued` was last written to the database, in milliseconds.
    written_at: AtomicI64,
    /// What polls rarely need. No other lock is taken while it is held.
    epochs: Mutex<Epochs>,
}

#[derive(Debug, Default)]
struct Epochs {
    /// The last epoch in which places are known to be handed out.
    epoch: u64,
    /// The first value of `issued` in this epoch. Places before it may have been skipped when the epoch began.
    base: u64,
    /// Places after the first and up to the second are known to be handed out in the epoch before.
    before: (u64, u64),
    /// Places up to this one are not missing.
    missing_after: u64,
    /// Missing places whose tokens were shown.
    shown: HashSet<u64>,
    /// Tokens of missing places, to be put back into Redis.
    to_restore: Vec<Token>,
    /// Ranges of places that were in doubt and count again, each by its first and last place.
    to_reinstate: Vec<(u64, u64)>,
}

impl HandedOut {
    /// The last place that is known to be handed out.
    pub(crate) fn issued(&self) -> u64 {
        // Pairs with the release in `note`: the epoch is noted before the number is visible.
        self.issued.load(Ordering::Acquire)
    }

    /// Notes that places up to this one were handed out in an epoch.
    pub(crate) fn note(&self, epoch: u64, issued: u64) {
        if self.issued() < issued {
            let mut epochs = self.epochs.lock();
            if epochs.epoch < epoch {
                epochs.before = (epochs.base, self.issued());
                (epochs.epoch, epochs.base) = (epoch, issued);
            }
            self.issued.fetch_max(issued, Ordering::AcqRel);
        }
    }

    /// The last place that is known to be handed out in this epoch; 0 if none is.
    pub(crate) fn issued_in(&self, epoch: u64) -> u64 {
        if self.epochs.lock().epoch == epoch { self.issued() } else { 0 }
    }

    /// The last epoch in which places are known to be handed out; 0 if none is.
    pub(crate) fn epoch(&self) -> u64 {
        self.epochs.lock().epoch
    }

    /// Notes a token whose place lies beyond all that the database has reserved: the database was set back.
    pub(crate) fn show_beyond(&self, place: u64) {
        // Relaxed: the number stands alone, and it only rises.
        self.shown_beyond.fetch_max(place, Ordering::Relaxed);
    }

    /// The last place that a token showed beyond all that the database had reserved; 0 if none did.
    pub(crate) fn shown_beyond(&self) -> u64 {
        self.shown_beyond.load(Ordering::Relaxed)
    }

    /// Notes that places after the first and up to the second may be missing in the data of Redis.
    pub(crate) fn missing(&self, after: u64, to: u64) {
        if self.missing_to.load(Ordering::Acquire) < to {
            let mut epochs = self.epochs.lock();
            epochs.missing_after = after;
            epochs.shown.clear();
            // Release, under the lock: a poll that sees the new bound finds `missing_after` of the same loss.
            self.missing_to.store(to, Ordering::Release);
        }
    }

    /// Notes a token of a user in line. If nothing is missing or in doubt, that is one comparison.
    pub(crate) fn shown(&self, token: &Token, line: &Line) {
        // Pairs with the release in `missing`.
        let may_be_missing = token.place <= self.missing_to.load(Ordering::Acquire);
        let in_doubt = line.is_in_doubt(token.place);
        if !may_be_missing && !in_doubt {
            return;
        }
        let mut epochs = self.epochs.lock();
        if in_doubt && epochs.to_reinstate.len() < PENDING_MAX {
            epochs.to_reinstate.push((token.place, token.place));
        }
        let is_missing = may_be_missing && epochs.missing_after < token.place;
        if is_missing && epochs.to_restore.len() < PENDING_MAX && epochs.shown.insert(token.place) {
            epochs.to_restore.push(token.clone());
        }
    }

    /// At most this many tokens to put back into Redis.
    pub(crate) fn take_to_restore(&self, most: usize) -> Vec<Token> {
        let mut epochs = self.epochs.lock();
        let count = epochs.to_restore.len().min(most);
        epochs.to_restore.drain(..count).collect()
    }

    /// Returns tokens that could not be put back, for another attempt.
    pub(crate) fn restore_later(&self, tokens: Vec<Token>) {
        self.epochs.lock().to_restore.extend(tokens);
    }

    /// Ranges of places that were in doubt and count again: their tokens were shown, or this process knows that they were
    /// handed out in the epoch before.
    pub(crate) fn take_to_reinstate(&self, blocks: &Blocks) -> Vec<(u64, u64)> {
        let mut epochs = self.epochs.lock();
        let (after, known) = epochs.before;
        let mut places = std::mem::take(&mut epochs.to_reinstate);
        let handed_out = blocks.gaps.iter().map(|gap| (gap.first.max(after + 1), gap.last.min(known)));
        places.extend(handed_out.filter(|(first, last)| first <= last && epochs.epoch == blocks.epoch));
        places.sort_unstable();
        // Neighbours are joined, because each range may split a gap.
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for (first, last) in places {
            match ranges.last_mut() {
                Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
                _ => ranges.push((first, last)),
            }
        }
        ranges
    }

    /// Whether it is time to write the last place that was handed out to the database, if it changed.
    pub(crate) fn is_write_due(&self, at: Timestamp) -> bool {
        // Relaxed, here and below: the instant stands alone, and one write more or less does no harm.
        Timestamp::from_millis(self.written_at.load(Ordering::Relaxed)).millis_until(at) >= WRITTEN_EVERY_MILLIS
    }

    /// Makes the next step write the last place that was handed out, because Redis is in trouble.
    pub(crate) fn write_soon(&self) {
        self.written_at.store(0, Ordering::Relaxed);
    }

    /// Notes that a step writes it now.
    pub(crate) fn writing(&self, at: Timestamp) {
        self.written_at.store(at.as_millis(), Ordering::Relaxed);
    }
}
