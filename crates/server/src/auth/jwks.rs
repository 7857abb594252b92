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
    /// Counts the fetches that brought keys.
    pub(super) generation: u64,
    at: Instant,
}

/// Fetches, as requests see them.
#[derive(Clone, Copy, Default)]
struct Flight {
    /// A fetch runs, or is about to.
    under_way: bool,
    /// Fetches that have ended.
    ended: u64,
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
    /// When an unknown key id last made the server fetch the set.
    unknown_at: Mutex<Option<Instant>>,
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
            unknown_at: Mutex::default(),
            fetches: Family::default(),
        })
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("jwks_fetches", "Fetches of the JWK Set, by outcome", self.fetches.clone());
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

    /// A bearer has an unknown key id: has the set fetched, at most once a minute, and waits for that or for the fetch
    /// that runs already. Returns whether there was a fetch to wait for.
    pub(super) async fn refresh_for_unknown_id(&self) -> bool {
        let mut flight = self.flight.subscribe();
        let before = *flight.borrow_and_update();
        if self.may_fetch_for_unknown_id() {
            self.flight.send_modify(|flight| flight.under_way = true);
            self.wanted.notify_one();
        } else if !before.under_way {
            return false;
        }
        let ended = flight.wait_for(|flight| flight.ended > before.ended);
        tokio::time::timeout(FETCH_TIMEOUT + Duration::from_secs(1), ended).await.is_ok_and(|ended| ended.is_ok())
    }

    fn may_fetch_for_unknown_id(&self) -> bool {
        let mut unknown_at = self.unknown_at.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown_at.is_some_and(|at| at.elapsed() < UNKNOWN_EVERY) {
            return false;
        }
        *unknown_at = Some(Instant::now());
        true
    }

    /// Fetches the set and keeps it. If that fails, the keys that are here stay. Returns whether it went well.
    pub(crate) async fn fetch(&self) -> bool {
        self.flight.send_modify(|flight| flight.under_way = true);
        let outcome = self.get().await;
        let is_well = outcome.is_ok();
        match outcome {
            Ok(keys) => {
                let mut fetched = self.fetched.write().unwrap_or_else(PoisonError::into_inner);
                let generation = fetched.as_ref().map_or(1, |fetched| fetched.generation + 1);
                *fetched = Some(Fetched { keys: keys.into(), generation, at: Instant::now() });
            }
            Err(error) => tracing::warn!(error, "failed to fetch the JWK Set; the keys that were fetched before stay"),
        }
        self.fetches.get_or_create(&Labels { outcome: if is_well { "ok" } else { "failed" } }).inc();
        self.flight.send_modify(|flight| *flight = Flight { under_way: false, ended: flight.ended + 1 });
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
