//! What a process knows of a room whose places are handed out beside the database: how far they were, and what tokens
//! show of what was lost.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Blocks, Line, Token};

/// The most tokens that wait to be put back. More are put back when they show up again.
const PENDING_MAX: usize = 50_000;

/// How far places were handed out is written down at least this often, so that little is in doubt after a loss.
const WRITTEN_EVERY_MILLIS: i64 = 1_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// The last place that is known to be handed out.
    issued: AtomicU64,
    /// Places up to this one may be missing in the memory's list of users; 0 where none is.
    missing_to: AtomicU64,
    /// The last place that a token showed beyond all that the database had reserved; 0 if none did.
    shown_beyond: AtomicU64,
    written_at: AtomicI64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    epoch: u64,
    /// The first mark that was seen in this epoch. What lies before it may have been passed over when it began.
    base: u64,
    /// Places after the first and up to the second are known to be handed out in the epoch before.
    before: (u64, u64),
    missing_after: u64,
    /// Places whose tokens were shown since they went missing.
    shown: HashSet<u64>,
    to_restore: Vec<Token>,
    to_reinstate: Vec<(u64, u64)>,
}

impl Beside {
    /// The last place that is known to be handed out.
    pub(crate) fn issued(&self) -> u64 {
        self.issued.load(Ordering::Acquire)
    }

    /// Takes in that places up to this one were handed out in an epoch.
    pub(crate) fn handed_out(&self, epoch: u64, issued: u64) {
        if self.issued() < issued {
            let mut kept = self.kept();
            if kept.epoch < epoch {
                kept.before = (kept.base, self.issued());
                (kept.epoch, kept.base) = (epoch, issued);
            }
            self.issued.fetch_max(issued, Ordering::AcqRel);
        }
    }

    /// The last place that is known to be handed out in this epoch; 0 if none is.
    pub(crate) fn issued_in(&self, epoch: u64) -> u64 {
        if self.kept().epoch == epoch { self.issued() } else { 0 }
    }

    /// The last epoch in which places are known to be handed out; 0 if none is.
    pub(crate) fn epoch(&self) -> u64 {
        self.kept().epoch
    }

    /// Notes a token whose place lies beyond all that the database has reserved: the database was set back.
    pub(crate) fn show_beyond(&self, place: u64) {
        self.shown_beyond.fetch_max(place, Ordering::AcqRel);
    }

    /// The last place that a token showed beyond all that the database had reserved; 0 if none did.
    pub(crate) fn shown_beyond(&self) -> u64 {
        self.shown_beyond.load(Ordering::Acquire)
    }

    /// Takes in which places may be missing in the memory.
    pub(crate) fn missing(&self, after: u64, to: u64) {
        if self.missing_to.load(Ordering::Acquire) < to {
            let mut kept = self.kept();
            kept.missing_after = after;
            kept.shown.clear();
            self.missing_to.store(to, Ordering::Release);
        }
    }

    /// Takes in a token of somebody who waits. Costs a comparison where nothing is missing or in doubt.
    pub(crate) fn shown(&self, token: &Token, line: &Line) {
        let may_be_missing = token.place <= self.missing_to.load(Ordering::Acquire);
        let in_doubt = line.is_in_doubt(token.place);
        if !may_be_missing && !in_doubt {
            return;
        }
        let mut kept = self.kept();
        if in_doubt && kept.to_reinstate.len() < PENDING_MAX {
            kept.to_reinstate.push((token.place, token.place));
        }
        let is_missing = may_be_missing && kept.missing_after < token.place;
        if is_missing && kept.to_restore.len() < PENDING_MAX && kept.shown.insert(token.place) {
            kept.to_restore.push(token.clone());
        }
    }

    /// Tokens to put back into the memory.
    pub(crate) fn take_to_restore(&self, most: usize) -> Vec<Token> {
        let mut kept = self.kept();
        let count = kept.to_restore.len().min(most);
        kept.to_restore.drain(..count).collect()
    }

    /// They could not be put back, and are to be once more.
    pub(crate) fn restore_later(&self, tokens: Vec<Token>) {
        self.kept().to_restore.extend(tokens);
    }

    /// Places that were in doubt and are not: those that were shown, and those that this process knows to have been
    /// handed out before.
    pub(crate) fn take_to_reinstate(&self, blocks: &Blocks) -> Vec<(u64, u64)> {
        let mut kept = self.kept();
        let (after, known) = kept.before;
        let mut places = std::mem::take(&mut kept.to_reinstate);
        let handed_out = blocks.gaps.iter().map(|gap| (gap.first.max(after + 1), gap.last.min(known)));
        places.extend(handed_out.filter(|(first, last)| first <= last && kept.epoch == blocks.epoch));
        places.sort_unstable();
        // Neighbours together: each range may split a gap.
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for (first, last) in places {
            match ranges.last_mut() {
                Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
                _ => ranges.push((first, last)),
            }
        }
        ranges
    }

    /// Whether it is time to write down how far places were handed out, if they were.
    pub(crate) fn is_due(&self, at: Timestamp) -> bool {
        Timestamp::from_millis(self.written_at.load(Ordering::Relaxed)).millis_until(at) >= WRITTEN_EVERY_MILLIS
    }

    /// The memory is in trouble: how far places were handed out is written down as soon as possible.
    pub(crate) fn write_soon(&self) {
        self.written_at.store(0, Ordering::Relaxed);
    }

    /// It is being written.
    pub(crate) fn writing(&self, at: Timestamp) {
        self.written_at.store(at.as_millis(), Ordering::Relaxed);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
