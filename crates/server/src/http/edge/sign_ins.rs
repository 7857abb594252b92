//! The limit on sign-ins to the back office. By hand, because [`super::limit::Limiter`] allows a burst of twice its rate: this
//! one keeps the instants of the last sign-ins of an address, so it is exact.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The most sign-ins of an address within [`SPAN`]. Those beyond it, and those of foreign pages, are not counted.
const SIGN_INS_MAX: usize = 10;

const SPAN: Duration = Duration::from_secs(60);

/// The most addresses that are remembered. One more replaces the one that has been quiet longest.
const ADDRESSES_MAX: usize = 4_096;

/// The last sign-ins of each address.
#[derive(Debug, Default)]
pub(super) struct SignIns {
    /// Ascending instants of an address, at most [`SIGN_INS_MAX`]. Held for one lookup, or for a walk over all addresses if
    /// there are too many.
    by_address: Mutex<HashMap<IpAddr, VecDeque<Instant>>>,
}

impl SignIns {
    /// Counts one sign-in of an address.
    ///
    /// # Errors
    /// The seconds (1 or more) until the next one is allowed.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), u32> {
        self.count(address, Instant::now())
    }

    fn count(&self, address: IpAddr, now: Instant) -> Result<(), u32> {
        let mut by_address = self.by_address.lock();
        if by_address.len() >= ADDRESSES_MAX && !by_address.contains_key(&address) {
            by_address.retain(|_, last| last.back().is_some_and(|at| now.duration_since(*at) < SPAN));
            let quietest = by_address.iter().min_by_key(|(_, last)| last.back().copied()).map(|(address, _)| *address);
            if let Some(quietest) = quietest.filter(|_| by_address.len() >= ADDRESSES_MAX) {
                by_address.remove(&quietest);
            }
        }
        let last = by_address.entry(address).or_default();
        if last.len() == SIGN_INS_MAX
            && let Some(free_in) = last.front().and_then(|first| SPAN.checked_sub(now.duration_since(*first)))
            && !free_in.is_zero()
        {
            return Err(u32::try_from(free_in.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1));
        }
        if last.len() == SIGN_INS_MAX {
            last.pop_front();
        }
        last.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(number).into()
    }

    #[test]
    fn an_address_signs_in_ten_times_within_any_minute() {
        let (sign_ins, began) = (SignIns::default(), Instant::now());
        let at = |millis| began + Duration::from_millis(millis);
        for number in 0..10 {
            assert_eq!(sign_ins.count(address(1), at(number * 1_000)), Ok(()));
        }
        assert_eq!(sign_ins.count(address(1), at(9_000)), Err(51));
        assert_eq!(sign_ins.count(address(2), at(9_000)), Ok(()), "another address has its own");
        assert_eq!(sign_ins.count(address(1), at(59_999)), Err(1));
        assert_eq!(sign_ins.count(address(1), at(60_000)), Ok(()), "the first is a minute ago");
        assert_eq!(sign_ins.count(address(1), at(60_000)), Err(1), "the second is not");
        assert_eq!(sign_ins.count(address(1), at(61_000)), Ok(()));
    }

    #[test]
    fn the_number_of_remembered_addresses_is_bounded() {
        let (sign_ins, now) = (SignIns::default(), Instant::now());
        for number in 0..5_000 {
            assert_eq!(sign_ins.count(address(number), now + Duration::from_millis(number.into())), Ok(()));
        }
        assert_eq!(sign_ins.by_address.lock().len(), ADDRESSES_MAX);
        for _ in 0..9 {
            assert_eq!(sign_ins.count(address(4_999), now + Duration::from_secs(5)), Ok(()));
        }
        assert!(sign_ins.count(address(4_999), now + Duration::from_secs(5)).is_err(), "a busy one is remembered");
    }
}
