//! Commands that end by themselves: help, completions, the schema, the samples.

use std::process::{Command, Stdio};

use onsale_testing::{Launch, Sale};
use serde_json::{Value, json};

use super::support::ONSALE;
use super::{TABLE, assert_bad, launch, said, variable};

async fn shown(arguments: &[&str]) -> String {
    let run = launch().run(arguments).await;
    assert!(run.status.success(), "{arguments:?}: {}", said(&run));
    String::from_utf8(run.stdout).unwrap()
}

const COMMANDS: [&str; 10] =
    ["serve", "migrate", "seed", "audit", "copy", "events", "openapi", "size", "verify-draw", "completions"];

#[tokio::test]
async fn help_names_every_command_and_setting() {
    let help = shown(&["--help"]).await;
    for command in COMMANDS {
        assert!(help.contains(&format!("  {command}")), "{command}: {help}");
        assert!(shown(&[command, "--help"]).await.contains(&format!("onsale {command}")), "{command}");
    }
    let help = shown(&["serve", "--help"]).await;
    for (name, _, _) in TABLE {
        assert!(help.contains(&format!("--{name} ")) && help.contains(&variable(name)), "{name}: {help}");
    }
    assert!(help.contains("--demo"));
    assert!(shown(&["--version"]).await.starts_with("onsale "));
    assert_bad(&launch().run(&[]).await, &["Usage"]);
}

#[tokio::test]
async fn the_help_of_a_command_lists_the_settings_that_it_uses() {
    let table = [
        ("relay", "--kafka-brokers", "--hold-seconds"),
        ("audit", "--database-url", "--listen"),
        ("health", "--listen", "--database-url"),
    ];
    for (command, used, unused) in table {
        let help = shown(&[command, "--help"]).await;
        assert!(help.contains(used) && !help.contains(unused), "{command}: {help}");
        assert!(help.contains("onsale serve --help"), "{command} names the list of all settings: {help}");
    }
}

#[tokio::test]
async fn last_reads_only_the_end_of_the_log() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    for user in ["ada", "bob", "cyd"] {
        sale.charge(user, 5).await;
    }
    let subjects = async |more: &[&str]| {
        let run = launch.run(&[&["events", "--json", "--last", "2"], more].concat()).await;
        assert!(run.status.success(), "{}", said(&run));
        let lines = String::from_utf8(run.stdout).unwrap();
        let event = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        lines.lines().map(|line| event(line)["subject"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(subjects(&[]).await, ["bob", "cyd"]);
    assert_eq!(subjects(&["--state", "pending"]).await, ["bob", "cyd"]);
    for refused in [&["--last", "0"][..], &["--last", "1001"], &["--last", "2", "--follow", "--from-start"]] {
        assert_bad(&launch.run(&[&["events"], refused].concat()).await, &["--last"]);
    }
    assert_bad(&launch.run(&["events", "--last", "2", "retry"]).await, &["--last", "retry"]);
}

#[tokio::test]
async fn completions_for_the_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let script = shown(&["completions", shell]).await;
        for word in COMMANDS.iter().chain(&["demo", "database-url"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let folder = launch();
    let script = folder.folder().join("completions.bash");
    std::fs::write(&script, shown(&["completions", "bash"]).await).unwrap();
    let asked = "source ./completions.bash; COMP_WORDS=(onsale se); COMP_CWORD=1; _onsale onsale se onsale; echo ${COMPREPLY[@]}";
    let bash = Command::new("bash").args(["-c", asked]).current_dir(folder.folder()).output().unwrap();
    let words = String::from_utf8_lossy(&bash.stdout).into_owned();
    assert!(words.contains("serve") && words.contains("seed"), "{words} {}", String::from_utf8_lossy(&bash.stderr));
}

/// Runs the program with a standard output whose reader has gone; its end and its log.
fn run_unread(launch: &Launch, arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = launch.command(arguments);
    let child = command.as_std_mut().stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    // The command holds the pipe's end too.
    drop(command);
    let run = child.wait_with_output().unwrap();
    (run.status.code(), said(&run))
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let launch = Sale::launch(ONSALE);
    assert!(launch.run(&["seed"]).await.status.success());
    let mut table = vec![
        vec!["--help"],
        vec!["--version"],
        vec!["serve", "--help"],
        vec!["openapi"],
        vec!["size", "--figures"],
        vec!["audit"],
        vec!["events"],
        vec!["events", "--json"],
        vec!["events", "--follow"],
        vec!["events", "retry"],
        vec!["migrate"],
        vec!["seed"],
    ];
    table.extend(["bash", "zsh", "fish", "elvish", "powershell"].map(|shell| vec!["completions", shell]));
    for arguments in table {
        let (code, log) = run_unread(&launch, &arguments);
        assert_eq!((code, log.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_disk_that_is_full_is_a_failure_and_no_panic() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [&["completions", "bash"][..], &["openapi"]] {
        let launch = launch();
        let mut command = launch.command(arguments);
        let run =
            command.as_std_mut().stdout(full()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(run.status.code(), Some(1), "{arguments:?}");
        assert!(said(&run).contains("No space left") && !said(&run).contains("panicked"), "{}", said(&run));
    }
}

#[tokio::test]
async fn the_openapi_document_is_the_one_that_is_served() {
    let printed: Value = serde_json::from_str(&shown(&["openapi"]).await).unwrap();
    let sale = Sale::start(&Sale::launch(ONSALE)).await;
    assert_eq!(sale.caller.get("/openapi.json").expect(200).await, printed);
}

#[tokio::test]
async fn migrating_twice_is_as_good_as_once() {
    let launch = Sale::launch(ONSALE);
    for _ in 0..2 {
        let run = launch.run(&["migrate"]).await;
        assert!(run.status.success() && !run.stdout.is_empty(), "{}", said(&run));
    }
    let sale = Sale::start(&launch).await;
    sale.charge("ada", 5).await;
    assert!(sale.instance.terminate().await.success());
    assert!(launch.run(&["migrate"]).await.status.success());
    let sale = Sale::start(&launch).await;
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 5);
    assert_eq!(sale.caller.get("/lectures").expect(200).await, json!([]), "the schema, and nothing else");
}

/// Lectures, concerts and the sample user's points.
pub(super) async fn samples(sale: &Sale) -> [Value; 3] {
    let mut shown = Vec::new();
    for path in ["/lectures", "/concerts", "/point/42"] {
        shown.push(sale.caller.get(path).expect(200).await);
    }
    shown.try_into().unwrap()
}

#[tokio::test]
async fn seeding_twice_is_as_good_as_once() {
    let launch = Sale::launch(ONSALE);
    let first = launch.run(&["seed"]).await;
    assert!(first.status.success(), "{}", said(&first));
    let sale = Sale::start(&launch).await;
    let before = samples(&sale).await;
    assert!(before[0].as_array().unwrap().len() > 1 && before[1].as_array().unwrap().len() > 1, "{before:?}");
    assert!(before[2]["balance"].as_i64().unwrap() > 0);
    assert!(sale.instance.terminate().await.success());
    let second = launch.run(&["seed"]).await;
    assert!(second.status.success() && second.stdout != first.stdout, "the output reports that nothing was added");
    let sale = Sale::start(&launch).await;
    assert_eq!(samples(&sale).await, before);
    assert!(launch.run(&["audit"]).await.status.success());
}
