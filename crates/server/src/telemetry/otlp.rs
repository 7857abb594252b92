//! Sends traces to a collector by OTLP over HTTP. Batching and export are OpenTelemetry's own; [`onsale_app::trace`] makes the
//! spans.

use std::sync::Arc;
use std::time::Duration;

use onsale_app::trace::{self, Kind, Recorder, Span, TraceContext, Value};
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};
use uuid::Uuid;

/// The longest time for sending the remaining spans at the end.
const FINISHED_WITHIN: Duration = Duration::from_secs(3);

/// Sends spans in batches, on a thread of its own. Spans that do not fit into its queue (2,048) are dropped.
pub(super) struct Sender(Arc<BatchSpanProcessor>);

/// Records a fraction of requests.
struct SamplingRecorder {
    processor: Arc<BatchSpanProcessor>,
    /// The fraction of requests to trace, 0 to 1, if the client sends no sampling decision.
    fraction: f64,
    scope: InstrumentationScope,
}

impl Sender {
    /// Starts the thread that sends, and installs itself as the recorder of this process.
    ///
    /// # Errors
    /// The reason, if the HTTP client cannot be created.
    pub(super) fn start(endpoint: &str, fraction: f64) -> Result<Self, String> {
        // Fails if this process has a default provider already. Any provider is good enough.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build();
        let exporter = exporter.map_err(|error| error.to_string())?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        let instance = Uuid::from_u128(rand::random()).to_string();
        let about = [
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
        ];
        processor.set_resource(&Resource::builder().with_service_name("onsale").with_attributes(about).build());
        let processor = Arc::new(processor);
        let scope = InstrumentationScope::builder("onsale").build();
        trace::install(Box::new(SamplingRecorder { processor: processor.clone(), fraction, scope }));
        Ok(Self(processor))
    }

    /// Sends the remaining spans. Blocks for 3 s at most; what is left then is lost.
    pub(super) fn finish(self) {
        if let Err(error) = self.0.shutdown_with_timeout(FINISHED_WITHIN) {
            tracing::warn!(%error, "failed to send the last traces; they are lost");
        }
    }
}

impl Recorder for SamplingRecorder {
    fn samples(&self) -> bool {
        rand::random_bool(self.fraction)
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
            // The wall clock may have been set back meanwhile; collectors refuse a span that ends before it begins.
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
