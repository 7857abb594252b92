//! Parameters in the path.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use crate::http::App;
use crate::http::reply::problem::{Code, Problem};

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
    /// The parameter as written, where the path has it.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The parameter as what it stands for.
    ///
    /// # Errors
    /// Where it cannot be one.
    pub(crate) fn parse<T>(
        &self,
        name: &'static str,
        what: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Problem> {
        let value = self.get(name).and_then(parse);
        value.ok_or_else(|| Problem::invalid_field(name, format!("must be {what}")))
    }
}
