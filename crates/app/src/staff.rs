//! The keys of staff as this process knows them, and the sessions that stand for them. Every call of staff is judged by the
//! keys, so they are checked four times a second: a key that was deleted by any instance ends here within one second.
//!
//! A change is also judged in its transaction, by the row of the key ([`onsale_domain::staff::ByStaff`]).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use onsale_domain::ids::StaffKeyId;
use onsale_domain::staff::{Directory, KEYS_MAX, Key, NoteUses, Session, SessionHash};
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

/// The wait after uses could not be saved.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The keys at one instant.
struct Known {
    /// The counters of the keys; `None` before the first read.
    directory: Option<Directory>,
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
        let known = Known { directory: None, keys: Arc::default(), as_of: Instant::now() };
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

    /// Whether there was no key at the last check. For limits only: another instance may have made one since.
    pub fn were_none(&self) -> bool {
        self.known.load().keys.is_empty()
    }

    /// Whether there is any key. Waits for a check if this process knows none.
    ///
    /// # Errors
    /// [`StoreError`] if the keys cannot be checked.
    pub async fn are_any(&self) -> Result<bool, StoreError> {
        if self.were_none() {
            self.check_for_unknown(Instant::now()).await?;
        }
        Ok(!self.were_none())
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
        self.find_by(|keys| keys.get(hash).cloned()).await
    }

    /// The session with one of these hashes, if it has not ended, and the live key that it stands for; `None` instead of a
    /// key if that is the key of the settings. Reads the database each time: a sign-out at any instance counts at once.
    ///
    /// # Errors
    /// [`StoreError`] if the session cannot be read, or the keys cannot be checked.
    pub async fn session(&self, hashes: &[SessionHash]) -> Result<Option<(Session, Option<Arc<Key>>)>, StoreError> {
        let Some(session) = self.reader.staff_session(hashes).await? else { return Ok(None) };
        if session.expires_at <= self.reader.now() {
            return Ok(None);
        }
        let Some(id) = session.key else { return Ok(Some((session, None))) };
        let key = self.find_by(|keys| keys.values().find(|key| key.id == id).cloned()).await?;
        Ok(key.map(|key| (session, Some(key))))
    }

    /// Whether a key was not deleted, as of a check of the last second.
    ///
    /// # Errors
    /// [`StoreError`] if the keys cannot be checked.
    pub async fn is_live(&self, key: StaffKeyId) -> Result<bool, StoreError> {
        if self.known.load().as_of.elapsed() >= TRUSTED_FOR {
            self.check(Instant::now()).await?;
        }
        Ok(self.known.load().keys.values().any(|known| known.id == key))
    }

    /// Finds a live key. Waits for a check if the last one is a second old, or if the key is not known.
    async fn find_by(
        &self,
        find: impl Fn(&HashMap<[u8; 32], Arc<Key>>) -> Option<Arc<Key>>,
    ) -> Result<Option<Arc<Key>>, StoreError> {
        let asked = Instant::now();
        let known = self.known.load_full();
        if known.as_of.elapsed() >= TRUSTED_FOR {
            self.check(asked).await?;
        } else if find(&known.keys).is_none() {
            self.check_for_unknown(asked).await?;
        }
        let key = find(&self.known.load().keys);
        key.iter().for_each(|key| self.note_use(key.id));
        Ok(key)
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

    /// As [`Self::check`], for a client that may have invented a key: at most ten times a second.
    async fn check_for_unknown(&self, since: Instant) -> Result<(), StoreError> {
        let known = self.known.load_full();
        tokio::time::sleep_until((known.as_of + UNKNOWN_EVERY).into()).await;
        self.check(since).await
    }

    async fn read(&self) -> Result<(), StoreError> {
        // Before the query: a key that was deleted before this instant is not in the answer.
        let as_of = Instant::now();
        let directory = Some(self.reader.staff_directory().await?);
        let known = self.known.load_full();
        let keys = if directory == known.directory {
            known.keys.clone()
        } else {
            // After the counters: these keys are as of them or of a later change, and the next check reads them again.
            let page = Page { after: None, limit: KEYS_MAX as usize };
            let keys = self.reader.staff_keys(page).await?.into_iter();
            let keys: HashMap<_, _> = keys.map(|listed| (listed.key.hash, Arc::new(listed.key))).collect();
            self.forget_uses_of_ended(&keys);
            Arc::new(keys)
        };
        self.known.store(Arc::new(Known { directory, keys, as_of }));
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

    /// Forgets when keys were used last that are not among the live ones.
    fn forget_uses_of_ended(&self, live: &HashMap<[u8; 32], Arc<Key>>) {
        let live: HashSet<StaffKeyId> = live.values().map(|key| key.id).collect();
        self.uses.lock().retain(|id, _| live.contains(id));
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
                    tracing::warn!(%error, "failed to check keys of staff; their calls get 503 until a check succeeds");
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
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(RETRY_AFTER) => self.used.notify_one(),
                    }
                }
            }
        }
    }
}
