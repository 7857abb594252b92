//! A place with two tokens: one counts, the other is refused, and the audit reports both.

use onsale_testing::redis::{Keeps, Redis};
use onsale_testing::{Sale, without};
use serde_json::json;

use crate::line::Line;
use crate::support::room::room;
use crate::support::{ONSALE, start, text};

/// Gives a user the place of another one in Redis, as if it had been handed out twice.
fn plant(redis: &Redis, concert: &str, owner: &str, second: &str) {
    let keys: Vec<String> = redis.run(&["KEYS", &format!("onsale:{{{concert}}}:*")]);
    let of = |user: &str| {
        let buckets = keys.iter().filter(|key| !key.ends_with(":room"));
        let found = buckets.filter(|key| redis.run::<bool>(&["HEXISTS", key, user])).collect::<Vec<_>>();
        found[0].clone()
    };
    let mut place: Vec<u8> = redis.run(&["HGET", &of(owner), owner]);
    *place.last_mut().unwrap() ^= 1;
    let mut call = onsale_testing::redis::driver::cmd("HSET");
    call.arg(of(second)).arg(second).arg(place);
    call.query::<()>(&mut redis.connection()).unwrap();
}

/// Two users with one place, each at an instance of their own.
async fn two_tokens(redis: &Redis, concert: &str, at: [&Sale; 2]) {
    let performance = at[0].performance(concert, &json!(null)).await;
    let owner = at[0].active(concert, "owner").await;
    at[0].hold(&owner, &performance, &[1]).await;
    at[1].active(concert, "second").await;
    plant(redis, concert, "owner", "second");
    let second = text(&at[1].enter(concert, "second").await["token"]);
    // It is found out by what is shown or used, wherever.
    at[1].caller.get(&format!("/concerts/{concert}/dates")).token(&second).send().await;
    at[1].until_status(&second, "EXPIRED").await;
    at[0].until_status(&owner, "ACTIVE").await;
    at[0].hold(&owner, &performance, &[2]).await;
    let again = at[1].enter(concert, "second").await;
    assert_ne!(again["token"], json!(second), "the user of the second token gets a place of their own");
}

fn sees_it(audit: &std::process::Output) {
    let shown = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert_eq!(audit.status.code(), Some(1), "{shown}");
    assert!(shown.contains("1 tokens were shown for places of other tokens, the first for place 1"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_tokens_is_refused_and_the_audit_sees_both() {
    if without("redis") {
        return;
    }
    let redis = Redis::start(Keeps::Nothing).await;
    let sale = start(&[("ONSALE_REDIS_URL", &redis.url())]).await;
    let concert = sale.concert(&room(9)).await;
    two_tokens(&redis, &concert, [&sale, &sale]).await;
    let audit = Sale::launch(ONSALE).command(&["audit"]).current_dir(sale.instance.folder()).output().await.unwrap();
    sees_it(&audit);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tokens_at_two_instances() {
    let redis = Redis::start(Keeps::Nothing).await;
    let Some(line) = Line::start(&[redis.url(), redis.url()], 0).await else { return };
    let concert = line.at(0).concert(&room(9)).await;
    two_tokens(&redis, &concert, [line.at(0), line.at(1)]).await;
    sees_it(&line.audit().await);
}
