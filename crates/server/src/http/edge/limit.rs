//! Rate limits: a bounded table of clients, each with its remaining rate (GCRA).

use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Instant;

use parking_lot::Mutex;

use crate::settings::RateLimit;

/// The size of the table: groups of slots, each with a lock of its own. 64 Ki clients in 2 MiB.
const GROUPS: usize = 4_096;
const GROUP: usize = 16;

/// The longest `Retry-After`, in spans after the next free instant; at least a minute. A crowd whose clients wait as
/// `Retry-After` is served within that: 20,000 visitors with 3,000 entries a minute take five minutes.
const PROMISED_SPANS: u64 = 10;
const MINUTE: u64 = 60_000_000;

/// In microseconds. A bucket whose promises ran out of the longest `Retry-After` has clients that ignore it. For this time
/// its `Retry-After` is at most a minute, so that the other clients of the bucket do not wait long because of them.
const DISTRUSTED_FOR: u64 = 10 * MINUTE;

/// A client's bucket. Instants are microseconds since the limiter was made.
#[derive(Clone, Copy, Default)]
struct Entry {
    client: u64,
    /// The instant up to which its requests are counted.
    used_until: u64,
    /// The last instant that was given to a refused request as `Retry-After`, each request its own.
    promised_until: u64,
    /// Until this instant `Retry-After` is at most a minute.
    distrusted_until: u64,
}

/// Whether a bucket belongs to one client, or to all clients behind an address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bucket {
    Own,
    Shared,
}

impl Entry {
    /// The next instant from `free_at` on that no refused request was given. If they reach further ahead than `longest`,
    /// in microseconds, they are given again from the first on.
    fn promise(&mut self, now: u64, free_at: u64, longest: u64) -> u64 {
        let reach = if now < self.distrusted_until { longest.min(MINUTE) } else { longest };
        if self.promised_until <= free_at + reach {
            return self.promised_until.max(free_at);
        }
        self.distrusted_until = now + DISTRUSTED_FOR;
        free_at
    }
}

/// Limits requests by client address, or by user.
pub(crate) struct Limiter {
    limit: RateLimit,
    began: Instant,
    hasher: RandomState,
    /// Each lock guards the clients of one group; held for a scan of 16 entries, never with another lock.
    groups: Box<[Mutex<[Entry; GROUP]>]>,
}

