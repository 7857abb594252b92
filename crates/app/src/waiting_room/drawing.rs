//! Draws: any instance computes the order of a closed list, and the first one stores it.
//!
//! Reading and hashing run outside the lanes. What is stored decides: seed, list and beacon. So instances that compute at the same
//! time get the same order, and one that crashes is replaced by any other.

use std::collections::HashMap;
use std::sync::Arc;

use onsale_domain::ids::{ConcertId, TokenId};
use onsale_domain::waiting_room::{Draw, DrawKey, List, ListHash, NoteList, Places, StoreDraw, Token};

use super::{Driver, LiveRoom, Rooms};
use crate::desk::Failure;
use crate::store::{EntryRow, Page, StoreError};

/// Entries that are read together.
const READ_TOGETHER: usize = 10_000;

/// An entry of a list while it is drawn: its token and its number.
type Entry = (TokenId, u32);

/// Why a draw did not get further. The next visit tries again.
#[derive(Debug, thiserror::Error)]
enum NotDrawn {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the desk failed: {0:?}")]
    Desk(Failure),
    #[error("the computation ended early")]
    Aborted,
    #[error("the stored order is not one of distinct numbers")]
    Broken,
}

impl Rooms {
    /// Loads the order of a draw into memory.
    async fn load_order(&self, room: &LiveRoom) -> Result<(), NotDrawn> {
        if let Some(order) = self.reader.drawn_order(room.concert()).await? {
            room.drawn.store(Places::from_order(&order).ok_or(NotDrawn::Broken)?);
            self.moved.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// All entries of a closed list, and the tokens of those that left since.
    async fn entries_of(&self, room: &LiveRoom, list: List) -> Result<(Vec<Entry>, Vec<Token>), NotDrawn> {
        let mut entries = Vec::with_capacity(usize::try_from(list.entries).unwrap_or(0));
        let mut left = Vec::new();
        let mut after = None;
        loop {
            let page = Page { after, limit: READ_TOGETHER };
            let rows = self.reader.draw_entries(room.concert(), list, page).await?;
            let Some(last) = rows.last() else { return Ok((entries, left)) };
            after = Some(last.token.place);
            for EntryRow { token, is_replaced } in rows {
                entries.push((token.id, u32::try_from(token.place).map_err(|_| NotDrawn::Broken)?));
                if is_replaced {
                    left.push(token);
                }
            }
        }
    }
}

impl Driver {
    /// Draws the list of a room, or loads its order, if one of both is due and no task does it.
    pub(super) fn draw_if_due(&self, room: &Arc<LiveRoom>) {
        let list = room.list_to_draw();
        let is_due = list.is_some() || room.needs_order();
        if !is_due || !room.drawn.begin(self.clock.now()) {
            return;
        }
        let (driver, room) = (self.clone(), room.clone());
        tokio::spawn(async move {
            let done = match list {
                Some(list) => driver.draw(&room, list).await,
                None => driver.rooms.load_order(&room).await,
            };
            if let Err(error) = done {
                tracing::warn!(concert.id = %room.concert(), %error, "failed to draw; retrying in 250 ms");
            }
            room.drawn.end();
        });
    }

    async fn draw(&self, room: &LiveRoom, list: List) -> Result<(), NotDrawn> {
        let concert = room.concert();
        let Some(record) = self.rooms.reader.draw(concert).await? else { return Ok(()) };
        if record.entries_hash.is_some() && record.awaits_beacon() {
            return Ok(());
        }
        let (entries, left) = self.rooms.entries_of(room, list).await?;
        let awaits_beacon = record.awaits_beacon();
        let computed = tokio::task::spawn_blocking(move || computed(concert, &record, entries, left));
        let store = computed.await.map_err(|_| NotDrawn::Aborted)?;
        let note = NoteList { concert, entries: list.entries, hash: store.entries_hash };
        let _ = self.desk.submit_patiently(note).await.map_err(NotDrawn::Desk)?;
        if !awaits_beacon {
            let _ = self.desk.submit_patiently(store).await.map_err(NotDrawn::Desk)?;
        }
        let _ = self.rooms.refresh().await;
        Ok(())
    }
}

/// The order of a list, as it is stored. Blocks for some seconds if there are millions of entries.
fn computed(concert: ConcertId, record: &Draw, mut entries: Vec<Entry>, left: Vec<Token>) -> StoreDraw {
    entries.sort_unstable_by_key(|(token, _)| *token);
    let mut hash = ListHash::default();
    entries.iter().for_each(|(token, _)| hash.add(&[*token]));
    let entries_hash = hash.finish();
    let value = record.value.clone();
    let key = DrawKey::of(&record.seed, concert, entries_hash, value.as_deref().unwrap_or_default().as_bytes());
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let order = key.order_of(count, |index| entries[index as usize].0);
    let order: Arc<[u32]> = order.into_iter().map(|index| entries[index as usize].1).collect();
    let left_at: HashMap<u32, Token> =
        left.into_iter().filter_map(|token| Some((u32::try_from(token.place).ok()?, token))).collect();
    let left = if left_at.is_empty() {
        Vec::new()
    } else {
        (1..).zip(&*order).filter_map(|(drawn, number)| Some((drawn, left_at.get(number)?.clone()))).collect()
    };
    StoreDraw { concert, entries_hash, value, order, left }
}
