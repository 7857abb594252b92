//! The outbox: its marks, and events at impossible positions.

use onsale_app::audit::source::{MarkRow, MisplacedRow};
use onsale_domain::ids::EventId;
use uuid::Uuid;

use super::super::positions::{is_misplaced, placed};
use super::super::values::{Sql, get, number, small};
use super::Out;
use super::snapshot::Connection;

const MARKS: &str = "SELECT part, sent_to, checked_to, EXISTS (SELECT FROM events
            WHERE position = sent_to AND sent_to = checked_to AND event_id <> checked_id),
        (SELECT coalesce(max(position), 0) FROM events)
    FROM relay_parts ORDER BY part";

const MISPLACED: &str = concat!(
    "WITH ",
    placed!(),
    " SELECT count(*), count(*) FILTER (WHERE it_is), (array_agg(event_id) FILTER (WHERE it_is))[1:10]
    FROM (SELECT event_id, ",
    is_misplaced!(),
    " AS it_is FROM placed, restored) events"
);

pub(super) async fn marks(mut connection: Connection, out: Out<MarkRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    for row in transaction.query(MARKS, &[]).await? {
        let checked_to = get::<Option<i64>>(&row, 2)?.and_then(|to| u64::try_from(to).ok());
        let (part, sent_to, last) = (small(&row, 0)?, number(&row, 1)?, number(&row, 4)?);
        out.row(MarkRow { part, sent_to, checked_to, is_other_event: get(&row, 3)?, last }).await;
    }
    Ok(())
}

/// Reads all events twice, without a sort.
pub(super) async fn misplaced(mut connection: Connection, out: Out<MisplacedRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let row = transaction.query_one(MISPLACED, &[]).await?;
    let examples: Option<Vec<Uuid>> = get(&row, 2)?;
    let examples = examples.into_iter().flatten().map(EventId::new).collect();
    out.row(MisplacedRow { events: number(&row, 0)?, misplaced: number(&row, 1)?, examples }).await;
    Ok(())
}
