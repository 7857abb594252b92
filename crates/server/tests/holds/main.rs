//! The end of holds: released or lapsed, or later than at first because an administrator extended them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod extending;
#[path = "../support/mod.rs"]
mod support;

use serde_json::json;
use support::evening::{Evening, path_of};
use support::room::{place, room};
use support::{audit, millis, until};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

/// A server whose holds lapse after a second.
const BRIEF: [(&str, &str); 1] = [("ONSALE_HOLD_SECONDS", "1")];

#[tokio::test]
async fn a_released_hold_frees_its_seats() {
    let evening = Evening::start(&[]).await;
    let held = evening.hold(&evening.ada, &json!([1, 2])).expect(201).await;
    evening.release(&evening.ada, &held).expect(204).await;
    assert_eq!(evening.show(&held).await["status"], "RELEASED");
    let taken = evening.hold(&evening.bob, &json!([1])).expect(201).await;
    evening.release(&evening.ada, &held).expect(204).await;
    assert_eq!(evening.show(&taken).await["status"], "HELD", "a second release does not free the seat of another user");
    evening.until_seats("HELD", &[1]).await;
    evening.sale.pay(&evening.ada, &held).refused(410, "hold-expired").await;
    assert_eq!(place(&evening.sale, &evening.ada).await["status"], "ACTIVE", "the turn goes on");
    audit(&evening.sale).await;
}

#[tokio::test]
async fn a_user_can_release_only_their_own_hold() {
    let evening = Evening::start(&[]).await;
    let held = evening.hold(&evening.ada, &json!([1, 2])).expect(201).await;
    evening.release(&evening.bob, &held).refused(404, "reservation-not-found").await;
    let unknown = json!({"reservationId": UNKNOWN});
    evening.release(&evening.ada, &unknown).refused(404, "reservation-not-found").await;
    evening.sale.caller.get(&path_of(&unknown)).refused(404, "reservation-not-found").await;

    // The user's own hold, but with the token of another concert.
    let elsewhere = evening.sale.concert(&room(10)).await;
    let token = evening.sale.active(&elsewhere, "ada").await;
    evening.release(&token, &held).refused(404, "reservation-not-found").await;
    assert_eq!(evening.show(&held).await, held, "it is held as before");
}

#[tokio::test]
async fn a_paid_reservation_cannot_be_released() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, .. } = &evening;
    sale.charge("ada", 1_000_000).await;
    let paid = evening.hold(ada, &json!([1])).expect(201).await;
    let other = evening.hold(ada, &json!([2])).expect(201).await;
    sale.pay(ada, &paid).expect(201).await;
    evening.release(ada, &paid).refused(409, "already-paid").await;
    assert_eq!(evening.show(&paid).await["status"], "PAID");
    evening.release(ada, &other).expect(204).await;
    evening.until_seats("SOLD", &[1]).await;
    audit(sale).await;
}

#[tokio::test]
async fn a_lapsed_hold_cannot_be_paid() {
    let evening = Evening::start(&BRIEF).await;
    let Evening { sale, ada, bob, .. } = &evening;
    sale.charge("ada", 1_000_000).await;
    let held = evening.hold(ada, &json!([1, 2, 3, 4])).expect(201).await;
    evening.until_status(&held, "EXPIRED").await;
    let taken = evening.hold(bob, &json!([1])).expect(201).await;
    assert!(millis(&taken["heldUntil"]) - 1000 >= millis(&held["heldUntil"]), "taken at once, and not before");
    sale.pay(ada, &held).refused(410, "hold-expired").await;
    evening.release(ada, &held).expect(204).await;
    assert_eq!(evening.show(&held).await["status"], "EXPIRED", "it stays what it became");

    evening.hold(ada, &json!([2, 3, 4, 5])).expect(201).await;
    evening.until_seats("HELD", &[]).await;
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 1_000_000);
    audit(sale).await;
}

#[tokio::test]
async fn a_lapsed_hold_is_gone_also_for_a_user_without_points() {
    let evening = Evening::start(&BRIEF).await;
    let held = evening.hold(&evening.ada, &json!([1])).expect(201).await;
    evening.until_status(&held, "EXPIRED").await;
    evening.sale.pay(&evening.ada, &held).refused(410, "hold-expired").await;
}

#[tokio::test]
async fn a_held_seat_can_be_taken_at_the_moment_of_its_lapse() {
    let evening = Evening::start(&[("ONSALE_HOLD_SECONDS", "2")]).await;
    let mut last = millis(&evening.hold(&evening.ada, &json!([9])).expect(201).await["heldUntil"]);
    // A user who retries gets the seat next, and no attempt before the lapse succeeds.
    for token in [&evening.bob, &evening.ada] {
        let held = until("the seat is free", async || {
            let reply = evening.hold(token, &json!([9])).send().await;
            if reply.status == 201 {
                return Some(reply.json());
            }
            assert_eq!(reply.refused(409, "seat-taken")["seats"], json!([9]));
            let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=2).contains(&seconds), "{seconds}");
            None
        })
        .await;
        let until = millis(&held["heldUntil"]);
        assert!(until - 2000 >= last, "two people held the seat at once");
        last = until;
    }
    audit(&evening.sale).await;
}

#[tokio::test]
async fn holds_stay_in_the_history() {
    let evening = Evening::start(&[("ONSALE_HOLD_SECONDS", "3")]).await;
    let Evening { sale, ada, .. } = &evening;
    sale.charge("ada", 1_000_000).await;
    let released = evening.hold(ada, &json!([1])).expect(201).await;
    evening.release(ada, &released).expect(204).await;
    let lapsed = evening.hold(ada, &json!([2])).expect(201).await;
    evening.until_status(&lapsed, "EXPIRED").await;
    let paid = until("a payment in time", async || {
        let held = evening.hold(ada, &json!([3])).send().await;
        let held = held.json();
        (sale.pay(ada, &held).send().await.status == 201).then_some(held)
    })
    .await;
    let list = sale.caller.get("/users/ada/reservations").expect(200).await;
    let rows = list.as_array().unwrap();
    assert_eq!((&rows[0]["reservationId"], &rows[0]["status"]), (&paid["reservationId"], &json!("PAID")));
    let known: Vec<_> = rows[rows.len() - 2..].iter().map(|row| (&row["reservationId"], &row["status"])).collect();
    let (expired, gone) = (json!("EXPIRED"), json!("RELEASED"));
    assert_eq!(known, [(&lapsed["reservationId"], &expired), (&released["reservationId"], &gone)], "newest first");
    assert_eq!(sale.caller.get("/users/bob/reservations").expect(200).await, json!([]));
}
