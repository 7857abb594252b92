//! Prepared transactions whose coordinator is gone: how they are found, and how they are decided.
//!
//! The sale's part commits first. So as long as it is prepared, nothing is decided, and both parts may be rolled back. If
//! only the wallet's part is prepared, the sale's books know the decision: the payment is there or it is not.

use std::collections::BTreeSet;
use std::time::Duration;

use super::session::{Failure, Session};

/// How many transactions were committed, and how many were rolled back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resolved {
    pub(crate) committed: u64,
    pub(crate) rolled_back: u64,
}

/// A global transaction id: the teller, a number that it never uses again, and a payment of the transaction.
pub(crate) fn gid(teller: &str, number: u64, payment: i64) -> String {
    format!("{teller}-{number}-{payment}")
}

/// Decides all prepared transactions whose global id begins with `prefix`. Their sessions, whose names begin with it too,
/// are ended first: otherwise a statement that still runs could prepare another one a moment later. `own` is the name of
/// the session of the caller.
pub(crate) async fn resolve(
    sale: &mut Session,
    wallet: &mut Session,
    prefix: &str,
    own: &str,
) -> Result<Resolved, Failure> {
    end_sessions(sale, prefix, own).await?;
    end_sessions(wallet, prefix, own).await?;
    let undecided = prepared(sale, prefix).await?;
    let mut waiting = prepared(wallet, prefix).await?;
    let mut resolved = Resolved::default();
    for gid in undecided {
        sale.command(&format!("ROLLBACK PREPARED '{gid}'")).await?;
        if waiting.remove(&gid) {
            wallet.command(&format!("ROLLBACK PREPARED '{gid}'")).await?;
        }
        resolved.rolled_back += 1;
    }
    for gid in waiting {
        let payment: i64 = gid.rsplit('-').next().and_then(|word| word.parse().ok()).unwrap_or_default();
        let is_paid = !sale.rows("SELECT 1 FROM payments WHERE payment = $1", &[&payment]).await?.is_empty();
        let decision = if is_paid { "COMMIT" } else { "ROLLBACK" };
        wallet.command(&format!("{decision} PREPARED '{gid}'")).await?;
        resolved.committed += u64::from(is_paid);
        resolved.rolled_back += u64::from(!is_paid);
    }
    Ok(resolved)
}

async fn end_sessions(session: &mut Session, prefix: &str, own: &str) -> Result<(), Failure> {
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE starts_with(application_name, $1) AND application_name <> $2 AND pid <> pg_backend_pid()";
    while !session.rows(end, &[&prefix, &own]).await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

async fn prepared(session: &mut Session, prefix: &str) -> Result<BTreeSet<String>, Failure> {
    let list = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() AND starts_with(gid, $1)";
    Ok(session.rows(list, &[&prefix]).await?.iter().map(|row| row.get(0)).collect())
}
