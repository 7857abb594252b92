//! A running sale: all its parts but HTTP. The only module that picks adapters and connects the parts.

mod background;
mod databases;
mod sinks;
mod totals;

use std::sync::Arc;

use onsale_adapters::copy::CopyError;
use onsale_adapters::kafka::KafkaSink;
use onsale_adapters::redis::RedisPlaces;
use onsale_adapters::{postgres, sqlite};
use onsale_app::canceller::CancellerWake;
use onsale_app::catalogue::Catalogue;
use onsale_app::conditions::Conditions;
use onsale_app::desk::{self, Desk, Terms};
use onsale_app::emptier::EmptierWaker;
use onsale_app::live::{Live, Sources};
use onsale_app::relay::RelayWaker;
use onsale_app::sessions::SessionEnds;
use onsale_app::staff::StaffKeys;
use onsale_app::store::{Reader, Store, StoreError};
use onsale_app::timetable::Timetable;
use onsale_app::waiting_room::Rooms;
use onsale_app::waiting_room::home::{DatabaseHome, Home, PlaceMemory, RedisHome};
use onsale_app::watch::DatabaseWatch;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::{SeatFeeds, SeatMaps};
use crate::settings::Settings;

pub(crate) use databases::{
    audit_source, copy_source, copy_target, migrate, open_reader, outbox, replay_events, retry_dead_events,
};
pub(crate) use sinks::{kafka_sink, platform_sink};
pub(crate) use totals::register_totals;

use databases::{lanes, open_store};

/// Why a sale cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaleError {
    /// The SQLite file cannot be opened.
    #[error("{path}: {source}")]
    File { path: String, source: sqlite::OpenError },
    /// Postgres cannot be opened. The URL has no password.
    #[error("{url}: {source}")]
    Server { url: String, source: postgres::OpenError },
    /// The database cannot be copied.
    #[error("{url}: {source}")]
    Copy { url: String, source: CopyError },
    /// The database failed after it was opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The client of Kafka or of the data platform cannot be created.
    #[error("failed to create a client: {0}")]
    Client(String),
    /// The system refused a thread.
    #[error("failed to start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// All parts of a sale but HTTP.
pub(crate) struct Sale {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) home: Arc<dyn Home>,
    /// The place memory, if Redis hands out places.
    pub(crate) memory: Option<Arc<dyn PlaceMemory>>,
    pub(crate) seat_maps: Arc<SeatMaps>,
    /// The halls that clients listen to.
    pub(crate) seat_feeds: Arc<SeatFeeds>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) timetable: Arc<Timetable>,
    /// Wakes the task that cancels applications of cancelled lectures.
    pub(crate) emptier: EmptierWaker,
    /// Live figures for staff.
    pub(crate) live: Arc<Live>,
    /// The keys of staff.
    pub(crate) staff: Arc<StaffKeys>,
    /// The ended sessions of users, if the pages sign in.
    pub(crate) session_ends: Option<Arc<SessionEnds>>,
    /// The brokers that receive events; `None`: events stay in the database.
    kafka: Option<Arc<KafkaSink>>,
    /// Which parts are degraded, as the background tasks last found.
    pub(crate) conditions: Arc<Conditions>,
    /// Whether the database answers and accepts writes.
    pub(crate) database: Arc<DatabaseWatch>,
    /// Wakes the relay after a commit with events.
    waker: Arc<RelayWaker>,
    /// Wakes the task that settles cancelled performances.
    cancelled: Arc<CancellerWake>,
    /// The background tasks; `close` waits for them.
    tasks: TaskTracker,
    /// Stops the background tasks; `close` cancels it.
    stop: CancellationToken,
}

/// Registers the counters of what this instance admits, and of what it reads again.
fn register_reads(registry: &mut Registry, [admitted, seat_maps, catalogue, timetable]: [&Counter; 4]) {
    let help = "Visitors admitted by this instance, over all rooms";
    registry.register("waiting_room_admitted", help, admitted.clone());
    let help = "Database reads of seat maps; requests answered from memory do not count";
    registry.register("seat_map_reads", help, seat_maps.clone());
    let help = "Database reads of concerts and dates; requests answered from memory do not count";
    registry.register("catalogue_reads", help, catalogue.clone());
    let help = "Database reads of the list of lectures; requests answered from memory do not count";
    registry.register("lecture_list_reads", help, timetable.clone());
}

/// Opens the desk with this number of lanes, each with a connection of its own.
async fn open_desk(store: &Arc<dyn Store>, lanes: u32, terms: &Terms) -> Result<Desk, SaleError> {
    let mut writers = Vec::new();
    for _ in 0..lanes {
        writers.push(store.writer().await?);
    }
    Ok(Desk::open(writers, terms)?)
}

