//! Limits how many answers one owner (a user, or a key of staff) keeps under idempotency keys. Without a limit, an owner who
//! sends each request under a new key would fill the disk for a day.
//!
//! A count for each request would slow every sale down. So a lane lets an owner add an eighth of what is left, and then
//! counts the answers in the load of the next batch. The closer the owner is to the limit, the more often the lane counts.
//! Other lanes and instances do the same, each with the count over all of them. A lane that does not know an owner lets the
//! first eighth through without a count. One lane therefore keeps exactly to the limit. If an owner sends to several lanes,
//! each further lane adds at most an eighth of the limit beyond it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use onsale_domain::time::Timestamp;

use crate::idempotency::{KeptCount, Owner};

/// Before a lane counts again, it lets an owner add what is left divided by this.
const SHARE: u32 = 8;

/// How long a lane refuses an owner at the limit before it counts again, unless an answer lapses sooner.
const FULL_FOR: Duration = Duration::from_secs(60);

/// Maximum number of owners that a lane remembers. Beyond it the lane forgets all of them, and each gets a first share
/// without a count again.
const OWNERS_MAX: usize = 100_000;

/// The state of one owner in a lane.
#[derive(Debug)]
enum Quota {
    /// Number of answers that the owner may still add before the next count.
    Left(u32),
    /// The owner is at the limit. The oldest answer lapses at `frees_at`; the lane counts again from `count_from` on.
    Full { frees_at: Timestamp, count_from: Instant },
}

/// The owners who keep answers, as one lane knows them.
#[derive(Debug)]
pub(super) struct Quotas {
    /// Maximum number of answers of one owner; 0 for no limit.
    most: u32,
    owners: HashMap<Owner, Quota>,
}

impl Quotas {
    pub(super) fn new(most: u32) -> Self {
        Self { most, owners: HashMap::new() }
    }

    /// Maximum number of answers of one owner; 0 for no limit.
    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// Whether the next load must count the owner's answers.
    pub(super) fn must_count(&self, owner: &Owner) -> bool {
        match self.owners.get(owner) {
            Some(Quota::Left(left)) => *left == 0,
            Some(Quota::Full { count_from, .. }) => *count_from <= Instant::now(),
            None => false,
        }
    }

    /// Notes the count of an owner's answers from a load.
    pub(super) fn counted(&mut self, owner: &Owner, count: &KeptCount, at: Timestamp) {
        let frees_at = count.oldest.map(KeptCount::lapses_at).filter(|frees_at| at < *frees_at);
        let quota = match frees_at {
            Some(frees_at) if count.answers >= self.most => {
                let left = u64::try_from(at.millis_until(frees_at)).unwrap_or(0);
                let count_from = Instant::now() + FULL_FOR.min(Duration::from_millis(left));
                Quota::Full { frees_at, count_from }
            }
            // Below the limit, or the oldest answer has lapsed and is about to be dropped.
            _ => Quota::Left(self.share_of(self.most.saturating_sub(count.answers))),
        };
        self.owners.insert(owner.clone(), quota);
    }

    /// Whether the owner may keep one more answer.
    ///
    /// # Errors
    /// If the owner is at the limit: seconds until the oldest answer lapses.
    pub(super) fn check(&self, owner: &Owner, at: Timestamp) -> Result<(), u32> {
        match self.owners.get(owner) {
            Some(Quota::Full { frees_at, .. }) => Err(at.seconds_until(*frees_at)),
            Some(Quota::Left(_)) | None => Ok(()),
        }
    }

    /// Notes that the owner keeps one more answer.
    pub(super) fn add(&mut self, owner: &Owner) {
        if self.most == 0 {
            return;
        }
        if let Some(quota) = self.owners.get_mut(owner) {
            if let Quota::Left(left) = quota {
                *left = left.saturating_sub(1);
            }
            return;
        }
        if self.owners.len() >= OWNERS_MAX {
            self.owners.clear();
        }
        self.owners.insert(owner.clone(), Quota::Left(self.share_of(self.most) - 1));
    }

