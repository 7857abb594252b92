//! Concurrent changes of wallets, and requests with the same key.

use onsale_domain::wallet::Changed;
use std::collections::BTreeMap;

use crate::mixed::{AnyCommand, Done};
use onsale_app::idempotency::{KeyId, Owner};
use onsale_domain::Refusal;
use onsale_domain::ids::UserId;
use onsale_domain::wallet::{self, EntryKind};
use onsale_testing::without;

use super::{Crowd, INSTANCES, dones, refused};
use crate::lane::{Answer, Request};
use crate::pages::all;
use crate::stage::{charge, user};

/// Checks a wallet's ledger against its balance. Returns the number of entries.
async fn assert_chain(crowd: &Crowd, user: &UserId) -> usize {
    let reader = crowd.reader();
    let ledger = all(50, |entry: &wallet::Entry| entry.version, async |page| reader.ledger(user, page).await).await;
    let mut balance = 0;
    for (entry, version) in ledger.iter().rev().zip(1..) {
        balance += if entry.kind == EntryKind::Charge { entry.amount } else { -entry.amount };
        assert_eq!((entry.version, entry.balance_after), (version, balance), "an unbroken chain");
    }
    let times = ledger.iter().rev().map(|entry| entry.created_at);
    assert!(times.is_sorted(), "one clock for all instances");
    let account = reader.account(user).await.unwrap();
    assert_eq!((account.balance, account.version), (balance, ledger.len() as u64));
    ledger.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_changes_of_a_wallet_all_count() {
    if without("postgres") {
        return;
    }
    let mut crowd = Crowd::new().await;
    let users = ["ann", "bob", "cid", "dan"].map(user);
    let mut commands: Vec<AnyCommand> = users.iter().flat_map(|user| vec![charge(user, 3); 60]).collect();
    commands.extend(
        users.iter().flat_map(|user| vec![AnyCommand::from(wallet::Use { user: user.clone(), amount: 4 }); 60]),
    );
    let batches = crowd.shuffled(&commands, 12);
    let outcomes = crowd.run(batches).await;
    let poor = refused(&outcomes, &Refusal::InsufficientBalance);
    let mut moved: BTreeMap<&UserId, Vec<u64>> = BTreeMap::new();
    for done in dones(&outcomes) {
        let (Done::Charge(Changed { user, account }) | Done::Use(Changed { user, account })) = done else {
            unreachable!("{done:?}")
        };
        moved.entry(user).or_default().push(account.version);
    }
    assert_eq!(moved.values().map(Vec::len).sum::<usize>() + poor, INSTANCES * commands.len());
    assert!(poor > 0, "there is more to use than to charge");
    for (user, mut versions) in moved {
        versions.sort_unstable();
        assert_eq!(versions.len(), assert_chain(&crowd, user).await);
        assert!(versions.into_iter().eq(1..=crowd.reader().account(user).await.unwrap().version), "each version once");
    }
    crowd.assert_no_deadlock();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_decided_once_at_any_instance() {
    if without("postgres") {
        return;
    }
    let mut crowd = Crowd::new().await;
    // Keys of one user, and keys without an owner. Keys of a batch are locked in one order, whatever the order of the requests.
    let requests = (0..60_u64).map(|number| {
        let owner = if number.is_multiple_of(2) { Owner::User(user("ann")) } else { Owner::Root };
        let key = KeyId { owner, key: format!("key {}", number / 2).into() };
        Request { command: charge(&user("ann"), 1), key: Some(key) }
    });
    let requests: Vec<Request> = requests.collect();
    let batches = crowd.shuffled(&requests, 7);
    let asked: Vec<KeyId> = batches.iter().flatten().flatten().filter_map(|request| request.key.clone()).collect();
    let answers = crowd.answer(batches).await;
    let mut decided: BTreeMap<&KeyId, String> = BTreeMap::new();
    let mut replayed: Vec<(&KeyId, String)> = Vec::new();
    for (key, answer) in asked.iter().zip(answers.iter().flatten()) {
        match answer {
            Answer::Decided(outcome) => {
                let before = decided.insert(key, format!("{outcome:?}"));
                assert_eq!(before, None, "{key:?} is decided once");
            }
            Answer::Replayed(kept) => replayed.push((key, String::from_utf8_lossy(kept).into_owned())),
        }
    }
    assert_eq!((decided.len(), replayed.len()), (requests.len(), requests.len() * (INSTANCES - 1)));
    assert!(replayed.iter().all(|(key, kept)| decided[key] == *kept), "each caller has the answer that was decided");
    assert_eq!(assert_chain(&crowd, &user("ann")).await, requests.len());
    crowd.assert_no_deadlock();
}
