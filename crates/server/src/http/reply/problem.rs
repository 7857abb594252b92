//! Refusals and failures as clients see them: RFC 9457 problem details.

mod refusal;

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use onsale_app::desk::Failure;
use onsale_app::store::StoreError;
use onsale_domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::auth::Refused;
pub(crate) use crate::http::code::Code;
use crate::http::edge::TooOften;
use crate::http::input::Errors;
use crate::http::values::Instant;

/// The media type of problems.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// What is wrong with one field.
#[derive(Clone, Debug, Serialize, JsonSchema, PartialEq, Eq)]
pub(crate) struct FieldError {
    /// The field's dotted path, such as `queue.maxActive`; a parameter's or header's name.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

/// A problem that the server answers.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    status: StatusCode,
    detail: Cow<'static, str>,
    errors: Box<[FieldError]>,
    seats: Box<[i64]>,
    position: Option<Option<u64>>,
    opens_at: Option<Instant>,
    early_from: Option<Option<Instant>>,
    as_of: Option<Instant>,
    codes_until: Option<Instant>,
    /// With `already-checked-in`: the time and the device of the scan that counts.
    checked_in: Option<(Instant, Arc<str>)>,
    pub(crate) retry_after_seconds: Option<u32>,
    /// With a 401: what is wrong with the bearer of the request.
    bearer_error: Option<&'static str>,
    /// Whether what the request names has changed since it was read, so that it has to be read again.
    pub(crate) is_outdated: bool,
}

/// The body of every answer that is not a success.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProblemBody<'a> {
    /// `urn:onsale:problem:` and the code.
    r#type: String,
    /// What the code means; never changes.
    title: &'a str,
    /// The HTTP status of the answer.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// What happened in this request.
    detail: &'a str,
    /// Stable, in kebab case: programs should read this member.
    code: &'a str,
    /// With bad input: what is wrong, field by field; the first 20.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schemars(length(max = 20))]
    errors: &'a [FieldError],
    /// With `seat-taken`, `seat-unknown` and `seat-exists`: which seats, as the request numbered them; at most 20.
    #[serde(skip_serializing_if = "<[i64]>::is_empty")]
    #[schemars(length(max = 20))]
    seats: &'a [i64],
    /// With `queue-token-waiting`: the position in line; 1 is the next to be admitted, and null if the order
    /// is not known yet. With `already-waitlisted`: the position in
    /// the waiting list; 1 gets the next place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    position: Option<Option<u64>>,
    /// With `sale-not-open`, and with `queue-token-waiting` before the opening: when the sale opens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Instant")]
    opens_at: Option<Instant>,
    /// With `sale-not-open`: from when on users may enter before the opening; null if they may not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    early_from: Option<Option<Instant>>,
    /// With `sale-not-open`: the instant of the decision, by the clock of the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Instant")]
    as_of: Option<Instant>,
    /// With `code-required`: when the presale ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Instant")]
    codes_until: Option<Instant>,
    /// With `already-checked-in`: the time of the scan that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Instant")]
    checked_in_at: Option<Instant>,
    /// With `already-checked-in`: the device of that scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    device: Option<&'a str>,
}

impl Problem {
    pub(crate) fn new(code: Code) -> Self {
        let retry_after_seconds = match code {
            Code::Overloaded | Code::Unavailable | Code::TooManyRequests => Some(1),
            _ => None,
        };
        let detail = Cow::Borrowed(code.title());
        let status = code.status();
        Self {
            code,
            status,
            detail,
            errors: Box::default(),
            seats: Box::default(),
            position: None,
            opens_at: None,
            early_from: None,
            as_of: None,
            codes_until: None,
            checked_in: None,
            retry_after_seconds,
            bearer_error: None,
            is_outdated: false,
        }
    }

