//! A running sale: the only place that picks adapters and ties the parts together.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use onsale_adapters::files::FilePlatform;
use onsale_adapters::kafka::KafkaSink;
use onsale_adapters::postgres::{self, PostgresAudit, PostgresOutbox, PostgresStore};
use onsale_adapters::redis::RedisPlaces;
use onsale_adapters::sqlite::{self, SqliteAudit, SqliteOutbox, SqliteStore};
use onsale_adapters::webhook::WebhookPlatform;
use onsale_app::audit::source::AuditSource;
use onsale_app::background::{self, Follower, Housekeeper, Sweeper, TaskMetrics};
use onsale_app::catalogue::Catalogue;
use onsale_app::clock::ClockWatch;
use onsale_app::conditions::Conditions;
use onsale_app::desk::{self, Desk, Terms};
use onsale_app::relay::{BacklogWatch, Bell, Outbox, Platform, PlatformSink, Relay};
use onsale_app::retention::{Keeper, RetentionMetrics};
use onsale_app::seat_map::SeatMaps;
use onsale_app::store::{Reader, Store, StoreError};
use onsale_app::timetable::Timetable;
use onsale_app::waiting_room::door::{Door, PlaceMemory};
use onsale_app::waiting_room::{Driver, Rooms};
use onsale_app::watch::{DatabaseWatch, watch_part};
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::settings::{DatabaseUrl, PlatformSettings, Settings};

/// How often the oldest snapshot of the database is looked for.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(5);

/// From this age on a snapshot is said to be long, in seconds: a backup of a sale takes less.
const SNAPSHOT_LONG: u64 = 300;

/// Why a sale cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaleError {
    #[error("{path}: {source}")]
    File { path: String, source: sqlite::OpenError },
    #[error("{url}: {source}")]
    Server { url: String, source: postgres::OpenError },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no client could be made: {0}")]
    Client(String),
    #[error("no thread could be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// All parts of a sale but HTTP.
pub(crate) struct Sale {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) door: Arc<Door>,
    pub(crate) seat_maps: Arc<SeatMaps>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) timetable: Arc<Timetable>,
    /// Where events are published, if anywhere.
    pub(crate) kafka: Option<Arc<KafkaSink>>,
    /// Which parts are degraded, as background tasks found.
    pub(crate) conditions: Arc<Conditions>,
    /// Whether the database answers and takes writes.
    pub(crate) database: Arc<DatabaseWatch>,
    bell: Arc<Bell>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Opens the database that the settings name, to serve from it. Makes or migrates it as needed.
async fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, SaleError> {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => Ok(Arc::new(SqliteStore::open(path).map_err(of_file(path))?)),
        DatabaseUrl::Postgres(url) => {
            let readers = settings.database_readers as usize;
            Ok(Arc::new(PostgresStore::open(url, readers).await.map_err(of_server(url))?))
        }
    }
}

/// Opens it to read beside the servers that may be working on it.
pub(crate) async fn open_beside(settings: &Settings) -> Result<Arc<dyn Reader>, SaleError> {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => sqlite::open_beside(path).map_err(of_file(path)),
        DatabaseUrl::Postgres(url) => Ok(PostgresStore::open_beside(url).await.map_err(of_server(url))?.reader()),
    }
}

/// What the audit reads.
pub(crate) async fn audit_source(settings: &Settings) -> Result<Box<dyn AuditSource>, SaleError> {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => {
            // Opened once to say clearly what is wrong with the file, if anything is.
            sqlite::open_beside(path).map_err(of_file(path))?;
            Ok(Box::new(SqliteAudit::new(path)))
        }
        DatabaseUrl::Postgres(url) => Ok(Box::new(PostgresAudit::open(url).await.map_err(of_server(url))?)),
    }
}

/// Brings the schema up to date; tells how many steps that took.
pub(crate) async fn migrate(settings: &Settings) -> Result<usize, SaleError> {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => sqlite::migrate(path).map_err(of_file(path)),
        DatabaseUrl::Postgres(url) => postgres::migrate(url).await.map_err(of_server(url)),
    }
}

/// Puts dead letters back, those named or all. `report` receives how many each transaction put back.
pub(crate) async fn retry_dead_events(
    settings: &Settings,
    ids: &[EventId],
    report: impl FnMut(usize),
) -> Result<(), SaleError> {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => sqlite::retry_dead_events(path, ids, report).map_err(of_file(path)),
        DatabaseUrl::Postgres(url) => postgres::retry_dead_events(url, ids, report).await.map_err(of_server(url)),
    }
}

/// Has events sent again; tells whether there were any that had been sent.
pub(crate) async fn replay_events(settings: &Settings, since: Timestamp) -> Result<bool, SaleError> {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => sqlite::replay_events(path, since).map_err(of_file(path)),
        DatabaseUrl::Postgres(url) => postgres::replay_events(url, since).await.map_err(of_server(url)),
    }
}

