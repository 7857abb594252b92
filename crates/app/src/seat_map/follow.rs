//! Follows the changes of other instances that sell from the same database: one query for all maps of a request.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::view::ViewCache;
use super::{SeatMaps, Slot};
use crate::store::StoreError;
use crate::store::news::News;

/// Maximum age of the other instances' changes when a map is shown.
const FOLLOWED_EVERY: Duration = Duration::from_millis(100);

/// How long a map is shown while the database cannot return the other instances' changes. Then requests fail.
const SHOWN_WITHOUT_NEWS: Duration = Duration::from_secs(3);

impl<C: ViewCache> SeatMaps<C> {
    /// Whether no request needs to ask for the other instances' changes of a map.
    pub(super) fn is_fresh(&self, slot: &Slot<C>) -> bool {
        self.news.is_none() || slot.is_followed_within(FOLLOWED_EVERY)
    }

    /// Asks for the other instances' changes of these maps, unless a request did so less than 100 ms ago for each of them.
    /// The maps are in the order of ids, so that no two requests wait for each other.
    pub(super) async fn follow(&self, slots: &[Arc<Slot<C>>]) -> Result<(), StoreError> {
        let Some(news) = &self.news else { return Ok(()) };
        let mut only_one_asks = Vec::with_capacity(slots.len());
        for slot in slots {
            only_one_asks.push(slot.loading.lock().await);
        }
        // Checked again under the locks: the task that held them may have asked.
        if slots.iter().all(|slot| self.is_fresh(slot)) {
            return Ok(());
        }
        // For all of them, so that they get old together: else each would be a query of its own again.
        let asked: Vec<&Slot<C>> = slots.iter().map(|slot| &**slot).collect();
        match self.ask_others(&asked, news).await {
            // A map may be a little old, because nothing is decided from it.
            Err(_) if slots.iter().all(|slot| slot.is_followed_within(SHOWN_WITHOUT_NEWS)) => Ok(()),
            answer => answer,
        }
    }

    /// Applies the other instances' changes after the known versions. The caller holds `loading` of each map.
    pub(super) async fn ask_others(&self, slots: &[&Slot<C>], news: &Arc<dyn News>) -> Result<(), StoreError> {
        // A map that is not read yet has no version to ask from.
        let known: Vec<_> = slots.iter().filter_map(|slot| Some((*slot, slot.version()?))).collect();
        if known.is_empty() {
            return Ok(());
        }
        let asked: Vec<_> = known.iter().map(|(slot, version)| (slot.showing.id, *version)).collect();
        // Taken before the query: what commits during the query may be missing from its answer.
        let began = Instant::now();
        self.reads.inc();
        let mut changes = news.seats(&asked).await?;
        for (slot, _) in known {
            let changes = changes.remove(&slot.showing.id).unwrap_or_default();
            // After a failover the versions of the map may belong to lost commits.
            let is_other_server = slot.server_changes.load(Ordering::Acquire) != news.server_changes();
            if is_other_server || !slot.catch_up(changes) {
                slot.forget();
            }
            slot.set_followed(Some(began));
        }
        Ok(())
    }
}
