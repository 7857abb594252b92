//! The audit: an independent reading of the data. It shares rows with the rules, and none of their code: what the
//! rules would have had to do is worked out again, from what is written.

mod event;
mod family;
mod lecture;
mod payment;
mod room;
mod seat;
pub mod source;
mod wallet;

use onsale_domain::time::Timestamp;

use crate::store::StoreError;
use source::AuditSource;

/// Ids that one line shows at most.
const EXAMPLES_MAX: usize = 10;

/// How long an audit may take, in seconds, while old events are being forgotten.
const AUDITED_WITHIN: u32 = 3_600;

/// What came of checking one invariant.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The invariant, as it should hold.
    pub invariant: &'static str,
    /// How often it was checked.
    pub checked: u64,
    /// How often it did not hold.
    pub broken: u64,
    /// Some of those: whose, and what is wrong.
    pub examples: Vec<String>,
}

impl Finding {
    fn new(invariant: &'static str) -> Self {
        Self { invariant, checked: 0, broken: 0, examples: Vec::new() }
    }

    /// Counts one check; says what is wrong where it is.
    fn check(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        self.checked += 1;
        if !holds {
            self.broken += 1;
            if self.examples.len() < EXAMPLES_MAX {
                self.examples.push(wrong());
            }
        }
    }
}

/// Checks every invariant. The sale may go on meanwhile: each wallet, lecture, seat and payment is read in one piece.
///
/// # Errors
/// Where the database cannot be read.
pub async fn audit(source: &dyn AuditSource) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    let forgotten = source.forgotten().recv().await.transpose()?.unwrap_or_default();
    // It goes on meanwhile.
    let forgotten = if forgotten == Timestamp::default() { forgotten } else { forgotten.plus_seconds(AUDITED_WITHIN) };
    findings.extend(wallet::check(source, forgotten).await?);
    findings.extend(lecture::check(source, forgotten).await?);
    findings.extend(seat::check(source, forgotten).await?);
    findings.extend(payment::check(source, forgotten).await?);
    findings.extend(room::check(source).await?);
    findings.extend(family::check(source).await?);
    findings.extend(event::check(source).await?);
    Ok(findings)
}
