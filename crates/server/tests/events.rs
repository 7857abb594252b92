//! `onsale events`: the event log as operators and other programs read it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;

use onsale_testing::{Launch, PATIENCE, Sale, Signal, Used, signal};
use rusqlite::Connection;
use serde_json::{Value, json};
use support::{ONSALE, millis, text, walk};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

/// The event log as CloudEvents, in its order.
async fn log(launch: &Launch) -> Vec<Value> {
    let run = launch.run(&["events", "--json"]).await;
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let lines = String::from_utf8(run.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines of the event log, each split into its columns.
async fn lines(launch: &Launch) -> Vec<Vec<String>> {
    let run = launch.run(&["events"]).await;
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let lines = String::from_utf8(run.stdout).unwrap();
    lines.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// The one event of this type whose data has this member.
#[track_caller]
fn the_one<'a>(log: &'a [Value], kind: &str, member: &str, value: &Value) -> &'a Value {
    let found: Vec<&Value> =
        log.iter().filter(|event| event["type"] == kind && event["data"][member] == *value).collect();
    let [event] = found[..] else { panic!("one {kind} with {member} {value}: {found:?}") };
    event
}

/// The data of an event about seats, from the answer of the reservation.
fn claim(reservation: &Value, user: &str, added: &Value) -> Value {
    let mut data = json!({"userId": user});
    for member in ["reservationId", "performanceId", "seats", "amount"] {
        data[member] = reservation[member].clone();
    }
    for (name, value) in added.as_object().unwrap() {
        data[name] = value.clone();
    }
    data
}

/// Each type has the subject and the data of the contract.
fn assert_events(log: &[Value], used: &Used, ada: &[Value]) {
    let (lecture, performance) = (json!(used.id("lecture")), json!(used.id("performance")));
    for row in ada {
        let kind = if row["type"] == "CHARGE" { "onsale.points.charged.v1" } else { "onsale.points.used.v1" };
        let event = the_one(log, kind, "balanceAfter", &row["balanceAfter"]);
        let data = json!({"userId": "ada", "amount": row["amount"], "balanceAfter": row["balanceAfter"],
            "reference": row["reference"]});
        assert_eq!((&event["subject"], &event["data"]), (&json!("ada"), &data));
        assert_eq!(event["time"], row["createdAt"]);
    }
    let applied = &used.objects["applied"];
    let event = the_one(log, "onsale.lecture.applied.v1", "userId", &json!("ada"));
    let data = json!({"lectureId": lecture, "userId": "ada", "seatNumber": applied["seatNumber"]});
    assert_eq!((&event["subject"], &event["data"], &event["time"]), (&lecture, &data, &applied["appliedAt"]));
    let event = the_one(log, "onsale.lecture.cancelled.v1", "userId", &json!("bob"));
    let data = json!({"lectureId": lecture, "userId": "bob", "seatNumber": 2});
    assert_eq!((&event["subject"], &event["data"]), (&lecture, &data));

    for (name, user, reason) in [("released", "bob", "released"), ("expired", "dan", "expired")] {
        let event = the_one(log, "onsale.seats.released.v1", "reservationId", &json!(used.id(name)));
        let data = claim(&used.objects[name], user, &json!({"reason": reason}));
        assert_eq!((&event["subject"], &event["data"]), (&performance, &data));
    }
    for (name, user) in [("released", "bob"), ("expired", "dan"), ("held", "cyd"), ("paid", "ada"), ("other", "eve")] {
        let held = &used.objects[name];
        let event = the_one(log, "onsale.seats.held.v1", "reservationId", &json!(used.id(name)));
        let data = claim(held, user, &json!({"heldUntil": held["heldUntil"]}));
        assert_eq!((&event["subject"], &event["data"]), (&performance, &data));
    }
    let payment = &used.objects["payment"];
    let event = the_one(log, "onsale.payment.completed.v1", "paymentId", &payment["paymentId"]);
    let added = json!({"paymentId": payment["paymentId"], "paidAt": payment["paidAt"]});
    let data = claim(&used.objects["paid"], "ada", &added);
    assert_eq!((&event["subject"], &event["data"], &event["time"]), (&performance, &data, &payment["paidAt"]));
}

#[tokio::test]
async fn every_change_is_a_cloud_event_of_its_type() {
    let (used, launch, sale) = Used::make(Sale::launch(ONSALE)).await;
    let log = log(&launch).await;
    let ada = sale.caller.get("/point/ada/histories").expect(200).await;
    let ada = ada.as_array().unwrap();
    assert_eq!(ada.len(), 4, "two charges, a use, a payment");
    assert_events(&log, &used, ada);

    let members = ["data", "datacontenttype", "id", "source", "specversion", "subject", "time", "type"];
    let mut ids = BTreeSet::new();
    let mut types = BTreeSet::new();
    for event in &log {
        assert!(event.as_object().unwrap().keys().eq(members), "{event}");
        assert_eq!((&event["specversion"], &event["datacontenttype"]), (&json!("1.0"), &json!("application/json")));
        assert!(!text(&event["source"]).is_empty() && millis(&event["time"]) > 0, "{event}");
        assert!(ids.insert(text(&event["id"])), "an id is there twice: {event}");
        types.insert(text(&event["type"]));
    }
    assert_eq!(types.len(), 7, "{types:?}");
    assert_eq!(log.len(), 5 + 5 + 5 + 2 + 2 + 1, "there are no other events: {types:?}");
}

#[tokio::test]
async fn ids_are_stable_and_the_order_holds_per_subject() {
    let (used, launch, sale) = Used::make(Sale::launch(ONSALE)).await;
    let before = log(&launch).await;
    sale.instance.kill().await;
    let sale = Sale::start(&launch).await;
    sale.charge("ada", 5).await;
    let after = log(&launch).await;
    assert_eq!(after[..before.len()], before[..], "the earlier events stay the same");

    let of = |subject: &str| after.iter().filter(|event| event["subject"] == subject).collect::<Vec<_>>();
    let rows = walk("/point/ada/histories?limit=2", |path| sale.caller.get(path)).await;
    let balances: Vec<&Value> = rows.iter().rev().map(|row| &row["balanceAfter"]).collect();
    let told: Vec<&Value> = of("ada").iter().map(|event| &event["data"]["balanceAfter"]).collect();
    assert_eq!(told, balances, "one event a row, in the order of the history");

    let path = format!("/admin/lectures/{}/history", used.id("lecture"));
    let history = sale.admin(sale.caller.get(&path)).expect(200).await;
    let history: Vec<String> = history.as_array().unwrap().iter().map(|line| text(&line["userId"])).collect();
    let told: Vec<String> = of(used.id("lecture")).iter().map(|event| text(&event["data"]["userId"])).collect();
    assert_eq!(told, history);

    let mut stories: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut last = 0;
    for event in of(used.id("performance")) {
        assert!(millis(&event["time"]) >= last, "times do not go back: {event}");
        last = millis(&event["time"]);
        stories.entry(text(&event["data"]["reservationId"])).or_default().push(text(&event["type"]));
    }
    let (held, released, paid) = ("onsale.seats.held.v1", "onsale.seats.released.v1", "onsale.payment.completed.v1");
    for (name, story) in [
        ("paid", &[held, paid][..]),
        ("held", &[held]),
        ("released", &[held, released]),
        ("expired", &[held, released]),
    ] {
        assert_eq!(stories[used.id(name)], story, "{name}");
    }
}

#[tokio::test]
async fn a_line_per_event_shows_state_id_type_subject_age_and_reason() {
    let (used, launch, _sale) = Used::make(Sale::launch(ONSALE)).await;
    let (log, lines) = (log(&launch).await, lines(&launch).await);
    assert_eq!(log.len(), lines.len());
    for (event, line) in log.iter().zip(&lines) {
        let [state, id, kind, subject, age, reason] = &line[..] else { panic!("six columns: {line:?}") };
        assert_eq!((state.as_str(), reason.as_str()), ("pending", "-"));
        assert_eq!((&json!(id), &json!(kind), &json!(subject)), (&event["id"], &event["type"], &event["subject"]));
        let (number, unit) = age.split_at(age.len() - 1);
        assert!(number.parse::<u64>().is_ok() && ["s", "m", "h", "d"].contains(&unit), "{line:?}");
    }
    assert!(lines.iter().any(|line| line[3] == used.id("lecture")));
}

/// Makes the first event of a subject a dead letter.
fn bury(folder: &Path, subject: &str, reason: &str) {
    let db = Connection::open(folder.join("onsale.db")).unwrap();
    db.busy_timeout(PATIENCE).unwrap();
    let first = "(SELECT min(position) FROM events WHERE subject = ?1)";
    let sql = format!("UPDATE events SET state = 'DEAD', reason = ?2 WHERE position = {first}");
    assert_eq!(db.execute(&sql, [subject, reason]).unwrap(), 1);
}

#[tokio::test]
async fn dead_letters_are_put_back_while_a_server_runs() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    for user in ["ada", "bob", "cyd"] {
        sale.charge(user, 5).await;
    }
    bury(launch.folder(), "bob", "refused with 422 by the platform");
    let before = log(&launch).await;
    let dead = lines(&launch).await;
    assert_eq!(dead[1][0], "dead");
    assert_eq!(dead[1][5..].join(" "), "refused with 422 by the platform");
    assert_eq!((dead[0][0].as_str(), dead[2][0].as_str()), ("pending", "pending"));

    let retry = launch.run(&["events", "retry"]).await;
    assert!(retry.status.success(), "{}", String::from_utf8_lossy(&retry.stderr));
    let said = String::from_utf8_lossy(&retry.stdout).into_owned();
    assert!(said.starts_with("1 "), "it prints how many: {said}");
    assert!(lines(&launch).await.iter().all(|line| line[0] == "pending" && line[5..] == ["-"]));
    assert_eq!(log(&launch).await, before, "the event is the same one, in its place");
    let again = launch.run(&["events", "retry"]).await;
    assert!(String::from_utf8_lossy(&again.stdout).starts_with("0 "));
    assert_eq!(sale.charge("bob", 5).await["balance"], 10, "the server goes on");
    assert!(launch.run(&["audit"]).await.status.success());
}

