//! Pages for people: the shop, the back office, the door, and the browsable description of the API. All files are part of the
//! binary.

mod assets;
mod bundle;
mod schemas;

use std::sync::OnceLock;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use onsale_macros::operation;

use crate::http::openapi::{OpenapiDocument, Operation, Output, document};
use crate::http::{App, Kept, PathArgs, not_found};
use crate::settings::{Settings, ShopPages};
use assets::File;

pub(crate) use schemas::{get_event_schema, list_event_schemas};

const HTML: &str = "text/html; charset=utf-8";

/// The HTML pages of this server.
pub(crate) struct Pages {
    /// The shop; `None` if this server has none.
    shop: Option<File>,
    office: File,
    door: File,
    /// Keeps the page of the door in the browser, with its files.
    door_worker: File,
    docs: File,
}

impl Pages {
    /// Fills in the time zone of dates, who charges wallets, whether visitors sign in, whether this is a demonstration, and the
    /// version of the asset files.
    pub(crate) fn new(settings: &Settings, is_demo: bool) -> Self {
        let filled = |text: &str| {
            let text = text.replace("{{timezone}}", settings.calendar.zone_name());
            let text = text.replace("{{version}}", assets::version());
            let text = text.replace("{{charge}}", settings.charged_by.as_str());
            let signs_in = settings.auth.provider().is_some();
            let text = text.replace("{{sign-in}}", if signs_in { "yes" } else { "no" });
            text.replace("{{demo}}", if is_demo { "true" } else { "false" })
        };
        let written = |text: &str| File::new(HTML, filled(text));
        let door = include_str!("check-in.html");
        let files: Vec<String> = assets::needed_by(door).iter().map(|name| format!("\"{name}\"")).collect();
        let worker = include_str!("door-worker.js").replace("{{files}}", &files.join(", "));
        Self {
            shop: (settings.pages == ShopPages::Shop).then(|| written(include_str!("demo.html"))),
            door: written(door),
            door_worker: File::new(assets::SCRIPT, filled(&worker)),
            office: written(include_str!("office.html")),
            docs: written(include_str!("docs.html")),
        }
    }
}

/// The shop as a page: concerts, waiting rooms, seats, lectures, and what belongs to a user.
pub(crate) async fn get_shop(State(app): State<App>, headers: HeaderMap) -> Response {
    match &app.pages.shop {
        Some(shop) => shop.answer(&headers, Kept::Checked),
        None => not_found().into_response(),
    }
}

/// The back office as a page. It has no data: its scripts read that with the session of a member of the staff.
pub(crate) async fn get_desk(State(app): State<App>, headers: HeaderMap) -> Response {
    app.pages.office.answer(&headers, Kept::Checked)
}

/// The door as a page. It has no data: its scripts read that with the session of a member of the staff.
pub(crate) async fn get_door(State(app): State<App>, headers: HeaderMap) -> Response {
    app.pages.door.answer(&headers, Kept::Checked)
}

/// The service worker of the door. A browser allows it only for paths below its own, so it is none of the assets.
pub(crate) async fn get_door_worker(State(app): State<App>, headers: HeaderMap) -> Response {
    app.pages.door_worker.answer(&headers, Kept::Checked)
}

/// The API description as a page.
pub(crate) async fn get_docs(State(app): State<App>, headers: HeaderMap) -> Response {
    app.pages.docs.answer(&headers, Kept::Checked)
}

/// An asset under its plain name, which stays the same over releases. Browsers revalidate it.
pub(crate) async fn get_asset(State(_): State<App>, headers: HeaderMap, path: PathArgs) -> Response {
    match path.get("name").and_then(assets::asset) {
        Some(file) => file.answer(&headers, Kept::Checked),
        None => not_found().into_response(),
    }
}

/// An asset under the version of this build. It never changes, so browsers cache it and do not request it again. A different
/// version comes from another instance during a rolling restart: then this build's file is sent without caching.
pub(crate) async fn get_versioned_asset(State(_): State<App>, headers: HeaderMap, path: PathArgs) -> Response {
    let kept = if path.get("version") == Some(assets::version()) { Kept::Forever } else { Kept::Checked };
    match path.get("name").and_then(assets::asset) {
        Some(file) => file.answer(&headers, kept),
        None => not_found().into_response(),
    }
}

/// The OpenAPI document, or 304 if the client has it.
pub(crate) struct OpenapiAnswer(Response);

impl IntoResponse for OpenapiAnswer {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Output for OpenapiAnswer {
    fn describe(operation: &mut Operation) {
        operation.answers::<OpenapiDocument>(200);
        operation.answers_nothing(304, "Unchanged, if `If-None-Match` names the last `ETag`");
    }
}

/// Get this document
///
/// `onsale openapi` prints the same.
#[operation(tag = Operation, returns = "OpenAPI 3.1")]
pub(crate) async fn get_openapi(State(app): State<App>, headers: HeaderMap) -> OpenapiAnswer {
    static DOCUMENT: OnceLock<File> = OnceLock::new();
    let public_url = app.web.public_url.as_ref();
    let file = DOCUMENT.get_or_init(|| File::new("application/json", document(public_url).to_string()));
    OpenapiAnswer(file.answer(&headers, Kept::Checked))
}
