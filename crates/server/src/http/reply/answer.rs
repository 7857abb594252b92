//! What was decided, as callers see it. The same for an answer given now and one kept under an idempotency key.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use onsale_domain::Refusal;
use serde::Serialize;
use std::sync::Arc;

use crate::http::reply::problem::{Code, PROBLEM_JSON, Problem};

const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";

/// Status, headers and body of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    status: StatusCode,
    retry_after_seconds: Option<u32>,
    body: Vec<u8>,
}

impl Rendered {
    /// A body of JSON.
    pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Self {
        Self { status, retry_after_seconds: None, body: serde_json::to_vec(body).unwrap_or_default() }
    }

    /// 204 without a body.
    pub(crate) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, retry_after_seconds: None, body: Vec::new() }
    }

    /// How an outcome is answered: by `show` if the command was done, else by the problem of its refusal.
    pub(crate) fn of<T>(outcome: &Result<T, Refusal>, show: impl Fn(&T) -> Self) -> Self {
        match outcome {
            Ok(done) => show(done),
            Err(refusal) => Problem::from(refusal).into(),
        }
    }

    /// As kept: the status, the `Retry-After` (0 for none), then the body.
    pub(crate) fn to_bytes(&self) -> Arc<[u8]> {
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

impl From<Problem> for Rendered {
    fn from(problem: Problem) -> Self {
        let retry_after_seconds = problem.retry_after_seconds;
        Self { status: problem.status(), retry_after_seconds, body: problem.to_json() }
    }
}

impl IntoResponse for Rendered {
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

/// A kept answer, byte for byte.
pub(crate) fn kept_response(kept: &[u8], replayed: bool) -> Response {
    let Some(rendered) = Rendered::from_bytes(kept) else {
        return Problem::new(Code::Internal).into_response();
    };
    let mut response = rendered.into_response();
    if replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
