//! The scenarios, from `load/scenarios.json`, which the scripts of Gatling read too.

use onsale_load_generator::Outcome;
use serde_json::Value;

use super::arrivals::{Arrivals, Stage};
use super::calls::Call;

/// The file, as it was when this program was built.
const FILE: &str = include_str!("../../../../load/scenarios.json");

/// What a person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Journey {
    /// Makes each call of a user once.
    Everything,
    /// From the line to a paid seat.
    Buy,
    /// The same, and polls after nothing is left.
    Watch,
    /// Enters, polls, and leaves at its turn.
    Wait,
    /// As [`Journey::Wait`], without a bearer and from one address.
    Office,
    /// As [`Journey::Buy`], with each change sent twice, and some answers cut.
    Retry,
    /// One call as a user or an address that calls without end.
    Grab,
    /// Applies for a lecture.
    Apply,
    /// Opens a connection and keeps it.
    Connect,
}

impl Journey {
    /// All journeys with their names in the file.
    const ALL: [(&str, Self); 9] = [
        ("everything", Self::Everything),
        ("buy", Self::Buy),
        ("watch", Self::Watch),
        ("wait", Self::Wait),
        ("office", Self::Office),
        ("retry", Self::Retry),
        ("grab", Self::Grab),
        ("apply", Self::Apply),
        ("connect", Self::Connect),
    ];

    /// Its name in the file.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, journey)| *journey == self).map_or("", |(name, _)| name)
    }
}

/// An objective: this many of a thousand answers of a call arrive within this time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Objective {
    pub(super) call: Call,
    pub(super) millis: f64,
    pub(super) permille: u32,
}

/// Persons who do the same.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) journey: Journey,
    pub(super) arrivals: Arrivals,
}

/// The factors of a run: of rates, seats and admissions; and of durations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Factors {
    pub(super) scale: f64,
    pub(super) stretch: f64,
}

/// A scenario, as it stands in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario(&'static Value);

