//! What persons do, call by call. `load/gatling` has the same journeys.

use std::time::Duration;

use onsale_load_generator::{Reply, Request};

use super::super::calls::Call;
use super::super::scenario::Journey;
use super::bearer;
use super::person::{Answered, Person};
use crate::users;

/// How often a person looks for a seat before giving up. All seats may be held, and come back.
const TRIES: usize = 10;

/// The pause of a person who saw no free seat.
const LOOKS_AGAIN_AFTER: Duration = Duration::from_millis(1_500);

/// How often a person who watches polls after nothing is left.
const POLLS_AFTER: u32 = 3;

/// Percent of the buyers who let their hold lapse.
const LAPSE_PERCENT: usize = 5;

/// The addresses of an office and of a client that calls without end: documentation networks (RFC 5737).
const OFFICE: &str = "192.0.2.1";
const GREEDY: &str = "203.0.113.1";

/// A place as an answer shows it.
struct Place {
    is_active: bool,
    is_waiting: bool,
    is_sold_out: bool,
    poll_after: Duration,
}

/// Makes the journey of a person. Returns how it ended.
pub(super) async fn travel(person: &mut Person, journey: Journey) -> &'static str {
    let ended = match journey {
        Journey::Everything => everything(person).await,
        Journey::Buy => buy(person, 0).await,
        Journey::Watch => buy(person, POLLS_AFTER).await,
        Journey::Wait => wait(person).await,
        Journey::Office => {
            person.shares_address(OFFICE);
            wait(person).await
        }
        Journey::Retry => {
            person.repeats = true;
            buy(person, 0).await
        }
        Journey::Grab => grab(person).await,
        Journey::Apply => apply(person).await,
        Journey::Connect => None,
    };
    match ended {
        Some(end) => end,
        None if person.is_late() => "cut short",
        None => "failed",
    }
}

/// Enters the line.
async fn enter(person: &mut Person) -> Option<Place> {
    let request = person.signed(users::enter(&person.concert().id, &person.user));
    let answered = person.insist(Call::Enter, &request).await?;
    answered.reply().text("token")?.clone_into(&mut person.token);
    place(&answered.reply())
}

fn place(reply: &Reply<'_>) -> Option<Place> {
    let status = reply.text("status")?;
    Some(Place {
        is_active: status == "ACTIVE",
        is_waiting: status == "WAITING",
        is_sold_out: reply.is_true("soldOut"),
        poll_after: Duration::from_secs(reply.number("pollAfterSeconds").unwrap_or(1)),
    })
}

/// Polls until the turn begins. `Err` has the end of the journey.
async fn turn(person: &mut Person, mut place: Place, mut polls_after: u32) -> Result<(), Option<&'static str>> {
    loop {
        match place {
            Place { is_active: true, .. } => return Ok(()),
            Place { is_waiting: false, .. } => return Err(Some("turn ended")),
            Place { is_sold_out: true, .. } if polls_after == 0 => return Err(Some("nothing left")),
            Place { is_sold_out: true, .. } => polls_after -= 1,
            Place { .. } => {}
        }
        person.pause(place.poll_after).await;
        if person.is_late() {
            return Err(None);
        }
        let request = person.signed(users::poll(&person.token));
        let answered = person.insist(Call::Poll, &request).await.ok_or(None)?;
        place = self::place(&answered.reply()).ok_or(None)?;
    }
}

async fn leave(person: &mut Person) -> Option<()> {
    let request = Request::new("DELETE", "/queue/token").token(&person.token);
    person.change(Call::Leave, request).await.map(drop)
}

async fn wait(person: &mut Person) -> Option<&'static str> {
    let place = enter(person).await?;
    if let Err(end) = turn(person, place, u32::MAX).await {
        return end;
    }
    leave(person).await?;
    Some("had a turn")
}

/// A seat that this person holds.
struct Held {
    reservation: String,
    performance: u32,
    seat: u32,
}

/// A call with the token. `Err` has the end of the journey: the turn may be over.
async fn with_token(person: &mut Person, call: Call, path: &str) -> Result<Answered, Option<&'static str>> {
    let request = person.signed(Request::get(path).token(&person.token));
    let answered = person.insist(call, &request).await.ok_or(None)?;
    if answered.is_done() { Ok(answered) } else { Err(Some("turn ended")) }
}

/// Chooses a date with seats left, by its index among the performances.
async fn choose_date(person: &mut Person) -> Result<Option<usize>, Option<&'static str>> {
    let path = format!("/concerts/{}/dates", person.concert().id);
    let left = with_token(person, Call::Dates, &path).await?.reply().numbers("remaining");
    let with_seats: Vec<usize> = (0..left.len()).filter(|index| left[*index] > 0).collect();
    let chosen = person.dice.below(with_seats.len());
    Ok(with_seats.get(chosen).copied())
}

