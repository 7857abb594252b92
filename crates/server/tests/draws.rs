//! Published draws: `onsale verify-draw` and the Python of the guide, on a draw that was computed elsewhere and on broken copies.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Output;

use axum::Router;
use axum::routing::get;
use onsale_domain::ids::{ConcertId, TokenId};
use onsale_domain::waiting_room::{DrawKey, ListHash, Seed};
use onsale_testing::{Launch, Sale, absent, iso};
use serde_json::{Value, json};
use support::{ONSALE, audit, text, until};
use uuid::Uuid;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/verify_draw.py");
const IDS: &str = "01938000-0000-7000-8000-0000000000";
const BEACON: &str = "3439d92d58e47d342131d446a3abe264396dd264717897af30525c98408c834f";

/// The draw of the guide, without a beacon.
fn draw() -> Value {
    json!({
        "concertId": format!("{IDS}01"), "state": "drawn", "entries": 4,
        "commitment": "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd",
        "entriesHash": "8ff8467fdbc5f060c1f8307e9cd68be8983200d5940fa1f7189c55f4092f5d46",
        "seed": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "beaconName": null, "beacon": null, "closedAt": "2026-12-01T10:59:00.000Z",
        "drawnAt": "2026-12-01T10:59:01.000Z", "changes": [],
    })
}

/// The draw of the guide with a beacon.
fn with_beacon() -> Value {
    with(with(draw(), "beaconName", "drand quicknet round 34400000"), "beacon", BEACON)
}

fn with(mut draw: Value, field: &str, value: impl Into<Value>) -> Value {
    draw[field] = value.into();
    draw
}

/// The list, with places by the end of each token id.
fn list(places: &[(&str, &str)]) -> String {
    let rows = places.iter().map(|(end, place)| format!("{IDS}{end},{place}\r\n"));
    format!("tokenId,place\r\n{}", rows.collect::<String>())
}

fn drawn(order: [&str; 4]) -> String {
    list(&[(order[0], "1"), (order[1], "2"), (order[2], "3"), (order[3], "4")])
}

fn said(run: &Output) -> String {
    String::from_utf8_lossy(&[&run.stdout[..], &run.stderr].concat()).into_owned()
}

/// Runs the command on two files.
async fn verify(launch: &Launch, draw: &Value, list: &str) -> (i32, String) {
    std::fs::write(launch.folder().join("draw.json"), draw.to_string()).unwrap();
    std::fs::write(launch.folder().join("entries.csv"), list).unwrap();
    let run = launch.run(&["verify-draw", "draw.json", "entries.csv"]).await;
    (run.status.code().unwrap(), said(&run))
}

/// Runs the Python of the guide on the same files.
fn verify_in_python(folder: &Path) -> i32 {
    let mut python = std::process::Command::new("python3");
    let run = python.arg(SCRIPT).args(["draw.json", "entries.csv"]).current_dir(folder).output().unwrap();
    assert!(!said(&run).contains("Traceback"), "{}", said(&run));
    run.status.code().unwrap()
}

fn no_python() -> bool {
    absent(std::process::Command::new("python3").arg("--version").output().is_ok(), "python3")
}

/// Draws and lists, with the exit code and a part of the output.
fn table() -> Vec<(Value, String, i32, &'static str)> {
    let (order, after_beacon) = (["0c", "0a", "0b", "0d"], ["0d", "0b", "0c", "0a"]);
    let other = "00".repeat(32);
    vec![
        (draw(), drawn(order), 0, "holds"),
        (with_beacon(), drawn(after_beacon), 0, "drand quicknet round 34400000"),
        (draw(), list(&[("0d", "4"), ("0b", "3"), ("0a", "2"), ("0c", "1")]), 0, "holds"),
        (draw(), drawn(after_beacon), 1, "BROKEN  places: 4 of 4"),
        (with(draw(), "seed", other.as_str()), drawn(order), 1, "BROKEN  commitment"),
        (with(draw(), "commitment", other.as_str()), drawn(order), 1, "BROKEN  commitment"),
        (with(draw(), "entriesHash", other.as_str()), drawn(order), 1, "BROKEN  entriesHash"),
        (with(draw(), "entries", 5), drawn(order), 1, "BROKEN  entries: the list has 4"),
        (draw(), list(&[("0c", "1"), ("0a", "2"), ("0b", "3")]), 1, "BROKEN  entries: the list has 3"),
        (draw(), drawn(["0c", "0a", "0b", "0b"]), 1, "BROKEN  token ids"),
        (with(draw(), "concertId", format!("{IDS}02")), drawn(order), 1, "BROKEN  places"),
        (with(draw(), "beaconName", "a dice"), drawn(order), 1, "BROKEN  beacon"),
        (with(with_beacon(), "beaconName", Value::Null), drawn(after_beacon), 1, "BROKEN  beacon"),
        (with(with_beacon(), "beacon", "6"), drawn(after_beacon), 1, "BROKEN  places"),
        (with(with(draw(), "state", "closed"), "seed", Value::Null), drawn(order), 2, "closed"),
        (with(draw(), "seed", "00"), drawn(order), 2, "seed"),
        (with(draw(), "entriesHash", Value::Null), drawn(order), 2, "entriesHash"),
        (json!([]), drawn(order), 2, "draw.json"),
        (draw(), list(&[("0c", "")]), 2, "line 2"),
        (draw(), list(&[("zz", "1")]), 2, "line 2"),
    ]
}

