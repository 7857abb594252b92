//! Any free unit of many equal ones, such as any seat of a hall: here `SKIP LOCKED` and claims by a unique index fit, which
//! do not fit a single wallet.

use std::time::{Duration, Instant};

use onsale_load_generator::{Histogram, Outcome};
use onsale_testing::postgres::driver::Client;

use super::bed::Bed;
use super::harness::per;
use super::tables::Part;
use onsale_report::{Table, number};

/// Seats of the hall in the document.
pub(crate) const SEATS: u32 = 2_000;

/// Buyers at a time. Together they want twice as many seats as there are.
const BUYERS: u32 = 32;

/// A way to take any free seat: what it is called, and its statement. It returns the seat, or no row if none was found.
struct Way {
    name: &'static str,
    sql: &'static str,
}

const WAYS: [Way; 5] = [
    Way {
        name: "first free, conditional UPDATE",
        sql: "UPDATE seats SET buyer = $1 WHERE id = (SELECT id FROM seats WHERE buyer IS NULL ORDER BY id LIMIT 1)
            AND buyer IS NULL RETURNING id",
    },
    Way {
        name: "random free, conditional UPDATE",
        sql:
            "UPDATE seats SET buyer = $1 WHERE id = (SELECT id FROM seats WHERE buyer IS NULL ORDER BY random() LIMIT 1)
            AND buyer IS NULL RETURNING id",
    },
    Way {
        name: "first free, FOR UPDATE",
        sql: "UPDATE seats SET buyer = $1 WHERE id =
            (SELECT id FROM seats WHERE buyer IS NULL ORDER BY id LIMIT 1 FOR UPDATE) RETURNING id",
    },
    Way {
        name: "K first free, FOR UPDATE SKIP LOCKED",
        sql: "UPDATE seats SET buyer = $1 WHERE id =
            (SELECT id FROM seats WHERE buyer IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id",
    },
    Way {
        name: "random guess, unique insert",
        sql: "INSERT INTO claims (seat, buyer) VALUES (floor(random() * $2)::integer, $1)
            ON CONFLICT DO NOTHING RETURNING seat",
    },
];

/// What the buyers of one run saw.
#[derive(Default)]
struct Seen {
    sold: u64,
    /// Refused although seats were free when the answer came.
    refused_with_free: u64,
    times: Histogram,
}

/// Sells a hall of this many seats in each way.
pub(crate) async fn table(bed: &Bed, seats: u32) -> Outcome<Part> {
    let mut part = Part::default();
    let mut table = Table::new([
        "way",
        "sold",
        "seats/s",
        "refused while seats were free",
        "in percent of those attempts",
        "p99 ms",
        "verdict",
    ]);
    for way in &WAYS {
        let (seen, took, verdict) = sell(bed, way, seats).await?;
        if verdict != "holds" {
            part.alarms.push(format!("{}: {verdict}", way.name));
        }
        let attempts = seen.sold + seen.refused_with_free;
        #[expect(clippy::cast_precision_loss, reason = "counts of a short run are exact in a float")]
        let percent = per(seen.refused_with_free * 100, attempts.max(1) as f64);
        table.row([
            way.name.to_owned(),
            seen.sold.to_string(),
            number(per(seen.sold, took.as_secs_f64())),
            seen.refused_with_free.to_string(),
            number(percent),
            number(seen.times.permille(990).as_secs_f64() * 1e3),
            verdict,
        ]);
    }
    part.text =
        format!("### Any seat of a hall: {} seats, {BUYERS} buyers at a time\n\n{table}\n", number(f64::from(seats)));
    Ok(part)
}

async fn sell(bed: &Bed, way: &'static Way, seats: u32) -> Outcome<(Seen, Duration, String)> {
    let sql = bed.sql().await?;
    sql.batch_execute(&format!(
        "DROP TABLE IF EXISTS seats, claims;
         CREATE TABLE seats (id integer PRIMARY KEY, buyer bigint) WITH (fillfactor = 50);
         INSERT INTO seats SELECT id, NULL FROM generate_series(0, {seats} - 1) id;
         CREATE INDEX ON seats (id) WHERE buyer IS NULL;
         CREATE TABLE claims (seat integer PRIMARY KEY, buyer bigint NOT NULL)"
    ))
    .await?;
    sql.batch_execute("VACUUM ANALYZE seats").await?;
    let mut clients = Vec::new();
    for _ in 0..BUYERS {
        clients.push(bed.sql().await?);
    }
    let started = Instant::now();
    let mut buyers = Vec::new();
    for (number, client) in (0..).zip(clients) {
        buyers.push(tokio::spawn(buy(client, way, number, seats)));
    }
    let mut all = Seen::default();
    for buyer in buyers {
        let seen = buyer.await??;
        all.sold += seen.sold;
        all.refused_with_free += seen.refused_with_free;
        all.times.merge(&seen.times);
    }
    let took = started.elapsed();
    let taken = "SELECT (SELECT count(*) FROM seats WHERE buyer IS NOT NULL) + (SELECT count(*) FROM claims)";
    let taken: i64 = sql.query_one(taken, &[]).await?.get(0);
    let verdict = match u64::try_from(taken)? {
        taken if taken == all.sold => "holds".to_owned(),
        taken => format!("{} buyers got a seat, {taken} seats are taken", all.sold),
    };
    Ok((all, took, verdict))
}

/// One buyer after another on one connection, each for one seat.
async fn buy(sql: Client, way: &Way, number: u32, hall: u32) -> Outcome<Seen> {
    let take = sql.prepare(way.sql).await?;
    let free = "SELECT (SELECT count(*) FROM seats WHERE buyer IS NULL) - (SELECT count(*) FROM claims)";
    let free = sql.prepare(free).await?;
    let (mut seen, seats) = (Seen::default(), f64::from(hall));
    for attempt in 0..2 * hall / BUYERS {
        let buyer = i64::from(number * 2 * hall + attempt);
        let began = Instant::now();
        let rows = match take.params().len() {
            1 => sql.query(&take, &[&buyer]).await?,
            _ => sql.query(&take, &[&buyer, &seats]).await?,
        };
        seen.times.add(began.elapsed());
        if rows.is_empty() {
            let left: i64 = sql.query_one(&free, &[]).await?.get(0);
            seen.refused_with_free += u64::from(left > 0);
        } else {
            seen.sold += 1;
        }
    }
    Ok(seen)
}
