//! Wallets with their ledgers.

use onsale_app::audit::source::WalletRow;
use onsale_domain::ids::UserId;
use onsale_domain::wallet::{Entry, EntryKind};
use rusqlite::{Connection, params};

use super::super::values::{Sql, big};
use super::super::wallet::{account, entry};
use super::{GROUP, LINES_MAX, Rest, event_by_id, exists};

/// The beginning of a group.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// After this user, or inside the ledger of this user if there is a rest.
    user: String,
    rest: Option<Rest>,
}

const REST: &str = "SELECT user_id, version, entry_id, type, amount, balance_after, reference, created_at FROM ledger
    WHERE user_id = ?1 AND version > ?2 AND version <= ?3 ORDER BY version LIMIT ?4";

const ENTRIES: &str =
    "SELECT user_id, version, entry_id, type, amount, balance_after, reference, created_at FROM ledger
    WHERE user_id > ?1 AND user_id <= ?2 ORDER BY user_id, version";

/// A group of wallets with their ledgers, and the entries of users without a wallet in between or after them.
pub(super) fn wallets(db: &Connection, cursor: &Cursor) -> Sql<(Vec<WalletRow>, Option<Cursor>)> {
    let Some(rest) = cursor.rest else { return next_wallets(db, &cursor.user) };
    let mut rows = Vec::new();
    let mut after = rest.after;
    let mut statement = db.prepare_cached(REST)?;
    for found in statement.query_map(params![cursor.user, big(rest.after), big(rest.last), LINES_MAX], entry)? {
        let entry = found?;
        after = entry.version;
        rows.push(entry_row(db, entry)?);
    }
    let rest = (rows.len() == LINES_MAX).then_some(Rest { after, ..rest });
    Ok((rows, Some(Cursor { user: cursor.user.clone(), rest })))
}

/// The next group of wallets after a user.
fn next_wallets(db: &Connection, after: &str) -> Sql<(Vec<WalletRow>, Option<Cursor>)> {
    let users: Vec<String> = db
        .prepare_cached("SELECT user_id FROM accounts WHERE user_id > ?1 ORDER BY user_id LIMIT ?2")?
        .query_map(params![after, GROUP], |row| row.get(0))?
        .collect::<Sql<_>>()?;
    // After the last wallet there may be entries of users without one: '~' sorts after every character of a user id.
    let last = users.last().filter(|_| users.len() == GROUP).cloned();
    let until = last.clone().unwrap_or_else(|| "~".to_owned());
    let mut rows = Vec::new();
    let mut wallets = users.into_iter().peekable();
    let mut add_wallets_up_to = |user: Option<&UserId>, rows: &mut Vec<WalletRow>| -> Sql<()> {
        while let Some(next) = wallets.next_if(|next| user.is_none_or(|user| next.as_str() <= user.as_str())) {
            let Some(next) = UserId::parse(&next) else { continue };
            let account = account(db, &next)?.unwrap_or_default();
            rows.push(WalletRow::Account(next, account));
        }
        Ok(())
    };
    let (mut lines, mut before): (usize, Option<(UserId, u64)>) = (0, None);
    let mut statement = db.prepare_cached(ENTRIES)?;
    for found in statement.query_map(params![after, until], entry)? {
        let entry = found?;
        if lines == LINES_MAX
            && let Some((user, version)) = before
        {
            // In this transaction the last entry belongs to the state of the wallet that was read above.
            let last = "SELECT max(version) FROM ledger WHERE user_id = ?1";
            let last: u64 = db.prepare_cached(last)?.query_row([user.as_str()], |row| row.get(0))?;
            let rest = (user == entry.user).then_some(Rest { after: version, last });
            return Ok((rows, Some(Cursor { user: user.as_str().to_owned(), rest })));
        }
        add_wallets_up_to(Some(&entry.user), &mut rows)?;
        (lines, before) = (lines + 1, Some((entry.user.clone(), entry.version)));
        rows.push(entry_row(db, entry)?);
    }
    add_wallets_up_to(None, &mut rows)?;
    Ok((rows, last.map(|user| Cursor { user, rest: None })))
}

