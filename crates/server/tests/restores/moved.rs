//! A sale moves from SQLite to Postgres and back, by the commands of `docs/guide/move.md`.

use std::path::Path;

use onsale_testing::postgres::shared;
use onsale_testing::{Reply, Sale, without};
use serde_json::{Value, json};

use crate::page::moving;
use crate::platform::Platform;
use crate::scene::{Evening, Line};
use crate::support::{ONSALE, answer, text};

const FILE: &str = "sqlite://onsale.db";

/// What was shown to people before the move, and must be worth the same afterwards.
struct Shown {
    line: Line,
    concert: String,
    performance: String,
    /// A turn with a hold that is not paid.
    turn: String,
    hold: Value,
    /// The secret of a key of staff.
    staff: String,
    /// An answer that is kept.
    answer: Reply,
}

async fn charge(evening: &Evening) -> Reply {
    let charge = evening.sale.caller.patch("/point/user-1/charge").json(&json!({"amount": 7}));
    charge.key("once").send().await
}

impl Shown {
    async fn by(evening: &Evening) -> Self {
        let sale = &evening.sale;
        let line = evening.line().await;
        let concert = sale.concert(&json!({"activeSeconds": 3_600, "claimSeconds": 3_600})).await;
        let performance = sale.performance(&concert, &json!(null)).await;
        let turn = sale.active(&concert, "holder").await;
        let hold = sale.hold(&turn, &performance, &[3, 4]).await;
        sale.charge("holder", 1_000_000).await;
        let key = sale.caller.post("/admin/keys").json(&json!({"name": "desk", "role": "support"}));
        let staff = text(&sale.admin(key).expect(201).await["key"]);
        Self { line, concert, performance, turn, hold, staff, answer: charge(evening).await }
    }

    /// Each of them still counts.
    async fn counts_at(&self, evening: &Evening) {
        let sale = &evening.sale;
        evening.keeps(&self.line).await;
        let place = sale.caller.get("/queue/token").token(&self.turn).expect(200).await;
        assert_eq!(place["status"], "ACTIVE", "{place}");
        let again = charge(evening).await;
        assert_eq!((again.status, &again.body), (self.answer.status, &self.answer.body), "the kept answer");
        answer(|| sale.caller.get("/admin/log").bearer(&self.staff)).await.expect(200);
        let late = sale.active(&self.concert, "late").await;
        let taken = json!({"performanceId": self.performance, "seats": [4]});
        sale.caller.post("/reservations").token(&late).json(&taken).refused(409, "seat-taken").await;
    }
}

/// Stops everything after the last event has arrived.
async fn stop(evening: Evening, platform: &Platform) -> onsale_testing::Launch {
    evening.all_arrived(platform).await;
    evening.kill().await
}

async fn run(name: &str, folder: &Path, postgres: &str) -> String {
    moving(name).set("SQLITE", FILE).set("POSTGRES", postgres).set("BACKUPS", folder.join("backups")).run(folder).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_moves_to_postgres_and_back() {
    if without("postgres") {
        return;
    }
    let platform = Platform::start().await;
    let database = shared().await.empty_database().await;
    let evening = Evening::start(Sale::launch(ONSALE).on(FILE), &platform).await;
    let shown = Shown::by(&evening).await;
    let crowd = evening.crowd("early").await;
    evening.until_sent(&platform, 50).await;
    crowd.stop().await;
    let launch = stop(evening, &platform).await;
    let folder = launch.folder().to_owned();
    let printed = run("move-to-postgres", &folder, &database.url()).await;
    assert!(printed.contains("payments: 8 rows") && printed.contains("both keep every invariant"), "{printed}");

    let evening = Evening::start(launch.on(database.url()), &platform).await;
    shown.counts_at(&evening).await;
    let crowd = evening.crowd("moved").await;
    evening.until_sent(&platform, 50).await;
    crowd.stop().await;
    assert_eq!(evening.all_arrived(&platform).await, 0, "no event arrived twice");
    evening.audit().await;
    let launch = stop(evening, &platform).await;

    // The file of before has the sale of before: it is no target.
    let refused = launch.run(&["copy", "--from", &database.url(), "--to", FILE]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not empty"), "{refused:?}");
    std::fs::rename(folder.join("onsale.db"), folder.join("before.db")).unwrap();
    run("move-to-sqlite", &folder, &database.url()).await;
    std::fs::create_dir(folder.join("backups")).unwrap();
    run("copy-as-backup", &folder, "").await;
    assert!(folder.join("backups/onsale.db").exists());

    let evening = Evening::start(launch.on(FILE), &platform).await;
    shown.counts_at(&evening).await;
    evening.sale.pay(&shown.turn, &shown.hold).expect(201).await;
    assert_eq!(evening.all_arrived(&platform).await, 0, "no event arrived twice");
    evening.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_a_server_works_on_is_refused() {
    let launch = Sale::launch(ONSALE).on(FILE);
    let sale = Sale::start(&launch).await;
    let said = async |arguments: &[&str]| {
        let run = launch.run(&[&["copy"], arguments].concat()).await;
        (run.status.code(), String::from_utf8(run.stderr).unwrap())
    };
    let (code, reason) = said(&["--from", FILE, "--to", "sqlite://new.db"]).await;
    assert!(code == Some(1) && reason.contains("another onsale already works on this file"), "{code:?} {reason}");
    let (code, reason) = said(&["--from", "sqlite://none.db", "--to", "sqlite://new.db"]).await;
    assert!(code == Some(1) && reason.contains("there is no such file"), "{code:?} {reason}");
    let (code, reason) = said(&["--from", FILE, "--to", FILE]).await;
    assert!(code == Some(2) && reason.contains("the same database"), "{code:?} {reason}");
    let (code, reason) = said(&["--from", "mysql://db", "--to", FILE]).await;
    assert!(code == Some(2) && reason.contains("--from names an unknown database"), "{code:?} {reason}");
    assert!(!launch.folder().join("new.db").exists(), "no target was made");
    drop(sale);
    if without("postgres") {
        return;
    }
    let database = shared().await.migrated(ONSALE).await;
    let launch = Sale::launch(ONSALE).on(database.url());
    let sale = Sale::start(&launch).await;
    let url = launch.folder().join("url");
    std::fs::write(&url, format!("{}\n", database.url())).unwrap();
    let run = launch.run(&["copy", "--from", "@url", "--to", "sqlite://new.db"]).await;
    let reason = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.code() == Some(1) && reason.contains("are connected to it"), "{reason}");
    assert!(sale.instance.terminate().await.success());
    let run = launch.run(&["copy", "--from", "@url", "--to", "sqlite://new.db"]).await;
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_sale_is_not_copied() {
    let launch = Sale::launch(ONSALE).on(FILE);
    let sale = Sale::start(&launch).await;
    sale.charge("ada", 7).await;
    assert!(sale.instance.terminate().await.success());
    let db = rusqlite::Connection::open(launch.folder().join("onsale.db")).unwrap();
    db.execute("UPDATE accounts SET balance = 8", []).unwrap();
    drop(db);
    let run = launch.run(&["copy", "--from", FILE, "--to", "sqlite://new.db"]).await;
    let (printed, reason) = (String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap());
    assert!(run.status.code() == Some(1) && reason.contains("the source is not copied"), "{reason}");
    assert!(printed.contains("BROKEN") && printed.contains("ada"), "{printed}");
    assert!(!launch.folder().join("new.db").exists());
}
