//! The background tasks of a sale.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use onsale_adapters::kafka::KafkaSink;
use onsale_app::background::{self, Follower, Housekeeper, Sweeper, TaskMetrics};
use onsale_app::canceller::{CancellationGauges, Canceller};
use onsale_app::clock::ClockWatch;
use onsale_app::emptier::Emptier;
use onsale_app::promoter::Promoter;
use onsale_app::relay::{BacklogWatch, Relay};
use onsale_app::retention::{Keeper, RetentionMetrics};
use onsale_app::rewriter::Rewriter;
use onsale_app::waiting_room::home::{Repairer, Watch};
use onsale_app::waiting_room::{Driver, Leaver};
use onsale_app::watch::PartWatch;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Sale;
use super::databases::outbox;
use crate::settings::Settings;

/// The time between two checks for the oldest snapshot of the database.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(5);

/// The age from which a snapshot is reported, in seconds. A backup of a sale takes less.
const SNAPSHOT_LONG: u64 = 300;

impl Sale {
    /// Starts the background tasks. [`Sale::close`] stops them.
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
            "Fraction of its rate at which the last room to step admits visitors: below 1 while the database is slow";
        registry.register("waiting_room_admission_share", help, share.clone());
        let (rooms, metrics_of) = (self.rooms.clone(), metrics("waiting-rooms"));
        let clock = Arc::new(ClockWatch::new(reader.clone(), self.conditions.clone()));
        clock.register(registry);
        self.tasks.spawn(clock.clone().run(self.stop.clone()));
        let driver = Driver { rooms, clock: clock.clone(), desk: desk.clone(), metrics: metrics_of, share };
        self.tasks.spawn(self.leaver(metrics("leaving-clients")).run(self.stop.clone()));
        let sweeper = Sweeper {
            reader: reader.clone(),
            clock: clock.clone(),
            desk: desk.clone(),
            metrics: metrics("lapsed-holds"),
        };
        let (rooms, metrics_of) = (self.rooms.clone(), metrics("extended-holds"));
        let rewriter = Rewriter { reader: reader.clone(), desk: desk.clone(), rooms, metrics: metrics_of };
        self.tasks.spawn(rewriter.run(self.stop.clone()));
        let gauges = CancellationGauges::default();
        gauges.register(registry);
        let canceller = Canceller {
            reader: reader.clone(),
            desk: desk.clone(),
            wake: self.cancelled.clone(),
            holder: Canceller::new_holder(),
            metrics: metrics("cancelled-performances"),
            gauges,
        };
        self.tasks.spawn(canceller.run(self.stop.clone()));
        let (waker, metrics_of) = (self.emptier.clone(), metrics("cancelled-lectures"));
        let emptier = Emptier { reader: reader.clone(), desk: desk.clone(), waker, metrics: metrics_of };
        self.tasks.spawn(emptier.run(self.stop.clone()));
        let (desk_of, metrics_of) = (desk.clone(), metrics("waiting-lists"));
        let promoter = Promoter { reader: reader.clone(), desk: desk_of, metrics: metrics_of };
        self.tasks.spawn(promoter.run(self.stop.clone()));
        self.tasks.spawn(self.staff.clone().run(desk.clone(), metrics("staff-keys"), self.stop.clone()));
        self.follow_session_ends(metrics("ended-sessions"));
        self.tasks.spawn(self.live.clone().run(metrics("live-figures"), self.stop.clone()));
        let keeper = self.keeper(settings, &clock, registry, metrics("retention"));
        self.tasks.spawn(keeper.run(self.stop.clone()));
        let (seat_maps, metrics_of) = (self.seat_maps.clone(), metrics("housekeeping"));
        let housekeeper = Housekeeper { desk, reader, clock, seat_maps, metrics: metrics_of };
        if self.store.news().is_some() {
            let (rooms, catalogue) = (self.rooms.clone(), self.catalogue.clone());
            let follower = Follower { rooms, catalogue, metrics: metrics("following") };
            self.tasks.spawn(follower.run(self.stop.clone()));
        }
        if let Some(memory) = self.memory.clone() {
            let repairer = Repairer::new(memory, self.desk.clone(), self.rooms.clone());
            repairer.metrics.register(registry);
            self.tasks.spawn(repairer.run(self.stop.clone()));
        }
        self.watch_parts(registry);
        self.follow_seats(registry, metrics("seat-listeners"));
        self.tasks.spawn(driver.run(self.stop.clone()));
        self.tasks.spawn(sweeper.run(self.stop.clone()));
        self.tasks.spawn(housekeeper.run(self.stop.clone()));
        self.tasks.close();
    }

    /// Starts the task that reads which sessions of users ended, if the pages sign in.
    fn follow_session_ends(&self, metrics: TaskMetrics) {
        if let Some(ends) = self.session_ends.clone() {
            self.tasks.spawn(ends.run(metrics, self.stop.clone()));
        }
    }

    /// Starts the task that compares seat maps for their listeners.
    fn follow_seats(&self, registry: &mut Registry, metrics: TaskMetrics) {
        self.seat_feeds.metrics.register(registry);
        self.tasks.spawn(self.seat_feeds.clone().run(metrics, self.stop.clone()));
    }

    fn leaver(&self, metrics: TaskMetrics) -> Leaver {
        let (rooms, desk, home) = (self.rooms.clone(), self.desk.clone(), self.home.clone());
        Leaver { rooms, desk, home, board: self.store.leave_board(), metrics }
    }

    /// Starts the tasks that check each part. `/readyz` and the metrics show their last results.
    fn watch_parts(&self, registry: &mut Registry) {
        self.tasks.spawn(self.database.clone().run(self.stop.clone()));
        if let Some(memory) = self.memory.clone() {
            let watch = Watch::new(memory, self.rooms.clone(), self.conditions.clone());
            watch.register(registry);
            self.tasks.spawn(watch.run(self.stop.clone()));
        }
        if self.store.news().is_some() {
            let store = self.store.clone();
            let problem = async move || {
                // If the query fails, `DatabaseWatch` reports the database; this condition stays unset.
                let seconds =
                    store.oldest_snapshot().await.ok().flatten().filter(|seconds| *seconds >= SNAPSHOT_LONG)?;
                Some(format!(
                    "another session has kept a snapshot open for {seconds} s, so Postgres cannot remove old rows; end it, or back up a standby"
                ))
            };
            let conditions = self.conditions.clone();
            let watch = PartWatch { conditions, part: "database", condition: "long-snapshot", every: SNAPSHOT_EVERY };
            self.tasks.spawn(watch.run(self.stop.clone(), problem));
        }
    }

    /// Starts the checks of Kafka and of the backlog, and the relay unless `relay` is false.
    fn start_events(&self, kafka: Arc<KafkaSink>, settings: &Settings, registry: &mut Registry) {
        let backlog = BacklogWatch::new(outbox(settings));
        backlog.register(registry);
        self.tasks.spawn(backlog.run(self.stop.clone()));
        let (conditions, stop) = (self.conditions.clone(), self.stop.clone());
        self.tasks.spawn(kafka.clone().watch(conditions, settings.relay, stop));
        if settings.relay {
            let relay = Relay::new(outbox(settings), kafka, self.waker.clone()).keeping(settings.events_kept_days);
            relay.metrics.register(registry);
            self.tasks.spawn(relay.run(self.stop.clone()));
        }
    }

    /// The task that retires rooms and deletes old places and events. If this process has a relay, that deletes the events.
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
            // With brokers, an event must not be deleted before some relay sent it, here or in `onsale relay`.
            forgets_unsent: settings.kafka.is_none(),
            metrics,
            dropped: RetentionMetrics::default(),
        };
        keeper.dropped.register(registry);
        keeper
    }
}
