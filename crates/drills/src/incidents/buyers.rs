//! Incidents of a sale that no part causes: a forgotten pause, holds that run out, a task that hangs, no instance that is
//! ready.

use std::time::Duration;

use onsale_testing::Faults;
use serde_json::{Value, json};

use super::Incident;
use crate::scene::{Scene, Stage};

/// A pause that is left on.
pub(super) struct LineStands;

impl Incident for LineStands {
    const NAME: &'static str = "line-stands";

    async fn cause(&mut self, scene: &mut Scene) {
        let path = format!("/admin/concerts/{}/queue", scene.concert);
        let first = scene.first();
        first.admin(first.caller.patch(&path)).json(&json!({"paused": true})).expect(200).await;
    }

    fn what(&self) -> &'static str {
        "an operator pauses admission and forgets it"
    }
}

/// No instance reaches the database, which itself is well.
pub(super) struct AllNotReady;

impl Incident for AllNotReady {
    const NAME: &'static str = "all-not-ready";

    fn stage(&self) -> Stage {
        Stage { wire: true, ..Stage::default() }
    }

    async fn cause(&mut self, scene: &mut Scene) {
        scene.parts.store.wire().cut().await;
    }

    fn what(&self) -> &'static str {
        "the network between the instances and the database is cut"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.parts.store.wire().heal().await;
    }

    fn repaired(&self) -> &'static str {
        "the network is whole again"
    }
}

/// The disk of the sale answers no sync, and the task that frees seats hangs in it.
#[derive(Default)]
pub(super) struct JobSilent {
    faults: Option<Faults>,
}

impl Incident for JobSilent {
    const NAME: &'static str = "job-silent";

    fn stage(&self) -> Stage {
        let settings = vec![("ONSALE_HOLD_SECONDS", "10".to_owned())];
        Stage { instances: 1, redis: false, sqlite: true, faults: true, settings, ..Stage::default() }
    }

    async fn prepare(&mut self, scene: &mut Scene) {
        self.faults = scene.faults.take();
    }

    async fn cause(&mut self, scene: &mut Scene) {
        hold(scene, "late", 19_000).await;
        self.faults.as_ref().expect("a disk with faults").stall_syncs();
    }

    fn what(&self) -> &'static str {
        "no sync of the disk returns, and a hold lapses"
    }

    async fn repair(&mut self, _scene: &mut Scene) {
        self.faults.as_ref().expect("a disk with faults").mend();
    }

    fn repaired(&self) -> &'static str {
        "the disk answers again"
    }
}

/// Lets a user enter, wait for a turn, and hold a seat. Returns the token and the reservation.
async fn hold(scene: &Scene, user: &str, seat: u32) -> (String, Value) {
    let first = scene.first();
    let token = first.active(&scene.concert, user).await;
    first.charge(user, crate::traffic::PRICE).await;
    let held = first.hold(&token, &scene.performance, &[seat]).await;
    (token, held)
}

/// How long the database is away: longer than a hold.
const AWAY: Duration = Duration::from_secs(40);

/// Buyers whose holds run out.
const LATE: u32 = 20;

/// The database was away for longer than a hold lasts.
#[derive(Default)]
pub(super) struct HoldsRunOut {
    late: Vec<(String, Value)>,
}

impl Incident for HoldsRunOut {
    const NAME: &'static str = "holds-run-out";

    fn stage(&self) -> Stage {
        Stage { settings: vec![("ONSALE_HOLD_SECONDS", "30".to_owned())], ..Stage::default() }
    }

    async fn cause(&mut self, scene: &mut Scene) {
        for number in 0..LATE {
            self.late.push(hold(scene, &format!("late-{number}"), 19_000 + number).await);
        }
        scene.parts.store.server().pause().await;
        tokio::time::sleep(AWAY).await;
        scene.parts.store.server().resume().await;
        let first = scene.first();
        for (token, held) in &self.late {
            // Each is refused: its hold has lapsed.
            drop(first.pay(token, held).try_send().await);
        }
        // This one is live, and is to be extended.
        let (_, live) = hold(scene, "in-time", 19_500).await;
        scene.shell.set("HOLD", live["reservationId"].as_str().unwrap_or_default());
    }

    fn what(&self) -> &'static str {
        "the database was away for 40 s, and a hold lasts 30 s"
    }
}
