//! Sign-ins of users at an OpenID provider, and their sessions.

mod answers;
mod outages;
mod pages;
pub(crate) mod provider;
mod real;
mod sessions;

use onsale_testing::Sale;
use provider::{Browser, PUBLIC, Pem, Provider};

use crate::keys::{EC_PRIVATE, EC_PUBLIC};
use crate::support::start;

/// The key of the provider.
const KEY: Pem = (EC_PRIVATE, EC_PUBLIC);

/// A provider, and a server whose users sign in at it, with further settings.
async fn scene(settings: &[(&str, &str)]) -> (Provider, Sale) {
    let provider = Provider::start(KEY).await;
    let sale = start(&[&provider.settings()[..], settings].concat()).await;
    (provider, sale)
}

/// A browser in which this user has signed in.
async fn signed_in(sale: &Sale, provider: &Provider, user: &str) -> Browser {
    let mut browser = Browser::of(sale);
    assert_eq!(browser.sign_in(provider, user).await, format!("{PUBLIC}/#/account"));
    browser
}

/// The user of a browser's session; `None` if it has none that counts.
async fn user_of(sale: &Sale, browser: &Browser) -> Option<String> {
    let session = browser.with(sale.caller.get("/session")).expect(200).await;
    session["userId"].as_str().map(str::to_owned)
}
