//! The seat map of one instance shows what another sold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use onsale_testing::{Reply, Sale};
use serde_json::{Value, json};

use crate::many::{Many, middle_and_longest, until_since};
use crate::support::evening::path_of;
use crate::support::room::room;
use crate::support::until;

/// A map is at most 100 ms behind, and the looking takes a moment too.
const SHOWN_WITHIN: Duration = Duration::from_millis(200);

/// An onlooker at one instance.
struct Onlooker<'a> {
    sale: &'a Sale,
    token: String,
    path: String,
}

impl Onlooker<'_> {
    async fn look(&self, known: Option<&str>) -> Reply {
        let call = self.sale.caller.get(&self.path).token(&self.token);
        let call = known.into_iter().fold(call, |call, tag| call.header("if-none-match", tag));
        call.send().await
    }

    /// Looks until a seat stands like this; how long after this instant that was.
    async fn until(&self, since: Instant, seat: u32, status: &str) -> Duration {
        let what = format!("seat {seat} is {status}");
        let stands = async || {
            let shown = self.look(None).await.expect(200);
            let seats = shown["performances"][0]["seats"].as_array().unwrap();
            seats[seat as usize - 1]["status"] == status
        };
        until_since(since, &what, stands).await
    }
}

/// An onlooker at each instance, at the one performance of a concert.
async fn onlookers<'a>(many: &'a Many, concert: &str) -> Vec<Onlooker<'a>> {
    let mut all = Vec::new();
    for (number, sale) in many.sales.iter().enumerate() {
        let token = sale.active(concert, &format!("onlooker-{number}")).await;
        let date = until("the performance is listed", async || {
            let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(&token).expect(200).await;
            dates[0]["date"].as_str().map(str::to_owned)
        })
        .await;
        let path = format!("/concerts/{concert}/seats?date={date}");
        all.push(Onlooker { sale, token, path });
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_held_elsewhere_shows_as_held() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(1_000)).await;
    let performance = many.at(0).performance(&concert, &Value::Null).await;
    let onlookers = onlookers(&many, &concert).await;
    let buyer = many.at(0).active(&concert, "buyer").await;
    many.at(0).charge("buyer", 10_000_000).await;
    let mut shown_in = Vec::new();
    for seat in 1..=12_u32 {
        let [here, there, yonder] = [0, 1, 2].map(|next| (seat as usize + next) % 3);
        let held = many.at(here).hold(&buyer, &performance, &[seat]).await;
        let since = Instant::now();
        shown_in.push(onlookers[there].until(since, seat, "HELD").await);
        shown_in.push(onlookers[yonder].until(since, seat, "HELD").await);
        many.at(there).caller.delete(&path_of(&held)).token(&buyer).expect(204).await;
        let since = Instant::now();
        shown_in.push(onlookers[here].until(since, seat, "AVAILABLE").await);
        shown_in.push(onlookers[yonder].until(since, seat, "AVAILABLE").await);
    }
    let shown_in = middle_and_longest(shown_in);
    println!("what happened to a seat shows elsewhere (middle, longest) in {shown_in:?}");
    assert!(shown_in.0 <= SHOWN_WITHIN);
    many.is_in_order().await;
}

