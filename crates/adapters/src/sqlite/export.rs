//! Whole lists for staff, and pages of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use onsale_app::store::{
    Applicant, Attendee, EXPORT_WITHIN, EXPORTED_TOGETHER, ExportRow, ExportRows, Exports, Page, StoreError,
};
use onsale_domain::concert::Seating;
use onsale_domain::ids::{PaymentId, PerformanceId};
use onsale_domain::staff::Export;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::SendTimeoutError;

use super::connection::{Role, open, unavailable};
use super::values::{Sql, broken, instant, optional_instant, seating, user, uuid};
use super::{Shared, Slot};

/// Maximum number of exports at a time. A further one waits.
const EXPORTS: usize = 2;

/// Interval of checks whether the export must end while it waits for its rows to be taken.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Sold seats with their payments, in the order of seats. A seat that was refunded has no row, or a row of its next owner.
const ATTENDEES: &str = "SELECT s.seat, p.user_id, p.payment_id, p.paid_at, c.at
    FROM seats s JOIN payments p ON p.reservation_id = s.reservation_id
    LEFT JOIN check_ins c ON c.payment_id = p.payment_id AND c.seat = s.seat AND c.standing = 'COUNTS'
    WHERE s.performance_id = ?1 AND s.sold = 1 AND s.seat > ?2 ORDER BY s.seat LIMIT ?3";

const APPLICANTS: &str =
    "SELECT seat_number, user_id, applied_at FROM applications WHERE lecture_id = ?1 AND seat_number > 0
     ORDER BY seat_number";

/// Reads whole lists over connections of its own, so that other reads never wait for them.
#[derive(Debug)]
pub(super) struct SqliteExports {
    shared: Arc<Shared>,
    /// Locked for the whole of an export.
    slots: [Slot; EXPORTS],
}

impl SqliteExports {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: shared.clone(), slots: std::array::from_fn(|_| shared.slot()) }
    }

    /// Ends the exports that are under way, and waits for their ends.
    pub(super) fn stop(&self) {
        self.shared.export_ends.fetch_add(1, Ordering::Release);
        for slot in &self.slots {
            *slot.lock() = None;
        }
    }
}

#[async_trait]
impl Exports for SqliteExports {
    async fn export(&self, list: Export, rows: ExportRows) -> Result<(), StoreError> {
        let (shared, slots) = (self.shared.clone(), self.slots.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let slot = slots.iter().find_map(|slot| slot.try_lock());
            let mut slot = slot.unwrap_or_else(|| slots[0].lock());
            let ends = shared.export_ends.load(Ordering::Acquire);
            let db = slot.insert(open(&shared.path, Role::Reader)?);
            let out = Out { rows, shared: &shared, ends, until: Instant::now() + EXPORT_WITHIN };
            let read = read(db, list, &out);
            *slot = None;
            read
        });
        reading.await.unwrap_or_else(|_| Err(StoreError::Unavailable("an export failed".to_owned())))
    }
}

/// The receiver of the rows, and the end of the time for them.
struct Out<'a> {
    rows: ExportRows,
    shared: &'a Shared,
    /// The number of `export_ends` at the beginning.
    ends: u64,
    until: Instant,
}

impl Out<'_> {
    /// Passes rows on. Waits while the receiver has no room.
    ///
    /// # Errors
    /// If the time is over, the receiver was dropped, or all connections are about to be closed.
    fn send(&self, mut rows: Vec<ExportRow>) -> Result<(), StoreError> {
        loop {
            if Instant::now() >= self.until {
                return Err(StoreError::Unavailable("an export took longer than 25 s".to_owned()));
            }
            if self.shared.export_ends.load(Ordering::Acquire) != self.ends {
                return Err(StoreError::Unavailable("the connection of an export must be closed".to_owned()));
            }
            match Handle::current().block_on(self.rows.send_timeout(rows, CHECK_EVERY)) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Timeout(unsent)) => rows = unsent,
                Err(SendTimeoutError::Closed(_)) => {
                    return Err(StoreError::Unavailable("the receiver of an export is gone".to_owned()));
                }
            }
        }
    }
}

/// Reads a list in one transaction.
fn read(db: &Connection, list: Export, out: &Out<'_>) -> Result<(), StoreError> {
    let db = &*db.unchecked_transaction().map_err(unavailable)?;
    match list {
        Export::Attendees(performance) => {
            let Some(seating) = seating_of(db, performance).map_err(unavailable)? else { return Ok(()) };
            let id = performance.uuid();
            let wanted = params![id.as_bytes(), 0, i64::MAX];
            pass_on(db, ATTENDEES, wanted, out, |row| attendee(row, &seating).map(ExportRow::Attendee))
        }
        Export::Applicants(lecture) => pass_on(db, APPLICANTS, params![lecture.uuid().as_bytes()], out, |row| {
            applicant(row).map(ExportRow::Applicant)
        }),
    }
}

/// Reads all rows of a statement and passes them on in groups.
fn pass_on(
    db: &Connection,
    sql: &str,
    wanted: &[&dyn ToSql],
    out: &Out<'_>,
    read: impl Fn(&Row<'_>) -> Sql<ExportRow>,
) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(sql).map_err(unavailable)?;
    let mut rows = statement.query(wanted).map_err(unavailable)?;
    let mut group = Vec::with_capacity(EXPORTED_TOGETHER);
    while let Some(row) = rows.next().map_err(unavailable)? {
        group.push(read(row).map_err(unavailable)?);
        if group.len() == EXPORTED_TOGETHER {
            out.send(std::mem::replace(&mut group, Vec::with_capacity(EXPORTED_TOGETHER)))?;
        }
    }
    out.send(group)
}

/// A page of the attendees of a performance.
pub(super) fn attendees(db: &Connection, performance: PerformanceId, page: Page<u32>) -> Sql<Vec<Attendee>> {
    let Some(seating) = seating_of(db, performance)? else { return Ok(Vec::new()) };
    db.prepare_cached(ATTENDEES)?
        .query_map(params![performance.uuid().as_bytes(), page.after.unwrap_or(0), page.limit], |row| {
            attendee(row, &seating)
        })?
        .collect()
}

fn seating_of(db: &Connection, performance: PerformanceId) -> Sql<Option<Seating>> {
    db.prepare_cached("SELECT sections FROM performances WHERE performance_id = ?1")?
        .query_row([performance.uuid().as_bytes()], |row| seating(row, 0))
        .optional()
}

fn attendee(row: &Row<'_>, seating: &Seating) -> Sql<Attendee> {
    let seat = row.get(0)?;
    let section = seating.section_of(seat).ok_or_else(|| broken(0, "a sold seat of no section"))?;
    Ok(Attendee {
        seat,
        grade: section.grade.clone(),
        user: user(row, 1)?,
        payment: PaymentId::new(uuid(row, 2)?),
        paid_at: instant(row, 3)?,
        checked_in_at: optional_instant(row, 4)?,
    })
}

fn applicant(row: &Row<'_>) -> Sql<Applicant> {
    Ok(Applicant { seat_number: row.get(0)?, user: user(row, 1)?, applied_at: instant(row, 2)? })
}
