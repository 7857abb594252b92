//! A process that sells: it holds seats, pays for them, and recovers what a process before it left. The laboratory kills it.
//!
//! It prints a line for each payment that a client saw succeed, and for what it found in flight.

use std::io::{Read, Write, stdout};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_testing::{Dice, PATIENCE};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::in_doubt;
use super::saga;
use super::session::Session;
use super::teller::{Order, Places, Teller, WAYS, Way};

/// The first argument that makes this program a worker.
pub(crate) const ARGUMENT: &str = "split-worker";

/// Buyers of a worker's load. Few, so that they meet, and poor, so that some payments are refused.
pub(crate) const BUYERS: u64 = 64;

/// Performances at a time.
pub(crate) const PERFORMANCES: u64 = 4;

/// Clients of a worker.
const CLIENTS: u32 = 8;

/// Ids of a worker begin at its number times this.
pub(crate) const IDS: i64 = 1_000_000;

/// A saga that was not moved for this long is resumed, in milliseconds. Longer than any answer takes while the databases are
/// there.
const IDLE_MILLIS: i32 = 500;

/// What a worker does.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) way: Way,
    pub(crate) places: Places,
    /// From 1, and higher than that of each worker before it.
    pub(crate) number: i32,
    /// Seats of each performance. Few: clients compete for them.
    pub(crate) seats: u64,
    pub(crate) mode: Mode,
}

/// How long a worker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Until its standard input is closed.
    Works,
    /// The same, but it kills itself when a payment has passed this step.
    CrashesAfter(String),
    /// Sells nothing, and ends when nothing is in flight.
    Drains,
}

/// A running worker. Killed when it is dropped.
pub(crate) struct Worker {
    child: Child,
    /// Reads all the time, so that the worker never waits for a full pipe.
    output: JoinHandle<std::io::Result<String>>,
}

/// What a worker printed.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Payments that a client saw succeed.
    pub(crate) paid: Vec<i64>,
    /// What it found in flight at its start, by a word for each kind.
    pub(crate) found: Vec<(String, u64)>,
}

impl Worker {
    pub(crate) fn start(task: &Task) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mode = match &task.mode {
            Mode::Works => "works",
            Mode::CrashesAfter(step) => step,
            Mode::Drains => "drains",
        };
        command.args([ARGUMENT, task.way.word(), &task.places.sale, &task.places.wallet, mode]);
        command.args([task.number.to_string(), task.seats.to_string()]);
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

    /// Kills it with SIGKILL. Returns what it has printed.
    pub(crate) async fn kill(mut self) -> Outcome<Report> {
        self.child.kill().await?;
        self.report().await
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// If it does not end in time.
    pub(crate) async fn ended(mut self) -> Outcome<Report> {
        // Dropping the input would end it.
        let input = self.child.stdin.take();
        tokio::time::timeout(PATIENCE, self.child.wait()).await.map_err(|_| "the worker does not end")??;
        drop(input);
        self.report().await
    }

    /// Lets it finish what is under way.
    pub(crate) async fn finish(mut self) -> Outcome<Report> {
        drop(self.child.stdin.take());
        self.ended().await
    }

    async fn report(self) -> Outcome<Report> {
        let output = self.output.await??;
        let mut report = Report::default();
        // A killed process may have written a part of its last line: without its end it does not count.
        let complete = output.rsplit_once('\n').map_or("", |(complete, _)| complete);
        for line in complete.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["paid", payment] => report.paid.push(payment.parse()?),
                ["found", what, count] => report.found.push((what.to_owned(), count.parse()?)),
                _ => return Err(format!("the worker printed {line:?}").into()),
            }
        }
        Ok(report)
    }
}

/// Runs as a worker.
pub(crate) fn run(arguments: &[&str]) -> Outcome<bool> {
    let [way, sale, wallet, mode, number, seats] = arguments else {
        return Err("a worker is started by the laboratory".into());
    };
    let way = WAYS.into_iter().find(|known| known.word() == *way).ok_or("no such way")?;
    let mode = match *mode {
        "works" => Mode::Works,
        "drains" => Mode::Drains,
        step => Mode::CrashesAfter(step.to_owned()),
    };
    let places = Places { sale: (*sale).to_owned(), wallet: (*wallet).to_owned() };
    let task = Task { way, places, number: number.parse()?, seats: seats.parse()?, mode };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(sell(task))?;
    Ok(true)
}

