//! The whole journey of one buyer: token, dates, seats, hold, charge, payment.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use onsale_load_generator::{Connection, Histogram, Outcome, Performance, Reply, Request, Run, Tally, run_threads};
use tokio::task::JoinSet;

use crate::machine::{Machine, Server};
use crate::measure::{add_better, compare};
use crate::results::Target;
use crate::row::Work;
use crate::users::{charge, enter, hold, open_room, pay, poll, user};

/// Maximum number of journeys per measurement.
const COUNT: usize = 4_000;

/// Seats of a performance.
const SEATS: usize = 50;

/// Performances of a concert.
const DATES: usize = 2;

/// The price of a seat, in points.
const PRICE: u32 = 1_000;

/// Interval of polls before the turn begins.
const POLL_EVERY: Duration = Duration::from_millis(5);

/// Maximum duration of a measurement beyond its slice.
const PATIENCE: Duration = Duration::from_secs(60);

/// A concert with its performances.
struct Concert {
    id: String,
    performances: Vec<Performance>,
}

/// The calls of a journey, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Enter,
    Poll,
    Dates,
    Seats,
    Hold,
    Charge,
    Pay,
}

impl Step {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 7] =
        [Self::Enter, Self::Poll, Self::Dates, Self::Seats, Self::Hold, Self::Charge, Self::Pay];

    /// Its name in a table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Enter => "enter",
            Self::Poll => "poll",
            Self::Dates => "dates",
            Self::Seats => "seats",
            Self::Hold => "hold",
            Self::Charge => "charge",
            Self::Pay => "pay",
        }
    }
}

/// The latencies of each call, and those of whole journeys.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepTimes {
    /// In the order of [`Step::ALL`].
    pub(crate) steps: [Histogram; Step::ALL.len()],
    pub(crate) whole: Histogram,
}

impl StepTimes {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.steps.iter_mut().zip(&other.steps).for_each(|(own, other)| own.merge(other));
        self.whole.merge(&other.whole);
    }
}

/// The concerts, with one seat for each journey.
pub(crate) struct Journeys {
    concerts: Vec<Concert>,
    /// The number of the next journey. Relaxed: it only hands out numbers, and guards no other data.
    next: AtomicUsize,
}

impl Journeys {
    pub(crate) fn prepare(server: &Server, count: usize) -> Outcome<Self> {
        let concert = |_| {
            let id = server.admin.concert(&open_room())?;
            let performance = |day| server.admin.performance(&id, 50, PRICE.into(), i64::try_from(day)?);
            let performances = (0..DATES).map(performance).collect::<Outcome<_>>()?;
            Ok(Concert { id, performances })
        };
        let concerts = (0..count.div_ceil(SEATS * DATES)).map(concert).collect::<Outcome<_>>()?;
        Ok(Self { concerts, next: AtomicUsize::new(0) })
    }

    /// All calls of one buyer. If their latencies are recorded, the buyer polls once in any case.
    pub(crate) async fn run(&self, connection: &mut Connection, times: Option<&RefCell<StepTimes>>) -> Outcome<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut buyer = Buyer { connection, times };
        self.buy(&mut buyer, number).await.map_err(|error| format!("journey {number}: {error}").into())
    }

    async fn buy(&self, buyer: &mut Buyer<'_>, number: usize) -> Outcome<()> {
        let user = user(number);
        let Concert { id: concert, performances } =
            self.concerts.get(number / (SEATS * DATES)).ok_or("no seat is left for it")?;
        let performance = &performances[number / SEATS % DATES];
        let reply = buyer.call(Step::Enter, &enter(concert, &user), 201).await?;
        let token = reply.text("token").ok_or("the reply has no token")?.to_owned();
        let mut is_active = reply.text("status") == Some("ACTIVE");
        if buyer.times.is_some() {
            is_active = buyer.is_active(&token).await?;
        }
        while !is_active {
            tokio::time::sleep(POLL_EVERY).await;
            is_active = buyer.is_active(&token).await?;
        }
        let dates = Request::get(&format!("/concerts/{concert}/dates")).token(&token);
        buyer.call(Step::Dates, &dates, 200).await?;
        let seats = format!("/concerts/{concert}/seats?date={}", performance.date);
        buyer.call(Step::Seats, &Request::get(&seats).token(&token), 200).await?;
        let reply = buyer.call(Step::Hold, &hold(&token, &performance.id, number % SEATS + 1), 201).await?;
        let reservation = reply.text("reservationId").ok_or("the reply has no reservation")?.to_owned();
        buyer.call(Step::Charge, &charge(&user, PRICE), 200).await?;
        buyer.call(Step::Pay, &pay(&token, &reservation), 201).await?;
        Ok(())
    }
}

