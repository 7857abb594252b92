//! Presale codes and their uses.

use std::collections::HashMap;
use std::sync::Arc;

use onsale_app::store::Page;
use onsale_domain::concert::Reservation;
use onsale_domain::ids::{CodeId, ConcertId, ReservationId, UserId};
use onsale_domain::presale::{Code, CodeKey, Standing, USES_READ_MAX, Use};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::concert::{RESERVATION, read};
use super::values::{Sql, instant, optional_instant, text, uuid};
use super::writer;

/// Loads codes with the uses that a decision may need. Called after the reservations of their users.
pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    let mut users: HashMap<&CodeKey, Vec<&UserId>> = HashMap::new();
    for (key, user) in &keys.code_users {
        users.entry(key).or_default().push(user);
    }
    for (key, added) in &keys.codes {
        let code = code(db, key)?;
        if let Some(code) = &code {
            let users = users.get(key).map_or(&[][..], Vec::as_slice);
            rows.code_uses.insert(code.id, uses(db, code, users, *added)?);
        }
        rows.codes.load(key.clone(), code);
    }
    Ok(())
}

/// The uses of a code by these users that have not ended, and some that may have ended if as many more would be too many.
fn uses(db: &Connection, code: &Code, users: &[&UserId], added: u32) -> Sql<Vec<Use>> {
    let mut uses: HashMap<ReservationId, Reservation> = HashMap::new();
    let (concert, id) = (code.concert.uuid().into_bytes(), code.id.uuid().into_bytes());
    let own = format!(
        "SELECT {RESERVATION} FROM reservations WHERE concert_id = ?1 AND user_id = ?2 AND status IN ('HELD', 'PAID')
            AND (SELECT code_id FROM code_uses own WHERE own.reservation_id = reservations.reservation_id) = ?3"
    );
    for user in users {
        for row in db.prepare_cached(&own)?.query_map(params![concert, user.as_str(), id], read)? {
            let row = row?;
            uses.insert(row.id, row);
        }
    }
    if code.taken.saturating_add(added) > code.uses {
        let over = format!(
            "SELECT {RESERVATION} FROM reservations
             WHERE reservation_id IN (SELECT reservation_id FROM code_uses WHERE code_id = ?1)
                AND status <> 'PAID' AND (status <> 'HELD' OR held_until <= ?2) LIMIT ?3"
        );
        let now = writer::now().as_millis();
        for row in db.prepare_cached(&over)?.query_map(params![id, now, USES_READ_MAX], read)? {
            let row = row?;
            uses.insert(row.id, row);
        }
    }
    Ok(uses.values().map(Use::of).collect())
}

/// Called after the reservations are saved, which the uses refer to.
pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for (key, code) in rows.codes.changed() {
        let Some(code) = code else {
            db.prepare_cached("DELETE FROM codes WHERE concert_id = ?1 AND code = ?2")?
                .execute(params![key.0.uuid().as_bytes(), &*key.1])?;
            continue;
        };
        db.prepare_cached(
            "INSERT INTO codes
               (concert_id, code, code_id, uses, uses_per_user, valid_from, valid_until, taken, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (concert_id, code) DO UPDATE SET code_id = ?3, uses = ?4, uses_per_user = ?5, valid_from = ?6,
                valid_until = ?7, taken = ?8, created_at = ?9",
        )?
        .execute(params![
            code.concert.uuid().as_bytes(),
            &*code.text,
            code.id.uuid().as_bytes(),
            code.uses,
            code.uses_per_user,
            code.from.map(Timestamp::as_millis),
            code.until.map(Timestamp::as_millis),
            code.taken,
            code.created_at.as_millis(),
        ])?;
    }
    for (code, reservation) in &rows.added_uses {
        db.prepare_cached("INSERT INTO code_uses (reservation_id, code_id) VALUES (?1, ?2)")?
            .execute(params![reservation.uuid().as_bytes(), code.uuid().as_bytes()])?;
    }
    for reservation in &rows.ended_uses {
        db.prepare_cached("DELETE FROM code_uses WHERE reservation_id = ?1")?
            .execute([reservation.uuid().as_bytes()])?;
    }
    Ok(())
}

/// The columns of a code.
pub(super) const CODE: &str =
    "concert_id, code, code_id, uses, uses_per_user, valid_from, valid_until, taken, created_at";

/// A code from the columns [`CODE`].
pub(super) fn read_code(row: &Row<'_>) -> Sql<Code> {
    Ok(Code {
        concert: ConcertId::new(uuid(row, 0)?),
        text: text(row, 1)?,
        id: CodeId::new(uuid(row, 2)?),
        uses: row.get(3)?,
        uses_per_user: row.get(4)?,
        from: optional_instant(row, 5)?,
        until: optional_instant(row, 6)?,
        taken: row.get(7)?,
        created_at: instant(row, 8)?,
    })
}

fn code(db: &Connection, (concert, code): &CodeKey) -> Sql<Option<Code>> {
    db.prepare_cached(&format!("SELECT {CODE} FROM codes WHERE concert_id = ?1 AND code = ?2"))?
        .query_row(params![concert.uuid().as_bytes(), &**code], read_code)
        .optional()
}

/// What a user who enters with a code needs to know of it.
pub(super) fn standing(db: &Connection, key: &CodeKey, user: &UserId) -> Sql<Option<Standing>> {
    let Some(code) = code(db, key)? else { return Ok(None) };
    let uses = uses(db, &code, &[user], 1)?;
    Ok(Some(Standing { code, uses }))
}

/// A page of the codes of a concert by their text, each with its holds that are not settled and its payments.
pub(super) fn list(db: &Connection, concert: ConcertId, page: &Page<Arc<str>>) -> Sql<Vec<(Code, u64)>> {
    let after = page.after.as_deref().unwrap_or("");
    let sql = format!(
        "SELECT {CODE}, (SELECT count(*) FROM code_uses own JOIN reservations USING (reservation_id)
            WHERE own.code_id = codes.code_id AND status IN ('HELD', 'PAID'))
         FROM codes WHERE concert_id = ?1 AND code > ?2 ORDER BY code LIMIT ?3"
    );
    db.prepare_cached(&sql)?
        .query_map(params![concert.uuid().as_bytes(), after, page.limit], |row| Ok((read_code(row)?, row.get(9)?)))?
        .collect()
}
