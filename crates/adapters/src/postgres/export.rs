//! Whole lists for staff, and pages of them.

use async_trait::async_trait;
use onsale_app::store::{
    Applicant, Attendee, EXPORT_WITHIN, EXPORTED_TOGETHER, ExportRow, ExportRows, Exports, Page, StoreError,
};
use onsale_domain::concert::Seating;
use onsale_domain::ids::{PaymentId, PerformanceId};
use onsale_domain::staff::Export;
use tokio::task::AbortHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row, Transaction};

use super::PostgresUrl;
use super::connection::Role;
use super::error::DbError;
use super::session::Session;
use super::values::{Sql, instant, int, limit, optional_instant, params, seating, small, user, uuid};

/// Sold seats with their payments, in the order of seats. A seat that was refunded has no row, or a row of its next owner. The
/// payment of each seat is looked up by key, also without statistics.
const ATTENDEES: &str = "SELECT s.seat, p.user_id, p.payment_id, p.paid_at, c.at
    FROM seats s CROSS JOIN LATERAL (SELECT user_id, payment_id, paid_at FROM payments own
        WHERE own.reservation_id = s.reservation_id OFFSET 0) p
    LEFT JOIN LATERAL (SELECT at FROM check_ins WHERE check_ins.payment_id = p.payment_id AND check_ins.seat = s.seat
        AND standing = 'COUNTS' OFFSET 0) c ON true
    WHERE s.performance_id = $1 AND s.sold AND s.seat > $2 ORDER BY s.seat LIMIT $3";

/// As [`ATTENDEES`], for a whole list, which the planner joins as it likes.
const ALL_ATTENDEES: &str = "SELECT s.seat, p.user_id, p.payment_id, p.paid_at, c.at
    FROM seats s JOIN payments p ON p.reservation_id = s.reservation_id
    LEFT JOIN check_ins c ON c.payment_id = p.payment_id AND c.seat = s.seat AND c.standing = 'COUNTS'
    WHERE s.performance_id = $1 AND s.sold ORDER BY s.seat";

const ALL_APPLICANTS: &str =
    "SELECT seat_number, user_id, applied_at FROM applications WHERE lecture_id = $1 AND seat_number > 0
    ORDER BY seat_number";

const SECTIONS: &str = "SELECT sections FROM performances WHERE performance_id = $1";

#[cfg(test)]
pub(super) const READS: &[&str] = &[ATTENDEES, SECTIONS];

/// Reads whole lists, each over a connection of its own: the connections of other reads end a statement after 4 s.
pub(super) struct PostgresExports {
    url: PostgresUrl,
}

impl PostgresExports {
    pub(super) fn new(url: &PostgresUrl) -> Self {
        Self { url: url.clone() }
    }
}

/// Closes a connection when it is dropped. A server that sorts would not read a polite goodbye.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl Exports for PostgresExports {
    async fn export(&self, list: Export, rows: ExportRows) -> Result<(), StoreError> {
        let (mut client, driver) = self.url.connect(Role::Export).await?;
        let _driver = Driver(driver);
        let reading = async {
            let transaction = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
            read(&transaction.read_only(true).start().await?, list, &rows).await
        };
        // Beyond the time the connection is closed, and its transaction ends with it.
        tokio::time::timeout(EXPORT_WITHIN, reading).await.map_err(|_| DbError::Late)??;
        Ok(())
    }
}

/// Reads a list in one transaction.
async fn read(transaction: &Transaction<'_>, list: Export, rows: &ExportRows) -> Sql<()> {
    match list {
        Export::Attendees(performance) => {
            let id = performance.uuid();
            let Some(row) = transaction.query_opt(SECTIONS, &[&id]).await? else { return Ok(()) };
            let seating = seating(&row, 0)?;
            let read = |row: &Row| attendee(row, &seating).map(ExportRow::Attendee);
            pass_on(transaction, ALL_ATTENDEES, &[&id], rows, read).await
        }
        Export::Applicants(lecture) => {
            let read = |row: &Row| applicant(row).map(ExportRow::Applicant);
            pass_on(transaction, ALL_APPLICANTS, &[&lecture.uuid()], rows, read).await
        }
    }
}

/// Reads all rows of a statement through a portal and passes them on in groups. A portal is planned to be read to its end.
async fn pass_on(
    transaction: &Transaction<'_>,
    sql: &'static str,
    wanted: &[&(dyn ToSql + Sync)],
    rows: &ExportRows,
    read: impl Fn(&Row) -> Sql<ExportRow>,
) -> Sql<()> {
    let portal = transaction.bind(sql, wanted).await?;
    loop {
        let group = transaction.query_portal(&portal, i32::try_from(EXPORTED_TOGETHER).unwrap_or(i32::MAX)).await?;
        let is_last = group.len() < EXPORTED_TOGETHER;
        let group = group.iter().map(&read).collect::<Sql<Vec<_>>>()?;
        rows.send(group).await.map_err(|_| DbError::Away("the receiver of an export is gone".to_owned()))?;
        if is_last {
            return Ok(());
        }
    }
}

/// A page of the attendees of a performance.
pub(super) async fn attendees(session: &Session, performance: PerformanceId, page: Page<u32>) -> Sql<Vec<Attendee>> {
    let wanted = params![performance.uuid(), int(page.after.unwrap_or(0)), limit(page.limit)];
    let found = session.query(ATTENDEES, wanted).await?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    // After the seats: a performance only gets further sections, so these have all seats that were found.
    let sections = session.query(SECTIONS, params![performance.uuid()]).await?;
    let seating = seating(sections.first().ok_or(DbError::Broken("no such performance"))?, 0)?;
    found.iter().map(|row| attendee(row, &seating)).collect()
}

fn attendee(row: &Row, seating: &Seating) -> Sql<Attendee> {
    let seat = small(row, 0)?;
    let section = seating.section_of(seat).ok_or(DbError::Broken("a sold seat of no section"))?;
    Ok(Attendee {
        seat,
        grade: section.grade.clone(),
        user: user(row, 1)?,
        payment: PaymentId::new(uuid(row, 2)?),
        paid_at: instant(row, 3)?,
        checked_in_at: optional_instant(row, 4)?,
    })
}

fn applicant(row: &Row) -> Sql<Applicant> {
    Ok(Applicant { seat_number: small(row, 0)?, user: user(row, 1)?, applied_at: instant(row, 2)? })
}
