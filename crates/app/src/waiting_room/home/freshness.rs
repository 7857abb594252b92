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

    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    use super::*;

    /// Longer than any refresh takes, on a busy machine too.
    const LONG: Duration = Duration::from_secs(60);

    type Refresh = Pin<Box<dyn Future<Output = bool> + Send>>;

    /// A refresh that begins at once and ends when it gets a permit. Counts the refreshes that began and those that ended.
    struct Held {
        permits: Arc<Semaphore>,
        begun: Arc<AtomicU32>,
        ended: Arc<AtomicU32>,
    }

    impl Held {
        fn with(permits: usize) -> Self {
            Self { permits: Arc::new(Semaphore::new(permits)), begun: Arc::default(), ended: Arc::default() }
        }

        fn refresh(&self, is_ok: bool) -> impl Fn() -> Refresh + Clone + use<> {
            let (permits, begun, ended) = (self.permits.clone(), self.begun.clone(), self.ended.clone());
            move || {
                begun.fetch_add(1, Ordering::SeqCst);
                let (permits, ended) = (permits.clone(), ended.clone());
                Box::pin(async move {
                    drop(permits.acquire().await);
                    ended.fetch_add(1, Ordering::SeqCst);
                    is_ok
                })
            }
        }

        fn counts(&self) -> (u32, u32) {
            (self.begun.load(Ordering::SeqCst), self.ended.load(Ordering::SeqCst))
        }
    }

    #[tokio::test]
    async fn a_refresh_ends_although_the_entry_that_began_it_waits_no_longer() {
        let freshness = Arc::new(Freshness::new(Duration::from_millis(50), Duration::ZERO));
        let held = Held::with(0);
        let mut entries = JoinSet::new();
        for _ in 0..100 {
            let (freshness, refresh) = (freshness.clone(), held.refresh(true));
            entries.spawn(async move { freshness.wait(|| false, refresh).await });
        }
        tokio::time::timeout(LONG, entries.join_all()).await.expect("no entry waits for the end of the refresh");
        assert_eq!(held.counts(), (1, 0), "one for all entries");
        held.permits.add_permits(1);
        while held.counts().1 == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(held.counts(), (1, 1));
    }

    #[tokio::test]
    async fn an_entry_returns_once_the_snapshot_is_fresh() {
        let (freshness, held) = (Freshness::new(LONG, Duration::ZERO), Held::with(1));
        let refresh = held.refresh(true);
        freshness.wait(|| held.counts().1 > 0, &refresh).await;
        assert_eq!(held.counts(), (1, 1));
        freshness.wait(|| true, &refresh).await;
        assert_eq!(held.counts(), (1, 1), "none is needed");
        // A clock that makes no snapshot fresh costs two refreshes, not one after another until the time is over.
        freshness.wait(|| false, &refresh).await;
        assert_eq!(held.counts(), (3, 3));
    }

    #[tokio::test]
    async fn after_a_failure_no_entry_waits() {
        let (freshness, held) = (Freshness::new(LONG, LONG), Held::with(1));
        let refresh = held.refresh(false);
        for _ in 0..5 {
            freshness.wait(|| false, &refresh).await;
        }
        assert_eq!(held.counts(), (1, 1));
        let (freshness, held) = (Freshness::new(LONG, Duration::from_millis(1)), Held::with(1));
        let refresh = held.refresh(false);
        // The next attempt comes after the rest.
        while held.counts().0 < 2 {
            freshness.wait(|| false, &refresh).await;
            tokio::task::yield_now().await;
        }
    }
}