impl Limiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let groups = if limit.requests == 0 { 0 } else { GROUPS };
        let groups = (0..groups).map(|_| Mutex::new([Entry::default(); GROUP])).collect();
        Self { limit, began: Instant::now(), hasher: RandomState::new(), groups }
    }

    /// Whether there is a limit at all.
    pub(crate) fn is_on(&self) -> bool {
        self.limit.requests > 0
    }

    /// Whether loopback clients are limited too.
    pub(crate) fn limits_loopback(&self) -> bool {
        self.limit.loopback
    }

    /// Counts one request of a client that has the bucket to itself.
    ///
    /// # Errors
    /// The seconds (1 or more) until the next request is allowed.
    pub(crate) fn check(&self, client: &impl Hash) -> Result<(), u32> {
        self.count(client, Bucket::Own)
    }

    /// Counts one request in a bucket that many clients may share.
    ///
    /// # Errors
    /// The seconds (1 or more) until this client may try again. Each refusal gets an instant of its own, so that clients
    /// that respect `Retry-After` do not return at the same time.
    pub(crate) fn check_shared(&self, client: &impl Hash) -> Result<(), u32> {
        self.count(client, Bucket::Shared)
    }

    /// Checks whether the next request would be allowed, without counting it.
    ///
    /// # Errors
    /// As [`Self::check_shared`].
    pub(crate) fn would_allow(&self, client: &impl Hash) -> Result<(), u32> {
        if !self.is_on() {
            return Ok(());
        }
        self.take(self.hasher.hash_one(client), self.now(), 0, Bucket::Shared)
    }

    fn count(&self, client: &impl Hash, bucket: Bucket) -> Result<(), u32> {
        if !self.is_on() {
            return Ok(());
        }
        self.take(self.hasher.hash_one(client), self.now(), self.cost(), bucket)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The length of a span, in microseconds.
    fn span(&self) -> u64 {
        1_000_000 * u64::from(self.limit.span_seconds)
    }

    /// The time between two requests at the full rate, in microseconds.
    fn cost(&self) -> u64 {
        self.span() / u64::from(self.limit.requests.max(1))
    }

    /// Counts the request if the client has not used up the rate of its span and the burst.
    fn take(&self, client: u64, now: u64, added: u64, bucket: Bucket) -> Result<(), u32> {
        let (cost, burst) = (self.cost(), 2 * self.span());
        let group = usize::try_from(client % GROUPS as u64).unwrap_or(0);
        let mut group = self.groups[group].lock();
        let found = group.iter().position(|entry| entry.client == client);
        // A new client replaces the one that has been quiet longest.
        let quietest = || (0..GROUP).min_by_key(|index| group[*index].used_until).unwrap_or(0);
        let index = found.unwrap_or_else(quietest);
        let entry = &mut group[index];
        if found.is_none() {
            if added == 0 {
                return Ok(());
            }
            *entry = Entry { client, used_until: now, ..Entry::default() };
        }
        let next_used_until = entry.used_until.max(now) + cost;
        if next_used_until <= now + burst {
            if added > 0 {
                entry.used_until = next_used_until;
            }
            return Ok(());
        }
        let free_at = next_used_until - burst;
        let come_at = match bucket {
            Bucket::Own => free_at,
            Bucket::Shared => entry.promise(now, free_at, (PROMISED_SPANS * self.span()).max(MINUTE)),
        };
        entry.promised_until = come_at + cost;
        Err(u32::try_from((come_at - now).div_ceil(1_000_000)).unwrap_or(u32::MAX).max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use super::*;

    fn limiter(per_second: u32) -> Limiter {
        Limiter::new(RateLimit { requests: per_second, span_seconds: 1, loopback: false })
    }

    impl Limiter {
        fn own(&self, client: u64, now: u64) -> Result<(), u32> {
            self.take(client, now, self.cost(), Bucket::Own)
        }

        fn shared(&self, client: u64, now: u64) -> Result<(), u32> {
            self.take(client, now, self.cost(), Bucket::Shared)
        }
    }

    #[test]
    fn a_client_may_burst_then_keeps_its_rate() {
        let limiter = limiter(10);
        for _ in 0..20 {
            assert_eq!(limiter.own(7, 1_000_000), Ok(()));
        }
        assert_eq!(limiter.own(7, 1_000_000), Err(1));
        assert_eq!(limiter.own(8, 1_000_000), Ok(()), "another client has its own");
        assert_eq!(limiter.own(7, 1_100_000), Ok(()), "a tenth of a second allows one");
        assert_eq!(limiter.own(7, 1_100_000), Err(1));
    }

    #[test]
    fn a_full_table_forgets_the_client_that_was_quiet_longest() {
        let limiter = limiter(1);
        let neighbours = |index: u64| index * GROUPS as u64;
        assert_eq!((limiter.own(0, 0), limiter.own(0, 0), limiter.own(0, 0)), (Ok(()), Ok(()), Err(1)));
        for index in 1..=GROUP as u64 {
            assert_eq!(limiter.own(neighbours(index), 10), Ok(()));
        }
        assert_eq!(limiter.own(0, 20), Err(1), "one that hammers is not the quietest");
    }

    /// How often each client of a crowd is refused that comes at once, if each comes back exactly at its instant.
    fn refusals(limiter: &Limiter, crowd: usize) -> Vec<u32> {
        let mut coming: BinaryHeap<Reverse<(u64, u32)>> = (0..crowd).map(|_| Reverse((0, 0))).collect();
        let mut refusals = Vec::new();
        while let Some(Reverse((at, refused))) = coming.pop() {
            match limiter.shared(7, at) {
                Ok(()) => refusals.push(refused),
                Err(seconds) => coming.push(Reverse((at + u64::from(seconds) * 1_000_000, refused + 1))),
            }
        }
        refusals
    }

    #[test]
    fn clients_of_one_bucket_that_obey_are_refused_once() {
        let refusals = refusals(&limiter(100), 1_000);
        assert_eq!(refusals.iter().max(), Some(&1), "each of them is refused once at most");
        assert_eq!(refusals.iter().sum::<u32>(), 800, "200 pass as a burst");
    }

    #[test]
    fn twenty_thousand_clients_of_one_address_that_obey_are_refused_once() {
        let a_minute = Limiter::new(RateLimit { requests: 3_000, span_seconds: 60, loopback: false });
        let refusals = refusals(&a_minute, 20_000);
        assert_eq!(refusals.iter().max(), Some(&1), "each of them is refused once at most");
        assert_eq!(refusals.iter().sum::<u32>(), 14_000, "6,000 pass as a burst");
    }

    #[test]
    fn clients_that_ignore_the_wait_do_not_push_it_away() {
        let limiter = limiter(100);
        let longest = (0..100_000).filter_map(|_| limiter.shared(7, 0).err()).max();
        assert!(longest <= Some(61), "a minute ahead at most: {longest:?}");
        assert_eq!(limiter.own(7, 0), Err(1), "a bucket of one client is free when it is free");

        // One client calls a hundred times a second, for ten minutes.
        let a_minute = Limiter::new(RateLimit { requests: 300, span_seconds: 60, loopback: false });
        let waits: Vec<(u64, u32)> = (0..60_000)
            .filter_map(|call| a_minute.shared(7, call * 10_000).err().map(|seconds| (call / 100, seconds)))
            .collect();
        let longest = |from: u64, to: u64| {
            waits.iter().filter(|(second, _)| (from..to).contains(second)).map(|(_, seconds)| *seconds).max()
        };
        assert!(longest(0, 600) <= Some(601), "ten minutes at most: {:?}", longest(0, 600));
        assert!(longest(60, 600) <= Some(61), "a minute at most soon after: {:?}", longest(60, 600));
    }

    #[test]
    fn a_check_that_counts_nothing_costs_nothing() {
        let limiter = limiter(1);
        for _ in 0..10 {
            assert_eq!(limiter.take(7, 0, 0, Bucket::Shared), Ok(()));
        }
        assert_eq!((limiter.own(7, 0), limiter.own(7, 0)), (Ok(()), Ok(())));
        assert_eq!(limiter.take(7, 0, 0, Bucket::Shared), Err(1));
    }
}