#[tokio::test]
async fn a_draw_is_checked_by_the_command_and_by_the_python_of_the_guide() {
    let no_python = no_python();
    let launch = Launch::new(ONSALE);
    for (draw, list, code, part) in table() {
        let (found, said) = verify(&launch, &draw, &list).await;
        assert!(
            found == code && said.contains(part),
            "{found} instead of {code}, or no {part:?}: {draw} {list} {said}"
        );
        if no_python {
            continue;
        }
        // An edited seed has 64 digits for the command; Python takes any number of them.
        let in_python = verify_in_python(launch.folder());
        assert!((in_python == 0) == (code == 0), "{in_python} instead of {code}: {draw} {list}");
    }
}

#[tokio::test]
async fn a_list_of_thousands_is_drawn_alike_in_rust_and_in_python() {
    let mut tokens: Vec<TokenId> = (0..3_000).map(|_| TokenId::new(Uuid::from_u128(rand::random()))).collect();
    tokens.sort_unstable();
    let (seed, concert) = (Seed::new(rand::random()), ConcertId::parse(&format!("{IDS}01")).unwrap());
    let mut hash = ListHash::default();
    hash.add(&tokens);
    let hash = hash.finish();
    let order = DrawKey::of(&seed, concert, hash, b"").order(&tokens);
    let rows = (1..).zip(order).map(|(place, index)| format!("{},{place}\r\n", tokens[index as usize]));
    let list = format!("tokenId,place\r\n{}", rows.collect::<String>());
    let draw = with(with(draw(), "seed", seed.reveal().to_string()), "commitment", seed.commitment().to_string());
    let draw = with(with(draw, "entries", 3_000), "entriesHash", hash.to_string());
    let launch = Launch::new(ONSALE);
    let (code, said) = verify(&launch, &draw, &list).await;
    assert_eq!(code, 0, "{said}");
    if !no_python() {
        assert_eq!(verify_in_python(launch.folder()), 0);
    }
}

#[tokio::test]
async fn a_draw_is_checked_by_its_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/concerts/1/draw", get(|| async { draw().to_string() }))
        .route("/concerts/1/draw/entries", get(|| async { drawn(["0c", "0a", "0b", "0d"]) }))
        .route("/concerts/2/draw", get(|| async { draw().to_string() }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let launch = Launch::new(ONSALE);
    let table = [("/concerts/1/draw", 0, "holds"), ("/concerts/1/draw/", 2, "404"), ("/concerts/2/draw", 2, "entries")];
    for (path, code, part) in table {
        let run = launch.run(&["verify-draw", &format!("{address}{path}")]).await;
        assert!(run.status.code() == Some(code) && said(&run).contains(part), "{path}: {}", said(&run));
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let launch = Launch::new(ONSALE);
    let table: [(&[&str], &str); 5] = [
        (&[], "URL|DRAW"),
        (&["absent.json", "absent.csv"], "absent.json"),
        (&["draw.json"], "ENTRIES"),
        (&["http://127.0.0.1:1/concerts/1/draw"], "127.0.0.1:1"),
        (&["https://a.example/draw", "entries.csv"], "ENTRIES"),
    ];
    for (arguments, part) in table {
        let run = launch.run(&[&["verify-draw"], arguments].concat()).await;
        let said = said(&run);
        assert!(
            run.status.code() == Some(2) && said.contains(part) && !said.contains("panicked"),
            "{arguments:?}: {said}"
        );
    }
}

/// A failover to a standby that lags loses the last commits. Here the rows are taken from the file while no server runs.
#[tokio::test]
async fn an_early_entry_that_the_database_lost_is_put_back_when_its_token_is_shown() {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    let queue = json!({"earlyFrom": iso(-60), "order": "draw", "drawAt": iso(25)});
    let body = json!({"title": "Gala", "venue": "Hall", "opensAt": iso(3_600), "queue": queue});
    let made = sale.admin(sale.caller.post("/admin/concerts")).json(&body).expect(201).await;
    let concert = text(&made["concertId"]);
    let mut tokens = Vec::new();
    for user in ["ada", "bob", "cid"] {
        tokens.push(text(&sale.enter(&concert, user).await["token"]));
    }
    assert!(sale.instance.terminate().await.success());
    let db = rusqlite::Connection::open(launch.folder().join("onsale.db")).unwrap();
    db.execute_batch("DELETE FROM places WHERE place > 1; UPDATE rooms SET issued = 1").unwrap();
    drop(db);

    let sale = Sale::start(&launch).await;
    let shown = sale.caller.get("/queue/token").token(&tokens[2]).expect(200).await;
    assert_eq!((&shown["status"], &shown["token"]), (&json!("EARLY"), &json!(tokens[2])));
    // The number of Bob is free, but he enters before he shows the token: he has another entry then.
    let again = sale.enter(&concert, "bob").await;
    assert_ne!(again["token"], json!(tokens[1]));
    sale.caller.get("/queue/token").token(&tokens[1]).expect(200).await;
    assert_eq!(sale.enter(&concert, "cid").await["token"], json!(tokens[2]));
    let path = format!("/concerts/{concert}/draw");
    let drawn = async || Some(sale.caller.get(&path).expect(200).await).filter(|draw| draw["state"] == "drawn");
    let draw = until("a draw", drawn).await;
    assert_eq!(draw["entries"], 3);
    for token in [&tokens[0], &tokens[2], &text(&again["token"])] {
        sale.until(token, |place| place["position"].is_u64()).await;
    }
    let lost = sale.caller.get("/queue/token").token(&tokens[1]).expect(200).await;
    assert_eq!((&lost["status"], &lost["position"]), (&json!("EXPIRED"), &Value::Null));
    audit(&sale).await;
}
