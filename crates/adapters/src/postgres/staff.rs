//! Keys of staff and the admin log.
//!
//! A change by staff takes a shared lock of its key, a deletion of the key takes an exclusive one: so a change either commits
//! before the deletion, or finds the key deleted. Row locks alone would let a flood of changes keep a deletion waiting for
//! ever, because Postgres grants a shared lock past a waiting exclusive one. So each first takes an advisory lock of the same
//! strength, whose queue is fair.

use std::collections::BTreeSet;
use std::sync::Arc;

use onsale_app::admin_log::row_of;
use onsale_app::store::{ListedKey, LogFilter, LogRow, Page, Unit};
use onsale_domain::ids::{LogId, StaffKeyId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::staff::{Changes, Directory, Key};
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::DbError;
use super::session::{Pipeline, Session};
use super::values::{
    Sql, big, columns, get, instant, int, limit, number, optional_instant, optional_text, params, small, text, uuid,
    word,
};
use crate::stored::Word;

/// Locked by every change of the keys, before any key: one unit of work at a time changes keys, so two of them never wait
/// for each other.
const LOCK_DIRECTORY: &str = "SELECT version, change_id, live FROM staff_directory FOR NO KEY UPDATE";

/// The queue for a key. Taken by ascending number.
const QUEUE_TO_ACT: &str = "SELECT pg_advisory_xact_lock_shared(key) FROM unnest($1::bigint[]) key";
const QUEUE_TO_DELETE: &str = "SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) key";

const LOCK_TO_ACT: &str = "SELECT key_id, name, role, hash, created_at, deleted_at FROM staff_keys
    WHERE key_id = ANY ($1) ORDER BY key_id FOR SHARE";

const LOCK_TO_DELETE: &str = "SELECT key_id, name, role, hash, created_at, deleted_at FROM staff_keys
    WHERE key_id = ANY ($1) ORDER BY key_id FOR NO KEY UPDATE";

const NAMED: &str = "SELECT name, key_id FROM staff_keys WHERE name = ANY ($1)";

const CREATE: &str = "INSERT INTO staff_keys (key_id, name, role, hash, created_at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::bigint[])";

const DELETE: &str = "UPDATE staff_keys SET deleted_at = v.deleted_at
    FROM unnest($1::uuid[], $2::bigint[]) v (key_id, deleted_at) WHERE staff_keys.key_id = v.key_id";

const COUNT: &str = "UPDATE staff_directory SET version = $1, change_id = $2, live = $3";

/// In the order of the ids, so that two instances never wait for each other.
const NOTE_USES: &str = "INSERT INTO staff_key_uses AS own (key_id, used_at)
    SELECT * FROM unnest($1::uuid[], $2::bigint[])
    ON CONFLICT (key_id) DO UPDATE SET used_at = greatest(own.used_at, excluded.used_at)";

const LOG: &str = "INSERT INTO admin_log
        (log_id, at, key_id, actor, action, subject, before, after, truncated, request_id)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::boolean[], $10::text[])";

pub(super) const WRITES: &[&str] = &[
    LOCK_DIRECTORY,
    QUEUE_TO_ACT,
    QUEUE_TO_DELETE,
    LOCK_TO_ACT,
    LOCK_TO_DELETE,
    NAMED,
    CREATE,
    DELETE,
    COUNT,
    NOTE_USES,
    LOG,
];

/// Locks the keys of a unit. The first locks of all: see `writer.rs`. Sends nothing if no staff acts.
pub(super) fn lock<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    let changes = keys.staff_changes.as_ref();
    if let Some(Changes { deleted, names }) = changes {
        pipeline.query(LOCK_DIRECTORY, Vec::new(), |found, unit| {
            unit.rows.staff_directory.load((), Some(read_directory(found.first())?));
            Ok(())
        });
        lock_keys(pipeline, [QUEUE_TO_DELETE, LOCK_TO_DELETE], deleted.iter().copied().collect());
        find_names(pipeline, names);
    }
    let is_deleted = |id: &StaffKeyId| changes.is_some_and(|changes| changes.deleted.contains(id));
    // A key that is both used and deleted is locked once, against all.
    lock_keys(pipeline, [QUEUE_TO_ACT, LOCK_TO_ACT], keys.staff.iter().copied().filter(|id| !is_deleted(id)).collect());
}

