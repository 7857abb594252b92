//! Keys of staff, sessions of the back office and the admin log: stored, listed, never rewritten.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onsale_app::idempotency::{KeptAnswer, KeyId, Owner};
use onsale_app::store::{LogFilter, LogRow, Page, Store, StoreError, Unit, Wanted, Writer};
use onsale_domain::ids::{Entropy, LogId, Mint, SessionId, StaffKeyId};
use onsale_domain::staff::{
    Action, Actor, CreateKey, DeleteKey, Directory, Key, LogEntry, NoteUses, Role, Session, SignIn, SignOut, Subject,
    Value,
};
use onsale_domain::time::Timestamp;
use onsale_domain::{Command, Context, Refusal, lecture};
use uuid::Uuid;

use crate::bed::{Bed, on_each_database};
use crate::forgetting::in_order;
use crate::mixed::by;
use crate::pages::all;

/// Numbers that no store of a test gets twice.
struct Unique;

impl Entropy for Unique {
    fn next_u64(&mut self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // An id leaves out the last two bits.
        NEXT.fetch_add(4, Ordering::Relaxed)
    }
}

pub(crate) fn wanted<C: Command>(command: &C) -> Wanted {
    let mut wanted = Wanted::default();
    command.needs(&mut wanted.keys);
    wanted
}

pub(crate) fn decide<C: Command>(command: &C, unit: &mut Unit) -> Result<C::Output, Refusal> {
    let mut ids = Mint::new(Unique);
    let mut cx = Context { at: unit.at, ids: &mut ids, hold_seconds: 300 };
    command.decide(&mut unit.rows, &mut cx)
}

/// Runs one command as a unit of work.
pub(crate) async fn run<C: Command>(writer: &mut dyn Writer, command: &C) -> Result<C::Output, Refusal> {
    let mut unit = writer.load(&wanted(command)).await.expect("a unit of work");
    let decided = decide(command, &mut unit);
    writer.save(&unit).await.expect("a unit is saved");
    decided
}

fn create(name: &str, role: Role) -> CreateKey {
    let mut hash = [7; 32];
    hash[..8].copy_from_slice(&Unique.next_u64().to_be_bytes());
    CreateKey { name: name.into(), role, hash }
}

pub(crate) async fn make(writer: &mut dyn Writer, name: &str, role: Role) -> Key {
    run(writer, &by(Actor::Root, create(name, role))).await.expect("a key")
}

pub(crate) fn of(key: &Key) -> Actor {
    Actor::Key { id: key.id, name: key.name.clone() }
}

pub(crate) fn rust() -> lecture::Create {
    lecture::Create {
        title: "Rust".into(),
        lecturer: None,
        starts_at: Timestamp::from_millis(0),
        capacity: 3,
        opens_at: None,
        closed: false,
    }
}

pub(crate) async fn log_of(store: &dyn Store, filter: LogFilter) -> Vec<LogRow> {
    let reader = store.reader();
    all(2, |row: &LogRow| row.id, async |page| reader.admin_log(&filter, page).await).await
}

async fn keys_are_stored_listed_and_deleted(bed: Bed) {
    let store = bed.store().await;
    let (reader, mut writer) = (store.reader(), store.writer().await.unwrap());
    let writer = &mut *writer;
    let version = async || reader.staff_directory().await.unwrap().version;
    let first = reader.staff_directory().await.unwrap();
    assert_eq!((first.version, first.live), (0, 0));
    let mut made = Vec::new();
    for (role, name) in Role::ALL {
        made.push(make(writer, &format!("{name} \"봄\" '1'"), role).await);
    }
    assert_eq!(version().await, 5);
    assert_ne!(reader.staff_directory().await.unwrap().change, first.change);
    made.sort_unstable_by_key(|key| key.id);
    let listed = async |limit| {
        all(limit, |listed: &onsale_app::store::ListedKey| listed.key.id, async |page| reader.staff_keys(page).await)
            .await
    };
    for limit in [1, 2, 5, 100] {
        let keys: Vec<Key> = listed(limit).await.into_iter().map(|listed| listed.key).collect();
        assert_eq!(keys, made, "as they were made, oldest first");
    }
    let gone = made.remove(2);
    let deleted = run(writer, &by(Actor::Root, DeleteKey { key: gone.id })).await.expect("deleted");
    assert!(deleted.deleted_at.is_some_and(|at| at >= gone.created_at));
    assert_eq!(run(writer, &by(Actor::Root, DeleteKey { key: gone.id })).await.expect("again"), deleted);
    let keys: Vec<Key> = listed(100).await.into_iter().map(|listed| listed.key).collect();
    assert_eq!(keys, made);
    assert_eq!(version().await, 6, "the second deletion changed nothing");
    let again = run(writer, &by(Actor::Root, create(&gone.name, Role::Door))).await;
    assert_eq!(again.map(drop), Err(Refusal::KeyNameTaken), "also after the deletion");
    let nothing = DeleteKey { key: StaffKeyId::new(Uuid::nil()) };
    assert_eq!(run(writer, &by(Actor::Root, nothing)).await.map(drop), Err(Refusal::KeyNotFound));
    assert_eq!(run(writer, &by(of(&gone), rust())).await.map(drop), Err(Refusal::StaffKeyEnded));
    run(writer, &by(of(&made[0]), rust())).await.expect("a live key");
    in_order(&bed).await;
}