/// The connection of one buyer.
struct Buyer<'a> {
    connection: &'a mut Connection,
    /// Gets the latency of each call, if it is to be recorded.
    times: Option<&'a RefCell<StepTimes>>,
}

impl Buyer<'_> {
    async fn is_active(&mut self, token: &str) -> Outcome<bool> {
        Ok(self.call(Step::Poll, &poll(token), 200).await?.text("status") == Some("ACTIVE"))
    }

    /// Sends a request. Returns the reply if it has this status.
    async fn call(&mut self, step: Step, request: &Request, status: u16) -> Outcome<Reply<'_>> {
        let began = Instant::now();
        let reply = self.connection.exchange(&request.to_bytes()).await?;
        if let Some(times) = self.times {
            times.borrow_mut().steps[step as usize].add(began.elapsed());
        }
        if reply.status != status {
            let body = String::from_utf8_lossy(reply.body);
            return Err(format!("status {} instead of {status}: {body}; request: {request:?}", reply.status).into());
        }
        Ok(reply)
    }
}

/// Runs journeys over one connection until the time is over.
async fn travel(
    mut connection: Connection,
    journeys: Arc<Journeys>,
    started: Arc<AtomicUsize>,
    (until, count): (Instant, usize),
    tally: Rc<RefCell<Tally>>,
) -> Outcome<()> {
    // The first one begins in any case: on a stalled machine a short time may be over before any thread ran.
    let mut is_first = true;
    while (std::mem::take(&mut is_first) || Instant::now() < until) && started.fetch_add(1, Ordering::Relaxed) < count {
        let began = Instant::now();
        journeys.run(&mut connection, None).await?;
        // A journey counts as one answer.
        tally.borrow_mut().add(Reply { status: 201, ..Reply::default() }, began.elapsed());
    }
    Ok(())
}

pub(crate) fn whole(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let mut server = machine.server(&[], &[])?;
    let (address, time) = (server.program.address(), machine.scale.slice);
    let count = machine.scale.at_most(COUNT);
    // One measurement may start as many journeys too many as there are connections.
    let journeys = Arc::new(Journeys::prepare(&server, 2 * machine.scale.rounds * (count + 256))?);
    Ok(Box::new(move |results| {
        let mut both = Vec::new();
        for connections in [64, 256] {
            let slice = Box::new(|connections| {
                let started = Arc::new(AtomicUsize::new(0));
                let runs = run_threads(address, connections, time + PATIENCE, |share| {
                    let (journeys, started) = (journeys.clone(), started.clone());
                    async move {
                        let tally = Rc::new(RefCell::new(Tally::default()));
                        let mut travelling = JoinSet::new();
                        for connection in share.connections {
                            let end = (share.began + time, count);
                            travelling.spawn_local(travel(
                                connection,
                                journeys.clone(),
                                started.clone(),
                                end,
                                tally.clone(),
                            ));
                        }
                        while let Some(ended) = travelling.join_next().await {
                            ended??;
                        }
                        Ok(tally.take())
                    }
                })?;
                let mut tally = Tally::default();
                runs.results.into_iter().for_each(|part| tally.merge(part));
                Ok(Run { elapsed: runs.elapsed, cpu: runs.cpu, tally })
            });
            both.extend(compare(machine, &server, "journey", connections, &mut [slice])?);
        }
        add_better(results, "whole journey (6 calls)", target, &both);
        server.finish()
    }))
}
