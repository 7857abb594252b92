//! Wallets and their ledgers.

use onsale_app::audit::source::WalletRow;
use onsale_domain::ids::UserId;
use onsale_domain::wallet::Account;
use tokio_postgres::Row;

use super::super::values::{Sql, get, number, optional_instant, user};
use super::super::wallet;
use super::Out;
use super::cursor::Cursor;
use super::event::{event_of, read_effect};
use super::snapshot::Connection;

const ACCOUNTS: &str = "SELECT user_id, balance, version, updated_at FROM accounts ORDER BY user_id";

/// Ledger entries, each with whether the payment that it names exists, or its one log entry if it is an adjustment. These are
/// rare: the log is searched for each.
const LEDGER: &str = "SELECT l.user_id, version, entry_id, type, l.amount, l.balance_after, reference, created_at,
        CASE type WHEN 'ADJUSTMENT' THEN (SELECT count(*) = 1 AND bool_and((a.after::json ->> 'amount')::bigint = l.amount
                AND (a.after::json ->> 'balance')::bigint = l.balance_after)
            FROM admin_log a WHERE a.subject = 'user:' || l.user_id AND a.action = 'points.adjusted'
                AND (a.after::json ->> 'version')::bigint = l.version) ELSE p.payment_id IS NOT NULL END
    FROM ledger l LEFT JOIN payments p ON p.payment_id = l.reference ORDER BY l.user_id, version";

const EVENTS: &str = "SELECT type, subject, version, data, event_id FROM events WHERE topic = 'onsale.points'
    ORDER BY subject, version";

/// Entries of users without a wallet come at the position where the wallet would be.
pub(super) async fn wallets(mut connection: Connection, out: Out<WalletRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let mut accounts = Cursor::open(&transaction, ACCOUNTS, read_account).await?;
    let mut ledger = Cursor::open(&transaction, LEDGER, |row| Ok((wallet::entry(row)?, get::<bool>(row, 8)?))).await?;
    let mut events = Cursor::open(&transaction, EVENTS, read_effect).await?;
    while let Some((entry, has_cause)) = ledger.next().await? {
        while let Some((user, account)) = accounts.next_if(|(user, _)| *user <= entry.user).await? {
            out.row(WalletRow::Account(user, account)).await;
        }
        let event = event_of(&mut events, entry.user.as_str(), entry.version, entry.id).await?;
        out.row(WalletRow::Entry(entry, event, has_cause)).await;
    }
    while let Some((user, account)) = accounts.next().await? {
        out.row(WalletRow::Account(user, account)).await;
    }
    Ok(())
}

/// Reads a wallet as it is stored, even if its row was only inserted to be locked (version 0).
fn read_account(row: &Row) -> Sql<(UserId, Account)> {
    let account = Account { balance: get(row, 1)?, version: number(row, 2)?, updated_at: optional_instant(row, 3)? };
    Ok((user(row, 0)?, account))
}
