//! Which connection has which slot: ordinary slots, counted by address, and reserved ones.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::pulse::Pulse;
use super::ring::Ring;
use crate::http::reply::problem::{Code, Problem};

/// A connection is closed for another only if it had no request for this long.
pub(super) const IDLE_MIN: Duration = Duration::from_secs(1);

/// The most connections that a hand visits for one new connection, which bounds the time under the lock.
const VISITS_MAX: usize = 64;

/// Reserved slots, for connections that may only call the health checks because the server is full.
pub(super) const RESERVED_MAX: usize = 64;

/// Reserved slots for connections whose address is full. They are separate, so that one address cannot take those that
/// all other clients need.
pub(super) const RESERVED_OF_FULL_ADDRESSES_MAX: usize = 16;

/// Seconds after which a client of a full address may connect again, at most; a random number up to this, so that the
/// clients behind an address do not all come back at once.
const RETRY_SECONDS_MAX: u32 = 5;

/// All slots that are taken.
#[derive(Default)]
pub(super) struct Slots {
    ordinary: Ring<Taken>,
    /// The numbers of the slots of each address that is limited; an address without a slot has no entry.
    addresses: HashMap<IpAddr, Ring<usize>>,
    /// Connections in reserved slots, the oldest first.
    reserved: VecDeque<Arc<Pulse>>,
    reserved_of_full_addresses: VecDeque<Arc<Pulse>>,
}

/// A slot that is taken, as a hand sees it.
struct Taken {
    pulse: Arc<Pulse>,
    /// The address that the connection is counted under, and its number there.
    address: Option<(IpAddr, usize)>,
    /// What the pulse was at a hand's last visit, and when that was; at first, when the connection came.
    seen: (u64, Instant),
}

/// Why a connection may only call the health checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Each slot is taken, and no connection is idle.
    Full,
    /// The client's address has all the slots that one address may have.
    AddressFull,
}

impl Refused {
    /// The answer to all other calls.
    pub(super) fn problem(self) -> Problem {
        let (code, detail) = match self {
            Self::Full => (Code::Overloaded, "the server has as many connections as it may; nothing was done"),
            Self::AddressFull => (Code::TooManyRequests, "this address has as many connections as it may"),
        };
        Problem::new(code).detail(detail).retry_after(rand::random_range(1..=RETRY_SECONDS_MAX))
    }
}

impl Slots {
    /// Ordinary slots that are taken.
    pub(super) fn len(&self) -> usize {
        self.ordinary.len()
    }

    /// Ordinary slots that connections of this address have.
    pub(super) fn of_address(&self, address: IpAddr) -> usize {
        self.addresses.get(&address).map_or(0, Ring::len)
    }

    /// Addresses that have an ordinary slot.
    #[cfg(test)]
    pub(super) fn addresses(&self) -> usize {
        self.addresses.len()
    }

    /// Whether an ordinary slot is this connection's.
    pub(super) fn is_of(&self, at: usize, pulse: &Arc<Pulse>) -> bool {
        self.ordinary.get(at).is_some_and(|taken| Arc::ptr_eq(&taken.pulse, pulse))
    }

    /// Takes an ordinary slot; its number.
    pub(super) fn take(&mut self, pulse: Arc<Pulse>, address: Option<IpAddr>, now: Instant) -> usize {
        let at = self.ordinary.insert(Taken { pulse, address: None, seen: (0, now) });
        if let Some(address) = address {
            let number = self.addresses.entry(address).or_default().insert(at);
            if let Some(taken) = self.ordinary.get_mut(at) {
                taken.address = Some((address, number));
            }
        }
        at
    }

    /// Gives an ordinary slot back.
    pub(super) fn free(&mut self, at: usize) {
        let Some(taken) = self.ordinary.remove(at) else { return };
        let Some((address, number)) = taken.address else { return };
        if let Some(of_address) = self.addresses.get_mut(&address) {
            of_address.remove(number);
            if of_address.is_empty() {
                self.addresses.remove(&address);
            }
        }
    }

    /// Takes a reserved slot; if all are taken, that of the oldest silent connection. Returns whether there was one.
    pub(super) fn reserve(&mut self, refused: Refused, pulse: &Arc<Pulse>) -> bool {
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

    /// The reserved slots for this reason, and how many there are at most.
    pub(super) fn reserved(&mut self, refused: Refused) -> (&mut VecDeque<Arc<Pulse>>, usize) {
        match refused {
            Refused::Full => (&mut self.reserved, RESERVED_MAX),
            Refused::AddressFull => (&mut self.reserved_of_full_addresses, RESERVED_OF_FULL_ADDRESSES_MAX),
        }
    }

    /// Takes the slot of an idle connection. Returns whether there was one.
    pub(super) fn evict(&mut self, now: Instant) -> bool {
        let found = (0..VISITS_MAX.min(self.ordinary.len())).find_map(|_| {
            // Read first: a visit moves the hand on.
            let at = self.ordinary.hand();
            self.ordinary.visit()?;
            self.is_idle(at, now).then_some(at)
        });
        self.evict_at(found)
    }

    /// Takes the slot of an idle connection of this address. Returns whether there was one.
    pub(super) fn evict_of(&mut self, address: IpAddr, now: Instant) -> bool {
        let found = (0..VISITS_MAX.min(self.of_address(address))).find_map(|_| {
            let at = *self.addresses.get_mut(&address)?.visit()?;
            self.is_idle(at, now).then_some(at)
        });
        self.evict_at(found)
    }

    fn evict_at(&mut self, found: Option<usize>) -> bool {
        let Some(at) = found else { return false };
        if let Some(taken) = self.ordinary.get(at) {
            // Its task ends a moment later, but the slot is free at once: no newcomer waits for that task.
            taken.pulse.evict();
        }
        self.free(at);
        true
    }

    /// Whether a connection had no request since a hand's last visit, for long enough.
    fn is_idle(&mut self, at: usize, now: Instant) -> bool {
        let Some(taken) = self.ordinary.get_mut(at) else { return false };
        let beats = taken.pulse.beats();
        let (seen, since) = taken.seen;
        if taken.pulse.is_active() || beats != seen {
            // It was used since the last visit: a second chance.
            taken.seen = (beats, now);
            return false;
        }
        now.duration_since(since) >= IDLE_MIN
    }
}
