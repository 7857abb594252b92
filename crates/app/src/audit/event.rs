//! Events: each belongs to a row that exists. The other checks find each row's event by its id, so no row has two events.
//! No unsent event counts as sent: after a restore or a failover that lost commits, a mark may belong to another history.

use super::Finding;
use super::change::LoggedChanges;
use super::source::{AuditSource, MarkRow};
use crate::store::StoreError;

pub(super) async fn check(source: &dyn AuditSource, changes: &mut LoggedChanges) -> Result<Vec<Finding>, StoreError> {
    let mut finding = Finding::new("every event describes something that happened");
    let mut events = source.events();
    while let Some(row) = events.recv().await {
        let row = row?;
        changes.event(&row);
        finding.check(row.has_source, || format!("{} {} of {}", row.id, row.kind, row.subject));
    }
    Ok(vec![finding, marks(source).await?, misplaced(source).await?])
}

async fn marks(source: &dyn AuditSource) -> Result<Finding, StoreError> {
    let mut finding = Finding::new("every mark of the outbox is one that a relay made on this log");
    let mut marks = source.marks();
    while let Some(row) = marks.recv().await {
        let MarkRow { part, sent_to, checked_to, is_other_event, last } = row?;
        let passed = checked_to.filter(|checked_to| *checked_to < sent_to);
        let holds = sent_to <= last && passed.is_none() && !is_other_event;
        finding.check(holds, || match passed {
            _ if sent_to > last => format!("part {part}: sent to {sent_to}, and the log ends at {last}"),
            Some(checked_to) => format!("part {part}: sent to {sent_to}, and a relay sent up to {checked_to}"),
            None => format!("part {part}: another event than the one that was sent lies at {sent_to}"),
        });
    }
    Ok(finding)
}

async fn misplaced(source: &dyn AuditSource) -> Result<Finding, StoreError> {
    let mut finding = Finding::new("no event was written where the log had passed");
    if let Some(row) = source.misplaced().recv().await {
        let row = row?;
        (finding.checked, finding.broken) = (row.events, row.misplaced);
        finding.examples = row.examples.iter().map(|id| format!("{id} counts as sent, and never was")).collect();
    }
    Ok(finding)
}
