//! Corrections of wallets by staff.

use axum::extract::State;
use onsale_domain::ids::UserId;
use onsale_domain::wallet::{ADJUSTMENT_MAX, Adjust};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::staff::{Adjust as MayAdjust, Staff};
use crate::http::input::{Body, Path, Payload};
use crate::http::openapi::Sample;
use crate::http::reply::problem::Problem;
use crate::http::reply::{Created, Decided};
use crate::http::routes::wallet::Wallet;
use crate::http::values::{Name, RuledPoints};

const ADJUSTMENT_MIN: i64 = -ADJUSTMENT_MAX;

/// Points to add or to remove, and why.
#[derive(Body, JsonSchema)]
pub(crate) struct AdjustmentBody {
    /// Points to add, or to remove if negative; not 0.
    amount: RuledPoints<ADJUSTMENT_MIN, ADJUSTMENT_MAX>,
    /// Kept in the admin log. Every character shows.
    reason: Name,
}

impl Sample for AdjustmentBody {
    fn sample() -> Value {
        json!({"amount": -300, "reason": "charged twice"})
    }
}

/// Correct a wallet
///
/// The entry of the history has the type `ADJUSTMENT` and a signed amount. A wallet stays at 0 to 1,000,000,000 points.
#[operation(
    tag = Administration,
    returns = "The wallet afterwards",
    codes(AmountOutOfRange, InsufficientBalance, BalanceLimit)
)]
pub(crate) async fn adjust_points(
    State(app): State<App>,
    staff: Staff<MayAdjust>,
    path: Path<UserId>,
    payload: Payload<AdjustmentBody>,
) -> Result<Decided<Created<Wallet>>, Problem> {
    let user = path.id()?;
    let AdjustmentBody { amount: RuledPoints(amount), reason: Name(reason) } = payload.read()?;
    if amount == 0 || !(ADJUSTMENT_MIN..=ADJUSTMENT_MAX).contains(&amount) {
        return Err(Problem::adjustment_out_of_range());
    }
    let adjust = Adjust { user, amount, reason: reason.into() };
    app.decide_by_staff(&staff, adjust, &payload, |changed| Created(Wallet::of(&changed.user, &changed.account))).await
}
