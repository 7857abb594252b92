//! What staff may change, each with the log entries about it.

use std::collections::HashMap;

use onsale_app::audit::source::{ExternalRow, StaffRow, StaffSubject};
use onsale_app::store::LogRow;
use onsale_domain::ids::{ConcertId, PerformanceId, SessionId};
use onsale_domain::staff::{Directory, ExternalCharge};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Settings;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::room_rows::read_sale;
use super::super::values::{Sql, get, instant, number, optional_instant, small, user, uuid};
use super::super::{concert_rows, extension, lecture, staff, wallet};
use super::Out;
use super::cursor::Cursor;
use super::snapshot::Connection;

const DIRECTORY: &str =
    "SELECT version, change_id, live, since, (SELECT count(*) FROM staff_keys WHERE deleted_at IS NULL)
    FROM staff_directory";

/// Ids sort as their text does, and so do these kinds: concert, key, lecture, performance, session.
const ENTRIES: &str = "SELECT log_id, at, key_id, actor, action, subject, before, after, truncated, request_id
    FROM admin_log ORDER BY subject, log_id";

const CONCERTS: &str =
    "SELECT concert_id, title, venue, created_at, notice_ko, notice_en, concerts.closed, concerts.version,
        concerts.opens_at, concerts.closes_at, concerts.max_seats, concerts.codes_until, max_active, admit_per_second, active_seconds,
        claim_seconds, paused, rooms.closed, rooms.opens_at, rooms.closes_at, rooms.codes_until, early_from, draw_at
    FROM concerts JOIN rooms USING (concert_id) ORDER BY concert_id";

const KEYS: &str = "SELECT key_id, name, role, hash, created_at, deleted_at FROM staff_keys ORDER BY key_id";

const LECTURES: &str = "SELECT lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version,
        updated_at, opens_at, closed, cancelled_at, cancel_reason, cancelled_applications, highest_capacity, changes, moved_at,
        waitlisted FROM lectures ORDER BY lecture_id";

const PERFORMANCES: &str = "SELECT performance_id, concert_id, starts_at, sections, sold, version, updated_at, holds,
        extensions, closed, sale_closed, refund_policy, held, revenue, refunded, opens_at, closes_at, max_seats,
        cancelled_at, open_payments, blocked, revision, codes_until, waitlisted, offered, offer_seconds
    FROM performances ORDER BY performance_id";

const SESSIONS: &str = "SELECT session_id FROM staff_sessions ORDER BY session_id";

const EXTENSIONS: &str = "SELECT performance_id, at FROM hold_extensions
    WHERE at >= (SELECT since FROM staff_directory) ORDER BY performance_id, number";

const BLOCKS: &str = "SELECT performance_id, seat, block_reason FROM seats WHERE block_reason IS NOT NULL
    ORDER BY performance_id, seat";

const CHARGES: &str =
    "SELECT l.user_id, l.version, l.entry_id, l.type, l.amount, l.balance_after, l.reference, l.created_at,
        c.external_id, c.user_id, c.version, c.amount, c.balance_after, c.charged_at, coalesce(logged.many, 0)
    FROM external_charges c
    LEFT JOIN ledger l ON l.user_id = c.user_id AND l.version = c.version
    LEFT JOIN (SELECT subject, after::json ->> 'externalId' external_id, count(*) many FROM admin_log
        WHERE action = 'points.charged' GROUP BY 1, 2) logged
        ON logged.external_id = c.external_id AND logged.subject = 'user:' || c.user_id
    ORDER BY c.external_id";

/// The log entries in the order of their subjects.
type Entries<'a> = Cursor<'a, (String, LogRow)>;

