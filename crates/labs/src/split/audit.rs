//! The auditor: reads all rows of both databases and judges them. It shares no code with the ways, and trusts no
//! constraint.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use onsale_load_generator::{Histogram, Outcome};

use super::bed::Books;

/// What is wrong, in words; empty if all is right.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) wrong: Vec<String>,
    /// Number of payments that succeeded.
    pub(crate) paid: usize,
    /// For each payment, how long only one database showed it. Zero if both changed in one transaction.
    pub(crate) apart: Histogram,
    /// Ledger entries that took points and gave them back, for payments that did not succeed.
    pub(crate) refunds: usize,
}

impl Verdict {
    /// Whether the books are right.
    pub(crate) fn holds(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Notes findings of one kind: how many there are, with the first as an example.
    fn found(&mut self, what: &str, mut findings: Vec<String>) {
        findings.sort();
        if let Some(first) = findings.first() {
            self.wrong.push(format!("{} {what} (such as {first})", findings.len()));
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.holds() { f.write_str("holds") } else { f.write_str(&self.wrong.join("; ")) }
    }
}

struct Reservation {
    buyer: i32,
    performance: i32,
    seats: Vec<i32>,
    amount: i64,
    state: String,
    payment: Option<i64>,
}

struct Payment {
    payment: i64,
    reservation: i64,
    buyer: i32,
    amount: i64,
    /// Whether it was paid before the hold was over.
    is_in_time: bool,
    /// Commit time of its row, in microseconds.
    at: i64,
}

struct Entry {
    buyer: i32,
    version: i64,
    kind: String,
    payment: Option<i64>,
    amount: i64,
    balance_after: i64,
    /// Commit time, in microseconds.
    at: i64,
}

/// The reservations and payments of the sale.
struct Sale {
    reservations: BTreeMap<i64, Reservation>,
    payments: Vec<Payment>,
}

/// Judges the books at rest: no payment is in flight. `acknowledged`: payments that a client saw succeed.
pub(crate) async fn audit(books: &Books, acknowledged: &[i64]) -> Outcome<Verdict> {
    let mut verdict = Verdict::default();
    let sale = read_sale(books).await?;
    let ledger = read_ledger(books).await?;
    verdict.paid = sale.payments.len();
    in_flight(books, &mut verdict).await?;
    payments(&sale, acknowledged, &mut verdict);
    seats(books, &sale, &mut verdict).await?;
    events(books, &sale, &mut verdict).await?;
    wallets(books, &ledger, &mut verdict).await?;
    debits(&sale, &ledger, &mut verdict);
    reserves(books, &sale, &mut verdict).await?;
    let charged: i64 = ledger.iter().filter(|entry| entry.kind == "CHARGE").map(|entry| entry.amount).sum();
    let balances: i64 =
        books.wallet.query_one("SELECT coalesce(sum(balance), 0)::bigint FROM wallets", &[]).await?.get(0);
    let revenue: i64 = sale.payments.iter().map(|payment| payment.amount).sum();
    if charged != balances + revenue {
        let lost = charged - balances - revenue;
        verdict.wrong.push(format!("money is not conserved: {lost:+} points have left the wallets without a sale"));
    }
    Ok(verdict)
}

async fn read_sale(books: &Books) -> Outcome<Sale> {
    let rows = books
        .sale
        .query("SELECT reservation, buyer, performance, seats, amount, state, payment FROM reservations", &[])
        .await?;
    let reservation = |row: &onsale_testing::postgres::driver::Row| Reservation {
        buyer: row.get(1),
        performance: row.get(2),
        seats: row.get(3),
        amount: row.get(4),
        state: row.get(5),
        payment: row.get(6),
    };
    let reservations = rows.iter().map(|row| (row.get(0), reservation(row))).collect();
    let read = "SELECT payment, reservation, payments.buyer, payments.amount,
            coalesce(paid_at < (SELECT held_until FROM reservations held WHERE held.reservation = payments.reservation), false),
            (extract(epoch FROM pg_xact_commit_timestamp(payments.xmin)) * 1000000)::bigint
        FROM payments";
    let payment = |row: &onsale_testing::postgres::driver::Row| Payment {
        payment: row.get(0),
        reservation: row.get(1),
        buyer: row.get(2),
        amount: row.get(3),
        is_in_time: row.get(4),
        at: row.get(5),
    };
    let payments = books.sale.query(read, &[]).await?.iter().map(payment).collect();
    Ok(Sale { reservations, payments })
}

async fn read_ledger(books: &Books) -> Outcome<Vec<Entry>> {
    let read = "SELECT buyer, version, kind, payment, amount, balance_after,
            (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint
        FROM ledger ORDER BY buyer, version";
    let rows = books.wallet.query(read, &[]).await?;
    let entry = |row: &onsale_testing::postgres::driver::Row| Entry {
        buyer: row.get(0),
        version: row.get(1),
        kind: row.get(2),
        payment: row.get(3),
        amount: row.get(4),
        balance_after: row.get(5),
        at: row.get(6),
    };
    Ok(rows.iter().map(entry).collect())
}

/// Nothing is half done: no saga, no lock of a saga, no prepared transaction.
async fn in_flight(books: &Books, verdict: &mut Verdict) -> Outcome<()> {
    let prepared = "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()";
    let mut counts = vec![
        ("sagas in flight", books.sale.query_one("SELECT count(*) FROM sagas", &[]).await?),
        (
            "reservations being paid",
            books.sale.query_one("SELECT count(*) FROM reservations WHERE state = 'PAYING'", &[]).await?,
        ),
        ("prepared transactions in the sale's database", books.sale.query_one(prepared, &[]).await?),
    ];
    if books.is_split {
        counts.push(("prepared transactions in the wallet's database", books.wallet.query_one(prepared, &[]).await?));
    }
    for (what, row) in counts {
        let count: i64 = row.get(0);
        if count > 0 {
            verdict.wrong.push(format!("{count} {what}"));
        }
    }
    Ok(())
}

/// Each paid reservation has its payment, and each payment its paid reservation.
fn payments(sale: &Sale, acknowledged: &[i64], verdict: &mut Verdict) {
    let known: HashMap<i64, &Payment> = sale.payments.iter().map(|payment| (payment.payment, payment)).collect();
    let paid = sale.reservations.iter().filter(|(_, reservation)| reservation.state == "PAID");
    let without = paid.filter(|(id, reservation)| {
        let payment = reservation.payment.and_then(|payment| known.get(&payment));
        payment.is_none_or(|payment| {
            payment.reservation != **id || payment.amount != reservation.amount || payment.buyer != reservation.buyer
        })
    });
    verdict
        .found("paid reservations without their payment", without.map(|(id, _)| format!("reservation {id}")).collect());
    let others = sale.payments.iter().filter(|payment| {
        let reservation = sale.reservations.get(&payment.reservation);
        reservation
            .is_none_or(|reservation| reservation.state != "PAID" || reservation.payment != Some(payment.payment))
    });
    verdict.found(
        "payments without a paid reservation",
        others.map(|payment| format!("payment {}", payment.payment)).collect(),
    );
    let late = sale.payments.iter().filter(|payment| !payment.is_in_time);
    verdict.found(
        "payments after the end of the hold",
        late.map(|payment| format!("payment {}", payment.payment)).collect(),
    );
    let lost = acknowledged.iter().filter(|payment| !known.contains_key(payment));
    verdict.found("acknowledged payments are lost", lost.map(|payment| format!("payment {payment}")).collect());
}

/// No seat is sold twice, and what is sold is what was paid.
async fn seats(books: &Books, sale: &Sale, verdict: &mut Verdict) -> Outcome<()> {
    let (mut owners, mut twice) = (BTreeMap::new(), Vec::new());
    let mut sums: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
    for (id, reservation) in sale.reservations.iter().filter(|(_, reservation)| reservation.state == "PAID") {
        let (sold, revenue) = sums.entry(reservation.performance).or_default();
        *sold += i64::try_from(reservation.seats.len())?;
        *revenue += reservation.amount;
        for seat in &reservation.seats {
            if let Some(other) = owners.insert((reservation.performance, *seat), *id) {
                twice.push(format!(
                    "seat {seat} of performance {}: reservations {other} and {id}",
                    reservation.performance
                ));
            }
        }
    }
    verdict.found("seats are sold twice", twice);
    let rows = books.sale.query("SELECT performance, seat, reservation FROM seats WHERE sold", &[]).await?;
    let sold: BTreeMap<(i32, i32), i64> = rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect();
    if sold != owners {
        let (rows, paid) = (sold.len(), owners.len());
        verdict.wrong.push(format!("{rows} seats are marked as sold, {paid} are paid, and they are not the same"));
    }
    let rows = books.sale.query("SELECT performance, sold, revenue FROM performances", &[]).await?;
    let wrong =
        rows.iter().filter(|row| sums.get(&row.get(0)).copied().unwrap_or_default() != (row.get(1), row.get(2)));
    verdict.found(
        "performances with wrong sums",
        wrong.map(|row| format!("performance {}", row.get::<_, i32>(0))).collect(),
    );
    Ok(())
}

/// Each payment has one event, and each event its payment.
async fn events(books: &Books, sale: &Sale, verdict: &mut Verdict) -> Outcome<()> {
    let rows = books.sale.query("SELECT payment FROM events", &[]).await?;
    let events: BTreeSet<i64> = rows.iter().map(|row| row.get(0)).collect();
    let payments: BTreeSet<i64> = sale.payments.iter().map(|payment| payment.payment).collect();
    let differ = events.symmetric_difference(&payments).map(|payment| format!("payment {payment}"));
    verdict.found("payments and events do not match", differ.collect());
    Ok(())
}

/// Each balance is the sum of its ledger, in an unbroken chain, and never below zero.
async fn wallets(books: &Books, ledger: &[Entry], verdict: &mut Verdict) -> Outcome<()> {
    let mut sums: HashMap<i32, (i64, i64)> = HashMap::new();
    let mut broken = Vec::new();
    for entry in ledger {
        let (sum, version) = sums.entry(entry.buyer).or_default();
        (*sum, *version) = (*sum + entry.amount, *version + 1);
        if entry.balance_after != *sum || entry.version != *version || *sum < 0 {
            broken.push(format!("buyer {}, version {}", entry.buyer, entry.version));
        }
    }
    verdict.found("ledger entries do not follow from the one before", broken);
    let rows = books.wallet.query("SELECT buyer, balance, version FROM wallets", &[]).await?;
    let wrong =
        rows.iter().filter(|row| sums.get(&row.get(0)).copied().unwrap_or_default() != (row.get(1), row.get(2)));
    verdict.found(
        "balances are not the sum of their ledger",
        wrong.map(|row| format!("buyer {}", row.get::<_, i32>(0))).collect(),
    );
    Ok(())
}

/// Each payment has exactly one debit of its amount from its buyer, and nothing else was taken.
fn debits(sale: &Sale, ledger: &[Entry], verdict: &mut Verdict) {
    let mut taken: HashMap<i64, Vec<&Entry>> = HashMap::new();
    for entry in ledger {
        if let Some(payment) = entry.payment {
            taken.entry(payment).or_default().push(entry);
        }
    }
    let mut without = Vec::new();
    for payment in &sale.payments {
        match taken.remove(&payment.payment).as_deref() {
            Some([entry]) if entry.kind == "USE" && entry.amount == -payment.amount && entry.buyer == payment.buyer => {
                verdict.apart.add(std::time::Duration::from_micros(entry.at.abs_diff(payment.at)));
            }
            _ => without.push(format!("payment {}", payment.payment)),
        }
    }
    verdict.found("payments without exactly one debit", without);
    let net = |entries: &[&Entry]| entries.iter().map(|entry| entry.amount).sum::<i64>();
    let kept = taken.iter().filter(|(_, entries)| net(entries) != 0);
    verdict.found(
        "buyers were debited without a sale",
        kept.map(|(payment, entries)| format!("payment {payment}: {:+} points", net(entries))).collect(),
    );
    verdict.refunds = taken.values().filter(|entries| net(entries) == 0).map(Vec::len).sum();
}

/// Each paid reserve is captured, no other is, and no points are left set aside.
async fn reserves(books: &Books, sale: &Sale, verdict: &mut Verdict) -> Outcome<()> {
    let rows = books.wallet.query("SELECT payment, state FROM reserves", &[]).await?;
    let paid: BTreeSet<i64> = sale.payments.iter().map(|payment| payment.payment).collect();
    let wrong = rows.iter().filter(|row| {
        let state: String = row.get(1);
        state == "RESERVED" || (state == "CAPTURED") != paid.contains(&row.get::<_, i64>(0))
    });
    verdict.found(
        "reserves do not match their payments",
        wrong.map(|row| format!("payment {}: {}", row.get::<_, i64>(0), row.get::<_, String>(1))).collect(),
    );
    let aside: i64 =
        books.wallet.query_one("SELECT coalesce(sum(reserved), 0)::bigint FROM wallets", &[]).await?.get(0);
    if aside != 0 {
        verdict.wrong.push(format!("{aside} points are set aside for no payment"));
    }
    Ok(())
}
