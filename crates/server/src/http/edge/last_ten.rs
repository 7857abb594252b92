//! Limits of ten a minute: on sign-ins to the back office, and on wrong presale codes. By hand, because [`super::limit::Limiter`]
//! allows a burst of twice its rate: this one keeps the last instants of each client, so it is exact.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The most of a client within [`SPAN`]. Those beyond it are not counted.
const TIMES_MAX: usize = 10;

const SPAN: Duration = Duration::from_secs(60);

/// The most clients that are remembered. One more replaces the one that has been quiet longest.
const CLIENTS_MAX: usize = 4_096;

/// The last instants of each client.
#[derive(Debug)]
pub(super) struct LastTen<K> {
    /// Ascending instants of a client, at most [`TIMES_MAX`]. Held for one lookup, or for a walk over all clients if there are too
    /// many.
    by_client: Mutex<HashMap<K, VecDeque<Instant>>>,
}

impl<K> Default for LastTen<K> {
    fn default() -> Self {
        Self { by_client: Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone> LastTen<K> {
    /// Counts once more for a client.
    ///
    /// # Errors
    /// The seconds (1 or more) until the next one is allowed.
    pub(super) fn check(&self, client: &K) -> Result<(), u32> {
        self.count(client, Instant::now())
    }

    /// Checks whether the next one is allowed, without counting it.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(super) fn would_allow(&self, client: &K) -> Result<(), u32> {
        let by_client = self.by_client.lock();
        by_client.get(client).map_or(Ok(()), |last| judge(last, Instant::now()))
    }

    fn count(&self, client: &K, now: Instant) -> Result<(), u32> {
        let mut by_client = self.by_client.lock();
        if by_client.len() >= CLIENTS_MAX && !by_client.contains_key(client) {
            by_client.retain(|_, last| last.back().is_some_and(|at| now.duration_since(*at) < SPAN));
            let quietest =
                by_client.iter().min_by_key(|(_, last)| last.back().copied()).map(|(client, _)| client.clone());
            if let Some(quietest) = quietest.filter(|_| by_client.len() >= CLIENTS_MAX) {
                by_client.remove(&quietest);
            }
        }
        let last = by_client.entry(client.clone()).or_default();
        judge(last, now)?;
        if last.len() == TIMES_MAX {
            last.pop_front();
        }
        last.push_back(now);
        Ok(())
    }
}

/// Whether one more is allowed after these.
fn judge(last: &VecDeque<Instant>, now: Instant) -> Result<(), u32> {
    let first = last.front().filter(|_| last.len() == TIMES_MAX);
    let free_in = first.and_then(|first| SPAN.checked_sub(now.duration_since(*first))).filter(|left| !left.is_zero());
    match free_in {
        Some(left) => Err(u32::try_from(left.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn address(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(number).into()
    }

    #[test]
    fn an_address_signs_in_ten_times_within_any_minute() {
        let (sign_ins, began) = (LastTen::default(), Instant::now());
        let at = |millis| began + Duration::from_millis(millis);
        for number in 0..10 {
            assert_eq!(sign_ins.count(&address(1), at(number * 1_000)), Ok(()));
        }
        assert_eq!(sign_ins.count(&address(1), at(9_000)), Err(51));
        assert_eq!(sign_ins.count(&address(2), at(9_000)), Ok(()), "another address has its own");
        assert_eq!(sign_ins.count(&address(1), at(59_999)), Err(1));
        assert_eq!(sign_ins.count(&address(1), at(60_000)), Ok(()), "the first is a minute ago");
        assert_eq!(sign_ins.count(&address(1), at(60_000)), Err(1), "the second is not");
        assert_eq!(sign_ins.count(&address(1), at(61_000)), Ok(()));
        assert_eq!(sign_ins.would_allow(&address(2)), Ok(()), "one counts for nothing yet");
    }

    #[test]
    fn the_number_of_remembered_addresses_is_bounded() {
        let (sign_ins, now) = (LastTen::default(), Instant::now());
        for number in 0..5_000 {
            assert_eq!(sign_ins.count(&address(number), now + Duration::from_millis(number.into())), Ok(()));
        }
        assert_eq!(sign_ins.by_client.lock().len(), CLIENTS_MAX);
        for _ in 0..9 {
            assert_eq!(sign_ins.count(&address(4_999), now + Duration::from_secs(5)), Ok(()));
        }
        assert!(sign_ins.count(&address(4_999), now + Duration::from_secs(5)).is_err(), "a busy one is remembered");
    }
}
