//! Idempotency keys: a repeated request gets the first answer byte for byte and has no second effect.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod bounds;
mod kept;
mod keys;
mod operations;
#[path = "../support/mod.rs"]
mod support;

use onsale_testing::{Call, Reply};

/// Expects a reply to be the replay of the first one.
#[track_caller]
fn is_replay(reply: &Reply, first: &Reply) {
    assert_eq!((reply.status, &reply.body), (first.status, &first.body), "{}", reply.call);
    assert_eq!(reply.header("idempotency-replayed"), Some("true"), "{}", reply.call);
    for name in ["content-type", "retry-after"] {
        assert_eq!(reply.header(name), first.header(name), "{}: {name}", reply.call);
    }
}

/// Sends a call under a key for the first time.
async fn first(call: Call, key: &str, status: u16) -> Reply {
    let reply = call.key(key).send().await;
    reply.expect(status);
    assert_eq!(reply.header("idempotency-replayed"), None, "{}", reply.call);
    reply
}
