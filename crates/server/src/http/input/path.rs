//! Parameters in the path.

use std::marker::PhantomData;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use crate::http::App;
use crate::http::openapi::{Input, Operation};
use crate::http::reply::problem::{Code, Problem};
use crate::http::values::{Id, PathId, Text};

/// The parameters of a path, by name.
pub(crate) struct PathArgs(RawPathParams);

impl FromRequestParts<App> for PathArgs {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let read = RawPathParams::from_request_parts(parts, app).await;
        read.map(Self).map_err(|_| Problem::new(Code::MalformedRequest).detail("the path is no UTF-8 when decoded"))
    }
}

impl PathArgs {
    /// The parameter as written, or `None` if the route has no parameter of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// # Errors
    /// `invalid-request` if the parameter is something else than `T`.
    pub(crate) fn parse<T: Text>(&self, name: &'static str) -> Result<T, Problem> {
        let value = self.get(name).and_then(T::parse);
        value.ok_or_else(|| Problem::invalid_field(name, format!("must be {}", T::WHAT)))
    }
}

/// An id in the path. It is read when the handler calls for it, because a refusal for another reason may come first.
pub(crate) struct Path<T> {
    parameters: PathArgs,
    id: PhantomData<fn() -> T>,
}

impl<T: PathId> Path<T> {
    /// # Errors
    /// `invalid-request` if the path names something else than such an id.
    pub(crate) fn id(&self) -> Result<T, Problem> {
        self.parameters.parse::<Id<T>>(T::NAME).map(|Id(id)| id)
    }
}

impl<T: PathId> FromRequestParts<App> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = PathArgs::from_request_parts(parts, app).await?;
        Ok(Self { parameters, id: PhantomData })
    }
}

impl<T: PathId> Input for Path<T> {
    fn describe(operation: &mut Operation) {
        operation.path::<Id<T>>(T::NAME, T::DESCRIPTION);
    }
}
