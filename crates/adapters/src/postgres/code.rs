//! Presale codes and their uses.
//!
//! The row of a code is locked after the wallets and before the lectures. Its lock covers the rows of its uses. Whether a use has
//! ended depends on its reservation, which another unit of work may change: see `domain/src/presale`.

use std::sync::Arc;

use onsale_app::store::{Page, Unit};
use onsale_domain::ids::{CodeId, ConcertId, PerformanceId, ReservationId, UserId};
use onsale_domain::presale::{Code, CodeKey, Standing, USES_READ_MAX, Use};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::concert_rows::read_end;
use super::extension::further;
use super::session::{Pipeline, Session};
use super::values::{
    Param, Sql, columns, instant, int, limit, number, optional_instant, params, small, text, user, uuid, word,
};

/// The columns of a code.
macro_rules! code_columns {
    () => {
        "concert_id, code, code_id, uses, uses_per_user, valid_from, valid_until, taken, created_at"
    };
}

/// In the order of the keys, which is the same in each unit of work.
const LOCK: &str = concat!(
    "SELECT own.* FROM unnest($1::uuid[], $2::text[]) wanted (id, named) CROSS JOIN LATERAL (SELECT ",
    code_columns!(),
    " FROM codes WHERE concert_id = id AND code = named FOR NO KEY UPDATE) own"
);

/// Uses of codes: those that may have ended, `$7` at most for each code that would have too many with those that are added; and those
/// of users that have not ended.
const USES: &str = concat!(
    "SELECT used.code_id, r.reservation_id, r.user_id, r.performance_id, r.status, r.held_until, r.extended, ",
    further!("r"),
    " FROM (
        SELECT ended.code_id, ended.reservation_id FROM unnest($1::uuid[], $2::text[], $3::integer[]) wanted (id, named, added)
            CROSS JOIN LATERAL (SELECT code_id FROM codes
                WHERE concert_id = id AND code = named AND taken + added > uses OFFSET 0) filled
            CROSS JOIN LATERAL (SELECT stored.code_id, stored.reservation_id FROM
                (SELECT code_id, reservation_id FROM code_uses WHERE code_uses.code_id = filled.code_id OFFSET 0) stored
                CROSS JOIN LATERAL (SELECT status, held_until FROM reservations
                    WHERE reservations.reservation_id = stored.reservation_id OFFSET 0) own
                WHERE status <> 'PAID' AND (status <> 'HELD'
                    OR held_until <= (extract(epoch FROM statement_timestamp()) * 1000)::bigint)
                LIMIT $7) ended
        UNION
        SELECT named.code_id, kept.reservation_id FROM unnest($4::uuid[], $5::text[], $6::text[]) holder (id, own, name)
            CROSS JOIN LATERAL (SELECT code_id FROM codes WHERE concert_id = id AND code = own OFFSET 0) named
            CROSS JOIN LATERAL (SELECT reservation_id, status FROM reservations WHERE reservations.concert_id = id
                AND reservations.user_id = name AND status IN ('HELD', 'PAID') OFFSET 0) open
            CROSS JOIN LATERAL (SELECT reservation_id, code_id FROM code_uses
                WHERE code_uses.reservation_id = open.reservation_id OFFSET 0) kept
            WHERE kept.code_id = named.code_id) used
    CROSS JOIN LATERAL (SELECT reservation_id, user_id, performance_id, status, held_until, extended FROM reservations
        WHERE reservations.reservation_id = used.reservation_id OFFSET 0) r"
);

const MAKE: &str = concat!(
    "INSERT INTO codes (",
    code_columns!(),
    ") SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::integer[], $5::integer[], $6::bigint[], $7::bigint[],
        $8::integer[], $9::bigint[])"
);

/// A code that was deleted and made again in one unit of work changes as a whole.
const CHANGE: &str = concat!(
    "UPDATE codes SET code_id = v.code_id, uses = v.uses, uses_per_user = v.uses_per_user, valid_from = v.valid_from,
        valid_until = v.valid_until, taken = v.taken, created_at = v.created_at
    FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::integer[], $5::integer[], $6::bigint[], $7::bigint[],
        $8::integer[], $9::bigint[]) v (",
    code_columns!(),
    ") WHERE codes.concert_id = v.concert_id AND codes.code = v.code"
);

const DELETE: &str = "DELETE FROM codes USING unnest($1::uuid[], $2::text[]) v (concert_id, code)
    WHERE codes.concert_id = v.concert_id AND codes.code = v.code";

const USE: &str = "INSERT INTO code_uses (reservation_id, code_id) SELECT * FROM unnest($1::uuid[], $2::uuid[])";

const END: &str = "DELETE FROM code_uses WHERE reservation_id = ANY ($1)";

pub(super) const WRITES: &[&str] = &[LOCK, USES, MAKE, CHANGE, DELETE, USE, END];

/// Locks codes. Sends nothing if no command names one.
pub(super) fn lock<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    let Some(wanted) = columns!(keys.codes.keys(), |(concert, text)| concert.uuid(), &**text) else { return };
    pipeline.query(LOCK, wanted, |found, unit| {
        for key in keys.codes.keys() {
            unit.rows.codes.load(key.clone(), None);
        }
        for row in found {
            let code = read_code(row)?;
            unit.rows.code_uses.insert(code.id, Vec::new());
            unit.rows.codes.load(code.key(), Some(code));
        }
        Ok(())
    });
}