async fn the_last_use_of_a_key_only_moves_on(bed: Bed) {
    let store = bed.store().await;
    let (reader, mut writer) = (store.reader(), store.writer().await.unwrap());
    let (ann, bob) = (make(&mut *writer, "ann", Role::Door).await, make(&mut *writer, "bob", Role::Door).await);
    let at = |minute: i64| Timestamp::from_millis(minute * 60_000);
    for uses in [
        vec![(ann.id, at(5))],
        vec![(ann.id, at(3)), (bob.id, at(4))],
        vec![(bob.id, at(7)), (ann.id, at(6)), (bob.id, at(2))],
    ] {
        run(&mut *writer, &NoteUses { uses }).await.expect("noted");
    }
    let page = Page { after: None, limit: 9 };
    let listed = reader.staff_keys(page).await.unwrap();
    let mut used: Vec<_> = listed.into_iter().map(|listed| (listed.key.name, listed.last_used_at)).collect();
    used.sort_unstable();
    assert_eq!(used, [("ann".into(), Some(at(6))), ("bob".into(), Some(at(7)))]);
}

async fn each_change_is_logged_with_it(bed: Bed) {
    let store = bed.store().await;
    let mut writer = store.writer().await.unwrap();
    let ann = make(&mut *writer, "ann", Role::Organiser).await;
    let made = run(&mut *writer, &by(of(&ann), rust())).await.expect("a lecture");
    run(&mut *writer, &by(Actor::Root, rust())).await.expect("another lecture");
    // A unit that is not saved leaves no entry.
    let command = by(of(&ann), rust());
    let mut unit = writer.load(&wanted(&command)).await.unwrap();
    decide(&command, &mut unit).expect("decided");
    writer.abandon().await;

    let log = log_of(&*store, LogFilter::default()).await;
    let said: Vec<_> = log.iter().map(|row| (&*row.actor, &*row.action)).collect();
    assert_eq!(said, [("root", "lecture.created"), ("ann", "lecture.created"), ("root", "key.created")]);
    let entry = &log[1];
    assert_eq!((entry.key, &*entry.subject), (Some(ann.id), &*format!("lecture:{}", made.id)));
    assert_eq!((entry.before.as_deref(), entry.truncated, &*entry.request), (None, false, "a-request"));
    let after: serde_json::Value = serde_json::from_str(entry.after.as_deref().unwrap()).unwrap();
    let fields = serde_json::json!({"title": "Rust", "lecturer": null, "startsAt": "1970-01-01T00:00:00.000Z", "capacity": 3,
        "opensAt": null, "closed": false});
    assert_eq!(after, fields);
    in_order(&bed).await;
}

async fn the_log_is_found_by_actor_action_and_subject(bed: Bed) {
    let store = bed.store().await;
    let mut writer = store.writer().await.unwrap();
    let (ann, bob) = (make(&mut *writer, "ann", Role::Owner).await, make(&mut *writer, "bob", Role::Owner).await);
    let mut lectures = Vec::new();
    for actor in [of(&ann), of(&bob), Actor::Root, of(&ann)] {
        lectures.push(run(&mut *writer, &by(actor, rust())).await.expect("a lecture").id);
    }
    run(&mut *writer, &by(of(&ann), DeleteKey { key: bob.id })).await.expect("deleted");
    let some = |text: &str| Some(Arc::from(text));
    let (id, of_bob) = (ann.id.to_string(), format!("key:{}", bob.id));
    let third = format!("lecture:{}", lectures[2]);
    let cases = [
        (None, None, None, 7),
        (Some("ann"), None, None, 3),
        (Some(id.as_str()), None, None, 3),
        (Some("root"), None, None, 3),
        (Some("eve"), None, None, 0),
        (None, Some("lecture.created"), None, 4),
        (Some("ann"), Some("lecture.created"), None, 2),
        (None, None, Some(of_bob.as_str()), 2),
        (Some(id.as_str()), Some("key.deleted"), Some(of_bob.as_str()), 1),
        (None, None, Some(third.as_str()), 1),
        (Some("ann"), None, Some(third.as_str()), 0),
    ];
    for (actor, action, subject, many) in cases {
        let [actor, action, subject] = [actor, action, subject].map(|text| text.and_then(some));
        let filter = LogFilter { actor, action, subject, without_keys: false };
        let found = log_of(&*store, filter.clone()).await;
        assert_eq!(found.len(), many, "{filter:?}");
        assert!(found.is_sorted_by(|one, next| one.id > next.id), "newest first");
        let shown = log_of(&*store, LogFilter { without_keys: true, ..filter.clone() }).await;
        let others: Vec<_> = found.into_iter().filter(|row| !row.subject.starts_with("key:")).collect();
        assert_eq!(shown, others, "without log entries about keys: {filter:?}");
    }
}

