//! Posts batches of CloudEvents to a data platform over HTTP, signed as Standard Webhooks.

mod answer;
mod cause;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use onsale_app::relay::{Delivery, Platform, Posted};
use onsale_app::trace::TRACEPARENT;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, Url};
use sha2::{Digest, Sha256};

/// The media type of a batch. Without parameters, because strict receivers refuse them.
const BATCH: &str = "application/cloudevents-batch+json";

/// Time limit of a post, and of opening a connection for it. Beyond it the post counts as failed and is retried.
const POSTED_WITHIN: Duration = Duration::from_secs(30);
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);

/// The URL that events are posted to.
#[derive(Clone, Debug)]
pub struct PlatformUrl(Url);

impl PlatformUrl {
    /// Reads `http://` or `https://`.
    ///
    /// # Errors
    /// What is wrong, to be appended to the name of the setting.
    pub fn parse(text: &str) -> Result<Self, String> {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => Ok(Self(url)),
            _ => Err("is not a URL to post to: https://HOST/PATH".to_owned()),
        }
    }
}

/// The origin for logs, without user, password, path and parameters.
impl fmt::Display for PlatformUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some platforms put a secret into the path.
        let path = if self.0.path() == "/" { "/" } else { "/…" };
        write!(f, "{}{path}", self.0.origin().ascii_serialization())
    }
}

/// The key that posts are signed with (HMAC-SHA256).
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl SigningKey {
    /// Reads `whsec_` and the key in Base64, or any other text as the key itself.
    ///
    /// # Errors
    /// What is wrong, to be appended to the name of the setting. Never contains the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).map(Self).map_err(|_| "is not Base64 after whsec_".to_owned()),
            None => Ok(Self(text.as_bytes().to_vec())),
        }
    }

    /// The signature: `v1,` and the HMAC-SHA256 of id, time (seconds) and body, in Base64.
    fn sign(&self, id: &str, at: u64, body: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(format!("{id}.{at}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// A data platform at a URL.
pub struct WebhookPlatform {
    url: Url,
    key: Option<SigningKey>,
    client: Client,
}

impl WebhookPlatform {
    /// Connects at the first post.
    ///
    /// # Errors
    /// Why no HTTP client can be made.
    pub fn new(url: &PlatformUrl, key: Option<SigningKey>) -> Result<Self, String> {
        // Fails if the process has a default provider already, and any provider will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(POSTED_WITHIN).connect_timeout(CONNECTED_WITHIN);
        // Redirects are not followed: a POST would become a GET, and the signature would reach another host.
        let client = client.redirect(reqwest::redirect::Policy::none()).user_agent("onsale").build();
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self { url: url.0.clone(), key, client })
    }

    async fn send(&self, events: &[Delivery]) -> Result<Response, reqwest::Error> {
        let events_json: Vec<&str> = events.iter().map(|event| event.json.as_str()).collect();
        let body = format!("[{}]", events_json.join(","));
        // The id depends on the events alone: a receiver recognizes a batch that is sent again.
        let mut name = Sha256::new();
        for event in events {
            name.update(event.id.uuid().as_bytes());
        }
        let id: String = name.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let id = format!("msg_{id}");
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut post = self.client.post(self.url.clone()).header(CONTENT_TYPE, BATCH);
        post = post.header("webhook-id", &id).header("webhook-timestamp", at);
        // A request has one parent span: that of the first traced event.
        if let Some(trace) = events.iter().find_map(|event| event.trace) {
            post = post.header(TRACEPARENT, trace.to_string());
        }
        if let Some(key) = &self.key {
            post = post.header("webhook-signature", key.sign(&id, at, &body));
        }
        post.body(body).send().await
    }
}

#[async_trait]
impl Platform for WebhookPlatform {
    async fn post(&self, events: &[Delivery]) -> Posted {
        match self.send(events).await {
            Ok(answer) => answer::judge(answer).await,
            Err(error) => Posted::Later(cause::cause_of(&self.url, error), None),
        }
    }
}
