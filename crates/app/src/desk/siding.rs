//! The siding of a lane: commands that wait for a lock of another session, so that no other command waits with them.
//!
//! A lane finds out which locks are held when a batch's wait for a lock timed out, and again every 50 ms while commands are
//! parked. It keeps the answer: a later command that needs the same row is parked before it costs a batch that time again.
//!
//! The siding belongs to one lane and is used by its thread only, so it needs no lock.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use onsale_domain::ids::UserId;

use super::Waiting;
use super::staff_command::OF_STAFF;
use crate::store::Wanted;
use crate::store::locks::{HeldLocks, Lock, Table};

/// How long a command waits for a lock, from when it was queued. Then it fails with `Unavailable`.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(3);

/// How often the lane checks the locks of other sessions while commands are parked.
const CHECK_EVERY: Duration = Duration::from_millis(50);

/// Maximum number of parked commands. One more fails at once with `Overloaded`.
const PARKED_MAX: usize = 1_024;

/// A lock whose holder changed in this many checks in a row is contended: many sessions take it for a moment each.
const HANDOVERS_MIN: u32 = 3;

/// Maximum number of remembered locks. Beyond it all are forgotten, and found again when a batch times out on them.
const HELD_MAX: usize = 4_096;

/// The parked commands of one lane, in the order in which they were queued.
#[derive(Default)]
pub(super) struct Siding {
    parked: VecDeque<Parked>,
    /// The locks that other sessions held at the last check.
    held: HeldLocks,
    /// Whether the row of a performance is held. Only the database knows which reservations belong to it.
    holds_performance: bool,
    /// When to check the locks again.
    next_check: Option<Instant>,
    /// Number of parked commands at the last call of [`Siding::change_of_length`].
    counted: i64,
}

struct Parked {
    waiting: Waiting,
    needs: Vec<Lock>,
    /// It may need a held lock. The next check finds out.
    is_suspect: bool,
    /// Number of checks in a row in which every lock that it waits for had changed its holder.
    handovers: u32,
}

/// The parked commands after a check.
#[derive(Default)]
pub(super) struct Sorted {
    /// Their locks are free.
    pub(super) free: Vec<Waiting>,
    /// Different sessions take their locks again and again, each for a moment: they must queue for them.
    pub(super) contended: Vec<Waiting>,
    /// They have waited for [`WAIT_MAX`].
    pub(super) late: Vec<Waiting>,
}