    fn share_of(&self, left: u32) -> u32 {
        (left / SHARE).max(1)
    }
}

#[cfg(test)]
mod tests {
    use onsale_domain::ids::UserId;

    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn user(name: &str) -> Owner {
        Owner::User(UserId::parse(name).unwrap_or_else(|| unreachable!("a user id: {name}")))
    }

    /// Sends requests of one user to several lanes in turn. Returns how many answers were kept, and how many counts that took.
    fn kept(most: u32, lanes: usize, requests: u32) -> (u32, u32) {
        let ada = user("ada");
        let mut lanes: Vec<Quotas> = (0..lanes).map(|_| Quotas::new(most)).collect();
        let (mut answers, mut counts) = (0, 0);
        for number in 0..requests {
            let index = number as usize % lanes.len();
            let lane = &mut lanes[index];
            if lane.must_count(&ada) {
                counts += 1;
                let oldest = (answers >= most).then_some(AT);
                lane.counted(&ada, &KeptCount { answers: answers.min(most), oldest }, AT);
            }
            if lane.check(&ada, AT).is_ok() {
                answers += 1;
                lane.add(&ada);
            }
        }
        (answers, counts)
    }

    #[test]
    fn a_lane_keeps_to_the_bound_with_few_counts() {
        for most in [1, 2, 7, 8, 40, 1_000, 20_000] {
            let (answers, counts) = kept(most, 1, 2 * most + 10);
            assert_eq!(answers, most);
            assert!(counts <= 90, "{counts} counts for {most} answers");
        }
    }

    #[test]
    fn lanes_together_stay_near_the_bound() {
        for lanes in [2, 6, 8] {
            let (answers, _) = kept(20_000, lanes, 100_000);
            assert!((20_000..=20_000 + 8).contains(&answers), "{answers} over {lanes} lanes in turn");
        }
    }

    #[test]
    fn each_lane_adds_at_most_its_share_beyond_the_bound() {
        let (ada, most) = (user("ada"), 800);
        let mut answers = 0;
        for _ in 0..5 {
            let mut lane = Quotas::new(most);
            for _ in 0..2 * most {
                if lane.must_count(&ada) {
                    let oldest = (answers >= most).then_some(AT);
                    lane.counted(&ada, &KeptCount { answers: answers.min(most), oldest }, AT);
                }
                if lane.check(&ada, AT).is_ok() {
                    answers += 1;
                    lane.add(&ada);
                }
            }
        }
        assert_eq!(answers, most + 4 * most / SHARE, "the first lane fills it, four more let their share through");
    }

    #[test]
    fn without_a_limit_no_user_is_counted_or_remembered() {
        let mut quotas = Quotas::new(0);
        for _ in 0..100 {
            assert!(!quotas.must_count(&user("ada")) && quotas.check(&user("ada"), AT).is_ok());
            quotas.add(&user("ada"));
        }
        assert!(quotas.owners.is_empty());
    }

    #[test]
    fn a_user_at_the_limit_gets_the_seconds_until_an_answer_lapses() {
        let mut quotas = Quotas::new(10);
        let full = KeptCount { answers: 10, oldest: Some(AT.plus_seconds(5)) };
        quotas.counted(&user("ada"), &full, AT.plus_seconds(100));
        assert_eq!(quotas.check(&user("ada"), AT.plus_seconds(105)), Err(24 * 60 * 60 - 100));
        assert!(!quotas.must_count(&user("ada")), "not at each request that is refused");
        assert_eq!(quotas.check(&user("bob"), AT), Ok(()));
        // The oldest answer has lapsed and is about to be dropped.
        quotas.counted(&user("ada"), &full, AT.plus_seconds(5 + 24 * 60 * 60));
        assert_eq!(quotas.check(&user("ada"), AT), Ok(()));
    }

    #[test]
    fn the_number_of_remembered_users_is_bounded() {
        let mut quotas = Quotas::new(10);
        for number in 0..=2 * OWNERS_MAX {
            quotas.add(&user(&number.to_string()));
        }
        assert!(quotas.owners.len() <= OWNERS_MAX);
    }
}
