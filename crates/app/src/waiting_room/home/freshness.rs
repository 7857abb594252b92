//! Refreshes for entries that Redis judges by a snapshot: an entry waits a bounded time, and its refresh goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

/// Refreshes one at a time, which all entries share.
pub(super) struct Freshness {
    /// How long an entry waits.
    within: Duration,
    /// After a refresh that failed, no entry waits for this long.
    rest: Duration,
    /// Held for a moment only, never over a refresh.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Ends with the refresh under way: its sender is dropped then.
    under_way: Option<watch::Receiver<()>>,
    /// When the last refresh failed; `None` after one that succeeded.
    failed_at: Option<Instant>,
}

impl Freshness {
    pub(super) fn new(within: Duration, rest: Duration) -> Self {
        Self { within, rest, state: Arc::default() }
    }

    /// Waits for a refresh unless the snapshot is fresh. `refresh` returns whether it succeeded. It runs in a task of its own: if
    /// it ended with an entry that waits no longer, a database that answers late would never refresh anything.
    pub(super) async fn wait<R>(&self, is_fresh: impl Fn() -> bool, refresh: impl Fn() -> R)
    where
        R: Future<Output = bool> + Send + 'static,
    {
        let refreshed = async {
            // The first refresh may have begun too long ago. The second begins later than the call.
            for _ in 0..2 {
                if is_fresh() {
                    return;
                }
                let Some(mut under_way) = self.join(&refresh) else { return };
                let _ = under_way.changed().await;
            }
        };
        let _ = tokio::time::timeout(self.within, refreshed).await;
    }

    /// The refresh under way, or a new one. `None` shortly after a failure.
    fn join<R>(&self, refresh: impl Fn() -> R) -> Option<watch::Receiver<()>>
    where
        R: Future<Output = bool> + Send + 'static,
    {
        let mut state = self.state.lock();
        if let Some(under_way) = state.under_way.as_ref().filter(|under_way| under_way.has_changed().is_ok()) {
            return Some(under_way.clone());
        }
        if state.failed_at.is_some_and(|at| at.elapsed() < self.rest) {
            return None;
        }
        let (sender, under_way) = watch::channel(());
        state.under_way = Some(under_way.clone());
        let (state, refresh) = (self.state.clone(), refresh());
        tokio::spawn(async move {
            let is_ok = refresh.await;
            state.lock().failed_at = (!is_ok).then(Instant::now);
            // After the result is noted: an entry that wakes up may look for it.
            drop(sender);
        });
        Some(under_way)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;

    const WITHIN: Duration = Duration::from_millis(50);

    type Refresh = Pin<Box<dyn Future<Output = bool> + Send>>;

    /// A refresh that takes this long. Counts the refreshes that ended.
    fn slow(ended: &Arc<AtomicU32>, takes: Duration, is_ok: bool) -> impl Fn() -> Refresh + Clone + use<> {
        let ended = ended.clone();
        move || {
            let ended = ended.clone();
            Box::pin(async move {
                sleep(takes).await;
                ended.fetch_add(1, Ordering::SeqCst);
                is_ok
            })
        }
    }

    #[tokio::test]
    async fn a_refresh_ends_although_the_entry_that_began_it_waits_no_longer() {
        let (freshness, ended) = (Arc::new(Freshness::new(WITHIN, Duration::ZERO)), Arc::new(AtomicU32::new(0)));
        let refresh = slow(&ended, WITHIN * 3, true);
        let began = Instant::now();
        let mut entries = JoinSet::new();
        for _ in 0..100 {
            let (freshness, refresh) = (freshness.clone(), refresh.clone());
            entries.spawn(async move { freshness.wait(|| false, refresh).await });
        }
        entries.join_all().await;
        assert!(began.elapsed() < WITHIN * 2, "{:?}", began.elapsed());
        assert_eq!(ended.load(Ordering::SeqCst), 0);
        sleep(WITHIN * 4).await;
        assert_eq!(ended.load(Ordering::SeqCst), 1, "one for all entries");
    }

    #[tokio::test]
    async fn an_entry_returns_once_the_snapshot_is_fresh() {
        let (freshness, ended) = (Freshness::new(WITHIN * 20, Duration::ZERO), Arc::new(AtomicU32::new(0)));
        let refresh = slow(&ended, WITHIN / 10, true);
        freshness.wait(|| ended.load(Ordering::SeqCst) > 0, &refresh).await;
        assert_eq!(ended.load(Ordering::SeqCst), 1);
        freshness.wait(|| true, &refresh).await;
        assert_eq!(ended.load(Ordering::SeqCst), 1, "none is needed");
        // A clock that makes no snapshot fresh costs two refreshes, not one after another until the time is over.
        freshness.wait(|| false, &refresh).await;
        assert_eq!(ended.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn after_a_failure_no_entry_waits() {
        let (freshness, ended) = (Freshness::new(WITHIN * 20, WITHIN * 4), Arc::new(AtomicU32::new(0)));
        let refresh = slow(&ended, Duration::ZERO, false);
        for _ in 0..5 {
            freshness.wait(|| false, &refresh).await;
        }
        assert_eq!(ended.load(Ordering::SeqCst), 1);
        sleep(WITHIN * 5).await;
        freshness.wait(|| false, &refresh).await;
        assert_eq!(ended.load(Ordering::SeqCst), 2, "the next attempt");
    }
}