impl Siding {
    pub(super) fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }

    /// By how much the number of parked commands has grown since the last call.
    pub(super) fn change_of_length(&mut self) -> i64 {
        let now = i64::try_from(self.parked.len()).unwrap_or(i64::MAX);
        now - std::mem::replace(&mut self.counted, now)
    }

    /// When to check the locks again; `None` if no command is parked.
    pub(super) fn next_check(&self) -> Option<Instant> {
        self.next_check.filter(|_| !self.is_empty())
    }

    pub(super) fn is_due(&self) -> bool {
        self.next_check().is_some_and(|at| at <= Instant::now())
    }

    /// Adds what the next check must look for: the locks held before, and the rows of suspect commands.
    pub(super) fn add_wanted(&self, wanted: &mut Wanted) {
        for parked in self.parked.iter().filter(|parked| parked.is_suspect) {
            add(&parked.waiting, wanted);
        }
        for lock in self.held.keys() {
            wanted.want(lock);
        }
    }

    /// Replaces the known locks.
    pub(super) fn note(&mut self, held: HeldLocks) {
        self.held = if held.len() > HELD_MAX { HeldLocks::new() } else { held };
        self.holds_performance = self.held.keys().any(|lock| matches!(lock, Lock::Performance(_)));
        self.next_check = Some(Instant::now() + CHECK_EVERY);
    }

    /// Parks the commands of a batch that need a held lock, or that must not overtake a parked command of the same wallet.
    /// Returns those for which there is no room.
    pub(super) fn take_from(&mut self, batch: &mut Vec<Waiting>) -> Vec<Waiting> {
        if self.held.is_empty() && self.parked.is_empty() {
            return Vec::new();
        }
        let mut refused = Vec::new();
        // Charges and uses of these wallets must wait, too, to keep their order.
        let mut behind: HashSet<UserId> =
            self.parked.iter().filter_map(|parked| wallet_of(&parked.waiting)).cloned().collect();
        for waiting in std::mem::take(batch) {
            let needs = needs(&waiting);
            let is_held = needs.iter().any(|lock| self.held.contains_key(lock));
            // The held performance may be that of this reservation. A check at once finds out, for all of the batch.
            let is_suspect = self.holds_performance
                && needs.iter().any(|lock| matches!(lock, Lock::Reservation(_) | Lock::Holding(..) | Lock::Concert(_)));
            let wallet = wallet_of(&waiting).cloned();
            let is_behind = wallet.as_ref().is_some_and(|user| behind.contains(user));
            if !is_held && !is_suspect && !is_behind {
                batch.push(waiting);
                continue;
            }
            if self.parked.len() >= PARKED_MAX {
                // A command that perhaps need not wait is not refused for lack of room.
                if is_held || is_behind {
                    refused.push(waiting);
                } else {
                    batch.push(waiting);
                }
                continue;
            }
            if is_suspect && !is_held {
                self.next_check = Some(Instant::now());
            }
            behind.extend(wallet);
            self.parked.push_back(Parked { waiting, needs, is_suspect: is_suspect && !is_held, handovers: 0 });
        }
        self.in_order();
        refused
    }

    /// Parks commands again that did not get their locks.
    pub(super) fn put_back(&mut self, batch: &mut Vec<Waiting>) {
        for waiting in batch.drain(..) {
            let needs = needs(&waiting);
            self.parked.push_back(Parked { waiting, needs, is_suspect: false, handovers: 0 });
        }
        self.in_order();
    }

    /// Restores the order of the queue: commands that come back are older than those that were parked meanwhile.
    fn in_order(&mut self) {
        if !self.parked.iter().is_sorted_by_key(|parked| parked.waiting.since) {
            self.parked.make_contiguous().sort_by_key(|parked| parked.waiting.since);
        }
    }

    /// Replaces the known locks, and takes out the commands that do not have to wait any longer.
    pub(super) fn sort(&mut self, held: HeldLocks) -> Sorted {
        let before = std::mem::take(&mut self.held);
        self.note(held);
        let (mut sorted, mut behind) = (Sorted::default(), HashSet::new());
        for Parked { waiting, needs, handovers, .. } in std::mem::take(&mut self.parked) {
            let wallet = wallet_of(&waiting).cloned();
            let holders = || needs.iter().filter_map(|lock| Some((lock, self.held.get(lock)?)));
            // A session that locks a whole table holds it for long: a batch that queues for it would block the lane.
            let changed = |(lock, holder): (&Lock, &u64)| {
                !matches!(lock, Lock::Table(_)) && before.get(lock).is_some_and(|before| before != holder)
            };
            let handovers = if holders().all(changed) { handovers + 1 } else { 0 };
            let is_behind = wallet.as_ref().is_some_and(|user| behind.contains(user));
            // An abandoned command is dropped, and later commands of its wallet may go.
            if waiting.job.get().is_abandoned() {
                continue;
            } else if !is_behind && holders().next().is_none() {
                sorted.free.push(waiting);
            } else if waiting.since.elapsed() >= WAIT_MAX {
                sorted.late.push(waiting);
            } else if !is_behind && handovers >= HANDOVERS_MIN {
                behind.extend(wallet);
                sorted.contended.push(waiting);
            } else {
                behind.extend(wallet);
                self.parked.push_back(Parked { waiting, needs, is_suspect: false, handovers });
            }
        }
        sorted
    }

    /// For a check that a lock kept waiting: every lock counts as still held. Takes out the commands that have waited for
    /// [`WAIT_MAX`].
    pub(super) fn sort_unknown(&mut self) -> Sorted {
        self.next_check = Some(Instant::now() + CHECK_EVERY);
        let (late, parked) = std::mem::take(&mut self.parked)
            .into_iter()
            .partition::<Vec<_>, _>(|parked| parked.waiting.since.elapsed() >= WAIT_MAX);
        self.parked = parked.into();
        Sorted { late: late.into_iter().map(|parked| parked.waiting).collect(), ..Sorted::default() }
    }

    /// For a check that failed: takes out all parked commands, because the database does not answer.
    pub(super) fn give_up(&mut self) -> Sorted {
        self.held.clear();
        let late = std::mem::take(&mut self.parked).into_iter().map(|parked| parked.waiting).collect();
        Sorted { late, ..Sorted::default() }
    }
}

/// Adds the rows and the key that a job needs.
fn add(waiting: &Waiting, wanted: &mut Wanted) {
    let job = waiting.job.get();
    job.needs(&mut wanted.keys);
    wanted.answers.extend(job.key().map(|key| key.id.clone()));
}

/// The locks that a job needs: those of its rows and of its tables.
fn needs(waiting: &Waiting) -> Vec<Lock> {
    let mut wanted = Wanted::default();
    add(waiting, &mut wanted);
    let job = waiting.job.get();
    let kept = job.key().map(|_| Table::KeptAnswers);
    let of_staff = if job.is_by_staff() { OF_STAFF } else { &[] };
    wanted.locks(job.tables().iter().chain(of_staff).copied().chain(kept))
}

/// The owner of the wallet that a charge or a use changes: those of one wallet are decided in the order in which they came.
fn wallet_of(waiting: &Waiting) -> Option<&UserId> {
    waiting.job.get().wallet()
}
