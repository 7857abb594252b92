//! Long lists: 100,000 attendees and 1,000,000 applicants. The rows are inserted by SQL, and only exported afterwards.

use std::path::Path;
use std::time::Duration;

use onsale_testing::postgres::{Database, shared};
use onsale_testing::{ADMIN_KEY, PATIENCE, Sale, without};
use rusqlite::Connection;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::csv_of;
use crate::support::raw::{connect, request};
use crate::support::room::room;
use crate::support::{ONSALE, answer, text, until};

const ATTENDEES: u32 = 100_000;

const APPLICANTS: u32 = 1_000_000;

/// A list ends within this time after its key.
const ENDED_WITHIN: Duration = Duration::from_secs(1);

/// The most that an export may add to the memory of the process, in KiB.
const MORE_MAX: u64 = 60 * 1_024;

/// A sale with long lists.
struct Long {
    sale: Sale,
    performance: String,
    lecture: String,
    database: Option<Database>,
}

impl Long {
    async fn make(database: Option<Database>, applicants: u32) -> Self {
        let launch = Sale::launch(ONSALE);
        let launch = match &database {
            Some(database) => launch.on(database.url()),
            None => launch,
        };
        let sale = Sale::start(&launch).await;
        let concert = sale.concert(&room(10)).await;
        let performance = sale.performance(&concert, &json!(ATTENDEES)).await;
        let lecture = sale.lecture(APPLICANTS).await;
        let long = Self { sale, performance, lecture, database };
        match &long.database {
            Some(database) => long.fill_postgres(database, applicants).await,
            None => long.fill_sqlite(&file_of(&long.sale), applicants),
        }
        long
    }

    fn fill_sqlite(&self, file: &Path, applicants: u32) {
        let db = Connection::open(file).unwrap();
        let blob = |id: &str| format!("x'{}'", id.replace('-', ""));
        let (performance, lecture) = (blob(&self.performance), blob(&self.lecture));
        let numbers =
            |most| format!("WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {most})");
        let id = |kind| format!("CAST(printf('{kind}%015d', n) AS BLOB)");
        let (seats, places, payment, reservation) = (numbers(ATTENDEES), numbers(applicants), id("p"), id("r"));
        db.execute_batch(&format!(
            "PRAGMA foreign_keys = off; PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE;
             INSERT INTO payments
                 (payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at, prices)
                 {seats} SELECT {payment}, {reservation}, {performance}, 'user-' || n, '[' || n || ']', 1, 0, 1, '[1]' FROM s;
             INSERT INTO seats (performance_id, seat, reservation_id, held_until, sold)
                 {seats} SELECT {performance}, n, {reservation}, 1, 1 FROM s;
             INSERT INTO applications (lecture_id, user_id, seat_number, applied_at)
                 {places} SELECT {lecture}, 'user-' || n, n, 1 FROM s;
             COMMIT"
        ))
        .unwrap();
    }

    async fn fill_postgres(&self, database: &Database, applicants: u32) {
        let (performance, lecture) = (&self.performance, &self.lecture);
        let id = |kind| format!("('{kind}' || lpad(n::text, 12, '0'))::uuid");
        let (payment, reservation) = (id("01900000-0000-7000-a001-"), id("01900000-0000-7000-a002-"));
        let sql = format!(
            "INSERT INTO payments
                 (payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at, prices)
                 SELECT {payment}, {reservation}, '{performance}', 'user-' || n, ARRAY[n], 1, 0, 1, ARRAY[1]
                 FROM generate_series(1, {ATTENDEES}) s (n);
             INSERT INTO seats (performance_id, seat, reservation_id, held_until, sold)
                 SELECT '{performance}', n, {reservation}, 1, true FROM generate_series(1, {ATTENDEES}) s (n);
             INSERT INTO applications (lecture_id, user_id, seat_number, applied_at)
                 SELECT '{lecture}', 'user-' || n, n, 1 FROM generate_series(1, {applicants}) s (n);"
        );
        database.sql().await.batch_execute(&sql).await.unwrap();
    }

    /// Memory of the process, in KiB.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.sale.instance.pid().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Asks for the attendees, and reads the head of the answer and no more.
    async fn stalled(&self) -> TcpStream {
        self.stalled_as("attendees.csv", &format!("authorization: Bearer {ADMIN_KEY}")).await
    }

    /// As [`Self::stalled`], for any list of the performance and with any credential.
    async fn stalled_as(&self, list: &str, credential: &str) -> TcpStream {
        // On a busy machine a key cannot be checked for a moment, or an export that was taken has not ended yet.
        until("the list begins", async || {
            let mut stream = connect(self.sale.instance.base()).await;
            let line = format!("GET /admin/performances/{}/{list}", self.performance);
            stream.write_all(&request(line.as_bytes(), &[credential.as_bytes()], b"")).await.unwrap();
            let mut status = [0; 12];
            tokio::time::timeout(PATIENCE, stream.read_exact(&mut status)).await.unwrap().unwrap();
            let is_refused = &status == b"HTTP/1.1 503";
            assert!(is_refused || &status == b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&status));
            (!is_refused).then_some(stream)
        })
        .await
    }

    async fn refused(&self) -> bool {
        csv_of(&self.sale, &self.performance).send().await.code() == "overloaded"
    }
}

