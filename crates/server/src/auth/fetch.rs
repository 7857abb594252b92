//! Requests of this server to other servers: a JWK Set, and the provider that users sign in at.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, Url};

/// The longest time of one request, connecting included.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest answer, in bytes. A larger one counts as a failed request.
const BYTES_MAX: usize = 1024 * 1024;

/// An answer of another server.
pub(super) struct Fetched {
    pub(super) status: StatusCode,
    pub(super) bytes: Vec<u8>,
}

/// A client that follows no redirects: the settings name the server, and an answer must not name another.
///
/// # Errors
/// The reason, if the HTTP client cannot be created.
pub(super) fn client() -> Result<Client, String> {
    // Fails if this process has a default provider already. Any provider is good enough.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
    client.user_agent("onsale").build().map_err(|error| error.to_string())
}

/// Sends a request and reads the whole answer.
///
/// # Errors
/// The reason, without the URL, which may have a secret.
pub(super) async fn send(request: RequestBuilder) -> Result<Fetched, String> {
    let of = |error: reqwest::Error| chain(&error.without_url());
    let mut response = request.send().await.map_err(of)?;
    let status = response.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(of)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > BYTES_MAX {
            return Err("the answer is larger than 1 MiB".to_owned());
        }
    }
    Ok(Fetched { status, bytes })
}

/// As [`send`], for an answer that must be a success.
///
/// # Errors
/// As [`send`], and if the status is no success.
pub(super) async fn get(client: &Client, url: Url) -> Result<Vec<u8>, String> {
    let Fetched { status, bytes } = send(client.get(url)).await?;
    if status.is_success() { Ok(bytes) } else { Err(format!("the server answered with {status}")) }
}

/// Whether a URL is `https://`, or `http://` of this machine: an attacker on the network could replace what comes over http.
pub(super) fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => url.host_str().is_some_and(is_loopback),
        _ => false,
    }
}

/// Whether a host is this machine: `localhost`, or an address of the loopback network.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The text of an error and of its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
