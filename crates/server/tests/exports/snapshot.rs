//! An export is of one instant, while the sale goes on.

use onsale_testing::postgres::shared;
use onsale_testing::{Sale, without};
use serde_json::json;

use crate::support::room::room;
use crate::support::{ONSALE, text};
use crate::{cells, csv_of};

/// Seats are bought in pairs. Each export has both seats of a pair or none, and no fewer pairs than the one before.
async fn pairs_stay_together(sale: &Sale) {
    let concert = sale.concert(&room(1_000)).await;
    let performance = sale.performance(&concert, &json!(200)).await;
    let buying = async {
        for number in 0..60_u32 {
            let user = format!("user-{number}");
            sale.charge(&user, 1_000_000).await;
            let token = sale.active(&concert, &user).await;
            let held = sale.hold(&token, &performance, &[number + 1, 200 - number]).await;
            let paid = sale.pay(&token, &held).expect(201).await;
            if number % 3 == 0 {
                let refund = format!("/admin/payments/{}/refunds", text(&paid["paymentId"]));
                sale.admin(sale.caller.post(&refund)).json(&json!({"reason": "r"})).expect(201).await;
            }
        }
    };
    let exporting = async {
        let mut exports = 0;
        loop {
            let rows = cells(&csv_of(sale, &performance).send().await);
            let seats: Vec<u32> = rows[1..].iter().map(|row| row[0].parse().unwrap()).collect();
            assert!(seats.is_sorted() && seats.len().is_multiple_of(2), "{seats:?}");
            assert!(seats.iter().all(|seat| seats.contains(&(201 - seat))), "half of a payment: {seats:?}");
            exports += 1;
            if seats.len() == 80 {
                return exports;
            }
        }
    };
    let ((), exports) = tokio::join!(buying, exporting);
    println!("{exports} exports");
    assert!(exports > 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_of_one_instant_on_sqlite() {
    pairs_stay_together(&Sale::start(&Sale::launch(ONSALE)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_of_one_instant_on_postgres() {
    if without("postgres") {
        return;
    }
    let database = shared().await.migrated(ONSALE).await;
    pairs_stay_together(&Sale::start(&Sale::launch(ONSALE).on(database.url())).await).await;
}
