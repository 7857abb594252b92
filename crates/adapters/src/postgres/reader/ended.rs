//! Reads of ended sessions.

use std::time::Instant;

use async_trait::async_trait;
use onsale_app::store::{EndedSessions, StoreError};
use onsale_domain::session::EndedSession;

use super::{ATTEMPTS_MAX, PostgresReader};
use crate::postgres::ended_session;
use crate::postgres::error::DbError;
use crate::postgres::slow_queries::{Kind, SLOW};

#[async_trait]
impl EndedSessions for PostgresReader {
    async fn ended_sessions(&self, from: u64, limit: usize) -> Result<Vec<(u64, EndedSession)>, StoreError> {
        query!(self, EndedSessions, |session| ended_session::list(&session, from, limit))
    }
}
