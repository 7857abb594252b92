//! Keys from a URL: a JWK Set (RFC 7517), fetched at the start, every ten minutes, and when a bearer has an unknown key
//! id. One task fetches; requests wait for it only if their own bearer needs a key that is not here.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::{Notify, watch};

use super::keys::Key;

/// How long one fetch may take, connecting included.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest set, in bytes.
const BYTES_MAX: usize = 1024 * 1024;

/// Keys in a set.
const KEYS_MAX: usize = 100;

/// How often the set is fetched if nothing asks for it.
const REFRESH_EVERY: Duration = Duration::from_secs(600);

/// How often unknown key ids may make the server fetch the set: a caller can make up as many ids as it likes.
const UNKNOWN_EVERY: Duration = Duration::from_secs(60);

/// After a failed fetch: the first wait, doubled each time up to the last.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(10);

/// How long keys are trusted if the set cannot be fetched again.
const TRUSTED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a JWK Set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JwksUrl(Url);

impl JwksUrl {
    /// Reads `http://` or `https://`.
    ///
    /// # Errors
    /// What is wrong, to be read after the setting's name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => Ok(Self(url)),
            _ => Err("is no URL of a JWK Set: https://HOST/PATH".to_owned()),
        }
    }

    /// Whether the set may be changed on its way: it comes unencrypted, and from another machine.
    pub(crate) fn is_exposed(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let is_loopback = host == "localhost" || host.parse().is_ok_and(|host: std::net::IpAddr| host.is_loopback());
        self.0.scheme() == "http" && !is_loopback
    }
}

/// The keys of one fetch.
#[derive(Clone)]
pub(super) struct Fetched {
    pub(super) keys: Arc<[Key]>,
    /// Another number if the keys have changed.
    pub(super) generation: u64,
    at: Instant,
}

/// Fetches, as requests see them: they are numbered from 1, and one ends before the next begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flight {
    /// The last fetch that began.
    begun: u64,
    /// The last fetch that runs, or will.
    promised: u64,
    /// The last fetch that ended.
    ended: u64,
}

/// Fetches for unknown key ids within the minute.
#[derive(Clone, Copy)]
struct ForUnknown {
    since: Instant,
    /// There was a second one, for requests that came while another fetch ran.
    is_repeated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

/// A JWK Set that is kept fresh.
pub(crate) struct KeySet {
    url: Url,
    client: Client,
    /// The last set that could be fetched. Replaced as a whole: readers never wait for a fetch.
    fetched: RwLock<Option<Fetched>>,
    flight: watch::Sender<Flight>,
    /// Wakes the task that fetches.
    wanted: Notify,
    /// When unknown key ids last made the server fetch the set.
    for_unknown: Mutex<Option<ForUnknown>>,
    fetches: Family<Labels, Counter>,
}

impl KeySet {
    /// Fetches nothing yet.
    ///
    /// # Errors
    /// Why no HTTP client can be made.
    pub(super) fn new(url: &JwksUrl) -> Result<Self, String> {
        // Another may have been chosen before: any is good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(FETCH_TIMEOUT).redirect(reqwest::redirect::Policy::none());
        let client = client.user_agent("onsale").build().map_err(|error| error.to_string())?;
        Ok(Self {
            url: url.0.clone(),
            client,
            fetched: RwLock::default(),
            flight: watch::Sender::default(),
            wanted: Notify::new(),
            for_unknown: Mutex::default(),
            fetches: Family::default(),
        })
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("jwks_fetches", "Fetches of the JWK Set, by outcome", self.fetches.clone());
        // Shown with 0 before the first: else its increase is seen by no query.
        for outcome in ["ok", "failed"] {
            drop(self.fetches.get_or_create(&Labels { outcome }));
        }
    }

    /// The keys that are trusted now. `None` if none could be fetched yet, or for 24 hours.
    pub(super) fn current(&self) -> Option<Fetched> {
        let fetched = self.fetched.read().unwrap_or_else(PoisonError::into_inner);
        fetched.as_ref().filter(|fetched| fetched.at.elapsed() < TRUSTED_FOR).cloned()
    }

    /// Whether there are keys to check bearers with.
    pub(crate) fn is_well(&self) -> bool {
        self.current().is_some()
    }

    /// The fetches so far.
    pub(super) fn flight(&self) -> Flight {
        *self.flight.borrow()
    }

    /// A bearer has an unknown key id: waits for a fetch that may know it. `asked` is [`Self::flight`] of the time when the
    /// bearer came. A fetch that ran then may have read the set before the key was in it: if it does not know the key, the
    /// next call waits for another. Unknown key ids make the server fetch the set once a minute at most, or twice if a
    /// fetch ran already.
    ///
    /// Returns whether there was a fetch to wait for.
    pub(super) async fn newer(&self, asked: Flight) -> bool {
        let mut flight = self.flight.subscribe();
        let now = *flight.borrow_and_update();
        let next = if now.ended > asked.begun {
            return false;
        } else if now.promised > now.ended {
            now.ended + 1
        } else if self.may_fetch_for_unknown_id(now.ended > asked.ended) {
            self.flight.send_modify(|flight| flight.promised = flight.promised.max(flight.begun + 1));
            self.wanted.notify_one();
            now.begun + 1
        } else {
            return false;
        };
        flight.wait_for(|flight| flight.ended >= next).await.is_ok()
    }

