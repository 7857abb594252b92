//! Incidents of load and speed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onsale_testing::{ADMIN_KEY, Caller, allow_open_files};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Incident;
use crate::scene::{Scene, Stage};

/// Delay of each byte between the instances and Postgres. A change takes four of them.
const SLOW: Duration = Duration::from_millis(400);

/// The way to the database is slow.
pub(super) struct SlowAnswers;

impl Incident for SlowAnswers {
    const NAME: &'static str = "slow-answers";

    fn stage(&self) -> Stage {
        Stage { wire: true, ..Stage::default() }
    }

    async fn cause(&mut self, scene: &mut Scene) {
        scene.parts.store.wire().slow(SLOW).await;
    }

    fn what(&self) -> &'static str {
        "each byte between the instances and Postgres takes 0.4 s, as behind a failing disk or cable"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.parts.store.wire().heal().await;
    }

    fn repaired(&self) -> &'static str {
        "the way to the database is fast again"
    }
}

/// Delay of each byte to Postgres, so that a small crowd is too large: about 600 changes a second are left.
const NARROW: Duration = Duration::from_millis(100);

/// How long a person thinks after a change that succeeded: a tenth of the crowd is what the database can serve
/// on a busy machine, too.
const THINK: Duration = Duration::from_secs(5);

/// Persons with a turn who click all the time, for each admission a second.
const CROWD_PER_ADMISSION: u64 = 200;

/// Open files of the crowd, and of the instance that it calls.
const OPEN_FILES: u64 = 12_500;

/// More visitors are admitted than the database can serve.
#[derive(Default)]
pub(super) struct Overload {
    crowd: JoinSet<()>,
}

impl Incident for Overload {
    const NAME: &'static str = "overload-at-opening";

    fn stage(&self) -> Stage {
        allow_open_files(OPEN_FILES);
        let settings = vec![("ONSALE_DATABASE_LANES", "1".to_owned())];
        Stage { instances: 2, wire: true, settings, ..Stage::default() }
    }

    async fn cause(&mut self, scene: &mut Scene) {
        scene.parts.store.wire().slow(NARROW).await;
        let (caller, allowed) = (Caller::new(scene.first().instance.base()), Arc::<AtomicU64>::default());
        let admitted = caller.get(&format!("/admin/concerts/{}/queue", scene.concert)).bearer(ADMIN_KEY);
        let first = admitted.try_send().await.map(|reply| reply.json()).unwrap_or_default();
        allowed.store(crowd(&first), Ordering::Relaxed);
        for number in 0..crowd(&first) {
            self.crowd.spawn(click(caller.clone(), number, allowed.clone()));
        }
        self.crowd.spawn(follow_rate(caller, scene.concert.clone(), allowed));
    }

    async fn end(&mut self, scene: &mut Scene) {
        self.crowd.abort_all();
        scene.parts.store.wire().heal().await;
    }

    fn what(&self) -> &'static str {
        "the room admits 50 a second, which is 10,000 persons who click: more than the database serves"
    }
}

/// Size of the crowd at the rate of these settings of a room.
fn crowd(room: &Value) -> u64 {
    room["admitPerSecond"].as_u64().unwrap_or(0) * CROWD_PER_ADMISSION
}

/// One person: sends a change, waits for the answer, and sends the next, for as long as the crowd is that large.
async fn click(caller: Caller, number: u64, allowed: Arc<AtomicU64>) {
    while number < allowed.load(Ordering::Relaxed) {
        let call = caller.patch(&format!("/point/crowd-{number}/charge")).json(&json!({"amount": 1}));
        let reply = call.try_send().await;
        // A person who was refused soon clicks again, whatever the answer asks for.
        let is_done = reply.is_ok_and(|reply| reply.status.is_success());
        tokio::time::sleep(if is_done { THINK } else { Duration::from_millis(300 + number % 500) }).await;
    }
}

/// Follows the rate of the room: a lower one lets part of the crowd leave.
async fn follow_rate(caller: Caller, concert: String, allowed: Arc<AtomicU64>) {
    loop {
        let room = caller.get(&format!("/admin/concerts/{concert}/queue")).bearer(ADMIN_KEY).try_send().await;
        if let Ok(room) = room
            && room.status == 200
        {
            allowed.fetch_min(crowd(&room.json()), Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
