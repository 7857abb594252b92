//! Pages for people: the demonstration, and the browsable description of the API. Everything comes from the binary.

mod schemas;

use std::sync::OnceLock;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::http::{App, document, not_found};

pub(crate) use schemas::{get_event_schema, list_event_schemas};

/// Only what this server sends is run or shown.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What the pages refer to: name, media type, text.
const ASSETS: &[(&str, &str, &str)] = &[
    ("account.css", CSS, include_str!("account.css")),
    ("account.js", SCRIPT, include_str!("account.js")),
    ("api.js", SCRIPT, include_str!("api.js")),
    ("crowd.js", SCRIPT, include_str!("crowd.js")),
    ("curl.js", SCRIPT, include_str!("curl.js")),
    ("demo.css", CSS, include_str!("demo.css")),
    ("demo.js", SCRIPT, include_str!("demo.js")),
    ("desk.js", SCRIPT, include_str!("desk.js")),
    ("docs.css", CSS, include_str!("docs.css")),
    ("docs.js", SCRIPT, include_str!("docs.js")),
    ("dom.js", SCRIPT, include_str!("dom.js")),
    ("hall.css", CSS, include_str!("hall.css")),
    ("hall.js", SCRIPT, include_str!("hall.js")),
    ("home.js", SCRIPT, include_str!("home.js")),
    ("journey.css", CSS, include_str!("journey.css")),
    ("journey.js", SCRIPT, include_str!("journey.js")),
    ("line.js", SCRIPT, include_str!("line.js")),
    ("operation.js", SCRIPT, include_str!("operation.js")),
    ("poster.js", SCRIPT, include_str!("poster.js")),
    ("schema.js", SCRIPT, include_str!("schema.js")),
    ("seats.js", SCRIPT, include_str!("seats.js")),
    ("session.js", SCRIPT, include_str!("session.js")),
    ("style.css", CSS, include_str!("style.css")),
    ("text.js", SCRIPT, include_str!("text.js")),
    ("ticket.css", CSS, include_str!("ticket.css")),
    ("ticket.js", SCRIPT, include_str!("ticket.js")),
    ("try.css", CSS, include_str!("try.css")),
    ("try.js", SCRIPT, include_str!("try.js")),
];

const HTML: &str = "text/html; charset=utf-8";

pub(crate) async fn get_demo() -> Response {
    page(HTML, include_str!("demo.html"))
}

pub(crate) async fn get_docs() -> Response {
    page(HTML, include_str!("docs.html"))
}

pub(crate) async fn get_asset(State(_): State<App>, Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|(known, ..)| *known == name) {
        Some((_, media_type, text)) => page(media_type, text),
        None => not_found().into_response(),
    }
}

pub(crate) async fn get_openapi() -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let text = DOCUMENT.get_or_init(|| document().to_string());
    page("application/json", text)
}

fn page(media_type: &'static str, text: &'static str) -> Response {
    let mut response = (StatusCode::OK, text).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}
