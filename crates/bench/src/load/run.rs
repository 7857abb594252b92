//! One run: a scenario on a deployment by a generator, watched and audited.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;
use onsale_testing::auditor::{self, Fault, Log, Lost, Room};
use onsale_testing::{allow_open_files, now_millis};

use super::answers::Answers;
use super::calls::Kind;
use super::crowd::{Begin, Crowd};
use super::gatling::Gatling;
use super::record::{Counts, Record};
use super::sale::{ACTIVE_SECONDS, CLAIM_SECONDS, Deployment, Frame, Sale};
use super::scenario::{Factors, Journey, Objective, Party, Scenario};
use super::verdict::{Evidence, misses};
use super::watch::{Group, Metrics, Probe, Watch};
use crate::machine::Machine;
use crate::users;

/// Connections of a crowd, as a proxy would keep them.
const CONNECTIONS: usize = 192;

/// Open files of this process besides the connections of a storm.
const OPEN_FILES: u64 = 1_500;

/// The program that sends the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generator {
    Rust,
    Gatling,
}

impl Generator {
    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Gatling => "gatling",
        }
    }
}

/// What to run, and how.
pub(super) struct Task<'a> {
    pub(super) scenario: Scenario,
    pub(super) objectives: &'a [Objective],
    pub(super) deployment: Deployment,
    /// Limits of the instances and of Redis; also the number of instances.
    pub(super) frame: Option<&'a Frame>,
    /// The generator; with Gatling its libraries.
    pub(super) gatling: Option<&'a Gatling>,
    pub(super) factors: Factors,
    /// Persons per second at which whole purchases reach their limit.
    pub(super) knee: f64,
    /// Whether latencies count, which they do not in the smallest size.
    pub(super) judges_speed: bool,
    /// How long the liveness probe goes on after the crowd.
    pub(super) cooldown: Duration,
}

