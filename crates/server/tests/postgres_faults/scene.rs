//! Instances behind a wire, and what every test of a fault asks of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::{Database, Server, Setup, shared, sql, url};
use onsale_testing::{Call, Caller, Launch, Reply, Sale, WireCutter, Workload};
use serde_json::json;

use crate::support::{ONSALE, until};

/// By the contract no request waits longer than 10 s. A slow machine may add as much again before the test sees the answer.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(10 + 10);

/// How soon after the end of a fault all goes on: within five seconds, and the rest for a slow machine.
pub(crate) const RECOVERY_MAX: Duration = Duration::from_secs(5 + 20);

/// What an instance keeps open: two lanes, two readers, and one connection for news.
const SESSIONS_EACH: i64 = 5;

/// Enough users to use both lanes, and enough reads to use both readers.
const EVERYWHERE: usize = 12;

/// Instances on one database, each behind a wire of its own.
pub(crate) struct Scene {
    pub(crate) sales: Vec<Sale>,
    /// That of the first instance.
    pub(crate) wire: WireCutter,
    _wires: Vec<WireCutter>,
    database: String,
}

/// A migrated database of its own on the server that all tests share.
pub(crate) async fn database() -> Database {
    database_on(shared().await).await
}

/// A migrated database on this server.
pub(crate) async fn database_on(server: &Server) -> Database {
    server.migrated(ONSALE).await
}

/// Whether a commit waits for the standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replication {
    Synchronous,
    Asynchronous,
}

/// An instance on a server of its own.
pub(crate) async fn alone_on(setup: Setup) -> (Server, Database, Scene) {
    let server = setup.start().await;
    let database = database_on(&server).await;
    let scene = Scene::on(server.address(), &database, 1).await;
    (server, database, scene)
}

/// An instance on a primary that has a standby.
pub(crate) async fn with_heir(replication: Replication) -> (Server, Server, Database, Scene) {
    let primary = Setup::unsynced().start().await;
    let standby = primary.standby("heir").await;
    if replication == Replication::Synchronous {
        primary.synchronous("heir").await;
    }
    let database = database_on(&primary).await;
    let scene = Scene::on(primary.address(), &database, 1).await;
    (primary, standby, database, scene)
}