/// All scenarios, with the objectives and the assumed knees.
#[derive(Clone, Debug)]
pub(super) struct Scenarios(&'static Value);

impl Scenarios {
    /// Reads the file.
    ///
    /// # Errors
    /// If it is not JSON.
    pub(super) fn read() -> Outcome<Self> {
        // Read once for each run of the program, and used until its end.
        Ok(Self(Box::leak(Box::new(serde_json::from_str(FILE)?))))
    }

    /// All scenarios, in the order in which they run.
    pub(super) fn all(&self) -> Vec<Scenario> {
        let all = self.0["scenarios"].as_array();
        all.into_iter().flatten().map(Scenario).collect()
    }

    /// The objectives that are published.
    ///
    /// # Errors
    /// If one names no call.
    pub(super) fn objectives(&self) -> Outcome<Vec<Objective>> {
        let objective = |value: &Value| {
            let name = text(value, "call")?;
            let call = Call::named(name).ok_or_else(|| format!("an objective names no call: {name}"))?;
            let percent = number(value, "percent")?;
            Ok(Objective { call, millis: number(value, "millis")?, permille: whole(percent * 10.0) })
        };
        self.0["objectives"].as_array().into_iter().flatten().map(objective).collect()
    }

    /// The knee of a deployment that is assumed until it is measured, in persons per second.
    ///
    /// # Errors
    /// If the file does not have it.
    pub(super) fn knee(&self, deployment: &str) -> Outcome<f64> {
        number(&self.0["knee"], deployment)
    }
}

impl Scenario {
    /// A scenario of another file.
    pub(super) fn of(value: &'static Value) -> Self {
        Self(value)
    }

    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        self.text("name")
    }

    /// The question that it answers.
    pub(super) fn aim(self) -> &'static str {
        self.text("aim")
    }

    /// When it passes, in words.
    pub(super) fn passes(self) -> &'static str {
        self.text("passes")
    }

    fn text(self, name: &str) -> &'static str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// Whether a check of `verdict.rs` applies.
    pub(super) fn checks(self, name: &str) -> bool {
        self.0["checks"].as_array().into_iter().flatten().any(|check| check == name)
    }

    /// Whether the objectives decide.
    pub(super) fn has_objectives(self) -> bool {
        self.0["objectives"] == true
    }

    /// Whether callers need a bearer.
    pub(super) fn has_bearers(self) -> bool {
        self.0["auth"] != "open"
    }

    /// The factors of a size: `quick` or `tiny`; 1 and 1 for any other.
    pub(super) fn factors(self, size: &str) -> Factors {
        let factor = |index: usize| self.0["sizes"][size][index].as_f64().unwrap_or(1.0);
        Factors { scale: factor(0), stretch: factor(1) }
    }

    /// The parties, as they stand in the file.
    pub(super) fn crowd(self) -> &'static [Value] {
        self.0["crowd"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The persons who arrive, at these factors and this knee.
    ///
    /// # Errors
    /// If the file has no such journey or number.
    pub(super) fn parties(self, factors: Factors, knee: f64) -> Outcome<Vec<Party>> {
        let party = |value: &Value| {
            let name = text(value, "journey")?;
            let journey = Journey::ALL.iter().find(|(known, _)| *known == name);
            let unit = if value["unit"] == "knee" { knee } else { 1.0 };
            let stage = |stage: &Value| {
                Ok(Stage {
                    seconds: number(stage, "seconds")? * factors.stretch,
                    from: number(stage, "from")? * unit * factors.scale,
                    to: number(stage, "to")? * unit * factors.scale,
                })
            };
            let stages: Outcome<Vec<Stage>> = value["arrivals"].as_array().into_iter().flatten().map(stage).collect();
            let (_, journey) = journey.ok_or_else(|| format!("no journey is called {name}"))?;
            Ok(Party { journey: *journey, arrivals: Arrivals::new(stages?) })
        };
        self.crowd().iter().map(party).collect()
    }

    /// How many levels there are, and the factor of the rate from one to the next.
    pub(super) fn levels(self) -> (usize, f64) {
        let levels = &self.0["levels"];
        let count = levels["count"].as_u64().and_then(|count| usize::try_from(count).ok());
        (count.unwrap_or(1), levels["factor"].as_f64().unwrap_or(1.0))
    }

    /// How long persons may go on after the last arrival, in seconds.
    pub(super) fn tail_seconds(self) -> u64 {
        self.0["tailSeconds"].as_u64().unwrap_or(60)
    }

    /// When all instances are killed, in seconds after the first arrival.
    pub(super) fn kill_at_seconds(self, factors: Factors) -> Option<f64> {
        (self.0["event"]["kind"] == "kill-all")
            .then(|| self.0["event"]["atSeconds"].as_f64())
            .flatten()
            .map(|at| at * factors.stretch)
    }

    /// A number of the room: `maxActive` or `admitPerSecond`, at least 5.
    pub(super) fn room(self, name: &str, factors: Factors) -> u32 {
        whole((self.0["room"][name].as_f64().unwrap_or(100.0) * factors.scale).max(5.0))
    }

    /// Seats of each performance: at least 10.
    pub(super) fn seats(self, factors: Factors) -> u32 {
        let seats = self.0["hall"]["seats"].as_f64().unwrap_or(50.0);
        // A hall with as many performances as persons need keeps its size: the length of the seat list is part of the load.
        let scale = if self.0["hall"]["performances"] == 0 { 1.0 } else { factors.scale };
        whole((seats * scale).max(10.0))
    }

    /// Number of performances. Without one in the file: as many as this number of persons needs, one seat each.
    pub(super) fn performances(self, seats: u32, persons: u32) -> u32 {
        match self.hall("performances") {
            0 => (persons + persons / 10).div_ceil(seats.max(1)).max(1),
            count => u32::try_from(count).unwrap_or(1),
        }
    }

    /// A number of the hall: `holdSeconds` or `thinkMillis`.
    pub(super) fn hall(self, name: &str) -> u64 {
        self.0["hall"][name].as_u64().unwrap_or(0)
    }

    /// Places of the lecture, if there is one.
    pub(super) fn lecture(self) -> Option<u32> {
        self.0["lecture"].as_u64().and_then(|places| u32::try_from(places).ok())
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Outcome<&'a str> {
    value[name].as_str().ok_or_else(|| format!("no {name} in {value}").into())
}

fn number(value: &Value, name: &str) -> Outcome<f64> {
    value[name].as_f64().ok_or_else(|| format!("no {name} in {value}").into())
}

/// The nearest whole number that fits; 0 for a negative one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range before")]
pub(super) fn whole(value: f64) -> u32 {
    value.round().clamp(0.0, f64::from(u32::MAX)) as u32
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step ends the test")]
mod tests {
    use super::*;

    #[test]
    fn each_scenario_of_the_file_can_be_run_in_each_size() {
        let scenarios = Scenarios::read().unwrap();
        assert!(scenarios.objectives().unwrap().len() >= 8);
        let names: Vec<&str> = scenarios.all().iter().map(|scenario| scenario.name()).collect();
        assert_eq!(names[..3], ["smoke", "average", "opening"]);
        for scenario in scenarios.all() {
            let name = scenario.name();
            assert!(!scenario.aim().is_empty() && !scenario.passes().is_empty(), "{name}");
            for size in ["full", "quick", "tiny"] {
                let factors = scenario.factors(size);
                let parties = scenario.parties(factors, 300.0).unwrap();
                let persons: u32 = parties.iter().map(|party| party.arrivals.count()).sum();
                assert!(persons > 0 && persons < 500_000, "{name} {size}: {persons} persons");
                let seconds = parties.iter().map(|party| party.arrivals.seconds()).fold(0.0, f64::max);
                assert!(size == "full" || seconds <= 60.0, "{name} {size}: {seconds} s");
            }
        }
    }
}
