//! Whether the process lives, whether its parts answer, and what it measures.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use onsale_app::conditions::PartState;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

use super::App;
use super::exposition::show_metrics;
use super::problem::{Code, Problem};
use super::wire::json;

/// How long a part may take to answer before it counts as away.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// How the process is.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    status: &'static str,
}

/// How the parts are.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Readiness {
    status: &'static str,
    parts: Vec<Part>,
}

/// One part.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReadinessPart")]
pub(crate) struct Part {
    part: &'static str,
    status: &'static str,
    /// Why it is degraded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

impl Part {
    fn new(part: &'static str, is_well: bool) -> Self {
        Self { part, status: if is_well { "ok" } else { "degraded" }, reasons: Vec::new() }
    }
}

pub(crate) async fn get_health() -> Response {
    json(StatusCode::OK, &Health { status: "alive" })
}

pub(crate) async fn get_readiness(State(app): State<App>) -> Response {
    let not_ready = |why: &'static str| Problem::new(Code::Unavailable).detail(why).into_response();
    if app.stopping.is_leaving() {
        return not_ready("the server is stopping");
    }
    match tokio::time::timeout(PING_TIMEOUT, app.reader.ping()).await {
        Ok(Ok(())) if app.desk.is_well() => {
            let mut parts = vec![Part::new("database", true)];
            // The sale goes on without these: nobody new enters a line on Redis, and events wait for Kafka.
            let is_well = async |well: BoxFuture<'_, bool>| tokio::time::timeout(PING_TIMEOUT, well).await == Ok(true);
            if app.door.is_beside() {
                parts.push(Part::new("redis", is_well(app.door.is_well().boxed()).await));
            }
            if let Some(kafka) = &app.kafka {
                parts.push(Part::new("kafka", is_well(kafka.is_well().boxed()).await));
            }
            if let Some(keys) = app.bearers.key_set() {
                parts.push(Part::new("jwks", keys.is_well()));
            }
            for PartState { part, reasons } in
                app.conditions.parts().into_iter().filter(|state| !state.reasons.is_empty())
            {
                match parts.iter_mut().find(|known| known.part == part) {
                    Some(known) => (known.status, known.reasons) = ("degraded", reasons),
                    None => parts.push(Part { part, status: "degraded", reasons }),
                }
            }
            json(StatusCode::OK, &Readiness { status: "ready", parts })
        }
        Ok(Ok(())) => not_ready("the database takes no writes"),
        _ => not_ready("the database does not answer"),
    }
}

pub(crate) async fn get_metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    show_metrics(&headers, &app.registry)
}
