//! An idle server and relay write nothing to the database.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use onsale_testing::{Sale, is_shared};
use rusqlite::Connection;

use crate::support::{ONSALE, until};

/// Long enough for several renewals of a relay's leases, and several rounds of all background work.
const WINDOW: Duration = Duration::from_secs(4);

pub(crate) fn open(sale: &Sale) -> Connection {
    let db = Connection::open(sale.instance.folder().join("onsale.db")).unwrap();
    db.busy_timeout(Duration::from_secs(5)).unwrap();
    db
}

fn number(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Starts `consume` next to the server in this folder.
fn consume(sale: &Sale, folder: &Path) -> tokio::process::Child {
    let mut consume = Sale::launch(ONSALE).command(&["consume"]);
    consume.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    consume.env("ONSALE_DATABASE_URL", format!("sqlite://{}", sale.instance.folder().join("onsale.db").display()));
    consume.spawn().unwrap()
}

#[tokio::test]
async fn a_server_and_a_relay_write_nothing_while_nothing_happens() {
    if is_shared() {
        return;
    }
    let sale = Sale::start(&Sale::launch(ONSALE)).await;
    sale.charge("ada", 1_000).await;
    let beside = tempfile::tempdir().unwrap();
    let relay = consume(&sale, beside.path());
    let db = open(&sale);
    let delivered = async |many: i64| {
        let is_so = async || (number(&db, "SELECT count(*) FROM deliveries") == many).then_some(());
        until("the events are delivered", is_so).await;
        let passed = "SELECT min(sent_to) = (SELECT max(position) FROM events) FROM relay_parts";
        until("the relay has written that down", async || (number(&db, passed) == 1).then_some(())).await;
    };
    delivered(1).await;

    let before = number(&db, "PRAGMA data_version");
    tokio::time::sleep(WINDOW).await;
    assert_eq!(number(&db, "PRAGMA data_version"), before, "another process committed something");

    // It works when an event comes.
    sale.charge("ada", 1_000).await;
    delivered(2).await;
    drop(relay);
}
