//! Compares the places in which an answer can be kept, and shows what happens if many clients miss it at the same time.

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use onsale_load_generator::{Histogram, Outcome};
use onsale_report::{Table, number};
use onsale_testing::Sale;
use onsale_testing::postgres::driver::{Client, Statement};
use onsale_testing::redis::{Keeps, Redis};
use redis::AsyncCommands;
use redis::aio::ConnectionManager;
use serde_json::json;
use tokio::task::JoinSet;

use super::counted::{self, Names};
use super::source;
use super::stage::Stage;
use super::{Part, Size};

/// Readers that read at the same time, without a pause.
const READERS: usize = 64;

/// Connections to Postgres, as an instance has by default (`ONSALE_DATABASE_READERS`).
const CONNECTIONS: usize = 2;

/// The statement that a seat map is made of.
const SEATS: &str = "concert_reads::SEATS";

/// A place in which the list of seats is kept.
#[derive(Clone)]
enum Kept {
    Process(Arc<RwLock<Arc<[u8]>>>),
    Redis(ConnectionManager),
    Postgres(Arc<Client>, Statement),
}

impl Kept {
    /// Reads it once. From Postgres only the rows: the JSON is still to be written.
    async fn read(&mut self) -> Outcome<usize> {
        match self {
            Self::Process(list) => Ok(list.read().map_err(|_| "a reader has failed")?.clone().len()),
            Self::Redis(redis) => {
                let list: Vec<u8> = redis.get("seats").await?;
                Ok(list.len())
            }
            Self::Postgres(sql, seats) => {
                // The performance is part of the text, so that no library for ids is needed here.
                Ok(sql.query(seats, &[]).await?.len())
            }
        }
    }
}

/// Reads over and over.
async fn saturate(kept: &[Kept], seconds: f64) -> Outcome<(f64, Histogram)> {
    let (began, end) = (Instant::now(), Instant::now() + Duration::from_secs_f64(seconds));
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        let mut kept = kept[number % kept.len()].clone();
        readers.spawn(async move {
            let (mut times, mut sent) = (Histogram::default(), Instant::now());
            while sent < end {
                kept.read().await?;
                let answered = Instant::now();
                times.add(answered - sent);
                sent = answered;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(times)
        });
    }
    let mut all = Histogram::default();
    while let Some(times) = readers.join_next().await {
        all.merge(&times??);
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of a short run are exact in a float")]
    let total = all.total() as f64;
    Ok((total / began.elapsed().as_secs_f64(), all))
}

/// A performance with seats, and a token with a turn.
struct Hall {
    path: String,
    token: String,
    performance: String,
}

async fn hall(sale: &Sale) -> Hall {
    let concert = sale.concert(&json!({})).await;
    let performance = sale.performance_at(&concert, &json!(null), 86_400).await;
    let token = sale.active(&concert, "ada").await;
    sale.hold(&token, &performance, &[1, 2, 3]).await;
    let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(&token).expect(200).await;
    let date = dates[0]["date"].as_str().unwrap_or_default();
    Hall { path: format!("/concerts/{concert}/seats?date={date}"), token, performance }
}

/// The list of seats in the process, in Redis and in Postgres.
async fn places(stage: &Stage, hall: &Hall, sale: &Sale, seconds: f64) -> Outcome<Table> {
    let list = sale.caller.get(&hall.path).token(&hall.token).send().await.unpacked();
    let redis = Redis::start(Keeps::Nothing).await;
    let mut manager = ConnectionManager::new(redis::Client::open(redis.url())?).await?;
    let _: () = manager.set("seats", &list[..]).await?;
    let statements = source::statements("postgres")?;
    let text = source::named(&statements, SEATS)?.text.replace("$1", &format!("'{}'", hall.performance));
    let mut sessions = Vec::new();
    for _ in 0..CONNECTIONS {
        let sql = stage.session().await;
        let seats = sql.prepare(&text).await?;
        sessions.push(Kept::Postgres(Arc::new(sql), seats));
    }
    let mut table = Table::new(["the seats of a performance", "reads/s", "p50 ms", "p99 ms"]);
    for (name, kept) in [
        ("in the process", vec![Kept::Process(Arc::new(RwLock::new(list[..].into())))]),
        ("in Redis, over loopback", vec![Kept::Redis(manager)]),
        ("in Postgres, as rows, over loopback", sessions),
    ] {
        let (rate, times) = saturate(&kept, seconds).await?;
        let millis = |permille| format!("{:.4}", times.millis(permille));
        table.row([name.to_owned(), number(rate), millis(500), millis(990)]);
    }
    Ok(table)
}

/// Many clients read the seats at the same moment from an instance that has no map of them. Returns a row of the table.
async fn stampede(stage: &Stage, names: &Names<'_>, clients: usize, is_cached: bool) -> Outcome<[String; 5]> {
    // An instance that sells has a map of the seats; another one has yet to read them.
    let seller = stage.instance(&[]).await;
    let hall = hall(&seller).await;
    let reader = stage.instance(&[("ONSALE_CACHES", &is_cached.to_string())]).await;
    counted::reset(&stage.counters().await).await?;
    let mut reading = JoinSet::new();
    let began = Instant::now();
    for _ in 0..clients {
        let call = reader.caller.get(&hall.path).token(&hall.token);
        reading.spawn(async move {
            let reply = call.send().await;
            (reply.status.as_u16(), began.elapsed())
        });
    }
    let (mut times, mut well) = (Histogram::default(), 0);
    while let Some(read) = reading.join_next().await {
        let (status, time) = read?;
        times.add(time);
        well += usize::from(status == 200);
    }
    let joined = counted::join(&counted::read(&stage.counters().await).await?, names);
    let queries = joined.by_name.get(SEATS).map_or(0.0, |of| of.calls);
    reader.instance.terminate().await;
    seller.instance.terminate().await;
    let name = if is_cached { "with a cache and single flight" } else { "without (`ONSALE_CACHES=false`)" };
    let millis = |permille| format!("{:.1}", times.millis(permille));
    Ok([name.to_owned(), format!("{well} of {clients}"), format!("{queries:.0}"), millis(500), millis(1_000)])
}

/// Measures both.
///
/// # Errors
/// If a server or the program fails.
pub(crate) async fn part(stage: &Stage, size: &Size) -> Outcome<Part> {
    let statements = source::statements("postgres")?;
    let sql = stage.session().await;
    let names = Names::of(&sql, &statements).await?;
    let sale = stage.instance(&[]).await;
    let hall = hall(&sale).await;
    let places = places(stage, &hall, &sale, size.seconds).await?;
    sale.instance.terminate().await;
    let head = ["clients that miss at the same time", "answered", "queries", "median ms", "slowest ms"];
    let mut stampedes = Table::new(head);
    for is_cached in [false, true] {
        stampedes.row(stampede(stage, &names, size.clients, is_cached).await?);
    }
    let text = format!(
        "The list of seats of one performance, kept in three places: {READERS} readers without a pause, one process, Postgres over {CONNECTIONS} connections.\n\n\
        {places}\nA stampede: clients request the seats of one performance in the same moment, from an instance that has not\n\
        read them yet. Queries: how often the server ran `{SEATS}`.\n\n{stampedes}\n"
    );
    Ok(Part { text, ..Part::default() })
}
