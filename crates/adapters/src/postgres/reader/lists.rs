//! Queries for readers of tickets, draws and waiting lists of performances.

use std::time::Instant;

use async_trait::async_trait;
use onsale_app::store::{
    Conflict, Draws, EntryRow, ListedEntry, Manifest, Page, SeatLists, SigningKey, StoreError, Tickets, TicketsOf,
};
use onsale_domain::ids::{CheckInId, ConcertId, PaymentId, PerformanceId, TicketId, UserId};
use onsale_domain::ticket::CheckIn;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Draw, List, Token};

use super::{ATTEMPTS_MAX, PostgresReader};
use crate::postgres::error::DbError;
use crate::postgres::slow_queries::{Kind, SLOW};
use crate::postgres::{draw, seat_list, ticket_reads};

#[async_trait]
impl Tickets for PostgresReader {
    async fn ticket_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        query!(self, Tickets, |session| ticket_reads::keys(&session))
    }

    async fn tickets_of(&self, payments: &[PaymentId]) -> Result<Vec<TicketsOf>, StoreError> {
        query!(self, Tickets, |session| ticket_reads::of_payments(&session, payments))
    }

    async fn check_in(&self, id: CheckInId) -> Result<Option<CheckIn>, StoreError> {
        query!(self, CheckIns, |session| ticket_reads::one(&session, id))
    }

    async fn check_ins(&self, performance: PerformanceId, page: Page<CheckInId>) -> Result<Vec<CheckIn>, StoreError> {
        query!(self, CheckIns, |session| ticket_reads::list(&session, performance, page))
    }

    async fn conflicts(&self, performance: PerformanceId, page: Page<TicketId>) -> Result<Vec<Conflict>, StoreError> {
        query!(self, CheckIns, |session| ticket_reads::conflicts(&session, performance, page))
    }

    async fn manifest(&self, performance: PerformanceId, after: Option<u64>) -> Result<Option<Manifest>, StoreError> {
        query!(self, CheckIns, |session| ticket_reads::manifest(&session, performance, after))
    }
}

#[async_trait]
impl SeatLists for PostgresReader {
    async fn seat_waits_of(
        &self,
        user: &UserId,
        concert: Option<ConcertId>,
        since: Timestamp,
    ) -> Result<Vec<ListedEntry>, StoreError> {
        query!(self, SeatLists, |session| seat_list::of_user(&session, user, concert, since))
    }

    async fn performances_to_serve(&self, at: Timestamp) -> Result<Vec<PerformanceId>, StoreError> {
        query!(self, SeatLists, |session| seat_list::to_serve(&session, at))
    }
}

#[async_trait]
impl Draws for PostgresReader {
    async fn draw(&self, concert: ConcertId) -> Result<Option<Draw>, StoreError> {
        query!(self, Draws, |session| draw::one(&session, concert))
    }

    async fn draw_entries(&self, concert: ConcertId, list: List, page: Page<u64>) -> Result<Vec<EntryRow>, StoreError> {
        query!(self, Draws, |session| draw::entries(&session, concert, list, page))
    }

    async fn drawn_order(&self, concert: ConcertId) -> Result<Option<Vec<u32>>, StoreError> {
        query!(self, Draws, |session| draw::order(&session, concert))
    }

    async fn draw_entry_of(&self, concert: ConcertId, user: &UserId, list: List) -> Result<Option<Token>, StoreError> {
        query!(self, Draws, |session| draw::entry_of(&session, concert, user, list))
    }
}
