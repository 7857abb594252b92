//! Three instances on one Postgres. Each keeps its address over restarts.

use std::net::SocketAddr;
use std::time::Duration;

use onsale_testing::postgres::{Database, shared};
use onsale_testing::{Balancer, Launch, Port, Sale, without};

use crate::support::{ONSALE, until};

/// How long an instance serves after SIGTERM, in seconds: longer than a balancer needs to notice.
const DRAIN_SECONDS: u64 = 5;

/// An instance must end soon after its drain, or a restart would be killed by its supervisor.
const END_MAX: Duration = Duration::from_secs(DRAIN_SECONDS + 45);

pub(crate) struct Instances {
    sales: Vec<Option<Sale>>,
    launches: Vec<Launch>,
    ports: Vec<Port>,
    // Dropped last, after all instances that use it.
    _database: Database,
}

impl Instances {
    /// Starts them; `None` if this machine has no Postgres.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Option<Self> {
        if without("postgres") {
            return None;
        }
        let database = shared().await.migrated(ONSALE).await;
        let ports: Vec<Port> = (0..3).map(|_| Balancer::port()).collect();
        let launch = |port: &Port| {
            let launch = Sale::launch(ONSALE).on(database.url()).set("ONSALE_LISTEN", port.address());
            let launch = launch.set("ONSALE_DRAIN_SECONDS", DRAIN_SECONDS);
            settings.iter().fold(launch, |launch, (name, value)| launch.set(name, value))
        };
        let launches: Vec<Launch> = ports.iter().map(launch).collect();
        let mut sales = Vec::new();
        for launch in &launches {
            sales.push(Some(Sale::start(launch).await));
        }
        Some(Self { sales, launches, ports, _database: database })
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.ports.iter().map(Port::address)
    }

    /// A running instance, called without the balancer.
    pub(crate) fn first(&self) -> &Sale {
        self.sales.iter().flatten().next().expect("an instance that runs")
    }

    /// The instances that run now, in the order of their numbers.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Sale> {
        self.sales.iter().flatten()
    }

    /// Stops an instance as a deployment does, and starts it again at its address.
    pub(crate) async fn restart(&mut self, number: usize) {
        let sale = self.sales[number].take().expect("an instance that runs");
        let ended = tokio::time::timeout(END_MAX, sale.instance.terminate()).await.expect("it ends in time");
        assert!(ended.success(), "{ended}");
        let sale = Sale::start(&self.launches[number]).await;
        let ready = async || (sale.caller.get("/readyz").send().await.status == 200).then_some(());
        until("the instance is ready again", ready).await;
        self.sales[number] = Some(sale);
    }

    /// Runs the audit on the live data.
    pub(crate) async fn audit(&self) {
        let audit = self.launches[0].run(&["audit"]).await;
        assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    }
}