async fn sell(task: Task) -> Outcome<()> {
    recover(&task).await?;
    if task.mode == Mode::Drains {
        return Ok(());
    }
    let shared =
        Arc::new(Shared { task, next: AtomicI64::new(0), second: Mutex::default(), stop: AtomicBool::new(false) });
    let mut tasks: Vec<JoinHandle<Outcome<()>>> = Vec::new();
    for client in 0..CLIENTS {
        tasks.push(tokio::spawn(work(shared.clone(), client)));
    }
    tasks.push(tokio::spawn(background(shared.clone())));
    // Until the laboratory closes the pipe.
    let closed = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
    let _ = closed.await??;
    shared.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// Finishes what workers before this one have left in flight.
async fn recover(task: &Task) -> Outcome<()> {
    let name = format!("split-{}-recovery", task.number);
    let mut teller = Teller::open(task.way, &task.places, &name).await;
    let before = i64::from(task.number) * IDS;
    match task.way {
        Way::One | Way::NoRecovery => {}
        Way::TwoPhase => {
            let own = format!("{name}-0");
            let resolved = in_doubt::resolve(&mut teller.sale, &mut teller.wallet, "split-", &own).await?;
            say("found", &format!("committed {}", resolved.committed))?;
            say("found", &format!("rolled-back {}", resolved.rolled_back))?;
        }
        Way::Saga => loop {
            let resumed = saga::resume(&mut teller, i32::MAX, before).await?;
            for (what, count) in
                [("reserve", resumed.reserve), ("capture", resumed.capture), ("release", resumed.release)]
            {
                say("found", &format!("{what} {count}"))?;
            }
            if resumed.total() == 0 {
                break;
            }
        },
    }
    Ok(())
}

/// What the tasks of a worker share.
struct Shared {
    task: Task,
    /// Number of the next payment of this worker.
    next: AtomicI64,
    /// An order of which another client sends a second payment at the same time.
    second: Mutex<Option<Order>>,
    stop: AtomicBool,
}

/// One client: holds seats and pays for them, or pays for what another client is paying for.
async fn work(shared: Arc<Shared>, client: u32) -> Outcome<()> {
    let Task { way, places, number, mode, .. } = &shared.task;
    let mut teller = Teller::open(*way, places, &format!("split-{number}-{client}")).await;
    if let Mode::CrashesAfter(step) = mode {
        teller.crash_after = Some(step.clone());
    }
    let mut dice = Dice::new(u64::from(client) << 32 | u64::from(number.unsigned_abs()));
    // Relaxed: a flag on which no other memory depends.
    while !shared.stop.load(Ordering::Relaxed) {
        match pay_once(&shared, &mut teller, &mut dice).await {
            Ok(paid) => paid.iter().try_for_each(|payment| say("paid", &payment.to_string()))?,
            Err(_) => teller.recover().await,
        }
    }
    Ok(())
}

async fn pay_once(shared: &Shared, teller: &mut Teller, dice: &mut Dice) -> Result<Vec<i64>, super::session::Failure> {
    let next = shared.next.fetch_add(1, Ordering::Relaxed);
    let id = i64::from(shared.task.number) * IDS + next;
    let second = shared.second.lock().unwrap_or_else(PoisonError::into_inner).take();
    let order = match second {
        Some(first) => Order { payment: id, ..first },
        None => match hold(shared, teller, dice, id).await? {
            Some(order) => order,
            None => return Ok(Vec::new()),
        },
    };
    if second.is_none() && dice.percent(15) {
        *shared.second.lock().unwrap_or_else(PoisonError::into_inner) = Some(order);
    }
    Ok(teller.pay(&[order]).await?.paid)
}

/// Holds one or two seats, some for a moment only. Now and then the buyer charges points first.
async fn hold(
    shared: &Shared,
    teller: &mut Teller,
    dice: &mut Dice,
    id: i64,
) -> Result<Option<Order>, super::session::Failure> {
    let small = |number: u64| i32::try_from(number).unwrap_or_default();
    let buyer = small(dice.below(BUYERS));
    if dice.percent(30) {
        teller.wallet.rows("SELECT charge($1, 500)", &[&buyer]).await?;
    }
    // The halls of a worker follow each other as they are sold out.
    let hall = u64::try_from(id % IDS).unwrap_or_default() / shared.task.seats;
    let performance = shared.task.number * 1_000 + small(hall * PERFORMANCES + dice.below(PERFORMANCES));
    let first = 1 + dice.below(shared.task.seats);
    let seats: Vec<i32> = (first..=first + dice.below(2)).map(small).collect();
    let amount = 100 * i64::try_from(seats.len()).unwrap_or_default();
    let millis = if dice.percent(25) { small(1 + dice.below(15)) } else { 5_000 };
    let answer = teller
        .sale
        .rows("SELECT ARRAY[hold($1, $2, $3, $4, $5, $6)]", &[&id, &buyer, &performance, &seats, &amount, &millis])
        .await?;
    let is_held = answer.first().is_some_and(|row| row.get::<_, Vec<String>>(0) == ["HELD"]);
    Ok(is_held.then_some(Order { payment: id, reservation: id, buyer, amount }))
}

/// The background work of the service: ends holds whose time is over, and resumes sagas that stand still.
async fn background(shared: Arc<Shared>) -> Outcome<()> {
    let Task { way, places, number, .. } = &shared.task;
    // Two connections of their own kinds: the sweeper needs the sale only, and must work while the wallet is away.
    let only_sale = Places { sale: places.sale.clone(), wallet: places.sale.clone() };
    let mut sweeper = Teller::open(*way, &only_sale, &format!("split-{number}-sweeper")).await;
    let resumer = (*way == Way::Saga).then(|| tokio::spawn(resume(shared.clone())));
    while !shared.stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if saga::sweep(&mut sweeper).await.is_err() && sweeper.sale.is_closed() {
            sweeper.sale = Session::open_patiently(&places.sale, &format!("split-{number}-sweeper-again")).await;
        }
    }
    match resumer {
        Some(resumer) => resumer.await?,
        None => Ok(()),
    }
}

async fn resume(shared: Arc<Shared>) -> Outcome<()> {
    let Task { way, places, number, .. } = &shared.task;
    let mut teller = Teller::open(*way, places, &format!("split-{number}-resumer")).await;
    while !shared.stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if saga::resume(&mut teller, IDLE_MILLIS, 0).await.is_err() {
            teller.recover().await;
        }
    }
    Ok(())
}

fn say(what: &str, value: &str) -> Outcome<()> {
    let mut output = stdout().lock();
    writeln!(output, "{what} {value}")?;
    Ok(output.flush()?)
}