/// A running `onsale events --follow`.
struct Follower {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Follower {
    fn start(launch: &Launch, arguments: &[&str]) -> Self {
        let mut command = launch.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn next(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a line in time");
        line.unwrap().expect("the log goes on")
    }

    /// SIGINT, and the exit code.
    async fn interrupt(mut self) -> Option<i32> {
        signal(&self.child, Signal::INT);
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("an end in time").unwrap().code()
    }
}

#[tokio::test]
async fn follow_prints_new_events() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    sale.charge("ada", 5).await;
    let mut people = Follower::start(&launch, &["events", "--follow"]);
    let mut programs = Follower::start(&launch, &["events", "-f", "--json"]);
    assert!(people.next().await.contains("onsale.points.charged.v1"), "what was there comes first");
    let first: Value = serde_json::from_str(&programs.next().await).unwrap();
    assert_eq!(first["data"]["balanceAfter"], 5);
    for round in 2..=20 {
        sale.charge("ada", 5).await;
        assert!(people.next().await.contains("onsale.points.charged.v1"));
        let event: Value = serde_json::from_str(&programs.next().await).unwrap();
        assert_eq!(event["data"]["balanceAfter"], 5 * round, "each once, in order");
    }
    assert_eq!(people.interrupt().await, Some(0));
    // A follower sees new events after a restart of the server too.
    assert!(sale.instance.terminate().await.success());
    let sale = Sale::start(&launch).await;
    sale.charge("ada", 5).await;
    let event: Value = serde_json::from_str(&programs.next().await).unwrap();
    assert_eq!(event["data"]["balanceAfter"], 105);
    assert_eq!(programs.interrupt().await, Some(0));
}

#[tokio::test]
async fn follow_begins_with_the_last_ten_events() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    for _ in 0..25 {
        sale.charge("ada", 1).await;
    }
    let balance = |line: &str| serde_json::from_str::<Value>(line).unwrap()["data"]["balanceAfter"].as_i64().unwrap();
    let mut from_end = Follower::start(&launch, &["events", "--follow", "--json"]);
    for expected in 16..=25 {
        assert_eq!(balance(&from_end.next().await), expected, "the last ten");
    }
    let mut from_start = Follower::start(&launch, &["events", "--follow", "--from-start", "--json"]);
    for expected in 1..=25 {
        assert_eq!(balance(&from_start.next().await), expected, "all of them");
    }
    sale.charge("ada", 1).await;
    assert_eq!((balance(&from_end.next().await), balance(&from_start.next().await)), (26, 26), "and what comes");
    let mut dead = Follower::start(&launch, &["events", "--follow", "--state", "pending", "--json"]);
    assert_eq!(balance(&dead.next().await), 17, "the last ten, if they are in that state");
    for follower in [from_end, from_start, dead] {
        assert_eq!(follower.interrupt().await, Some(0));
    }
}

