//! Commands that wait for a lock which another session holds. They wait here, so that no other command waits with them.
//!
//! A lane finds out what is locked when a batch's wait for a lock timed out, and again every few milliseconds while
//! commands wait. What it finds is kept: later commands that need the same row come here before they cost a batch its
//! time.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use onsale_domain::ids::UserId;

use super::Waiting;
use crate::store::Wanted;
use crate::store::locks::{HeldLocks, Lock, Table};

/// How long a command waits for a lock, from when it was handed in. Then it fails.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(3);

/// How often what is locked is looked for again while commands wait.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The most commands that wait. One more fails at once.
const PARKED_MAX: usize = 1_024;

/// After this many changes of the holder in a row a lock is one that sessions take for a moment each.
const HANDOVERS_MIN: u32 = 3;

/// The most locks that are remembered. Beyond it all are forgotten, and found again when they cost a batch its time.
const HELD_MAX: usize = 4_096;

/// The commands of one lane that wait for locks, in the order in which they came.
#[derive(Default)]
pub(super) struct Siding {
    parked: VecDeque<Parked>,
    /// What other sessions held at the last look.
    held: HeldLocks,
    /// Whether a row of a performance is held: which reservations that is about, only the database knows.
    holds_performance: bool,
    look_at: Option<Instant>,
    /// How many commands waited when that was last told.
    told: i64,
}

struct Parked {
    waiting: Waiting,
    needs: Vec<Lock>,
    /// Whether anything that it needs is held is not known yet.
    is_suspect: bool,
    /// At how many looks in a row all that it needs had another holder than at the look before.
    handovers: u32,
}

/// What a look found out about the commands that waited.
#[derive(Default)]
pub(super) struct Sorted {
    /// What they need is free.
    pub(super) free: Vec<Waiting>,
    /// What they need is locked again and again by different sessions, each for a moment: they have to queue for it.
    pub(super) contended: Vec<Waiting>,
    /// They have waited as long as a command may.
    pub(super) late: Vec<Waiting>,
}

impl Siding {
    pub(super) fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }

    /// By how many more commands wait than when this was last asked.
    pub(super) fn change_of_length(&mut self) -> i64 {
        let now = i64::try_from(self.parked.len()).unwrap_or(i64::MAX);
        now - std::mem::replace(&mut self.told, now)
    }

    /// When to look again, while commands wait.
    pub(super) fn look_at(&self) -> Option<Instant> {
        self.look_at.filter(|_| !self.is_empty())
    }

    pub(super) fn is_due(&self) -> bool {
        self.look_at().is_some_and(|at| at <= Instant::now())
    }

    /// Adds what to look for: what was held before, and what commands need of which it is not known what they wait for.
    pub(super) fn add_wanted(&self, wanted: &mut Wanted) {
        self.parked.iter().filter(|parked| parked.is_suspect).for_each(|parked| add(&parked.waiting, wanted));
        self.held.keys().for_each(|lock| wanted.want(lock));
    }

    /// Remembers what is held now.
    pub(super) fn note(&mut self, held: HeldLocks) {
        self.held = if held.len() > HELD_MAX { HeldLocks::new() } else { held };
        self.holds_performance = self.held.keys().any(|lock| matches!(lock, Lock::Performance(_)));
        self.look_at = Some(Instant::now() + LOOK_EVERY);
    }

    /// Moves those commands of a batch here that need what is held, or that may not go before one that waits. Returns
    /// those for which there is no room.
    pub(super) fn take_from(&mut self, batch: &mut Vec<Waiting>) -> Vec<Waiting> {
        if self.held.is_empty() && self.parked.is_empty() {
            return Vec::new();
        }
        let mut refused = Vec::new();
        let mut behind: HashSet<UserId> =
            self.parked.iter().filter_map(|parked| wallet_of(&parked.waiting)).cloned().collect();
        for waiting in std::mem::take(batch) {
            let needs = needs(&waiting);
            let is_held = needs.iter().any(|lock| self.held.contains_key(lock));
            // Whether a reservation's performance is the one that is held is found out at once, for all who came.
            let is_suspect = self.holds_performance
                && needs.iter().any(|lock| matches!(lock, Lock::Reservation(_) | Lock::Holding(..)));
            let wallet = wallet_of(&waiting).cloned();
            let is_behind = wallet.as_ref().is_some_and(|user| behind.contains(user));
            if !is_held && !is_suspect && !is_behind {
                batch.push(waiting);
                continue;
            }
            if self.parked.len() >= PARKED_MAX {
                // What perhaps need not wait is not refused for want of room.
                if is_held || is_behind {
                    refused.push(waiting);
                } else {
                    batch.push(waiting);
                }
                continue;
            }
            if is_suspect && !is_held {
                self.look_at = Some(Instant::now());
            }
            behind.extend(wallet);
            self.parked.push_back(Parked { waiting, needs, is_suspect: is_suspect && !is_held, handovers: 0 });
        }
        self.in_order();
        refused
    }

    /// Takes commands back whose locks were not to be had after all.
    pub(super) fn put_back(&mut self, batch: &mut Vec<Waiting>) {
        for waiting in batch.drain(..) {
            let needs = needs(&waiting);
            self.parked.push_back(Parked { waiting, needs, is_suspect: false, handovers: 0 });
        }
        self.in_order();
    }

    /// In the order in which they were handed in: those that come back are older than others.
    fn in_order(&mut self) {
        if !self.parked.iter().is_sorted_by_key(|parked| parked.waiting.since) {
            self.parked.make_contiguous().sort_by_key(|parked| parked.waiting.since);
        }
    }

    /// Takes in what is held now, and takes those commands out that need not wait any longer.
    pub(super) fn sort(&mut self, held: HeldLocks) -> Sorted {
        let before = std::mem::take(&mut self.held);
        self.note(held);
        let (mut sorted, mut behind) = (Sorted::default(), HashSet::new());
        for Parked { waiting, needs, handovers, .. } in std::mem::take(&mut self.parked) {
            let wallet = wallet_of(&waiting).cloned();
            let holders = || needs.iter().filter_map(|lock| Some((lock, self.held.get(lock)?)));
            // Who takes a whole table holds it for long: a queue for it would keep all others waiting.
            let changed = |(lock, holder): (&Lock, &u64)| {
                !matches!(lock, Lock::Table(_)) && before.get(lock).is_some_and(|before| before != holder)
            };
            let handovers = if holders().all(changed) { handovers + 1 } else { 0 };
            let is_behind = wallet.as_ref().is_some_and(|user| behind.contains(user));
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

    /// If a lock kept the query itself waiting, everything counts as held: commands that have waited long
    /// enough are taken out.
    pub(super) fn sort_unknown(&mut self) -> Sorted {
        self.look_at = Some(Instant::now() + LOOK_EVERY);
        let (late, parked) = std::mem::take(&mut self.parked)
            .into_iter()
            .partition::<Vec<_>, _>(|parked| parked.waiting.since.elapsed() >= WAIT_MAX);
        self.parked = parked.into();
        Sorted { late: late.into_iter().map(|parked| parked.waiting).collect(), ..Sorted::default() }
    }

    /// The database does not answer: no command waits any longer.
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
    wanted.locks(job.tables().iter().copied().chain(kept))
}

/// The owner of the wallet that a charge or a use changes: those of one wallet are decided in the order in which they came.
fn wallet_of(waiting: &Waiting) -> Option<&UserId> {
    waiting.job.get().wallet()
}
