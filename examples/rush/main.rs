//! A rush: 20,000 people come for 500 seats within ten seconds, through the waiting room.
//!
//! Starts a server of its own in a temporary folder, lets the crowd in over real HTTP, and holds the file to the audit:
//!
//! ```sh
//! cargo run --release --example rush
//! cargo run --release --example rush -- --people 2000 --seats 50 --seconds 5
//! cargo run --release --example rush -- --server 127.0.0.1:8080 --admin-key KEY    # a server that runs already
//! ```

mod plan;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Write as _, stderr, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onsale_load_generator::{
    Admin, Connection, Histogram, Outcome, Performance, Program, Request, THREADS, Tally, ThreadShare, run_threads,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use plan::Plan;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections that the crowd shares, as behind a proxy.
const CONNECTIONS: usize = 512;

/// What a seat costs, in points.
const PRICE: u64 = 50_000;

/// How many of a hundred buyers change their mind with the seat in hand: the seats must find others.
const FICKLE_PERCENT: u64 = 10;

/// Commands of the server that this program runs in processes of its own.
const COMMANDS: [&str; 2] = ["serve", "audit"];

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// State that all visitors share: the addresses, and the counts.
struct Rush {
    concert: String,
    performance: Performance,
    arrive_within: Duration,
    people: u64,
    over: AtomicBool,
    arrived: AtomicU64,
    admitted: AtomicU64,
    sold: AtomicU64,
    fickle: AtomicU64,
    too_late: AtomicU64,
    failed: AtomicU64,
}

/// What one thread of the crowd brings back.
#[derive(Default)]
struct Seen {
    calls: Tally,
    /// From asking for a place to the turn, of those who got one.
    waited: Histogram,
    /// From asking for a place to the paid seat.
    bought: Histogram,
    errors: BTreeMap<String, u64>,
}

fn main() -> ExitCode {
    // The server is this program again, so that one build makes both and they agree.
    if std::env::args().nth(1).is_some_and(|first| COMMANDS.contains(&first.as_str())) {
        return onsale::run();
    }
    let ran = Plan::read(std::env::args().skip(1)).and_then(|plan| run(&plan));
    ran.unwrap_or_else(|error| {
        let _ = writeln!(stderr(), "rush: {error}");
        ExitCode::FAILURE
    })
}

fn run(plan: &Plan) -> Outcome<ExitCode> {
    let mut own = None;
    let (address, stage) = match (plan.server, &plan.admin_key) {
        (Some(address), Some(key)) => (address, Admin::with_key(address, key)),
        (Some(_), None) => return Err("--server needs --admin-key: the rush makes a concert of its own".into()),
        (None, _) => {
            say("starting a server of its own in a temporary folder")?;
            let program = own.insert(Program::start(&program(plan)?, &["serve"])?);
            say(&format!(
                "it listens on http://{}, with its file in {}",
                program.address(),
                program.folder().display()
            ))?;
            (program.address(), Admin::of(program.address()))
        }
    };
    say(&format!("making a concert with {} seats", plan.seats))?;
    let concert = stage.concert(&json!({"maxActive": 200, "admitPerSecond": 100}))?;
    let performance = stage.performance(&concert, plan.seats, i64::try_from(PRICE)?, 0)?;
    let rush = Arc::new(Rush {
        concert,
        performance,
        arrive_within: Duration::from_secs(plan.seconds),
        people: plan.people,
        over: AtomicBool::new(false),
        arrived: AtomicU64::new(0),
        admitted: AtomicU64::new(0),
        sold: AtomicU64::new(0),
        fickle: AtomicU64::new(0),
        too_late: AtomicU64::new(0),
        failed: AtomicU64::new(0),
    });
    say(&format!("{} people come within {} seconds, over {CONNECTIONS} connections", plan.people, plan.seconds))?;
    let seen = watched(&rush, || let_in(address, &rush))?;
    writeln!(stdout(), "\n{}", table(plan, &rush, &seen.0, seen.1)?)?;

    let mut sound = rush.failed.load(Ordering::Relaxed) == 0 && sold(&rush) == u64::from(plan.seats);
    if let Some(mut program) = own {
        say("stopping the server")?;
        sound &= program.stop()?.success();
        say("holding its file to the audit")?;
        let audit = program.run(&["audit"])?;
        writeln!(stdout(), "{}", String::from_utf8_lossy(&audit.stdout))?;
        sound &= audit.status.success();
    } else {
        writeln!(stdout(), "now hold its file to the audit: onsale audit")?;
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The server's program: this one, unless the plan names another.
fn program(plan: &Plan) -> Outcome<PathBuf> {
    Ok(match &plan.program {
        Some(program) => program.canonicalize()?,
        None => std::env::current_exe()?,
    })
}

/// Prints what is done next.
fn say(step: &str) -> std::io::Result<()> {
    writeln!(stdout(), "rush: {step}")
}

fn sold(rush: &Rush) -> u64 {
    rush.sold.load(Ordering::Relaxed)
}

/// Does the work, and tells every second how far it is.
fn watched<T: Send>(rush: &Rush, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let began = Instant::now();
            while !rush.over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_secs(1));
                let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
                let (arrived, admitted, late) = (count(&rush.arrived), count(&rush.admitted), count(&rush.too_late));
                let _ = writeln!(
                    stderr(),
                    "{:>3} s  came {arrived:>6}  admitted {admitted:>5}  sold {:>4}  too late {late:>6}  failed {}",
                    began.elapsed().as_secs(),
                    sold(rush),
                    count(&rush.failed),
                );
            }
        });
        let done = work();
        rush.over.store(true, Ordering::Relaxed);
        done
    })
}

