//! Flags of settings: before a command, after it, after its subcommand. Always the sale that was named, and no other.

use std::path::Path;

use onsale_testing::{Launch, Sale, is_shared};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::support::{ONSALE, until};
use super::{assert_bad, files, launch, said, write};

/// Commands that work on a sale which is there, each with what it takes beside settings.
const ON_A_SALE: [&[&str]; 6] =
    [&["audit"], &["events"], &["events", "retry"], &["events", "replay"], &["relay"], &["consume"]];

const MEANT: &str = "sqlite://meant.db";

/// The command with a flag at each allowed position.
fn positions(command: &[&str], flag: &[&str]) -> Vec<Vec<String>> {
    let arguments = |place: usize| [&command[..place], flag, &command[place..]].concat();
    let owned = |arguments: Vec<&str>| arguments.into_iter().map(str::to_owned).collect();
    (0..=command.len()).map(|place| owned(arguments(place))).collect()
}

/// A folder with a sale in `meant.db`: one charge, whose event is a dead letter.
async fn meant() -> Launch {
    let launch = Sale::launch(ONSALE);
    let with_sale = Launch::new(ONSALE).on(format!("sqlite://{}/meant.db", launch.folder().display()));
    let server = with_sale.start().await;
    server.caller().await.patch("/point/ada/charge").json(&json!({"amount": 5})).expect(200).await;
    assert!(server.terminate().await.success());
    bury(launch.folder());
    launch
}

fn open(folder: &Path) -> Connection {
    let db = Connection::open(folder.join("meant.db")).unwrap();
    db.busy_timeout(onsale_testing::PATIENCE).unwrap();
    db
}

/// Makes the one event a dead letter, as if it had been sent.
fn bury(folder: &Path) {
    let db = open(folder);
    db.execute_batch(
        "UPDATE events SET state = 'DEAD', reason = 'why'; DELETE FROM events_put_back; DELETE FROM relays;
         UPDATE relay_parts SET sent_to = 1, checked_to = 1, relay = NULL, leased_until = 0;",
    )
    .unwrap();
}