fn entry_row(db: &Connection, entry: Entry) -> Sql<WalletRow> {
    let event = event_by_id(db, entry.id.uuid())?;
    let has_cause = match (entry.kind, entry.reference) {
        (EntryKind::Adjustment, _) => {
            let logged = "SELECT count(*) = 1 AND coalesce(
                    min((json_extract(after, '$.amount'), json_extract(after, '$.balance')) = (?3, ?4)), 0)
                FROM admin_log WHERE subject = 'user:' || ?1 AND action = 'points.adjusted'
                    AND json_extract(after, '$.version') = ?2";
            let Entry { user, version, amount, balance_after, .. } = &entry;
            db.prepare_cached(logged)?
                .query_row(params![user.as_str(), big(*version), amount, balance_after], |row| row.get(0))?
        }
        (_, Some(payment)) => exists(db, "SELECT 1 FROM payments WHERE payment_id = ?1", &[payment.uuid().as_bytes()])?,
        (_, None) => false,
    };
    Ok(WalletRow::Entry(entry, event, has_cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wallets of these users, each with this many charges of 1.
    const WALLETS: [(&str, usize); 5] =
        [("ada", LINES_MAX - 1), ("bob", 3), ("cyd", 2 * LINES_MAX + 5), ("dan", 1), ("eve", LINES_MAX)];

    #[test]
    fn a_long_ledger_is_read_whole_in_bounded_groups() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sale.db");
        super::super::super::migrate(&path).unwrap();
        let db = Connection::open(&path).unwrap();
        let charge = "INSERT INTO ledger (user_id, version, entry_id, type, amount, balance_after, created_at)
            VALUES (?1, ?2, randomblob(16), 'CHARGE', 1, ?2, 0)";
        let fill = "INSERT INTO ledger (user_id, version, entry_id, type, amount, balance_after, created_at)
            WITH RECURSIVE series (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM series WHERE value < ?2)
            SELECT ?1, value, randomblob(16), 'CHARGE', 1, value, 0 FROM series";
        for (user, entries) in WALLETS {
            db.execute("INSERT INTO accounts VALUES (?1, ?2, ?2, 0)", params![user, entries]).unwrap();
            db.execute(fill, params![user, entries]).unwrap();
        }
        // No wallet belongs to this entry.
        db.execute(charge, params!["dag", 1]).unwrap();

        let mut read: Vec<(String, usize)> = Vec::new();
        let (mut cursor, mut is_charged) = (Some(Cursor::default()), false);
        while let Some(from) = cursor {
            let (rows, next) = wallets(&db, &from).unwrap();
            assert!(rows.len() <= LINES_MAX + GROUP, "{} rows after {from:?}", rows.len());
            for row in rows {
                match row {
                    WalletRow::Account(user, _) => read.push((user.as_str().to_owned(), 0)),
                    WalletRow::Entry(entry, ..) => {
                        if read.last().is_none_or(|(user, _)| user != entry.user.as_str()) {
                            read.push((entry.user.as_str().to_owned(), 0));
                        }
                        let (_, entries) = read.last_mut().unwrap();
                        *entries += 1;
                        assert_eq!(entry.version, *entries as u64, "{}", entry.user);
                    }
                }
            }
            cursor = next;
            // A charge between two groups of a ledger belongs to a later state of the wallet than the one that was read.
            let is_inside = cursor.as_ref().is_some_and(|next| next.user == "cyd" && next.rest.is_some());
            if is_inside && !std::mem::replace(&mut is_charged, true) {
                db.execute(charge, params!["cyd", 2 * LINES_MAX + 6]).unwrap();
                db.execute("UPDATE accounts SET version = version + 1 WHERE user_id = 'cyd'", []).unwrap();
            }
        }
        assert!(is_charged, "no group ended inside the longest ledger");
        let wanted = WALLETS.map(|(user, entries)| (user.to_owned(), entries));
        let (others, orphan): (Vec<_>, Vec<_>) = read.into_iter().partition(|(user, _)| user != "dag");
        assert_eq!((&others[..], &orphan[..]), (&wanted[..], &[("dag".to_owned(), 1)][..]));
    }
}
