//! What the commits of this process sold and admitted in the last minute, by second.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_domain::time::Timestamp;
use parking_lot::Mutex;

use crate::desk::Observer;
use crate::store::{StoreError, Unit};

/// Length of the window, in seconds.
pub(super) const WINDOW_SECONDS: i64 = 60;

/// Seconds in which something happened, each with its count, in ascending order.
pub(super) type Seconds = VecDeque<(i64, u64)>;

/// The second of an instant.
pub(super) fn second(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1_000)
}

/// Counts of the last minute before an instant.
pub(super) fn sum<'a>(seconds: impl IntoIterator<Item = &'a (i64, u64)>, at: Timestamp) -> u64 {
    let from = second(at) - WINDOW_SECONDS;
    seconds.into_iter().filter(|(second, _)| *second > from).map(|(_, count)| count).sum()
}

/// Counts of the last minute. Costs memory for each performance and each room in which something happened in that minute.
#[derive(Debug, Default)]
pub struct Recent {
    /// Held for one addition or for a copy. No other lock is taken meanwhile.
    counts: Mutex<Counts>,
    /// Number of additions so far. `Relaxed`: a reader that misses one finds it half a second later.
    additions: AtomicU64,
}

/// What happened in the last minute.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Seats that were paid.
    pub(super) sold: HashMap<PerformanceId, Seconds>,
    /// Users who were admitted.
    pub(super) admitted: HashMap<ConcertId, Seconds>,
}

fn add<K: Eq + Hash>(counts: &mut HashMap<K, Seconds>, key: K, at: Timestamp, count: u64) {
    let (seconds, now) = (counts.entry(key).or_default(), second(at));
    // Units of several lanes may come a little out of order.
    let place = seconds.partition_point(|(second, _)| *second < now);
    match seconds.get_mut(place) {
        Some((second, known)) if *second == now => *known += count,
        _ => seconds.insert(place, (now, count)),
    }
    forget_old(seconds, at);
}

fn forget_old(seconds: &mut Seconds, at: Timestamp) {
    let from = second(at) - WINDOW_SECONDS;
    while seconds.front().is_some_and(|(second, _)| *second <= from) {
        seconds.pop_front();
    }
}

impl Recent {
    /// The counts of the last minute before an instant.
    pub(super) fn counts(&self, at: Timestamp) -> Counts {
        let mut counts = self.counts.lock();
        let Counts { sold, admitted } = &mut *counts;
        sold.retain(|_, seconds| {
            forget_old(seconds, at);
            !seconds.is_empty()
        });
        admitted.retain(|_, seconds| {
            forget_old(seconds, at);
            !seconds.is_empty()
        });
        counts.clone()
    }

    /// Number of additions so far: another number means that there is something new to publish.
    pub(super) fn additions(&self) -> u64 {
        self.additions.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Observer for Recent {
    fn committed(&self, unit: &Unit) {
        let rows = &unit.rows;
        let mut admitted = rows.turns.added().map(|((concert, _), _)| *concert).peekable();
        if rows.payments.is_empty() && admitted.peek().is_none() {
            return;
        }
        let mut counts = self.counts.lock();
        for payment in &rows.payments {
            add(&mut counts.sold, payment.performance, unit.at, payment.seats.len() as u64);
        }
        for concert in admitted {
            add(&mut counts.admitted, concert, unit.at, 1);
        }
        drop(counts);
        self.additions.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts of a unit whose outcome is unknown are missing. They are figures for people, and no decision uses them.
    async fn recover(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000 + 999)
    }

    #[test]
    fn counts_are_of_the_last_sixty_seconds() {
        let mut counts: HashMap<u8, Seconds> = HashMap::new();
        for (second, count) in [(100, 1), (102, 2), (101, 4), (102, 8), (159, 16)] {
            add(&mut counts, 1, at(second), count);
        }
        let seconds = &counts[&1];
        assert_eq!(seconds.iter().copied().collect::<Vec<_>>(), [(100, 1), (101, 4), (102, 10), (159, 16)]);
        for (now, expected) in [(159, 31), (160, 30), (161, 26), (162, 16), (218, 16), (219, 0)] {
            assert_eq!(sum(seconds, at(now)), expected, "at {now}");
        }
        add(&mut counts, 1, at(161), 1);
        assert_eq!(counts[&1].front(), Some(&(102, 10)), "older seconds are forgotten");
    }
}
