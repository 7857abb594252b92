//! The schemas of all events, as they stand in the repository.

use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::http::not_found;

/// The media type of a JSON Schema.
const SCHEMA: &str = "application/schema+json";

macro_rules! schemas {
    ($($kind:literal),+ $(,)?) => {
        /// By type.
        const SCHEMAS: &[(&str, &str)] = &[$(($kind, include_str!(concat!("../../schemas/", $kind, ".json")))),+];
    };
}

schemas! {
    "onsale.points.charged.v1",
    "onsale.points.used.v1",
    "onsale.lecture.applied.v1",
    "onsale.lecture.cancelled.v1",
    "onsale.seats.held.v1",
    "onsale.seats.released.v1",
    "onsale.payment.completed.v1",
}

/// All types, each with where its schema is.
pub(crate) async fn list_event_schemas() -> Response {
    let listed = SCHEMAS.iter().map(|(kind, _)| json!({"type": kind, "schema": format!("/events/schemas/{kind}")}));
    ([(CONTENT_TYPE, "application/json")], listed.collect::<Value>().to_string()).into_response()
}

/// One schema.
pub(crate) async fn get_event_schema(Path(kind): Path<String>) -> Response {
    match SCHEMAS.iter().find(|(known, _)| *known == kind.trim_end_matches(".json")) {
        Some((_, schema)) => ([(CONTENT_TYPE, SCHEMA)], *schema).into_response(),
        None => not_found().into_response(),
    }
}