fn number(folder: &Path, sql: &str) -> i64 {
    open(folder).query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_flag_counts_wherever_it_stands() {
    let launch = meant().await;
    let folder = launch.folder();
    for flag in [&["--database-url", MEANT][..], &["--database-url=sqlite://meant.db"]] {
        for arguments in positions(&["audit"], flag) {
            let shown = run(&launch, &arguments).await;
            assert!(shown.contains("every history is an unbroken chain: 1 checked"), "{arguments:?}: {shown}");
        }
        for arguments in positions(&["events", "--json"], flag) {
            let event: Value = serde_json::from_str(run(&launch, &arguments).await.trim()).unwrap();
            assert_eq!(event["data"]["balanceAfter"], 5, "{arguments:?}");
        }
        for arguments in positions(&["events", "retry"], flag) {
            bury(folder);
            assert_eq!(run(&launch, &arguments).await, "1 dead letter(s) put back\n", "{arguments:?}");
            assert_eq!(number(folder, "SELECT count(*) FROM events_put_back"), 1, "{arguments:?}");
        }
        for arguments in positions(&["events", "replay", "--since=2020-01-01T00:00:00Z"], flag) {
            bury(folder);
            run(&launch, &arguments).await;
            assert_eq!(number(folder, "SELECT max(sent_to) FROM relay_parts"), 0, "{arguments:?}");
        }
        for command in ["migrate", "seed"] {
            for arguments in positions(&[command], flag) {
                let fresh = Launch::new(ONSALE);
                run(&fresh, &arguments).await;
                assert!(fresh.folder().join("meant.db").exists(), "{arguments:?}");
                assert!(!fresh.folder().join("onsale.db").exists(), "{arguments:?}");
            }
        }
    }
    assert!(is_shared() || !files(&launch).iter().any(|name| name.starts_with("onsale.db")), "{:?}", files(&launch));
}

/// Standard output of a run that succeeds.
async fn run(launch: &Launch, arguments: &[String]) -> String {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = launch.run(&arguments).await;
    assert!(run.status.success(), "{arguments:?}: {}", said(&run));
    String::from_utf8(run.stdout).unwrap()
}

#[tokio::test]
async fn a_flag_counts_wherever_it_stands_for_what_goes_on() {
    let launch = meant().await;
    let folder = launch.folder();
    for command in [&["consume", "--data-platform-dir=out"][..], &["relay", "--kafka-brokers=127.0.0.1:1"]] {
        for arguments in positions(command, &["--database-url", MEANT]) {
            bury(folder);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let mut child = launch.command(&arguments).stderr(std::process::Stdio::null()).spawn().unwrap();
            let is_there = async || (number(folder, "SELECT count(*) FROM relays") > 0).then_some(());
            until("the relay works on the sale that was named", is_there).await;
            child.kill().await.unwrap();
        }
    }
    assert!(is_shared() || !files(&launch).iter().any(|name| name.starts_with("onsale.db")), "{:?}", files(&launch));
    for before in [false, true] {
        let url = ["--database-url", MEANT, "--listen=127.0.0.1:0"];
        let arguments = if before { [&url[..], &["serve"]].concat() } else { [&["serve"], &url[..]].concat() };
        let (mut child, base) = serve(&launch, &arguments).await;
        let point = onsale_testing::Caller::new(&base).get("/point/ada").expect(200).await;
        assert_eq!(point["balance"], 5, "{arguments:?}");
        let listen = base.strip_prefix("http://").unwrap();
        for arguments in positions(&["health"], &["--listen", listen]) {
            assert!(run(&launch, &arguments).await.contains(listen), "{arguments:?}");
        }
        child.kill().await.unwrap();
    }
}

/// A server that is started with just these arguments, and its address.
async fn serve(launch: &Launch, arguments: &[&str]) -> (tokio::process::Child, String) {
    use tokio::io::AsyncBufReadExt;
    let mut command = launch.command(arguments);
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let first = tokio::time::timeout(onsale_testing::PATIENCE, lines.next_line()).await.expect("a first line in time");
    let first = first.unwrap().unwrap_or_default();
    (child, first.strip_prefix("onsale listening on ").unwrap_or_else(|| panic!("{first}")).to_owned())
}

#[tokio::test]
async fn a_flag_that_is_given_twice_is_refused() {
    let commands: [&[&str]; 10] = [
        &["serve"],
        &["migrate"],
        &["seed"],
        &["audit"],
        &["events"],
        &["events", "retry"],
        &["events", "replay", "--since=2020-01-01T00:00:00Z"],
        &["relay"],
        &["consume"],
        &["health"],
    ];
    let launch = launch();
    let before = files(&launch);
    for command in commands {
        for one in positions(command, &["--database-url", MEANT]) {
            let one: Vec<&str> = one.iter().map(String::as_str).collect();
            for both in positions(&one, &["--database-url=sqlite://other.db"]) {
                // Between the name of a flag and its value, it is the value.
                if both.windows(2).any(|pair| pair[0] == "--database-url" && pair[1].starts_with("--")) {
                    continue;
                }
                let both: Vec<&str> = both.iter().map(String::as_str).collect();
                assert_bad(&launch.run(&both).await, &["--database-url"]);
            }
        }
    }
    let twice = ["--config=a.toml", "audit", "--config=b.toml"];
    assert_bad(&launch.run(&twice).await, &["--config occurs twice"]);
    assert_eq!(files(&launch), before, "nothing is made");
}

#[tokio::test]
async fn a_flag_without_effect_on_a_command_is_refused_or_logged() {
    let launch = launch();
    for command in [
        &["openapi"][..],
        &["completions", "bash"],
        &["size", "--figures"],
        &["verify-draw", "draw.json", "entries.csv"],
    ] {
        let arguments = [&["--database-url", MEANT], command].concat();
        assert_bad(&launch.run(&arguments).await, &["--database-url", command[0]]);
    }
    let views: [&[&str]; 4] = [&["--follow"], &["--json"], &["--state", "dead"], &["-f", "--from-start"]];
    for view in views {
        for command in [&["retry"][..], &["replay", "--since=2020-01-01T00:00:00Z"]] {
            assert_bad(&launch.run(&[&["events"], view, command].concat()).await, &["has no effect", command[0]]);
        }
    }
    assert_bad(&launch.run(&["events", "--from-start"]).await, &["--follow"]);
    assert!(launch.run(&["migrate"]).await.status.success());
    let run = launch.run(&["audit", "--hold-seconds=5"]).await;
    assert!(run.status.success() && said(&run).contains("--hold-seconds has no effect"), "{}", said(&run));
}

#[tokio::test]
async fn an_empty_flag_is_not_the_default_sale() {
    let launch = launch();
    let before = files(&launch);
    for arguments in
        [&["audit", "--database-url="][..], &["--database-url", "", "events", "retry"], &["serve", "--hold-seconds="]]
    {
        assert_bad(&launch.run(arguments).await, &["is empty"]);
    }
    write(&launch, "empty", "\n");
    let run =
        launch.another().set("ONSALE_ADMIN_KEY_FILE", launch.folder().join("empty").display()).run(&["migrate"]).await;
    assert_bad(&run, &["ONSALE_ADMIN_KEY_FILE", "empty"]);
    assert_eq!(files(&launch).len(), before.len() + 1, "nothing is made");
}

#[tokio::test]
async fn a_sale_that_is_not_there_is_not_made() {
    if is_shared() {
        return;
    }
    for command in ON_A_SALE {
        let launch = launch().set("ONSALE_KAFKA_BROKERS", if command == ["relay"] { "127.0.0.1:1" } else { "" });
        let since = if command.ends_with(&["replay"]) { &["--since=2020-01-01T00:00:00Z"][..] } else { &[] };
        let before = files(&launch);
        let run = launch.run(&[command, since].concat()).await;
        assert_eq!(run.status.code(), Some(1), "{command:?}: {}", said(&run));
        assert!(said(&run).contains("onsale.db") && said(&run).contains("no such file"), "{command:?}: {}", said(&run));
        assert_eq!(files(&launch), before, "{command:?}");
    }
}
