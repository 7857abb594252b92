//! Presale codes: none is used above its limits.

use super::Finding;
use super::source::AuditSource;
use crate::store::StoreError;

pub(super) async fn check(source: &dyn AuditSource) -> Result<Finding, StoreError> {
    let mut finding = Finding::new("no presale code is used above its limits, and each counts its uses");
    let mut codes = source.codes();
    while let Some(row) = codes.recv().await {
        let row = row?;
        let code = &row.code;
        let is_within = row.used <= u64::from(code.uses) && row.most <= u64::from(code.uses_per_user);
        let is_right = is_within && row.stored == u64::from(code.taken) && row.elsewhere == 0;
        finding.check(is_right, || {
            format!(
                "{}, code {}: {} of {} used, by one user {} of {}, {} stored and {} counted, {} of other concerts",
                code.concert,
                code.text,
                row.used,
                code.uses,
                row.most,
                code.uses_per_user,
                row.stored,
                code.taken,
                row.elsewhere
            )
        });
    }
    Ok(finding)
}
