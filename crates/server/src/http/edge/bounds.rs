//! How many connections there may be, in all and of one address, and what happens beyond.
//!
//! A connection takes a *place*. If all places are taken, the new connection gets the place of one that is idle; which
//! one that is, is found with the second-chance algorithm (a hand goes round and takes the first connection that had no
//! request since the last visit), so that a request costs nothing here. A client address that has all the places that it
//! may have, gives up one of its own idle connections in the same way. If none is idle, the new connection gets a
//! *reserved* place: it may ask how the server is and is refused everything else, so that a supervisor does not stop a
//! server that is only busy. If those are taken too, a silent connection in one of them is closed; if none is silent, the
//! new one is closed. Nothing here waits, so no client keeps the server from accepting others.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::time::Instant;

use super::address::network_of;
use super::pulse::Pulse;
use super::reached::{Bound, Outcome, Reached};
use super::ring::Ring;
use crate::http::problem::{Code, Problem};

/// A connection is closed for another only if it had no request for this long.
const IDLE_MIN: Duration = Duration::from_secs(1);

/// The most connections that a hand visits for one newcomer: a bound on the time under the lock.
const VISITS_MAX: usize = 64;

/// Places for connections that may only ask how the server is, because the server is full.
const RESERVED_MAX: usize = 64;

/// The same for connections whose address is full. They have places of their own: one address cannot take those that
/// everyone else needs.
const RESERVED_OF_FULL_ADDRESSES_MAX: usize = 16;

/// Seconds after which a client of a full address may connect again, at most; a random number up to this, so that the
/// clients behind an address do not all come back at once.
const RETRY_SECONDS_MAX: u32 = 5;

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
    reached: Arc<Reached>,
}

#[derive(Default)]
struct Open {
    places: Ring<Taken>,
    /// The numbers of the places of each address that is limited; an address without a place has no entry.
    addresses: HashMap<IpAddr, Ring<usize>>,
    /// Connections in reserved places, the oldest first.
    reserved: VecDeque<Arc<Pulse>>,
    reserved_of_full_addresses: VecDeque<Arc<Pulse>>,
}

/// A place that is taken, as a hand sees it.
struct Taken {
    pulse: Arc<Pulse>,
    /// The address that the connection is counted under, and its number there.
    address: Option<(IpAddr, usize)>,
    /// What the pulse was at a hand's last visit, and when that was; at first, when the connection came.
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
        Problem::new(code).detail(detail).retry_after(rand::random_range(1..=RETRY_SECONDS_MAX))
    }
}

