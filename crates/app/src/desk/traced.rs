//! A batch in traces: it has a span of its own, linked with the spans of its traced requests in both directions.

use super::{Failure, Waiting};
use crate::trace::{Kind, Span};

/// Begins the span of a batch if one of its requests is traced.
pub(super) fn begin(batch: &[Waiting]) -> Option<Span> {
    let requests: Vec<_> = batch.iter().filter_map(|waiting| waiting.span.as_ref()).map(|span| span.context).collect();
    let span = || Span::root("batch", Kind::Internal).with("onsale.batch.size", batch.len()).linked(requests.clone());
    (!requests.is_empty()).then(span)
}

/// Ends the span of a job and answers its caller: with what the batch decided, or with a failure.
pub(super) fn reply(mut waiting: Waiting, done: Result<(), Failure>, batch: Option<&Span>) {
    if let Some(span) = waiting.span {
        let failed = done.as_ref().err().map(Failure::to_string);
        span.linked(batch.map(|batch| batch.context)).end(failed);
    }
    if let Err(failure) = done {
        waiting.job.get_mut().fail(failure);
    }
    waiting.job.send();
}