/// The outbox of the database that the settings name.
pub(crate) fn outbox(settings: &Settings) -> Arc<dyn Outbox> {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => Arc::new(SqliteOutbox::new(path)),
        DatabaseUrl::Postgres(url) => Arc::new(PostgresOutbox::new(url)),
    }
}

/// The way to the data platform that the settings name.
pub(crate) fn platform_sink(settings: &Settings, conditions: &Arc<Conditions>) -> Result<Arc<PlatformSink>, SaleError> {
    let outbox = outbox(settings);
    let PlatformSettings { url, key, folder } = &settings.platform;
    let platform: Arc<dyn Platform> = match url {
        Some(url) => Arc::new(WebhookPlatform::new(url, key.clone()).map_err(SaleError::Client)?),
        None => Arc::new(FilePlatform::new(folder, outbox.clone())),
    };
    Ok(Arc::new(PlatformSink::new(outbox, platform).shown_on(conditions.clone())))
}

/// The way to Kafka, where the settings name brokers.
pub(crate) fn kafka_sink(settings: &Settings) -> Result<Option<Arc<KafkaSink>>, SaleError> {
    settings.kafka.as_ref().map(|kafka| KafkaSink::new(kafka).map(Arc::new).map_err(SaleError::Client)).transpose()
}

fn of_file(path: &Path) -> impl Fn(sqlite::OpenError) -> SaleError {
    move |source| SaleError::File { path: path.display().to_string(), source }
}

fn of_server(url: &postgres::PostgresUrl) -> impl Fn(postgres::OpenError) -> SaleError {
    move |source| SaleError::Server { url: url.to_string(), source }
}

/// A file has one writer.
fn lanes(settings: &Settings) -> u32 {
    match settings.database {
        DatabaseUrl::Sqlite(_) => 1,
        DatabaseUrl::Postgres(_) => settings.database_lanes,
    }
}

impl Sale {
    /// Opens the database, reads what polls are answered from, and opens the desk.
    pub(crate) async fn open(settings: &Settings, registry: &mut Registry) -> Result<Self, SaleError> {
        // The database comes last of what can fail because of a setting: a failed start leaves no file behind.
        let kafka = kafka_sink(settings)?;
        let conditions = Arc::new(Conditions::default());
        conditions.register(registry);
        let store = open_store(settings).await?;
        store.report_to(&conditions, settings.disk_reserve_mib);
        let (reader, news) = (store.reader(), store.news());
        let catalogue =
            Catalogue::load(reader.clone(), settings.calendar.clone(), news.is_some(), settings.caches).await?;
        let catalogue = Arc::new(catalogue);
        let rooms = Arc::new(Rooms::load(reader.clone(), news.clone(), settings.polls_per_second).await?);
        let seat_maps = Arc::new(SeatMaps::new(reader.clone(), news.clone(), settings.caches));
        let timetable = Arc::new(Timetable::new(reader.clone(), news, settings.caches));
        let metrics = Arc::new(desk::Metrics::default());
        metrics.register(registry);
        store.register(registry);
        rooms.estimates.register(registry);
        let help = "How often the database was asked for what many are shown";
        registry.register("seat_map_reads", help, seat_maps.reads.clone());
        registry.register("catalogue_reads", help, catalogue.reads.clone());
        registry.register("lecture_list_reads", help, timetable.reads.clone());
        let bell = Arc::new(Bell::default());
        let terms = Terms {
            hold_seconds: settings.hold_seconds,
            kept_per_user_max: settings.keys_per_user,
            observers: vec![catalogue.clone(), timetable.clone(), rooms.clone(), seat_maps.clone(), bell.clone()],
            metrics,
        };
        let mut writers = Vec::new();
        for _ in 0..lanes(settings) {
            writers.push(store.writer().await?);
        }
        let desk = Arc::new(Desk::open(writers, &terms)?);
        let memory = settings.redis.as_ref().map(|url| Arc::new(RedisPlaces::new(url)) as Arc<dyn PlaceMemory>);
        let door = Arc::new(Door::new(desk.clone(), rooms.clone(), memory));
        let database = Arc::new(DatabaseWatch::new(reader, desk.clone(), conditions.clone()));
        // In this order `/readyz` lists them.
        settings.redis.iter().for_each(|_| conditions.watch("redis"));
        kafka.iter().for_each(|_| conditions.watch("kafka"));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        Ok(Self {
            store,
            desk,
            rooms,
            door,
            seat_maps,
            catalogue,
            timetable,
            kafka,
            conditions,
            database,
            bell,
            tasks,
            stop,
        })
    }