    pub(crate) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Replaces the usual status of the code.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds.max(1));
        self
    }

    /// Sets `detail` and the challenge to what is wrong with the bearer: visible ASCII without quotes.
    pub(crate) fn challenge(mut self, error: &'static str) -> Self {
        self.bearer_error = Some(error);
        self.detail(error)
    }

    pub(crate) fn opens_at(mut self, opens_at: Option<Timestamp>) -> Self {
        self.opens_at = opens_at.map(Instant);
        self
    }

    pub(crate) fn early_position(mut self, position: Option<u64>) -> Self {
        self.position = Some(position);
        self
    }

    pub(crate) fn position(self, position: u64) -> Self {
        self.early_position(Some(position))
    }

    /// Names the scan that counts.
    pub(crate) fn checked_in(mut self, at: Timestamp, device: Arc<str>) -> Self {
        self.checked_in = Some((Instant(at), device));
        self
    }

    /// Bad input, field by field.
    pub(crate) fn invalid(errors: Errors) -> Self {
        let detail = errors.summary().map_or(Cow::Borrowed(Code::InvalidRequest.title()), Cow::Owned);
        Self { errors: errors.into_listed().into(), ..Self::new(Code::InvalidRequest).detail(detail) }
    }

    /// Bad input in one field.
    pub(crate) fn invalid_field(field: &str, message: impl Into<String>) -> Self {
        let mut errors = Errors::default();
        errors.push(field, message);
        Self::invalid(errors)
    }

    pub(crate) fn body(&self) -> ProblemBody<'_> {
        ProblemBody {
            r#type: format!("urn:onsale:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code.as_str(),
            errors: &self.errors,
            seats: &self.seats,
            position: self.position,
            opens_at: self.opens_at,
            early_from: self.early_from,
            as_of: self.as_of,
            codes_until: self.codes_until,
            checked_in_at: self.checked_in.as_ref().map(|(at, _)| *at),
            device: self.checked_in.as_ref().map(|(_, device)| &**device),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.body()).unwrap_or_default()
    }
}

impl Problem {
    /// RFC 6750, section 3: without an error if no bearer came.
    fn challenge_header(&self) -> HeaderValue {
        let plain = match self.code {
            Code::QueueTokenMissing | Code::QueueTokenInvalid => "Queue-Token",
            _ => "Bearer",
        };
        let explained = self
            .bearer_error
            .and_then(|error| format!("Bearer error=\"invalid_token\", error_description=\"{error}\"").try_into().ok());
        explained.unwrap_or(HeaderValue::from_static(plain))
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.detail();
        match refused {
            Refused::KeysUnavailable => Self::new(Code::Unavailable).detail(detail),
            refused if refused.had_credentials() => Self::new(Code::AuthenticationRequired).challenge(detail),
            _ => Self::new(Code::AuthenticationRequired).detail(detail),
        }
    }
}

impl Problem {
    /// Names what is wrong with the field `amount`.
    fn amount(self, message: &'static str) -> Self {
        let error = FieldError { field: "amount".into(), message: message.into() };
        Self { errors: Box::new([error]), ..self }
    }

    /// The amount of a correction is 0 or too large. The title of the code names the bounds of charges and uses.
    pub(crate) fn adjustment_out_of_range() -> Self {
        let detail = "A correction adds 1 to 1,000,000,000 points, or removes as many";
        Self::new(Code::AmountOutOfRange).detail(detail).amount("must be -1,000,000,000 to 1,000,000,000, and not 0")
    }
}

impl From<TooOften> for Problem {
    fn from(TooOften { limit, seconds }: TooOften) -> Self {
        Self::new(Code::TooManyRequests).detail(limit.detail()).retry_after(seconds)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Overloaded => Self::new(Code::Overloaded),
            Failure::Unavailable => Self::new(Code::Unavailable),
            Failure::Internal => Self::new(Code::Internal),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "failed to read from the database; the client gets 503");
        Self::new(Code::Unavailable)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.to_json()).into_response();
        // Read by the layer that counts refusals.
        response.extensions_mut().insert(self.code);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        // RFC 9110, section 15.5.2: a 401 names the scheme to authenticate with.
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, self.challenge_header());
        }
        // RFC 9110, section 15.5.16: a 415 lists the codings of a body that are accepted.
        if self.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        response
    }
}
