//! Whether a run is void, whether the server did something wrong, and which objectives it missed.

use std::collections::HashSet;
use std::time::Duration;

use super::answers::{Answers, Sample, permille};
use super::calls::{Call, Kind};
use super::scenario::{Objective, Scenario};
use super::watch::{Liveness, Resources};

/// The generator may use this share of a core, on average while persons arrive.
const GENERATOR_CORES_MAX: f64 = 0.85;

/// The p99 delay between due and sent may be this long, in milliseconds.
const LATE_MILLIS_MAX: f64 = 50.0;

/// After the last level of `stress`, and after the loss of all instances, the server is itself again within this time, in
/// seconds.
const RECOVERS_SECONDS: f64 = 10.0;

/// A storm may leave a new client without an answer for this time, in seconds.
const HANGS_SECONDS: f64 = 5.0;

/// Growth is judged in runs of this length or longer: in a shorter one memory that is used for the first time counts.
const GROWTH_FROM: Duration = Duration::from_secs(1_800);

/// What a run left behind.
pub(super) struct Evidence<'a> {
    pub(super) scenario: Scenario,
    pub(super) objectives: &'a [Objective],
    pub(super) answers: &'a Answers,
    pub(super) liveness: Liveness,
    pub(super) resources: &'a Resources,
    /// Seats of all performances, and places of the lecture.
    pub(super) seats: u32,
    pub(super) places: u32,
    /// When all instances were killed, in seconds after the begin.
    pub(super) killed_at: Option<f64>,
    /// When all of them were started again.
    pub(super) back_at: Option<f64>,
    /// How long persons arrived, and when the last stage began, in seconds.
    pub(super) arriving: Duration,
    pub(super) last_stage: f64,
    /// Whether latencies count. Not in the smallest size, which tests only whether everything runs.
    pub(super) judges_speed: bool,
}

/// The judgement of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What no load excuses: a seat sold twice, a wrong balance, an order that the auditor refutes.
    pub(super) wrong: Vec<String>,
    /// Objectives and thresholds that were missed.
    pub(super) missed: Vec<String>,
    /// Why the run counts neither way.
    pub(super) void: Vec<String>,
}

impl Verdict {
    /// One word for the table.
    pub(super) fn word(&self) -> &'static str {
        match (self.wrong.is_empty(), self.void.is_empty(), self.missed.is_empty()) {
            (false, ..) => "WRONG",
            (_, false, _) => "void",
            (.., false) => "missed",
            _ => "ok",
        }
    }
}

