//! A cancelled performance whose buyers do not all get their points back.

use onsale_testing::Sale;
use serde_json::json;

use super::Incident;
use crate::scene::{Scene, Stage};
use crate::traffic::PRICE;

/// Buyers with four seats each: more seats than one step settles.
const BUYERS: u32 = 30;

/// Seats of one buyer.
const SEATS: u32 = 4;

/// The highest balance of a wallet, in points.
const BALANCE_MAX: i64 = 1_000_000_000;

/// The instance that settles the cancellation is killed, and one wallet cannot take its refund.
#[derive(Default)]
pub(super) struct CancellationStuck {
    performance: String,
}

impl Incident for CancellationStuck {
    const NAME: &'static str = "cancellation-stuck";

    fn stage(&self) -> Stage {
        Stage { redis: false, ..Stage::default() }
    }

    async fn prepare(&mut self, scene: &mut Scene) {
        let seats = json!([{"from": 1, "to": SEATS * (BUYERS + 1), "price": PRICE}]);
        let first = scene.first();
        self.performance = first.performance(&scene.concert, &seats).await;
        for number in 0..BUYERS {
            buys(scene, &self.performance, &format!("fan-{number}"), number).await;
        }
        buys(scene, &self.performance, "rich", BUYERS).await;
        let full = first.caller.post("/admin/point/rich/adjustments");
        first.admin(full).json(&json!({"amount": BALANCE_MAX, "reason": "won"})).expect(201).await;
        scene.shell.set("PERFORMANCE", &self.performance);
    }

    async fn cause(&mut self, scene: &mut Scene) {
        let third: &Sale = scene.sales[2].as_ref().expect("an instance that runs");
        let cancel = third.caller.post(&format!("/admin/performances/{}/cancel", self.performance));
        third.admin(cancel).json(&json!({"reason": "the singer is ill"})).expect(202).await;
        scene.kill(2).await;
    }

    fn what(&self) -> &'static str {
        "a performance is cancelled, and the instance that settles it is killed; one wallet is full"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.restart(2).await;
    }

    fn repaired(&self) -> &'static str {
        "the third instance runs again"
    }
}

/// Lets a user buy the seats of the buyer with this number, counted from 0.
async fn buys(scene: &Scene, performance: &str, user: &str, number: u32) {
    let first = scene.first();
    let token = first.active(&scene.concert, user).await;
    first.charge(user, i64::from(SEATS) * PRICE).await;
    let seats: Vec<u32> = (SEATS * number + 1..=SEATS * (number + 1)).collect();
    let held = first.hold(&token, performance, &seats).await;
    first.pay(&token, &held).expect(201).await;
}
