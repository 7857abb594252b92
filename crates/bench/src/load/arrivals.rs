//! When persons arrive: stages with a rate that changes evenly from one value to another.

/// A part of the time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stage {
    pub(super) seconds: f64,
    /// Persons per second at its begin and at its end.
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Stage {
    /// The persons who arrive in it, as a fraction.
    fn persons(self) -> f64 {
        self.seconds * (self.from + self.to) / 2.0
    }

    /// After how many seconds of this stage this number of persons has arrived.
    fn when(self, persons: f64) -> f64 {
        let growth = (self.to - self.from) / self.seconds.max(f64::MIN_POSITIVE);
        if growth.abs() < 1e-9 {
            return persons / self.from.max(f64::MIN_POSITIVE);
        }
        // persons = from t + growth t² / 2
        let root = (self.from * self.from + 2.0 * growth * persons).max(0.0).sqrt();
        ((root - self.from) / growth).clamp(0.0, self.seconds)
    }
}

/// The arrivals of a party.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arrivals(Vec<Stage>);

impl Arrivals {
    /// Arrivals in these stages, one after another.
    pub(super) fn new(stages: Vec<Stage>) -> Self {
        Self(stages)
    }

    /// The stages, in order.
    pub(super) fn stages(&self) -> &[Stage] {
        &self.0
    }

    /// Number of persons.
    pub(super) fn count(&self) -> u32 {
        super::scenario::whole(self.0.iter().map(|stage| stage.persons()).sum())
    }

    /// Duration of all stages, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.0.iter().map(|stage| stage.seconds).sum()
    }

    /// The highest rate, in persons per second.
    pub(super) fn peak(&self) -> f64 {
        self.0.iter().map(|stage| stage.from.max(stage.to)).fold(0.0, f64::max)
    }

    /// The same arrivals at a multiple of the rates.
    pub(super) fn times(&self, factor: f64) -> Self {
        let stage = |stage: &Stage| Stage { from: stage.from * factor, to: stage.to * factor, ..*stage };
        Self(self.0.iter().map(stage).collect())
    }

    /// When each person is due, in seconds after the begin, in order.
    pub(super) fn due(&self) -> impl Iterator<Item = f64> {
        let mut before = (0.0, 0.0);
        let mut stages = self.0.iter().copied().peekable();
        let end = self.seconds();
        (0..self.count()).map(move |number| {
            // In the middle of its interval, so that a stage has neither one too many nor one too few.
            let wanted = f64::from(number) + 0.5;
            while let Some(stage) = stages.peek() {
                if before.0 + stage.persons() >= wanted {
                    return before.1 + stage.when(wanted - before.0);
                }
                before = (before.0 + stage.persons(), before.1 + stage.seconds);
                stages.next();
            }
            end
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persons_arrive_at_the_rates_of_the_stages() {
        let stage = |seconds, from, to| Stage { seconds, from, to };
        let arrivals = Arrivals::new(vec![stage(2.0, 10.0, 10.0), stage(4.0, 0.0, 20.0), stage(1.0, 5.0, 5.0)]);
        assert_eq!(arrivals.count(), 65);
        let due: Vec<f64> = arrivals.due().collect();
        assert_eq!(due.len(), 65);
        assert!(due.windows(2).all(|pair| pair[0] <= pair[1]));
        let within = |from: f64, until: f64| due.iter().filter(|at| (from..until).contains(*at)).count();
        assert_eq!([within(0.0, 2.0), within(2.0, 6.0), within(6.0, 7.0)], [20, 40, 5]);
        // A rate that grows evenly from 0: a quarter of the persons in the first half.
        assert_eq!(within(2.0, 4.0), 10);
        assert!((due[0] - 0.05).abs() < 1e-9 && arrivals.peak() > 19.9);
        assert_eq!(arrivals.times(2.0).count(), 130);
    }
}