/// Everyone, on two threads; what they saw and how long it took.
fn let_in(address: SocketAddr, rush: &Arc<Rush>) -> Outcome<(Seen, Duration)> {
    let runs = run_threads(address, CONNECTIONS, PATIENCE, |share| let_in_share(share, rush.clone()))?;
    let mut all = Seen::default();
    for seen in runs.results {
        all.calls.merge(seen.calls);
        all.waited.merge(&seen.waited);
        all.bought.merge(&seen.bought);
        for (error, count) in seen.errors {
            *all.errors.entry(error).or_default() += count;
        }
    }
    Ok((all, runs.elapsed))
}

/// One thread's share of the crowd.
async fn let_in_share(share: ThreadShare, rush: Arc<Rush>) -> Outcome<Seen> {
    let lines = Rc::new(Lines::new(share.connections));
    let seen = Rc::new(RefCell::new(Seen::default()));
    let mut crowd = JoinSet::new();
    for number in (0..rush.people).filter(|number| number % THREADS as u64 == share.number as u64) {
        let mut person =
            Person { number, dice: Dice::new(number), rush: rush.clone(), lines: lines.clone(), seen: seen.clone() };
        let arrives = rush.arrive_within * u32::try_from(person.dice.below(10_000))? / 10_000;
        crowd.spawn_local(async move {
            tokio::time::sleep_until((share.began + arrives).into()).await;
            person.come().await;
        });
    }
    while let Some(ended) = crowd.join_next().await {
        ended?;
    }
    drop(crowd);
    Ok(seen.take())
}

/// Kept connections. A visitor with a request takes one.
struct Lines {
    idle: RefCell<Vec<Connection>>,
    free: Semaphore,
}

impl Lines {
    fn new(connections: Vec<Connection>) -> Self {
        let free = Semaphore::new(connections.len());
        Self { idle: RefCell::new(connections), free }
    }
}

/// A reply, kept beyond its connection.
struct Said {
    status: u16,
    body: Value,
}

impl Said {
    fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }
}

struct Person {
    number: u64,
    dice: Dice,
    rush: Arc<Rush>,
    lines: Rc<Lines>,
    seen: Rc<RefCell<Seen>>,
}

impl Person {
    async fn come(&mut self) {
        self.rush.arrived.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.try_luck().await {
            self.rush.failed.fetch_add(1, Ordering::Relaxed);
            *self.seen.borrow_mut().errors.entry(error.to_string()).or_default() += 1;
        }
    }

    /// Waits in line, then tries to get a seat. What the rules refuse is no error.
    async fn try_luck(&mut self) -> Outcome<()> {
        let came = Instant::now();
        let user = format!("buyer-{}", self.number);
        let body = json!({"userId": user, "concertId": self.rush.concert});
        let mut place = self.ask(&Request::post("/queue/tokens").json(body.to_string()), &[201]).await?;
        let token = place.text("token").to_owned();
        while place.text("status") == "WAITING" {
            if place.body["soldOut"] == true {
                return self.leave(&token).await;
            }
            let seconds = place.body["pollAfterSeconds"].as_u64().ok_or("no pollAfterSeconds")?;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            place = self.ask(&Request::get("/queue/token").token(&token), &[200]).await?;
        }
        if place.text("status") != "ACTIVE" {
            return Err(format!("the place is {}", place.text("status")).into());
        }
        self.rush.admitted.fetch_add(1, Ordering::Relaxed);
        self.seen.borrow_mut().waited.add(came.elapsed());
        let Some(reservation) = self.hold(&token).await? else { return self.leave(&token).await };
        if self.dice.below(100) < FICKLE_PERCENT {
            self.rush.fickle.fetch_add(1, Ordering::Relaxed);
            let release = Request::new("DELETE", &format!("/reservations/{reservation}")).token(&token);
            self.ask(&release, &[204]).await?;
            return self.leave(&token).await;
        }
        let charge = Request::patch(&format!("/point/{user}/charge"));
        self.ask(&charge.json(json!({"amount": PRICE}).to_string()), &[200]).await?;
        let pay = Request::post("/payments").token(&token).key(&format!("pay-{reservation}"));
        self.ask(&pay.json(json!({"reservationId": reservation}).to_string()), &[201]).await?;
        self.rush.sold.fetch_add(1, Ordering::Relaxed);
        self.seen.borrow_mut().bought.add(came.elapsed());
        Ok(())
    }

