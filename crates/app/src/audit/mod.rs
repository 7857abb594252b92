//! The audit: an independent check of the data. It shares the row types with the rules and none of their code: it derives
//! from the stored rows what the rules must have done.

mod cancellation;
mod change;
mod code;
mod draw;
mod drawn;
mod event;
mod family;
mod lecture;
mod payment;
mod refund;
mod room;
mod seat;
pub mod source;
mod staff;
mod ticket;
mod waiting_list;
mod wallet;

use onsale_domain::time::Timestamp;

use self::change::LoggedChanges;
use crate::store::StoreError;
use source::AuditSource;

/// Maximum number of examples of one finding.
const EXAMPLES_MAX: usize = 10;

/// How long an audit may take, in seconds. A task may delete events that become old during this time.
const AUDITED_WITHIN: u32 = 3_600;

/// The result of checking one invariant.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The invariant, as it should hold.
    pub invariant: &'static str,
    /// Number of rows or groups of rows that were checked.
    pub checked: u64,
    /// Number of checks in which it did not hold.
    pub broken: u64,
    /// Up to ten of those, each with an id and what is wrong.
    pub examples: Vec<String>,
}

impl Finding {
    fn new(invariant: &'static str) -> Self {
        Self { invariant, checked: 0, broken: 0, examples: Vec::new() }
    }

    /// Counts one check. Calls `wrong` for an example if the invariant does not hold.
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

/// Checks every invariant. The sale may go on meanwhile, because each wallet, lecture, seat and payment is read as of one
/// moment.
///
/// # Errors
/// [`StoreError`] if the database cannot be read.
pub async fn audit(source: &dyn AuditSource) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    let forgotten = source.forgotten().recv().await.transpose()?.unwrap_or_default();
    // The task that deletes old events runs during the audit.
    let forgotten = if forgotten == Timestamp::default() { forgotten } else { forgotten.plus_seconds(AUDITED_WITHIN) };
    findings.extend(wallet::check(source, forgotten).await?);
    findings.extend(lecture::check(source, forgotten).await?);
    findings.extend(seat::check(source, forgotten).await?);
    findings.extend(payment::check(source, forgotten).await?);
    findings.push(refund::check(source, forgotten).await?);
    findings.extend(ticket::check(source).await?);
    findings.extend(room::check(source, forgotten).await?);
    findings.extend(draw::check(source, forgotten).await?);
    findings.push(change::extensions(source, forgotten).await?);
    findings.push(code::check(source).await?);
    findings.extend(family::check(source).await?);
    // The log of staff is read before the events: an entry that is found there has its event by then.
    let mut changes = LoggedChanges::new(forgotten);
    let by_staff = staff::check(source, &mut changes).await?;
    findings.extend(event::check(source, &mut changes).await?);
    findings.extend(by_staff);
    findings.push(changes.finding());
    Ok(findings)
}
