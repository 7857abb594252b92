//! Blocked seats: an organiser takes free seats from sale, and puts them on sale again.

use std::sync::Arc;

use axum::extract::State;
use onsale_app::desk::DeskCommand;
use onsale_domain::Command;
use onsale_domain::concert::{Block, Blocked, SEATS_AT_ONCE_MAX, Unblock};
use onsale_domain::ids::PerformanceId;
use onsale_domain::staff::{ByStaff, Logged};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::staff::{RunSale, Staff};
use crate::http::input::{Body, Path, Payload};
use crate::http::openapi::Sample;
use crate::http::reply::problem::Problem;
use crate::http::reply::{Decided, OkJson};
use crate::http::routes::seats::SeatList;
use crate::http::values::Name;

/// Which seats to block or unblock, and why.
#[derive(Body, JsonSchema)]
pub(crate) struct BlockBody {
    /// Seat numbers, none twice.
    #[schemars(with = "Vec<u32>", length(min = 1, max = SEATS_AT_ONCE_MAX), inner(range(min = 1, max = 100_000)))]
    seats: SeatList,
    /// Kept in the admin log and in the event. Every character shows.
    reason: Name,
}

impl Sample for BlockBody {
    fn sample() -> Value {
        json!({"seats": [1, 2], "reason": "the mixing desk needs the room"})
    }
}

/// The blocked seats of a performance after a change.
#[derive(Serialize, JsonSchema)]
pub(crate) struct BlocksShown {
    /// How many seats of the performance are blocked.
    blocked: u32,
}

impl BlocksShown {
    fn of(changed: &Blocked) -> OkJson<Self> {
        OkJson(Self { blocked: changed.blocked })
    }
}

impl Sample for BlocksShown {
    fn sample() -> Value {
        json!({"blocked": 2})
    }
}

/// Take free seats of a performance from sale, all or none
///
/// Buyers see them as `BLOCKED`, and holding one is `seat-taken`. A seat that is blocked already stays as it is. `seat-taken` names
/// seats that are held or sold; a hold that has lapsed is settled first and does not count.
#[operation(
    tag = Administration,
    returns = "How many seats are blocked",
    codes(PerformanceNotFound, PerformanceCancelled, SeatUnknown, SeatTaken)
)]
pub(crate) async fn block_seats(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<PerformanceId>,
    payload: Payload<BlockBody>,
) -> Result<Decided<OkJson<BlocksShown>>, Problem> {
    let block = |performance, seats, reason| Block { performance, seats, reason };
    change_blocks(&app, &staff, &path, &payload, block).await
}

/// Put blocked seats of a performance on sale again, all or none
///
/// A seat that is free already stays as it is. Judged as a block: `seat-taken` names seats that are held or sold.
#[operation(
    tag = Administration,
    returns = "How many seats are blocked",
    codes(PerformanceNotFound, PerformanceCancelled, SeatUnknown, SeatTaken)
)]
pub(crate) async fn unblock_seats(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<PerformanceId>,
    payload: Payload<BlockBody>,
) -> Result<Decided<OkJson<BlocksShown>>, Problem> {
    let unblock = |performance, seats, reason| Unblock { performance, seats, reason };
    change_blocks(&app, &staff, &path, &payload, unblock).await
}

/// Decides the command that `of` makes of the performance, the seats and the reason.
async fn change_blocks<C: Logged<Output = Blocked>>(
    app: &App,
    staff: &Staff<RunSale>,
    path: &Path<PerformanceId>,
    payload: &Payload<BlockBody>,
    of: impl FnOnce(PerformanceId, Arc<[i64]>, Arc<str>) -> C,
) -> Result<Decided<OkJson<BlocksShown>>, Problem>
where
    ByStaff<C>: DeskCommand + Command<Output = Blocked>,
{
    let performance = path.id()?;
    let BlockBody { seats: SeatList(seats), reason: Name(reason) } = payload.read()?;
    app.decide_by_staff(staff, of(performance, seats.into(), reason.into()), payload, BlocksShown::of).await
}
