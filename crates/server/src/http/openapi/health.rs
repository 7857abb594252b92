//! Of what operators and readers of this API ask.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::operation::Operation;
use crate::http::reply::exposition::OPEN_METRICS;
use crate::http::routes::health::{Health, Readiness};

const TAG: &str = "Operation";

/// An OpenAPI 3.1 document.
struct OpenapiDocument;

impl JsonSchema for OpenapiDocument {
    fn schema_name() -> Cow<'static, str> {
        "OpenapiDocument".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "An OpenAPI 3.1 document.",
            "required": ["openapi", "info", "paths"],
            "properties": {
                "openapi": {"type": "string"},
                "info": {"type": "object"},
                "paths": {"type": "object"},
                "components": {"type": "object"}
            }
        })
    }
}

pub(crate) fn get_health(op: Operation) -> Operation {
    op.named(TAG, "getHealth", "Whether the process lives")
        .says("Asks no other part: for a supervisor that restarts the process.")
        .answers::<Health>(200, "It does", json!({"status": "alive"}))
}

pub(crate) fn get_readiness(op: Operation) -> Operation {
    let reasons = json!(["Redis does not answer: no new visitor can enter a line"]);
    let redis = json!({"part": "redis", "status": "degraded", "reasons": reasons});
    let ready = json!({"status": "ready", "parts": [{"part": "database", "status": "ok"}, redis]});
    op.named(TAG, "getReadiness", "Whether the sale can go on")
        .says(
            "For a load balancer: 503 if the database does not answer (noticed within 2 s), takes no writes, or if the \
             server is stopping. For `ONSALE_DRAIN_SECONDS` after SIGTERM everything else is still served. Every other \
             part may be `degraded`, with its `reasons`: the sale goes on. The answer is what background checks found \
             last, so it never waits for a part.",
        )
        .answers::<Readiness>(200, "It can", ready)
}

pub(crate) fn get_metrics(op: Operation) -> Operation {
    let (plain, open) = ("# TYPE onsale_desk_shed_total counter\n", "# TYPE onsale_desk_shed counter\n");
    op.named(TAG, "getMetrics", "Metrics for Prometheus")
        .says("Counters, gauges and histograms of the whole process: text in Prometheus' own format (0.0.4), or OpenMetrics if `Accept` names and prefers it.")
        .answers_as::<String>("text/plain", 200, "The metrics", json!(plain))
        .answers_also_as::<String>(OPEN_METRICS, json!(open))
}

pub(crate) fn get_openapi(op: Operation) -> Operation {
    op.named(TAG, "getOpenapi", "This document")
        .says("`onsale openapi` prints the same.")
        .answers::<OpenapiDocument>(
            200,
            "OpenAPI 3.1",
            json!({"openapi": "3.1.0", "info": {"title": "onsale", "version": "1.0.0"}, "paths": {}}),
        )
        .answers_nothing(304, "Unchanged, if `If-None-Match` names the last `ETag`")
}