fn lock_keys(pipeline: &mut Pipeline<'_, Unit>, [queue, lock]: [&'static str; 2], ids: Vec<StaffKeyId>) {
    if ids.is_empty() {
        return;
    }
    let mut numbers: Vec<i64> = ids.iter().map(|id| lock_number(*id)).collect();
    numbers.sort_unstable();
    pipeline.execute(queue, params![numbers]);
    let wanted: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    pipeline.query(lock, params![wanted], move |found, unit| {
        for id in ids {
            unit.rows.staff_keys.load(id, None);
        }
        for row in found {
            let key = read(row)?;
            unit.rows.staff_keys.load(key.id, Some(key));
        }
        Ok(())
    });
}

/// The number of the advisory lock of a key: the last eight bytes of its id, which are random.
pub(super) fn lock_number(id: StaffKeyId) -> i64 {
    let [.., a, b, c, d, e, f, g, h] = id.uuid().into_bytes();
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Finds the keys that have or had a name. The directory is locked by now, so no key is made meanwhile.
fn find_names<'a>(pipeline: &mut Pipeline<'a, Unit>, names: &'a BTreeSet<Arc<str>>) {
    if names.is_empty() {
        return;
    }
    let wanted: Vec<&str> = names.iter().map(|name| &**name).collect();
    pipeline.query(NAMED, params![wanted], move |found, unit| {
        for name in names {
            unit.rows.staff_names.load(name.clone(), None);
        }
        for row in found {
            unit.rows.staff_names.load(text(row, 0)?, Some(StaffKeyId::new(uuid(row, 1)?)));
        }
        Ok(())
    });
}

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    pipeline.write(
        CREATE,
        columns!(
            rows.staff_keys.added(),
            |(id, key)| id.uuid(),
            &*key.name,
            key.role.word(),
            &key.hash[..],
            key.created_at.as_millis()
        ),
    );
    let deleted = rows.staff_keys.outdated().filter_map(|id| Some((id, rows.staff_keys.get(id)?.deleted_at?)));
    pipeline.write(DELETE, columns!(deleted, |(id, at)| id.uuid(), at.as_millis()));
    if let Some((_, Some(Directory { version, change, live }))) = rows.staff_directory.changed().next() {
        pipeline.execute(COUNT, params![big(*version), *change, int(*live)]);
    }
    let mut uses = rows.staff_uses.clone();
    // Two rows of one key in one statement would be refused: the later use counts.
    uses.sort_unstable_by_key(|(id, at)| (*id, std::cmp::Reverse(*at)));
    uses.dedup_by_key(|(id, _)| *id);
    pipeline.write(NOTE_USES, columns!(uses.into_iter(), |(id, at)| id.uuid(), at.as_millis()));
    pipeline.write(
        LOG,
        columns!(
            rows.admin_log.iter().map(row_of),
            |row| row.id.uuid(),
            row.at.as_millis(),
            row.key.map(StaffKeyId::uuid),
            row.actor.to_string(),
            row.action.to_string(),
            row.subject.to_string(),
            row.before.as_deref().map(str::to_owned),
            row.after.as_deref().map(str::to_owned),
            row.truncated,
            row.request.to_string(),
        ),
    );
}

const DIRECTORY: &str = "SELECT version, change_id, live FROM staff_directory";

const LIST: &str = "SELECT key_id, name, role, hash, created_at, deleted_at, used_at
    FROM staff_keys LEFT JOIN staff_key_uses USING (key_id)
    WHERE deleted_at IS NULL AND key_id > $1 ORDER BY key_id LIMIT $2";

/// Without the conditions on other columns: they would hide from the planner that nearly every row fits, and it would read and
/// sort the whole log.
const LOG_ALL: &str =
    "SELECT log_id, at, key_id, actor, action, subject, before, after, truncated, request_id FROM admin_log
    WHERE log_id < $1 AND NOT ($3 AND subject LIKE 'key:%') ORDER BY log_id DESC LIMIT $2";

