//! Positions by subtraction: the position of a place follows from a few numbers, without a list of people.

use std::sync::Arc;

use super::{Blocks, Gap};

/// The line of a waiting room at one moment.
///
/// Places are numbers in order of arrival. All up to `served` were admitted; some of those after it were
/// given up. A clone shares the given-up places until one of the two changes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The last place handed out.
    pub issued: u64,
    /// The last place admitted.
    pub served: u64,
    /// The last place that Redis may have handed out.
    reserved_to: u64,
    given_up: Arc<Vec<u64>>,
    gaps: Arc<Vec<Gap>>,
}

impl Line {
    /// A line with these given-up places, in any order. Places that are not in line are ignored.
    pub fn new(issued: u64, served: u64, mut given_up: Vec<u64>) -> Self {
        given_up.sort_unstable();
        given_up.dedup();
        let mut line = Self { issued, given_up: Arc::new(given_up), ..Self::default() };
        line.advance(issued, served);
        line
    }

    /// Advances to newer counters and drops given-up places that were passed.
    pub fn advance(&mut self, issued: u64, served: u64) {
        self.issued = self.issued.max(issued);
        self.served = self.served.max(served);
        let passed = self.given_up.partition_point(|place| *place <= self.served);
        if passed > 0 {
            Arc::make_mut(&mut self.given_up).drain(..passed);
        }
    }

    /// Updates the state of places handed out by Redis.
    pub fn account_for(&mut self, blocks: &Blocks) {
        self.reserved_to = self.reserved_to.max(blocks.reserved_to);
        if *self.gaps != blocks.gaps {
            self.gaps = Arc::new(blocks.gaps.clone());
        }
    }

    /// Removes a place that is still in line.
    pub fn give_up(&mut self, place: u64) {
        if place <= self.served {
            return;
        }
        if let Err(index) = self.given_up.binary_search(&place) {
            Arc::make_mut(&mut self.given_up).insert(index, place);
        }
    }

    /// The number of users still in line up to and including this place: 1 is the next to be admitted.
    /// `None` if the place was admitted, was given up, or was never handed out. A place in doubt has the position that it
    /// gets when its user, whose poll this is, is known to have it.
    pub fn position(&self, place: u64) -> Option<u64> {
        if place <= self.served || place > self.issued.max(self.reserved_to) {
            return None;
        }
        match self.given_up.binary_search(&place) {
            Ok(_) => None,
            Err(before) => {
                let absent = u64::try_from(before).ok()? + self.doubtful(place - 1);
                Some((place - self.served).saturating_sub(absent).max(1))
            }
        }
    }

    /// The number of users in line up to this place: as many are admitted if the line advances to it.
    pub fn users_up_to(&self, place: u64) -> u64 {
        let given_up = self.given_up.partition_point(|given_up| *given_up <= place);
        let absent = u64::try_from(given_up).unwrap_or(u64::MAX).saturating_add(self.doubtful(place));
        place.saturating_sub(self.served).saturating_sub(absent)
    }

    /// Places in doubt after `served`, up to this one.
    fn doubtful(&self, to: u64) -> u64 {
        self.gaps.iter().map(|gap| gap.places_in(self.served, to)).sum()
    }

    /// Whether it is uncertain that a place was handed out.
    pub fn is_in_doubt(&self, place: u64) -> bool {
        self.served < place && self.gaps.iter().any(|gap| (gap.first..=gap.last).contains(&place))
    }

    /// The number of users in line.
    pub fn waiting(&self) -> u64 {
        let given_up = self.given_up.partition_point(|place| *place <= self.issued);
        let absent = u64::try_from(given_up).unwrap_or(u64::MAX).saturating_add(self.doubtful(self.issued));
        (self.issued - self.served).saturating_sub(absent)
    }
}
