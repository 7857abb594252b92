//! A running sale: the only place that picks adapters and ties the parts together.

use std::sync::Arc;

use onsale_adapters::sqlite::{OpenError, SqliteStore};
use onsale_app::background::{self, Housekeeper, Sweeper};
use onsale_app::catalogue::Catalogue;
use onsale_app::desk::{self, Desk, Terms};
use onsale_app::seat_map::SeatMaps;
use onsale_app::store::{Store, StoreError};
use onsale_app::waiting_room::{Driver, Rooms};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http;
use crate::settings::{DatabaseUrl, Settings};

/// Why a sale cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaleError {
    #[error("{path}: {source}")]
    File { path: String, source: OpenError },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no thread could be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// All parts of a sale but HTTP.
pub(crate) struct Sale {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) seat_maps: Arc<SeatMaps>,
    pub(crate) catalogue: Arc<Catalogue>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Opens the database that the settings name.
pub(crate) fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, SaleError> {
    let DatabaseUrl::Sqlite(path) = &settings.database;
    let store = SqliteStore::open(path);
    store.map(|store| Arc::new(store) as Arc<dyn Store>).map_err(|source| file_error(path, source))
}

pub(crate) fn file_error(path: &std::path::Path, source: OpenError) -> SaleError {
    SaleError::File { path: path.display().to_string(), source }
}

impl Sale {
    /// Reads what polls are answered from, and opens the desk.
    pub(crate) async fn open(
        store: Arc<dyn Store>,
        settings: &Settings,
        registry: &mut Registry,
    ) -> Result<Self, SaleError> {
        let reader = store.reader();
        let catalogue = Arc::new(Catalogue::load(reader.clone(), settings.calendar.clone()).await?);
        let rooms = Arc::new(Rooms::load(reader.clone()).await?);
        let seat_maps = Arc::new(SeatMaps::new(reader.clone()));
        let metrics = Arc::new(desk::Metrics::default());
        metrics.register(registry);
        let terms = Terms {
            hold_seconds: settings.hold_seconds,
            encode: http::encode(settings.calendar.clone()),
            observers: vec![catalogue.clone(), rooms.clone(), seat_maps.clone()],
            metrics,
        };
        let desk = Arc::new(Desk::open(vec![store.writer().await?], &terms)?);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        Ok(Self { store, desk, rooms, seat_maps, catalogue, tasks, stop })
    }

    /// Starts what goes on beside the requests.
    pub(crate) fn start_background(&self, registry: &mut Registry) {
        let tasks = background::Metrics::default();
        tasks.register(registry);
        let metrics = |task| tasks.of(task);
        let (desk, reader) = (self.desk.clone(), self.store.reader());
        let driver = Driver { rooms: self.rooms.clone(), desk: desk.clone(), metrics: metrics("waiting-rooms") };
        let sweeper = Sweeper { reader, desk: desk.clone(), metrics: metrics("lapsed-holds") };
        let housekeeper = Housekeeper { desk, seat_maps: self.seat_maps.clone(), metrics: metrics("housekeeping") };
        self.tasks.spawn(driver.run(self.stop.clone()));
        self.tasks.spawn(sweeper.run(self.stop.clone()));
        self.tasks.spawn(housekeeper.run(self.stop.clone()));
        self.tasks.close();
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