    /// `has_waited`: for a fetch that had begun before the bearer came.
    fn may_fetch_for_unknown_id(&self, has_waited: bool) -> bool {
        let mut last = self.for_unknown.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_mut().filter(|last| last.since.elapsed() < UNKNOWN_EVERY) {
            None => *last = Some(ForUnknown { since: Instant::now(), is_repeated: false }),
            Some(last) if has_waited && !last.is_repeated => last.is_repeated = true,
            Some(_) => return false,
        }
        true
    }

    /// Keeps the keys of a fetch. The same keys as before have the same generation: bearers that they fit stay known.
    fn keep(&self, keys: Vec<Key>) {
        let mut fetched = self.fetched.write().unwrap_or_else(PoisonError::into_inner);
        let generation = match fetched.as_ref() {
            None => 1,
            Some(before) if is_same_set(&before.keys, &keys) => before.generation,
            Some(before) => before.generation + 1,
        };
        *fetched = Some(Fetched { keys: keys.into(), generation, at: Instant::now() });
    }

    /// Fetches the set and keeps it. If that fails, the keys that are here stay. Returns whether it went well.
    pub(crate) async fn fetch(&self) -> bool {
        self.flight.send_modify(|flight| {
            flight.begun += 1;
            flight.promised = flight.promised.max(flight.begun);
        });
        let outcome = self.get().await;
        let is_well = outcome.is_ok();
        match outcome {
            Ok(keys) => self.keep(keys),
            Err(error) => tracing::warn!(error, "failed to fetch the JWK Set; the keys that were fetched before stay"),
        }
        self.fetches.get_or_create(&Labels { outcome: if is_well { "ok" } else { "failed" } }).inc();
        self.flight.send_modify(|flight| flight.ended = flight.begun);
        is_well
    }

    async fn get(&self) -> Result<Vec<Key>, String> {
        let of = |error: reqwest::Error| chain(&error.without_url());
        let mut response = self.client.get(self.url.clone()).send().await.map_err(of)?;
        if !response.status().is_success() {
            return Err(format!("the server answered {}", response.status()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(of)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > BYTES_MAX {
                return Err("the set is larger than 1 MiB".to_owned());
            }
        }
        read(&bytes)
    }

    /// Fetches the set again and again until `stop`. The first fetch has been made by [`Self::fetch`].
    pub(crate) async fn run(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut is_well = self.is_well();
        let mut retry = RETRY_FIRST;
        loop {
            let pause = if is_well { REFRESH_EVERY } else { retry };
            tokio::select! {
                () = stop.as_mut() => return,
                () = self.wanted.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
            is_well = self.fetch().await;
            retry = if is_well { RETRY_FIRST } else { (retry * 2).min(RETRY_LAST) };
        }
    }
}

/// Whether two sets hold the same keys, in any order.
fn is_same_set(one: &[Key], other: &[Key]) -> bool {
    one.len() == other.len() && one.iter().all(|key| other.contains(key)) && other.iter().all(|key| one.contains(key))
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

/// The keys of a set that can be used.
///
/// # Errors
/// If it is no set, has too many keys, or none that can be used.
fn read(bytes: &[u8]) -> Result<Vec<Key>, String> {
    let set: Set = serde_json::from_slice(bytes).map_err(|_| "the answer is no JWK Set: {\"keys\": [...]}")?;
    if set.keys.len() > KEYS_MAX {
        return Err(format!("the set has {} keys; {KEYS_MAX} at most", set.keys.len()));
    }
    let mut keys = Vec::new();
    for (index, jwk) in set.keys.iter().enumerate() {
        match Key::of_jwk(jwk) {
            Ok(key) => keys.push(key),
            Err(reason) => tracing::debug!(index, reason, "a key of the JWK Set is not used"),
        }
    }
    if keys.is_empty() {
        return Err("the set has no key that can be used: RSA of 2,048 to 4,096 bits, or P-256".to_owned());
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
    fn the_generation_changes_only_with_the_keys() {
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
    fn unknown_ids_have_the_set_fetched_once_a_minute_and_once_more_behind_another_fetch() {
        let set = KeySet::new(&JwksUrl::parse("http://127.0.0.1/keys").unwrap()).unwrap();
        assert!(set.may_fetch_for_unknown_id(false));
        assert!(!set.may_fetch_for_unknown_id(false));
        assert!(set.may_fetch_for_unknown_id(true));
        assert!(!set.may_fetch_for_unknown_id(true));
    }
}