impl Evidence<'_> {
    /// Judges the run: what is wrong, what is missed, and why it may be void.
    pub(super) fn judge(&self) -> Verdict {
        let mut verdict = Verdict { wrong: self.wrong(), ..Verdict::default() };
        verdict.missed.extend(self.unfinished());
        if self.judges_speed {
            verdict.void = self.void();
            verdict.missed.extend(self.missed());
        }
        verdict
    }

    fn ends(&self, name: &str) -> u64 {
        self.answers.ends.get(name).copied().unwrap_or(0)
    }

    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let paid = &self.answers.paid;
        let different = paid.iter().collect::<HashSet<_>>().len();
        if different < paid.len() {
            wrong.push(format!("{} seats were sold more than once", paid.len() - different));
        }
        if paid.len() > self.seats as usize {
            wrong.push(format!("{} seats were sold, and there are {}", paid.len(), self.seats));
        }
        let odd = self.ends("wrong balance");
        if odd > 0 {
            wrong.push(format!("{odd} wallets have a wrong balance: a change was done twice, or not at all"));
        }
        let placed = self.ends("has a place");
        if self.scenario.checks("places-once") && placed != u64::from(self.places) {
            wrong.push(format!("{placed} applicants got one of {} places", self.places));
        }
        wrong
    }

    /// What did not come to its end, or ended otherwise than it must.
    fn unfinished(&self) -> Vec<String> {
        let mut missed = Vec::new();
        if self.answers.dropped > 0 {
            missed.push(format!("{} persons did not arrive", self.answers.dropped));
        }
        if self.scenario.checks("all-done") {
            let ends = ["cut short", "failed"].map(|end| (end, self.ends(end)));
            missed.extend(
                ends.iter().filter(|(_, count)| *count > 0).map(|(end, count)| format!("{count} persons: {end}")),
            );
        }
        let failed = self.answers.samples.iter().filter(|sample| self.is_failure(sample)).count();
        if failed > 0 {
            missed.push(format!("{failed} failed answers"));
        }
        missed
    }

    /// Whether an answer is a failure that nothing excuses. While all instances are dead, there is none.
    fn is_failure(&self, sample: &Sample) -> bool {
        let at = f64::from(sample.at) / 1_000.0;
        // How fast a machine starts the instances again is a part of its speed.
        let ended = if self.judges_speed { self.killed_at } else { self.back_at };
        // A request that was sent before the end may be answered by nothing.
        let excused = self.killed_at.zip(ended).map(|(killed, ended)| killed - 15.0..ended + RECOVERS_SECONDS);
        let is_excused = excused.is_some_and(|excused| excused.contains(&at));
        sample.kind() == Kind::Failed && !is_excused
    }

    fn void(&self) -> Vec<String> {
        let mut void = Vec::new();
        if self.answers.dropped > 0 {
            void.push(format!("{} persons were due and did not start", self.answers.dropped));
        }
        let cores = self.resources.cores_arriving("generator");
        if cores > GENERATOR_CORES_MAX {
            void.push(format!("the generator used {cores:.2} of a core while persons arrived"));
        }
        let mut late = self.answers.late.clone();
        late.sort_unstable();
        let late = permille(&late, 990);
        // If the server is overloaded, connections are busy and requests wait for one: that is what `stress` wants.
        if late > LATE_MILLIS_MAX && !self.scenario.checks("accepted-within-1s") && self.killed_at.is_none() {
            void.push(format!("1 % of the requests were sent more than {late:.0} ms after they were due"));
        }
        void
    }

    fn missed(&self) -> Vec<String> {
        let samples = &self.answers.samples;
        let mut missed = Vec::new();
        if self.scenario.has_objectives() {
            missed.extend(misses(self.objectives, samples));
        }
        // In the smallest size there are fewer persons than seats.
        let sold = self.answers.paid.len();
        if self.scenario.checks("sells-out") && sold < self.seats as usize {
            missed.push(format!("{sold} of {} seats were sold", self.seats));
        }
        if !self.liveness.is_alive {
            missed.push("an instance does not answer after the run".to_owned());
        }
        let shed = samples.iter().filter(|sample| sample.kind() == Kind::Shed).count();
        if self.scenario.checks("no-shed") && shed > 0 {
            missed.push(format!("{shed} requests were shed"));
        }
        if self.scenario.checks("accepted-within-1s") {
            for (what, kind) in [("accepted", Kind::Good), ("refused", Kind::Shed)] {
                let late = late_millis(samples.iter().filter(|sample| sample.kind() == kind));
                missed.extend((late > 1_000.0).then(|| format!("p99 of {what} requests is {late:.0} ms (≤ 1,000)")));
            }
        }
        if self.scenario.checks("recovers") {
            let from = (self.last_stage + RECOVERS_SECONDS) * 1_000.0;
            let after: Vec<Sample> = samples.iter().filter(|sample| f64::from(sample.at) >= from).copied().collect();
            missed.extend(misses(self.objectives, &after).into_iter().map(|missed| format!("afterwards: {missed}")));
        }
        let bounds = [("alive", HANGS_SECONDS), ("answers-within-10s", RECOVERS_SECONDS)];
        for (_, bound) in bounds.into_iter().filter(|(check, _)| self.scenario.checks(check)) {
            let gap = self.liveness.longest_gap;
            missed.extend((gap > bound).then(|| format!("no instance answered for {gap:.1} s (≤ {bound:.0})")));
        }
        if self.scenario.checks("no-growth") && self.arriving >= GROWTH_FROM {
            let grown = self.resources.megabytes_per_hour("onsale");
            missed.extend((grown >= 1.0).then(|| format!("memory grew by {grown:.1} MB an hour (< 1)")));
        }
        missed
    }
}

fn late_millis<'a>(samples: impl Iterator<Item = &'a Sample>) -> f64 {
    let mut micros: Vec<u32> = samples.map(|sample| sample.micros).collect();
    micros.sort_unstable();
    permille(&micros, 990)
}

