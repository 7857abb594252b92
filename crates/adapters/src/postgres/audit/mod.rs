//! Streams of rows for the audit. Instances may go on selling meanwhile.
//!
//! All streams read one snapshot, taken when the audit was opened. A transaction keeps it open for the whole audit, and each
//! stream imports it into a transaction of its own. No row is locked.
//!
//! No stream looks up single rows. Each statement returns one table (or a join) in the order of a key, sorted on the server's
//! disk if no index helps. Rows that belong together are merged here. So neither side keeps more than a few pages of rows
//! in memory, however large the tables are.

mod code;
mod concert;
mod cursor;
mod draw;
mod event;
mod family;
mod lecture;
mod outbox;
mod payment;
mod refund;
mod room;
mod snapshot;
mod staff;
mod ticket;
mod wallet;

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use onsale_app::audit::source::{
    AuditSource, CodeRow, DrawRow, ExtendedRow, ExternalRow, FamilyRow, LectureRow, MarkRow, MisplacedRow, PaymentRow,
    PerformanceRow, RefundRow, ReservationRow, RoomRow, Rows, SeatRow, StaffRow, TicketsRow, ToldRow, WalletRow,
};
use onsale_app::store::StoreError;
use onsale_domain::time::Timestamp;
use tokio::sync::mpsc::{Sender, channel};

use super::values::Sql;
use super::{OpenError, PostgresUrl};
use snapshot::{Connection, Snapshot};

/// Maximum number of rows that are read ahead. Beyond it reading waits for the check.
const AHEAD_MAX: usize = 1_024;

/// Reads rows for the audit. Uses one connection for the snapshot, and another for each open stream.
pub struct PostgresAudit {
    snapshot: Arc<Snapshot>,
}

impl PostgresAudit {
    /// Takes the snapshot of a database, which must have this binary's schema.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(url: &PostgresUrl) -> Result<Self, OpenError> {
        Ok(Self { snapshot: Arc::new(Snapshot::take(url).await?) })
    }

    /// Reads in a task and over a connection of its own. Both end when the receiver is dropped, even during a long sort.
    fn stream<T, F>(&self, read: impl FnOnce(Connection, Out<T>) -> F + Send + 'static) -> Rows<T>
    where
        T: Send + 'static,
        F: Future<Output = Sql<()>> + Send,
    {
        let (sender, rows) = channel(AHEAD_MAX);
        let snapshot = self.snapshot.clone();
        tokio::spawn(async move {
            let out = Out(sender.clone());
            let reading = async { read(snapshot.connect().await?, out).await };
            let read = match select(pin!(reading), pin!(sender.closed())).await {
                Either::Left((read, _)) => read,
                Either::Right(((), _)) => return,
            };
            if let Err(error) = read {
                let _ = sender.send(Err(error.into())).await;
            }
        });
        rows
    }
}

/// The sending end of a stream.
struct Out<T>(Sender<Result<T, StoreError>>);

impl<T> Out<T> {
    /// Sends a row. Waits while 1,024 rows are unchecked. If the receiver is gone, the row is dropped: the task is about to end.
    async fn row(&self, row: T) {
        let _ = self.0.send(Ok(row)).await;
    }
}

impl AuditSource for PostgresAudit {
    fn wallets(&self) -> Rows<WalletRow> {
        self.stream(wallet::wallets)
    }

    fn lectures(&self) -> Rows<LectureRow> {
        self.stream(lecture::lectures)
    }

    fn performances(&self) -> Rows<PerformanceRow> {
        self.stream(concert::performances)
    }

    fn extensions(&self) -> Rows<ExtendedRow> {
        self.stream(concert::extensions)
    }

    fn seats(&self) -> Rows<SeatRow> {
        self.stream(concert::seats)
    }

    fn reservations(&self) -> Rows<ReservationRow> {
        self.stream(concert::reservations)
    }

    fn payments(&self) -> Rows<PaymentRow> {
        self.stream(payment::payments)
    }

    fn refunds(&self) -> Rows<RefundRow> {
        self.stream(refund::refunds)
    }

    fn codes(&self) -> Rows<CodeRow> {
        self.stream(code::codes)
    }

    fn tickets(&self) -> Rows<TicketsRow> {
        self.stream(ticket::tickets)
    }

    fn rooms(&self) -> Rows<RoomRow> {
        self.stream(room::rooms)
    }

    fn draws(&self) -> Rows<DrawRow> {
        self.stream(draw::draws)
    }

    fn families(&self) -> Rows<FamilyRow> {
        self.stream(family::families)
    }

    fn forgotten(&self) -> Rows<Timestamp> {
        self.stream(event::forgotten)
    }

    fn marks(&self) -> Rows<MarkRow> {
        self.stream(outbox::marks)
    }

    fn misplaced(&self) -> Rows<MisplacedRow> {
        self.stream(outbox::misplaced)
    }

    fn external_charges(&self) -> Rows<ExternalRow> {
        self.stream(staff::external_charges)
    }

    fn staff(&self) -> Rows<StaffRow> {
        self.stream(staff::subjects)
    }

    fn events(&self) -> Rows<ToldRow> {
        self.stream(event::events)
    }
}
