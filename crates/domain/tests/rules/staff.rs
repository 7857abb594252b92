//! Keys of staff: their roles, how they are made and deleted, and the entry of the admin log for each command.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use onsale_domain::ids::{ConcertId, Ids, Mint, PerformanceId, StaffKeyId, UserId};
use onsale_domain::refund::Policy;
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::staff::{
    Action, Actor, ChargeByStaff, ChargedByStaff, CreateKey, DeleteKey, Directory, ExternalCharge, KEYS_MAX, Key,
    LogEntry, NoteUses, Right, Role, SESSION_SECONDS, Session, SessionHash, SignIn, SignOut, Subject, Value,
};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Configure, DrawPatch, Patch, Room, Settings};
use onsale_domain::wallet::{Account, BALANCE_MAX};
use onsale_domain::{Command, Context, Refusal, concert, lecture};
use proptest::prelude::*;

use crate::support::codes::code;
use crate::support::entropy::Seeded;
use crate::support::mixed::by;

/// The refusals that tests of this file provoke.
pub(crate) const PROVOKED: [&str; 5] =
    ["admin-key-invalid", "key-name-taken", "key-limit", "key-not-found", "external-id-reused"];

const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The table of the contract, written down a second time: each right with the roles that include it.
const TABLE: [(Right, &str); 9] = [
    (Right::ManageKeys, "owner"),
    (Right::RunSale, "owner organiser"),
    (Right::ReadSale, "owner organiser support"),
    (Right::ReadUsers, "owner organiser support"),
    (Right::Refund, "owner organiser support"),
    (Right::Adjust, "owner support"),
    (Right::ReadAttendees, "owner organiser support door"),
    (Right::CheckIn, "owner organiser door"),
    (Right::Charge, "owner cashier"),
];

fn any_role() -> impl Strategy<Value = Role> {
    proptest::sample::select(Role::ALL.map(|(role, _)| role).to_vec())
}

fn any_right() -> impl Strategy<Value = Right> {
    proptest::sample::select(Right::ALL.to_vec())
}

proptest! {
    #[test]
    fn a_role_includes_the_rights_of_the_contract(role in any_role(), right in any_right()) {
        let (_, roles) = TABLE.iter().find(|(known, _)| *known == right).expect("each right is in the table");
        prop_assert_eq!(role.may(right), roles.split(' ').any(|name| name == role.as_str()));
        prop_assert_eq!(right.roles().any(|name| name == role.as_str()), role.may(right));
    }

    #[test]
    fn no_role_includes_more_than_the_owner(role in any_role(), right in any_right()) {
        prop_assert!(Role::Owner.may(right));
        prop_assert_eq!(Role::named(role.as_str()), Some(role));
    }

    #[test]
    fn only_a_name_of_a_role_is_one(text in "[a-z]{0,10}") {
        let known = Role::ALL.iter().any(|(_, name)| *name == text);
        prop_assert_eq!(Role::named(&text).is_some(), known);
    }
}

/// Rows of keys and charges, as a store keeps them.
#[derive(Default)]
struct World {
    accounts: HashMap<UserId, Account>,
    charges: HashMap<Arc<str>, ExternalCharge>,
    entries: usize,
    keys: Vec<Key>,
    directory: Directory,
    sessions: HashMap<SessionHash, Session>,
    log: Vec<LogEntry>,
}

impl World {
    /// Loads the rows that a command needs, decides it, and keeps the changes.
    fn decide<C: Command>(&mut self, command: &C) -> Result<C::Output, Refusal> {
        self.decide_over(Rows::default(), command)
    }

