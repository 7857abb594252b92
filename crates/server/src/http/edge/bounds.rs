//! Limits on connections, in all and by address, and what happens beyond them.
//!
//! A connection takes a *slot*. Beyond a limit:
//!
//! 1. If all slots are taken, the new connection gets the slot of an idle one. The second-chance algorithm finds it: a
//!    hand goes round and takes the first connection without a request since its last visit. So a request costs nothing.
//! 2. If an address has all its slots, one of its own idle connections is closed in the same way.
//! 3. If none is idle, the new connection gets a *reserved* slot. It may call the health checks and is refused
//!    everything else, so that a supervisor does not stop a server that is only busy.
//! 4. If the reserved slots are taken too, a silent connection in one of them is closed. If none is silent, the new one
//!    is closed.
//!
//! Nothing here waits, so no client can stop the server from accepting other clients.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::address::network_of;
use super::pulse::Pulse;
use super::reached::{Bound, Outcome, Reached};
use super::slots::{Refused, Slots};

/// The limits on connections.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimits {
    /// Maximum number of connections at once; one more has to wait for a slot or is closed.
    pub(crate) connections_max: usize,
    /// Connections at once of one client address (IPv6: of one /64 network).
    pub(crate) per_address_max: usize,
    /// Networks whose addresses have no limit of their own, because many clients come through them.
    pub(crate) exempt: Vec<IpNet>,
}

/// All connections, and the limits on them.
pub(super) struct Bounds {
    limits: ConnectionLimits,
    /// Guards who has which slot. Held for a bounded number of steps, never over an await.
    open: Mutex<Slots>,
    reached: Arc<Reached>,
}

/// A connection's slot; free again when dropped.
pub(super) struct Slot {
    bounds: Arc<Bounds>,
    kind: Kind,
    pub(super) pulse: Arc<Pulse>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ordinary(usize),
    /// Why the connection has no ordinary slot.
    Reserved(Refused),
}

impl Bounds {
    pub(super) fn new(limits: ConnectionLimits, reached: Arc<Reached>) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default(), reached })
    }

    /// A slot for a connection from this address; `None` if there is not even a reserved one.
    pub(super) fn slot(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        self.slot_at(peer, Instant::now())
    }

    fn slot_at(self: &Arc<Self>, peer: IpAddr, now: Instant) -> Option<Slot> {
        let address = self.limited(peer);
        let pulse = Arc::new(Pulse::default());
        let mut open = self.lock();
        let (reached, refused) = self.make_slot(&mut open, address, now);
        // Under the same lock: otherwise another newcomer could take the slot that was just made free.
        let kind = match refused {
            None => Some(Kind::Ordinary(open.take(pulse.clone(), address, now))),
            Some(refused) => open.reserve(refused, &pulse).then_some(Kind::Reserved(refused)),
        };
        // Counts and logs, which takes locks of its own.
        drop(open);
        if let Some((bound, outcome)) = reached {
            self.reached.note(bound, outcome);
        }
        kind.map(|kind| Slot { bounds: self.clone(), kind, pulse })
    }

    /// Sees that there is a free slot, if need be that of an idle connection. Returns the bound that was reached, and
    /// why there is no slot.
    fn make_slot(&self, open: &mut Slots, address: Option<IpAddr>, now: Instant) -> (Met, Option<Refused>) {
        let of_address = address.map_or(0, |address| open.of_address(address));
        // The share of the address first: it makes room by its own connections, not by those of other clients.
        if let Some(address) = address.filter(|_| of_address >= self.limits.per_address_max) {
            return if open.evict_of(address, now) {
                (Some((Bound::ConnectionsPerAddress, Outcome::IdleClosed)), None)
            } else {
                (Some((Bound::ConnectionsPerAddress, Outcome::Refused)), Some(Refused::AddressFull))
            };
        }
        if open.len() < self.limits.connections_max {
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

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.open.lock()
    }
}

/// A bound that a newcomer met, and what followed.
type Met = Option<(Bound, Outcome)>;