pub(super) async fn subjects(mut connection: Connection, out: Out<StaffRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let found = transaction.query_one(DIRECTORY, &[]).await?;
    let directory = Directory { version: number(&found, 0)?, change: uuid(&found, 1)?, live: small(&found, 2)? };
    let (since, live) = (instant(&found, 3)?, number(&found, 4)?);
    let subject = StaffSubject::Directory(directory, live);
    out.row(StaffRow { subject, entries: Vec::new(), since }).await;

    let mut entries: Entries<'_> = Cursor::open(&transaction, ENTRIES, read_entry).await?;
    // The log entries that extended the holds of whole concerts: few.
    let mut extended: HashMap<ConcertId, Vec<LogRow>> = HashMap::new();
    let mut concerts = Cursor::open(&transaction, CONCERTS, read_concert).await?;
    while let Some((id, subject)) = concerts.next().await? {
        let own = of_subject(&mut entries, format!("concert:{id}")).await?;
        let extending: Vec<LogRow> = own.iter().filter(|row| &*row.action == "holds.extended").cloned().collect();
        if !extending.is_empty() {
            extended.insert(id, extending);
        }
        out.row(StaffRow { subject, entries: own, since }).await;
    }
    let mut keys = Cursor::open(&transaction, KEYS, staff::read).await?;
    while let Some(key) = keys.next().await? {
        let own = of_subject(&mut entries, format!("key:{}", key.id)).await?;
        out.row(StaffRow { subject: StaffSubject::Key(key), entries: own, since }).await;
    }
    let mut lectures = Cursor::open(&transaction, LECTURES, lecture::read).await?;
    while let Some(lecture) = lectures.next().await? {
        let own = of_subject(&mut entries, format!("lecture:{}", lecture.id)).await?;
        out.row(StaffRow { subject: StaffSubject::Lecture(lecture), entries: own, since }).await;
    }
    let mut performances = Cursor::open(&transaction, PERFORMANCES, concert_rows::read_performance).await?;
    let mut extensions: Cursor<'_, (Uuid, Timestamp)> =
        Cursor::open(&transaction, EXTENSIONS, |row| Ok((uuid(row, 0)?, instant(row, 1)?))).await?;
    let mut blocked: Cursor<'_, (Uuid, (u32, String))> =
        Cursor::open(&transaction, BLOCKS, |row| Ok((uuid(row, 0)?, (small(row, 1)?, get(row, 2)?)))).await?;
    while let Some(performance) = performances.next().await? {
        let id: PerformanceId = performance.id;
        let own = of_subject(&mut entries, format!("performance:{id}")).await?;
        let mut extended_at = Vec::new();
        while let Some(at) = extensions.of(&id.uuid()).await? {
            extended_at.push(at);
        }
        let of_concert = match extended_at.is_empty() {
            true => Vec::new(),
            false => extended.get(&performance.concert).cloned().unwrap_or_default(),
        };
        let mut blocks = Vec::new();
        while let Some(block) = blocked.of(&id.uuid()).await? {
            blocks.push(block);
        }
        let subject = StaffSubject::Performance { performance, extended_at, of_concert, blocks };
        out.row(StaffRow { subject, entries: own, since }).await;
    }
    let mut sessions = Cursor::open(&transaction, SESSIONS, |row| Ok(SessionId::new(uuid(row, 0)?))).await?;
    while let Some(id) = sessions.next().await? {
        let own = of_subject(&mut entries, format!("session:{id}")).await?;
        out.row(StaffRow { subject: StaffSubject::Session(id), entries: own, since }).await;
    }
    Ok(())
}

fn read_entry(row: &Row) -> Sql<(String, LogRow)> {
    let entry = staff::read_log(row)?;
    Ok((entry.subject.to_string(), entry))
}

/// All entries about a subject. Subjects come in ascending order.
async fn of_subject(entries: &mut Entries<'_>, subject: String) -> Sql<Vec<LogRow>> {
    let mut own = Vec::new();
    while let Some(entry) = entries.of(&subject).await? {
        own.push(entry);
    }
    Ok(own)
}

fn read_concert(row: &Row) -> Sql<(ConcertId, StaffSubject)> {
    let concert = extension::read_concert(row, 0)?;
    let settings = Settings {
        max_active: small(row, 12)?,
        admit_per_second: small(row, 13)?,
        active_seconds: small(row, 14)?,
        claim_seconds: small(row, 15)?,
        paused: get(row, 16)?,
        sale: read_sale(row, 17, 18, 20)?,
        early_from: optional_instant(row, 21)?,
        draw_at: optional_instant(row, 22)?,
    };
    Ok((concert.id, StaffSubject::Concert(concert, settings)))
}

/// All charges under an external id, each with its ledger entry and the number of its log entries.
pub(super) async fn external_charges(mut connection: Connection, out: Out<ExternalRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let mut charges = Cursor::open(&transaction, CHARGES, read_charge).await?;
    while let Some(row) = charges.next().await? {
        out.row(row).await;
    }
    Ok(())
}

fn read_charge(row: &Row) -> Sql<ExternalRow> {
    let entry = get::<Option<&str>>(row, 0)?.map(|_| wallet::entry(row)).transpose()?;
    let charge = ExternalCharge {
        user: user(row, 9)?,
        version: number(row, 10)?,
        amount: get(row, 11)?,
        balance_after: get(row, 12)?,
        charged_at: instant(row, 13)?,
    };
    Ok(ExternalRow { external_id: get(row, 8)?, charge, entry, logged: number(row, 14)? })
}
