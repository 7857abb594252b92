//! Pages for people: the demonstration, and the browsable description of the API. Everything comes from the binary.

mod assets;
mod schemas;

use std::sync::LazyLock;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use onsale_app::calendar::Calendar;

use crate::http::{App, Kept, document, not_found};
use assets::File;

pub(crate) use schemas::{get_event_schema, list_event_schemas};

const HTML: &str = "text/html; charset=utf-8";

/// The pages as this server sends them.
pub(crate) struct Pages {
    demo: File,
    docs: File,
}

impl Pages {
    /// The pages name the zone in which the server reads dates, and the version of their files.
    pub(crate) fn new(calendar: &Calendar) -> Self {
        let written = |text: &str| {
            let text = text.replace("{{timezone}}", calendar.zone_name()).replace("{{version}}", assets::version());
            File::new(HTML, text)
        };
        Self { demo: written(include_str!("demo.html")), docs: written(include_str!("docs.html")) }
    }
}

/// The demonstration.
pub(crate) async fn get_demo(State(app): State<App>, headers: HeaderMap) -> Response {
    app.pages.demo.answer(&headers, Kept::Checked)
}

/// The API description as a page.
pub(crate) async fn get_docs(State(app): State<App>, headers: HeaderMap) -> Response {
    app.pages.docs.answer(&headers, Kept::Checked)
}

/// A file of the pages under its plain name, which stays the same over releases.
pub(crate) async fn get_asset(headers: HeaderMap, Path(name): Path<String>) -> Response {
    match assets::asset(&name) {
        Some(file) => file.answer(&headers, Kept::Checked),
        None => not_found().into_response(),
    }
}

/// A file of the pages under the version of this build: it never changes, so that a browser does not ask again. Another
/// version is that of another instance during a rolling restart: this build's file is sent, and not kept.
pub(crate) async fn get_versioned_asset(headers: HeaderMap, Path((version, name)): Path<(String, String)>) -> Response {
    let kept = if version == assets::version() { Kept::Forever } else { Kept::Checked };
    match assets::asset(&name) {
        Some(file) => file.answer(&headers, kept),
        None => not_found().into_response(),
    }
}

/// The OpenAPI document.
pub(crate) async fn get_openapi(headers: HeaderMap) -> Response {
    static DOCUMENT: LazyLock<File> = LazyLock::new(|| File::new("application/json", document().to_string()));
    DOCUMENT.answer(&headers, Kept::Checked)
}