fn file_of(sale: &Sale) -> std::path::PathBuf {
    sale.instance.folder().join("onsale.db")
}

async fn postgres() -> Option<Database> {
    if without("postgres") { None } else { Some(shared().await.migrated(ONSALE).await) }
}

/// Both lists are whole, and the process needs little memory for them.
async fn memory_is_bounded(long: &Long) {
    csv_of(&long.sale, &long.performance).send().await;
    let before = long.resident();
    let mut most = before;
    for (path, rows) in [
        (format!("/admin/performances/{}/attendees.csv", long.performance), ATTENDEES),
        (format!("/admin/lectures/{}/applicants.csv", long.lecture), APPLICANTS),
    ] {
        let reading = tokio::spawn(long.sale.admin(long.sale.caller.get(&path)).send());
        while !reading.is_finished() {
            most = most.max(long.resident());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let reply = reading.await.unwrap();
        let lines = reply.body.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!((reply.status.as_u16(), lines), (200, rows as usize + 1), "{path}");
    }
    println!("{} KiB before, at most {} KiB more", before, most - before);
    assert!(most - before < MORE_MAX, "{} KiB more", most - before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_need_little_memory_on_sqlite() {
    memory_is_bounded(&Long::make(None, APPLICANTS).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_need_little_memory_on_postgres() {
    let Some(database) = postgres().await else { return };
    memory_is_bounded(&Long::make(Some(database), APPLICANTS).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_holds_back_no_checkpoint() {
    let long = Long::make(None, 1).await;
    let _slow = long.stalled().await;
    // All of the log can be moved, and the log can begin again: no snapshot is open.
    let db = Connection::open(file_of(&long.sale)).unwrap();
    until("the log is emptied", async || {
        long.sale.charge("ada", 1).await;
        let busy: i64 = db.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0)).unwrap();
        (busy == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_holds_back_no_vacuum() {
    let Some(database) = postgres().await else { return };
    let long = Long::make(Some(database), 1).await;
    let _slow = long.stalled().await;
    let sql = long.database.as_ref().unwrap().sql().await;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND query LIKE '%FROM seats s JOIN payments p%' AND (state <> 'idle' OR backend_xmin IS NOT NULL)";
    until("the snapshot is closed", async || {
        (sql.query_one(open, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    })
    .await;
}

/// Reads a list to its end. Returns the number of its rows.
async fn rest_of(mut stream: TcpStream) -> usize {
    let mut body = Vec::new();
    // An error is the end, too: the server closes the connection before the end of the body.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut body)).await.unwrap();
    let text = String::from_utf8_lossy(&body);
    text.matches("user-").count().max(text.matches("\"seat\":").count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_ends_with_its_key_or_its_session() {
    let long = Long::make(None, 1).await;
    let sale = &long.sale;
    for list in ["attendees.csv", "seats"] {
        let root = format!("authorization: Bearer {ADMIN_KEY}");
        assert_eq!(rest_of(long.stalled_as(list, &root).await).await, ATTENDEES as usize, "{list} as a whole");
        let body = json!({"name": list, "role": "organiser"});
        let made = sale.admin(sale.caller.post("/admin/keys")).json(&body).expect(201).await;
        let key = text(&made["key"]);
        let by_key = long.stalled_as(list, &format!("authorization: Bearer {key}")).await;
        let cookie = sign_in(sale, &key).await;
        let by_session = long.stalled_as(list, &format!("cookie: {cookie}")).await;
        let sign_out = || sale.caller.delete("/desk/session").header("origin", sale.instance.base());
        answer(|| sign_out().header("cookie", &cookie)).await.expect(204);
        tokio::time::sleep(ENDED_WITHIN).await;
        let rows = rest_of(by_session).await;
        assert!(0 < rows && rows < ATTENDEES as usize, "{rows} rows of {list} after the sign-out");
        let path = format!("/admin/keys/{}", text(&made["keyId"]));
        sale.admin(sale.caller.delete(&path)).expect(204).await;
        tokio::time::sleep(ENDED_WITHIN).await;
        let rows = rest_of(by_key).await;
        assert!(0 < rows && rows < ATTENDEES as usize, "{rows} rows of {list} after the deletion of the key");
    }
}

/// Begins a session. Returns its cookie.
async fn sign_in(sale: &Sale, key: &str) -> String {
    let call = || sale.caller.post("/desk/session").header("origin", sale.instance.base());
    let reply = answer(|| call().json(&json!({"key": key}))).await;
    assert_eq!(reply.status.as_u16(), 204, "{reply:?}");
    reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_makes_two_exports_at_a_time_and_frees_those_of_clients_that_go_away() {
    let long = Long::make(None, 1).await;
    let (one, other) = (long.stalled().await, long.stalled().await);
    let refused = csv_of(&long.sale, &long.performance).refused(503, "overloaded").await;
    assert!(refused["detail"].as_str().unwrap().contains("exports"), "{refused}");
    let log = long.sale.admin(long.sale.caller.get("/admin/log?action=list.exported")).expect(200).await;
    assert_eq!(log.as_array().unwrap().len(), 2, "a refused export leaves no entry");
    drop(one);
    until("one may export again", async || (!long.refused().await).then_some(())).await;
    let _third = long.stalled().await;
    assert!(long.refused().await);
    drop(other);
    until("one may export again", async || (!long.refused().await).then_some(())).await;
}
