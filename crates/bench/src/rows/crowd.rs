//! Prepared users with tokens and points. The preparation is not measured.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_load_generator::{Closed, Outcome, Request, Supply, closed};

use crate::measure::Server;

/// Connections for the preparation.
const CONNECTIONS: usize = 256;

/// Maximum time for a room to admit everyone.
const PATIENCE: Duration = Duration::from_secs(30);

/// The n-th user of a row.
pub(crate) fn user(number: usize) -> String {
    format!("user-{number:06}")
}

/// A request to enter.
pub(crate) fn enter(concert: &str, user: &str) -> Request {
    Request::post("/queue/tokens").json(format!(r#"{{"userId":"{user}","concertId":"{concert}"}}"#))
}

/// A request to charge points.
pub(crate) fn charge(user: &str, amount: u32) -> Request {
    Request::patch(&format!("/point/{user}/charge")).json(format!(r#"{{"amount":{amount}}}"#))
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

/// Sends each request once. Returns the value of a field of each success, in the order of the requests.
pub(crate) fn prepare(
    server: &Server,
    requests: impl IntoIterator<Item = Request>,
    status: u16,
    keep: &'static str,
) -> Outcome<Vec<String>> {
    let supply = Arc::new(Supply::once(requests));
    let wanted = supply.left();
    let how = Closed { keep: Some(keep), ..Closed::all(CONNECTIONS) };
    let run = closed(server.program.address(), &supply, &how)?;
    run.tally.expect(&[(status, "")]).map_err(|error| format!("while preparing: {error}"))?;
    if run.tally.kept.len() != wanted {
        return Err(format!("while preparing: {} of {wanted} answers name {keep}", run.tally.kept.len()).into());
    }
    Ok(run.tally.kept.into_iter().map(|(_, text)| text.into_string()).collect())
}

/// Tokens of this many users, in the order of their numbers.
pub(crate) fn tokens(server: &Server, concert: &str, users: std::ops::Range<usize>) -> Outcome<Vec<String>> {
    prepare(server, users.map(|number| enter(concert, &user(number))), 201, "token")
}

/// Waits until the line is empty.
pub(crate) fn everyone_is_active(server: &Server, concert: &str, active: usize) -> Outcome<()> {
    let began = Instant::now();
    loop {
        let (waiting, running) = server.stage.line(concert)?;
        if waiting == 0 && running == active as u64 {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("{waiting} still wait, {running} of {active} are active").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Charges the wallets of this many users.
pub(crate) fn fill_wallets(server: &Server, users: std::ops::Range<usize>, amount: u32) -> Outcome<()> {
    prepare(server, users.map(|number| charge(&user(number), amount)), 200, "userId").map(drop)
}

/// Pseudorandom numbers that are the same in every run (SplitMix64).
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

/// An idempotency key like a client's.
pub(crate) fn key(number: usize) -> String {
    let mut text = String::with_capacity(36);
    let _ = write!(text, "018f6b1c-7d2e-7a3b-9c4d-{number:012x}");
    text
}
