//! Successful answers. A handler's return type states the status and the body.

use std::marker::PhantomData;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, LINK};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::http::cache::{Kept, Ready, Written, respond};
use crate::http::input::RawQuery;
use crate::http::openapi::{Content, Operation, Output, Sample};
use crate::http::reply::problem::Problem;

/// 200 with a body in JSON.
pub(crate) struct OkJson<T>(pub(crate) T);

/// 201 with what was made, in JSON.
pub(crate) struct Created<T>(pub(crate) T);

/// 201 with what was made, or 202 with what the user waits for, in JSON.
pub(crate) enum CreatedOrAwaited<C, A> {
    Created(C),
    Awaited(A),
}

/// 202 with the state of what goes on in steps, or 200 if an earlier call began it.
pub(crate) struct Begun<T> {
    pub(crate) state: T,
    /// Whether this call began it.
    pub(crate) is_new: bool,
}

/// 204 without a body.
pub(crate) struct NoContent;

/// 200 with a page of a list: a bare array, and `Link` if there is a next page.
pub(crate) struct Listed<T> {
    body: Vec<u8>,
    link: Option<HeaderValue>,
    row: PhantomData<fn() -> T>,
}

/// 200 with a bare array in JSON that is too long to be in memory as a whole: it is sent part by part.
pub(crate) struct Streamed<T> {
    body: Body,
    element: PhantomData<fn() -> T>,
}

/// 200 with a body in JSON that many clients share and a validator, or 304 if the client has it.
pub(crate) struct Cached<T> {
    response: Response,
    body: PhantomData<fn() -> T>,
}

impl<T: Serialize> Listed<T> {
    /// `rows` are those that the query asked for: one more than the page has, if the list goes on. `cursor` names a row
    /// in the `Link`.
    pub(crate) fn page<R>(
        query: &RawQuery,
        mut rows: Vec<R>,
        cursor: impl Fn(&R) -> String,
        show: impl Fn(&R) -> T,
    ) -> Self {
        let goes_on = rows.len() > query.limit();
        rows.truncate(query.limit());
        let body = to_json(&rows.iter().map(show).collect::<Vec<_>>());
        let last = rows.last().filter(|_| goes_on);
        let link = last.and_then(|last| HeaderValue::try_from(query.next_link(&cursor(last))).ok());
        Self { body, link, row: PhantomData }
    }

    /// The page for the cache, right until its data change.
    pub(crate) fn into_ready(self) -> Ready {
        Ready { written: Written::new(|| self.body.into()), link: self.link, until: None }
    }
}

impl<T: Serialize + 'static> Streamed<T> {
    /// Each part is a list of elements, and the first has one at least. An error cuts the answer off, so that no client takes it for
    /// whole.
    pub(crate) fn of(first: Vec<T>, rest: impl Stream<Item = Result<Vec<T>, Problem>> + Send + 'static) -> Self
    where
        T: Send,
    {
        let mut is_first = true;
        let parts = stream::once(async { Ok(first) }).chain(rest);
        let written = parts.map(move |part| {
            let mut text = Vec::new();
            for element in part.map_err(|problem| std::io::Error::other(problem.code.as_str()))? {
                text.push(if std::mem::take(&mut is_first) { b'[' } else { b',' });
                append_json(&mut text, &element);
            }
            Ok::<Vec<u8>, std::io::Error>(text)
        });
        // The first part has an element, and with it the opening bracket.
        let written = written.chain(stream::once(async { Ok(b"]".to_vec()) }));
        Self { body: Body::from_stream(written), element: PhantomData }
    }

    /// The same answer with another body, which may be a part of this one.
    pub(crate) fn map_body(self, map: impl FnOnce(Body) -> Body) -> Self {
        Self { body: map(self.body), ..self }
    }
}

