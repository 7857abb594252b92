//! Announcements of clients that left, over the connections of reads.

use std::time::Instant;

use onsale_app::store::{Leaving, StoreError};
use onsale_domain::ids::TokenId;
use onsale_domain::time::Timestamp;

use super::{ATTEMPTS_MAX, PostgresReader};
use crate::postgres::error::DbError;
use crate::postgres::leaving;
use crate::postgres::slow_queries::{Kind, SLOW};

impl PostgresReader {
    pub(in crate::postgres) async fn announce_leaving(&self, leaving: &Leaving) -> Result<(), StoreError> {
        query!(self, Leavings, |session| leaving::announce(&session, leaving))
    }

    pub(in crate::postgres) async fn withdraw_leavings(&self, tokens: &[TokenId]) -> Result<(), StoreError> {
        query!(self, Leavings, |session| leaving::withdraw(&session, tokens))
    }

    pub(in crate::postgres) async fn announced_leavings(&self) -> Result<Vec<Leaving>, StoreError> {
        query!(self, Leavings, |session| leaving::announced(&session))
    }

    /// A repetition after a lost connection may miss what the first attempt took: those places stay.
    pub(in crate::postgres) async fn take_due_leavings(&self, at: Timestamp) -> Result<Vec<Leaving>, StoreError> {
        query!(self, Leavings, |session| leaving::take_due(&session, at))
    }
}
