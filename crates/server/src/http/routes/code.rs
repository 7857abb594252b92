//! Presale codes, as buyers send them.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use onsale_domain::ids::{ConcertId, UserId};
use onsale_domain::presale::{self, CODE_MAX};
use onsale_domain::waiting_room::Pass;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::http::App;
use crate::http::edge::{Guesser, TooOften};
use crate::http::openapi::{Input, Operation};
use crate::http::reply::problem::{Code, Problem};
use crate::http::values::Text;

/// A text that a buyer typed as a code. It may be wrong.
#[derive(Clone, Debug)]
pub(crate) struct TypedCode(pub(crate) Arc<str>);

impl Text for TypedCode {
    const WHAT: &'static str = "1 to 64 characters";

    fn parse(text: &str) -> Option<Self> {
        (1..=CODE_MAX).contains(&text.chars().count()).then(|| Self(text.into()))
    }
}

impl JsonSchema for TypedCode {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TypedCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": CODE_MAX})
    }
}

/// Counts wrong codes of a caller.
#[derive(Clone, Copy)]
pub(crate) struct CodeTries(Guesser);

impl FromRequestParts<App> for CodeTries {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Ok(Self(parts.extensions.get().copied().unwrap_or(Guesser(None))))
    }
}

impl Input for CodeTries {
    fn describe(operation: &mut Operation) {
        operation.codes(&[Code::CodeRequired, Code::CodeInvalid, Code::CodeUsedUp]);
        operation.paragraph(
            "While a presale goes on, `code` is needed: `code-required` has its end in `codesUntil`, and a `Retry-After` of at most \
            an hour. Ten wrong codes of a user or of an address within a minute are answered; then `too-many-requests`.",
        );
    }
}

/// One code of a request: whether it is looked up.
pub(crate) struct CodeTry {
    tries: CodeTries,
    user: UserId,
    /// Why the code is not looked up.
    blocked: Option<TooOften>,
}

/// No code has this text.
const NO_CODE: &str = "";

impl CodeTries {
    /// Begins a try. A caller with ten wrong codes gets an answer only if the code is not needed.
    pub(crate) fn begin(self, app: &App, user: &UserId, code: Option<&TypedCode>) -> CodeTry {
        let blocked = code.and_then(|_| app.wrong_codes.check(user, self.0).err());
        CodeTry { tries: self, user: user.clone(), blocked }
    }
}

impl CodeTry {
    /// The code to decide by. One that is not looked up counts as wrong.
    pub(crate) fn text(&self, code: Option<&TypedCode>) -> Option<Arc<str>> {
        code.map(|TypedCode(text)| if self.blocked.is_some() { NO_CODE.into() } else { text.clone() })
    }

    /// Checks the code of a user who enters, as the database has it.
    ///
    /// # Errors
    /// `unavailable` if the database does not answer.
    pub(crate) async fn pass(&self, app: &App, concert: ConcertId, code: Option<&TypedCode>) -> Result<Pass, Problem> {
        let Some(text) = self.text(code) else { return Ok(None) };
        let standing = match self.blocked {
            Some(_) => None,
            None => app.read(app.reader.code(&(concert, text), &self.user)).await?,
        };
        Ok(Some(presale::check_entry(standing.as_ref(), &self.user, app.reader.now())))
    }

    /// The answer to a problem: a wrong code counts.
    pub(crate) fn note(&self, app: &App, problem: Problem) -> Problem {
        if problem.code != Code::CodeInvalid {
            return problem;
        }
        let noted = match self.blocked {
            Some(blocked) => Err(blocked),
            None => app.wrong_codes.note(&self.user, self.tries.0),
        };
        match noted {
            Ok(()) => problem,
            Err(too_often) => {
                app.metrics.count_limited(too_often.limit);
                Problem::from(too_often)
            }
        }
    }
}
