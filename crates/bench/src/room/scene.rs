//! The scene: 100,000 users enter one room over three instances, Redis is killed and restarted in the middle,
//! and all are admitted in the order of their entries.

use std::collections::HashSet;
use std::io::{Write, stdout};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;
use onsale_testing::auditor::{Asked, Log, Record, Standing};
use onsale_testing::now_millis;

use super::crowd::{Person, Play, Played};
use super::parts::{Home, Parts, audited, room, rules};
use crate::measure::Bench;
use crate::rows::crowd::user;
use crate::table::{Line, Verdict, grouped};

const PEOPLE: usize = 100_000;
const PEOPLE_QUICK: usize = 20_000;

/// Entries per second.
const ARRIVALS_A_SECOND: u64 = 2_000;

const MAX_ACTIVE: u32 = 6_000;
const ADMITTED_A_SECOND: u32 = 1_200;

const CONNECTIONS: usize = 192;

/// How long Redis is down.
const AWAY: Duration = Duration::from_secs(5);

/// Entries must work again within this time of its return.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// Maximum duration of the scene.
const PATIENCE: Duration = Duration::from_secs(300);

/// Polls as the answers say, leaves as soon as the turn is seen, and retries after a 503.
fn next(person: &mut Person, record: &Record) -> bool {
    let spread = u64::from(person.number % 97) * 5_000;
    match (record.asked, record.standing) {
        (Asked::Leave, _) if record.code < 300 => return false,
        (_, Some(Standing::Active)) => {
            (person.asked, person.due) = (Asked::Leave, record.answered);
            return true;
        }
        (_, Some(Standing::Expired)) => return false,
        (_, Some(Standing::Waiting)) => {
            person.asked = Asked::Poll;
            // A little early, to make up for the network delay.
            person.due = record.answered + person.told_seconds * 900_000;
        }
        // The same request again.
        _ => person.due = record.answered + 1_000_000 + spread,
    }
    true
}

/// The answers, and when Redis was killed and back, in microseconds.
struct Scene {
    people: usize,
    played: Played,
    killed: u64,
    back: u64,
    took: Duration,
}

impl Scene {
    /// Runs the scene: half of the users have entered when Redis is killed.
    fn play(parts: &Parts, log: &mut Log, people: usize) -> Outcome<Self> {
        let redis = parts.redis.as_ref().ok_or("there is no Redis")?;
        let concert = parts.first().stage.concert(&room(MAX_ACTIVE, ADMITTED_A_SECOND))?;
        *log = Log::new(log.room, now_millis());
        let began = Instant::now();
        let micros = || u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let person = |number| Person::new(log.user(&user(number)), number as u64 * 1_000_000 / ARRIVALS_A_SECOND);
        let crowd: Vec<Person> = (0..people).map(person).collect();
        let play = Arc::new(Play {
            addresses: parts.addresses(),
            connections: CONNECTIONS,
            concert,
            began,
            until: u64::MAX,
            patience: PATIENCE,
            next: Box::new(next),
            entered: 0.into(),
        });
        std::thread::scope(|scope| {
            let playing = scope.spawn(|| play.run(crowd));
            while play.entered.load(Ordering::Relaxed) < people / 2 && !playing.is_finished() {
                std::thread::sleep(Duration::from_millis(5));
            }
            let killed = micros();
            parts.runtime.block_on(redis.kill());
            std::thread::sleep(AWAY);
            parts.runtime.block_on(redis.restart());
            let back = micros();
            let played = playing.join().map_err(|_| "the crowd panicked")??;
            Ok(Self { people, played, killed, back, took: began.elapsed() })
        })
    }

    /// Number of users who had a turn.
    fn turns(&self) -> usize {
        let told = self.played.records.iter().filter(|record| record.active_until.is_some());
        told.map(|record| record.user).collect::<HashSet<_>>().len()
    }

    /// Time from the return of Redis to the next entry.
    fn again(&self) -> Duration {
        let entered = |record: &&Record| record.asked == Asked::Enter && record.code < 300;
        let after =
            self.played.records.iter().filter(entered).map(|record| record.answered).filter(|at| *at > self.back);
        Duration::from_micros(after.min().unwrap_or(u64::MAX).saturating_sub(self.back))
    }

    fn tell(&self) -> Outcome<()> {
        let Self { people, played, killed, back, took } = self;
        writeln!(
            stdout(),
            "{} people over three instances in {:.1} s: {} answers, {} people had a turn\n  Redis was killed at {:.1} s and \
             back, with nothing of its memory, at {:.1} s; {:.2} s later a user entered again",
            grouped(*people as f64),
            took.as_secs_f64(),
            grouped(played.records.len() as f64),
            grouped(self.turns() as f64),
            *killed as f64 / 1e6,
            *back as f64 / 1e6,
            self.again().as_secs_f64(),
        )?;
        for (what, tally) in [("entering", &played.entries), ("polling", &played.polls), ("leaving", &played.rest)] {
            let problems: Vec<String> =
                tally.problems().iter().map(|(code, status, count)| format!(", {count} x {status} {code}")).collect();
            let p99 = tally.times.permille(990).as_secs_f64() * 1e3;
            let all = grouped(tally.times.total() as f64);
            writeln!(stdout(), "  {what}: {all} answers, p99 {p99:.1} ms{}", problems.concat())?;
        }
        Ok(())
    }
}

pub(super) fn scene(bench: &mut Bench) -> Outcome<()> {
    let people = if bench.scale.rounds == 1 { PEOPLE_QUICK } else { PEOPLE };
    let parts = Parts::start(bench, Home::Redis, 3)?;
    let mut log = Log::new(rules(MAX_ACTIVE, ADMITTED_A_SECOND), 0);
    let mut scene = Scene::play(&parts, &mut log, people)?;
    scene.tell()?;
    let (turns, again) = (scene.turns(), scene.again());
    log.records = std::mem::take(&mut scene.played.records);
    // No fault is declared: the database decides turns and was never away, and the instance that answered knows every place
    // that it answered. No answer may be old, no user may be overtaken.
    let sound = audited(&log);
    let is_whole = turns == people && again <= BACK_WITHIN;
    bench.table.add(Line {
        rate: format!("{} of {}", grouped(turns as f64), grouped(people as f64)),
        empty: format!("{:.1} s", scene.took.as_secs_f64()),
        target: "all, in order".to_owned(),
        ..Line::new("scene: Redis killed in the middle", Verdict::of(is_whole && sound.is_ok()))
    });
    sound?;
    if !is_whole {
        return Err(format!("{turns} of {people} had a turn, and {again:?} passed until one could enter again").into());
    }
    parts.finish()
}
