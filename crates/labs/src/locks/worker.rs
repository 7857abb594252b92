//! A second process with clients of a control, which an experiment can stop and kill. Prints what it sends and what it is
//! answered, a line each.

use std::io::{Read, Write, stdout};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_testing::{PATIENCE, Signal, signal};
use rustix::process::{getpid, kill_process};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::bed::Bed;
use super::controls::{Control, Needs, control};
use super::lane::{BATCH_MAX, Lane};
use super::partition::{Link, Place};
use super::scene::Op;
use super::session::{Between, Servers, Session, Shared};
use super::verdict::Answers;

/// The first argument that makes this program a worker.
pub(crate) const ARGUMENT: &str = "locks-worker";

/// Ids of a worker's changes begin here, far from those of the other process.
const FIRST_ID: i64 = 1_000_000_000;

/// How a worker behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Until its standard input is closed.
    Works,
    /// The same, but it stops itself once between a read and the write.
    StopsItself,
}

/// A running worker. Killed when it is dropped.
pub(crate) struct Worker {
    child: Child,
    /// Reads all the time, so that the worker never waits for a full pipe.
    output: JoinHandle<std::io::Result<String>>,
}

impl Worker {
    /// Starts a worker on the wallet of a bed: this many sessions, each change of this amount.
    pub(crate) async fn start(
        bed: &Bed,
        control: &Control,
        sessions: u32,
        amount: i64,
        manner: Manner,
    ) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([ARGUMENT, &control.letter.to_string(), &bed.database_url(), &bed.redis_url()]);
        let place = bed.place(control).await;
        let (brokers, commands) = place.map_or_else(Default::default, |place| (place.brokers, place.commands));
        command.args([brokers, commands]);
        command.args([sessions.to_string(), amount.to_string()]);
        command.arg(if manner == Manner::StopsItself { "stops" } else { "works" });
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let mut pipe = child.stdout.take().ok_or("the worker has no output")?;
        let output = tokio::spawn(async move {
            let mut text = String::new();
            pipe.read_to_string(&mut text).await?;
            Ok(text)
        });
        Ok(Self { child, output })
    }

    /// Waits until it has stopped itself.
    pub(crate) async fn until_stopped(&self) -> Outcome<()> {
        let id = self.child.id().ok_or("the worker has ended")?;
        let stopped = async {
            loop {
                let line = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
                // The name before the state is in brackets and may contain anything.
                if line.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, stopped).await?
    }

    /// Continues it after a stop.
    pub(crate) fn resume(&self) {
        signal(&self.child, Signal::CONT);
    }

    /// Kills it with SIGKILL.
    pub(crate) async fn kill(&mut self) -> Outcome<()> {
        Ok(self.child.kill().await?)
    }

    /// Lets it finish what is under way, if it still runs. Returns what it was answered.
    pub(crate) async fn finish(mut self, amount: i64) -> Outcome<Answers> {
        drop(self.child.stdin.take());
        tokio::time::timeout(PATIENCE, self.child.wait()).await??;
        Ok(answers(&self.output.await??, amount))
    }
}

/// What a worker was answered, from its output: all that it sent and saw no answer to is unknown.
fn answers(output: &str, amount: i64) -> Answers {
    let mut answers = Answers::default();
    let mut sent = std::collections::BTreeMap::new();
    for line in output.lines() {
        let mut words = line.split(' ');
        let (Some(what), Some(Ok(id))) = (words.next(), words.next().map(str::parse::<i64>)) else { continue };
        let op = Op { id, wallet: 0, amount };
        match what {
            "sent" => drop(sent.insert(id, op)),
            "won" => {
                sent.remove(&id);
                answers.won.push(op);
            }
            "refused" => drop(sent.remove(&id)),
            _ => {}
        }
    }
    answers.unknown.extend(sent.into_values());
    answers
}

/// Runs as a worker.
pub(crate) fn run(arguments: &[&str]) -> Outcome<bool> {
    let [letter, database, redis, brokers, commands, sessions, amount, manner] = arguments else {
        return Err("a worker is started by the laboratory".into());
    };
    let control = control(letter).ok_or("no such control")?;
    let (sessions, amount): (u32, i64) = (sessions.parse()?, amount.parse()?);
    let stops = *manner == "stops";
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let between: Option<fn()> = stops.then_some(stop_this_process);
        let mut shared =
            Shared { mutexes: vec![tokio::sync::Mutex::new(())], lane: None, sqlite: None, partition: None };
        match control.needs {
            Needs::Lane => shared.lane = Some(Lane::start(database, BATCH_MAX, between).await),
            Needs::Kafka => {
                let [brokers, commands, database] = [brokers, commands, database].map(|text| (*text).to_owned());
                shared.partition = Some(Link::start(&Place { brokers, commands, database }, "worker", between).await?);
            }
            _ => {}
        }
        let shared = Arc::new(shared);
        let servers = Servers {
            database: control.needs.connection().then(|| (*database).to_owned()),
            redis: (control.needs == Needs::Redis).then(|| (*redis).to_owned()),
        };
        let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(FIRST_ID)));
        let mut clients = Vec::new();
        for number in 0..sessions {
            let mut session = Session::open(&servers, shared.clone(), u64::from(number) + 1_000).await?;
            session.between = stops.then(|| -> Between { Box::new(|| Box::pin(async { stop_this_process() })) });
            clients.push(tokio::spawn(work(control, session, amount, stop.clone(), next.clone())));
        }
        // Until the other process closes the pipe.
        let closed = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
        let _ = closed.await??;
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await??;
        }
        Ok(true)
    })
}

async fn work(
    control: &Control,
    mut session: Session,
    amount: i64,
    stop: Arc<AtomicBool>,
    next: Arc<AtomicI64>,
) -> Outcome<()> {
    // Relaxed: a flag and a counter on which no other memory depends.
    while !stop.load(Ordering::Relaxed) {
        let op = Op { id: next.fetch_add(1, Ordering::Relaxed), wallet: 0, amount };
        say("sent", &op)?;
        match (control.apply)(&mut session, &op).await {
            Ok(true) => say("won", &op)?,
            Ok(false) => say("refused", &op)?,
            Err(_) => return Ok(()),
        }
        // Leaves room for the other process.
        let micros = session.dice.below(500);
        if session.sleep(Duration::from_micros(micros)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn say(what: &str, op: &Op) -> Outcome<()> {
    let mut output = stdout().lock();
    writeln!(output, "{what} {}", op.id)?;
    Ok(output.flush()?)
}

/// Every thread of this process stops here until another process continues it.
fn stop_this_process() {
    let _ = kill_process(getpid(), Signal::STOP);
    // The signal may reach another thread first: this one must not run on to the write before it stops as well.
    std::thread::sleep(Duration::from_millis(50));
}
