//! Rows that belong to a parent row: a place to its room, a seat to its performance.

use super::Finding;
use super::source::AuditSource;
use crate::store::StoreError;

pub(super) async fn check(source: &dyn AuditSource) -> Result<Vec<Finding>, StoreError> {
    let mut finding = Finding::new("every row belongs to one that is there");
    let mut families = source.families();
    while let Some(row) = families.recv().await {
        let row = row?;
        finding.checked += row.rows - row.orphans;
        for number in 0..row.orphans {
            finding.check(false, || {
                let missing = usize::try_from(number).ok().and_then(|number| row.missing.get(number));
                let missing = missing.map_or_else(|| "others".to_owned(), ToString::to_string);
                format!("{} without their {}: {missing}", row.children, row.parents)
            });
        }
    }
    Ok(vec![finding])
}