impl Slot {
    /// Why the connection may only call the health checks; `None` if it may call everything.
    pub(super) fn refused(&self) -> Option<Refused> {
        match self.kind {
            Kind::Ordinary(_) => None,
            Kind::Reserved(refused) => Some(refused),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.bounds.lock();
        match self.kind {
            Kind::Reserved(refused) => open.reserved(refused).0.retain(|pulse| !Arc::ptr_eq(pulse, &self.pulse)),
            // An evicted connection's slot may belong to another by now.
            Kind::Ordinary(at) if open.is_of(at, &self.pulse) => open.free(at),
            Kind::Ordinary(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pulse::Busy;
    use super::super::slots::{IDLE_MIN, RESERVED_MAX, RESERVED_OF_FULL_ADDRESSES_MAX};
    use super::*;

    fn bounds(connections_max: usize, per_address_max: usize) -> Arc<Bounds> {
        let exempt = vec!["127.0.0.0/8".parse().unwrap()];
        Bounds::new(ConnectionLimits { connections_max, per_address_max, exempt }, Arc::default())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_connection_idle_for_longest_gives_its_slot_to_a_new_one() {
        let (bounds, now) = (bounds(3, 9), Instant::now());
        let silent = bounds.slot_at(ip("127.0.0.1"), now).unwrap();
        let busy = bounds.slot_at(ip("127.0.0.1"), now).unwrap();
        let _request = Busy::begin(&busy.pulse);
        let used = bounds.slot_at(ip("127.0.0.1"), now).unwrap();
        drop(Busy::begin(&used.pulse));

        let too_soon = bounds.slot_at(ip("127.0.0.1"), now).unwrap();
        assert_eq!(too_soon.refused(), Some(Refused::Full), "none was idle for long enough");
        let later = now + IDLE_MIN;
        let new = bounds.slot_at(ip("127.0.0.1"), later).unwrap();
        assert_eq!(new.refused(), None);
        assert!(silent.pulse.is_evicted() && !busy.pulse.is_evicted() && !used.pulse.is_evicted());
        drop(silent);
        assert_eq!(bounds.lock().len(), 3, "the slot belongs to the new connection");
    }

    #[test]
    fn busy_connections_keep_their_slots_and_newcomers_get_a_reserved_one() {
        let (bounds, now) = (bounds(1, 9), Instant::now());
        let busy = bounds.slot_at(ip("127.0.0.1"), now).unwrap();
        let _request = Busy::begin(&busy.pulse);
        let later = now + 10 * IDLE_MIN;
        let newcomer = || bounds.slot_at(ip("127.0.0.1"), later);
        let mut reserved: Vec<Slot> = (0..RESERVED_MAX).filter_map(|_| newcomer()).collect();
        assert!(reserved.iter().all(|slot| slot.refused() == Some(Refused::Full)));
        assert_eq!(reserved.len(), RESERVED_MAX);

        reserved.push(newcomer().expect("the slot of a silent one"));
        assert!(reserved[0].pulse.is_evicted() && !reserved[1].pulse.is_evicted());
        drop(reserved.remove(0));
        assert_eq!(bounds.lock().reserved(Refused::Full).0.len(), RESERVED_MAX, "the slot belongs to the newcomer");
        let requests: Vec<Busy> = reserved.iter().map(|slot| Busy::begin(&slot.pulse)).collect();
        assert!(newcomer().is_none(), "each reserved slot is in use");
        drop((requests, reserved));
        assert!(newcomer().is_some());
    }

    #[test]
    fn each_idle_connection_makes_room_for_a_newcomer() {
        // 100 slots in a vector with room for 128.
        let (bounds, now) = (bounds(100, 99), Instant::now());
        let mut slots: Vec<Slot> = (0..100).filter_map(|_| bounds.slot_at(ip("127.0.0.1"), now)).collect();
        for number in 0..100 {
            let slot = bounds.slot_at(ip("127.0.0.1"), now + IDLE_MIN).unwrap();
            assert_eq!(slot.refused(), None, "newcomer {number}");
            slots.push(slot);
        }
        assert!(slots[..100].iter().all(|slot| slot.pulse.is_evicted()));
        assert!(slots[100..].iter().all(|slot| !slot.pulse.is_evicted()));
    }

    #[test]
    fn a_full_address_gives_up_an_idle_connection_of_its_own() {
        let (bounds, now) = (bounds(10, 2), Instant::now());
        let other = bounds.slot_at(ip("203.0.113.2"), now).unwrap();
        let first = bounds.slot_at(ip("203.0.113.1"), now).unwrap();
        let second = bounds.slot_at(ip("203.0.113.1"), now).unwrap();
        let request = Busy::begin(&first.pulse);
        let third = bounds.slot_at(ip("203.0.113.1"), now + IDLE_MIN).unwrap();
        assert_eq!(third.refused(), None);
        assert!(second.pulse.is_evicted() && !first.pulse.is_evicted() && !other.pulse.is_evicted());
        let _request = Busy::begin(&third.pulse);
        let fourth = bounds.slot_at(ip("203.0.113.1"), now + 2 * IDLE_MIN).unwrap();
        assert_eq!(fourth.refused(), Some(Refused::AddressFull));
        drop((request, second, fourth));
        assert_eq!(bounds.lock().of_address(ip("203.0.113.1")), 2, "the first and the third");
    }

    #[test]
    fn a_full_address_takes_no_reserved_slot_of_other_addresses() {
        let (bounds, now) = (bounds(2, 1), Instant::now());
        let mut slots: Vec<Slot> = (0..200).filter_map(|_| bounds.slot_at(ip("203.0.113.1"), now)).collect();
        assert_eq!(bounds.lock().reserved(Refused::AddressFull).0.len(), RESERVED_OF_FULL_ADDRESSES_MAX);
        let local = bounds.slot_at(ip("127.0.0.1"), now).unwrap();
        assert_eq!(local.refused(), None, "an ordinary slot is free");
        slots.extend(bounds.slot_at(ip("127.0.0.1"), now));
        assert_eq!(slots.last().unwrap().refused(), Some(Refused::Full));
        slots.clear();
        let mut open = bounds.lock();
        assert_eq!((open.addresses(), open.reserved(Refused::AddressFull).0.len()), (0, 0));
    }

    #[test]
    fn an_address_has_a_share_of_the_slots() {
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
        let mut slots = Vec::new();
        for (address, refused) in table {
            let slot = bounds.slot_at(ip(address), now).unwrap();
            assert_eq!(slot.refused(), refused, "{address}");
            slots.push(slot);
        }
        slots.clear();
        assert!(bounds.lock().addresses() == 0, "an address without connections is forgotten");
        assert_eq!(bounds.slot_at(ip("203.0.113.1"), now).unwrap().refused(), None);
    }
}
