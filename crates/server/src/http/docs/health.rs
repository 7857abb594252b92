//! Of what operators and readers of this API ask.

use serde_json::json;

use super::Operation;
use crate::http::health::{Health, Readiness};

const TAG: &str = "Operation";

pub(crate) fn get_health(op: Operation) -> Operation {
    op.named(TAG, "getHealth", "Whether the process lives").answers::<Health>(
        200,
        "It does",
        json!({"status": "alive"}),
    )
}

pub(crate) fn get_readiness(op: Operation) -> Operation {
    let ready = json!({"status": "ready", "parts": [{"part": "database", "status": "ok"}]});
    op.named(TAG, "getReadiness", "Whether all parts answer").answers::<Readiness>(200, "They do", ready)
}

pub(crate) fn get_metrics(op: Operation) -> Operation {
    let text = "# TYPE onsale_desk_batch_size histogram\n";
    op.named(TAG, "getMetrics", "Metrics for Prometheus").answers_as::<String>(
        "application/openmetrics-text",
        200,
        "The metrics",
        json!(text),
    )
}

pub(crate) fn get_openapi(op: Operation) -> Operation {
    op.named(TAG, "getOpenapi", "This document").answers::<serde_json::Value>(
        200,
        "OpenAPI 3.1",
        json!({"openapi": "3.1.0"}),
    )
}
