//! Keys from a URL: a JWK Set (RFC 7517), fetched at start, every ten minutes, and when a bearer has an unknown key id. One
//! task fetches. A request waits for it only if its own bearer needs a key that is missing.
//!
//! By hand, because `jsonwebtoken` parses keys and does not fetch them, and because fetches for unknown key ids need one bound
//! that all requests share: without it, a client that invents ids makes this server send a request for each of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::{Notify, watch};

use super::fetch;
use super::keys::Key;

/// The most keys in a set. A larger set counts as a failed fetch.
const KEYS_MAX: usize = 100;

/// The time from one fetch to the next, if no unknown key id comes earlier.
const REFRESH_EVERY: Duration = Duration::from_secs(600);

/// The shortest time between two fetches for unknown key ids: a client can invent any number of ids.
const UNKNOWN_EVERY: Duration = Duration::from_secs(60);

/// The wait after a failed fetch: from the first, doubled each time, up to the last.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(10);

/// How long keys are trusted after the last successful fetch.
const TRUSTED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The URL of a JWK Set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JwksUrl(Url);

impl JwksUrl {
    /// Reads `https://`, or `http://` of this machine: an attacker on the network could replace keys that come over http.
    ///
    /// # Errors
    /// What is wrong, to be read after the setting's name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match Url::parse(text) {
            Ok(url) if fetch::is_safe(&url) => Ok(Self(url)),
            Ok(url) if url.scheme() == "http" && url.host().is_some() => {
                Err("is http to another machine, so an attacker could replace the keys: use https".to_owned())
            }
            _ => Err("is not the URL of a JWK Set, such as https://HOST/PATH".to_owned()),
        }
    }
}

/// The keys of the last successful fetch.
#[derive(Clone)]
pub(super) struct Fetched {
    pub(super) keys: Arc<[Key]>,
    /// Counts changes of the keys. [`super::known::Known`] forgets bearers of an earlier generation.
    pub(super) generation: u64,
    at: Instant,
}

/// The progress of fetches, numbered from 1. Each ends before the next begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Number of the last fetch that began.
    begun: u64,
    /// Number of the last fetch that runs or is requested.
    requested: u64,
    /// Number of the last fetch that ended.
    ended: u64,
}

/// The last fetches for unknown key ids.
#[derive(Clone, Copy)]
struct ForUnknown {
    since: Instant,
    /// Whether a second fetch followed, for requests that came while another fetch ran.
    is_repeated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

/// A JWK Set with the task that refreshes it.
pub(crate) struct KeySet {
    url: Url,
    client: Client,
    /// The last set that was fetched. Held only to clone or replace the `Arc`, never across a fetch, so readers do not wait
    /// for the network.
    fetched: RwLock<Option<Fetched>>,
    /// Requests subscribe to it to wait for the end of a fetch.
    progress: watch::Sender<Progress>,
    /// Wakes [`Self::run`] for a fetch before its time.
    wanted: Notify,
    /// When unknown key ids last requested a fetch. Taken alone, never together with `fetched`.
    for_unknown: Mutex<Option<ForUnknown>>,
    fetches: Family<Labels, Counter>,
}

impl KeySet {
    /// Creates an empty set; [`Self::fetch`] fills it.
    ///
    /// # Errors
    /// The reason, if the HTTP client cannot be created.
    pub(super) fn new(url: &JwksUrl) -> Result<Self, String> {
        Ok(Self {
            url: url.0.clone(),
            client: fetch::client()?,
            fetched: RwLock::default(),
            progress: watch::Sender::default(),
            wanted: Notify::new(),
            for_unknown: Mutex::default(),
            fetches: Family::default(),
        })
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("jwks_fetches", "Fetches of the JWK Set, by outcome (ok or failed)", self.fetches.clone());
        // Exported as 0 from the start: `increase()` does not count a series that begins at 1.
        for outcome in ["ok", "failed"] {
            drop(self.fetches.get_or_create(&Labels { outcome }));
        }
    }

    /// Returns the keys that are trusted now; `None` if no fetch succeeded within 24 hours.
    pub(super) fn current(&self) -> Option<Fetched> {
        self.trusted_at(Instant::now())
    }

    fn trusted_at(&self, now: Instant) -> Option<Fetched> {
        let fetched = self.fetched.read();
        fetched.as_ref().filter(|fetched| now.duration_since(fetched.at) < TRUSTED_FOR).cloned()
    }

