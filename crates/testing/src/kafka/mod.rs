//! A real Apache Kafka broker, alone (KRaft), in a folder and on ports of its own. None outlives the test that started it.

mod guard;
mod rights;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::disk::Disk;
use crate::patience::PATIENCE;
use crate::port::Port;
use crate::processes::Processes;
use crate::watchdog::Watchdog;

pub use guard::{Guard, Keys, PASSWORD, USER};
pub use rights::{Resource, Right};

/// How often it is looked whether the broker listens.
const LOOK: Duration = Duration::from_millis(20);

/// A broker. When it is dropped, or when the test's process ends in whatever way, it is killed and its folder removed.
pub struct Kafka {
    folder: PathBuf,
    port: Port,
    controller: Port,
    guarded: Port,
    keys: Option<Keys>,
    libraries: PathBuf,
    process: Mutex<Option<Child>>,
    /// The disk of the broker, if a test fills it.
    disk: Option<Disk>,
    watchdog: Watchdog,
}

/// The broker's libraries, brought once by Maven into the folder of build artefacts.
fn libraries() -> PathBuf {
    let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kafka/pom.xml");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    std::fs::create_dir_all(&target).expect("a folder of build artefacts");
    let folder = target.canonicalize().expect("a folder that is there").join("kafka-4.1.0");
    let lock = std::fs::File::create(folder.with_extension("lock")).expect("a lock");
    lock.lock().expect("one brings them, the others wait");
    if !folder.join("complete").exists() {
        let output = format!("-DoutputDirectory={}", folder.display());
        let mut run = Command::new("mvn");
        run.args(["-q", "-B", "-f"]).arg(pom).arg("dependency:copy-dependencies").arg(output);
        let run = run.stdin(Stdio::null()).output().expect("mvn starts");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
        std::fs::write(folder.join("complete"), "").expect("a mark");
    }
    folder
}

impl Kafka {
    /// Starts a broker, and returns when it listens.
    pub async fn start() -> Self {
        let kafka = Self::prepare();
        kafka.restart().await;
        kafka
    }

    /// The same on a disk that [`Kafka::fill_disk`] fills. Needs a C compiler.
    pub async fn start_on_a_small_disk() -> Self {
        let mut kafka = Self::prepare();
        kafka.disk = Some(Disk::within(&kafka.folder));
        kafka.restart().await;
        kafka
    }

    /// A broker that does not run yet, at its address.
    ///
    /// # Panics
    /// If its folder cannot be made.
    pub fn prepare() -> Self {
        Self::prepare_guarded(None)
    }

    /// Starts a broker with a second listener that is guarded ([`Kafka::guarded_brokers`]). With TLS this needs openssl.
    pub async fn start_guarded(guard: Guard) -> Self {
        let kafka = Self::prepare_guarded(Some(guard));
        kafka.restart().await;
        kafka
    }

