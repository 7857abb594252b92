//! Numbered slots and a hand that goes round over them.

use slab::Slab;

/// Slots, and the next one that the hand visits.
#[derive(Debug)]
pub(super) struct Ring<T> {
    slots: Slab<T>,
    /// One more than the highest number that was ever taken: beyond it no slot was used, and the hand does not go there.
    end: usize,
    hand: usize,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self { slots: Slab::new(), end: 0, hand: 0 }
    }
}

impl<T> Ring<T> {
    /// Slots that are taken.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Takes a free slot and returns its number.
    pub(super) fn insert(&mut self, value: T) -> usize {
        let number = self.slots.insert(value);
        self.end = self.end.max(number + 1);
        number
    }

    pub(super) fn remove(&mut self, number: usize) -> Option<T> {
        self.slots.try_remove(number)
    }

    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.slots.get(number)
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.slots.get_mut(number)
    }

    /// The number of the slot that the hand visits next.
    pub(super) fn hand(&self) -> usize {
        self.hand
    }

    /// Moves the hand on, and returns the slot where it was.
    pub(super) fn visit(&mut self) -> Option<&T> {
        let at = self.hand;
        self.hand = if at + 1 < self.end { at + 1 } else { 0 };
        self.slots.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hand_visits_each_slot_once_a_round_and_none_that_was_never_used() {
        let mut ring = Ring::default();
        // The vector behind the slots has room for 128.
        for number in 0..100 {
            assert_eq!(ring.insert(number), number);
        }
        for _ in 0..3 {
            let round: Vec<usize> = (0..100).filter_map(|_| ring.visit().copied()).collect();
            assert_eq!(round, (0..100).collect::<Vec<_>>());
        }
        ring.remove(7);
        assert_eq!((0..100).filter(|_| ring.visit().is_some()).count(), 99);
        assert_eq!((ring.insert(700), ring.len(), ring.is_empty()), (7, 100, false));
    }
}