    /// Returns whether there are keys to check bearers with.
    pub(crate) fn is_well(&self) -> bool {
        self.current().is_some()
    }

    /// Returns the progress of fetches now.
    pub(super) fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Waits for a fetch that may bring an unknown key id. `asked` is [`Self::progress`] at the time when the bearer came. A
    /// fetch that ran at that time may have read the set before the key was added; if it does not bring the key, the next
    /// call waits for another fetch. Unknown key ids request one fetch a minute at most, or two if a fetch ran already.
    ///
    /// Returns whether there was a fetch to wait for.
    pub(super) async fn newer(&self, asked: Progress) -> bool {
        let mut progress = self.progress.subscribe();
        let now = *progress.borrow_and_update();
        // A fetch that began after the bearer came has ended: its keys are the answer.
        let next = if now.ended > asked.begun {
            return false;
        } else if now.requested > now.ended {
            now.ended + 1
        } else if self.may_fetch_for_unknown_id(now.ended > asked.ended) {
            // Requested before the task is woken, so that requests which come from now on wait for the same fetch.
            self.progress.send_modify(|progress| progress.requested = progress.requested.max(progress.begun + 1));
            self.wanted.notify_one();
            now.begun + 1
        } else {
            return false;
        };
        progress.wait_for(|progress| progress.ended >= next).await.is_ok()
    }

    /// Returns whether an unknown key id may request a fetch now, and notes that it did. `has_waited`: the request already
    /// waited for a fetch that began before its bearer came.
    fn may_fetch_for_unknown_id(&self, has_waited: bool) -> bool {
        let mut last = self.for_unknown.lock();
        match last.as_mut().filter(|last| last.since.elapsed() < UNKNOWN_EVERY) {
            None => *last = Some(ForUnknown { since: Instant::now(), is_repeated: false }),
            Some(last) if has_waited && !last.is_repeated => last.is_repeated = true,
            Some(_) => return false,
        }
        true
    }

    /// Stores the keys of a fetch. Unchanged keys keep their generation, so that known bearers stay known.
    fn keep(&self, keys: Vec<Key>) {
        let mut fetched = self.fetched.write();
        let generation = match fetched.as_ref() {
            None => 1,
            Some(before) if is_same_set(&before.keys, &keys) => before.generation,
            Some(before) => before.generation + 1,
        };
        *fetched = Some(Fetched { keys: keys.into(), generation, at: Instant::now() });
    }

    /// Fetches the set and stores it; if that fails, the earlier keys stay. Returns whether it succeeded.
    pub(crate) async fn fetch(&self) -> bool {
        self.progress.send_modify(|progress| {
            progress.begun += 1;
            progress.requested = progress.requested.max(progress.begun);
        });
        let outcome = self.get().await;
        let is_well = outcome.is_ok();
        match outcome {
            Ok(keys) => self.keep(keys),
            Err(error) => {
                tracing::warn!(error, "failed to fetch the JWK Set; keeping earlier keys and retrying within 10 s");
            }
        }
        self.fetches.get_or_create(&Labels { outcome: if is_well { "ok" } else { "failed" } }).inc();
        // After the keys are stored: a request that this wakes must find them.
        self.progress.send_modify(|progress| progress.ended = progress.begun);
        is_well
    }

    async fn get(&self) -> Result<Vec<Key>, String> {
        read(&fetch::get(&self.client, self.url.clone()).await?)
    }

    /// Refreshes the set until `stop` completes. The caller has made the first fetch by [`Self::fetch`].
    pub(crate) async fn run(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut is_well = self.is_well();
        let mut pauses = Pauses::default();
        loop {
            tokio::select! {
                () = stop.as_mut() => return,
                () = self.wanted.notified() => {}
                () = tokio::time::sleep(pauses.after(is_well)) => {}
            }
            is_well = self.fetch().await;
        }
    }
}

/// The times from one fetch to the next.
struct Pauses {
    /// The wait after the next failed fetch.
    retry: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { retry: RETRY_FIRST }
    }
}

impl Pauses {
    /// The time to the next fetch after one that succeeded or failed.
    fn after(&mut self, is_well: bool) -> Duration {
        if is_well {
            self.retry = RETRY_FIRST;
            return REFRESH_EVERY;
        }
        let retry = self.retry;
        self.retry = (retry * 2).min(RETRY_LAST);
        retry
    }
}