#[tokio::test]
async fn state_prints_only_events_in_that_state() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    for user in ["ada", "bob", "cyd"] {
        sale.charge(user, 5).await;
    }
    bury(launch.folder(), "bob", "why");
    let db = Connection::open(launch.folder().join("onsale.db")).unwrap();
    db.busy_timeout(PATIENCE).unwrap();
    let subjects = async |state: &str| {
        let run = launch.run(&["events", "--json", "--state", state]).await;
        let lines = String::from_utf8(run.stdout).unwrap();
        lines.lines().map(|line| text(&serde_json::from_str::<Value>(line).unwrap()["subject"])).collect::<Vec<_>>()
    };
    assert_eq!(
        (subjects("dead").await, subjects("pending").await),
        (vec!["bob".into()], vec!["ada".into(), "cyd".into()])
    );
    assert!(subjects("sent").await.is_empty());
    db.execute("UPDATE relay_parts SET sent_to = 3, checked_to = 3", []).unwrap();
    db.execute("INSERT INTO events_put_back VALUES (1)", []).unwrap();
    assert_eq!((subjects("dead").await, subjects("pending").await), (vec!["bob".into()], vec!["ada".into()]));
    assert_eq!(subjects("sent").await, ["cyd"]);
    sale.charge("dan", 5).await;
    assert_eq!(subjects("pending").await, ["ada", "dan"], "what was put back, and what came since");
}

