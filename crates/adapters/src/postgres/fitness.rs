//! Checks that a server and a database are suitable, before anything is made or read.

use tokio_postgres::Client;

use super::OpenError;
use super::error::DbError;

/// The oldest supported server, as `server_version_num`.
const OLDEST: i32 = 150_000;

const FACTS: &str = "SELECT current_setting('server_version_num')::integer, current_setting('server_version'),
    current_setting('server_encoding'), current_schema() IS NOT NULL";

/// The first table of a sale that this user may not use. Privileges are checked one by one: in a list, any of them would suffice.
const FORBIDDEN: &str = "SELECT relname::text FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname = ANY ($1)
        AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
            AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))
    ORDER BY relname LIMIT 1";

/// Checks the version of the server, the encoding of the database, and that there is a schema.
///
/// # Errors
/// [`OpenError::TooOld`], [`OpenError::Encoding`], [`OpenError::NoSchema`].
pub(super) async fn check(client: &Client) -> Result<(), OpenError> {
    let facts = client.query_one(FACTS, &[]).await.map_err(DbError::from)?;
    judge(facts.get(0), facts.get(1), facts.get(2), facts.get(3))
}

fn judge(version: i32, name: &str, encoding: &str, has_schema: bool) -> Result<(), OpenError> {
    if version < OLDEST {
        return Err(OpenError::TooOld { found: name.to_owned() });
    }
    if encoding != "UTF8" {
        return Err(OpenError::Encoding { found: encoding.to_owned() });
    }
    if !has_schema {
        return Err(OpenError::NoSchema);
    }
    Ok(())
}

/// Checks that the user may read and write every table of the sale.
///
/// # Errors
/// [`OpenError::Forbidden`] with the first table that the user may not use.
pub(super) async fn check_rights(client: &Client) -> Result<(), OpenError> {
    let tables: Vec<&str> = onsale_app::store::locks::Table::ALL.iter().map(|(_, name)| *name).collect();
    match client.query_opt(FORBIDDEN, &[&tables]).await.map_err(DbError::from)? {
        Some(row) => Err(OpenError::Forbidden { table: row.get(0) }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsuitable_servers_and_databases_are_refused() {
        assert!(judge(150_000, "15.0", "UTF8", true).is_ok() && judge(180_001, "18.1", "UTF8", true).is_ok());
        let said = |judged: Result<(), OpenError>| judged.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said(judge(140_009, "14.9", "UTF8", true)).contains("14.9"));
        assert!(said(judge(150_000, "15.0", "LATIN1", true)).contains("LATIN1"));
        assert!(said(judge(150_000, "15.0", "SQL_ASCII", true)).contains("SQL_ASCII"));
        assert!(said(judge(150_000, "15.0", "UTF8", false)).contains("search_path"));
    }
}