    /// Starts what goes on beside the requests.
    pub(crate) fn start_background(&self, settings: &Settings, registry: &mut Registry) {
        if let Some(kafka) = self.kafka.clone() {
            self.start_events(kafka, settings, registry);
        }
        let tasks = background::Metrics::default();
        tasks.register(registry);
        let metrics = |task| tasks.of(task);
        let (desk, reader) = (self.desk.clone(), self.store.reader());
        let share = Gauge::<f64, AtomicU64>::default();
        share.set(1.0);
        let help =
            "Share of its rate at which the room that stepped last calls people: below 1 while the database is slow";
        registry.register("waiting_room_admission_share", help, share.clone());
        let (rooms, metrics_of) = (self.rooms.clone(), metrics("waiting-rooms"));
        let clock = Arc::new(ClockWatch::new(reader.clone(), self.conditions.clone()));
        clock.register(registry);
        self.tasks.spawn(clock.clone().run(self.stop.clone()));
        let driver = Driver { rooms, clock: clock.clone(), desk: desk.clone(), metrics: metrics_of, share };
        let sweeper = Sweeper {
            reader: reader.clone(),
            clock: clock.clone(),
            desk: desk.clone(),
            metrics: metrics("lapsed-holds"),
        };
        let keeper = self.keeper(settings, &clock, registry, metrics("retention"));
        self.tasks.spawn(keeper.run(self.stop.clone()));
        let (seat_maps, metrics_of) = (self.seat_maps.clone(), metrics("housekeeping"));
        let housekeeper = Housekeeper { desk, reader, clock, seat_maps, metrics: metrics_of };
        if self.store.news().is_some() {
            let (rooms, catalogue) = (self.rooms.clone(), self.catalogue.clone());
            let follower = Follower { rooms, catalogue, metrics: metrics("following") };
            self.tasks.spawn(follower.run(self.stop.clone()));
        }
        if let Some(repairer) = self.door.repairer() {
            repairer.metrics.register(registry);
            self.tasks.spawn(repairer.run(self.stop.clone()));
        }
        self.watch_parts(registry);
        self.tasks.spawn(driver.run(self.stop.clone()));
        self.tasks.spawn(sweeper.run(self.stop.clone()));
        self.tasks.spawn(housekeeper.run(self.stop.clone()));
        self.tasks.close();
    }

    /// Starts the tasks that look at each part. `/readyz` and the metrics show what they found last.
    fn watch_parts(&self, registry: &mut Registry) {
        self.tasks.spawn(self.database.clone().run(self.stop.clone()));
        if let Some(watch) = self.door.watch(&self.conditions) {
            watch.register(registry);
            self.tasks.spawn(watch.run(self.stop.clone()));
        }
        if self.store.news().is_some() {
            let store = self.store.clone();
            let look = async move || {
                // A database that cannot be asked is another condition.
                let seconds =
                    store.oldest_snapshot().await.ok().flatten().filter(|seconds| *seconds >= SNAPSHOT_LONG)?;
                Some(format!(
                    "another session has kept a snapshot open for {seconds} s, and old rows pile up; end it, or back up a standby"
                ))
            };
            let (conditions, stop) = (self.conditions.clone(), self.stop.clone());
            self.tasks.spawn(watch_part(conditions, ("database", "long-snapshot"), SNAPSHOT_EVERY, stop, look));
        }
    }

    /// Starts the checks of Kafka and of the backlog, and the relay if this instance relays.
    fn start_events(&self, kafka: Arc<KafkaSink>, settings: &Settings, registry: &mut Registry) {
        let backlog = BacklogWatch::new(outbox(settings));
        backlog.register(registry);
        self.tasks.spawn(backlog.run(self.stop.clone()));
        let (conditions, stop) = (self.conditions.clone(), self.stop.clone());
        self.tasks.spawn(kafka.clone().watch(conditions, settings.relay, stop));
        if settings.relay {
            let relay = Relay::new(outbox(settings), kafka, self.bell.clone()).keeping(settings.events_kept_days);
            relay.metrics.register(registry);
            self.tasks.spawn(relay.run(self.stop.clone()));
        }
    }

    /// What retires and drops what is over. A relay of this process forgets events by itself.
    fn keeper(
        &self,
        settings: &Settings,
        clock: &Arc<ClockWatch>,
        registry: &mut Registry,
        metrics: TaskMetrics,
    ) -> Keeper {
        let relays = self.kafka.is_some() && settings.relay;
        let keeper = Keeper {
            rooms: self.rooms.clone(),
            clock: clock.clone(),
            retention: self.store.retention(),
            places_kept_days: settings.places_kept_days,
            events_kept_days: settings.events_kept_days.filter(|_| !relays),
            // Brokers that are named are to get every event, from this process or from `onsale relay`.
            forgets_unsent: settings.kafka.is_none(),
            metrics,
            dropped: RetentionMetrics::default(),
        };
        keeper.dropped.register(registry);
        keeper
    }

    /// Ends the background work, then the desk once everything that waits is answered, then the store.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let desk = self.desk.clone();
        // Lanes end on threads of their own, and may take the time of a commit.
        let _ = tokio::task::spawn_blocking(move || desk.close()).await;
        self.store.close().await;
    }
}