    /// Looks for free seats and takes one of them, until one is got or none is shown.
    async fn hold(&mut self, token: &str) -> Outcome<Option<String>> {
        let Rush { concert, performance, .. } = &*self.rush.clone();
        self.ask(&Request::get(&format!("/concerts/{concert}/dates")).token(token), &[200]).await?;
        let path = format!("/concerts/{concert}/seats?date={}&available=true", performance.date);
        loop {
            let shown = self.ask(&Request::get(&path).token(token), &[200]).await?;
            let free = shown.body["performances"][0]["seats"].as_array().ok_or("no seats")?;
            if free.is_empty() {
                return Ok(None);
            }
            let seat = &free[usize::try_from(self.dice.below(free.len() as u64))?]["seat"];
            let body = json!({"performanceId": performance.id, "seats": [seat]});
            let hold = Request::post("/reservations").token(token).json(body.to_string());
            let held = self.ask(&hold, &[201, 409]).await?;
            match (held.status, held.text("code")) {
                (201, _) => return Ok(Some(held.text("reservationId").to_owned())),
                (_, "seat-taken") => {}
                (_, code) => return Err(format!("a hold was refused: {code}").into()),
            }
        }
    }

    async fn leave(&self, token: &str) -> Outcome<()> {
        self.rush.too_late.fetch_add(1, Ordering::Relaxed);
        self.ask(&Request::new("DELETE", "/queue/token").token(token), &[204]).await.map(drop)
    }

    /// Sends a request; any other status than these is an error.
    async fn ask(&self, request: &Request, expected: &[u16]) -> Outcome<Said> {
        let _free = self.lines.free.acquire().await?;
        let mut line = self.lines.idle.borrow_mut().pop().ok_or("a connection was lost")?;
        let sent = Instant::now();
        let reply = line.exchange(&request.to_bytes()).await?;
        self.seen.borrow_mut().calls.add(reply, sent.elapsed());
        let status = reply.status;
        let said = Said { status, body: serde_json::from_slice(reply.body).unwrap_or_default() };
        self.lines.idle.borrow_mut().push(line);
        if expected.contains(&status) { Ok(said) } else { Err(format!("{status} {}", said.text("code")).into()) }
    }
}

/// What came of it, in lines.
fn table(plan: &Plan, rush: &Rush, seen: &Seen, took: Duration) -> Outcome<String> {
    let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let times = |times: &Histogram| {
        let [half, most] = [500, 990].map(|permille| times.permille(permille).as_secs_f64());
        format!("p50 {half:.3} s, p99 {most:.3} s")
    };
    let calls = seen.calls.times.total();
    let rate = calls as f64 / took.as_secs_f64().max(1e-9);
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "{name:<24} {value}");
    line("people", format!("{} within {} s, over after {:.1} s", rush.people, plan.seconds, took.as_secs_f64()))?;
    line("calls served", format!("{calls}, {rate:.0} a second; {}", times(&seen.calls.times)))?;
    line("admitted", format!("{} of {}", count(&rush.admitted), rush.people))?;
    line("waited, of these", times(&seen.waited))?;
    line("seats sold", format!("{} of {}", sold(rush), plan.seats))?;
    line("from arrival to payment", times(&seen.bought))?;
    line("changed their mind", count(&rush.fickle).to_string())?;
    line("left without a seat", count(&rush.too_late).to_string())?;
    for (code, status, refused) in seen.calls.problems() {
        line("refused", format!("{refused} x {status} {code}"))?;
    }
    line("errors", count(&rush.failed).to_string())?;
    for (error, times) in &seen.errors {
        line("", format!("{times} x {error}"))?;
    }
    Ok(text)
}

/// Numbers that look random and are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xA24B_AED4_963E_E407))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}