    fn decide_over<C: Command>(&mut self, mut rows: Rows, command: &C) -> Result<C::Output, Refusal> {
        let mut keys = Keys::default();
        command.needs(&mut keys);
        let changes = keys.staff_changes.clone().unwrap_or_default();
        for id in keys.staff.iter().chain(&changes.deleted) {
            rows.staff_keys.load(*id, self.keys.iter().find(|key| key.id == *id).cloned());
        }
        for name in &changes.names {
            rows.staff_names.load(name.clone(), self.keys.iter().find(|key| key.name == *name).map(|key| key.id));
        }
        for user in &keys.accounts {
            rows.accounts.load(user.clone(), self.accounts.get(user).cloned());
        }
        for id in &keys.external_charges {
            rows.external_charges.load(id.clone(), self.charges.get(id).cloned());
        }
        for hash in &keys.staff_sessions {
            rows.staff_sessions.load(*hash, self.sessions.get(hash).cloned());
        }
        if keys.staff_changes.is_some() {
            rows.staff_directory.load((), Some(self.directory));
        }
        let mut ids = Mint::new(Seeded(self.log.len() as u64 + self.directory.version * 1_000));
        let mut cx = Context { at: AT, ids: &mut ids as &mut dyn Ids, hold_seconds: 300 };
        let decided = command.decide(&mut rows, &mut cx);
        let changed: Vec<(StaffKeyId, Key)> =
            rows.staff_keys.changed().filter_map(|(id, key)| Some((*id, key?.clone()))).collect();
        if decided.is_err() {
            assert!(changed.is_empty() && rows.admin_log.is_empty(), "a refusal changes nothing");
        }
        for (id, key) in changed {
            self.keys.retain(|known| known.id != id);
            self.keys.push(key);
        }
        self.directory =
            rows.staff_directory.changed().next().and_then(|(_, row)| row.copied()).unwrap_or(self.directory);
        let accounts = rows.accounts.changed().filter_map(|(user, row)| Some((user.clone(), row?.clone())));
        self.accounts.extend(accounts);
        let charges = rows.external_charges.changed().filter_map(|(id, row)| Some((id.clone(), row?.clone())));
        self.charges.extend(charges);
        for (hash, session) in rows.staff_sessions.changed() {
            match session {
                Some(session) => drop(self.sessions.insert(*hash, session.clone())),
                None => drop(self.sessions.remove(hash)),
            }
        }
        self.entries += rows.ledger.len();
        self.log.extend(rows.admin_log);
        decided
    }

    fn make(&mut self, name: &str, role: Role) -> Result<Key, Refusal> {
        let number = self.directory.version;
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        self.decide(&by(Actor::Root, CreateKey { name: name.into(), role, hash }))
    }

    fn refused<C: Command>(&mut self, command: &C) -> &'static str {
        self.decide(command).err().as_ref().map_or("done", code)
    }
}

