//! One wallet, moved at several instances at once.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::{at_once, count, walk};

fn charge(sale: &Sale, user: &str, amount: i64) -> Call {
    sale.caller.patch(&format!("/point/{user}/charge")).json(&json!({"amount": amount}))
}

fn spend(sale: &Sale, user: &str, amount: i64) -> Call {
    sale.caller.patch(&format!("/point/{user}/use")).json(&json!({"amount": amount}))
}

async fn history(sale: &Sale, user: &str) -> Vec<Value> {
    walk(&format!("/point/{user}/histories?limit=200"), |page| sale.caller.get(page)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wallet_adds_up_over_all_instances() {
    let Some(many) = Many::start(3, &[]).await else { return };
    // The user is new: three instances create the wallet at once.
    let moves = (0..600).map(|number| {
        let sale = many.at(number);
        if number % 5 < 3 { charge(sale, "hot", 7) } else { spend(sale, "hot", 11) }
    });
    let replies = at_once(moves).await;
    let charged = replies.iter().zip(0..).filter(|(_, number)| number % 5 < 3);
    charged.for_each(|(reply, _)| drop(reply.expect(200)));
    let refused = count(&replies, 409, "insufficient-balance");
    let done = count(&replies, 200, "");
    assert_eq!(done + refused, 600);
    let spent = i64::try_from(done - 360).unwrap();
    let balance = 360 * 7 - spent * 11;

    let rows = history(many.at(0), "hot").await;
    assert_eq!(rows.len(), done);
    for sale in &many.sales {
        let shown = sale.caller.get("/point/hot").expect(200).await;
        assert_eq!((&shown["balance"], &shown["updatedAt"]), (&json!(balance), &rows[0]["createdAt"]));
        assert_eq!(history(sale, "hot").await, rows, "the same at every instance");
    }
    let mut sum = 0;
    for row in rows.iter().rev() {
        let amount = row["amount"].as_i64().unwrap();
        sum += if row["type"] == "CHARGE" { amount } else { -amount };
        assert_eq!(row["balanceAfter"], sum, "the chain is broken at {row}");
    }
    // Each answer is a link of that chain, and no two are the same.
    let mut returned: Vec<i64> = Vec::new();
    for (reply, row) in replies.iter().filter(|reply| reply.status == 200).map(|reply| (reply, reply.json())) {
        let link =
            rows.iter().find(|link| link["balanceAfter"] == row["balance"] && link["createdAt"] == row["updatedAt"]);
        assert!(link.is_some(), "{}: {row}", reply.call);
        returned.push(row["balance"].as_i64().unwrap());
    }
    let mut links: Vec<i64> = rows.iter().map(|row| row["balanceAfter"].as_i64().unwrap()).collect();
    returned.sort_unstable();
    links.sort_unstable();
    assert_eq!(returned, links);
    println!("360 charges and {spent} uses of one wallet at three instances, {refused} refused, balance {balance}");
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wallets_named_in_every_order_never_deadlock() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let calls = (0..1_200_usize).map(|number| {
        // Each instance walks through the same few wallets, from another end and in another step.
        let step = [1, 7, 11][number % 3];
        charge(many.at(number), &format!("user-{}", number / 3 * step % 12), 1)
    });
    let replies = at_once(calls).await;
    assert_eq!(count(&replies, 200, ""), 1_200);
    let mut sum = 0;
    for number in 0..12 {
        let shown = many.at(number).caller.get(&format!("/point/user-{number}")).expect(200).await;
        sum += shown["balance"].as_i64().unwrap();
    }
    assert_eq!(sum, 1_200);
    many.is_in_order().await;
}
