//! The whole journey of one buyer: token, dates, seats, hold, charge, payment.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use onsale_load_generator::{Connection, Outcome, Performance, Reply, Request, Run, Tally, crew};
use tokio::task::JoinSet;

use super::crowd::{charge, enter, hold, pay, user};
use super::{open_room, report_better};
use crate::measure::{Bench, Server};

const TARGET: f64 = 0.03;

/// Maximum number of journeys per measurement.
const COUNT: usize = 4_000;

/// Seats per performance, and performances per concert.
const SEATS: usize = 50;
const DATES: usize = 2;

const PRICE: u32 = 1_000;

/// Pause between polls before the turn begins.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// A concert with its performances.
struct Venue {
    concert: String,
    performances: Vec<Performance>,
}

/// The concerts, with one seat for each journey.
struct Plan {
    venues: Vec<Venue>,
    next: AtomicUsize,
}

impl Plan {
    fn prepare(server: &Server, journeys: usize) -> Outcome<Self> {
        let venue = |_| {
            let concert = server.stage.concert(&open_room())?;
            let performance = |day| server.stage.performance(&concert, 50, PRICE.into(), i64::try_from(day)?);
            let performances = (0..DATES).map(performance).collect::<Outcome<_>>()?;
            Ok(Venue { concert, performances })
        };
        let venues = (0..journeys.div_ceil(SEATS * DATES)).map(venue).collect::<Outcome<_>>()?;
        Ok(Self { venues, next: AtomicUsize::new(0) })
    }
}

pub(crate) fn whole(bench: &mut Bench) -> Outcome<()> {
    let mut server = bench.server(&[])?;
    // One measurement may overshoot by the number of connections.
    let plan = Arc::new(Plan::prepare(&server, 2 * bench.scale.rounds * (COUNT + 256))?);
    let (address, time) = (server.program.address(), bench.scale.slice);
    let mut both = Vec::new();
    for connections in [64, 256] {
        let travel = Box::new(|connections| {
            let sent = Arc::new(AtomicUsize::new(0));
            let shift = crew(address, connections, time + Duration::from_secs(60), |member| {
                let (plan, sent) = (plan.clone(), sent.clone());
                async move {
                    let tally = Rc::new(RefCell::new(Tally::default()));
                    let mut travelling = JoinSet::new();
                    for connection in member.connections {
                        let until = member.began + time;
                        travelling.spawn_local(travel(connection, plan.clone(), sent.clone(), until, tally.clone()));
                    }
                    while let Some(ended) = travelling.join_next().await {
                        ended??;
                    }
                    Ok(tally.take())
                }
            })?;
            let mut tally = Tally::default();
            shift.results.into_iter().for_each(|part| tally.merge(part));
            Ok(Run { elapsed: shift.elapsed, cpu: shift.cpu, tally })
        });
        both.extend(bench.compare(&server, "journey", connections, &mut [travel])?);
    }
    report_better(bench, "whole journey (6 calls)", Some(TARGET), &both);
    server.finish()
}

/// Runs one journey after another.
async fn travel(
    mut connection: Connection,
    plan: Arc<Plan>,
    sent: Arc<AtomicUsize>,
    until: Instant,
    tally: Rc<RefCell<Tally>>,
) -> Outcome<()> {
    while Instant::now() < until && sent.fetch_add(1, Ordering::Relaxed) < COUNT {
        let number = plan.next.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        journey(&mut connection, &plan, number).await.map_err(|error| format!("journey {number}: {error}"))?;
        tally.borrow_mut().add(Reply { status: 201, body: b"" }, began.elapsed());
    }
    Ok(())
}

async fn journey(connection: &mut Connection, plan: &Plan, number: usize) -> Outcome<()> {
    let user = user(number);
    let venue = plan.venues.get(number / (SEATS * DATES)).ok_or("the seats ran out")?;
    let performance = &venue.performances[number / SEATS % DATES];
    let reply = call(connection, &enter(&venue.concert, &user), 201).await?;
    let token = reply.text("token").ok_or("no token")?.to_owned();
    let mut is_active = reply.text("status") == Some("ACTIVE");
    while !is_active {
        tokio::time::sleep(ASK_AGAIN).await;
        let reply = call(connection, &Request::get("/queue/token").token(&token), 200).await?;
        is_active = reply.text("status") == Some("ACTIVE");
    }
    let concert = &venue.concert;
    call(connection, &Request::get(&format!("/concerts/{concert}/dates")).token(&token), 200).await?;
    let seats = format!("/concerts/{concert}/seats?date={}", performance.date);
    call(connection, &Request::get(&seats).token(&token), 200).await?;
    let reply = call(connection, &hold(&token, &performance.id, number % SEATS + 1), 201).await?;
    let reservation = reply.text("reservationId").ok_or("no reservation")?.to_owned();
    call(connection, &charge(&user, PRICE), 200).await?;
    call(connection, &pay(&token, &reservation), 201).await?;
    Ok(())
}

async fn call<'a>(connection: &'a mut Connection, request: &Request, status: u16) -> Outcome<Reply<'a>> {
    let reply = connection.exchange(&request.to_bytes()).await?;
    if reply.status != status {
        let body = String::from_utf8_lossy(reply.body);
        return Err(format!("{} instead of {status}: {body}; to {request:?}", reply.status).into());
    }
    Ok(reply)
}
