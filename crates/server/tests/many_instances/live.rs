//! Live figures on several instances: each shows what all of them sold.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::many::{Many, middle_and_longest};
use crate::support::room::room;
use crate::support::{millis, until};

/// Each instance reads the figures of the others once a second.
const SHOWN_WITHIN: Duration = Duration::from_secs(3);

async fn live(sale: &onsale_testing::Sale) -> Value {
    sale.admin(sale.caller.get("/admin/live")).expect(200).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_instance_shows_within_a_second_what_all_have_sold() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let sale = many.at(0);
    let concert = sale.concert(&room(100)).await;
    let performance = sale.performance(&concert, &json!(30)).await;
    // Sold at three instances before figures were viewed anywhere.
    for number in 0..6_u32 {
        let (at, user) = (many.at(number as usize), format!("user-{number}"));
        at.charge(&user, 1_000_000).await;
        let token = at.active(&concert, &user).await;
        let held = at.hold(&token, &performance, &[2 * number + 1, 2 * number + 2]).await;
        at.pay(&token, &held).expect(201).await;
    }
    let (sold_at, mut shown_in) = (Instant::now(), Vec::new());
    let wanted = (json!(12), json!(600_000), json!(12), json!(6));
    for sale in &many.sales {
        let figures = until("all that was sold is shown", async || {
            let figures = live(sale).await;
            let row =
                figures["performances"].as_array().unwrap().iter().find(|row| row["performanceId"] == performance)?;
            let room = figures["rooms"].as_array().unwrap().iter().find(|row| row["concertId"] == concert)?;
            let shown = (&row["sold"], &row["revenue"], &row["salesLastMinute"], &room["admittedLastMinute"]);
            (shown == (&wanted.0, &wanted.1, &wanted.2, &wanted.3)).then(|| figures.clone())
        })
        .await;
        assert!(millis(&figures["asOf"]) > 0);
        shown_in.push(sold_at.elapsed());
    }
    let shown_in = middle_and_longest(shown_in);
    println!("what all instances sold is shown (middle, longest) in {shown_in:?}");
    assert!(shown_in.0 < SHOWN_WITHIN);
    // While figures are viewed, every instance shows all three.
    let ids = async |sale| {
        let figures = live(sale).await;
        let mut ids: Vec<String> =
            figures["instances"].as_array().unwrap().iter().map(|row| row["instanceId"].to_string()).collect();
        ids.sort();
        (ids.len() == 3).then_some(ids)
    };
    let mut all = Vec::new();
    for sale in &many.sales {
        all.push(until("all instances are shown", async || ids(sale).await).await);
    }
    assert!(all.iter().all(|ids| *ids == all[0]), "{all:?}");
    many.is_in_order().await;
}