#[tokio::test]
async fn retry_fails_for_an_event_that_is_not_a_dead_letter() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    for user in ["ada", "bob"] {
        sale.charge(user, 5).await;
    }
    bury(launch.folder(), "bob", "why");
    let ids: Vec<String> = log(&launch).await.iter().map(|event| text(&event["id"])).collect();
    let retry = launch.run(&["events", "retry", "--id", &ids[0], "--id", &ids[1]]).await;
    let said = String::from_utf8_lossy(&retry.stderr).into_owned();
    assert_eq!(retry.status.code(), Some(1), "{said}");
    assert!(String::from_utf8_lossy(&retry.stdout).starts_with("1 ") && said.contains("1 of the 2"), "{said}");
    assert!(lines(&launch).await.iter().all(|line| line[0] == "pending"));
}

#[tokio::test]
async fn a_closed_pipe_is_not_a_failure() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    for _ in 0..3 {
        sale.charge("ada", 5).await;
    }
    let mut follower = Follower::start(&launch, &["events"]);
    follower.next().await;
    let Follower { mut child, lines } = follower;
    drop(lines);
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await.expect("an end in time").unwrap();
    assert_eq!(ended.code(), Some(0), "as with `onsale events | head -1`");
}

#[tokio::test]
async fn follow_ends_when_its_reader_closes_the_pipe() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    sale.charge("ada", 5).await;
    let mut follower = Follower::start(&launch, &["events", "--follow"]);
    follower.next().await;
    let Follower { mut child, lines } = follower;
    drop(lines);
    sale.charge("ada", 5).await;
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    let ended = ended.expect("`onsale events --follow | head -1` ends when its reader closed the pipe");
    assert_eq!(ended.unwrap().code(), Some(0));
}

#[tokio::test]
async fn every_row_of_every_ledger_has_exactly_one_event() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    let users: Vec<String> = (0..8).map(|number| format!("user-{number}")).collect();
    let caller = &sale.caller;
    let acting: Vec<_> = users
        .iter()
        .flat_map(|user| {
            (1..=30).map(move |round| {
                let verb = if round % 3 == 0 { "use" } else { "charge" };
                let path = format!("/point/{user}/{verb}");
                tokio::spawn(caller.patch(&path).json(&json!({"amount": round})).send())
            })
        })
        .collect();
    for reply in acting {
        let reply = reply.await.unwrap();
        assert!(reply.status == 200 || reply.code() == "insufficient-balance", "{}", reply.json());
    }
    let log = log(&launch).await;
    for user in &users {
        let rows = walk(&format!("/point/{user}/histories"), |path| sale.caller.get(path)).await;
        let rows: Vec<Value> = rows.iter().rev().map(|row| json!([row["amount"], row["balanceAfter"]])).collect();
        let told = log.iter().filter(|event| event["subject"] == **user);
        let told: Vec<Value> =
            told.map(|event| json!([event["data"]["amount"], event["data"]["balanceAfter"]])).collect();
        assert_eq!(told, rows, "{user}");
    }
}

#[tokio::test]
async fn events_fails_without_a_database() {
    let launch = Sale::launch(ONSALE);
    for arguments in [&["events"][..], &["events", "--json"], &["events", "--follow"], &["events", "retry"]] {
        let run = launch.run(arguments).await;
        assert_eq!(run.status.code(), Some(1), "{arguments:?}");
        assert!(String::from_utf8_lossy(&run.stderr).contains("onsale.db"), "{arguments:?}");
    }
    assert!(launch.run(&["migrate"]).await.status.success());
    assert!(log(&launch).await.is_empty());
}
