//! A rush: many more people than seats, all of them polling at the returned interval.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use onsale_testing::Sale;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::room::{admitted_at, places_are_beside, token};
use crate::support::{audit, millis, start};

const PEOPLE: u32 = 300;
const SEATS: u32 = 60;
const ACTIVE_SECONDS: i64 = 600;

/// The most by which an estimate may rise or fall.
const JUMP: f64 = 2.0;

/// The longest time from the admission until 95 % of the clients know, in milliseconds.
const USED_WITHIN_MILLIS: i64 = 2_000;

struct Rush {
    sale: Sale,
    concert: String,
    performance: String,
    taken: AtomicU32,
    sold: AtomicU32,
}

/// What one person saw.
#[derive(Default)]
struct Seen {
    /// Milliseconds from the admission until the client knew.
    unused: Option<i64>,
    /// Pairs of estimates outside of [`JUMP`].
    jumps: Vec<String>,
}

/// Whether the later of two estimates rose or fell by more than [`JUMP`], beyond the time that passed. Both are whole seconds,
/// rounded up.
fn jumps(before: &Value, after: &Value) -> bool {
    let seconds = |place: &Value| place["estimatedWaitSeconds"].as_f64().unwrap();
    let passed = millis(&after["asOf"]) - millis(&before["asOf"]);
    let left = seconds(before) - Duration::from_millis(passed.try_into().unwrap_or(0)).as_secs_f64();
    seconds(after) - 1.0 > JUMP * seconds(before) || seconds(after) < (left - 1.0) / JUMP
}

impl Rush {
    async fn person(&self, number: u32) -> Seen {
        let mut seen = Seen::default();
        let mut place = self.sale.enter(&self.concert, &format!("user-{number}")).await;
        let token = token(&place);
        while place["status"] == "WAITING" {
            tokio::time::sleep(Duration::from_secs(place["pollAfterSeconds"].as_u64().unwrap())).await;
            if self.sold.load(Ordering::Relaxed) >= SEATS {
                return seen;
            }
            let next = self.sale.caller.get("/queue/token").token(&token).expect(200).await;
            if next["status"] == "WAITING" && jumps(&place, &next) {
                seen.jumps.push(format!("{place} and then {next}"));
            }
            place = next;
        }
        assert_eq!(place["status"], "ACTIVE", "a client that polls in time never loses its turn: {place}");
        seen.unused = Some(millis(&place["asOf"]) - admitted_at(&place, ACTIVE_SECONDS));
        let seat = 1 + self.taken.fetch_add(1, Ordering::Relaxed);
        if seat <= SEATS {
            let hold = self.sale.hold(&token, &self.performance, &[seat]).await;
            self.sale.pay(&token, &hold).expect(201).await;
            self.sold.fetch_add(1, Ordering::Relaxed);
        } else {
            self.sale.caller.delete("/queue/token").token(&token).expect(204).await;
        }
        seen
    }
}

#[tokio::test]
async fn turns_are_used_and_estimates_do_not_jump_in_the_first_seconds() {
    let sale = start(&[]).await;
    let queue = json!({"maxActive": 20, "admitPerSecond": 10, "activeSeconds": ACTIVE_SECONDS, "claimSeconds": 60});
    let concert = sale.concert(&queue).await;
    let performance = sale.performance(&concert, &json!([{"from": 1, "to": SEATS, "grade": "A", "price": 0}])).await;
    let rush = Rush { sale, concert, performance, taken: AtomicU32::new(0), sold: AtomicU32::new(0) };
    let rush = Arc::new(rush);
    let mut people = JoinSet::new();
    for number in 0..PEOPLE {
        let rush = rush.clone();
        people.spawn(async move { rush.person(number).await });
    }
    let seen = people.join_all().await;

    let jumps: Vec<_> = seen.iter().flat_map(|seen| &seen.jumps).collect();
    assert!(jumps.is_empty(), "{} estimates jump: {:#?}", jumps.len(), jumps.first());
    let mut unused: Vec<i64> = seen.iter().filter_map(|seen| seen.unused).collect();
    unused.sort_unstable();
    assert!(unused.len() >= SEATS as usize, "{} turns were used", unused.len());
    let within = unused[unused.len() * 95 / 100 - 1];
    assert!(within <= USED_WITHIN_MILLIS, "95 % of the turns are used within {within} ms of the admission");
    if !places_are_beside() {
        audit(&rush.sale).await;
    }
}
