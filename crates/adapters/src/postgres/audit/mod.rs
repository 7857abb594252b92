//! What the audit reads, beside instances that go on selling.
//!
//! Everything is read from one snapshot, that of the moment when the audit was opened: a transaction keeps it for as
//! long as the audit lives, and each stream takes it over into a transaction of its own. No row is locked.
//!
//! Nothing is looked up row by row. Each statement gives one table (or a join) in the order of a key, which the server
//! sorts on disk where no index helps; what belongs together is merged here as the rows come by. So neither side
//! holds more than a few pages of rows, however many there are.

mod concert;
mod cursor;
mod event;
mod family;
mod lecture;
mod outbox;
mod payment;
mod room;
mod snapshot;
mod wallet;

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use onsale_app::audit::source::{
    AuditSource, FamilyRow, LectureRow, MarkRow, MisplacedRow, PaymentRow, PerformanceRow, ReservationRow, RoomRow,
    Rows, SeatRow, ToldRow, WalletRow,
};
use onsale_app::store::StoreError;
use onsale_domain::time::Timestamp;
use tokio::sync::mpsc::{Sender, channel};

use super::values::Sql;
use super::{OpenError, PostgresUrl};
use snapshot::{Connection, Snapshot};

/// Rows that are read and not yet checked.
const AHEAD_MAX: usize = 1_024;

/// Reads for the audit. Keeps one connection, and another for each stream that is being read.
pub struct PostgresAudit {
    snapshot: Arc<Snapshot>,
}

impl PostgresAudit {
    /// Reads a database as it is now, which must have this binary's schema.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(url: &PostgresUrl) -> Result<Self, OpenError> {
        Ok(Self { snapshot: Arc::new(Snapshot::take(url).await?) })
    }

    /// Reads on a task and a connection of its own. Both end where nobody listens any more, also in the midst of a
    /// long sort.
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

/// Where a stream's rows go.
struct Out<T>(Sender<Result<T, StoreError>>);

impl<T> Out<T> {
    /// Waits while too many rows are unchecked. Where nobody listens any more, the whole stream is about to end.
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

    fn seats(&self) -> Rows<SeatRow> {
        self.stream(concert::seats)
    }

    fn reservations(&self) -> Rows<ReservationRow> {
        self.stream(concert::reservations)
    }

    fn payments(&self) -> Rows<PaymentRow> {
        self.stream(payment::payments)
    }

    fn rooms(&self) -> Rows<RoomRow> {
        self.stream(room::rooms)
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

    fn events(&self) -> Rows<ToldRow> {
        self.stream(event::events)
    }
}
