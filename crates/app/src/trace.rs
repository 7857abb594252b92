//! Traces: a request with its batch, its events in the outbox, and their delivery to the data platform (W3C Trace Context).
//!
//! Only sampled requests have a context. For the others a trace costs one read of a task-local value. Spans go to the
//! [`Recorder`] that was [`install`]ed; without one, nothing is traced.
//!
//! These types are not those of OpenTelemetry, because its crates are many dependencies that only a build with the feature
//! `otlp` has. That build hands the spans to OpenTelemetry, which batches and exports them.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The header, of HTTP and of Kafka, that carries a context.
pub const TRACEPARENT: &str = "traceparent";

/// A span of a trace that is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Id of the trace.
    pub trace: [u8; 16],
    /// Id of the span within its trace.
    pub span: [u8; 8],
}

/// The kind of a span, as OpenTelemetry defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Handles a request of a client.
    Server,
    /// Work inside this process.
    Internal,
    /// Sends an event to a broker.
    Producer,
    /// Receives an event from a broker and processes it.
    Consumer,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An integer of 64 bits.
    Number(i64),
    /// A text of any length.
    Text(String),
}

/// A piece of work in a trace, which has begun and not yet ended.
#[derive(Clone, Debug)]
pub struct Span {
    /// Ids of the trace and of this span.
    pub context: TraceContext,
    /// Id of the parent span; `None` for the first span of a trace.
    pub parent: Option<[u8; 8]>,
    /// The name, such as `GET /lectures`.
    pub name: Cow<'static, str>,
    /// The kind of work.
    pub kind: Kind,
    /// When the work began.
    pub began: SystemTime,
    /// Names and values of attributes.
    pub attributes: Vec<(&'static str, Value)>,
    /// Spans of other traces that this work also belongs to.
    pub links: Vec<TraceContext>,
    /// Why the work failed; `None` if it did not.
    pub failed: Option<String>,
}

/// Receives every span of a sampled trace when it ends.
pub trait Recorder: Send + Sync {
    /// Whether to trace a request whose client sent no sampling decision.
    fn samples(&self) -> bool;

    /// Takes a span that has just ended. Must not block.
    fn record(&self, span: Span);
}

static RECORDER: OnceLock<Box<dyn Recorder>> = OnceLock::new();

tokio::task_local! {
    static CURRENT: Option<TraceContext>;
}

/// Sends all spans to this recorder from now on. Only the first call of a process has an effect.
pub fn install(recorder: Box<dyn Recorder>) {
    let _ = RECORDER.set(recorder);
}

/// Begins the span of a request if it is sampled: by the client's decision, or by the recorder's if the client sent none.
pub fn begin<'a>(name: impl FnOnce() -> String, traceparent: impl FnOnce() -> Option<&'a str>) -> Option<Span> {
    let recorder = RECORDER.get()?;
    match traceparent().and_then(parse) {
        Some((caller, true)) => Some(caller.child(name(), Kind::Server)),
        Some((_, false)) => None,
        None => recorder.samples().then(|| Span::root(name(), Kind::Server)),
    }
}

/// Runs work with this context as its [`current`] one.
pub async fn within<T>(context: Option<TraceContext>, work: impl Future<Output = T>) -> T {
    CURRENT.scope(context, work).await
}

/// The context of the current task's work, if it is sampled.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok().flatten()
}

/// Reads a `traceparent` of version 00 or later: the context, and whether it is sampled.
fn parse(text: &str) -> Option<(TraceContext, bool)> {
    let mut parts = text.split('-');
    let (version, trace) = (hex::<1>(parts.next()?)?, hex::<16>(parts.next()?)?);
    let (span, flags) = (hex::<8>(parts.next()?)?, hex::<1>(parts.next()?)?);
    let is_known = version != [0xff] && (version != [0] || parts.next().is_none());
    let is_sound = is_known && trace != [0; 16] && span != [0; 8];
    is_sound.then_some((TraceContext { trace, span }, flags[0] & 1 == 1))
}

/// Reads exactly `N` bytes of lowercase hexadecimal.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

impl TraceContext {
    /// Reads a `traceparent`. Returns `None` if it is invalid or not sampled.
    pub fn parse(traceparent: &str) -> Option<Self> {
        parse(traceparent).and_then(|(context, is_sampled)| is_sampled.then_some(context))
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (trace, span) = bytes.split_at_checked(16)?;
        Some(Self { trace: trace.try_into().ok()?, span: span.try_into().ok()? })
    }

    /// The 16 bytes of the trace and then the 8 bytes of the span.
    pub fn to_bytes(self) -> Vec<u8> {
        [&self.trace[..], &self.span[..]].concat()
    }

    /// Begins a child span.
    pub fn child(self, name: impl Into<Cow<'static, str>>, kind: Kind) -> Span {
        let context = Self { trace: self.trace, span: rand::random() };
        Span { parent: Some(self.span), ..Span::of(context, name, kind) }
    }
}

/// Writes the context as a sampled `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (u128::from_be_bytes(self.trace), u64::from_be_bytes(self.span));
        write!(f, "00-{trace:032x}-{span:016x}-01")
    }
}

impl Span {
    /// Begins the first span of a new trace.
    pub fn root(name: impl Into<Cow<'static, str>>, kind: Kind) -> Self {
        Self::of(TraceContext { trace: rand::random(), span: rand::random() }, name, kind)
    }

    fn of(context: TraceContext, name: impl Into<Cow<'static, str>>, kind: Kind) -> Self {
        let (parent, attributes, links, failed) = (None, Vec::new(), Vec::new(), None);
        Self { context, parent, name: name.into(), kind, began: SystemTime::now(), attributes, links, failed }
    }

    /// Adds an attribute to the span.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// Adds links to spans of other traces.
    #[must_use]
    pub fn linked(mut self, to: impl IntoIterator<Item = TraceContext>) -> Self {
        self.links.extend(to);
        self
    }

    /// Ends the span and sends it to the recorder, with the reason if the work failed.
    pub fn end(mut self, failed: Option<String>) {
        self.failed = failed;
        if let Some(recorder) = RECORDER.get() {
            recorder.record(self);
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{TraceContext, parse};

    #[test]
    fn a_traceparent_is_read_as_the_standard_defines() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let table = [
            (format!("00-{trace}-{span}-01"), Some(true)),
            (format!("00-{trace}-{span}-00"), Some(false)),
            (format!("00-{trace}-{span}-03"), Some(true)),
            (format!("01-{trace}-{span}-01-more"), Some(true)),
            (format!("00-{trace}-{span}-01-more"), None),
            (format!("ff-{trace}-{span}-01"), None),
            (format!("00-{}-{span}-01", "0".repeat(32)), None),
            (format!("00-{trace}-{}-01", "0".repeat(16)), None),
            (format!("00-{}-{span}-01", trace.to_uppercase()), None),
            (format!("00-{trace}-{span}"), None),
            (format!("00-{trace}f-{span}-01"), None),
            ("é".repeat(27), None),
            (String::new(), None),
        ];
        for (text, wanted) in table {
            assert_eq!(parse(&text).map(|(_, is_sampled)| is_sampled), wanted, "{text}");
        }
    }

    #[test]
    fn a_context_is_written_as_it_is_read() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = TraceContext::parse(text).expect("a context");
        assert_eq!(context.to_string(), text);
        assert_eq!(TraceContext::from_bytes(&context.to_bytes()), Some(context));
        assert_eq!(TraceContext::from_bytes(&[0; 23]), None);
    }

    #[test]
    fn without_a_recorder_no_span_begins() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(super::begin(|| "test".to_owned(), || Some(text)).is_none());
    }
}