/// Holds of all instances lapse. Each is shown for as long as it lasts, which is long enough to be seen on a busy machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_whose_hold_lapses_is_shown_as_free_everywhere() {
    const HOLD: Duration = Duration::from_secs(10);
    let Some(many) = Many::start(3, &[("ONSALE_HOLD_SECONDS", "10")]).await else { return };
    let concert = many.at(0).concert(&room(1_000)).await;
    let performance = many.at(0).performance(&concert, &Value::Null).await;
    let onlookers = onlookers(&many, &concert).await;
    let buyer = many.at(0).active(&concert, "buyer").await;
    let mut held = Vec::new();
    for seat in 1..=3_u32 {
        // The hold begins after this instant.
        let since = Instant::now();
        many.at(seat as usize).hold(&buyer, &performance, &[seat]).await;
        held.push((since, seat));
    }
    let watching = held.iter().flat_map(|held| onlookers.iter().map(move |onlooker| (onlooker, *held)));
    let lapsed_in = futures_util::future::join_all(watching.map(|(onlooker, (since, seat))| async move {
        onlooker.until(since, seat, "HELD").await;
        onlooker.until(since, seat, "AVAILABLE").await
    }));
    let lapsed_in = lapsed_in.await;
    println!("seats whose hold lasts {HOLD:?} are free again in {lapsed_in:?}");
    // An instance's notion of the database's clock may be off by a moment.
    assert!(lapsed_in.iter().all(|lapsed| *lapsed > HOLD - Duration::from_secs(1)), "{lapsed_in:?}");
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_known_by_its_tag_is_known_until_a_seat_is_sold_elsewhere() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(1_000)).await;
    let performance = many.at(0).performance(&concert, &json!([{"from": 1, "to": 20, "price": 10}])).await;
    let onlookers = onlookers(&many, &concert).await;
    let mut tags = Vec::new();
    for onlooker in &onlookers {
        tags.push(onlooker.look(None).await.header("etag").unwrap().to_owned());
    }
    assert!(tags.iter().all(|tag| *tag == tags[0]), "the same seats, the same tag: {tags:?}");
    for seat in 1..=6 {
        let user = format!("buyer-{seat}");
        let [here, there] = [0, 1].map(|next| many.at(seat as usize + next));
        here.charge(&user, 100).await;
        let token = here.active(&concert, &user).await;
        for (onlooker, tag) in onlookers.iter().zip(&tags) {
            assert_eq!(onlooker.look(Some(tag)).await.status, 304, "nothing has changed");
        }
        let held = here.hold(&token, &performance, &[seat]).await;
        let before = tags[0].clone();
        there.pay(&token, &held).expect(201).await;
        for (onlooker, tag) in onlookers.iter().zip(&mut tags) {
            onlooker.until(Instant::now(), seat, "SOLD").await;
            let shown = onlooker.look(Some(tag)).await;
            shown.expect(200);
            *tag = shown.header("etag").unwrap().to_owned();
            assert_ne!(*tag, before);
            assert_eq!(shown.json()["performances"][0]["remaining"], 20 - seat);
        }
        assert!(tags.iter().all(|tag| *tag == tags[0]), "the same seats, the same tag: {tags:?}");
    }
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_is_sold_once_over_all_instances() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(1_000)).await;
    let performance = many.at(0).performance(&concert, &json!([{"from": 1, "to": 10, "price": 10}])).await;
    let mut tokens = Vec::new();
    for number in 0..40 {
        tokens.push(many.at(number).active(&concert, &format!("user-{number}")).await);
    }
    // Sets of seats that overlap: all of a set or none.
    let calls = tokens.iter().zip(0_u32..).map(|(token, number)| {
        let seats = [number % 10 + 1, (number * 7 + 3) % 10 + 1];
        let seats = if seats[0] == seats[1] { vec![seats[0]] } else { seats.to_vec() };
        let body = json!({"performanceId": performance, "seats": seats});
        many.at(number as usize + 1).caller.post("/reservations").token(token).json(&body)
    });
    let replies = crate::support::at_once(calls).await;
    let mut taken = Vec::new();
    for reply in &replies {
        if reply.status == 201 {
            taken.extend(reply.json()["seats"].as_array().unwrap().iter().map(|seat| seat.as_u64().unwrap()));
        } else {
            reply.refused(409, "seat-taken");
        }
    }
    let many_taken = taken.len();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), many_taken, "a seat was given twice");
    assert!(many_taken > 0);
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_map_of_a_big_hall_is_loaded_while_all_instances_sell() {
    const SEATS: u32 = 100_000;
    const TAKEN: i32 = 30_000;
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(1_000)).await;
    let seats = json!([{"from": 1, "to": SEATS, "price": 10}]);
    let performance = many.at(0).performance(&concert, &seats).await;
    // Rows enough that reading them takes longer than it takes until something is sold.
    let fill = "INSERT INTO seats SELECT $1::text::uuid, seat, gen_random_uuid(), 4102444800000, false
        FROM generate_series(1, $2) seat";
    many.sql().await.execute(fill, &[&performance, &TAKEN]).await.unwrap();
    let many = Arc::new(many);
    let onlookers = onlookers(&many, &concert).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut selling = Vec::new();
    for number in 0..6_u32 {
        let (sale, user) = (number as usize, format!("buyer-{number}"));
        let token = many.at(sale).active(&concert, &user).await;
        let (many, stop, performance) = (many.clone(), stop.clone(), performance.clone());
        selling.push(tokio::spawn(async move {
            let mut held = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let seat = SEATS - number * 1_000 - held % 1_000;
                let reservation = many.at(sale).hold(&token, &performance, &[seat]).await;
                many.at(sale).caller.delete(&path_of(&reservation)).token(&token).expect(204).await;
                held += 1;
            }
            held
        }));
    }
    // The seat map of each instance is read for the first time while all of them sell.
    let mut looked_in = Vec::new();
    for onlooker in &onlookers {
        let since = Instant::now();
        let shown = onlooker.look(None).await.expect(200);
        looked_in.push(since.elapsed());
        let all = shown["performances"][0]["seats"].as_array().unwrap();
        assert_eq!(all.len(), SEATS as usize);
        assert_eq!((&all[0]["status"], &all[50_000]["status"]), (&json!("HELD"), &json!("AVAILABLE")));
    }
    stop.store(true, Ordering::Relaxed);
    let mut held = 0;
    for seller in selling {
        held += seller.await.unwrap();
    }
    println!("the map was loaded in {looked_in:?} while {held} seats were held and released");
    assert!(looked_in.iter().all(|looked| *looked < Duration::from_secs(9)), "{looked_in:?}");
    // And it goes on following.
    let token = many.at(0).active(&concert, "last").await;
    many.at(0).hold(&token, &performance, &[40_000]).await;
    for onlooker in &onlookers {
        onlooker.until(Instant::now(), 40_000, "HELD").await;
    }
}