async fn an_owner_of_keys_has_a_namespace_of_its_own(bed: Bed) {
    let store = bed.store().await;
    let mut writer = store.writer().await.unwrap();
    let (one, other) = (StaffKeyId::new(Uuid::from_u128(1)), StaffKeyId::new(Uuid::from_u128(2)));
    let user = |name: &str| Owner::User(crate::stage::user(name));
    let owners = [Owner::Root, Owner::Staff(one), Owner::Staff(other), user("staff"), user(&one.to_string())];
    let ids: Vec<KeyId> = owners.into_iter().map(|owner| KeyId { owner, key: "once".into() }).collect();
    let asked = Wanted { answers: ids.iter().cloned().collect(), ..Wanted::default() };
    let mut unit = writer.load(&asked).await.unwrap();
    for (number, id) in (1..).zip(&ids) {
        let kept = KeptAnswer { fingerprint: [number; 32], answer: [number].as_slice().into(), kept_at: unit.at };
        unit.answers.put(id.clone(), kept);
    }
    writer.save(&unit).await.unwrap();
    let unit = writer.load(&asked).await.unwrap();
    for (number, id) in (1..).zip(&ids) {
        assert_eq!(unit.answers.get(id).map(|kept| kept.fingerprint), Some([number; 32]), "{id:?}");
    }
    writer.abandon().await;
    let counted = ids.iter().map(|id| id.owner.clone()).collect();
    let unit = writer.load(&Wanted { counted, count_max: 9, ..Wanted::default() }).await.unwrap();
    assert_eq!(unit.kept_counts.len(), ids.len());
    for (owner, count) in &unit.kept_counts {
        assert_eq!((count.answers, count.oldest), (1, None), "{owner:?}");
    }
    writer.abandon().await;
}

async fn sessions_are_stored_found_and_ended(bed: Bed) {
    let store = bed.store().await;
    let (reader, mut writer) = (store.reader(), store.writer().await.unwrap());
    let ann = make(&mut *writer, "ann", Role::Support).await;
    let sign_in = |actor: &Actor, number: u8| by(actor.clone(), SignIn { hash: [number; 32], key: actor.key() });
    let of_ann = run(&mut *writer, &sign_in(&of(&ann), 1)).await.expect("a session");
    let of_root = run(&mut *writer, &sign_in(&Actor::Root, 2)).await.expect("a session");
    let found = async |hashes: &[[u8; 32]]| reader.staff_session(hashes).await.unwrap();
    assert_eq!((of_ann.key, of_root.key), (Some(ann.id), None));
    assert_eq!(found(&[[1; 32]]).await, Some(of_ann.clone()));
    assert_eq!(found(&[[9; 32], [2; 32]]).await, Some(of_root.clone()), "by any of the hashes");
    assert_eq!(found(&[[9; 32]]).await, None);
    assert_eq!(found(&[]).await, None);
    let sign_out = by(of(&ann), SignOut { session: of_ann.clone() });
    for _ in 0..2 {
        run(&mut *writer, &sign_out).await.expect("also when repeated");
        assert_eq!(found(&[[1; 32]]).await, None);
    }
    assert_eq!(found(&[[2; 32]]).await, Some(of_root), "the other session goes on");
    let log = log_of(&*store, LogFilter { actor: Some("ann".into()), ..LogFilter::default() }).await;
    let said: Vec<_> = log.iter().map(|row| (&*row.action, row.subject.to_string())).collect();
    let subject = format!("session:{}", of_ann.id);
    assert_eq!(said, [("session.ended", subject.clone()), ("session.started", subject)], "one for each");
    in_order(&bed).await;
}