/// Loads the uses of codes, after all locks.
pub(super) fn load<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    if keys.codes.is_empty() {
        return;
    }
    let added = keys.codes.iter().map(|((concert, text), added)| (*concert, &**text, *added));
    let holders = keys.code_users.iter().map(|((concert, text), user)| (*concert, &**text, user.as_str()));
    pipeline.query(USES, wanted(added, holders), |found, unit| {
        for row in found {
            let (code, found) = read_use(row)?;
            unit.rows.code_uses.entry(code).or_default().push(found);
        }
        Ok(())
    });
}

/// The parameters of [`USES`].
fn wanted<'a>(
    added: impl Iterator<Item = (ConcertId, &'a str, u32)>,
    holders: impl Iterator<Item = (ConcertId, &'a str, &'a str)>,
) -> Vec<Param<'a>> {
    let (mut concerts, mut codes, mut many): (Vec<Uuid>, Vec<&str>, Vec<i32>) = Default::default();
    for (concert, code, added) in added {
        concerts.push(concert.uuid());
        codes.push(code);
        many.push(int(added));
    }
    let (mut of, mut own, mut users): (Vec<Uuid>, Vec<&str>, Vec<&str>) = Default::default();
    for (concert, code, user) in holders {
        of.push(concert.uuid());
        own.push(code);
        users.push(user);
    }
    params![concerts, codes, many, of, own, users, limit(USES_READ_MAX)]
}

/// A use with the id of its code.
fn read_use(row: &Row) -> Sql<(CodeId, Use)> {
    let found = Use {
        reservation: ReservationId::new(uuid(row, 1)?),
        user: user(row, 2)?,
        performance: PerformanceId::new(uuid(row, 3)?),
        status: word(row, 4)?,
        until: read_end(row, 5, 6)?.until,
    };
    Ok((CodeId::new(uuid(row, 0)?), found))
}

/// Sent after the statements about reservations.
pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    let deleted = rows.codes.outdated().filter(|key| rows.codes.get(key).is_none());
    pipeline.write(DELETE, columns!(deleted, |(concert, text)| concert.uuid(), &**text));
    let added: Vec<&Code> = rows.codes.added().map(|(_, code)| code).collect();
    let changed: Vec<&Code> = rows.codes.outdated().filter_map(|key| rows.codes.get(key)).collect();
    for (sql, codes) in [(MAKE, added), (CHANGE, changed)] {
        pipeline.write(
            sql,
            columns!(
                codes.into_iter(),
                |code| code.concert.uuid(),
                &*code.text,
                code.id.uuid(),
                int(code.uses),
                int(code.uses_per_user),
                code.from.map(Timestamp::as_millis),
                code.until.map(Timestamp::as_millis),
                int(code.taken),
                code.created_at.as_millis(),
            ),
        );
    }
    pipeline.write(USE, columns!(rows.added_uses.iter(), |(code, reservation)| reservation.uuid(), code.uuid()));
    let ended: Vec<Uuid> = rows.ended_uses.iter().map(|id| id.uuid()).collect();
    if !ended.is_empty() {
        pipeline.execute(END, params![ended]);
    }
}

/// A code from its columns.
pub(super) fn read_code(row: &Row) -> Sql<Code> {
    Ok(Code {
        concert: ConcertId::new(uuid(row, 0)?),
        text: text(row, 1)?,
        id: CodeId::new(uuid(row, 2)?),
        uses: small(row, 3)?,
        uses_per_user: small(row, 4)?,
        from: optional_instant(row, 5)?,
        until: optional_instant(row, 6)?,
        taken: small(row, 7)?,
        created_at: instant(row, 8)?,
    })
}

const ONE: &str = concat!("SELECT ", code_columns!(), " FROM codes WHERE concert_id = $1 AND code = $2");

const LIST: &str = concat!(
    "SELECT ",
    code_columns!(),
    ", (SELECT count(*) FROM (SELECT reservation_id FROM code_uses WHERE code_uses.code_id = codes.code_id OFFSET 0) own
        CROSS JOIN LATERAL (SELECT status FROM reservations
            WHERE reservations.reservation_id = own.reservation_id OFFSET 0) r WHERE status IN ('HELD', 'PAID'))
    FROM codes WHERE concert_id = $1 AND code > $2 ORDER BY code LIMIT $3"
);

#[cfg(test)]
pub(super) const READS: &[&str] = &[ONE, USES, LIST];

/// What a user who enters with a code needs to know of it.
pub(super) async fn standing(session: &Session, (concert, text): &CodeKey, user: &UserId) -> Sql<Option<Standing>> {
    let found = session.query(ONE, params![concert.uuid(), &**text]).await?;
    let Some(code) = found.first().map(read_code).transpose()? else { return Ok(None) };
    let wanted = wanted([(*concert, &**text, 1)].into_iter(), [(*concert, &**text, user.as_str())].into_iter());
    let mut uses = Vec::new();
    for row in session.query(USES, wanted).await? {
        // The code may have been deleted and made again since.
        let (id, found) = read_use(&row)?;
        if id == code.id {
            uses.push(found);
        }
    }
    Ok(Some(Standing { code, uses }))
}

/// A page of the codes of a concert by their text, each with its holds that are not settled and its payments.
pub(super) async fn list(session: &Session, concert: ConcertId, page: &Page<Arc<str>>) -> Sql<Vec<(Code, u64)>> {
    let after = page.after.as_deref().unwrap_or("");
    let found = session.query(LIST, params![concert.uuid(), after, limit(page.limit)]).await?;
    found.iter().map(|row| Ok((read_code(row)?, number(row, 9)?))).collect()
}