/// A statement that lists the log by `$by`, a condition on an indexed column. The other conditions may be absent.
macro_rules! log {
    ($by:literal) => {
        concat!(
            "SELECT log_id, at, key_id, actor, action, subject, before, after, truncated, request_id FROM admin_log
    WHERE log_id < $1 AND ",
            $by,
            " AND ($3::text IS NULL OR actor = coalesce((SELECT name FROM staff_keys WHERE key_id = $4::uuid), $3))
        AND ($5::text IS NULL OR action = $5) AND ($6::text IS NULL OR subject = $6)
        AND NOT ($7 AND subject LIKE 'key:%')
    ORDER BY log_id DESC LIMIT $2"
        )
    };
}

const LOG_BY_ACTOR: &str = log!("actor = coalesce((SELECT name FROM staff_keys WHERE key_id = $4::uuid), $3)");
const LOG_BY_ACTION: &str = log!("action = $5");
const LOG_BY_SUBJECT: &str = log!("subject = $6");

#[cfg(test)]
pub(super) const READS: &[&str] = &[DIRECTORY, LIST, LOG_ALL, LOG_BY_ACTOR, LOG_BY_ACTION, LOG_BY_SUBJECT];

pub(super) fn read(row: &Row) -> Sql<Key> {
    let hash: &[u8] = get(row, 3)?;
    Ok(Key {
        id: StaffKeyId::new(uuid(row, 0)?),
        name: text(row, 1)?,
        role: word(row, 2)?,
        hash: hash.try_into().map_err(|_| DbError::Broken("a hash of another length"))?,
        created_at: instant(row, 4)?,
        deleted_at: optional_instant(row, 5)?,
    })
}

pub(super) async fn directory(session: &Session) -> Sql<Directory> {
    read_directory(session.query(DIRECTORY, Vec::new()).await?.first())
}

fn read_directory(row: Option<&Row>) -> Sql<Directory> {
    let row = row.ok_or(DbError::Broken("no directory of the keys of staff"))?;
    Ok(Directory { version: number(row, 0)?, change: uuid(row, 1)?, live: small(row, 2)? })
}

/// A page of the keys that are not deleted, oldest first.
pub(super) async fn list(session: &Session, page: Page<StaffKeyId>) -> Sql<Vec<ListedKey>> {
    let after = page.after.map_or(Uuid::nil(), StaffKeyId::uuid);
    let found = session.query(LIST, params![after, limit(page.limit)]).await?;
    found.iter().map(|row| Ok(ListedKey { key: read(row)?, last_used_at: optional_instant(row, 6)? })).collect()
}

/// A page of log entries, newest first.
pub(super) async fn log(session: &Session, filter: &LogFilter, page: Page<LogId>) -> Sql<Vec<LogRow>> {
    let LogFilter { actor, action, subject, without_keys } = filter;
    let sql = match (subject, actor, action) {
        (Some(_), ..) => LOG_BY_SUBJECT,
        (None, Some(_), _) => LOG_BY_ACTOR,
        (None, None, Some(_)) => LOG_BY_ACTION,
        (None, None, None) => LOG_ALL,
    };
    let before = page.after.map_or(Uuid::max(), LogId::uuid);
    let (rows, without_keys) = (limit(page.limit), *without_keys);
    let key = actor.as_deref().and_then(StaffKeyId::parse).map(StaffKeyId::uuid);
    let (actor, action, subject) = (actor.as_deref(), action.as_deref(), subject.as_deref());
    let values = if sql == LOG_ALL {
        params![before, rows, without_keys]
    } else {
        params![before, rows, actor, key, action, subject, without_keys]
    };
    let found = session.query(sql, values).await?;
    found.iter().map(read_log).collect()
}

/// A log entry in the first ten columns of a row.
pub(super) fn read_log(row: &Row) -> Sql<LogRow> {
    Ok(LogRow {
        id: LogId::new(uuid(row, 0)?),
        at: instant(row, 1)?,
        key: get::<Option<Uuid>>(row, 2)?.map(StaffKeyId::new),
        actor: text(row, 3)?,
        action: text(row, 4)?,
        subject: text(row, 5)?,
        before: optional_text(row, 6)?,
        after: optional_text(row, 7)?,
        truncated: get(row, 8)?,
        request: text(row, 9)?,
    })
}