/// Returns whether two sets hold the same keys, in any order.
fn is_same_set(one: &[Key], other: &[Key]) -> bool {
    one.len() == other.len() && one.iter().all(|key| other.contains(key)) && other.iter().all(|key| one.contains(key))
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

/// Parses a set and skips the keys that cannot be used here.
///
/// # Errors
/// The reason, if it is not a JWK Set, has more than 100 keys, or has no usable key.
fn read(bytes: &[u8]) -> Result<Vec<Key>, String> {
    let set: Set = serde_json::from_slice(bytes).map_err(|_| "the answer is not a JWK Set: {\"keys\": [...]}")?;
    if set.keys.len() > KEYS_MAX {
        return Err(format!("the set has {} keys, more than {KEYS_MAX}", set.keys.len()));
    }
    let mut keys = Vec::new();
    for (index, jwk) in set.keys.iter().enumerate() {
        match Key::of_jwk(jwk) {
            Ok(key) => keys.push(key),
            Err(reason) => tracing::debug!(index, reason, "skipped a key of the JWK Set"),
        }
    }
    if keys.is_empty() {
        return Err("the set has no usable key: RSA of 2,048 to 4,096 bits, or P-256".to_owned());
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(ids: &[&str]) -> Vec<Key> {
        ids.iter().map(|id| Key { id: Some((*id).to_owned()), ..Key::of_secret("any key") }).collect()
    }

    #[test]
    fn the_generation_changes_only_if_the_keys_change() {
        let url = JwksUrl::parse("http://127.0.0.1/keys").unwrap();
        let set = KeySet::new(&url).unwrap();
        let generation = |keys| {
            set.keep(keys);
            set.current().unwrap().generation
        };
        assert_eq!(generation(keys(&["one", "two"])), 1);
        assert_eq!(generation(keys(&["one", "two"])), 1, "the same keys");
        assert_eq!(generation(keys(&["two", "one"])), 1, "in another order");
        assert_eq!(generation(keys(&["one"])), 2, "one was taken away");
        assert_eq!(generation(keys(&["one", "two"])), 3, "one was added");
        let replaced = Key { id: Some("two".to_owned()), ..Key::of_secret("another key") };
        assert_eq!(generation(vec![keys(&["one"]).remove(0), replaced]), 4, "another key under the same id");
    }

    #[test]
    fn keys_are_trusted_for_24_hours() {
        let set = KeySet::new(&JwksUrl::parse("http://127.0.0.1/keys").unwrap()).unwrap();
        assert!(set.current().is_none(), "nothing was fetched yet");
        set.keep(keys(&["one"]));
        let fetched = set.current().unwrap().at;
        assert!(set.trusted_at(fetched + TRUSTED_FOR - Duration::from_secs(1)).is_some());
        assert!(set.trusted_at(fetched + TRUSTED_FOR).is_none());
    }

    #[test]
    fn a_set_is_fetched_every_ten_minutes_and_sooner_after_a_failure() {
        let mut pauses = Pauses::default();
        let seconds =
            [true, false, false, false, false, false, true, false].map(|is_well| pauses.after(is_well).as_secs());
        assert_eq!(seconds, [600, 1, 2, 4, 8, 10, 600, 1]);
    }

    #[test]
    fn a_url_is_https_or_of_this_machine() {
        for good in ["https://issuer.example/keys", "http://127.0.0.1:8/keys", "http://[::1]/keys", "http://localhost/"]
        {
            assert!(JwksUrl::parse(good).is_ok(), "{good}");
        }
        for bad in ["http://issuer.example/keys", "http://10.0.0.1/keys", "ftp://issuer.example", "issuer.example", ""]
        {
            assert!(JwksUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_key_ids_request_one_fetch_a_minute_and_one_more_after_waiting() {
        let set = KeySet::new(&JwksUrl::parse("http://127.0.0.1/keys").unwrap()).unwrap();
        assert!(set.may_fetch_for_unknown_id(false));
        assert!(!set.may_fetch_for_unknown_id(false));
        assert!(set.may_fetch_for_unknown_id(true));
        assert!(!set.may_fetch_for_unknown_id(true));
    }
}
