//! Whether the process lives, whether its parts answer, and what it measures.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use onsale_app::conditions::PartState;
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::App;
use crate::http::reply::exposition::show_metrics;
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::wire::json;

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
    /// Why it is degraded, a sentence each. Absent if it is `ok`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

impl From<PartState> for Part {
    fn from(PartState { part, reasons }: PartState) -> Self {
        Self { part, status: if reasons.is_empty() { "ok" } else { "degraded" }, reasons }
    }
}

pub(crate) async fn get_health() -> Response {
    json(StatusCode::OK, &Health { status: "alive" })
}

/// Answered from what background tasks found last: no part is called, so a part that hangs delays nothing.
pub(crate) async fn get_readiness(State(app): State<App>) -> Response {
    let not_ready = |why: &'static str| Problem::new(Code::Unavailable).detail(why).into_response();
    if app.stopping.is_leaving() {
        return not_ready("the server is stopping");
    }
    if let Some(trouble) = app.database.trouble() {
        return not_ready(trouble);
    }
    // The sale goes on without the others: no new visitor enters a line on Redis, and events wait for Kafka.
    let parts = app.conditions.parts().into_iter().map(Part::from).collect();
    json(StatusCode::OK, &Readiness { status: "ready", parts })
}

pub(crate) async fn get_metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    show_metrics(&headers, &app.registry)
}
