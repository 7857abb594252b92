//! Sections of a performance, as buyers see them.

use axum::extract::State;
use axum::http::HeaderMap;
use onsale_domain::ids::PerformanceId;
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::concert::AdmittedConcert;
use crate::http::App;
use crate::http::cache::{Kept, seat_json};
use crate::http::input::{Parameters, Query};
use crate::http::openapi::sample::Sample;
use crate::http::reply::Cached;
use crate::http::reply::problem::{Code, Problem};
use crate::http::values::Id;

/// Whose sections to list.
#[derive(Parameters)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SectionsQuery {
    /// The performance whose sections are listed
    performance_id: Id<PerformanceId>,
}

/// A section of a performance, with how much of it is free.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LaidSection")]
pub(crate) struct LaidSectionShown<'a> {
    pub(crate) section: &'a str,
    pub(crate) grade: &'a str,
    /// Points.
    pub(crate) price: i64,
    /// Best available takes its seats only if the request names the section.
    pub(crate) accessible: bool,
    /// Number of seats.
    pub(crate) capacity: u32,
    /// Number of seats that are available; 0 if the performance is closed or cancelled.
    pub(crate) free: u32,
}

impl Sample for LaidSectionShown<'_> {
    fn sample() -> Value {
        json!({"section": "A", "grade": "VIP", "price": 120_000, "accessible": false, "capacity": 400, "free": 73})
    }
}

/// List the sections of a performance
///
/// In the order in which they rank. A performance without a layout has none.
#[operation(tag = Concerts, returns = "The sections", codes(PerformanceNotFound))]
pub(crate) async fn list_concert_sections(
    State(app): State<App>,
    concert: AdmittedConcert,
    headers: HeaderMap,
    mut query: Query<SectionsQuery>,
) -> Result<Cached<Vec<LaidSectionShown<'static>>>, Problem> {
    let SectionsQuery { performance_id: Id(id) } = query.read()?;
    app.read(app.catalogue.know(&[], &[id])).await?;
    let showing = app.catalogue.showing(id).filter(|showing| showing.concert == concert.id());
    let showing = showing.ok_or_else(|| Problem::new(Code::PerformanceNotFound))?;
    let view = app.read(app.seat_maps.view(&showing)).await?;
    Ok(Cached::of(&headers, seat_json::sections_of(&view), Kept::Privately, None))
}