impl Bounds {
    pub(super) fn new(limits: ConnectionLimits, reached: Arc<Reached>) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default(), reached })
    }

    /// A place for a connection from this address; `None` if there is not even a reserved one.
    pub(super) fn place(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        self.place_at(peer, Instant::now())
    }

    fn place_at(self: &Arc<Self>, peer: IpAddr, now: Instant) -> Option<Place> {
        let address = self.limited(peer);
        let pulse = Arc::new(Pulse::default());
        let mut open = self.lock();
        let (reached, refused) = self.make_place(&mut open, address, now);
        let kind = match refused {
            None => Some(Kind::Ordinary(open.take(pulse.clone(), address, now))),
            Some(refused) => open.reserve(refused, &pulse).then_some(Kind::Reserved(refused)),
        };
        // Counts and logs, which takes locks of its own.
        drop(open);
        if let Some((bound, outcome)) = reached {
            self.reached.note(bound, outcome);
        }
        kind.map(|kind| Place { bounds: self.clone(), kind, pulse })
    }

    /// Sees that there is a free place, if need be that of an idle connection. Returns the bound that was reached, and
    /// why there is no place.
    fn make_place(&self, open: &mut Open, address: Option<IpAddr>, now: Instant) -> (Met, Option<Refused>) {
        let of_address = address.and_then(|address| open.addresses.get(&address)).map_or(0, Ring::len);
        if let Some(address) = address.filter(|_| of_address >= self.limits.per_address_max) {
            return if open.evict_of(address, now) {
                (Some((Bound::ConnectionsPerAddress, Outcome::IdleClosed)), None)
            } else {
                (Some((Bound::ConnectionsPerAddress, Outcome::Refused)), Some(Refused::AddressFull))
            };
        }
        if open.places.len() < self.limits.connections_max {
            (None, None)
        } else if open.evict(now) {
            (Some((Bound::Connections, Outcome::IdleClosed)), None)
        } else {
            (Some((Bound::Connections, Outcome::Refused)), Some(Refused::Full))
        }
    }

    /// Closes one idle connection, if there is one: the process has no file descriptor left for a newcomer.
    pub(super) fn make_room(&self) {
        let is_closed = self.lock().evict(Instant::now());
        self.reached.note(Bound::OpenFiles, if is_closed { Outcome::IdleClosed } else { Outcome::Refused });
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

/// A bound that a newcomer met, and what followed.
type Met = Option<(Bound, Outcome)>;

impl Open {
    fn take(&mut self, pulse: Arc<Pulse>, address: Option<IpAddr>, now: Instant) -> usize {
        let at = self.places.insert(Taken { pulse, address: None, seen: (0, now) });
        if let Some(address) = address {
            let number = self.addresses.entry(address).or_default().insert(at);
            if let Some(taken) = self.places.get_mut(at) {
                taken.address = Some((address, number));
            }
        }
        at
    }

    fn free(&mut self, at: usize) {
        let Some(taken) = self.places.remove(at) else { return };
        let Some((address, number)) = taken.address else { return };
        if let Some(of_address) = self.addresses.get_mut(&address) {
            of_address.remove(number);
            if of_address.is_empty() {
                self.addresses.remove(&address);
            }
        }
    }

    /// Takes a reserved place; if all are taken, that of the oldest silent connection. Returns whether there was one.
    fn reserve(&mut self, refused: Refused, pulse: &Arc<Pulse>) -> bool {
        let (reserved, most) = self.reserved(refused);
        if reserved.len() >= most {
            let Some(silent) = reserved.iter().position(|pulse| !pulse.is_active()) else { return false };
            if let Some(pulse) = reserved.remove(silent) {
                pulse.evict();
            }
        }
        reserved.push_back(pulse.clone());
        true
    }

    fn reserved(&mut self, refused: Refused) -> (&mut VecDeque<Arc<Pulse>>, usize) {
        match refused {
            Refused::Full => (&mut self.reserved, RESERVED_MAX),
            Refused::AddressFull => (&mut self.reserved_of_full_addresses, RESERVED_OF_FULL_ADDRESSES_MAX),
        }
    }

    /// Takes the place of an idle connection. Returns whether there was one.
    fn evict(&mut self, now: Instant) -> bool {
        let found = (0..VISITS_MAX.min(self.places.len())).find_map(|_| {
            let at = self.places.hand();
            self.places.visit()?;
            self.is_idle(at, now).then_some(at)
        });
        self.evict_at(found)
    }

    /// Takes the place of an idle connection of this address. Returns whether there was one.
    fn evict_of(&mut self, address: IpAddr, now: Instant) -> bool {
        let of_address = self.addresses.get(&address).map_or(0, Ring::len);
        let found = (0..VISITS_MAX.min(of_address)).find_map(|_| {
            let at = *self.addresses.get_mut(&address)?.visit()?;
            self.is_idle(at, now).then_some(at)
        });
        self.evict_at(found)
    }

    fn evict_at(&mut self, found: Option<usize>) -> bool {
        let Some(at) = found else { return false };
        if let Some(taken) = self.places.get(at) {
            taken.pulse.evict();
        }
        self.free(at);
        true
    }

    /// Whether a connection had no request since a hand's last visit, for long enough.
    fn is_idle(&mut self, at: usize, now: Instant) -> bool {
        let Some(taken) = self.places.get_mut(at) else { return false };
        let beats = taken.pulse.beats();
        let (seen, since) = taken.seen;
        if taken.pulse.is_active() || beats != seen {
            taken.seen = (beats, now);
            return false;
        }
        now.duration_since(since) >= IDLE_MIN
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
        let is_own = |pulse: &Arc<Pulse>| Arc::ptr_eq(pulse, &self.pulse);
        match self.kind {
            Kind::Reserved(refused) => open.reserved(refused).0.retain(|pulse| !is_own(pulse)),
            // An evicted connection's place may belong to another by now.
            Kind::Ordinary(at) if open.places.get(at).is_some_and(|taken| is_own(&taken.pulse)) => open.free(at),
            Kind::Ordinary(_) => {}
        }
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
        let silent = bounds.place_at(ip("127.0.0.1"), now).unwrap();
        let busy = bounds.place_at(ip("127.0.0.1"), now).unwrap();
        let _request = Busy::begin(&busy.pulse);
        let used = bounds.place_at(ip("127.0.0.1"), now).unwrap();
        drop(Busy::begin(&used.pulse));

        let too_soon = bounds.place_at(ip("127.0.0.1"), now).unwrap();
        assert_eq!(too_soon.refused(), Some(Refused::Full), "none was idle for long enough");
        let later = now + IDLE_MIN;
        let new = bounds.place_at(ip("127.0.0.1"), later).unwrap();
        assert_eq!(new.refused(), None);
        assert!(silent.pulse.is_evicted() && !busy.pulse.is_evicted() && !used.pulse.is_evicted());
        drop(silent);
        assert_eq!(bounds.lock().places.len(), 3, "the place belongs to the new connection");
    }

    #[test]
    fn busy_connections_keep_their_places_and_newcomers_get_a_reserved_one() {
        let (bounds, now) = (bounds(1, 9), Instant::now());
        let busy = bounds.place_at(ip("127.0.0.1"), now).unwrap();
        let _request = Busy::begin(&busy.pulse);
        let later = now + 10 * IDLE_MIN;
        let newcomer = || bounds.place_at(ip("127.0.0.1"), later);
        let mut reserved: Vec<Place> = (0..RESERVED_MAX).filter_map(|_| newcomer()).collect();
        assert!(reserved.iter().all(|place| place.refused() == Some(Refused::Full)));
        assert_eq!(reserved.len(), RESERVED_MAX);

        reserved.push(newcomer().expect("the place of a silent one"));
        assert!(reserved[0].pulse.is_evicted() && !reserved[1].pulse.is_evicted());
        drop(reserved.remove(0));
        assert_eq!(bounds.lock().reserved.len(), RESERVED_MAX, "the place belongs to the newcomer");
        let requests: Vec<Busy> = reserved.iter().map(|place| Busy::begin(&place.pulse)).collect();
        assert!(newcomer().is_none(), "each reserved place is in use");
        drop((requests, reserved));
        assert!(newcomer().is_some());
    }

    #[test]
    fn each_idle_connection_makes_room_for_a_newcomer() {
        // 100 places in a vector with room for 128.
        let (bounds, now) = (bounds(100, 99), Instant::now());
        let mut places: Vec<Place> = (0..100).filter_map(|_| bounds.place_at(ip("127.0.0.1"), now)).collect();
        for number in 0..100 {
            let place = bounds.place_at(ip("127.0.0.1"), now + IDLE_MIN).unwrap();
            assert_eq!(place.refused(), None, "newcomer {number}");
            places.push(place);
        }
        assert!(places[..100].iter().all(|place| place.pulse.is_evicted()));
        assert!(places[100..].iter().all(|place| !place.pulse.is_evicted()));
    }

    #[test]
    fn a_full_address_gives_up_an_idle_connection_of_its_own() {
        let (bounds, now) = (bounds(10, 2), Instant::now());
        let other = bounds.place_at(ip("203.0.113.2"), now).unwrap();
        let first = bounds.place_at(ip("203.0.113.1"), now).unwrap();
        let second = bounds.place_at(ip("203.0.113.1"), now).unwrap();
        let request = Busy::begin(&first.pulse);
        let third = bounds.place_at(ip("203.0.113.1"), now + IDLE_MIN).unwrap();
        assert_eq!(third.refused(), None);
        assert!(second.pulse.is_evicted() && !first.pulse.is_evicted() && !other.pulse.is_evicted());
        let _request = Busy::begin(&third.pulse);
        let fourth = bounds.place_at(ip("203.0.113.1"), now + 2 * IDLE_MIN).unwrap();
        assert_eq!(fourth.refused(), Some(Refused::AddressFull));
        drop((request, second, fourth));
        assert_eq!(bounds.lock().addresses[&ip("203.0.113.1")].len(), 2, "the first and the third");
    }

    #[test]
    fn a_full_address_takes_no_reserved_place_of_others() {
        let (bounds, now) = (bounds(2, 1), Instant::now());
        let mut places: Vec<Place> = (0..200).filter_map(|_| bounds.place_at(ip("203.0.113.1"), now)).collect();
        assert_eq!(bounds.lock().reserved_of_full_addresses.len(), RESERVED_OF_FULL_ADDRESSES_MAX);
        let local = bounds.place_at(ip("127.0.0.1"), now).unwrap();
        assert_eq!(local.refused(), None, "an ordinary place is free");
        places.extend(bounds.place_at(ip("127.0.0.1"), now));
        assert_eq!(places.last().unwrap().refused(), Some(Refused::Full));
        places.clear();
        assert!(bounds.lock().addresses.is_empty() && bounds.lock().reserved_of_full_addresses.is_empty());
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
            let place = bounds.place_at(ip(address), now).unwrap();
            assert_eq!(place.refused(), refused, "{address}");
            places.push(place);
        }
        places.clear();
        assert!(bounds.lock().addresses.is_empty(), "an address without connections is forgotten");
        assert_eq!(bounds.place_at(ip("203.0.113.1"), now).unwrap().refused(), None);
    }
}
