//! A batch in traces: a span of its own, linked to every request in it that is traced, and they to it.

use super::{Answer, Failure, Waiting};
use crate::trace::{Kind, Span};

/// Begins the span of a batch, if anybody in it is traced.
pub(super) fn begin(batch: &[Waiting]) -> Option<Span> {
    let requests: Vec<_> = batch.iter().filter_map(|waiting| waiting.span.as_ref()).map(|span| span.context).collect();
    let span = || Span::root("batch", Kind::Internal).with("onsale.batch.size", batch.len()).linked(requests.clone());
    (!requests.is_empty()).then(span)
}

/// Answers a request of a batch.
pub(super) fn reply(waiting: Waiting, answer: Result<Answer, Failure>, batch: Option<&Span>) {
    if let Some(span) = waiting.span {
        let failed = answer.as_ref().err().map(Failure::to_string);
        span.linked(batch.map(|batch| batch.context)).end(failed);
    }
    let _ = waiting.reply.send(answer);
}
