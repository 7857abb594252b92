//! Events: each tells of a row that is there. With every row's event found by its id, none is told twice.

use super::Finding;
use super::source::AuditSource;
use crate::store::StoreError;

pub(super) async fn check(source: &dyn AuditSource) -> Result<Vec<Finding>, StoreError> {
    let mut finding = Finding::new("every event tells of something that happened");
    let mut events = source.events();
    while let Some(row) = events.recv().await {
        let row = row?;
        finding.check(row.has_source, || format!("{} {} of {}", row.id, row.kind, row.subject));
    }
    Ok(vec![finding])
}
