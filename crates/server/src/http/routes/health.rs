//! Whether the process lives, whether its parts answer, and what it measures.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use onsale_app::conditions::PartState;
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::openapi::{Content, Operation, Output, Sample};
use crate::http::reply::OkJson;
use crate::http::reply::exposition::{self, OPEN_METRICS};
use crate::http::reply::problem::{Code, Problem};

/// How the process is.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    status: &'static str,
}

impl Sample for Health {
    fn sample() -> Value {
        json!({"status": "alive"})
    }
}

/// How the parts are.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Readiness {
    status: &'static str,
    parts: Vec<Part>,
}

/// One part of the service, with its status.
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

impl Sample for Readiness {
    fn sample() -> Value {
        let reasons = json!(["Redis does not answer: no new visitor can enter a line"]);
        let redis = json!({"part": "redis", "status": "degraded", "reasons": reasons});
        json!({"status": "ready", "parts": [{"part": "database", "status": "ok"}, redis]})
    }
}

/// Check that the process lives
///
/// Calls no other part: for a supervisor that restarts the process.
#[operation(tag = Operation, returns = "The process lives")]
pub(crate) async fn get_health() -> OkJson<Health> {
    OkJson(Health { status: "alive" })
}

/// Check that the sale can go on
///
/// For a load balancer: 503 if the database does not answer (noticed within 2 s), takes no writes, or if the server is
/// stopping. For `ONSALE_DRAIN_SECONDS` after SIGTERM everything else is still served. Every other part may be
/// `degraded`, with its `reasons`: the sale goes on. The answer is what background checks found last, so it never waits
/// for a part.
#[operation(tag = Operation, returns = "The sale can go on")]
pub(crate) async fn get_readiness(State(app): State<App>) -> Result<OkJson<Readiness>, Problem> {
    let not_ready = |why: &'static str| Problem::new(Code::Unavailable).detail(why);
    if app.stopping.is_leaving() {
        return Err(not_ready("the server is stopping"));
    }
    if let Some(trouble) = app.database.trouble() {
        return Err(not_ready(trouble));
    }
    // The sale goes on without the other parts: visitors cannot enter a line on Redis, and events wait for Kafka.
    let parts = app.conditions.parts().into_iter().map(Part::from).collect();
    Ok(OkJson(Readiness { status: "ready", parts }))
}

/// 200 with the metrics as text, in the format that `Accept` prefers.
pub(crate) struct Metrics(Response);

impl IntoResponse for Metrics {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Output for Metrics {
    fn describe(operation: &mut Operation) {
        let text = |media_type, example: &str| Content::new::<String>(media_type, json!(example));
        let plain = text("text/plain", "# TYPE onsale_desk_shed_total counter\n");
        let open = text(OPEN_METRICS, "# TYPE onsale_desk_shed counter\n");
        operation.answers_as(200, operation.returns, vec![plain, open]);
    }
}

/// Get the metrics for Prometheus
///
/// Counters, gauges and histograms of the whole process: text in the format of Prometheus (0.0.4), or OpenMetrics if
/// `Accept` names and prefers it.
#[operation(tag = Operation, returns = "The metrics")]
pub(crate) async fn get_metrics(State(app): State<App>, headers: HeaderMap) -> Metrics {
    Metrics(exposition::show_metrics(&headers, &app.registry))
}
