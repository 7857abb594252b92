//! Stored answers of idempotency keys.

use std::sync::Arc;

use onsale_app::idempotency::{KEY_LIFE_SECONDS, KeptAnswer, KeptCount, KeyId, Owner};
use onsale_app::store::{Store, Wanted};
use onsale_domain::time::Timestamp;

use crate::bed::{Bed, on_each_database};
use crate::lane::{Answer, Lane, Request};
use crate::stage::{charge, user};

fn key(owner: Option<&str>, key: &str) -> KeyId {
    KeyId { owner: owner.map_or(Owner::Root, |name| Owner::User(user(name))), key: key.into() }
}

fn kept(answer: &[u8], at: Timestamp) -> KeptAnswer {
    KeptAnswer { fingerprint: [9; 32], answer: answer.into(), kept_at: at }
}

/// The stored answers of these keys, read by another lane than the one that stored them.
async fn found(store: &dyn Store, ids: &[KeyId]) -> Vec<Option<KeptAnswer>> {
    let mut writer = store.writer().await.expect("a writer");
    let wanted = Wanted { answers: ids.iter().cloned().collect(), ..Wanted::default() };
    let unit = writer.load(&wanted).await.expect("a unit of work");
    let found = ids.iter().map(|id| unit.answers.get(id).cloned()).collect();
    writer.abandon().await;
    found
}

/// Stores answers in one unit.
async fn keep(lane: &mut Lane, answers: &[(KeyId, KeptAnswer)]) {
    let wanted = Wanted { answers: answers.iter().map(|(id, _)| id.clone()).collect(), ..Wanted::default() };
    let mut unit = lane.writer.load(&wanted).await.expect("a unit of work");
    answers.iter().for_each(|(id, answer)| unit.answers.put(id.clone(), answer.clone()));
    lane.writer.save(&unit).await.expect("answers are kept");
}

async fn an_answer_belongs_to_its_owner(bed: Bed) {
    let store = bed.store().await;
    let mut lane = Lane::new(&*store, 1).await;
    let at = store.reader().now();
    let long = "k".repeat(255);
    let ids = [
        key(None, "once"),
        key(Some("ann"), "once"),
        key(Some("bob"), "once"),
        key(Some("ann"), "Once"),
        // Owner and key joined without a separator would be equal for these two.
        key(Some("ann"), ":b"),
        key(Some("ann"), "b:"),
        key(Some("a"), &long),
        key(None, "~!\"'\\%_"),
    ];
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(70_000).collect();
    let answers = ids.iter().enumerate().map(|(n, id)| (id.clone(), kept(&bytes[n..bytes.len() - n * 9_990], at)));
    let answers: Vec<_> = answers.collect();
    assert!(found(&*store, &ids).await.iter().all(Option::is_none));
    keep(&mut lane, &answers).await;
    let expected: Vec<_> = answers.iter().map(|(_, answer)| Some(answer.clone())).collect();
    assert_eq!(found(&*store, &ids).await, expected);
    let strangers = [key(Some("eve"), "once"), key(Some("once"), "once"), key(None, "ann:once")];
    assert!(found(&*store, &strangers).await.iter().all(Option::is_none));
}

async fn a_request_is_decided_once_until_its_key_expires(bed: Bed) {
    let store = bed.store().await;
    let mut lane = Lane::new(&*store, 1).await;
    let request = Request { command: charge(&user("ann"), 5), key: Some(key(Some("ann"), "once")) };
    let start = store.reader().now();
    let mut first: Option<Arc<[u8]>> = None;
    for (seconds, balance) in
        [(0, 5), (1, 5), (KEY_LIFE_SECONDS - 1, 5), (KEY_LIFE_SECONDS, 10), (KEY_LIFE_SECONDS + 9, 10)]
    {
        lane.at = Some(start.plus_seconds(seconds));
        // Also if it comes twice in one batch.
        for answer in lane.answer(&[request.clone(), request.clone()]).await.unwrap() {
            if let (Answer::Replayed(answer), true) = (&answer, balance == 5) {
                assert_eq!(first.get_or_insert_with(|| answer.clone()), answer, "the first answer, each time");
            }
        }
        assert_eq!(store.reader().account(&user("ann")).await.unwrap().balance, balance, "after {seconds} seconds");
    }
}

async fn answers_of_an_owner_are_counted_up_to_a_limit(bed: Bed) {
    let store = bed.store().await;
    let mut lane = Lane::new(&*store, 1).await;
    let start = store.reader().now();
    // Stored in another order than that of their keys. The administrator's answers count for no user.
    for number in [3_u32, 1, 2, 0] {
        let at = start.plus_seconds(10 - number);
        let ids = [
            key(Some("ann"), &format!("{number}")),
            key(None, &format!("{number}")),
            key(Some("an"), &format!("n{number}")),
        ];
        keep(&mut lane, &ids.map(|id| (id, kept(b"done", at)))).await;
    }
    keep(&mut lane, &[(key(Some("ann"), "4"), kept(b"done", start.plus_seconds(20)))]).await;
    let oldest = start.plus_seconds(7);
    let table = [
        ("ann", 9, 5, None),
        ("ann", 5, 5, Some(oldest)),
        ("ann", 3, 3, Some(oldest)),
        ("an", 4, 4, Some(oldest)),
        ("eve", 4, 0, None),
    ];
    for (name, count_max, answers, oldest) in table {
        let mut other = store.writer().await.expect("a writer");
        let [of_name, absent] = [name, "absent"].map(|name| Owner::User(user(name)));
        let counted = [of_name.clone(), absent.clone()].into();
        let wanted = Wanted { counted, count_max, ..Wanted::default() };
        let unit = other.load(&wanted).await.expect("a unit of work");
        other.abandon().await;
        assert_eq!(unit.kept_counts.get(&of_name), Some(&KeptCount { answers, oldest }), "{name} up to {count_max}");
        assert_eq!(unit.kept_counts.get(&absent), Some(&KeptCount { answers: 0, oldest: None }));
    }
}

async fn only_old_answers_are_deleted(bed: Bed) {
    let store = bed.store().await;
    let mut lane = Lane::new(&*store, 1).await;
    let start = store.reader().now();
    let at = |second: u32| start.plus_seconds(second);
    let ids: Vec<KeyId> = (0..1_300).map(|number| key(None, &format!("key {number}"))).collect();
    let answers: Vec<_> = ids.iter().zip(0..).map(|(id, second)| (id.clone(), kept(b"done", at(second)))).collect();
    for some in answers.chunks(100) {
        keep(&mut lane, some).await;
    }
    let mut left = Vec::new();
    // A unit deletes a limited number, so deleting all takes several units.
    for _ in 0..4 {
        let mut unit = lane.writer.load(&Wanted::default()).await.unwrap();
        unit.at = at(1_300);
        unit.forget_answers_before = Some(at(1_200));
        lane.writer.save(&unit).await.unwrap();
        let found = found(&*store, &ids).await;
        assert!(found[1_200..].iter().all(Option::is_some), "what is young stays");
        assert!(found.is_sorted_by_key(Option::is_some), "the oldest go first");
        left.push(found.iter().flatten().count());
    }
    assert!((101..1_300).contains(&left[0]), "one unit drops some, not all: {left:?}");
    assert_eq!(left[3], 100, "all that are old are gone: {left:?}");
}

on_each_database!(
    an_answer_belongs_to_its_owner,
    a_request_is_decided_once_until_its_key_expires,
    answers_of_an_owner_are_counted_up_to_a_limit,
    only_old_answers_are_deleted,
);
