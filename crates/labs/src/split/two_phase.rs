//! A payment as a two-phase commit over two databases.
//!
//! The wallet's part is prepared first, then the sale's: both databases lock wallets before performances, in all
//! transactions. If the parts ran in parallel, two payments could each hold what the other waits for, in different databases,
//! and no deadlock detector would see both.
//!
//! The commit of the sale's part is the decision. No other record of it is needed: see [`super::in_doubt`].

use std::time::Instant;

use onsale_testing::postgres::driver::types::ToSql;

use super::session::Failure;
use super::teller::{Columns, Decided, Order, Teller, picked};

/// Pays orders, all in one two-phase commit. If the sale refuses some, both parts are rolled back and run again without them.
pub(crate) async fn pay(teller: &mut Teller, orders: &[Order]) -> Result<Decided, Failure> {
    let mut left = orders.to_vec();
    while !left.is_empty() {
        let gid = teller.new_gid(&left);
        let columns = Columns::of(&left);
        let debit = "SELECT debit_all($1, $2, $3)";
        let values: [&(dyn ToSql + Sync); 3] = [&columns.payments, &columns.buyers, &columns.amounts];
        let answers = teller.wallet.words_prepared(&gid, debit, &values).await?;
        let debited = picked(&left, &answers, &["DEBITED"]);
        if debited.is_empty() {
            teller.wallet.command(&format!("ROLLBACK PREPARED '{gid}'")).await?;
            break;
        }
        teller.passed("wallet-prepared");
        let columns = Columns::of(&debited);
        let sell = "SELECT sell_all($1, $2, $3)";
        let values: [&(dyn ToSql + Sync); 3] = [&columns.payments, &columns.reservations, &columns.buyers];
        let answers = teller.sale.words_prepared(&gid, sell, &values).await?;
        let sold = picked(&debited, &answers, &["SOLD"]);
        if sold.len() == debited.len() {
            teller.passed("sale-prepared");
            return commit(teller, &gid, &sold).await;
        }
        // The wallet has debited a payment that the sale refused: neither part may commit.
        teller.sale.command(&format!("ROLLBACK PREPARED '{gid}'")).await?;
        teller.wallet.command(&format!("ROLLBACK PREPARED '{gid}'")).await?;
        left = sold;
    }
    Ok(Decided { paid: Vec::new(), at: Instant::now() })
}

async fn commit(teller: &mut Teller, gid: &str, sold: &[Order]) -> Result<Decided, Failure> {
    let commit = format!("COMMIT PREPARED '{gid}'");
    teller.sale.command(&commit).await?;
    let at = Instant::now();
    teller.passed("sale-committed");
    teller.wallet.command(&commit).await?;
    teller.passed("wallet-committed");
    Ok(Decided { paid: Columns::of(sold).payments, at })
}
