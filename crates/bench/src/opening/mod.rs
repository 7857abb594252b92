//! The suite of the opening of a sale: early entry, draws, and the best seats of a hall that is nearly sold.

mod best;
mod draw;
mod enter;

use onsale_load_generator::{Outcome, Request};
use onsale_testing::iso;
use serde_json::{Value, json};

use crate::machine::Server;
use crate::postgres::OnPostgres;
use crate::results::Target;
use crate::room::Issuer;
use crate::row::{Row, row};
use crate::server::sale::FLAGS;

const ARRIVAL: &str = "early entries in order of arrival, and entries into an open sale";
const DRAW: &str = "early entries of a draw, and entries into an open sale";
const BEST: &str = "the best seat and a named one, in a hall of 50,000 of which 99 % are sold";

/// An early entry in order of arrival is an entry.
const AS_FAST: Target = Target::at_least(0.95).unit("of an open sale");

/// On Redis an entry of a draw is a transaction of the database all the same.
const HALF: Target = Target::at_least(0.5).unit("of an open sale");

const NEAR: Target = Target::at_least(0.8).unit("of a named seat");

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row("arrival-postgres", ARRIVAL, AS_FAST, |machine, target| {
        enter::enter(machine, target, Issuer::Database, "arrival")
    }),
    row("arrival-redis", ARRIVAL, AS_FAST, |machine, target| enter::enter(machine, target, Issuer::Redis, "arrival")),
    row("draw-postgres", DRAW, AS_FAST, |machine, target| enter::enter(machine, target, Issuer::Database, "draw")),
    row("draw-redis", DRAW, HALF, |machine, target| enter::enter(machine, target, Issuer::Redis, "draw")),
    row(
        "drawing",
        "1,000,000 early tokens: polls before the draw and after it, the draw and its memory",
        Target::at_least(0.7),
        draw::draw,
    ),
    row("best", BEST, NEAR, |machine, target| best::seats(machine, machine.server(FLAGS, &[])?, "SQLite", target)),
    row("pg-best", BEST, NEAR, |machine, target| {
        let OnPostgres { server, .. } = OnPostgres::start(machine, FLAGS, &[])?;
        best::seats(machine, server, "Postgres", target)
    }),
];

/// The notes below the table.
pub(crate) const NOTES: &str = "\
reference: what the empty handler answers in the same seconds over as many connections; medians of measurements in turns. The
draw: from the value of its beacon to the published order. Memory: the anonymous memory of the process, sampled every 20 ms.";

/// Creates a concert that users enter early. It opens in a day.
fn early_concert(server: &Server, queue: &Value, order: &str, draws_in: i64) -> Outcome<String> {
    let mut queue = queue.clone();
    queue["earlyFrom"] = json!(iso(-60));
    queue["order"] = json!(order);
    if order == "draw" {
        queue["drawAt"] = json!(iso(draws_in));
    }
    let body = json!({"title": "Early", "venue": "A hall", "opensAt": iso(86_400), "queue": queue});
    let create = server.admin.authorize(Request::post("/admin/concerts")).json(body.to_string());
    let made = server.admin.call(&create)?;
    made["concertId"].as_str().map(str::to_owned).ok_or_else(|| format!("no concertId: {made}").into())
}