/// Holds a free seat, or another one if it is taken meanwhile.
async fn hold(person: &mut Person) -> Result<Held, Option<&'static str>> {
    for _ in 0..TRIES {
        let Some(index) = choose_date(person).await? else {
            person.pause(LOOKS_AGAIN_AFTER).await;
            continue;
        };
        person.think().await;
        // Dates are in the order of the performances, because the runner creates them so.
        let concert = person.concert().clone();
        let Some(performance) = concert.performances.get(index) else { return Err(None) };
        let path = format!("/concerts/{}/seats?date={}&available=true", concert.id, performance.date);
        let free = with_token(person, Call::Seats, &path).await?.reply().numbers("seat");
        let chosen = person.dice.below(free.len());
        let Some(seat) = free.get(chosen) else { continue };
        person.think().await;
        let request = users::hold(&person.token, &performance.id, usize::try_from(*seat).unwrap_or(0));
        let answered = person.change(Call::Hold, request).await.ok_or(None)?;
        if let Some(reservation) = answered.reply().text("reservationId").filter(|_| answered.is_done()) {
            let all = u32::try_from(index).unwrap_or(0);
            let of_concert = person.number % u32::try_from(person.venue().concerts.len()).unwrap_or(1);
            let performance = of_concert * 1_000 + all;
            return Ok(Held {
                reservation: reservation.to_owned(),
                performance,
                seat: u32::try_from(*seat).unwrap_or(0),
            });
        }
        if answered.code == "queue-token-expired" {
            return Err(Some("turn ended"));
        }
    }
    leave(person).await.ok_or(None)?;
    Err(Some("found no seat"))
}

async fn pay(person: &mut Person, held: &Held) -> Option<&'static str> {
    let price = person.venue().price;
    person.change(Call::Charge, users::charge(&person.user, price)).await?;
    person.think().await;
    let answered = person.change(Call::Pay, users::pay(&person.token, &held.reservation)).await?;
    if !answered.is_done() {
        return Some("lost the hold");
    }
    person.payment = answered.reply().text("paymentId")?.to_owned();
    person.paid(held.performance, held.seat);
    // One charge and one payment of the same amount leave nothing; a second one of either would show here.
    Some(if answered.reply().number("balance") == Some(0) { "paid" } else { "wrong balance" })
}

async fn buy(person: &mut Person, polls_after: u32) -> Option<&'static str> {
    let place = enter(person).await?;
    if let Err(end) = turn(person, place, polls_after).await {
        return end;
    }
    person.think().await;
    let held = match hold(person).await {
        Ok(held) => held,
        Err(end) => return end,
    };
    if person.dice.below(100) < LAPSE_PERCENT {
        return Some("let the hold lapse");
    }
    person.think().await;
    pay(person, &held).await
}

async fn apply(person: &mut Person) -> Option<&'static str> {
    let lecture = person.venue().lecture.clone()?;
    let request = users::apply(&lecture, &person.user);
    let answered = person.change(Call::Apply, request).await?;
    Some(if answered.is_done() { "has a place" } else { "no place left" })
}

/// One call of a client that never waits: as a user with a bearer, or from an address without one.
async fn grab(person: &mut Person) -> Option<&'static str> {
    person.shares_address(GREEDY);
    if person.number.is_multiple_of(2) {
        let request = Request::get("/point/greedy").header("x-forwarded-for", GREEDY).bearer(&bearer("greedy"));
        person.send(Call::GrabAsUser, &request).await;
    } else {
        let request = users::enter(&person.concert().id, "greedy").header("x-forwarded-for", GREEDY);
        person.send(Call::GrabFromAddress, &request).await;
    }
    Some("called")
}

/// A call for reading, without a token.
async fn read(person: &mut Person, call: Call, path: &str) -> Option<()> {
    let request = person.signed(Request::get(path));
    person.insist(call, &request).await.map(drop)
}

/// Each call once: lectures, the way to a paid seat, and what is read afterwards.
async fn everything(person: &mut Person) -> Option<&'static str> {
    let (user, lecture) = (person.user.clone(), person.venue().lecture.clone()?);
    read(person, Call::Concerts, "/concerts").await?;
    read(person, Call::Lectures, "/lectures").await?;
    apply(person).await?;
    read(person, Call::Applications, &format!("/lectures/application/{user}")).await?;
    person.change(Call::Cancel, Request::new("DELETE", &format!("/lectures/application/{user}/{lecture}"))).await?;

    let place = enter(person).await?;
    if let Err(end) = turn(person, place, 0).await {
        return end;
    }
    let released = hold(person).await.ok()?;
    let path = format!("/reservations/{}", released.reservation);
    person.change(Call::Release, Request::new("DELETE", &path).token(&person.token)).await?;
    let held = hold(person).await.ok()?;
    read(person, Call::Reservation, &format!("/reservations/{}", held.reservation)).await?;
    let end = pay(person, &held).await?;
    if !person.payment.is_empty() {
        let path = format!("/payments/{}", person.payment);
        read(person, Call::Payment, &path).await?;
    }

    person.change(Call::Charge, users::charge(&user, 2)).await?;
    let request = Request::patch(&format!("/point/{user}/use")).json(r#"{"amount":1}"#);
    person.change(Call::UsePoints, request).await?;
    read(person, Call::Points, &format!("/point/{user}")).await?;
    read(person, Call::Histories, &format!("/point/{user}/histories")).await?;
    read(person, Call::Reservations, &format!("/users/{user}/reservations")).await?;
    read(person, Call::Payments, &format!("/users/{user}/payments")).await?;
    Some(end)
}
