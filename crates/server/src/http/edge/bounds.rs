//! How many connections there may be, in all and of one address, and what happens beyond.
//!
//! A connection takes a *place*. If all places are taken, the new connection gets the place of one that has been idle
//! for longest; which one that is, is found with the second-chance algorithm (a hand goes round and takes the first
//! connection that had no request since the last visit), so that a request costs nothing here. If no connection is
//! idle, the new one gets a *reserved* place: it may ask how the server is and is refused everything else, so that a
//! supervisor does not stop a server that is only busy. Beyond that, connections wait in the system's listen queue.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use slab::Slab;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::pulse::Pulse;
use super::reached::{Bound, Outcome, Reached};
use crate::http::edge::address::network_of;
use crate::http::problem::{Code, Problem};

/// A connection is closed for another only if it had no request for this long.
const IDLE_MIN: Duration = Duration::from_secs(1);

/// The most connections that the hand looks at for one newcomer: a bound on the time under the lock.
const LOOKS_MAX: usize = 64;

/// Places for connections that may only ask how the server is.
const RESERVED_MAX: usize = 64;

/// The limits on connections.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimits {
    /// Connections at once.
    pub(crate) connections_max: usize,
    /// Connections at once of one client address (IPv6: of one /64 network).
    pub(crate) per_address_max: usize,
    /// Networks whose addresses have no limit of their own, because many clients come through them.
    pub(crate) exempt: Vec<IpNet>,
}

/// All connections, and the limits on them.
pub(super) struct Bounds {
    limits: ConnectionLimits,
    /// Guards who has which place. Held for a bounded number of steps, never over an await.
    open: Mutex<Open>,
    /// Wakes the accept loop when a place becomes free.
    freed: Notify,
    reached: Arc<Reached>,
}

#[derive(Default)]
struct Open {
    places: Slab<Taken>,
    /// Places of each address that is limited; an address without a place has no entry.
    addresses: HashMap<IpAddr, usize>,
    reserved: usize,
    /// The next place that the hand looks at.
    hand: usize,
}

/// A place that is taken, as the hand sees it.
struct Taken {
    pulse: Arc<Pulse>,
    address: Option<IpAddr>,
    /// What the pulse was at the hand's last visit, and when that was; at first, when the connection came.
    seen: (u64, Instant),
}

/// A connection's place; free again when dropped.
pub(super) struct Place {
    bounds: Arc<Bounds>,
    kind: Kind,
    pub(super) pulse: Arc<Pulse>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ordinary(usize),
    /// Why the connection has no ordinary place.
    Reserved(Refused),
}

/// Why a connection may only ask how the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Each place is taken, and no connection is idle.
    Full,
    /// The client's address has all the places that one address may have.
    AddressFull,
}

impl Refused {
    /// The answer to everything but how the server is.
    pub(super) fn problem(self) -> Problem {
        let (code, detail) = match self {
            Self::Full => (Code::Overloaded, "the server has as many connections as it may; nothing was done"),
            Self::AddressFull => (Code::TooManyRequests, "this address has as many connections as it may"),
        };
        Problem::new(code).detail(detail)
    }
}

impl Bounds {
    pub(super) fn new(limits: ConnectionLimits, reached: Arc<Reached>) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default(), freed: Notify::new(), reached })
    }

    /// A place for a connection from this address; waits until there is one.
    pub(super) async fn place(self: &Arc<Self>, peer: IpAddr) -> Place {
        loop {
            // Created before the attempt, so that a place that becomes free in between is not missed.
            let freed = self.freed.notified();
            if let Some(place) = self.try_place(peer, Instant::now()) {
                return place;
            }
            freed.await;
        }
    }

    fn try_place(self: &Arc<Self>, peer: IpAddr, now: Instant) -> Option<Place> {
        let address = self.limited(peer);
        let mut open = self.lock();
        let of_address = address.and_then(|address| open.addresses.get(&address)).copied().unwrap_or(0);
        let refused = if of_address >= self.limits.per_address_max {
            self.reached.note(Bound::ConnectionsPerAddress, Outcome::Refused);
            Some(Refused::AddressFull)
        } else if open.places.len() < self.limits.connections_max {
            None
        } else if self.evict(&mut open, now) {
            self.reached.note(Bound::Connections, Outcome::IdleClosed);
            None
        } else {
            self.reached.note(Bound::Connections, Outcome::Refused);
            Some(Refused::Full)
        };
        let pulse = Arc::new(Pulse::default());
        let kind = match refused {
            None => Kind::Ordinary(open.take(Taken { pulse: pulse.clone(), address, seen: (0, now) })),
            Some(refused) if open.reserved < RESERVED_MAX => {
                open.reserved += 1;
                Kind::Reserved(refused)
            }
            Some(_) => return None,
        };
        drop(open);
        Some(Place { bounds: self.clone(), kind, pulse })
    }

    /// Closes one idle connection, if there is one: the process has no file descriptor left for a newcomer.
    pub(super) fn make_room(&self) {
        let is_closed = self.evict(&mut self.lock(), Instant::now());
        self.reached.note(Bound::OpenFiles, if is_closed { Outcome::IdleClosed } else { Outcome::Refused });
    }

    /// Takes the place of a connection that had no request between two visits of the hand.
    fn evict(&self, open: &mut Open, now: Instant) -> bool {
        for _ in 0..LOOKS_MAX.min(open.places.len()) {
            let at = open.next();
            let Some(taken) = open.places.get_mut(at) else { continue };
            let beats = taken.pulse.beats();
            let (seen, since) = taken.seen;
            if taken.pulse.is_active() || beats != seen {
                taken.seen = (beats, now);
            } else if now.duration_since(since) >= IDLE_MIN {
                if let Some(taken) = open.free(at) {
                    taken.pulse.evict();
                }
                return true;
            }
        }
        false
    }

    /// The address that a connection is counted under, if it is.
    fn limited(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        (!self.limits.exempt.iter().any(|network| network.contains(&peer))).then(|| network_of(peer))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn take(&mut self, taken: Taken) -> usize {
        if let Some(address) = taken.address {
            *self.addresses.entry(address).or_default() += 1;
        }
        self.places.insert(taken)
    }

    fn free(&mut self, at: usize) -> Option<Taken> {
        let taken = self.places.try_remove(at)?;
        if let Some(address) = taken.address
            && let Some(count) = self.addresses.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
        Some(taken)
    }

    /// Moves the hand on, and returns where it was.
    fn next(&mut self) -> usize {
        let at = self.hand;
        self.hand = if at + 1 < self.places.capacity() { at + 1 } else { 0 };
        at
    }
}

