//! A program floods the line from one address, and honest visitors of an office share another one.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use onsale_testing::Caller;
use serde_json::json;
use tokio::task::JoinSet;

use super::Incident;
use crate::clients::Clients;
use crate::scene::{Scene, Stage};

/// Entries of an address that an instance allows in a minute: few, for a quick drill. Twice as many at once.
const ENTRIES: u32 = 10;

/// The limit that an operator sets.
const RAISED: u32 = 3_000;

/// Visitors of the office: more than three instances let enter at once.
const OFFICE: u32 = 300;

/// Connections of the program.
const CONNECTIONS: u32 = 4;

const BOT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
const OFFICE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 7));

/// Longest time until both addresses are limited, and until the whole office is in line.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What the program and the office have met.
#[derive(Debug, Default)]
struct Met {
    /// Refused entries of the program.
    bot_refused: AtomicU32,
    /// Refused entries of the office.
    office_refused: AtomicU32,
    /// Visitors of the office in line.
    office_entered: AtomicU32,
}

/// The flood and the office at the same time.
#[derive(Default)]
pub(super) struct BotsAndNat {
    met: Arc<Met>,
    tasks: JoinSet<()>,
    repairs: u32,
}

impl Incident for BotsAndNat {
    const NAME: &'static str = "bots-and-nat";

    fn stage(&self) -> Stage {
        let settings = vec![("ONSALE_ENTRIES_PER_MINUTE", ENTRIES.to_string())];
        let clients = Clients { have_addresses: true, ..Clients::default() };
        Stage { redis: false, settings, clients, ..Stage::default() }
    }

    async fn cause(&mut self, scene: &mut Scene) {
        let base = scene.balancer.base();
        for connection in 0..CONNECTIONS {
            let caller = Caller::from_address(&base, BOT);
            self.tasks.spawn(flood(caller, scene.concert.clone(), connection, self.met.clone()));
        }
        let office = Caller::from_address(&base, OFFICE_ADDRESS);
        for number in 0..OFFICE {
            self.tasks.spawn(enter(office.clone(), scene.concert.clone(), number, self.met.clone()));
        }
        let began = Instant::now();
        let is_met = |count: &AtomicU32| count.load(Ordering::Relaxed) > 0;
        while !(is_met(&self.met.bot_refused) && is_met(&self.met.office_refused)) {
            assert!(began.elapsed() < WAIT_MAX, "the limit by address never acts on both: {:?}", self.met);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn what(&self) -> &'static str {
        "a program enters with new names from 127.0.0.9, and an office of 300 visitors comes from 127.0.0.7"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        if self.repairs == 0 {
            let backend = "    default_backend instances\n";
            scene.balancer.reload(backend, &format!("    http-request deny if {{ src {BOT} }}\n{backend}")).await;
        } else {
            scene.roll(&[("ONSALE_ENTRIES_PER_MINUTE", &RAISED.to_string())]).await;
        }
        self.repairs += 1;
    }

    fn repaired(&self) -> &'static str {
        match self.repairs {
            1 => "the balancer refuses 127.0.0.9",
            _ => "each instance was restarted with a higher limit",
        }
    }

    async fn end(&mut self, _scene: &mut Scene) {
        let began = Instant::now();
        while self.met.office_entered.load(Ordering::Relaxed) < OFFICE {
            let entered = self.met.office_entered.load(Ordering::Relaxed);
            assert!(began.elapsed() < WAIT_MAX, "only {entered} of {OFFICE} visitors of the office are in line");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.tasks.abort_all();
    }
}

/// Enters with a new name each time, and respects nothing.
async fn flood(caller: Caller, concert: String, connection: u32, met: Arc<Met>) {
    for number in 0.. {
        let body = json!({"userId": format!("bot-{connection}-{number}"), "concertId": concert});
        let reply = caller.post("/queue/tokens").json(&body).try_send().await;
        if reply.is_ok_and(|reply| reply.status == 429) {
            met.bot_refused.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A visitor of the office, who tries again until there is a place in line.
async fn enter(caller: Caller, concert: String, number: u32, met: Arc<Met>) {
    let body = json!({"userId": format!("office-{number}"), "concertId": concert});
    loop {
        let reply = caller.post("/queue/tokens").json(&body).try_send().await;
        match reply.map(|reply| reply.status.as_u16()) {
            Ok(200 | 201) => {
                met.office_entered.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Ok(429) => met.office_refused.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