async fn sessions_that_are_over_are_deleted_at_a_sign_in(bed: Bed) {
    let store = bed.store().await;
    let mut writer = store.writer().await.unwrap();
    let mut unit = writer.load(&Wanted::default()).await.unwrap();
    let at = unit.at;
    // More than one sign-in deletes.
    for number in 0..150_u8 {
        let ended = at.plus_seconds(u32::from(number)).plus_millis(-1_000_000);
        let session = Session {
            id: SessionId::new(Uuid::from_u128(number.into())),
            hash: [number; 32],
            key: None,
            started_at: ended.plus_millis(-1),
            expires_at: ended,
        };
        unit.rows.staff_sessions.put([number; 32], session);
    }
    writer.save(&unit).await.unwrap();
    let left = async || {
        let mut left = 0;
        for number in 0..150_u8 {
            left += usize::from(store.reader().staff_session(&[[number; 32]]).await.unwrap().is_some());
        }
        left
    };
    for (number, expected) in [(200, 50), (201, 0), (202, 0)] {
        run(&mut *writer, &by(Actor::Root, SignIn { hash: [number; 32], key: None })).await.expect("a session");
        assert_eq!(left().await, expected, "the oldest first");
        let own = store.reader().staff_session(&[[number; 32]]).await.unwrap();
        assert!(own.is_some(), "the new one stays");
    }
}

/// Names of wrong writes, each with a function that makes it.
type Wrong = (&'static str, fn(&Key, &mut Unit));

const WRONGS: &[Wrong] = &[
    ("a second key of one name", |ann, unit| {
        let id = StaffKeyId::new(Uuid::from_u128(9));
        unit.rows.staff_keys.put(id, Key { id, hash: [9; 32], ..ann.clone() });
    }),
    ("a second key of one secret", |ann, unit| {
        let id = StaffKeyId::new(Uuid::from_u128(9));
        unit.rows.staff_keys.put(id, Key { id, name: "other".into(), ..ann.clone() });
    }),
    ("a key named root", |ann, unit| {
        let id = StaffKeyId::new(Uuid::from_u128(9));
        unit.rows.staff_keys.put(id, Key { id, name: "root".into(), hash: [9; 32], ..ann.clone() });
    }),
    ("more keys than there may be", |_, unit| {
        unit.rows.staff_directory.put((), Directory { version: 9, live: 1_001, ..Directory::default() });
    }),
    ("two entries of one id", |_, unit| {
        let entry = entry(unit.at);
        unit.rows.admin_log.extend([entry.clone(), entry]);
    }),
];

fn entry(at: Timestamp) -> LogEntry {
    LogEntry {
        id: LogId::new(Uuid::from_u128(9)),
        at,
        actor: Actor::Root,
        action: Action::KeyCreated,
        subject: Subject::Key(StaffKeyId::new(Uuid::from_u128(9))),
        before: Vec::new(),
        after: vec![("name", Value::Text("x".repeat(20_000).into()))],
        request: "a-request".into(),
    }
}

async fn wrong_rows_of_staff_are_refused(bed: Bed) {
    let store = bed.store().await;
    let mut writer = store.writer().await.unwrap();
    let ann = make(&mut *writer, "ann", Role::Owner).await;
    for (what, wrong) in WRONGS {
        let mut unit = writer.load(&wanted(&create("new", Role::Door))).await.unwrap();
        wrong(&ann, &mut unit);
        let refused = writer.save(&unit).await;
        assert!(matches!(refused, Err(StoreError::Rejected(_) | StoreError::Conflict(_))), "{what}: {refused:?}");
    }
    // Its fields are cut to what fits.
    let mut unit = writer.load(&Wanted::default()).await.unwrap();
    let long = entry(unit.at);
    unit.rows.admin_log.push(long);
    writer.save(&unit).await.unwrap();
    let newest = &log_of(&*store, LogFilter::default()).await[..];
    assert!(newest.iter().any(|row| row.truncated && row.after.as_deref() == Some("{}")), "{newest:?}");
}

on_each_database!(
    keys_are_stored_listed_and_deleted,
    the_last_use_of_a_key_only_moves_on,
    each_change_is_logged_with_it,
    the_log_is_found_by_actor_action_and_subject,
    an_owner_of_keys_has_a_namespace_of_its_own,
    sessions_are_stored_found_and_ended,
    sessions_that_are_over_are_deleted_at_a_sign_in,
    wrong_rows_of_staff_are_refused,
);
