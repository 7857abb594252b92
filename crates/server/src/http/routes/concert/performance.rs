//! A performance as buyers and staff read it.

use onsale_app::calendar::Calendar;
use onsale_app::catalogue::Showing;
use onsale_domain::concert::Performance;
use onsale_domain::ids::PerformanceId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::openapi::sample::{self, Sample};
use crate::http::values::{Day, Id, Instant};

/// A performance, as listed among a concert's dates.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Performance")]
#[serde(rename_all = "camelCase")]
pub(crate) struct PerformanceShown {
    performance_id: Id<PerformanceId>,
    date: Day,
    starts_at: Instant,
    capacity: u32,
    /// Number of seats that are available; 0 if the performance is closed or cancelled.
    remaining: u32,
    status: PerformanceStatus,
}

/// Whether seats of a performance can be held.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum PerformanceStatus {
    /// Seats can be held.
    Open,
    /// An administrator closed its holds.
    Closed,
    /// It was cancelled for good.
    Cancelled,
}

impl PerformanceStatus {
    pub(crate) fn of(performance: &Performance) -> Self {
        Self::new(performance.closed, performance.cancelled_at.is_some())
    }

    fn new(is_closed: bool, is_cancelled: bool) -> Self {
        match (is_cancelled, is_closed) {
            (true, _) => Self::Cancelled,
            (false, true) => Self::Closed,
            (false, false) => Self::Open,
        }
    }
}

impl PerformanceShown {
    pub(crate) fn new(performance: &Performance, calendar: &Calendar) -> Self {
        let capacity = performance.seating.capacity();
        Self {
            performance_id: Id(performance.id),
            date: Day(calendar.date_of(performance.starts_at)),
            starts_at: Instant(performance.starts_at),
            capacity,
            remaining: if performance.closed { 0 } else { capacity },
            status: PerformanceStatus::of(performance),
        }
    }

    pub(super) fn of(showing: &Showing, remaining: u32, (is_closed, is_cancelled): (bool, bool)) -> Self {
        Self {
            performance_id: Id(showing.id),
            date: Day(showing.date),
            starts_at: Instant(showing.starts_at),
            capacity: showing.seating.capacity(),
            remaining: if is_closed || is_cancelled { 0 } else { remaining },
            status: PerformanceStatus::new(is_closed, is_cancelled),
        }
    }
}

impl Sample for PerformanceShown {
    fn sample() -> Value {
        json!({
            "performanceId": sample::PERFORMANCE, "date": "2026-12-19", "startsAt": "2026-12-19T10:00:00.000Z",
            "capacity": 50, "remaining": 50, "status": "OPEN"
        })
    }
}