impl Task<'_> {
    /// The program that sends the requests.
    pub(super) fn generator(&self) -> Generator {
        if self.gatling.is_some() { Generator::Gatling } else { Generator::Rust }
    }

    /// The parties of each level: one level, except in the search for the knee.
    fn levels(&self) -> Outcome<Vec<Vec<Party>>> {
        let parties = self.scenario.parties(self.factors, self.knee)?;
        let (count, factor) = self.scenario.levels();
        let level = |number: i32| {
            let times = |party: &Party| Party { arrivals: party.arrivals.times(factor.powi(number)), ..party.clone() };
            parties.iter().map(times).collect()
        };
        Ok((0..i32::try_from(count)?).map(level).collect())
    }

    /// The settings of the room, and how exact the answers must be.
    fn room(&self) -> Room {
        // A position may be a second old: an objective. Not on a machine that is slow for another reason.
        let millis = if self.judges_speed { 1_000 } else { 30_000 };
        Room {
            max_active: self.scenario.room("maxActive", self.factors),
            admit_per_second: self.scenario.room("admitPerSecond", self.factors),
            active_seconds: ACTIVE_SECONDS,
            claim_seconds: CLAIM_SECONDS,
            as_of_millis_max: millis,
            shows_millis_max: millis,
            clocks_differ_millis: 50,
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// If a server cannot be started, or `onsale audit` finds a contradiction.
    pub(super) fn run(&self, machine: &Machine) -> Outcome<Record> {
        let levels = self.levels()?;
        let persons: u32 = levels.iter().flatten().map(|party| party.arrivals.count()).sum();
        if levels.iter().flatten().any(|party| party.journey == Journey::Connect) {
            allow_open_files(u64::from(persons) + OPEN_FILES);
        }
        let mut sale = Sale::start(machine, self.deployment, (self.scenario, self.factors), (persons, self.frame))?;
        let mut log = Log::new(self.room(), now_millis());
        let log_began = Instant::now();
        for number in 0..persons {
            log.user(&users::user(number as usize));
        }

        let addresses = sale.addresses();
        let (before, wal) = (Metrics::of(&addresses), sale.postgres.map(|postgres| postgres.wal_bytes()).transpose()?);
        let watch = Watch::start(groups(&sale), Duration::from_millis(500));
        let probe =
            Probe::start(addresses.clone(), Duration::from_secs(1).mul_f64(if self.judges_speed { 1.0 } else { 0.1 }));
        let mut seen = Seen::default();
        for parties in levels {
            let crowd = Crowd {
                venue: sale.venue.clone(),
                parties,
                first: seen.persons,
                log_began,
                tail: Duration::from_secs(self.scenario.tail_seconds()),
                connections: CONNECTIONS,
            };
            let level = self.level(crowd, &mut sale, (&watch, &mut log))?;
            if !seen.add(level, self.objectives) && self.judges_speed {
                break;
            }
        }
        let resources = watch.stop()?;
        let metrics = Metrics::of(&addresses).since(&before);
        let wal = match (sale.postgres, wal) {
            (Some(postgres), Some(before)) => Some(postgres.wal_bytes()? - before),
            _ => None,
        };
        let liveness = probe.stop_after(self.cooldown)?;

        log.records = std::mem::take(&mut seen.answers.records);
        let audited = auditor::audit(&log);
        sale.finish()?;
        let evidence = Evidence {
            scenario: self.scenario,
            objectives: self.objectives,
            answers: &seen.answers,
            liveness,
            resources: &resources,
            seats: sale.seats,
            places: self.scenario.lecture().unwrap_or(0),
            killed_at: seen.killed_at,
            back_at: seen.back_at,
            arriving: seen.arriving,
            last_stage: seen.last_stage,
            judges_speed: self.judges_speed,
        };
        let mut verdict = evidence.judge();
        if !audited.is_sound() {
            verdict.wrong.push(format!("answers of the waiting room contradict each other:\n{audited}"));
        }
        let counts = Counts { persons: seen.persons, wal, knee: seen.knee, audited: log.records.len() };
        Ok(Record::of(self, &evidence, &verdict, (&metrics, &counts)))
    }

    /// Runs one crowd, and kills the instances meanwhile if the scenario wants it.
    fn level(&self, crowd: Crowd, sale: &mut Sale<'_>, (watch, log): (&Watch, &mut Log)) -> Outcome<Level> {
        let crowd = Arc::new(crowd);
        let log_began_at = log.began_at;
        let (begin, begins) = channel();
        let (answers, begun) = std::thread::scope(|scope| {
            let of_thread = crowd.clone();
            // The sender ends with the thread, so that nothing waits for a generator that has failed.
            let running = scope.spawn(move || match self.gatling {
                Some(gatling) => gatling.run(&of_thread, log_began_at, &begin),
                None => of_thread.run(&begin),
            });
            let begun = self.accompany(&begins, &crowd, (sale, watch));
            (running.join().map_err(|_| "the generator panicked"), begun)
        });
        let answers = answers??;
        let Begun { at, dead } = begun?.ok_or("the generator did not report the begin of its crowd")?;
        if let Some((from, until, _)) = dead {
            // Answers that were under way when the instances died may arrive later, or never.
            log.faults.push(Fault {
                lost: Lost::Time,
                from: from.saturating_sub(2_000_000),
                until: until + 10_000_000,
            });
        }
        let last = |party: &Party| party.arrivals.stages().last().map_or(0.0, |stage| stage.seconds);
        let last_stage = crowd.parties.iter().map(|party| party.arrivals.seconds() - last(party)).fold(0.0, f64::max);
        Ok(Level {
            answers,
            persons: crowd.count(),
            rate: crowd.parties.iter().map(|party| party.arrivals.peak()).sum(),
            began: at,
            arriving: crowd.arriving(),
            last_stage,
            killed_at: self.scenario.kill_at_seconds(self.factors),
            back_at: dead.map(|(_, _, back_at)| back_at),
        })
    }

    /// Does what happens next to the generator: watches it from the begin of its crowd on, and kills the instances when the
    /// scenario wants it. Returns `None` if the generator ended before it began.
    fn accompany(
        &self,
        begins: &Receiver<Begin>,
        crowd: &Crowd,
        (sale, watch): (&mut Sale<'_>, &Watch),
    ) -> Outcome<Option<Begun>> {
        let Ok(Begin { at, process }) = begins.recv() else { return Ok(None) };
        sleep_until(at);
        watch.arrive(crowd.arriving(), ("generator", vec![process]));
        let mut dead = None;
        if let Some(seconds) = self.scenario.kill_at_seconds(self.factors) {
            sleep_until(at + Duration::from_secs_f64(seconds));
            let from = micros_since(crowd.log_began);
            sale.kill_all_and_restart()?;
            watch.replace("onsale", instances(sale));
            dead = Some((from, micros_since(crowd.log_began), at.elapsed().as_secs_f64()));
        }
        Ok(Some(Begun { at, dead }))
    }
}

/// A crowd that has begun.
struct Begun {
    at: Instant,
    /// When all instances were killed and when they ran again, in microseconds since the log began; the latter also in seconds
    /// after the begin.
    dead: Option<(u64, u64, f64)>,
}

/// What one crowd left behind.
struct Level {
    answers: Answers,
    persons: u32,
    /// The highest rate of arrivals, in persons per second.
    rate: f64,
    began: Instant,
    arriving: Duration,
    last_stage: f64,
    killed_at: Option<f64>,
    /// When all instances were started again.
    back_at: Option<f64>,
}

/// What all crowds of a run left behind.
#[derive(Default)]
struct Seen {
    answers: Answers,
    persons: u32,
    began: Option<Instant>,
    arriving: Duration,
    last_stage: f64,
    killed_at: Option<f64>,
    back_at: Option<f64>,
    /// The highest rate at which all objectives held without a failed or shed request.
    knee: f64,
}

impl Seen {
    /// Adds a level. Returns whether all objectives held in it.
    fn add(&mut self, mut level: Level, objectives: &[Objective]) -> bool {
        let all_good = level.answers.samples.iter().all(|sample| sample.kind() == Kind::Good);
        let holds = all_good && misses(objectives, &level.answers.samples).is_empty();
        if holds {
            self.knee = self.knee.max(level.rate);
        }
        let began = *self.began.get_or_insert(level.began);
        let offset = u32::try_from((level.began - began).as_millis()).unwrap_or(u32::MAX);
        level.answers.samples.iter_mut().for_each(|sample| sample.at = sample.at.saturating_add(offset));
        self.arriving = level.began - began + level.arriving;
        (self.last_stage, self.killed_at, self.back_at) = (level.last_stage, level.killed_at, level.back_at);
        self.persons += level.persons;
        self.answers.merge(level.answers);
        holds
    }
}

/// The processes to watch. The generator is named when its first person is due, and counts from then on.
fn groups(sale: &Sale<'_>) -> Vec<Group> {
    let mut groups = vec![Group::new("onsale", instances(sale))];
    groups.extend(sale.postgres.map(|server| Group::new("postgres", server.processes()).with_children()));
    groups.extend(sale.redis.as_ref().map(|redis| Group::new("redis", redis.ids())));
    groups.push(Group::new("generator", Vec::new()));
    groups
}

fn instances(sale: &Sale<'_>) -> Vec<u32> {
    sale.servers.iter().map(|server| server.program.id()).collect()
}

fn sleep_until(instant: Instant) {
    std::thread::sleep(instant.saturating_duration_since(Instant::now()));
}

fn micros_since(instant: Instant) -> u64 {
    u64::try_from(instant.elapsed().as_micros()).unwrap_or(u64::MAX)
}