/// Redis hands out places if there is a place memory, else the database.
fn home(memory: Option<&Arc<dyn PlaceMemory>>, desk: &Arc<Desk>, rooms: &Arc<Rooms>) -> Arc<dyn Home> {
    match memory {
        Some(memory) => Arc::new(RedisHome::new(memory.clone(), desk.clone(), rooms.clone())),
        None => Arc::new(DatabaseHome::new(desk.clone(), rooms.clone())),
    }
}

/// The ended sessions of users, if the pages sign in.
async fn session_ends(settings: &Settings, reader: &Arc<dyn Reader>) -> Result<Option<Arc<SessionEnds>>, StoreError> {
    match settings.auth.provider() {
        Some(_) => Ok(Some(Arc::new(SessionEnds::load(reader.clone()).await?))),
        None => Ok(None),
    }
}

impl Sale {
    /// Opens the database, reads the catalogue and the waiting rooms into memory, and opens the desk.
    ///
    /// # Errors
    /// The first part that cannot be opened. A failed start creates no database file, unless the new file cannot be read.
    pub(crate) async fn open(settings: &Settings, registry: &mut Registry) -> Result<Self, SaleError> {
        // Kafka first: it fails because of a setting, and then no database file was created.
        let kafka = kafka_sink(settings)?;
        let conditions = Arc::new(Conditions::default());
        conditions.register(registry);
        let store = open_store(settings).await?;
        store.report_to(&conditions, settings.disk_reserve_mib);
        let (reader, news, board) = (store.reader(), store.news(), store.board());
        let catalogue =
            Catalogue::load(reader.clone(), news.clone(), settings.calendar.clone(), settings.caches).await?;
        let catalogue = Arc::new(catalogue);
        let rooms = Arc::new(Rooms::load(reader.clone(), news.clone(), settings.polls_per_second).await?);
        let seat_maps = Arc::new(SeatMaps::new(reader.clone(), news.clone(), settings.caches));
        let seat_feeds = Arc::new(SeatFeeds::new(seat_maps.clone(), catalogue.clone(), reader.clone()));
        let timetable = Arc::new(Timetable::new(reader.clone(), news, settings.caches));
        let metrics = Arc::new(desk::Metrics::default());
        metrics.register(registry);
        store.register(registry);
        rooms.estimates.register(registry);
        register_reads(registry, [&rooms.admitted, &seat_maps.reads, &catalogue.reads, &timetable.reads]);
        let (waker, cancelled) = (Arc::new(RelayWaker::default()), Arc::new(CancellerWake::default()));
        let sources = Sources { reader: reader.clone(), rooms: rooms.clone(), catalogue: catalogue.clone(), board };
        let live = Arc::new(Live::new(sources));
        let terms = Terms {
            hold_seconds: settings.hold_seconds,
            kept_per_user_max: settings.keys_per_user,
            observers: vec![
                catalogue.clone(),
                timetable.clone(),
                rooms.clone(),
                seat_maps.clone(),
                live.observer(),
                waker.clone(),
                cancelled.clone(),
            ],
            metrics,
        };
        let desk = Arc::new(open_desk(&store, lanes(settings), &terms).await?);
        let memory = settings.redis.as_ref().map(|url| Arc::new(RedisPlaces::new(url)) as Arc<dyn PlaceMemory>);
        let home = home(memory.as_ref(), &desk, &rooms);
        let staff = Arc::new(StaffKeys::load(reader.clone()).await?);
        let database = Arc::new(DatabaseWatch::new(reader.clone(), desk.clone(), conditions.clone()));
        // `/readyz` lists the parts in this order.
        settings.redis.iter().for_each(|_| conditions.watch("redis"));
        kafka.iter().for_each(|_| conditions.watch("kafka"));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        Ok(Self {
            store,
            desk,
            rooms,
            home,
            memory,
            seat_maps,
            seat_feeds,
            catalogue,
            timetable,
            emptier: EmptierWaker::default(),
            live,
            staff,
            session_ends: session_ends(settings, &reader).await?,
            kafka,
            conditions,
            database,
            waker,
            cancelled,
            tasks,
            stop,
        })
    }

    /// Stops the background tasks, then the desk after it answered what waits, then the store.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let desk = self.desk.clone();
        // The order matters: tasks submit commands to the desk, and the desk writes to the store. Joining the lanes' threads
        // blocks for up to the time of a commit, so it runs on a thread for blocking work; if that panics, the store still closes.
        let _ = tokio::task::spawn_blocking(move || desk.close()).await;
        self.store.close().await;
    }
}