impl Scene {
    /// This many instances on a database of the server at this address.
    pub(crate) async fn on(address: SocketAddr, database: &Database, count: usize) -> Self {
        let (mut sales, mut wires) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let wire = WireCutter::start(address).await;
            sales.push(Sale::start(&Sale::launch(ONSALE).on(database.url_at(wire.address()))).await);
            wires.push(wire);
        }
        let scene = Self { sales, wire: wires.remove(0), _wires: wires, database: database.name().to_owned() };
        scene.sessions_are_whole(address).await;
        scene
    }

    /// Loses the primary while the standby is down, which then takes over. (One that only stood still would find in its
    /// socket what was sent to it meanwhile.)
    pub(crate) async fn take_over(&self, primary: &Server, standby: &Server) {
        primary.kill().await;
        standby.restart().await;
        standby.promote().await;
        self.wire.retarget(standby.address()).await;
    }

    pub(crate) fn sale(&self) -> &Sale {
        &self.sales[0]
    }

    /// A session of the test's own, past the wire.
    pub(crate) async fn sql(&self, address: SocketAddr) -> Client {
        let sql = sql(&url(address, &self.database)).await;
        sql.batch_execute("SET application_name = 'test'").await.unwrap();
        sql
    }

    /// Each instance has just the sessions that it needs: none was lost for good, and none was left behind.
    pub(crate) async fn sessions_are_whole(&self, address: SocketAddr) {
        let sql = self.sql(address).await;
        let whole = SESSIONS_EACH * i64::try_from(self.sales.len()).unwrap();
        let sessions = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name <> 'test' AND backend_type = 'client backend'";
        let whole = async || {
            for sale in &self.sales {
                self.touch_everything(sale).await;
            }
            let open: i64 = sql.query_one(sessions, &[]).await.unwrap().get(0);
            (open == whole).then_some(())
        };
        until("every session is there, and no other", whole).await;
    }

    /// Gives every connection of an instance something to do. A use of points by a user without points changes nothing.
    async fn touch_everything(&self, sale: &Sale) {
        let users: Vec<String> = (0..EVERYWHERE).map(|number| format!("touch-{number}")).collect();
        let touches = users.iter().flat_map(|user| {
            let used = sale.caller.patch(&format!("/point/{user}/use")).json(&json!({"amount": 1}));
            [used, sale.caller.get(&format!("/point/{user}"))]
        });
        for reply in crate::support::at_once(touches.collect::<Vec<_>>()).await {
            assert!(reply.status == 200 || reply.status == 409, "{}: {:?}", reply.call, reply.body);
        }
    }

    /// Every invariant holds on the live data, no session is lost or left, and this many deadlocks were seen.
    pub(crate) async fn is_in_order(&self, address: SocketAddr, deadlocks: u64) {
        let audit = Launch::new(ONSALE).on(url(address, &self.database)).run(&["audit"]).await;
        assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
        self.sessions_are_whole(address).await;
        let mut seen = 0;
        for sale in &self.sales {
            seen += metric(sale, "onsale_postgres_deadlocks_total").await;
        }
        assert_eq!(seen, deadlocks, "deadlocks");
    }

    /// What a load wrote down is so, and all is in order.
    pub(crate) async fn agrees_with(&self, address: SocketAddr, load: &mut Workload) {
        load.settle(self.sale()).await;
        load.check(self.sale()).await;
        load.check_replays(self.sale()).await;
        self.is_in_order(address, 0).await;
    }
}

/// No caller of the workload waited too long for an answer.
pub(crate) fn answered_in_time(load: &Workload) {
    assert!(load.slowest() < ANSWER_MAX, "a caller waited {:?} for an answer", load.slowest());
}

/// Waits until an instance has decided this many more commands.
pub(crate) async fn until_decided(sale: &Sale, more: u64) {
    let decided = async || metric(sale, "onsale_desk_wait_seconds_count").await;
    let before = decided().await;
    until("enough was decided", async || (decided().await > before + more).then_some(())).await;
}

/// A number that an instance counts.
pub(crate) async fn metric(sale: &Sale, name: &str) -> u64 {
    let text = Caller::new(sale.instance.base()).get("/metrics").send().await;
    let text = String::from_utf8(text.body.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

/// A charge under a key.
pub(crate) fn charge(sale: &Sale, user: &str, amount: i64, key: &str) -> Call {
    sale.caller.patch(&format!("/point/{user}/charge")).json(&json!({"amount": amount})).key(key)
}

/// Sends a call, which must be answered in time.
pub(crate) async fn in_time(call: Call) -> Reply {
    let since = Instant::now();
    let reply = call.send().await;
    assert!(since.elapsed() < ANSWER_MAX, "{}: an answer after {:?}", reply.call, since.elapsed());
    reply
}

/// Sends a call that cannot be served now. It gets a 503 with `Retry-After` in time; returns how long that took.
pub(crate) async fn unavailable(call: Call) -> Duration {
    let since = Instant::now();
    let reply = in_time(call).await;
    reply.refused(503, "unavailable");
    assert!(reply.header("retry-after").is_some(), "{}: when to come again", reply.call);
    since.elapsed()
}

/// The first answer of these calls that is no 503, within the time that a recovery may take; and how long it took.
pub(crate) async fn recovered(call: impl Fn() -> Call) -> (Reply, Duration) {
    let since = Instant::now();
    let served = async || {
        let reply = in_time(call()).await;
        (reply.status != 503).then_some(reply)
    };
    let reply = until("the instance serves again", served).await;
    let took = since.elapsed();
    assert!(took < RECOVERY_MAX, "{}: served again after {took:?}", reply.call);
    (reply, took)
}
