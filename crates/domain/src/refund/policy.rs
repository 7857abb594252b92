//! Refund policies: what part of the price a buyer loses, by the time that is left until the performance.

use std::sync::Arc;

use crate::time::Timestamp;

/// Maximum number of rules of a policy.
pub const RULES_MAX: usize = 20;

/// Maximum number of hours before the start of a rule; the minimum is 0.
pub const HOURS_BEFORE_MAX: u32 = 8_760;

/// Maximum fee of a rule, in percent of the price; the minimum is 0.
pub const FEE_PERCENT_MAX: u32 = 100;

const MILLIS_PER_HOUR: i64 = 3_600_000;

/// Up to an instant before the start, a refund costs this part of the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The rule holds while more than this many hours are left until the start, 0 to [`HOURS_BEFORE_MAX`].
    pub hours_before: u32,
    /// Percent of the price of each seat that is kept, 0 to [`FEE_PERCENT_MAX`].
    pub fee_percent: u32,
}

/// The rules by which buyers get points back. The default has none: then no buyer gets anything back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// By descending hours. `None` if there are none, so that a hold of a performance without a policy allocates nothing.
    rules: Option<Arc<[Rule]>>,
}

/// Reasons why rules are not a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There are more than [`RULES_MAX`] rules.
    TooMany,
    /// The hours of the rule at this index are above [`HOURS_BEFORE_MAX`].
    Hours(usize),
    /// The fee of the rule at this index is above [`FEE_PERCENT_MAX`].
    Fee(usize),
    /// The rule at this index has the hours of an earlier rule.
    Twice(usize),
}

impl Policy {
    /// Checks rules and sorts them by descending hours.
    ///
    /// # Errors
    /// The first rule, in the order given, that is out of bounds or has the hours of an earlier one.
    pub fn new(mut rules: Vec<Rule>) -> Result<Self, Unfit> {
        if rules.len() > RULES_MAX {
            return Err(Unfit::TooMany);
        }
        for (index, rule) in rules.iter().enumerate() {
            if rule.hours_before > HOURS_BEFORE_MAX {
                return Err(Unfit::Hours(index));
            }
            if rule.fee_percent > FEE_PERCENT_MAX {
                return Err(Unfit::Fee(index));
            }
            if rules[..index].iter().any(|earlier| earlier.hours_before == rule.hours_before) {
                return Err(Unfit::Twice(index));
            }
        }
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.hours_before));
        Ok(Self { rules: (!rules.is_empty()).then(|| rules.into()) })
    }

    /// The rules by descending hours.
    pub fn rules(&self) -> &[Rule] {
        self.rules.as_deref().unwrap_or_default()
    }

    /// The percent of the price that a refund at `at` costs; `None` if no rule holds any more. Of the rules that hold, the
    /// one with the most hours counts.
    pub fn fee_percent(&self, starts_at: Timestamp, at: Timestamp) -> Option<u32> {
        let holds = |rule: &&Rule| at < starts_at.plus_millis(-i64::from(rule.hours_before) * MILLIS_PER_HOUR);
        self.rules().iter().find(holds).map(|rule| rule.fee_percent)
    }
}

/// The fee for one seat, in points, rounded down. Rounded for each seat, so that splitting a refund changes nothing.
pub(super) fn fee_of(price: i64, fee_percent: u32) -> i64 {
    price * i64::from(fee_percent) / 100
}