impl Place {
    /// Why the connection may only ask how the server is; `None` if it may ask anything.
    pub(super) fn refused(&self) -> Option<Refused> {
        match self.kind {
            Kind::Ordinary(_) => None,
            Kind::Reserved(refused) => Some(refused),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.bounds.lock();
        match self.kind {
            Kind::Reserved(_) => open.reserved -= 1,
            // An evicted connection's place may belong to another by now.
            Kind::Ordinary(at) if open.places.get(at).is_some_and(|taken| Arc::ptr_eq(&taken.pulse, &self.pulse)) => {
                open.free(at);
            }
            Kind::Ordinary(_) => {}
        }
        drop(open);
        self.bounds.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::super::pulse::Busy;
    use super::*;

    fn bounds(connections_max: usize, per_address_max: usize) -> Arc<Bounds> {
        let exempt = vec!["127.0.0.0/8".parse().unwrap()];
        Bounds::new(ConnectionLimits { connections_max, per_address_max, exempt }, Arc::default())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_connection_idle_for_longest_gives_its_place_to_a_new_one() {
        let (bounds, now) = (bounds(3, 9), Instant::now());
        let silent = bounds.try_place(ip("127.0.0.1"), now).unwrap();
        let busy = bounds.try_place(ip("127.0.0.1"), now).unwrap();
        let _request = Busy::begin(&busy.pulse);
        let used = bounds.try_place(ip("127.0.0.1"), now).unwrap();
        drop(Busy::begin(&used.pulse));

        let too_soon = bounds.try_place(ip("127.0.0.1"), now).unwrap();
        assert_eq!(too_soon.refused(), Some(Refused::Full), "none was idle for long enough");
        let later = now + IDLE_MIN;
        let new = bounds.try_place(ip("127.0.0.1"), later).unwrap();
        assert_eq!(new.refused(), None);
        assert!(silent.pulse.is_evicted() && !busy.pulse.is_evicted() && !used.pulse.is_evicted());
        drop(silent);
        assert_eq!(bounds.lock().places.len(), 3, "the place belongs to the new connection");
    }

    #[test]
    fn busy_connections_keep_their_places_and_newcomers_get_a_reserved_one() {
        let (bounds, now) = (bounds(1, 9), Instant::now());
        let busy = bounds.try_place(ip("127.0.0.1"), now).unwrap();
        let _request = Busy::begin(&busy.pulse);
        let later = now + 10 * IDLE_MIN;
        let reserved: Vec<Place> = (0..RESERVED_MAX).filter_map(|_| bounds.try_place(ip("127.0.0.1"), later)).collect();
        assert!(reserved.iter().all(|place| place.refused() == Some(Refused::Full)));
        assert_eq!(reserved.len(), RESERVED_MAX);
        assert!(bounds.try_place(ip("127.0.0.1"), later).is_none(), "beyond that a connection waits");
        drop(reserved);
        assert!(bounds.try_place(ip("127.0.0.1"), later).is_some());
    }

    #[test]
    fn an_address_has_a_share_of_the_places() {
        let (bounds, now) = (bounds(10, 2), Instant::now());
        let table = [
            ("203.0.113.1", None),
            ("203.0.113.1", None),
            ("203.0.113.1", Some(Refused::AddressFull)),
            ("::ffff:203.0.113.1", Some(Refused::AddressFull)),
            ("203.0.113.2", None),
            ("2001:db8::1", None),
            ("2001:db8::2", None),
            ("2001:db8::3", Some(Refused::AddressFull)),
            ("2001:db8:0:1::1", None),
            ("127.0.0.1", None),
            ("127.0.0.1", None),
            ("127.0.0.1", None),
        ];
        let mut places = Vec::new();
        for (address, refused) in table {
            let place = bounds.try_place(ip(address), now).unwrap();
            assert_eq!(place.refused(), refused, "{address}");
            places.push(place);
        }
        places.clear();
        assert!(bounds.lock().addresses.is_empty(), "an address without connections is forgotten");
        assert_eq!(bounds.try_place(ip("203.0.113.1"), now).unwrap().refused(), None);
    }
}
