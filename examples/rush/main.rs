//! A rush: 20,000 buyers arrive within ten seconds for 500 seats, through the waiting room.
//!
//! Starts its own server in a temporary folder, sends the calls of all buyers over HTTP, and audits the database:
//!
//! ```sh
//! cargo run --release --example rush
//! cargo run --release --example rush -- --people 2000 --seats 50 --seconds 5
//! cargo run --release --example rush -- --server 127.0.0.1:8080 --admin-key KEY    # a server that already runs
//! ```

mod buyer;
mod plan;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{Write as _, stderr, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use onsale_load_generator::{Admin, Histogram, Outcome, Program, THREADS, ThreadShare, run_threads};
use serde_json::json;
use tokio::task::JoinSet;

use buyer::{Buyer, Connections, Measured, PRICE, Rush, count};
use plan::Plan;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections that all buyers share, as behind a proxy.
const CONNECTIONS: usize = 512;

/// Commands of the server that this program runs in processes of its own.
const COMMANDS: [&str; 2] = ["serve", "audit"];

/// Maximum duration of the whole rush.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    // The server is this program again, so that one build makes both, and their versions are the same.
    if std::env::args().nth(1).is_some_and(|first| COMMANDS.contains(&first.as_str())) {
        return onsale::run();
    }
    Plan::read().and_then(|plan| run(&plan)).unwrap_or_else(|error| {
        let _ = writeln!(stderr(), "rush: {error}");
        ExitCode::FAILURE
    })
}

fn run(plan: &Plan) -> Outcome<ExitCode> {
    let mut own = None;
    let (address, admin) = if let Some((address, key)) = &plan.server {
        (*address, Admin::with_key(*address, key))
    } else {
        print("starting a server in a temporary folder")?;
        let program = own.insert(Program::start(&program(plan)?, &["serve"])?);
        let (address, folder) = (program.address(), program.folder().display());
        print(&format!("it listens on http://{address}, with its database in {folder}"))?;
        (address, Admin::of(address))
    };
    print(&format!("creating a concert with {} seats", plan.seats))?;
    let concert = admin.concert(&json!({"maxActive": 200, "admitPerSecond": 100}))?;
    let performance = admin.performance(&concert, plan.seats, i64::try_from(PRICE)?, 0)?;
    let rush = Arc::new(Rush::new(concert, performance));
    let (buyers, seconds) = (plan.buyers, plan.seconds);
    print(&format!("{buyers} buyers arrive within {seconds} s, over {CONNECTIONS} connections"))?;
    let (measured, took) = with_progress(&rush, || run_buyers(address, &rush, plan))?;
    writeln!(stdout(), "\n{}", summary(plan, &rush, &measured, took)?)?;

    let mut is_sound = count(&rush.failed) == 0 && count(&rush.sold) == u64::from(plan.seats);
    if let Some(mut program) = own {
        print("stopping the server")?;
        is_sound &= program.stop()?.success();
        print("auditing its database")?;
        let audit = program.run(&["audit"])?;
        writeln!(stdout(), "{}", String::from_utf8_lossy(&audit.stdout))?;
        is_sound &= audit.status.success();
    } else {
        writeln!(stdout(), "to audit the database of the server, run: onsale audit")?;
    }
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The program of the server: this one, unless the command line names another.
fn program(plan: &Plan) -> Outcome<PathBuf> {
    Ok(match &plan.program {
        Some(program) => program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))?,
        None => std::env::current_exe()?,
    })
}

/// Prints the next step.
fn print(step: &str) -> std::io::Result<()> {
    writeln!(stdout(), "rush: {step}")
}

/// Does the work, and prints the counts every second.
fn with_progress<T: Send>(rush: &Rush, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let began = Instant::now();
            while !rush.is_over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_secs(1));
                let _ = writeln!(
                    stderr(),
                    "{:>3} s  arrived {:>6}  admitted {:>5}  sold {:>4}  too late {:>6}  failed {}",
                    began.elapsed().as_secs(),
                    count(&rush.arrived),
                    count(&rush.admitted),
                    count(&rush.sold),
                    count(&rush.too_late),
                    count(&rush.failed),
                );
            }
        });
        let done = work();
        rush.is_over.store(true, Ordering::Relaxed);
        done
    })
}

/// All buyers, divided among the threads. Returns what they measured, and how long it took.
fn run_buyers(address: SocketAddr, rush: &Arc<Rush>, plan: &Plan) -> Outcome<(Measured, Duration)> {
    let arrive_within = Duration::from_secs(plan.seconds);
    let runs = run_threads(address, CONNECTIONS, PATIENCE, |share| {
        run_share(share, rush.clone(), plan.buyers, arrive_within)
    })?;
    let mut all = Measured::default();
    runs.results.into_iter().for_each(|measured| all.merge(measured));
    Ok((all, runs.elapsed))
}

/// The buyers of one thread.
async fn run_share(share: ThreadShare, rush: Arc<Rush>, buyers: u64, arrive_within: Duration) -> Outcome<Measured> {
    let connections = Rc::new(Connections::new(share.connections));
    let measured = Rc::new(RefCell::new(Measured::default()));
    let mut running = JoinSet::new();
    for number in (0..buyers).filter(|number| number % THREADS as u64 == share.number as u64) {
        let mut buyer = Buyer::new(number, &rush, &connections, &measured);
        let arrives = share.began + buyer.arrives(arrive_within);
        running.spawn_local(async move {
            tokio::time::sleep_until(arrives.into()).await;
            buyer.come().await;
        });
    }
    while let Some(ended) = running.join_next().await {
        ended?;
    }
    Ok(measured.take())
}

/// The result, in lines.
fn summary(plan: &Plan, rush: &Rush, measured: &Measured, took: Duration) -> Outcome<String> {
    let times = |times: &Histogram| {
        let [half, most] = [500, 990].map(|permille| times.permille(permille).as_secs_f64());
        format!("p50 {half:.3} s, p99 {most:.3} s")
    };
    let Measured { calls, waited, bought, errors } = measured;
    let rate = calls.times.total() as f64 / took.as_secs_f64().max(1e-9);
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "{name:<24} {value}");
    line("buyers", format!("{} within {} s, done after {:.1} s", plan.buyers, plan.seconds, took.as_secs_f64()))?;
    line("calls", format!("{}, {rate:.0} per second; {}", calls.times.total(), times(&calls.times)))?;
    line("admitted", format!("{} of {}", count(&rush.admitted), plan.buyers))?;
    line("waited, of these", times(waited))?;
    line("seats sold", format!("{} of {}", count(&rush.sold), plan.seats))?;
    line("from entry to payment", times(bought))?;
    line("released their seat", count(&rush.released).to_string())?;
    line("left without a seat", count(&rush.too_late).to_string())?;
    for (code, status, refused) in calls.problems() {
        line("refused", format!("{refused} x {status} {code}"))?;
    }
    line("errors", count(&rush.failed).to_string())?;
    for (error, count) in errors {
        line("", format!("{count} x {error}"))?;
    }
    Ok(text)
}
