//! A payment as a saga over two databases: reserve, pivot, capture.
//!
//! | step | database | what | kind |
//! | --- | --- | --- | --- |
//! | 1 | sale | the reservation is being paid (`PAYING`): a lock that outlives transactions | compensatable |
//! | 2 | wallet | points are reserved | compensatable |
//! | 3 | sale | seats are sold | pivot |
//! | 4 | wallet | points are taken | retriable |
//!
//! Each step is one transaction, and each may be repeated by any process at any time. So recovery needs no list of what a
//! crashed process did, and no proof that it is gone.

use std::time::Instant;

use super::session::Failure;
use super::teller::{Columns, Decided, Order, Teller, picked, those};

/// What a resume found, by the step that was next.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resumed {
    pub(crate) reserve: u64,
    pub(crate) capture: u64,
    pub(crate) release: u64,
}

impl Resumed {
    pub(crate) fn total(self) -> u64 {
        self.reserve + self.capture + self.release
    }
}

pub(crate) async fn pay(teller: &mut Teller, orders: &[Order]) -> Result<Decided, Failure> {
    let columns = Columns::of(orders);
    let answers = teller
        .sale
        .words("SELECT begin_all($1, $2, $3)", &[&columns.payments, &columns.reservations, &columns.buyers])
        .await?;
    let begun = picked(orders, &answers, &["PAYING", "PAID"]);
    if begun.is_empty() {
        return Ok(Decided { paid: Vec::new(), at: Instant::now() });
    }
    teller.passed("begun");
    advance(teller, &begun).await
}

/// Steps 2 to 4 of sagas that have begun.
async fn advance(teller: &mut Teller, orders: &[Order]) -> Result<Decided, Failure> {
    if orders.is_empty() {
        return Ok(Decided { paid: Vec::new(), at: Instant::now() });
    }
    let columns = Columns::of(orders);
    let answers = teller
        .wallet
        .words("SELECT reserve_all($1, $2, $3)", &[&columns.payments, &columns.buyers, &columns.amounts])
        .await?;
    // RELEASED: the saga was given up while this message was under way.
    let refused = those(orders, &answers, &["REFUSED", "RELEASED"]);
    if !refused.payments.is_empty() {
        teller.sale.rows("SELECT give_up_all($1, true)", &[&refused.payments]).await?;
    }
    let reserved = picked(orders, &answers, &["RESERVED", "CAPTURED"]);
    let payments = Columns::of(&reserved).payments;
    if payments.is_empty() {
        return Ok(Decided { paid: Vec::new(), at: Instant::now() });
    }
    teller.passed("reserved");
    let answers = teller.sale.words("SELECT pivot_all($1)", &[&payments]).await?;
    let at = Instant::now();
    let paid = picked(&reserved, &answers, &["PAID"]);
    if !paid.is_empty() {
        teller.passed("sold");
    }
    capture(teller, &paid).await?;
    release(teller, &picked(&reserved, &answers, &["LATE", "GIVEN UP", "NOT HELD"])).await?;
    Ok(Decided { paid: Columns::of(&paid).payments, at })
}

async fn capture(teller: &mut Teller, orders: &[Order]) -> Result<(), Failure> {
    if orders.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(orders);
    let answers = teller.wallet.words("SELECT capture_all($1, $2)", &[&columns.payments, &columns.buyers]).await?;
    if let Some(answer) = answers.iter().find(|answer| *answer != "CAPTURED") {
        return Err(Failure(format!("a paid reserve is {answer}")));
    }
    teller.passed("captured");
    finish(teller, &columns.payments).await
}

async fn release(teller: &mut Teller, orders: &[Order]) -> Result<(), Failure> {
    if orders.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(orders);
    teller
        .wallet
        .words("SELECT release_all($1, $2, $3)", &[&columns.payments, &columns.buyers, &columns.amounts])
        .await?;
    finish(teller, &columns.payments).await
}

async fn finish(teller: &mut Teller, payments: &[i64]) -> Result<(), Failure> {
    teller.sale.rows("SELECT finish_all($1)", &[&payments]).await?;
    Ok(())
}

/// Continues sagas that no process has moved for this long, or that have a payment below `before`.
pub(crate) async fn resume(teller: &mut Teller, idle_millis: i32, before: i64) -> Result<Resumed, Failure> {
    let stuck = "SELECT payment, reservation, buyer, amount, step FROM sagas
        WHERE changed_at < clock_timestamp() - $1 * interval '1 ms' OR payment < $2 ORDER BY payment LIMIT 200";
    let rows = teller.sale.rows(stuck, &[&f64::from(idle_millis), &before]).await?;
    let of = |step: &str| -> Vec<Order> {
        let own = rows.iter().filter(|row| row.get::<_, String>(4) == step);
        own.map(|row| Order { payment: row.get(0), reservation: row.get(1), buyer: row.get(2), amount: row.get(3) })
            .collect()
    };
    let (reserve, to_capture, to_release) = (of("RESERVE"), of("CAPTURE"), of("RELEASE"));
    capture(teller, &to_capture).await?;
    release(teller, &to_release).await?;
    advance(teller, &reserve).await?;
    let count = |orders: &[Order]| orders.len() as u64;
    Ok(Resumed { reserve: count(&reserve), capture: count(&to_capture), release: count(&to_release) })
}

/// Ends holds whose time is over, and sagas before their pivot with them. Needs the sale's database only.
pub(crate) async fn sweep(teller: &mut Teller) -> Result<(), Failure> {
    if teller.way == super::teller::Way::Saga {
        teller.sale.rows("SELECT give_up_overdue()", &[]).await?;
    }
    for _ in 0..50 {
        let rows = teller.sale.rows("SELECT sweep()", &[]).await?;
        if rows.first().is_none_or(|row| row.get::<_, i32>(0) == 0) {
            break;
        }
    }
    Ok(())
}
