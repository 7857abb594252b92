//! Traces to a collector, by OTLP over HTTP. The exporter and its batches are OpenTelemetry's own.

use std::sync::Arc;
use std::time::Duration;

use onsale_app::trace::{self, Kind, Recorder, Span, TraceContext, Value};
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};
use uuid::Uuid;

/// How long the last of them may take.
const FINISHED_WITHIN: Duration = Duration::from_secs(3);

/// Sends spans in batches, on a thread of its own. What does not fit into its queue is dropped.
pub(super) struct Sender(Arc<BatchSpanProcessor>);

struct Sampled {
    processor: Arc<BatchSpanProcessor>,
    share: f64,
    scope: InstrumentationScope,
}

impl Sender {
    pub(super) fn start(endpoint: &str, share: f64) -> Result<Self, String> {
        // Another may have been chosen before: any is good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build();
        let exporter = exporter.map_err(|error| format!("ONSALE_OTLP_ENDPOINT cannot be used: {error}"))?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        let instance = Uuid::from_u128(rand::random()).to_string();
        let about = [
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
        ];
        processor.set_resource(&Resource::builder().with_service_name("onsale").with_attributes(about).build());
        let processor = Arc::new(processor);
        let scope = InstrumentationScope::builder("onsale").build();
        trace::install(Box::new(Sampled { processor: processor.clone(), share, scope }));
        Ok(Self(processor))
    }

    pub(super) fn finish(self) {
        if let Err(error) = self.0.shutdown_with_timeout(FINISHED_WITHIN) {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

impl Recorder for Sampled {
    fn samples(&self) -> bool {
        rand::random_bool(self.share)
    }

    fn record(&self, span: Span) {
        let end_time = std::time::SystemTime::now();
        let mut links = SpanLinks::default();
        links.links.extend(span.links.into_iter().map(|link| Link::new(context_of(link), Vec::new(), 0)));
        self.processor.on_end(SpanData {
            span_context: context_of(span.context),
            parent_span_id: span.parent.map_or(SpanId::INVALID, SpanId::from_bytes),
            parent_span_is_remote: matches!(span.kind, Kind::Server | Kind::Consumer) && span.parent.is_some(),
            span_kind: match span.kind {
                Kind::Server => SpanKind::Server,
                Kind::Internal => SpanKind::Internal,
                Kind::Producer => SpanKind::Producer,
                Kind::Consumer => SpanKind::Consumer,
            },
            name: span.name,
            start_time: span.began,
            end_time: end_time.max(span.began),
            attributes: span.attributes.into_iter().map(attribute).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: span.failed.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        });
    }
}

fn attribute((name, value): (&'static str, Value)) -> KeyValue {
    match value {
        Value::Number(number) => KeyValue::new(name, number),
        Value::Text(text) => KeyValue::new(name, text),
    }
}

fn context_of(context: TraceContext) -> SpanContext {
    let (trace, span) = (TraceId::from_bytes(context.trace), SpanId::from_bytes(context.span));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default())
}