fn of(key: &Key) -> Actor {
    Actor::Key { id: key.id, name: key.name.clone() }
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

#[test]
fn a_name_is_used_once_and_root_never() {
    let mut world = World::default();
    let ann = world.make("ann", Role::Support).expect("a key");
    let first = world.directory;
    assert_eq!((ann.deleted_at, first.version, first.live), (None, 1, 1));
    for name in ["ann", "root"] {
        assert_eq!(world.make(name, Role::Door).map_err(|refusal| code(&refusal)), Err("key-name-taken"), "{name}");
    }
    world.make("Ann", Role::Door).expect("another name");
    world.decide(&by(Actor::Root, DeleteKey { key: ann.id })).expect("deleted");
    assert_eq!(world.make("ann", Role::Door).map_err(|refusal| code(&refusal)), Err("key-name-taken"), "also later");
    assert_eq!((world.directory.version, world.directory.live), (3, 1));
    assert_ne!(world.directory.change, first.change, "each change has an id of its own");
}

#[test]
fn a_deletion_is_repeated_without_an_effect() {
    let mut world = World::default();
    let ann = world.make("ann", Role::Support).expect("a key");
    let delete = by(Actor::Root, DeleteKey { key: ann.id });
    assert_eq!(world.decide(&delete).map(|key| key.deleted_at), Ok(Some(AT)));
    let after = (world.directory, world.log.len());
    assert_eq!(world.decide(&delete).map(|key| key.deleted_at), Ok(Some(AT)));
    assert_eq!((world.directory, world.log.len()), after, "nothing changed, and nothing is logged");
    let unknown = by(Actor::Root, DeleteKey { key: StaffKeyId::new(uuid::Uuid::nil()) });
    assert_eq!(world.refused(&unknown), "key-not-found");
}

#[test]
fn there_are_at_most_a_thousand_keys() {
    let mut world = World::default();
    world.make("one", Role::Door).expect("a key");
    world.directory.live = KEYS_MAX;
    assert_eq!(world.make("more", Role::Door).map_err(|refusal| code(&refusal)), Err("key-limit"));
    assert_eq!(world.make("one", Role::Door).map_err(|refusal| code(&refusal)), Err("key-name-taken"), "first");
    world.directory.live = KEYS_MAX - 1;
    world.make("more", Role::Door).expect("the last key");
    assert_eq!(world.directory.live, KEYS_MAX);
}

#[test]
fn a_deleted_key_changes_nothing() {
    let mut world = World::default();
    let ann = world.make("ann", Role::Owner).expect("a key");
    let other = world.make("other", Role::Door).expect("a key");
    let create = lecture::Create {
        title: "Rust".into(),
        lecturer: None,
        starts_at: AT,
        capacity: 30,
        opens_at: None,
        closed: false,
    };
    world.decide(&by(of(&ann), create.clone())).expect("a lecture");
    world.decide(&by(of(&ann), DeleteKey { key: ann.id })).expect("its own key");
    let logged = world.log.len();
    assert_eq!(world.refused(&by(of(&ann), create.clone())), "admin-key-invalid");
    assert_eq!(world.refused(&by(of(&ann), DeleteKey { key: other.id })), "admin-key-invalid");
    assert_eq!(
        world.refused(&by(of(&ann), CreateKey { name: "new".into(), role: Role::Door, hash: [9; 32] })),
        "admin-key-invalid"
    );
    // A key that never was is refused like one that is gone.
    let unknown = Actor::Key { id: StaffKeyId::new(uuid::Uuid::nil()), name: "unknown".into() };
    assert_eq!(world.refused(&by(unknown, create)), "admin-key-invalid");
    assert_eq!(world.log.len(), logged);
}

#[test]
fn keys_are_logged_without_their_secret() {
    let mut world = World::default();
    let ann = world.make("ann", Role::Support).expect("a key");
    world.decide(&by(of(&ann), NoteUsesOnly)).expect("noted");
    world.decide(&by(Actor::Root, DeleteKey { key: ann.id })).expect("deleted");
    let fields = vec![("name", text("ann")), ("role", text("support"))];
    let [made, gone] = &world.log[..] else { panic!("{:?}", world.log) };
    assert_eq!((made.action, &made.subject, &made.actor), (Action::KeyCreated, &Subject::Key(ann.id), &Actor::Root));
    assert_eq!((&made.before, &made.after), (&Vec::new(), &fields));
    assert_eq!((gone.action, &gone.before, &gone.after), (Action::KeyDeleted, &fields, &Vec::new()));
    assert_eq!((&*made.request, made.at), ("a-request", AT));
    assert_ne!(made.id, gone.id);
}

/// A command by staff that changes nothing.
struct NoteUsesOnly;

impl Command for NoteUsesOnly {
    type Output = ();

    fn needs(&self, _: &mut Keys) {}

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<(), Refusal> {
        NoteUses { uses: Vec::new() }.decide(rows, cx)
    }
}

impl onsale_domain::staff::Logged for NoteUsesOnly {
    const ACTION: Action = Action::QueueChanged;

    fn subject(&self, (): &()) -> Subject {
        unreachable!("nothing is logged")
    }

    fn before(&self, _: &Rows) -> onsale_domain::staff::Fields {
        vec![("paused", false.into())]
    }

    fn after(&self, (): &()) -> onsale_domain::staff::Fields {
        vec![("paused", false.into())]
    }
}

#[test]
fn a_change_is_logged_with_the_fields_that_changed_and_no_other() {
    let mut world = World::default();
    let concert = ConcertId::new(uuid::Uuid::from_u128(7));
    let room = Room::new(Settings::default(), AT);
    let with_room = || {
        let mut rows = Rows::default();
        rows.rooms.load(concert, Some(room.clone()));
        rows.draws.load(concert, None);
        rows.given_up.insert(concert, onsale_domain::waiting_room::GivenUp::loaded(Vec::new()));
        rows
    };
    let patch = Patch { max_active: Some(7), paused: Some(room.settings.paused), ..Patch::default() };
    world
        .decide_over(with_room(), &by(Actor::Root, Configure { concert, patch, draw: DrawPatch::default() }))
        .expect("set");
    let same = Patch { max_active: Some(room.settings.max_active), ..Patch::default() };
    world
        .decide_over(with_room(), &by(Actor::Root, Configure { concert, patch: same, draw: DrawPatch::default() }))
        .expect("set to what it is");
    let [entry] = &world.log[..] else { panic!("{:?}", world.log) };
    assert_eq!((entry.action, &entry.subject), (Action::QueueChanged, &Subject::Concert(concert)));
    assert_eq!(entry.before, [("maxActive", room.settings.max_active.into())]);
    assert_eq!(entry.after, [("maxActive", 7_u32.into())]);
}

#[test]
fn a_new_performance_is_logged_with_its_seats() {
    let mut world = World::default();
    let concert = ConcertId::new(uuid::Uuid::from_u128(7));
    let mut rows = Rows::default();
    let (title, venue, sale) = ("Gala".into(), "Hall".into(), concert::Sale::default());
    let row = concert::Concert {
        id: concert,
        title,
        venue,
        created_at: AT,
        notice: None,
        sale,
        seats_per_user: 4,
        version: 0,
    };
    rows.concerts.load(concert, Some(row));
    let section = concert::Section { from: 1, to: 5, grade: "R".into(), price: 100 };
    let seating = concert::Seating::new(vec![section]).expect("a seating");
    let (layout, refund_policy) = (None, Policy::default());
    let schedule = concert::Schedule { concert, starts_at: AT, seating, layout, closed: false, refund_policy };
    let made: PerformanceId = world.decide_over(rows, &by(Actor::Root, schedule)).expect("a performance").id;
    let [entry] = &world.log[..] else { panic!("{:?}", world.log) };
    assert_eq!((entry.action, &entry.subject), (Action::PerformanceCreated, &Subject::Performance(made)));
    let seats = entry.after.iter().find(|(name, _)| *name == "seats").map(|(_, value)| value);
    let section =
        vec![("from", 1_u32.into()), ("to", 5_u32.into()), ("grade", text("R")), ("price", Value::Number(100))];
    assert_eq!(seats, Some(&Value::List(vec![Value::Object(section)])));
}

#[test]
fn actions_have_names_of_their_own() {
    let names: BTreeSet<&str> = Action::ALL.iter().map(|(_, name)| *name).collect();
    assert_eq!(names.len(), Action::ALL.len());
    for (action, name) in Action::ALL {
        assert_eq!(action.as_str(), *name);
        assert!(name.split_once('.').is_some_and(|(what, done)| !what.is_empty() && done.ends_with("ed")), "{name}");
    }
}

fn charge(user: &str, amount: i64, external_id: Option<&str>) -> ChargeByStaff {
    let user = UserId::parse(user).expect("a user id");
    ChargeByStaff { user, amount, external_id: external_id.map(Arc::from) }
}

#[test]
fn an_external_id_charges_once() {
    let mut world = World::default();
    let first = by(Actor::Root, charge("ada", 500, Some("pay")));
    let done = world.decide(&first).expect("charged");
    assert_eq!((done.changed.account.balance, done.is_repeated), (500, false));
    world.decide(&by(Actor::Root, charge("ada", 1, None))).expect("charged");
    let ChargedByStaff { changed, is_repeated } = world.decide(&first).expect("the first result");
    assert_eq!((&changed, is_repeated), (&done.changed, true));
    for other in [charge("ada", 501, Some("pay")), charge("bob", 500, Some("pay"))] {
        assert_eq!(world.refused(&by(Actor::Root, other)), "external-id-reused");
    }
    assert_eq!((world.entries, world.log.len()), (2, 2), "one of each for each charge");
    assert_eq!(world.log[0].action, Action::PointsCharged);
    // The amount is judged first.
    assert_eq!(world.refused(&by(Actor::Root, charge("ada", 0, Some("pay")))), "amount-out-of-range");
}

#[test]
fn a_refused_charge_leaves_its_external_id_free() {
    let mut world = World::default();
    let full = Account { balance: BALANCE_MAX, version: 100, updated_at: Some(AT) };
    world.accounts.insert(UserId::parse("ada").expect("a user id"), full);
    assert_eq!(world.refused(&by(Actor::Root, charge("ada", 1, Some("pay")))), "balance-limit");
    assert_eq!(world.decide(&by(Actor::Root, charge("bob", 1, Some("pay")))).map(|done| done.is_repeated), Ok(false));
}

#[test]
fn a_session_lasts_eight_hours_or_until_the_sign_out() {
    let mut world = World::default();
    let ann = world.make("ann", Role::Support).expect("a key");
    let sign_in = by(of(&ann), SignIn { hash: [1; 32], key: Some(ann.id) });
    let session = world.decide(&sign_in).expect("a session");
    assert_eq!((session.key, session.started_at), (Some(ann.id), AT));
    assert_eq!(session.expires_at, AT.plus_seconds(SESSION_SECONDS));
    assert_eq!(world.sessions.get(&[1; 32]), Some(&session));
    let sign_out = by(of(&ann), SignOut { session: session.clone() });
    for _ in 0..2 {
        world.decide(&sign_out).expect("also when repeated");
        assert!(world.sessions.is_empty());
    }
    let said: Vec<_> = world.log[1..].iter().map(|entry| (entry.action, &entry.subject)).collect();
    let subject = Subject::Session(session.id);
    assert_eq!(said, [(Action::SessionStarted, &subject), (Action::SessionEnded, &subject)], "one log entry for each");
    let fields = vec![("expiresAt", session.expires_at.into())];
    assert_eq!((&world.log[1].before, &world.log[1].after), (&Vec::new(), &fields));
    assert_eq!((&world.log[2].before, &world.log[2].after), (&fields, &Vec::new()));
    // A key that was deleted starts none.
    world.decide(&by(Actor::Root, DeleteKey { key: ann.id })).expect("deleted");
    assert_eq!(world.refused(&sign_in), "admin-key-invalid");
}
