//! Tickets at the doors of several instances: a ticket opens one door once, whatever the order in which its scans arrive.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::room::room;
use crate::support::{at_once, count, text, until};

/// A performance that starts soon, so that the clocks of doors are not in doubt, and the tickets of a number of its seats.
async fn tickets(many: &Many, seats: u32) -> (String, Vec<Value>) {
    let sale = many.at(0);
    let concert = sale.concert(&room(100)).await;
    let performance = sale.performance_at(&concert, &json!(seats), 3_600).await;
    let mut all = Vec::new();
    for first in (1..=seats).step_by(4) {
        let user = format!("user-{first}");
        sale.charge(&user, 500_000).await;
        let token = sale.active(&concert, &user).await;
        let held = sale.hold(&token, &performance, &(first..=seats.min(first + 3)).collect::<Vec<_>>()).await;
        let payment = text(&sale.pay(&token, &held).expect(201).await["paymentId"]);
        let shown = sale.caller.get(&format!("/payments/{payment}/tickets")).expect(200).await;
        all.extend(shown.as_array().unwrap().iter().cloned());
    }
    (performance, all)
}

/// A scan this many seconds ago by the clock of the device, which shows the year 2026 and runs well.
fn scan(performance: &str, ticket: &Value, device: &str, id: &str, seconds_ago: u32) -> Value {
    json!({
        "performanceId": performance, "code": ticket["code"], "device": device, "scanId": id,
        "scannedAt": format!("2026-11-22T11:{:02}:{:02}Z", 59 - seconds_ago / 60, 59 - seconds_ago % 60),
        "deviceNow": "2026-11-22T11:59:59Z",
    })
}

fn check_in(sale: &Sale, scan: &Value) -> Call {
    sale.admin(sale.caller.post("/check-ins").json(scan))
}

fn batch(sale: &Sale, scans: &[Value]) -> Call {
    sale.admin(sale.caller.post("/check-ins/batch").json(&json!({"checkIns": scans})))
}

async fn read(sale: &Sale, path: &str) -> Value {
    sale.admin(sale.caller.get(path)).expect(200).await
}

/// The same tickets are scanned at all instances at once. Each opens one door.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_that_is_scanned_at_two_instances_opens_one_door() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let (performance, tickets) = tickets(&many, 12).await;
    // 108 scans, nine of each ticket. Those of the first door are sent twice, the second time at another instance.
    let calls = (0..144).map(|number| {
        let (ticket, door) = (&tickets[number % 12], number / 12 % 9);
        let id = format!("door-{door}-{}", number % 12);
        check_in(many.at(number / 12 + number / 108), &scan(&performance, ticket, &format!("door-{door}"), &id, 0))
    });
    let replies = at_once(calls.collect::<Vec<_>>()).await;
    assert!(replies.iter().all(|reply| [201, 409].contains(&reply.status.as_u16())), "{replies:?}");
    let mut admitted: Vec<String> = Vec::new();
    for (first, again) in replies.iter().zip(&replies[108..]) {
        assert_eq!((first.status, first.json()), (again.status, again.json()), "the first answer for good");
    }
    for reply in replies[..108].iter().filter(|reply| reply.status == 201) {
        admitted.push(text(&reply.json()["ticketId"]));
    }
    assert_eq!(count(&replies[..108], 409, "already-checked-in"), 108 - admitted.len());
    // A scan that came earlier may be decided later by another instance: then both are admitted, and one supersedes the other.
    admitted.sort_unstable();
    let mut expected: Vec<String> = tickets.iter().map(|ticket| text(&ticket["ticketId"])).collect();
    expected.sort_unstable();
    assert!(admitted.len() >= 12, "{admitted:?}");
    admitted.dedup();
    assert_eq!(admitted, expected);
    let path = format!("/check-ins/manifest?performanceId={performance}");
    for sale in &many.sales {
        let shown = read(sale, &path).await;
        assert_eq!(shown["checkedIn"].as_array().unwrap().len(), 12);
    }
    many.is_in_order().await;
}

/// Two doors had no network. Each sends its scans to another instance, at the same time and more than once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doors_that_were_offline_send_the_same_tickets_by_batch() {
    let Some(many) = Many::start(2, &[]).await else { return };
    let (performance, tickets) = tickets(&many, 40).await;
    // Door b scanned the even tickets first, door a the odd ones.
    let scans = |door: &str, early: usize| -> Vec<Value> {
        let scanned = |(number, ticket): (usize, &Value)| {
            let seconds_ago = if number % 2 == early { 600 } else { 300 };
            scan(&performance, ticket, door, &format!("{door}-{number}"), seconds_ago)
        };
        tickets.iter().enumerate().map(scanned).collect()
    };
    let (a, b) = (scans("a", 1), scans("b", 0));
    let calls = [
        batch(many.at(0), &a),
        batch(many.at(1), &b),
        batch(many.at(1), &a[..20]),
        batch(many.at(0), &b[20..]),
        batch(many.at(0), &a),
        batch(many.at(1), &b),
    ];
    let replies = at_once(calls).await;
    assert_eq!(count(&replies, 200, ""), 6, "{replies:?}");
    assert_eq!(replies[0].json(), replies[4].json(), "the first answers for good");
    assert_eq!(replies[1].json(), replies[5].json());
    let path = format!("/admin/performances/{performance}/check-ins?conflict=true&limit=200");
    for sale in &many.sales {
        // Another instance lists the performance within three seconds.
        let conflicts = until("the conflicts", async || {
            let shown = sale.admin(sale.caller.get(&path)).send().await;
            (shown.status == 200).then(|| shown.json())
        })
        .await;
        let conflicts = conflicts.as_array().unwrap();
        assert_eq!(conflicts.len(), 40);
        for conflict in conflicts {
            assert_eq!(conflict["kind"], "twice");
            let seat = usize::try_from(conflict["seat"].as_u64().unwrap()).unwrap();
            let scans = conflict["scans"].as_array().unwrap();
            let counting: Vec<String> =
                scans.iter().filter(|one| one["status"] == "COUNTS").map(|one| text(&one["device"])).collect();
            // Seat 1 is ticket 0.
            assert_eq!(counting, [if seat % 2 == 1 { "b" } else { "a" }], "{conflict}");
            let other = scans.iter().find(|one| one["status"] != "COUNTS").unwrap();
            assert!(["SUPERSEDED", "REFUSED"].contains(&&*text(&other["status"])), "{conflict}");
        }
    }
    many.is_in_order().await;
}
