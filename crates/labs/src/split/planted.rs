//! What the auditor finds: each wrong is planted into right books, and must be named.

use onsale_load_generator::Outcome;
use onsale_report::Table;

use super::audit;
use super::bed::Bed;
use super::teller::{Order, Teller, Way};
use super::{Part, Size};

/// A planted wrong: what it is, the statement in the sale's or the wallet's database, and a phrase of the finding.
struct Plant {
    name: &'static str,
    is_in_sale: bool,
    statement: &'static str,
    finding: &'static str,
}

const PLANTS: [Plant; 12] = [
    Plant {
        name: "a capture is lost",
        is_in_sale: false,
        statement: "DELETE FROM ledger WHERE payment = 1;
            UPDATE wallets SET balance = balance + 100, version = version - 1 WHERE buyer = 1;
            UPDATE reserves SET state = 'RELEASED' WHERE payment = 1",
        finding: "payments without exactly one debit",
    },
    Plant {
        name: "a payment is captured twice",
        is_in_sale: false,
        statement: "DROP INDEX ledger_by_payment; SELECT write_entry(1, 'USE', 1, -100)",
        finding: "payments without exactly one debit",
    },
    Plant {
        name: "a capture without a sale",
        is_in_sale: false,
        statement: "SELECT write_entry(1, 'USE', 99, -100)",
        finding: "buyers were debited without a sale",
    },
    Plant {
        name: "points stay set aside",
        is_in_sale: false,
        statement: "INSERT INTO reserves VALUES (99, 1, 100, 'RESERVED'); UPDATE wallets SET reserved = 100 WHERE buyer = 1",
        finding: "reserves do not match their payments",
    },
    Plant {
        name: "a balance without a ledger entry",
        is_in_sale: false,
        statement: "UPDATE wallets SET balance = balance + 1 WHERE buyer = 1",
        finding: "balances are not the sum of their ledger",
    },
    Plant {
        name: "a ledger entry changes",
        is_in_sale: false,
        statement: "UPDATE ledger SET amount = amount - 1 WHERE payment = 1",
        finding: "ledger entries do not follow",
    },
    Plant {
        name: "a seat is sold twice",
        is_in_sale: true,
        statement: "UPDATE reservations SET seats = ARRAY[1] WHERE reservation = 2",
        finding: "seats are sold twice",
    },
    Plant {
        name: "a payment is lost",
        is_in_sale: true,
        statement: "DELETE FROM payments WHERE payment = 1",
        finding: "acknowledged payments are lost",
    },
    Plant {
        name: "an event is lost",
        is_in_sale: true,
        statement: "DELETE FROM events WHERE payment = 1",
        finding: "payments and events do not match",
    },
    Plant {
        name: "a payment after the end of the hold",
        is_in_sale: true,
        statement: "UPDATE reservations SET held_until = held_until - interval '1 day' WHERE reservation = 1",
        finding: "payments after the end of the hold",
    },
    Plant {
        name: "a saga stands still",
        is_in_sale: true,
        statement: "SELECT hold(3, 1, 1, ARRAY[3], 100, 60000); SELECT begin_all(ARRAY[3]::bigint[], ARRAY[3]::bigint[], ARRAY[1])",
        finding: "sagas in flight",
    },
    Plant {
        name: "sums of a performance are wrong",
        is_in_sale: true,
        statement: "UPDATE performances SET sold = sold + 1",
        finding: "performances with wrong sums",
    },
];

/// Plants each wrong, and audits.
pub(crate) async fn table(bed: &Bed, _: Size) -> Outcome<Part> {
    let mut part = Part::default();
    let mut table = Table::new(["planted", "the audit finds"]);
    for plant in [None].into_iter().chain(PLANTS.iter().map(Some)) {
        let books = bed.reset(Way::Saga).await?;
        books.wallet.batch_execute("SELECT charge(1, 1000)").await?;
        books.sale.batch_execute("SELECT hold(n, 1, 1, ARRAY[n], 100, 60000) FROM generate_series(1, 2) AS n").await?;
        let mut teller = Teller::open(Way::Saga, &bed.places(Way::Saga), "split-planted").await;
        let order = |id| Order { payment: id, reservation: id, buyer: 1, amount: 100 };
        let paid = teller.pay(&[order(1), order(2)]).await?.paid;
        let client = if plant.is_some_and(|plant| plant.is_in_sale) { &books.sale } else { &books.wallet };
        client.batch_execute(plant.map_or("", |plant| plant.statement)).await?;
        let verdict = audit::audit(&books, &paid).await?.to_string();
        let (name, finding) = plant.map_or(("nothing", "holds"), |plant| (plant.name, plant.finding));
        if !verdict.contains(finding) || paid != [1, 2] {
            part.alarms.push(format!("planted: {name}, paid: {paid:?}, and the audit found: {verdict}"));
        }
        table.row([name, &verdict]);
    }
    part.text = format!("### What the audit finds\n\n{table}\n");
    Ok(part)
}
