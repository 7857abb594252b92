//! Extractors of staff: a handler that takes one states the right that its call needs, and cannot forget the check.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use onsale_app::idempotency::Owner;
use onsale_domain::staff::{Call, Right};

use super::callers::bearer;
use crate::auth::Member;
use crate::http::App;
use crate::http::openapi::{Input, Operation, Proof};
use crate::http::reply::problem::{Code, Problem};

/// The right that a call needs.
pub(crate) trait Needed {
    const RIGHT: Right;
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl Needed for $name {
            const RIGHT: Right = Right::$name;
        }
    )+};
}

rights! {
    /// Makes, lists and deletes keys of staff.
    ManageKeys,
    /// Makes and changes what is on sale.
    RunSale,
    /// Reads what calls of administrators show.
    ReadSale,
    /// Charges wallets.
    Charge,
}

/// The `X-Request-Id` of a request, as an extension.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) HeaderValue);

/// A member of the staff who has the right `R`.
pub(crate) struct Staff<R> {
    member: Member,
    request: Arc<str>,
    right: PhantomData<fn() -> R>,
}

impl<R> Staff<R> {
    /// Who acts in this request, for the admin log.
    pub(crate) fn call(&self) -> Box<Call> {
        Box::new(Call { actor: self.member.actor.clone(), request: self.request.clone() })
    }

    /// The owner of the idempotency keys of this member.
    pub(crate) fn owner(&self) -> Owner {
        self.member.actor.key().map_or(Owner::Root, Owner::Staff)
    }
}

/// Checks that a member has a right. A refusal is in the server's log, because a thief tries what a stolen key can do.
///
/// # Errors
/// `role-insufficient`.
pub(super) fn check(member: &Member, right: Right, parts: &Parts) -> Result<(), Problem> {
    if member.role.may(right) {
        return Ok(());
    }
    tracing::warn!(
        key.name = member.actor.name(),
        key.id = member.actor.key().map(tracing::field::display),
        role = member.role.as_str(),
        method = %parts.method,
        path = parts.uri.path(),
        request_id = &*request_id(parts),
        "refused a call of staff: the role of the key is not sufficient"
    );
    Err(Problem::new(Code::RoleInsufficient))
}

fn request_id(parts: &Parts) -> Arc<str> {
    let id = parts.extensions.get::<RequestId>().and_then(|RequestId(id)| id.to_str().ok());
    id.unwrap_or_default().into()
}

impl<R: Needed> FromRequestParts<App> for Staff<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let offered = bearer(&parts.headers).unwrap_or_default();
        let member = match offered {
            Some(key) => app.read(app.staff.member(key)).await?,
            None => None,
        };
        match (member, offered) {
            (Some(member), _) => {
                check(&member, R::RIGHT, parts)?;
                Ok(Self { member, request: request_id(parts), right: PhantomData })
            }
            (None, _) if !app.staff.has_keys() => Err(Problem::new(Code::NotFound)),
            (None, Some(_)) => Err(Problem::new(Code::AdminKeyInvalid).challenge("The key is wrong, or was deleted")),
            (None, None) => Err(Problem::new(Code::AdminKeyInvalid)),
        }
    }
}

impl<R: Needed> Input for Staff<R> {
    fn describe(operation: &mut Operation) {
        operation.proof(Proof::AdminKey);
        operation.codes(&[Code::AdminKeyInvalid, Code::RoleInsufficient, Code::NotFound]);
        let roles: Vec<String> = R::RIGHT.roles().map(|role| format!("`{role}`")).collect();
        operation.paragraph(&format!("Needs a key with one of these roles: {}.", roles.join(", ")));
        operation.paragraph("Without `ONSALE_ADMIN_KEY` and without keys in the database this answers 404.");
    }
}

/// Whether the bearer of a request is of a member of the staff who may read the data of any user.
///
/// # Errors
/// `role-insufficient` if the member may not; `unavailable` if the keys cannot be checked.
pub(super) async fn reads_users(parts: &Parts, app: &App) -> Result<bool, Problem> {
    let Ok(Some(key)) = bearer(&parts.headers) else { return Ok(false) };
    let Some(member) = app.read(app.staff.member(key)).await? else { return Ok(false) };
    check(&member, Right::ReadUsers, parts)?;
    Ok(true)
}
