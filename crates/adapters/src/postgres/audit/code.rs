//! Presale codes, with counts of their uses.

use onsale_app::audit::source::CodeRow;
use tokio_postgres::Row;

use super::super::code::read_code;
use super::super::values::{Sql, number};
use super::Out;
use super::cursor::Cursor;
use super::snapshot::Connection;

/// A hold is live by its row: one that an extension alone keeps live is not counted.
const CODES: &str = "SELECT codes.concert_id, code, codes.code_id, uses, uses_per_user, valid_from, valid_until, taken,
        codes.created_at, coalesce(counted.stored, 0)::bigint, coalesce(counted.used, 0)::bigint,
        coalesce(counted.most, 0)::bigint, coalesce(counted.elsewhere, 0)::bigint
    FROM codes LEFT JOIN (
        SELECT code_id, sum(stored) stored, sum(used) used, max(used) most, sum(elsewhere) elsewhere FROM (
            SELECT u.code_id, r.user_id, count(*) stored,
                count(*) FILTER (WHERE status = 'PAID'
                    OR status = 'HELD' AND held_until > (extract(epoch FROM now()) * 1000)::bigint) used,
                count(*) FILTER (WHERE r.concert_id IS DISTINCT FROM c.concert_id) elsewhere
            FROM code_uses u JOIN codes c USING (code_id) LEFT JOIN reservations r USING (reservation_id)
            GROUP BY u.code_id, r.user_id) by_user
        GROUP BY code_id) counted USING (code_id)
    ORDER BY codes.concert_id, code";

pub(super) async fn codes(mut connection: Connection, out: Out<CodeRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let mut codes = Cursor::open(&transaction, CODES, read).await?;
    while let Some(code) = codes.next().await? {
        out.row(code).await;
    }
    Ok(())
}

fn read(row: &Row) -> Sql<CodeRow> {
    Ok(CodeRow {
        code: read_code(row)?,
        stored: number(row, 9)?,
        used: number(row, 10)?,
        most: number(row, 11)?,
        elsewhere: number(row, 12)?,
    })
}
