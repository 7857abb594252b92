//! Users with tokens and points, and the requests that they send. The preparation is not measured.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_load_generator::{ClosedLoop, Outcome, Request, Supply, closed_loop};
use serde_json::{Value, json};

use crate::machine::Server;

/// Connections of the preparation.
const CONNECTIONS: usize = 256;

/// Maximum time for a room to admit all users.
const ADMITTED_WITHIN: Duration = Duration::from_secs(30);

/// The settings of a room that admits all users at once, and ends no turn within the run.
pub(crate) fn open_room() -> Value {
    json!({"maxActive": 1_000_000, "admitPerSecond": 1_000_000, "activeSeconds": 86_400, "claimSeconds": 3_600})
}

/// The settings of a room that admits one user and no other within the run.
pub(crate) fn still_room() -> Value {
    json!({"maxActive": 1, "admitPerSecond": 1, "activeSeconds": 86_400, "claimSeconds": 3_600})
}

/// The id of the user with this number.
pub(crate) fn user(number: usize) -> String {
    format!("user-{number:06}")
}

/// A request to enter the line of a concert.
pub(crate) fn enter(concert: &str, user: &str) -> Request {
    Request::post("/queue/tokens").json(format!(r#"{{"userId":"{user}","concertId":"{concert}"}}"#))
}

/// A request for the position of a token.
pub(crate) fn poll(token: &str) -> Request {
    Request::get("/queue/token").token(token)
}

/// A request to charge points.
pub(crate) fn charge(user: &str, amount: u32) -> Request {
    Request::patch(&format!("/point/{user}/charge")).json(format!(r#"{{"amount":{amount}}}"#))
}

/// A request to apply for a lecture.
pub(crate) fn apply(lecture: &str, user: &str) -> Request {
    Request::post("/lectures/apply").json(format!(r#"{{"userId":"{user}","lectureId":"{lecture}"}}"#))
}

/// A request to hold a seat.
pub(crate) fn hold(token: &str, performance: &str, seat: usize) -> Request {
    let body = format!(r#"{{"performanceId":"{performance}","seats":[{seat}]}}"#);
    Request::post("/reservations").token(token).json(body)
}

/// A request to pay a reservation.
pub(crate) fn pay(token: &str, reservation: &str) -> Request {
    Request::post("/payments").token(token).json(format!(r#"{{"reservationId":"{reservation}"}}"#))
}

/// An idempotency key as a client makes it.
pub(crate) fn key(number: usize) -> String {
    format!("018f6b1c-7d2e-7a3b-9c4d-{number:012x}")
}

/// Sends each request once. Returns a string field of each reply, in the order of the requests.
///
/// # Errors
/// If a reply has another status, or no such field.
pub(crate) fn send_all(
    server: &Server,
    requests: impl IntoIterator<Item = Request>,
    status: u16,
    field: &'static str,
) -> Outcome<Vec<String>> {
    let supply = Arc::new(Supply::once(requests));
    let count = supply.left();
    let how = ClosedLoop { keep: Some(field), ..ClosedLoop::all(CONNECTIONS) };
    let run = closed_loop(server.program.address(), &supply, &how)?;
    run.tally.expect(&[(status, "")]).map_err(|error| format!("during preparation: {error}"))?;
    if run.tally.kept.len() != count {
        return Err(format!("during preparation: {} of {count} replies have a {field}", run.tally.kept.len()).into());
    }
    Ok(run.tally.kept.into_iter().map(|(_, text)| text.into_string()).collect())
}

/// Lets users enter the line. Returns their tokens, in the order of their numbers.
pub(crate) fn tokens(server: &Server, concert: &str, users: Range<usize>) -> Outcome<Vec<String>> {
    send_all(server, users.map(|number| enter(concert, &user(number))), 201, "token")
}

/// Lets users enter the line, in about the order of their numbers. The tokens are not kept.
pub(crate) fn enter_all(server: &Server, concert: &str, users: Range<usize>) -> Outcome<()> {
    let supply = Arc::new(Supply::once(users.map(|number| enter(concert, &user(number)))));
    let run = closed_loop(server.program.address(), &supply, &ClosedLoop::all(CONNECTIONS))?;
    run.tally.expect(&[(201, "")]).map_err(|error| format!("during preparation: {error}").into())
}

/// Charges the wallets of users.
pub(crate) fn fill_wallets(server: &Server, users: Range<usize>, amount: u32) -> Outcome<()> {
    send_all(server, users.map(|number| charge(&user(number), amount)), 200, "userId").map(drop)
}

/// Waits until this many users have a turn, and the line is empty.
///
/// # Errors
/// If that takes longer than 30 s.
pub(crate) fn wait_until_admitted(server: &Server, concert: &str, users: usize) -> Outcome<()> {
    let began = Instant::now();
    loop {
        let (waiting, active) = server.admin.line(concert)?;
        if waiting == 0 && active == users as u64 {
            return Ok(());
        }
        if began.elapsed() > ADMITTED_WITHIN {
            return Err(
                format!("after {ADMITTED_WITHIN:?}, {waiting} users wait and {active} of {users} have a turn").into()
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Checks how many users wait and how many have a turn.
///
/// # Errors
/// If it is another number.
pub(crate) fn expect_line(server: &Server, concert: &str, waiting: usize, active: usize) -> Outcome<()> {
    let found = server.admin.line(concert)?;
    if found == (waiting as u64, active as u64) {
        return Ok(());
    }
    Err(format!("{} users wait and {} have a turn, not {waiting} and {active}", found.0, found.1).into())
}

/// Pseudorandom numbers that are the same in every run (SplitMix64). Our own eight lines, so that no update of a crate changes
/// which requests are sent.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound.max(1) as u64).unwrap_or(0)
    }
}
