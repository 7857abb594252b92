//! What several test programs share: how to wait for something, how to read lists and instants, odd requests, streams.

#![allow(dead_code, reason = "each test program uses a part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

pub(crate) mod evening;
pub(crate) mod flood;
pub(crate) mod raw;
pub(crate) mod room;
pub(crate) mod seat_events;
pub(crate) mod stream;

use std::time::Duration;

use onsale_testing::{Call, PATIENCE, Reply, Sale};
use serde_json::Value;

/// The program under test.
pub(crate) const ONSALE: &str = env!("CARGO_BIN_EXE_onsale");

/// A server with an administrator and these settings.
pub(crate) async fn start(settings: &[(&str, &str)]) -> Sale {
    let launch = settings.iter().fold(Sale::launch(ONSALE), |launch, (name, value)| launch.set(name, value));
    Sale::start(&launch).await
}

/// Every invariant holds on the live data.
pub(crate) async fn audit(sale: &Sale) {
    let run = Sale::launch(ONSALE).command(&["audit"]).current_dir(sale.instance.folder()).output();
    let audit = run.await.unwrap();
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}

/// Asks again and again until there is an answer.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("never so: {what}"))
}

/// Waits until the log of a server has these words: a line is read a moment after the answer that followed it.
pub(crate) async fn logged(sale: &Sale, words: &str) {
    let is_read = async || sale.instance.log().contains(words).then_some(());
    until(&format!("the log has {words:?}"), is_read).await;
}

/// Sends a call of staff again while the server cannot check keys: a busy machine may stop it for longer than a second.
pub(crate) async fn answer(call: impl Fn() -> Call) -> Reply {
    until("keys can be checked", async || {
        let reply = call().send().await;
        (reply.code() != "unavailable").then_some(reply)
    })
    .await
}

/// Sends all of these at once; the replies in the order of the calls.
pub(crate) async fn at_once(calls: impl IntoIterator<Item = Call>) -> Vec<Reply> {
    let sent: Vec<_> = calls.into_iter().map(|call| tokio::spawn(call.send())).collect();
    let mut replies = Vec::with_capacity(sent.len());
    for reply in sent {
        replies.push(reply.await.unwrap());
    }
    replies
}

/// How many of these replies have this status and, where it is a problem, this code.
pub(crate) fn count(replies: &[Reply], status: u16, code: &str) -> usize {
    replies.iter().filter(|reply| reply.status.as_u16() == status && reply.code() == code).count()
}

/// The text of a JSON string.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A member of each row.
pub(crate) fn column(rows: &Value, name: &str) -> Vec<Value> {
    rows.as_array().unwrap().iter().map(|row| row[name].clone()).collect()
}

/// An instant as the contract writes it, in milliseconds since 1970.
#[track_caller]
pub(crate) fn millis(value: &Value) -> i64 {
    let written = text(value);
    assert!(written.len() == 24 && written.ends_with('Z'), "RFC 3339 in UTC with milliseconds: {written}");
    written.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// The path that a `Link` names as the next page.
pub(crate) fn next_page(reply: &Reply) -> Option<String> {
    let link = reply.header("link")?;
    let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
    let target = target.unwrap_or_else(|| panic!("{}: {link}", reply.call));
    Some(target[target.find('/').unwrap()..].to_owned())
}

/// All rows of a list, page by page.
pub(crate) async fn walk(first: &str, get: impl Fn(&str) -> Call) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut path = Some(first.to_owned());
    while let Some(page) = path {
        let reply = get(&page).send().await;
        rows.extend(reply.expect(200).as_array().unwrap().iter().cloned());
        path = next_page(&reply);
    }
    rows
}
