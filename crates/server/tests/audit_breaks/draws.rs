//! Draws that the audit must find to be wrong: three users are on the list, two of them were admitted, and one came late.

use std::collections::BTreeMap;

use onsale_testing::{Launch, Sale, Used, iso};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::support::{ONSALE, text};
use super::{Break, CONCERTS, DRAWS, SOURCES, broken, what_is_missed};

const TOLD: &str = "every closed list and every drawn order has its event";
const ORDER: &str = "drawn places are admitted in order, each by the token that was drawn for it";
const EARLY: &str = "no user was admitted before the opening of a room with early entry";

#[rustfmt::skip]
const BREAKS: &[Break] = &[
    broken("UPDATE draws SET seed = zeroblob(32)", DRAWS, "$drawn: its order"),
    broken("UPDATE draws SET seed = zeroblob(32)", TOLD, "$drawn: the event of its closed list"),
    broken("UPDATE draws SET entries_hash = zeroblob(32)", DRAWS, "$drawn: its hash"),
    broken("UPDATE draws SET beacon = '6'", DRAWS, "$drawn: it has the value of a beacon"),
    broken("UPDATE draws SET drawn_order = NULL", DRAWS, "$drawn: it is drawn without an order"),
    broken("UPDATE draws SET drawn_order = zeroblob(12)", DRAWS, "$drawn: its order"),
    broken("UPDATE draws SET drawn_order = zeroblob(12)", ORDER, "$drawn: a drawn place has the token of another entry"),
    broken(r#"UPDATE draws SET changes = '[{"at":5,"field":"commitment","before":null,"after":"00"}]'"#, DRAWS, "$drawn: its seed"),
    broken("UPDATE places SET token_id = zeroblob(16) WHERE place = 1", DRAWS, "$drawn: its hash"),
    broken("UPDATE places SET user_id = 'ada' WHERE place = 2", DRAWS, "$drawn: a user has two entries"),
    broken("DELETE FROM places WHERE place = 2", DRAWS, "$drawn: its list has another number of entries"),
    broken("UPDATE rooms SET admitted = admitted - 1", ORDER, "$drawn: users were not admitted in the order of their places"),
    broken("UPDATE places SET standing = 'GIVEN_UP' WHERE place = (SELECT min(place) FROM turns)", ORDER, "$drawn: users were not admitted in the order"),
    broken("UPDATE places SET token_id = zeroblob(16) WHERE place = (SELECT min(place) FROM turns)", ORDER, "$drawn: a drawn place has the token"),
    broken("UPDATE turns SET admitted_at = 1", EARLY, "$drawn: 2 turns began too early"),
    broken("UPDATE rooms SET opened_at = NULL", EARLY, "$drawn: 2 turns began too early"),
    broken("UPDATE rooms SET opened_at = 1", CONCERTS, "$drawn"),
    broken("UPDATE turns SET place = 1 WHERE place = (SELECT min(place) FROM turns)", EARLY, "the first one is of place 1, and 4 numbers are entries"),
    broken("DELETE FROM events WHERE type = 'onsale.draw.closed.v1'", TOLD, "$drawn: the event of its closed list"),
    broken("DELETE FROM events WHERE type = 'onsale.draw.completed.v1'", TOLD, "$drawn: the event of its drawn order"),
    broken("UPDATE events SET data = json_set(data, '$.entries', 9) WHERE type = 'onsale.draw.closed.v1'", TOLD, "$drawn: the event of its closed list"),
    broken("UPDATE events SET data = json_set(data, '$.seed', NULL) WHERE type = 'onsale.draw.completed.v1'", TOLD, "$drawn: the event of its drawn order"),
    broken("INSERT INTO events (event_id, type, subject, version, at, data) SELECT x'000000000000000000000000000000ff', type, subject, version, at, data FROM events WHERE type = 'onsale.draw.closed.v1'", SOURCES, "00000000-0000-0000-0000-0000000000ff"),
];

/// A file with a concert `drawn` that is open. Entry 3 left before the closing, and the places 5 to 7 are drawn.
async fn drawn_file() -> (Used, Launch) {
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    let queue = json!({
        "maxActive": 2, "admitPerSecond": 100, "activeSeconds": 3_600, "claimSeconds": 3_600, "order": "draw",
        "earlyFrom": iso(-60), "drawAt": iso(8),
    });
    let body = json!({"title": "Gala", "venue": "Hall", "opensAt": iso(10), "queue": queue});
    let made = sale.admin(sale.caller.post("/admin/concerts")).json(&body).expect(201).await;
    let concert = text(&made["concertId"]);
    let mut tokens = Vec::new();
    for user in ["ada", "bob", "cid", "dan"] {
        let place = sale.enter(&concert, user).await;
        assert_eq!(place["status"], "EARLY", "{place}");
        tokens.push(text(&place["token"]));
    }
    sale.caller.delete("/queue/token").token(&tokens.remove(2)).expect(204).await;
    let mut active = 0;
    for token in &tokens {
        // Each token is shown after the admission, so that its place has a row.
        let place = sale.until(token, |place: &Value| place["status"] != "EARLY").await;
        active += usize::from(place["status"] == "ACTIVE");
    }
    assert!(active <= 2, "{active} are inside");
    sale.enter(&concert, "late").await;
    super::support::until("two users are inside, by their rows", async || {
        let db = Connection::open(launch.folder().join("onsale.db")).unwrap();
        for token in &tokens {
            sale.caller.get("/queue/token").token(token).expect(200).await;
        }
        let inside = "SELECT count(*) FROM turns JOIN places USING (concert_id, place) WHERE standing = 'CURRENT'";
        let inside: u32 = db.query_row(inside, [], |row| row.get(0)).unwrap();
        (inside == 2).then_some(inside)
    })
    .await;
    assert!(sale.instance.terminate().await.success());
    let db = Connection::open(launch.folder().join("onsale.db")).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    (Used { objects: BTreeMap::from([("drawn", json!(concert))]) }, launch)
}

#[tokio::test]
async fn the_audit_finds_what_is_wrong_with_a_draw() {
    let (used, launch) = drawn_file().await;
    let audit = launch.run(&["audit"]).await;
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    let sound = launch.folder().join("onsale.db");
    let mut missed = Vec::new();
    for case in BREAKS {
        missed.extend(what_is_missed(&used, &sound, case).await);
    }
    assert!(missed.is_empty(), "{} of {} not found:\n{}", missed.len(), BREAKS.len(), missed.join("\n"));
}
