//! Targets: bounds of a measured value.

use std::fmt;

/// The bound of a target.
#[derive(Clone, Copy, Debug)]
enum Bound {
    None,
    AtLeast(f64),
    AtMost(f64),
    Within(f64, f64),
}

/// What a line must reach.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    bound: Bound,
    /// Words before the bound, such as `p99`.
    before: &'static str,
    /// Words after the bound: a unit, or what a ratio refers to.
    after: &'static str,
}

impl Target {
    /// No target: the line is for information.
    pub(crate) const NONE: Self = Self { bound: Bound::None, before: "", after: "" };

    /// A target with a lower bound.
    pub(crate) const fn at_least(bound: f64) -> Self {
        Self { bound: Bound::AtLeast(bound), before: "", after: "" }
    }

    /// A target with an upper bound.
    pub(crate) const fn at_most(bound: f64) -> Self {
        Self { bound: Bound::AtMost(bound), before: "", after: "" }
    }

    /// A lower and an upper bound.
    pub(crate) const fn within(low: f64, high: f64) -> Self {
        Self { bound: Bound::Within(low, high), before: "", after: "" }
    }

    /// A target in words alone. It is reached unless the row fails.
    pub(crate) const fn words(text: &'static str) -> Self {
        Self { bound: Bound::None, before: text, after: "" }
    }

    /// An upper bound of the p99 latency, in milliseconds.
    pub(crate) const fn p99_millis(bound: f64) -> Self {
        Self { before: "p99", ..Self::at_most(bound) }.unit("ms")
    }

    /// The same target with its unit, or with what a ratio refers to.
    pub(crate) const fn unit(self, after: &'static str) -> Self {
        Self { after, ..self }
    }

    /// Whether there is a target.
    pub(crate) fn exists(self) -> bool {
        !matches!(self.bound, Bound::None) || !self.before.is_empty()
    }

    /// Whether a value reaches the target. Without a bound, every value does.
    pub(crate) fn is_reached_by(self, value: f64) -> bool {
        match self.bound {
            Bound::None => true,
            Bound::AtLeast(bound) => value >= bound,
            Bound::AtMost(bound) => value <= bound,
            Bound::Within(low, high) => (low..=high).contains(&value),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = match self.bound {
            Bound::None => String::new(),
            Bound::AtLeast(bound) => format!("≥ {}", plain(bound)),
            Bound::AtMost(bound) => format!("≤ {}", plain(bound)),
            Bound::Within(low, high) => format!("{} to {}", plain(low), plain(high)),
        };
        let words = [self.before, &bound, self.after];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        f.write_str(&words.join(" "))
    }
}

/// A bound with at most two decimals; thousands separated.
fn plain(bound: f64) -> String {
    let rounded = (bound * 100.0).round() / 100.0;
    if bound < 1_000.0 { rounded.to_string() } else { onsale_report::number(bound) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_printed_and_judged_by_the_same_bound() {
        for (target, text, reached, missed) in [
            (Target::at_least(0.7), "≥ 0.7", 0.7, 0.69),
            (Target::at_least(20_000.0), "≥ 20,000", 20_000.0, 19_999.0),
            (Target::at_most(100.0).unit("ms"), "≤ 100 ms", 99.0, 101.0),
            (Target::p99_millis(25.0), "p99 ≤ 25 ms", 25.0, 25.1),
            (Target::within(0.9, 1.1).unit("of the first"), "0.9 to 1.1 of the first", 1.0, 1.2),
        ] {
            assert_eq!(target.to_string(), text);
            assert!(target.is_reached_by(reached) && !target.is_reached_by(missed) && target.exists());
        }
        assert!(!Target::NONE.exists() && Target::words("only 503").exists());
    }
}
