//! 100,000 users enter one room over three instances. Redis is killed and restarted in the middle, and all users are admitted
//! in the order of their entries.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;
use onsale_report::number;
use onsale_testing::auditor::{Asked, Log, Record, Standing};
use onsale_testing::now_millis;

use super::deployment::{Deployment, Issuer, audit, limits, room};
use super::visitors::{Answers, Behaviour, Visitor};
use crate::machine::Machine;
use crate::results::{Figure, Line, Target};
use crate::row::Work;

const ENTRIES_PER_SECOND: u64 = 2_000;
const MAX_ACTIVE: u32 = 6_000;
const ADMITTED_PER_SECOND: u32 = 1_200;

const CONNECTIONS: usize = 192;

/// How long Redis is down.
const DOWN: Duration = Duration::from_secs(5);

/// An entry must succeed within this time of the restart.
const ENTERS_WITHIN: Duration = Duration::from_secs(5);

/// Maximum duration of the whole scene.
const PATIENCE: Duration = Duration::from_secs(300);

/// Polls as the answers say, leaves as soon as a turn is shown, and retries after a 503.
fn next(visitor: &mut Visitor, record: &Record) -> bool {
    let spread = u64::from(visitor.number % 97) * 5_000;
    match (record.asked, record.standing) {
        (Asked::Leave, _) if record.code < 300 => return false,
        (_, Some(Standing::Active)) => {
            (visitor.asks, visitor.due) = (Asked::Leave, record.answered);
            return true;
        }
        (_, Some(Standing::Expired)) => return false,
        (_, Some(Standing::Early | Standing::Waiting)) => {
            visitor.asks = Asked::Poll;
            // A little early, to make up for the network delay.
            visitor.due = record.answered + visitor.poll_after_seconds * 900_000;
        }
        // The same request again.
        _ => visitor.due = record.answered + 1_000_000 + spread,
    }
    true
}

/// The answers, and when Redis was killed and restarted, in microseconds since the log began.
struct Scene {
    users: usize,
    answers: Answers,
    killed: u64,
    restarted: u64,
    took: Duration,
}

impl Scene {
    /// Runs the scene. Redis is killed when two fifths of the users have entered, and only half of them enter before that.
    fn run(deployment: &Deployment<'_>, log: &mut Log, users: usize, down: Duration) -> Outcome<Self> {
        let redis = deployment.redis.as_ref().ok_or("this deployment has no Redis")?;
        let concert = deployment.first().admin.concert(&room(MAX_ACTIVE, ADMITTED_PER_SECOND))?;
        *log = Log::new(log.room, now_millis());
        let began = Instant::now();
        let micros = || u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut visitor = |number: usize| {
            let user = log.user(&crate::users::user(number));
            Visitor::new(user, number as u64 * 1_000_000 / ENTRIES_PER_SECOND)
        };
        let visitors: Vec<Visitor> = (0..users).map(&mut visitor).collect();
        let horizon = visitors[users / 2].due - 1;
        let behaviour = Arc::new(Behaviour {
            addresses: deployment.addresses(),
            connections: CONNECTIONS,
            concert,
            began,
            until: u64::MAX,
            horizon: horizon.into(),
            patience: PATIENCE,
            next: Box::new(next),
            entered: 0.into(),
        });
        std::thread::scope(|scope| {
            let running = scope.spawn(|| behaviour.run(visitors));
            while behaviour.entered.load(Ordering::Relaxed) < users * 2 / 5 && !running.is_finished() {
                std::thread::sleep(Duration::from_millis(5));
            }
            let killed = micros();
            deployment.runtime.block_on(redis.kill());
            behaviour.horizon.store(u64::MAX, Ordering::Relaxed);
            std::thread::sleep(down);
            deployment.runtime.block_on(redis.restart());
            let restarted = micros();
            let answers = running.join().map_err(|_| "a thread of the visitors panicked")??;
            Ok(Self { users, answers, killed, restarted, took: began.elapsed() })
        })
    }

    /// Number of users who had a turn.
    fn turns(&self) -> usize {
        let with_turn = self.answers.records.iter().filter(|record| record.active_until.is_some());
        with_turn.map(|record| record.user).collect::<HashSet<_>>().len()
    }

    /// Time from the restart of Redis to the next entry.
    fn until_entry(&self) -> Duration {
        let entries = self.answers.records.iter().filter(|record| record.asked == Asked::Enter && record.code < 300);
        let after = entries.map(|record| record.answered).filter(|answered| *answered > self.restarted);
        Duration::from_micros(after.min().unwrap_or(u64::MAX).saturating_sub(self.restarted))
    }

    /// What happened, in lines.
    fn report(&self) -> String {
        let Self { users, answers, killed, restarted, took } = self;
        let mut text = format!(
            "{} users over three instances in {:.1} s: {} answers, {} users had a turn\n  Redis was killed at {:.1} s and \
             restarted with an empty memory at {:.1} s; {:.2} s later a user entered again",
            number(*users as f64),
            took.as_secs_f64(),
            number(answers.records.len() as f64),
            number(self.turns() as f64),
            *killed as f64 / 1e6,
            *restarted as f64 / 1e6,
            self.until_entry().as_secs_f64(),
        );
        for (what, tally) in [("entries", &answers.entries), ("polls", &answers.polls), ("leaves", &answers.leaves)] {
            let (count, p99) = (number(tally.times.total() as f64), tally.times.millis(990));
            let _ = write!(text, "\n  {what}: {count} answers, p99 {p99:.1} ms");
            for (code, status, count) in tally.problems() {
                let _ = write!(text, ", {count} x {status} {code}");
            }
        }
        text
    }
}

pub(super) fn scene(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let users = machine.scale.pick(100_000, 20_000, 200);
    let down = machine.scale.pick(DOWN, DOWN, DOWN / 10);
    // Tests run the smallest size on machines of any speed, and check its answers alone.
    let within = machine.scale.pick(ENTERS_WITHIN, ENTERS_WITHIN, PATIENCE);
    let deployment = Deployment::start(machine, Issuer::Redis, 3)?;
    Ok(Box::new(move |results| {
        let mut log = Log::new(limits(MAX_ACTIVE, ADMITTED_PER_SECOND), 0);
        let mut scene = Scene::run(&deployment, &mut log, users, down)?;
        results.remark(scene.report());
        let (turns, until_entry) = (scene.turns(), scene.until_entry());
        log.records = std::mem::take(&mut scene.answers.records);
        // No fault is declared to the auditor: the database decides turns and did not fail, and the instance that answered
        // knows every place that it answered with. No answer may be old, and no user may be overtaken.
        let audited = audit(&log, results);
        let is_whole = turns == users && until_entry <= within;
        let line = Line {
            result: Figure::Words(format!("{} of {}", number(turns as f64), number(users as f64))),
            reference: Figure::Seconds(scene.took.as_secs_f64()),
            ..Line::new("scene: Redis killed in the middle")
        };
        results.add(line.judged_if(target, is_whole && audited.is_ok()));
        audited?;
        if !is_whole {
            return Err(format!(
                "{turns} of {users} users had a turn; the first entry succeeded after {until_entry:?}"
            )
            .into());
        }
        deployment.finish()
    }))
}
