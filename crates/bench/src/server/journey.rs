//! The whole journey of one buyer: token, dates, seats, hold, charge, payment.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use onsale_load_generator::{Connection, Outcome, Performance, Reply, Request, Run, Tally, run_threads};
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

/// The concerts, with one seat for each journey.
struct Journeys {
    concerts: Vec<Concert>,
    /// The number of the next journey. Relaxed: it only hands out numbers, and guards no other data.
    next: AtomicUsize,
}

impl Journeys {
    fn prepare(server: &Server, count: usize) -> Outcome<Self> {
        let concert = |_| {
            let id = server.admin.concert(&open_room())?;
            let performance = |day| server.admin.performance(&id, 50, PRICE.into(), i64::try_from(day)?);
            let performances = (0..DATES).map(performance).collect::<Outcome<_>>()?;
            Ok(Concert { id, performances })
        };
        let concerts = (0..count.div_ceil(SEATS * DATES)).map(concert).collect::<Outcome<_>>()?;
        Ok(Self { concerts, next: AtomicUsize::new(0) })
    }

    /// All calls of one buyer.
    async fn run(&self, connection: &mut Connection) -> Outcome<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.buy(connection, number).await.map_err(|error| format!("journey {number}: {error}").into())
    }

    async fn buy(&self, connection: &mut Connection, number: usize) -> Outcome<()> {
        let user = user(number);
        let Concert { id: concert, performances } =
            self.concerts.get(number / (SEATS * DATES)).ok_or("no seat is left for it")?;
        let performance = &performances[number / SEATS % DATES];
        let reply = call(connection, &enter(concert, &user), 201).await?;
        let token = reply.text("token").ok_or("the reply has no token")?.to_owned();
        let mut is_active = reply.text("status") == Some("ACTIVE");
        while !is_active {
            tokio::time::sleep(POLL_EVERY).await;
            is_active = call(connection, &poll(&token), 200).await?.text("status") == Some("ACTIVE");
        }
        call(connection, &Request::get(&format!("/concerts/{concert}/dates")).token(&token), 200).await?;
        let seats = format!("/concerts/{concert}/seats?date={}", performance.date);
        call(connection, &Request::get(&seats).token(&token), 200).await?;
        let reply = call(connection, &hold(&token, &performance.id, number % SEATS + 1), 201).await?;
        let reservation = reply.text("reservationId").ok_or("the reply has no reservation")?.to_owned();
        call(connection, &charge(&user, PRICE), 200).await?;
        call(connection, &pay(&token, &reservation), 201).await?;
        Ok(())
    }
}

/// Sends a request. Returns the reply if it has this status.
async fn call<'a>(connection: &'a mut Connection, request: &Request, status: u16) -> Outcome<Reply<'a>> {
    let reply = connection.exchange(&request.to_bytes()).await?;
    if reply.status != status {
        let body = String::from_utf8_lossy(reply.body);
        return Err(format!("status {} instead of {status}: {body}; request: {request:?}", reply.status).into());
    }
    Ok(reply)
}

/// Runs journeys over one connection until the time is over.
async fn travel(
    mut connection: Connection,
    journeys: Arc<Journeys>,
    started: Arc<AtomicUsize>,
    (until, count): (Instant, usize),
    tally: Rc<RefCell<Tally>>,
) -> Outcome<()> {
    while Instant::now() < until && started.fetch_add(1, Ordering::Relaxed) < count {
        let began = Instant::now();
        journeys.run(&mut connection).await?;
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