/// The objectives that these answers miss, in words.
pub(super) fn misses(objectives: &[Objective], samples: &[Sample]) -> Vec<String> {
    let miss = |objective: &Objective| {
        let of_call = || samples.iter().filter(|sample| sample.call == objective.call);
        let is_good =
            |sample: &&Sample| sample.kind() == Kind::Good && f64::from(sample.micros) <= objective.millis * 1_000.0;
        // Shed requests are counted by themselves.
        let all = of_call().filter(|sample| sample.kind() != Kind::Shed).count();
        let good = of_call().filter(is_good).count();
        let wanted = f64::from(objective.permille) / 1_000.0;
        let share = good as f64 / all.max(1) as f64;
        let late = late_millis(of_call().filter(|sample| sample.kind() == Kind::Good));
        let Objective { call, millis, .. } = objective;
        let name = Call::name(*call);
        (all > 0 && share < wanted).then(|| {
            format!(
                "{name}: {:.2} % within {millis:.0} ms (≥ {:.0} %), p99 {late:.0} ms",
                share * 100.0,
                wanted * 100.0
            )
        })
    };
    objectives.iter().filter_map(miss).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step ends the test")]
mod tests {
    use super::super::scenario::Scenarios;
    use super::*;

    fn sample(at: u32, call: Call, status: u16, code: &'static str, millis: u32) -> Sample {
        Sample { at, call, status, code, micros: millis * 1_000 }
    }

    fn judged(name: &str, answers: &Answers, killed_at: Option<f64>) -> Verdict {
        judged_with(name, answers, (killed_at, killed_at), true)
    }

    fn judged_with(
        name: &str,
        answers: &Answers,
        (killed_at, back_at): (Option<f64>, Option<f64>),
        judges_speed: bool,
    ) -> Verdict {
        let scenarios = Scenarios::read().unwrap();
        let scenario = scenarios.all().into_iter().find(|scenario| scenario.name() == name).unwrap();
        let liveness = Liveness { is_alive: true, probes: 1, ..Liveness::default() };
        Evidence {
            scenario,
            objectives: &scenarios.objectives().unwrap(),
            answers,
            liveness,
            resources: &Resources::default(),
            seats: 2,
            places: 30,
            killed_at,
            back_at,
            arriving: Duration::from_secs(60),
            last_stage: 40.0,
            judges_speed,
        }
        .judge()
    }

    #[test]
    fn a_seat_sold_twice_is_wrong_and_an_unsold_one_is_missed() {
        let mut answers = Answers { paid: vec![(0, 1), (0, 2)], ..Answers::default() };
        assert_eq!(judged("opening", &answers, None).word(), "ok");
        answers.paid = vec![(0, 1), (0, 1)];
        assert_eq!(judged("opening", &answers, None).wrong, ["1 seats were sold more than once"]);
        answers.paid.pop();
        assert_eq!(judged("opening", &answers, None).missed, ["1 of 2 seats were sold"]);
        answers.ends.insert("wrong balance", 1);
        assert_eq!(judged("retries", &answers, None).word(), "WRONG");
    }

    #[test]
    fn an_objective_is_missed_by_late_and_by_failed_answers() {
        let mut answers = Answers { paid: vec![(0, 1), (0, 2)], ..Answers::default() };
        answers.samples = (0..100).map(|at| sample(at, Call::Poll, 200, "", if at == 0 { 51 } else { 50 })).collect();
        assert_eq!(judged("opening", &answers, None).word(), "ok");
        answers.samples[1].micros = 60_000;
        let verdict = judged("opening", &answers, None);
        assert_eq!((verdict.word(), verdict.missed.len()), ("missed", 1));
        assert!(verdict.missed[0].starts_with("poll: 98.00 % within 50 ms"), "{:?}", verdict.missed);
        answers.samples[1] = sample(1, Call::Poll, 500, "internal", 1);
        answers.samples.push(sample(2, Call::Poll, 503, "overloaded", 1));
        let missed = judged("opening", &answers, None).missed;
        assert_eq!(missed.len(), 3, "failed, within, shed: {missed:?}");
    }

    #[test]
    fn failures_are_excused_only_while_all_instances_are_dead() {
        let failed = |at| Answers { samples: vec![sample(at, Call::Poll, 0, "", 1)], ..Answers::default() };
        assert_eq!(judged("stampede", &failed(20_000), Some(18.0)).word(), "ok");
        assert_eq!(judged("stampede", &failed(29_000), Some(18.0)).word(), "missed");
        assert_eq!(judged("stampede", &failed(20_000), None).word(), "missed");
    }

    #[test]
    fn a_slow_restart_excuses_failures_where_speed_does_not_count() {
        let failed = |at| Answers { samples: vec![sample(at, Call::Poll, 0, "", 1)], ..Answers::default() };
        let word =
            |at, judges_speed| judged_with("stampede", &failed(at), (Some(18.0), Some(30.0)), judges_speed).word();
        assert_eq!([word(39_000, false), word(41_000, false), word(39_000, true)], ["ok", "missed", "missed"]);
    }

    #[test]
    fn a_run_with_dropped_or_late_persons_is_void() {
        let answers = Answers { dropped: 1, late: vec![60_000; 10], ..Answers::default() };
        let verdict = judged("retries", &answers, None);
        assert_eq!((verdict.word(), verdict.void.len()), ("void", 2), "{verdict:?}");
    }

    #[test]
    fn after_a_stress_only_what_comes_10_s_into_the_last_stage_counts() {
        let mut answers = Answers { samples: vec![sample(45_000, Call::Enter, 201, "", 900)], ..Answers::default() };
        assert_eq!(judged("stress", &answers, None).word(), "ok");
        answers.samples.push(sample(51_000, Call::Enter, 201, "", 900));
        assert_eq!(judged("stress", &answers, None).missed.len(), 1);
        answers.samples.push(sample(20_000, Call::Enter, 503, "overloaded", 1_500));
        assert_eq!(judged("stress", &answers, None).missed.len(), 2);
    }
}
