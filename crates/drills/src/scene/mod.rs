//! The small sale that an incident meets: real servers, each in a folder of its own, stopped by their process ids.

mod balancer;
mod consumer;
mod platform;
mod sales;
mod stage;
mod store;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use onsale_testing::kafka::Kafka;
use onsale_testing::postgres::driver;
use onsale_testing::redis::{Keeps, Redis};
use onsale_testing::{
    ADMIN_KEY, Balancer, Caller, Faults, Launch, Limited, Limits, Port, Prometheus, Sale, alert_rules,
    scrape_configuration,
};
use serde_json::json;

pub(crate) use platform::{Answer, Platform};
pub(crate) use sales::lowerable;
pub(crate) use stage::{Consumer, Stage};

use crate::Outcome;
use crate::clients::Clients;
use crate::shell::Shell;
use crate::traffic::PRICE;
use consumer::Consume;
use store::Store;

/// Seats of the performance: more than buyers arrive in any drill.
const SEATS: u32 = 20_000;

/// Memory of the group of the last instance until a drill lowers it: more than any instance needs.
const MEMORY: u64 = 2 << 30;

/// Longest time until all parts work together.
const READY_MAX: Duration = Duration::from_secs(60);

/// How soon alerts fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As shipped: what an operator experiences.
    Shipped,
    /// Scraped twice a second, firing after one second: for a quick test.
    Short,
}

/// The parts next to the instances. Fields are dropped in this order.
pub(crate) struct Parts {
    consumer: Consume,
    pub(crate) platform: Option<Platform>,
    pub(crate) kafka: Option<Kafka>,
    pub(crate) redis: Option<Redis>,
    pub(crate) store: Store,
}

/// All of it. Fields are dropped in this order: instances before what they use.
pub(crate) struct Scene {
    /// The instances that run, in the order of their numbers.
    pub(crate) sales: Vec<Option<Sale>>,
    /// Instances that an operator added.
    pub(crate) added: Vec<Sale>,
    launches: Vec<Launch>,
    /// The group of the last instance, if the stage has it.
    pub(crate) limited: Option<Limited>,
    _ports: Vec<Port>,
    pub(crate) balancer: Balancer,
    pub(crate) prometheus: Prometheus,
    /// The switches of the first instance's disk, if the stage has them.
    pub(crate) faults: Option<Faults>,
    /// What a drill keeps until its repair, such as a session that holds a lock.
    pub(crate) sessions: Vec<driver::Client>,
    pub(crate) parts: Parts,
    pub(crate) shell: Shell,
    pub(crate) clients: Clients,
    pub(crate) concert: String,
    pub(crate) performance: String,
    /// The queue token of a visitor who waits in the line of another concert.
    pub(crate) token: String,
}

impl Parts {
    async fn start(program: &Path, stage: &Stage) -> Self {
        let store = Store::start(program, stage).await;
        let redis = if stage.redis { Some(Redis::start(Keeps::Nothing).await) } else { None };
        let kafka = if stage.kafka { Some(Kafka::start().await) } else { None };
        let platform = if stage.platform { Some(Platform::start().await) } else { None };
        Self { consumer: Consume::later(), platform, kafka, redis, store }
    }

    /// How an instance that uses them is started.
    fn launch(&self, program: &Path, stage: &Stage, port: &Port) -> Launch {
        let name = program.to_str().expect("a program with a plain name");
        let is_in_a_file = stage.settings.iter().any(|(name, _)| *name == "ONSALE_ADMIN_KEY_FILE");
        let launch = if is_in_a_file { Launch::new(name) } else { Sale::launch(name) };
        let mut launch = launch.set("ONSALE_LISTEN", port.address());
        // All buyers call from one address.
        launch = launch.set("ONSALE_RATE_LIMIT_PER_SECOND", 0).set("ONSALE_ENTRIES_PER_MINUTE", 0);
        launch = self.store.under(launch.set("ONSALE_TRUSTED_PROXIES", "127.0.0.1"));
        if let Some(redis) = &self.redis {
            launch = launch.set("ONSALE_REDIS_URL", redis.url());
        }
        if let Some(kafka) = &self.kafka {
            launch = launch.set("ONSALE_KAFKA_BROKERS", kafka.brokers());
        }
        if let Some(platform) = &self.platform {
            launch = launch.set("ONSALE_DATA_PLATFORM_URL", platform.url());
        }
        stage.settings.iter().fold(launch, |launch, (name, value)| launch.set(name, value))
    }
}

