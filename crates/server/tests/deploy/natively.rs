//! Runs the program with the arguments and the variables of a shipped file, on a free port, with secrets in files.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use onsale_testing::{ADMIN_KEY, Balancer, Caller, Instance, Launch, Port};
use tokio::process::Child;

use crate::support::{ONSALE, until};

/// The arguments and variables that a shipped file gives the program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// The arguments, the subcommand included.
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: BTreeMap<String, String>,
}

/// The value of a secret of this name in these tests.
fn secret(name: &str, database: &str) -> String {
    match name {
        "database_url" => database.to_owned(),
        // No Redis is there: a server starts all the same.
        "redis_url" => "redis://127.0.0.1:1".to_owned(),
        "admin_key" => ADMIN_KEY.to_owned(),
        "jwt_secret" | "platform_secret" => "a-secret-of-more-than-thirty-two-characters".to_owned(),
        other => panic!("no secret is called {other}"),
    }
}

/// The same address with this port.
fn with_port(address: &str, port: u16) -> String {
    let mut address: SocketAddr = address.parse().unwrap_or_else(|_| panic!("an address: {address}"));
    address.set_port(port);
    address.to_string()
}

impl Given {
    /// The address that a setting names, as a flag or a variable.
    pub(crate) fn address(&self, flag: &str, variable: &str) -> Option<&String> {
        let at = self.arguments.iter().position(|argument| argument == flag);
        at.and_then(|at| self.arguments.get(at + 1)).or_else(|| self.variables.get(variable))
    }

    /// A folder with the secrets, and all of this for the program: it listens at this port for callers or for Prometheus.
    fn launch(&self, port: u16, database: &str) -> (Launch, Vec<String>) {
        let mut launch = Launch::new(ONSALE);
        let secrets = launch.folder().join("secrets");
        std::fs::create_dir(&secrets).unwrap();
        for (name, value) in &self.variables {
            let value = if name.ends_with("_FILE") {
                let file = value.rsplit('/').next().unwrap();
                std::fs::write(secrets.join(file), secret(file, database)).unwrap();
                secrets.join(file).display().to_string()
            } else if name.ends_with("LISTEN") {
                with_port(value, port)
            } else {
                value.clone()
            };
            launch = launch.set(name, value);
        }
        let mut arguments = self.arguments.clone();
        for at in 1..arguments.len() {
            if arguments[at - 1].ends_with("listen") {
                arguments[at] = with_port(&arguments[at], port);
            }
        }
        (launch, arguments)
    }

    /// Runs it to its end. Returns its standard error.
    pub(crate) async fn ends_well(&self, database: &str) {
        let (launch, arguments) = self.launch(0, database);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let run = launch.run(&arguments).await;
        assert!(run.status.success(), "{self:?}: {}", String::from_utf8_lossy(&run.stderr));
    }

    /// Starts it, and waits until it answers.
    pub(crate) async fn starts(&self, database: &str) -> Started {
        if self.arguments[0] == "serve" {
            let (launch, arguments) = self.launch(0, database);
            let launch = arguments[1..].iter().fold(launch, |launch, argument| launch.with(argument));
            let instance = launch.start().await;
            let port: u16 = instance.base().rsplit(':').next().unwrap().parse().unwrap();
            let caller = Caller::new(&format!("http://127.0.0.1:{port}"));
            let listens = instance.base().strip_prefix("http://").unwrap().parse().unwrap();
            return Started { caller, listens, log: Log::Of(instance) };
        }
        let port = Balancer::port();
        let listens = port.address();
        let (launch, arguments) = self.launch(listens.port(), database);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let log = launch.folder().join("log");
        let mut command = launch.command(&arguments);
        command.stdout(std::process::Stdio::null()).stderr(std::fs::File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let caller = Caller::new(&format!("http://{listens}"));
        until("it shows its metrics", async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{self:?}: {status}: {}", std::fs::read_to_string(&log).unwrap());
            }
            caller.get("/healthz").try_send().await.ok()
        })
        .await;
        Started { caller, listens, log: Log::Child(child, launch, port) }
    }
}

/// A program that runs; killed when it is dropped.
pub(crate) struct Started {
    pub(crate) caller: Caller,
    pub(crate) listens: SocketAddr,
    log: Log,
}

enum Log {
    Of(Instance),
    Child(
        Child,
        #[allow(dead_code, reason = "keeps its folder")] Launch,
        #[allow(dead_code, reason = "keeps it")] Port,
    ),
}

impl Started {
    /// What it wrote to its log so far.
    pub(crate) fn log(&self) -> String {
        match &self.log {
            Log::Of(instance) => instance.log(),
            Log::Child(_, launch, _) => std::fs::read_to_string(launch.folder().join("log")).unwrap(),
        }
    }

    /// Checks that every variable is a setting and has an effect in this process.
    #[track_caller]
    pub(crate) fn assert_settings_act(&self) {
        let log = self.log();
        for complaint in ["looks like a setting", "has no effect"] {
            assert!(!log.contains(complaint), "{log}");
        }
    }

    /// Sends SIGTERM; it must exit with 0.
    pub(crate) async fn stops(self) {
        let status = match self.log {
            Log::Of(instance) => {
                // The first signal begins the drain, the second one ends it.
                instance.signal(onsale_testing::Signal::TERM);
                instance.terminate().await
            }
            Log::Child(mut child, ..) => {
                onsale_testing::signal(&child, onsale_testing::Signal::TERM);
                tokio::time::timeout(onsale_testing::PATIENCE, child.wait()).await.expect("an end in time").unwrap()
            }
        };
        assert!(status.success(), "{status}");
    }
}
