//! A data platform of the test, which gives the answers that the test sets.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::stream::{self, StreamExt};
use serde_json::Value;

use crate::support::text;

/// The posts that it got, and its next answers.
#[derive(Default)]
pub(crate) struct Told {
    /// Every event of every accepted post.
    pub(crate) taken: Vec<Value>,
    /// Headers and body of every post.
    pub(crate) posts: Vec<(HeaderMap, String)>,
    /// Answers every post with this status and `Retry-After`, and accepts no event.
    pub(crate) down: Option<(StatusCode, u32)>,
    /// The target that it names for a redirect, if it sends one.
    pub(crate) location: Option<String>,
    /// Answers the next posts with these, one each, and accepts no event.
    pub(crate) answers: VecDeque<Response>,
    /// Answers 413 to a post with more events than this.
    pub(crate) at_most: Option<usize>,
    /// The status of its refusals.
    pub(crate) refuses_with: Option<StatusCode>,
    /// The time before each answer.
    pub(crate) slow: Duration,
    /// Subjects of events that it always refuses.
    pub(crate) refused: HashSet<String>,
    /// Sends an endless body with a refusal.
    pub(crate) is_wordy: bool,
    /// Sends half of a body with control characters, and then nothing more.
    pub(crate) stalls: bool,
}

/// A data platform on a loopback port.
#[derive(Clone)]
pub(crate) struct Platform {
    pub(crate) told: Arc<Mutex<Told>>,
    address: SocketAddr,
}

impl Platform {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let platform = Self { told: Arc::default(), address: listener.local_addr().unwrap() };
        let router = Router::new().route("/events", post(take)).with_state(platform.told.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        platform
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }
}

async fn take(State(told): State<Arc<Mutex<Told>>>, headers: HeaderMap, body: String) -> Response {
    let slow = told.lock().unwrap().slow;
    tokio::time::sleep(slow).await;
    let mut told = told.lock().unwrap();
    told.posts.push((headers, body.clone()));
    if let Some((status, seconds)) = told.down {
        let location = told.location.clone().unwrap_or_default();
        return (status, [("retry-after", seconds.to_string()), ("location", location)]).into_response();
    }
    if let Some(answer) = told.answers.pop_front() {
        return answer;
    }
    let Value::Array(events) = serde_json::from_str(&body).unwrap() else { panic!("no array: {body}") };
    if told.at_most.is_some_and(|most| events.len() > most) {
        return (StatusCode::PAYLOAD_TOO_LARGE, "fewer, please").into_response();
    }
    if events.iter().any(|event| told.refused.contains(&text(&event["subject"]))) {
        let why = "this subject is not known here, ";
        let words = stream::repeat_with(move || Ok::<_, Infallible>(why.repeat(100)));
        let half = || stream::once(async { Ok::<_, Infallible>("this subject\n\u{1b}[2J is no") });
        let body = if told.stalls {
            Body::from_stream(half().chain(stream::pending()))
        } else if told.is_wordy {
            Body::from_stream(words)
        } else {
            why.into()
        };
        return (told.refuses_with.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY), body).into_response();
    }
    told.taken.extend(events);
    StatusCode::NO_CONTENT.into_response()
}