    fn prepare_guarded(guard: Option<Guard>) -> Self {
        let folder = tempfile::Builder::new().prefix("onsale-kafka-").tempdir().expect("a temporary folder");
        let folder = folder.keep().canonicalize().expect("a folder that is there");
        std::fs::create_dir(folder.join("data")).expect("a folder for data");
        let watchdog = Watchdog::over(&folder);
        let (port, controller, process) = (Port::free(), Port::free(), Mutex::new(None));
        let (guarded, libraries) = (Port::free(), libraries());
        let keys = guard.filter(|guard| guard.encrypts).map(|_| Keys::make(&folder));
        let kafka = Self { folder, port, controller, guarded, keys, libraries, process, disk: None, watchdog };
        let (port, controller, guarded) = (kafka.port.address(), kafka.controller.address(), kafka.guarded.address());
        let (second, guards) = match guard {
            Some(guard) => {
                let keys = kafka.keys.clone();
                (format!(",GUARDED://{guarded}"), guard.settings(keys.as_ref()))
            }
            None => {
                let map = "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n";
                (String::new(), map.to_owned())
            }
        };
        let settings = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@{controller}\n\
             listeners=PLAINTEXT://{port},CONTROLLER://{controller}{second}\n\
             advertised.listeners=PLAINTEXT://{port}{second}\ncontroller.listener.names=CONTROLLER\n{guards}\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\nlog.dirs={}\n",
            kafka.folder.join("data/log").display()
        );
        std::fs::write(kafka.folder.join("data/server.properties"), settings).expect("settings can be written");
        let id = "MkU3OEVBNTcwNTJENDM2Qg";
        let mut format = kafka.java(&["kafka.tools.StorageTool", "format", "-t", id, "-c", "server.properties"]);
        let format = format.args(guard.map(Guard::format_arguments).unwrap_or_default()).output();
        let format = format.expect("java starts");
        assert!(format.status.success(), "{}", String::from_utf8_lossy(&format.stderr));
        kafka
    }

    fn java(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("java");
        command.args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]);
        command.arg(format!("{}/*", self.libraries.display())).args(arguments);
        command.current_dir(self.folder.join("data")).stdin(Stdio::null());
        if let Some(disk) = &self.disk {
            disk.under(&mut command);
        }
        command
    }

    /// Fills the disk: no file of the broker grows any more, and it ends when it notices.
    ///
    /// # Panics
    /// If it was not started on a small disk.
    pub fn fill_disk(&self) {
        self.disk.as_ref().expect("a small disk").fill();
    }

    /// There is room again; a broker that ended has to be started.
    ///
    /// # Panics
    /// If the disk is not full.
    pub fn free_disk(&self) {
        self.disk.as_ref().expect("a small disk").free();
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// If it goes on.
    pub async fn has_ended(&self) {
        let is_over = || {
            let mut process = self.process.lock().unwrap();
            process.as_mut().is_none_or(|process| matches!(process.try_wait(), Ok(Some(_))))
        };
        let ending = async {
            while !is_over() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, ending).await.expect("the broker ends");
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Its address as a setting.
    pub fn brokers(&self) -> String {
        self.address().to_string()
    }

    /// The address of its guarded listener as a setting.
    pub fn guarded_brokers(&self) -> String {
        self.guarded.address().to_string()
    }

    /// The keys of its guarded listener, if that encrypts.
    ///
    /// # Panics
    /// If it does not.
    pub fn keys(&self) -> &Keys {
        self.keys.as_ref().expect("a listener that encrypts")
    }

    /// Grants a right to [`USER`].
    ///
    /// # Panics
    /// If the broker refuses.
    pub fn grant(&self, resource: Resource, name: &str, right: Right) {
        rights::grant(self.address(), USER, resource, name, right);
    }

    /// Kills it with SIGKILL. Does nothing if it is not running.
    pub async fn kill(&self) {
        self.home().kill().await;
        if let Some(mut process) = self.process.lock().unwrap().take() {
            drop(process.wait());
        }
    }

    /// Kills it where it runs, and starts it with the data that it had. Returns when it listens.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&self) {
        self.kill().await;
        let mut broker = self.java(&["kafka.Kafka", "server.properties"]);
        broker.stdout(Stdio::null()).stderr(Stdio::null());
        *self.process.lock().unwrap() = Some(broker.spawn().expect("java starts"));
        let listens = async {
            while tokio::net::TcpStream::connect(self.address()).await.is_err() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, listens).await.expect("the broker listens in time");
    }

    /// Freezes it with SIGSTOP: connections stay, nothing is answered.
    pub async fn pause(&self) {
        self.home().freeze().await;
    }

    /// Lets it go on.
    pub async fn resume(&self) {
        self.home().thaw().await;
    }

    /// The ids of its processes now: one, where it runs.
    pub fn processes(&self) -> Vec<u32> {
        self.home().ids()
    }

    fn home(&self) -> Processes {
        Processes::of(&self.folder.join("data"))
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        // First, as it kills the process that the next line waits for.
        self.watchdog.clean_up();
        if let Some(mut process) = self.process.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(process.wait());
        }
    }
}
