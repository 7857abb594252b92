//! What happens to the instances of a drill: they are killed, started, and restarted one after another.

use std::time::{Duration, Instant};

use onsale_testing::{Caller, Launch, Means, Sale};

use super::{READY_MAX, Scene};

/// The means by which a group of processes can get another limit of memory while they run; `None` if this machine has none.
pub(crate) fn lowerable() -> Option<Means> {
    [Means::Cgroup2, Means::Cgroup1].into_iter().find(|means| means.is_here())
}

impl Scene {
    /// Kills an instance with SIGKILL.
    ///
    /// # Panics
    /// If it does not run.
    pub(crate) async fn kill(&mut self, number: usize) {
        let sale = self.sales[number].take().expect("an instance that runs");
        sale.instance.kill().await;
    }

    /// Starts an instance at the address that it had.
    pub(crate) async fn restart(&mut self, number: usize) {
        self.sales[number] = Some(Sale::start(&self.launches[number]).await);
    }

    /// Stops an instance with SIGTERM.
    ///
    /// # Panics
    /// If it does not run.
    pub(crate) async fn terminate(&mut self, number: usize) {
        let sale = self.sales[number].take().expect("an instance that runs");
        sale.instance.terminate().await;
    }

    /// Runs the program as the supervisor of this instance does, and waits for its end. Returns the exit code and the log.
    pub(crate) async fn run(&self, number: usize) -> (Option<i32>, String) {
        let run = self.launches[number].run(&["serve"]).await;
        (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
    }

    /// Restarts the instances one after another, each when the one before is ready, with these settings in addition.
    ///
    /// # Panics
    /// If one does not become ready within a minute.
    pub(crate) async fn roll(&mut self, settings: &[(&str, &str)]) {
        let with = |launch: Launch| settings.iter().fold(launch, |launch, (name, value)| launch.set(name, value));
        self.launches = std::mem::take(&mut self.launches).into_iter().map(with).collect();
        for number in 0..self.sales.len() {
            self.terminate(number).await;
            self.restart(number).await;
            let base = self.sales[number].as_ref().map(|sale| sale.instance.base().to_owned()).unwrap_or_default();
            let (caller, began) = (Caller::new(&base), Instant::now());
            while !caller.get("/readyz").try_send().await.is_ok_and(|reply| reply.status == 200) {
                assert!(began.elapsed() < READY_MAX, "{base} is not ready within a minute");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// How another instance of this sale is started, on a port of its own.
    pub(crate) fn another(&self) -> Launch {
        self.launches[0].another()
    }

    /// Starts the consumer of a stage that starts it later.
    pub(crate) async fn consume(&mut self) {
        self.parts.consumer.start(&self.launches[0]).await;
    }
}
