//! Presale codes, with counts of their uses.

use onsale_app::audit::source::CodeRow;
use rusqlite::{Connection, params};

use super::super::code::{CODE, read_code};
use super::super::values::Sql;
use super::super::writer;
use super::GROUP;

/// The concert and the text of the last code.
pub(super) type Cursor = (Vec<u8>, String);

/// A hold is live by its row: one that an extension alone keeps live is not counted.
const COUNTS: &str =
    "SELECT coalesce(sum(stored), 0), coalesce(sum(used), 0), coalesce(max(used), 0), coalesce(sum(elsewhere), 0)
    FROM (SELECT count(*) stored, count(*) FILTER (WHERE status = 'PAID' OR status = 'HELD' AND held_until > ?2) used,
            count(*) FILTER (WHERE concert_id IS NOT ?3) elsewhere
        FROM code_uses LEFT JOIN reservations USING (reservation_id) WHERE code_id = ?1 GROUP BY user_id)";

pub(super) fn codes(db: &Connection, (concert, text): &Cursor) -> Sql<(Vec<CodeRow>, Option<Cursor>)> {
    let sql =
        format!("SELECT {CODE} FROM codes WHERE (concert_id, code) > (?1, ?2) ORDER BY concert_id, code LIMIT ?3");
    let codes =
        db.prepare_cached(&sql)?.query_map(params![concert, text, GROUP], read_code)?.collect::<Sql<Vec<_>>>()?;
    let last = codes.last().filter(|_| codes.len() == GROUP);
    let after = last.map(|code| (code.concert.uuid().as_bytes().to_vec(), code.text.to_string()));
    let mut rows = Vec::with_capacity(codes.len());
    for code in codes {
        let (id, of) = (code.id.uuid().into_bytes(), code.concert.uuid().into_bytes());
        let row = db.prepare_cached(COUNTS)?.query_row(params![id, writer::now().as_millis(), of], |row| {
            Ok(CodeRow { code, stored: row.get(0)?, used: row.get(1)?, most: row.get(2)?, elsewhere: row.get(3)? })
        })?;
        rows.push(row);
    }
    Ok((rows, after))
}
