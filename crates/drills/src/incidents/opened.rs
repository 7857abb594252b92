//! A performance is on sale before its time.

use serde_json::{Value, json};

use super::Incident;
use crate::scene::{Scene, Stage};
use crate::traffic::PRICE;

/// Buyers who find the open performance.
const EARLY: u32 = 5;

/// Seconds until the performance starts.
const STARTS_IN: i64 = 20 * 86_400;

/// An operator opens the wrong performance.
#[derive(Default)]
pub(super) struct OpenedEarly {
    performance: String,
}

impl Incident for OpenedEarly {
    const NAME: &'static str = "opened-early";

    fn stage(&self) -> Stage {
        Stage { redis: false, ..Stage::default() }
    }

    async fn prepare(&mut self, scene: &mut Scene) {
        let (first, seats) = (scene.first(), json!([{"from": 1, "to": 100, "price": PRICE}]));
        self.performance = first.performance_at(&scene.concert, &seats, STARTS_IN).await;
        is_closed(scene, &self.performance, true).await;
        scene.shell.set("PERFORMANCE", &self.performance);
    }

    async fn cause(&mut self, scene: &mut Scene) {
        is_closed(scene, &self.performance, false).await;
        let first = scene.first();
        for number in 1..=EARLY {
            let user = format!("early-{number}");
            let token = first.active(&scene.concert, &user).await;
            first.charge(&user, PRICE).await;
            let held: Value = first.hold(&token, &self.performance, &[number]).await;
            // The last one still has to pay.
            if number < EARLY {
                first.pay(&token, &held).expect(201).await;
            }
        }
    }

    fn what(&self) -> &'static str {
        "an operator opens a performance that is to be sold tomorrow: four buyers pay, and one holds a seat"
    }
}

/// Closes the holds of a performance, or opens them.
async fn is_closed(scene: &Scene, performance: &str, closed: bool) {
    let first = scene.first();
    let call = first.admin(first.caller.patch(&format!("/admin/performances/{performance}")));
    call.json(&json!({"closed": closed})).expect(200).await;
}
