//! The table in which instances announce clients that left.

use async_trait::async_trait;
use onsale_app::store::{LeaveBoard, Leaving, StoreError};
use onsale_domain::ids::{ConcertId, TokenId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Token;
use tokio_postgres::Row;
use uuid::Uuid;

use super::reader::PostgresReader;
use super::session::Session;
use super::values::{Sql, big, instant, number, params, user, uuid};

const ANNOUNCE: &str = "INSERT INTO leavings (token_id, concert_id, user_id, place, issued_at, asked_at, leaves_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (token_id) DO UPDATE SET place = $4, asked_at = $6, leaves_at = $7";

const WITHDRAW: &str = "DELETE FROM leavings WHERE token_id = ANY($1::uuid[])";

const ANNOUNCED: &str = "SELECT token_id, concert_id, user_id, place, issued_at, asked_at, leaves_at FROM leavings
    ORDER BY leaves_at, token_id LIMIT 10000";

/// Each row is taken by one instance: a row that another one has locked is skipped.
const TAKE_DUE: &str = "DELETE FROM leavings WHERE token_id IN (
        SELECT token_id FROM leavings WHERE leaves_at <= $1 ORDER BY leaves_at, token_id LIMIT 100 FOR UPDATE SKIP LOCKED)
    RETURNING token_id, concert_id, user_id, place, issued_at, asked_at, leaves_at";

#[cfg(test)]
pub(super) const READS: &[&str] = &[ANNOUNCE, WITHDRAW, ANNOUNCED, TAKE_DUE];

pub(super) async fn announce(session: &Session, leaving: &Leaving) -> Sql<()> {
    let Leaving { token: Token { id, concert, user, place, issued_at }, asked_at, leaves_at } = leaving;
    let row = params![
        id.uuid(),
        concert.uuid(),
        user.as_str(),
        big(*place),
        issued_at.as_millis(),
        asked_at.as_millis(),
        leaves_at.as_millis()
    ];
    session.query(ANNOUNCE, row).await.map(drop)
}

pub(super) async fn withdraw(session: &Session, tokens: &[TokenId]) -> Sql<()> {
    let tokens: Vec<Uuid> = tokens.iter().map(|token| token.uuid()).collect();
    session.query(WITHDRAW, params![tokens]).await.map(drop)
}

pub(super) async fn announced(session: &Session) -> Sql<Vec<Leaving>> {
    session.query(ANNOUNCED, Vec::new()).await?.iter().map(read).collect()
}

pub(super) async fn take_due(session: &Session, at: Timestamp) -> Sql<Vec<Leaving>> {
    session.query(TAKE_DUE, params![at.as_millis()]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Sql<Leaving> {
    let token = Token {
        id: TokenId::new(uuid(row, 0)?),
        concert: ConcertId::new(uuid(row, 1)?),
        user: user(row, 2)?,
        place: number(row, 3)?,
        issued_at: instant(row, 4)?,
    };
    Ok(Leaving { token, asked_at: instant(row, 5)?, leaves_at: instant(row, 6)? })
}

#[async_trait]
impl LeaveBoard for PostgresReader {
    async fn announce(&self, leaving: &Leaving) -> Result<(), StoreError> {
        self.announce_leaving(leaving).await
    }

    async fn withdraw(&self, tokens: &[TokenId]) -> Result<(), StoreError> {
        self.withdraw_leavings(tokens).await
    }

    async fn announced(&self) -> Result<Vec<Leaving>, StoreError> {
        self.announced_leavings().await
    }

    async fn take_due(&self, at: Timestamp) -> Result<Vec<Leaving>, StoreError> {
        self.take_due_leavings(at).await
    }
}
