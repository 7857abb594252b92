//! Answers to commands: the same whether a command was decided now or its answer was kept under an idempotency key.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use onsale_domain::Refusal;
use serde::{Deserialize, Serialize};

use super::problem::{Code, PROBLEM_JSON, Problem};
use super::success::{Begun, Created, CreatedOrAwaited, NoContent, OkJson, to_json};
use crate::http::openapi::{Operation, Output};

const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";

/// A successful answer that an idempotency key can keep.
pub(crate) trait Success {
    fn status(&self) -> StatusCode;

    /// The body; empty if there is none.
    fn body(&self) -> Vec<u8>;
}

impl<T: Serialize> Success for OkJson<T> {
    fn status(&self) -> StatusCode {
        StatusCode::OK
    }

    fn body(&self) -> Vec<u8> {
        to_json(&self.0)
    }
}

impl<T: Serialize> Success for Created<T> {
    fn status(&self) -> StatusCode {
        StatusCode::CREATED
    }

    fn body(&self) -> Vec<u8> {
        to_json(&self.0)
    }
}

impl<C: Serialize, A: Serialize> Success for CreatedOrAwaited<C, A> {
    fn status(&self) -> StatusCode {
        match self {
            Self::Created(_) => StatusCode::CREATED,
            Self::Awaited(_) => StatusCode::ACCEPTED,
        }
    }

    fn body(&self) -> Vec<u8> {
        match self {
            Self::Created(made) => to_json(made),
            Self::Awaited(awaited) => to_json(awaited),
        }
    }
}

impl<T: Serialize> Success for Begun<T> {
    fn status(&self) -> StatusCode {
        if self.is_new { StatusCode::ACCEPTED } else { StatusCode::OK }
    }

    fn body(&self) -> Vec<u8> {
        to_json(&self.state)
    }
}

impl Success for NoContent {
    fn status(&self) -> StatusCode {
        StatusCode::NO_CONTENT
    }

    fn body(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// The answer to a command whose success is `R`. It may also be a refusal that a key kept.
pub(crate) struct Decided<R> {
    answer: Answer,
    /// The code of a refusal that was decided now.
    code: Option<Code>,
    /// The answer was given before.
    is_replayed: bool,
    success: PhantomData<fn() -> R>,
}

impl<R: Success> Decided<R> {
    /// An answer that no key keeps.
    #[expect(clippy::needless_pass_by_value, reason = "an answer is given once")]
    pub(crate) fn now(success: R) -> Self {
        Self { answer: Answer::of(&success), code: None, is_replayed: false, success: PhantomData }
    }
}

impl<R> Decided<R> {
    /// An answer as the key kept it, byte for byte; with the code of the refusal that it is of, if that was decided now.
    ///
    /// # Errors
    /// `internal` if the bytes are not an answer.
    pub(crate) fn kept(bytes: &[u8], code: Option<Code>, is_replayed: bool) -> Result<Self, Problem> {
        let answer = Answer::from_bytes(bytes).ok_or_else(|| Problem::new(Code::Internal))?;
        Ok(Self { answer, code, is_replayed, success: PhantomData })
    }

    /// Whether an idempotency key kept the answer of an earlier request.
    pub(crate) fn is_replayed(&self) -> bool {
        self.is_replayed
    }

    pub(crate) fn is_success(&self) -> bool {
        self.answer.status.is_success()
    }
}

impl<R> IntoResponse for Decided<R> {
    fn into_response(self) -> Response {
        // The code of a refusal is known, but that of an answer of before, or of a scan that was refused, has to be read.
        let code = if self.is_replayed { None } else { self.code };
        let code = code.or_else(|| code_of(&self.answer));
        let mut response = self.answer.into_response();
        if let Some(code) = code {
            response.extensions_mut().insert(code);
        }
        if self.is_replayed {
            response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

impl<R: Output> Output for Decided<R> {
    fn describe(operation: &mut Operation) {
        R::describe(operation);
    }
}

/// The bytes that a key keeps: the answer that `show` makes, or the problem of the refusal.
pub(crate) fn encode<T, R: Success>(outcome: &Result<T, Refusal>, show: impl Fn(&T) -> R) -> Arc<[u8]> {
    let answer = match outcome {
        Ok(done) => Answer::of(&show(done)),
        Err(refusal) => Answer::from(Problem::from(refusal)),
    };
    answer.to_bytes()
}

/// Status, `Retry-After` and body of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: StatusCode,
    retry_after_seconds: Option<u32>,
    body: Vec<u8>,
}

impl Answer {
    fn of<R: Success>(success: &R) -> Self {
        Self { status: success.status(), retry_after_seconds: None, body: success.body() }
    }

    /// The status, the `Retry-After` in seconds (0 for none), then the body.
    fn to_bytes(&self) -> Arc<[u8]> {
        let retry_after = self.retry_after_seconds.unwrap_or(0);
        [&self.status.as_u16().to_be_bytes()[..], &retry_after.to_be_bytes(), &self.body].concat().into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (status, rest) = bytes.split_first_chunk()?;
        let (retry_after, body) = rest.split_first_chunk()?;
        Some(Self {
            status: StatusCode::from_u16(u16::from_be_bytes(*status)).ok()?,
            retry_after_seconds: Some(u32::from_be_bytes(*retry_after)).filter(|seconds| *seconds > 0),
            body: body.to_vec(),
        })
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let retry_after_seconds = problem.retry_after_seconds;
        Self { status: problem.status(), retry_after_seconds, body: problem.to_json() }
    }
}

/// The code of an answer that a key kept; `None` for a success.
fn code_of(answer: &Answer) -> Option<Code> {
    #[derive(Deserialize)]
    struct Kept<'a> {
        code: &'a str,
    }
    if answer.status.is_success() {
        return None;
    }
    let Kept { code } = serde_json::from_slice(&answer.body).ok()?;
    Code::named(code)
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let failed = self.status.is_client_error() || self.status.is_server_error();
        let empty = self.body.is_empty();
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        if empty {
            headers.remove(CONTENT_TYPE);
        } else {
            let media_type = if failed { PROBLEM_JSON } else { "application/json" };
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