impl Scene {
    /// Starts the parts, and a sale.
    ///
    /// # Errors
    /// If the balancer passes no request on within a minute.
    ///
    /// # Panics
    /// If a part is missing or does not start.
    pub(crate) async fn start(program: &Path, stage: &Stage, pace: Pace) -> Outcome<Self> {
        let mut parts = Parts::start(program, stage).await;
        let mut ports: Vec<Port> = (0..stage.instances).map(|_| Port::free()).collect();
        let mut targets: Vec<SocketAddr> = ports.iter().map(Port::address).collect();
        let mut launches: Vec<Launch> = ports.iter().map(|port| parts.launch(program, stage, port)).collect();
        let faults = if stage.faults { Some(under_faults(&mut launches)) } else { None };
        let limited = if stage.limited { Some(within_a_group(&mut launches)) } else { None };
        let mut sales = Vec::new();
        for launch in &launches {
            sales.push(Some(Sale::start(launch).await));
        }
        let (balancer, health) = balancer::in_front_of(&targets).await;
        ports.push(health);
        if stage.consumer == Consumer::AtOnce {
            parts.consumer.start(&launches[0]).await;
        }
        if stage.consumer != Consumer::Never {
            targets.push(parts.consumer.address());
        }
        let prometheus = watch(&targets, pace).await;
        let first = sales[0].as_ref().ok_or("an instance runs")?;
        let concert = first.concert(&stage.room).await;
        let performance = first.performance(&concert, &json!([{"from": 1, "to": SEATS, "price": PRICE}])).await;
        let clients = stage.clients.clone();
        let token = waiting(first, &clients).await;
        let (sessions, added) = (Vec::new(), Vec::new());
        let mut scene = Self {
            sales,
            added,
            launches,
            limited,
            _ports: ports,
            balancer,
            prometheus,
            faults,
            sessions,
            parts,
            shell: Shell::with(program),
            clients,
            concert,
            performance,
            token,
        };
        scene.name_addresses();
        scene.is_ready().await?;
        Ok(scene)
    }

    /// Sets the variables that the commands of the pages use.
    fn name_addresses(&mut self) {
        let (shell, url) = (&mut self.shell, self.parts.store.url(&self.launches[0]));
        shell.set("ONSALE", self.balancer.base());
        shell.set("ADMIN", format!("Authorization: Bearer {ADMIN_KEY}"));
        shell.set("JSON", "Content-Type: application/json");
        shell.set("CONCERT", &self.concert);
        shell.set("TOKEN", &self.token);
        shell.set("DEPLOY", concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy"));
        shell.set("PROMETHEUS", self.prometheus.base());
        shell.set("DB", &url);
        shell.set("ONSALE_DATABASE_URL", url);
        shell.set("CONSUMER", format!("http://{}", self.parts.consumer.address()));
        if let Some(redis) = &self.parts.redis {
            shell.set("REDIS", redis.url());
        }
        for (number, sale) in self.sales.iter().flatten().enumerate() {
            shell.set(&format!("INSTANCE{}", number + 1), sale.instance.base());
        }
    }

    async fn is_ready(&self) -> Outcome<()> {
        let (caller, began) = (Caller::new(&self.balancer.base()), Instant::now());
        while !caller.get("/readyz").try_send().await.is_ok_and(|reply| reply.status == 200) {
            if began.elapsed() > READY_MAX {
                return Err(format!("the balancer passes nothing on: {}", self.balancer.log()));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// The first instance.
    ///
    /// # Panics
    /// If it was killed.
    pub(crate) fn first(&self) -> &Sale {
        self.sales[0].as_ref().expect("an instance that runs")
    }

    /// A session of another program on the database of the sale.
    pub(crate) async fn sql(&self) -> driver::Client {
        self.parts.store.database().sql().await
    }

    /// A session, if the database has one left. It ends when the client is dropped.
    pub(crate) async fn try_session(&self) -> Option<driver::Client> {
        let (client, connection) = driver::connect(&self.parts.store.database().url(), driver::NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(client)
    }
}

/// Makes calls of the disk of the first instance fail when a drill wants it.
fn under_faults(launches: &mut Vec<Launch>) -> Faults {
    let (faults, launch) = Faults::under(launches.remove(0));
    launches.insert(0, launch);
    faults
}

/// Lets the last instance start in a group of its own.
fn within_a_group(launches: &mut Vec<Launch>) -> Limited {
    let processors = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
    let means = lowerable().expect("a machine with control groups");
    let limited = Limited::by(means, Limits::new(processors, MEMORY)).expect("a group of processes");
    let last = launches.pop().expect("an instance");
    launches.push(last.within(&limited));
    limited
}

/// The token of a visitor who waits in the line of another concert.
async fn waiting(sale: &Sale, clients: &Clients) -> String {
    let concert = sale.concert(&json!({})).await;
    let pause = sale.caller.patch(&format!("/admin/concerts/{concert}/queue")).json(&json!({"paused": true}));
    sale.admin(pause).expect(200).await;
    let body = json!({"userId": "visitor", "concertId": concert});
    let entry = clients.call_as("visitor", sale.caller.post("/queue/tokens")).json(&body).send().await.json();
    entry["token"].as_str().unwrap_or_default().to_owned()
}

/// Starts Prometheus with the shipped files over these targets.
async fn watch(targets: &[SocketAddr], pace: Pace) -> Prometheus {
    let (every, after) = match pace {
        Pace::Shipped => (None, None),
        Pace::Short => (Some("500ms"), Some("1s")),
    };
    let (configuration, rules) = (scrape_configuration(targets, every), alert_rules(after, &[]));
    let prometheus = Prometheus::start(&configuration, &[("alerts.yml", &rules)]).await;
    prometheus.until_scraped(targets).await;
    prometheus
}
