//! A sign-in at a real provider: `oidc-provider` of npm, which the browser tests install.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use onsale_testing::{PATIENCE, absent, without};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::provider::{Browser, PUBLIC};
use super::user_of;
use crate::support::start;

/// The folder of the browser tests, with their packages.
const BROWSER_TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");

/// The client that `provider.js` knows.
const CLIENT: &str = "onsale-tests";
const CLIENT_SECRET: &str = "a secret: 32 bytes, 100% odd & {more}+";

/// The output of the provider, kept open: it fails if it cannot write.
type Output = Lines<BufReader<ChildStdout>>;

/// Starts the provider. It ends with the child, when that is dropped.
async fn provider() -> (Child, Output, String) {
    let mut command = Command::new("node");
    command.args(["support/provider.js", &format!("{PUBLIC}/session/callback")]).current_dir(BROWSER_TESTS);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the provider starts");
            if line.starts_with("http://") {
                return line;
            }
        }
    };
    let issuer = tokio::time::timeout(PATIENCE, first).await.expect("the provider starts in time");
    (child, lines, issuer)
}

/// A browser at the provider: it fills in each form until it is sent back to the server. Returns that path with its query.
async fn approve(location: &str, login: &str) -> String {
    // By hand: the cookies of the provider are for its own paths only, and none of them matters to another.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().redirect(Policy::none()).timeout(Duration::from_secs(60)).build().unwrap();
    let mut cookies = std::collections::BTreeMap::new();
    let mut url = Url::parse(location).unwrap();
    let mut form: Option<String> = None;
    for _ in 0..12 {
        let header = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let request = match form.take() {
            None => client.get(url.clone()),
            Some(body) => {
                client.post(url.clone()).header("content-type", "application/x-www-form-urlencoded").body(body)
            }
        };
        let response = request.header("cookie", header).send().await.unwrap();
        keep(&response, &mut cookies);
        if response.status().is_redirection() {
            url = url.join(response.headers()["location"].to_str().unwrap()).unwrap();
            if url.as_str().starts_with(&format!("{PUBLIC}/")) {
                return url.as_str()[PUBLIC.len()..].to_owned();
            }
            continue;
        }
        let page = response.text().await.unwrap();
        let between = |begin: &str| page.split(begin).nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
        let action = between("action=\"").unwrap_or_else(|| panic!("no form: {page}"));
        let prompt = between("name=\"prompt\" value=\"").unwrap_or_else(|| panic!("no prompt: {page}"));
        url = url.join(&action).unwrap();
        let fields = [("prompt", prompt.as_str()), ("login", login), ("password", "any")];
        let encoded = Url::parse_with_params("http://localhost/", fields).unwrap();
        form = encoded.query().map(str::to_owned);
    }
    panic!("the provider never sent the browser back: {url}");
}

fn keep(response: &Response, cookies: &mut std::collections::BTreeMap<String, String>) {
    for set in response.headers().get_all("set-cookie") {
        let pair = set.to_str().unwrap().split(';').next().unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        if value.is_empty() {
            cookies.remove(name);
        } else {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

#[tokio::test]
async fn a_user_signs_in_at_a_real_provider() {
    let is_there = Path::new(BROWSER_TESTS).join("node_modules/oidc-provider").exists();
    if without("node") || absent(is_there, "the packages of crates/server/tests/browser/install") {
        return;
    }
    let (child, output, issuer) = provider().await;
    let sale = start(&[
        ("ONSALE_AUTH", "jwt"),
        ("ONSALE_OIDC_ISSUER", &issuer),
        ("ONSALE_OIDC_CLIENT_ID", CLIENT),
        ("ONSALE_OIDC_CLIENT_SECRET", CLIENT_SECRET),
        ("ONSALE_PUBLIC_URL", PUBLIC),
    ])
    .await;
    for login in ["ada", "ada@example.com"] {
        let mut browser = Browser::of(&sale);
        let location = browser.begin("/#/account").await;
        let path = approve(&location, login).await;
        let kept = browser.cookies.clone();
        let back = browser.go(&path).await;
        assert_eq!(back.header("location"), Some(format!("{PUBLIC}/#/account").as_str()), "{back:?}");
        let user = user_of(&sale, &browser).await.unwrap();
        assert!(user == login || user.starts_with("u_"), "{user}");
        browser.with(sale.caller.get(&format!("/point/{user}"))).expect(200).await;
        // The provider refuses the same code again.
        let mut thief = Browser::of(&sale);
        thief.cookies = kept;
        let again = thief.go(&path).await;
        assert_eq!(again.header("location"), Some(format!("{PUBLIC}/#/sign-in/invalid").as_str()));
    }
    drop((child, output));
}
