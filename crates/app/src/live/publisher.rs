//! Publishes the figures of this instance to the others.
//!
//! An instance writes its row if it sold or admitted since its last row, at most twice a second; then every other instance finds the
//! sales of the last minute, even if no client viewed figures before. While figures are viewed anywhere, it writes its row once a
//! second, with what it answered. Otherwise it writes nothing, and reads once a second whether figures are viewed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use onsale_domain::time::Timestamp;
use tokio_util::sync::CancellationToken;

use super::Live;
use super::part::Part;
use super::recent::WINDOW_SECONDS;
use crate::background::TaskMetrics;
use crate::store::{FigureBoard, Published, StoreError};

/// The time between two checks whether there is something to publish.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// Figures count as viewed for this long after they were read, in milliseconds.
const VIEWED_FOR_MILLIS: i64 = 5_000;

/// After a failure the next attempt comes after this long.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// A row is deleted this long after it was published, in milliseconds. It is read for a minute.
const KEPT_MILLIS: i64 = 2 * WINDOW_SECONDS * 1_000;

/// What was published last.
#[derive(Default)]
struct Last {
    /// The additions that it contained.
    additions: u64,
    /// Number of checks since then, or since the last read of what other instances view.
    checks: u32,
}

impl Live {
    /// Counts the answers of each second, and publishes figures, until stopped.
    pub async fn run(self: Arc<Self>, metrics: TaskMetrics, stop: CancellationToken) {
        let counting = async {
            let mut seconds = tokio::time::interval(Duration::from_secs(1));
            loop {
                seconds.tick().await;
                self.answers.end_second();
            }
        };
        let publishing = async {
            let Some(board) = &self.board else { return std::future::pending().await };
            let mut last = Last::default();
            loop {
                tokio::time::sleep(CHECK_EVERY).await;
                let published = self.publish_if_due(&**board, &mut last).await;
                metrics.ran(published.is_ok());
                if let Err(error) = published {
                    tracing::warn!(%error, "failed to publish figures of this instance; retrying in 2 s");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = counting => {}
            () = publishing => {}
        }
    }

    async fn publish_if_due(&self, board: &dyn FigureBoard, last: &mut Last) -> Result<(), StoreError> {
        last.checks += 1;
        let additions = self.recent.additions();
        let now = self.reader.now();
        if additions == last.additions {
            if last.checks < 2 {
                return Ok(());
            }
            last.checks = 0;
            if !self.is_viewed(board, now).await? {
                return Ok(());
            }
        }
        let part = Part::new(&self.recent.counts(now), self.answers.figures());
        let viewed_at = Timestamp::from_millis(self.viewed_at.load(Ordering::Relaxed));
        let published = Published { instance: self.instance, seen_at: now, viewed_at, figures: part.to_text() };
        board.publish(&published, now.plus_millis(-KEPT_MILLIS)).await?;
        *last = Last { additions, checks: 0 };
        Ok(())
    }

    /// Whether figures are viewed at any instance.
    async fn is_viewed(&self, board: &dyn FigureBoard, now: Timestamp) -> Result<bool, StoreError> {
        let since = now.plus_millis(-VIEWED_FOR_MILLIS);
        if since.as_millis() < self.viewed_at.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let published = board.published(since).await?;
        Ok(published.iter().any(|published| since < published.viewed_at))
    }
}
