//! What administrators send, as documented. Bodies are read field by field in `admin.rs`.

use schemars::JsonSchema;

use crate::http::reply::wire::Instant;

/// A new lecture.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; read field by field")]
pub(crate) struct LectureBody {
    /// Every character shows: no control characters, direction marks or invisible characters.
    #[schemars(length(min = 1, max = 200))]
    title: String,
    /// As `title`.
    #[schemars(length(min = 1, max = 200))]
    lecturer: Option<String>,
    /// RFC 3339, with seconds and an offset; years 0001 to 9999.
    starts_at: Instant,
    /// 30 unless said.
    #[schemars(range(min = 1, max = 1_000_000))]
    capacity: Option<u32>,
}

/// A new concert.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "documents the body; read field by field")]
pub(crate) struct ConcertBody {
    /// Every character shows: no control characters, direction marks or invisible characters.
    #[schemars(length(min = 1, max = 200))]
    title: String,
    /// As `title`.
    #[schemars(length(min = 1, max = 200))]
    venue: String,
    queue: Option<QueueBody>,
}

/// How a waiting room admits; what is not named is as the server is set.
#[derive(JsonSchema)]
#[schemars(rename = "QueueSettingsBody")]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; read field by field")]
pub(crate) struct QueueBody {
    #[schemars(range(min = 1, max = 1_000_000))]
    max_active: Option<u32>,
    #[schemars(range(min = 1, max = 1_000_000))]
    admit_per_second: Option<u32>,
    #[schemars(range(min = 1, max = 86_400))]
    active_seconds: Option<u32>,
    #[schemars(range(min = 1, max = 3_600))]
    claim_seconds: Option<u32>,
}

/// What to change about a waiting room.
#[derive(JsonSchema)]
#[schemars(rename = "QueueSettingsPatch")]
#[expect(dead_code, reason = "documents the body; read field by field")]
pub(crate) struct QueuePatch {
    #[serde(flatten)]
    settings: QueueBody,
    paused: Option<bool>,
}

/// A new performance.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; read field by field")]
pub(crate) struct PerformanceBody {
    /// RFC 3339, with seconds and an offset; years 0001 to 9999.
    starts_at: Instant,
    /// Points; the price of seats for which none is named. 50,000 unless said.
    #[schemars(range(min = 0, max = 100_000_000))]
    price: Option<i64>,
    seats: Option<SeatsBody>,
}

/// How many seats, or which.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "documents the body; read field by field")]
pub(crate) enum SeatsBody {
    /// Seats 1 to this one; 50 unless said.
    Count(#[schemars(range(min = 1, max = 100_000))] u32),
    /// Sections that share no seat.
    Sections(#[schemars(length(min = 1, max = 1_000))] Vec<SectionBody>),
}

/// Neighbouring seats of one grade and price.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "documents the body; read field by field")]
pub(crate) struct SectionBody {
    #[schemars(range(min = 1, max = 100_000))]
    from: u32,
    #[schemars(range(min = 1, max = 100_000))]
    to: u32,
    /// "R" unless said. Every character shows.
    #[schemars(length(min = 1, max = 200))]
    grade: Option<String>,
    /// Points; the performance's price unless said.
    #[schemars(range(min = 0, max = 100_000_000))]
    price: Option<i64>,
}
