//! The extractor of charges: users charge their own wallets, or staff charge them all (`ONSALE_CHARGE`).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::PathArgs;
use super::callers::StrictPathUser;
use super::staff::{Charge, Staff};
use crate::http::App;
use crate::http::openapi::{Input, Operation};
use crate::http::reply::problem::{Code, Problem};
use crate::settings::ChargedBy;

/// A client that may charge the wallet in the path.
pub(crate) enum Charger {
    /// The user whose wallet it is.
    User(StrictPathUser),
    /// A member of the staff, who charges any wallet. The path is read by the handler.
    Staff(Staff<Charge>, PathArgs),
}

impl FromRequestParts<App> for Charger {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if app.charged_by == ChargedBy::User {
            return StrictPathUser::from_request_parts(parts, app).await.map(Self::User);
        }
        let staff = Staff::from_request_parts(parts, app).await.map_err(not_allowed)?;
        let path = PathArgs::from_request_parts(parts, app).await?;
        Ok(Self::Staff(staff, path))
    }
}

/// A caller without a sufficient key is refused with one code. A server that cannot check keys answers 503.
fn not_allowed(refused: Problem) -> Problem {
    match refused.code {
        Code::AdminKeyInvalid | Code::RoleInsufficient | Code::NotFound => Problem::new(Code::ChargeNotAllowed),
        _ => refused,
    }
}

impl Input for Charger {
    fn describe(operation: &mut Operation) {
        StrictPathUser::describe(operation);
        operation.codes(&[Code::ChargeNotAllowed]);
        operation.paragraph(
            "With `ONSALE_CHARGE=staff` the call needs a key of staff with the role `owner` or `cashier` as its bearer, and \
             no bearer of a user and no queue token. Only then it takes an `externalId`.",
        );
    }
}