impl<T> Cached<T> {
    /// The answer in the form that the request takes: 304 if it names the validator, gzip if it takes that.
    pub(crate) fn of(request: &HeaderMap, written: &Written, kept: Kept, link: Option<&HeaderValue>) -> Self {
        Self { response: respond(request, written, kept, link), body: PhantomData }
    }

    /// A list of which the cache keeps the page.
    pub(crate) fn ready(request: &HeaderMap, ready: &Ready, kept: Kept) -> Self {
        Self::of(request, &ready.written, kept, ready.link.as_ref())
    }
}

impl<T> Cached<Vec<T>> {
    /// A page that is not kept here and has no validator.
    pub(crate) fn uncached(page: Listed<T>) -> Self {
        Self { response: page.into_response(), body: PhantomData }
    }
}

/// A body as JSON.
pub(crate) fn to_json<T: Serialize>(body: &T) -> Vec<u8> {
    // Most answers fit: the buffer does not grow on the way.
    let mut bytes = Vec::with_capacity(1_024);
    append_json(&mut bytes, body);
    bytes
}

/// Appends a value as JSON. Ids, texts and numbers can always be written; anything else is a defect, which is logged.
pub(crate) fn append_json<T: Serialize>(bytes: &mut Vec<u8>, value: &T) {
    if let Err(error) = serde_json::to_writer(bytes, value) {
        tracing::error!(%error, "failed to write an answer as JSON; the answer is incomplete");
    }
}

fn json_response(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl<T: Serialize> IntoResponse for OkJson<T> {
    fn into_response(self) -> Response {
        json_response(StatusCode::OK, to_json(&self.0))
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        json_response(StatusCode::CREATED, to_json(&self.0))
    }
}

impl<T> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        let mut response = json_response(StatusCode::OK, self.body);
        if let Some(link) = self.link {
            response.headers_mut().insert(LINK, link);
        }
        response
    }
}

impl<T> IntoResponse for Streamed<T> {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

impl<T> IntoResponse for Cached<T> {
    fn into_response(self) -> Response {
        self.response
    }
}

impl<T: JsonSchema + Sample> Output for OkJson<T> {
    fn describe(operation: &mut Operation) {
        operation.answers::<T>(200);
    }
}

impl<T: JsonSchema + Sample> Output for Created<T> {
    fn describe(operation: &mut Operation) {
        operation.answers::<T>(201);
    }
}

impl<T: JsonSchema + Sample> Output for Begun<T> {
    fn describe(operation: &mut Operation) {
        operation.answers::<T>(202);
        let known = Content::new::<T>("application/json", T::sample());
        operation.answers_as(200, "The state of what an earlier call began", vec![known]);
    }
}

impl<C: JsonSchema + Sample, A: JsonSchema + Sample> Output for CreatedOrAwaited<C, A> {
    fn describe(operation: &mut Operation) {
        operation.answers::<C>(201);
        let awaited = Content::new::<A>("application/json", A::sample());
        operation.answers_as(202, "What the user waits for", vec![awaited]);
    }
}

impl Output for NoContent {
    fn describe(operation: &mut Operation) {
        operation.answers_nothing(204, operation.returns);
    }
}

impl<T: JsonSchema + Sample> Output for Listed<T> {
    fn describe(operation: &mut Operation) {
        operation.answers::<Vec<T>>(200);
    }
}

impl<T: JsonSchema + Sample> Output for Streamed<T> {
    fn describe(operation: &mut Operation) {
        operation.answers::<Vec<T>>(200);
    }
}

impl<T: JsonSchema + Sample> Output for Cached<T> {
    fn describe(operation: &mut Operation) {
        operation.answers::<T>(200);
        operation.answers_nothing(304, "Unchanged since the answer whose `ETag` the request names");
        operation.headers.push(("ETag", "The validator of this answer, for `If-None-Match`"));
        let description = "The last `ETag`: 304 without a body if nothing has changed since";
        operation.header("If-None-Match", json!({"type": "string"}), description);
    }
}
