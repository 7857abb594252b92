//! Traces: what a request led to, from its batch through the outbox to the data platform (W3C Trace Context).
//!
//! Only requests that are sampled have a context at all, so the others cost a look at one flag. Spans go to whoever
//! [`install`]ed itself, as the log does; without that nothing is traced.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The header, of HTTP and of Kafka, that carries a context.
pub const TRACEPARENT: &str = "traceparent";

/// A span of a trace that is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: [u8; 16],
    /// The span.
    pub span: [u8; 8],
}

/// Who a span speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answers a request.
    Server,
    /// Goes on inside.
    Internal,
    /// Hands an event to a broker.
    Producer,
    /// Hands an event on from there.
    Consumer,
}

/// What an attribute says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// A piece of work in a trace, from its beginning on.
#[derive(Clone, Debug)]
pub struct Span {
    /// Itself.
    pub context: TraceContext,
    /// The span that it is a part of.
    pub parent: Option<[u8; 8]>,
    /// What is done.
    pub name: Cow<'static, str>,
    /// For whom.
    pub kind: Kind,
    /// Since when.
    pub began: SystemTime,
    /// More about it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Spans of other traces that it has to do with.
    pub links: Vec<TraceContext>,
    /// Why it came to nothing.
    pub failed: Option<String>,
}

/// Where spans go.
pub trait Recorder: Send + Sync {
    /// Whether to trace a request of which nobody said whether to.
    fn samples(&self) -> bool;

    /// Takes a span that ends now. Never waits.
    fn record(&self, span: Span);
}

static RECORDER: OnceLock<Box<dyn Recorder>> = OnceLock::new();

tokio::task_local! {
    static CURRENT: Option<TraceContext>;
}

/// From now on spans go there. Only the first counts.
pub fn install(recorder: Box<dyn Recorder>) {
    let _ = RECORDER.set(recorder);
}

/// Begins what a caller asked for, if it is sampled: by the caller's word, else by chance.
pub fn begin<'a>(name: impl FnOnce() -> String, traceparent: impl FnOnce() -> Option<&'a str>) -> Option<Span> {
    let recorder = RECORDER.get()?;
    match traceparent().and_then(parse) {
        Some((caller, true)) => Some(caller.child(name(), Kind::Server)),
        Some((_, false)) => None,
        None => recorder.samples().then(|| Span::root(name(), Kind::Server)),
    }
}

/// The work as a part of this context: [`current`] within it.
pub async fn within<T>(context: Option<TraceContext>, work: impl Future<Output = T>) -> T {
    CURRENT.scope(context, work).await
}

/// The context of the work that goes on here, where it is sampled.
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

/// Lowercase hexadecimal, of just this length.
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
    /// Reads a `traceparent`; `None` for one that is none or is not sampled.
    pub fn parse(traceparent: &str) -> Option<Self> {
        parse(traceparent).and_then(|(context, is_sampled)| is_sampled.then_some(context))
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (trace, span) = bytes.split_at_checked(16)?;
        Some(Self { trace: trace.try_into().ok()?, span: span.try_into().ok()? })
    }

    /// The trace and then the span.
    pub fn to_bytes(self) -> Vec<u8> {
        [&self.trace[..], &self.span[..]].concat()
    }

    /// Begins a part of this.
    pub fn child(self, name: impl Into<Cow<'static, str>>, kind: Kind) -> Span {
        let context = Self { trace: self.trace, span: rand::random() };
        Span { parent: Some(self.span), ..Span::of(context, name, kind) }
    }
}

/// As a `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (u128::from_be_bytes(self.trace), u64::from_be_bytes(self.span));
        write!(f, "00-{trace:032x}-{span:016x}-01")
    }
}

impl Span {
    /// Begins a trace of its own.
    pub fn root(name: impl Into<Cow<'static, str>>, kind: Kind) -> Self {
        Self::of(TraceContext { trace: rand::random(), span: rand::random() }, name, kind)
    }

    fn of(context: TraceContext, name: impl Into<Cow<'static, str>>, kind: Kind) -> Self {
        let (parent, attributes, links, failed) = (None, Vec::new(), Vec::new(), None);
        Self { context, parent, name: name.into(), kind, began: SystemTime::now(), attributes, links, failed }
    }

    /// Says more about it.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// Has to do with these, too.
    #[must_use]
    pub fn linked(mut self, to: impl IntoIterator<Item = TraceContext>) -> Self {
        self.links.extend(to);
        self
    }

    /// Ends now; with a reason where it came to nothing.
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
    fn a_traceparent_is_read_as_the_standard_says() {
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
    fn nobody_listens_and_nothing_is_begun() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(super::begin(|| "test".to_owned(), || Some(text)).is_none());
    }
}
