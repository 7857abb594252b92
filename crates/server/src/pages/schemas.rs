//! The JSON Schemas of all events, from the folder `schemas` of this crate.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::http::{App, PathArgs, not_found};
use crate::settings::PublicUrl;

/// The media type of a JSON Schema.
const SCHEMA: &str = "application/schema+json";

macro_rules! schemas {
    ($($kind:literal),+ $(,)?) => {
        /// Event type and JSON Schema of each event.
        const SCHEMAS: &[(&str, &str)] = &[$(($kind, include_str!(concat!("../../schemas/", $kind, ".json")))),+];
    };
}

schemas! {
    "onsale.points.charged.v1",
    "onsale.points.used.v1",
    "onsale.points.refunded.v1",
    "onsale.points.adjusted.v1",
    "onsale.lecture.applied.v1",
    "onsale.lecture.cancelled.v1",
    "onsale.lecture.waitlisted.v1",
    "onsale.lecture.promoted.v1",
    "onsale.lecture.left.v1",
    "onsale.lecture.changed.v1",
    "onsale.seats.held.v1",
    "onsale.waitlist.joined.v1",
    "onsale.waitlist.offered.v1",
    "onsale.waitlist.ended.v1",
    "onsale.seats.released.v1",
    "onsale.payment.completed.v1",
    "onsale.payment.refunded.v1",
    "onsale.ticket.voided.v1",
    "onsale.ticket.checked-in.v1",
    "onsale.ticket.check-in-undone.v1",
    "onsale.seats.blocked.v1",
    "onsale.seats.unblocked.v1",
    "onsale.holds.extended.v1",
    "onsale.performance.changed.v1",
    "onsale.performance.cancelled.v1",
    "onsale.concert.changed.v1",
    "onsale.draw.closed.v1",
    "onsale.draw.completed.v1",
}

/// The beginning of the member with the URL of a schema.
const ID: &str = "\"$id\": \"";

/// Lists the event types, each with the URL of its schema.
pub(crate) async fn list_event_schemas(State(app): State<App>) -> Response {
    let base = base(&app);
    let schema = |kind: &str| json!({"type": kind, "schema": format!("{base}/events/schemas/{kind}")});
    let listed = SCHEMAS.iter().map(|(kind, _)| schema(kind));
    ([(CONTENT_TYPE, "application/json")], listed.collect::<Value>().to_string()).into_response()
}

/// Returns the schema of one event type.
pub(crate) async fn get_event_schema(State(app): State<App>, path: PathArgs) -> Response {
    let kind = path.get("type").unwrap_or_default().trim_end_matches(".json");
    match SCHEMAS.iter().find(|(known, _)| *known == kind) {
        Some((_, schema)) => {
            let schema = schema.replacen(ID, &format!("{ID}{}", base(&app)), 1);
            ([(CONTENT_TYPE, SCHEMA)], schema).into_response()
        }
        None => not_found().into_response(),
    }
}

/// The prefix of paths in links: the public URL, or nothing.
fn base(app: &App) -> &str {
    app.web.public_url.as_ref().map_or("", PublicUrl::as_str)
}
