//! Keys of staff and the admin log.

use onsale_app::admin_log::row_of;
use onsale_app::store::{ListedKey, LogFilter, LogRow, Page};
use onsale_domain::ids::{LogId, StaffKeyId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::staff::{Directory, Key};
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use uuid::Uuid;

use super::values::{Sql, instant, optional_text, optional_uuid, text, uuid, word};
use crate::stored::Word;

pub(super) const KEY: &str = "key_id, name, role, hash, created_at, deleted_at";

pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    let deleted = keys.staff_changes.iter().flat_map(|changes| &changes.deleted);
    for id in keys.staff.iter().chain(deleted) {
        let key = db
            .prepare_cached(&format!("SELECT {KEY} FROM staff_keys WHERE key_id = ?1"))?
            .query_row([id.uuid().as_bytes()], read)
            .optional()?;
        rows.staff_keys.load(*id, key);
    }
    let Some(changes) = &keys.staff_changes else { return Ok(()) };
    rows.staff_directory.load((), Some(directory(db)?));
    for name in &changes.names {
        let key = db
            .prepare_cached("SELECT key_id FROM staff_keys WHERE name = ?1")?
            .query_row([&**name], |row| uuid(row, 0))
            .optional()?;
        rows.staff_names.load(name.clone(), key.map(StaffKeyId::new));
    }
    Ok(())
}

pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for (id, key) in rows.staff_keys.added() {
        db.prepare_cached("INSERT INTO staff_keys (key_id, name, role, hash, created_at) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                id.uuid().as_bytes(),
                &*key.name,
                key.role.word(),
                &key.hash,
                key.created_at.as_millis()
            ])?;
    }
    // A key that was made in this unit may be deleted in it too.
    for (id, key) in rows.staff_keys.changed() {
        let Some(deleted_at) = key.and_then(|key| key.deleted_at) else { continue };
        db.prepare_cached("UPDATE staff_keys SET deleted_at = ?2 WHERE key_id = ?1")?
            .execute(params![id.uuid().as_bytes(), deleted_at.as_millis()])?;
    }
    if let Some((_, Some(Directory { version, change, live }))) = rows.staff_directory.changed().next() {
        db.prepare_cached("UPDATE staff_directory SET version = ?1, change_id = ?2, live = ?3")?.execute(params![
            version,
            change.as_bytes(),
            live
        ])?;
    }
    for (id, used_at) in &rows.staff_uses {
        db.prepare_cached(
            "INSERT INTO staff_key_uses (key_id, used_at) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET used_at = max(used_at, ?2)",
        )?
        .execute(params![id.uuid().as_bytes(), used_at.as_millis()])?;
    }
    for row in rows.admin_log.iter().map(row_of) {
        db.prepare_cached(
            "INSERT INTO admin_log (log_id, at, key_id, actor, action, subject, before, after, truncated, request_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            row.id.uuid().as_bytes(),
            row.at.as_millis(),
            row.key.map(|key| key.uuid().into_bytes()),
            &*row.actor,
            &*row.action,
            &*row.subject,
            row.before.as_deref(),
            row.after.as_deref(),
            row.truncated,
            &*row.request,
        ])?;
    }
    Ok(())
}

pub(super) fn read(row: &Row<'_>) -> Sql<Key> {
    Ok(Key {
        id: StaffKeyId::new(uuid(row, 0)?),
        name: text(row, 1)?,
        role: word(row, 2)?,
        hash: row.get(3)?,
        created_at: instant(row, 4)?,
        deleted_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_millis),
    })
}

pub(super) fn directory(db: &Connection) -> Sql<Directory> {
    db.prepare_cached("SELECT version, change_id, live FROM staff_directory")?
        .query_row([], |row| Ok(Directory { version: row.get(0)?, change: uuid(row, 1)?, live: row.get(2)? }))
}

/// A page of the keys that are not deleted, oldest first.
pub(super) fn list(db: &Connection, page: Page<StaffKeyId>) -> Sql<Vec<ListedKey>> {
    let after = page.after.map_or_else(Vec::new, |id| id.uuid().into_bytes().to_vec());
    db.prepare_cached(&format!(
        "SELECT {KEY}, used_at FROM staff_keys LEFT JOIN staff_key_uses USING (key_id)
         WHERE deleted_at IS NULL AND key_id > ?1 ORDER BY key_id LIMIT ?2"
    ))?
    .query_map(params![after, page.limit], |row| {
        let last_used_at = row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis);
        Ok(ListedKey { key: read(row)?, last_used_at })
    })?
    .collect()
}

/// A page of log entries, newest first.
pub(super) fn log(db: &Connection, filter: &LogFilter, page: Page<LogId>) -> Sql<Vec<LogRow>> {
    let LogFilter { actor, action, subject, without_keys } = filter;
    let before = page.after.map_or(Uuid::max(), LogId::uuid).into_bytes();
    let key = actor.as_deref().and_then(StaffKeyId::parse).map(|id| id.uuid().into_bytes());
    let (actor, action, subject) = (actor.as_deref(), action.as_deref(), subject.as_deref());
    let mut wanted: Vec<(&str, &dyn ToSql)> = vec![(":before", &before), (":limit", &page.limit)];
    let mut sql =
        "SELECT log_id, at, key_id, actor, action, subject, before, after, truncated, request_id FROM admin_log
         WHERE log_id < :before"
            .to_owned();
    if actor.is_some() {
        sql.push_str(" AND actor = coalesce((SELECT name FROM staff_keys WHERE key_id = :key), :actor)");
        wanted.extend([(":key", &key as &dyn ToSql), (":actor", &actor)]);
    }
    if action.is_some() {
        sql.push_str(" AND action = :action");
        wanted.push((":action", &action));
    }
    if subject.is_some() {
        sql.push_str(" AND subject = :subject");
        wanted.push((":subject", &subject));
    }
    if *without_keys {
        sql.push_str(" AND subject NOT LIKE 'key:%'");
    }
    sql.push_str(" ORDER BY log_id DESC LIMIT :limit");
    db.prepare_cached(&sql)?.query_map(&*wanted, read_log)?.collect()
}

fn read_log(row: &Row<'_>) -> Sql<LogRow> {
    Ok(LogRow {
        id: LogId::new(uuid(row, 0)?),
        at: instant(row, 1)?,
        key: optional_uuid(row, 2)?.map(StaffKeyId::new),
        actor: text(row, 3)?,
        action: text(row, 4)?,
        subject: text(row, 5)?,
        before: optional_text(row, 6)?,
        after: optional_text(row, 7)?,
        truncated: row.get(8)?,
        request: text(row, 9)?,
    })
}
