//! A collector of traces: OTLP over HTTP, as in the standard.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;

/// A span that was received. Ids are in hexadecimal.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace: String,
    pub(crate) span: String,
    pub(crate) parent: String,
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) links: Vec<(String, String)>,
    pub(crate) has_failed: bool,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Seen {
    fn of(span: Span) -> Self {
        let attribute = |key: &str, value: Option<Value>| match value {
            Some(Value::StringValue(text)) => (key.to_owned(), text),
            Some(Value::IntValue(number)) => (key.to_owned(), number.to_string()),
            other => panic!("{key} is {other:?}"),
        };
        let attributes = span.attributes.iter();
        Self {
            kind: span.kind(),
            trace: hex(&span.trace_id),
            span: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            began: span.start_time_unix_nano,
            ended: span.end_time_unix_nano,
            attributes: attributes
                .map(|about| attribute(&about.key, about.value.clone().and_then(|any| any.value)))
                .collect(),
            links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
            has_failed: span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error),
            name: span.name,
        }
    }

    /// Whether an event came to the platform in it.
    pub(crate) fn delivered(&self) -> bool {
        self.name.starts_with("process ") && !self.has_failed
    }
}

/// Listens until the test ends.
pub(crate) struct Collector {
    seen: Arc<Mutex<Vec<Seen>>>,
    address: SocketAddr,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self { seen: Arc::default(), address: listener.local_addr().unwrap() };
        let router = Router::new().route("/v1/traces", post(take)).with_state(collector.seen.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        collector
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// All spans, once there is one of this name.
    pub(crate) fn with(&self, name: &str) -> Option<Vec<Seen>> {
        Some(self.seen()).filter(|seen| seen.iter().any(|span| span.name == name))
    }
}

async fn take(State(seen): State<Arc<Mutex<Vec<Seen>>>>, headers: HeaderMap, body: Bytes) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let told = ExportTraceServiceRequest::decode(body).unwrap();
    for resource in told.resource_spans {
        let about = resource.resource.unwrap_or_default().attributes;
        assert!(about.iter().any(|about| about.key == "service.name"), "{about:?}");
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        seen.lock().unwrap().extend(spans.map(Seen::of));
    }
}
