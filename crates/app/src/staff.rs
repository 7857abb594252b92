//! The keys of staff as this process knows them. Every call of staff is judged by them, so they are checked four times a
//! second: a key that was deleted by any instance ends here within one second.
//!
//! A change is also judged in its transaction, by the row of the key ([`onsale_domain::staff::ByStaff`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use onsale_domain::ids::StaffKeyId;
use onsale_domain::staff::{KEYS_MAX, Key, NoteUses};
use onsale_domain::time::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::background::TaskMetrics;
use crate::desk::Desk;
use crate::store::{Page, Reader, StoreError};

/// The time from one check to the next.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// A check that takes longer has failed.
const CHECK_WITHIN: Duration = Duration::from_millis(800);

/// The shortest time between two checks for unknown keys: a client can invent any number of keys.
const UNKNOWN_EVERY: Duration = Duration::from_millis(100);

/// How long what was read may be trusted. Then only a new check can tell whether a key still lives.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// Unit of the time of the last use, in milliseconds.
const MINUTE_MILLIS: i64 = 60_000;

/// The keys at one instant.
struct Known {
    /// The version of the directory; `None` before the first read.
    version: Option<u64>,
    /// Live keys by the SHA-256 of their secret.
    keys: Arc<HashMap<[u8; 32], Arc<Key>>>,
    /// The beginning of the check: what was committed before is known.
    as_of: Instant,
}

/// The live keys of staff.
pub struct StaffKeys {
    reader: Arc<dyn Reader>,
    /// Replaced by each check, read without a lock.
    known: ArcSwap<Known>,
    /// Held during a check, so that callers that come meanwhile share the next one.
    checking: tokio::sync::Mutex<()>,
    /// The minute of the last use of each key here. Held for one lookup or a copy.
    uses: Mutex<HashMap<StaffKeyId, Use>>,
    /// Wakes the task that saves the uses.
    used: Notify,
}

#[derive(Clone, Copy)]
struct Use {
    at: Timestamp,
    is_saved: bool,
}

impl StaffKeys {
    /// Reads all keys.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read.
    pub async fn load(reader: Arc<dyn Reader>) -> Result<Self, StoreError> {
        let known = Known { version: None, keys: Arc::default(), as_of: Instant::now() };
        let keys = Self {
            reader,
            known: ArcSwap::from_pointee(known),
            checking: tokio::sync::Mutex::default(),
            uses: Mutex::default(),
            used: Notify::new(),
        };
        keys.read().await?;
        Ok(keys)
    }

    /// Whether there was any key at the last check.
    pub fn is_empty(&self) -> bool {
        self.known.load().keys.is_empty()
    }

    /// Whether a secret with this hash was a key at the last check. For limits only: it may be deleted since.
    pub fn is_known(&self, hash: &[u8; 32]) -> bool {
        self.known.load().keys.contains_key(hash)
    }

    /// The live key whose secret has this hash. Waits for a check if the last one is a second old, or if the key is not
    /// known: another instance may have made it just now.
    ///
    /// # Errors
    /// [`StoreError`] if the keys cannot be checked.
    pub async fn find(&self, hash: &[u8; 32]) -> Result<Option<Arc<Key>>, StoreError> {
        let asked = Instant::now();
        let known = self.known.load_full();
        if known.as_of.elapsed() >= TRUSTED_FOR {
            self.check(asked).await?;
        } else if !known.keys.contains_key(hash) {
            tokio::time::sleep_until((known.as_of + UNKNOWN_EVERY).into()).await;
            self.check(asked).await?;
        }
        let key = self.known.load().keys.get(hash).cloned();
        key.iter().for_each(|key| self.note_use(key.id));
        Ok(key)
    }

    /// Whether the keys were checked within the last second.
    pub fn is_checked(&self) -> bool {
        self.known.load().as_of.elapsed() < TRUSTED_FOR
    }

    /// Reads what this process has just changed, so that its clients see it at once.
    ///
    /// # Errors
    /// [`StoreError`] if the keys cannot be checked.
    pub async fn see_own_changes(&self) -> Result<(), StoreError> {
        self.check(Instant::now()).await
    }

    /// Reads the keys as of `since` or later. One check runs at a time, and its result is for all who wait.
    async fn check(&self, since: Instant) -> Result<(), StoreError> {
        let checking = async {
            let _one = self.checking.lock().await;
            if self.known.load().as_of >= since { Ok(()) } else { self.read().await }
        };
        let late = |_| StoreError::Unavailable("the keys of staff could not be checked within 800 ms".to_owned());
        tokio::time::timeout(CHECK_WITHIN, checking).await.map_err(late)?
    }

    async fn read(&self) -> Result<(), StoreError> {
        // Before the query: a key that was deleted before this instant is not in the answer.
        let as_of = Instant::now();
        let version = Some(self.reader.staff_version().await?);
        let known = self.known.load_full();
        let keys = if version == known.version {
            known.keys.clone()
        } else {
            // After the version: these keys are as of it or of a later one, and the next check reads them again.
            let page = Page { after: None, limit: KEYS_MAX as usize };
            let keys = self.reader.staff_keys(page).await?.into_iter();
            Arc::new(keys.map(|listed| (listed.key.hash, Arc::new(listed.key))).collect())
        };
        self.known.store(Arc::new(Known { version, keys, as_of }));
        Ok(())
    }

    fn note_use(&self, key: StaffKeyId) {
        let now = self.reader.now().as_millis();
        let at = Timestamp::from_millis(now - now.rem_euclid(MINUTE_MILLIS));
        let mut uses = self.uses.lock();
        if uses.get(&key).is_none_or(|last| last.at < at) {
            uses.insert(key, Use { at, is_saved: false });
            drop(uses);
            self.used.notify_one();
        }
    }

    /// The uses that are not saved yet.
    fn unsaved(&self) -> Vec<(StaffKeyId, Timestamp)> {
        let uses = self.uses.lock();
        let mut unsaved: Vec<_> =
            uses.iter().filter(|(_, used)| !used.is_saved).map(|(id, used)| (*id, used.at)).collect();
        unsaved.sort_unstable();
        unsaved
    }

    /// Checks the keys until stopped, and saves when they were used last: once for each key and minute.
    pub async fn run(self: Arc<Self>, desk: Arc<Desk>, metrics: TaskMetrics, stop: CancellationToken) {
        let saving = self.clone().save_uses(desk, stop.clone());
        let checking = async {
            loop {
                let checked = self.check(Instant::now()).await;
                metrics.ran(checked.is_ok());
                if let Err(error) = checked {
                    tracing::warn!(%error, "failed to check the keys of staff; their calls get 503 until a check succeeds");
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(CHECK_EVERY) => {}
                }
            }
        };
        tokio::join!(saving, checking);
    }

    async fn save_uses(self: Arc<Self>, desk: Arc<Desk>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.used.notified() => {}
            }
            let unsaved = self.unsaved();
            let saved = desk.submit_patiently(NoteUses { uses: unsaved.clone() }).await;
            match saved {
                Ok(_) => {
                    let mut uses = self.uses.lock();
                    for (id, at) in unsaved {
                        uses.entry(id).and_modify(|used| used.is_saved |= used.at == at);
                    }
                }
                // The next use in another minute saves it, or this one after a rest.
                Err(error) => {
                    tracing::warn!(%error, "failed to save when keys of staff were used; retrying in 1 s");
                    tokio::time::sleep(TRUSTED_FOR).await;
                    self.used.notify_one();
                }
            }
        }
    }
}
