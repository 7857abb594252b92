//! Behind PgBouncer in transaction mode: refused at once, in words that name it.

use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use onsale_testing::postgres::{Server, shared};
use onsale_testing::{Sale, without};
use tokio::net::{TcpSocket, TcpStream};

use crate::many::database;
use crate::support::{ONSALE, until};

/// A running PgBouncer. Ends with the test, however that ends.
struct Bouncer {
    process: Child,
    address: SocketAddr,
    /// Bound and never listened on, so that no other process gets the port.
    _port: TcpSocket,
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn program() -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&folders).map(|folder| folder.join("pgbouncer"));
    found.find(|path| path.exists()).unwrap_or_else(|| "/usr/sbin/pgbouncer".into())
}

impl Bouncer {
    /// Starts it before a server, in transaction mode and with one more setting, as the user that the server runs as:
    /// it refuses to be root. It works in the server's own folder, and so is cleared away with it.
    async fn start(server: &Server, name: &str, setting: &str) -> Self {
        let port = TcpSocket::new_v4().unwrap();
        port.set_reuseaddr(true).unwrap();
        port.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let (address, of) = (port.local_addr().unwrap(), server.address());
        let data = server.sql("postgres").await.query_one("SHOW data_directory", &[]).await.unwrap();
        let data = PathBuf::from(data.get::<_, String>(0));
        let (folder, owner) = (data.join("..").join(name), std::fs::metadata(&data).unwrap());
        std::fs::create_dir(&folder).unwrap();
        let (log, file) = (folder.join("log"), folder.join("pgbouncer.ini"));
        let settings = format!(
            "[databases]\n* = host={} port={} user=postgres\n[pgbouncer]\nlisten_addr = {}\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\nlogfile = {}\n{setting}\n",
            of.ip(),
            of.port(),
            address.ip(),
            address.port(),
            log.display()
        );
        std::fs::write(&file, settings).unwrap();
        chown(&folder, Some(owner.uid()), Some(owner.gid())).unwrap();
        let mut command = Command::new(program());
        command.arg(&file).current_dir(&data).uid(owner.uid()).gid(owner.gid());
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut bouncer = Self { process: process.expect("pgbouncer starts"), address, _port: port };
        until("pgbouncer listens", async || {
            let ended = bouncer.process.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", std::fs::read_to_string(&log).unwrap_or_default());
            TcpStream::connect(address).await.ok()
        })
        .await;
        bouncer
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_pgbouncer_nothing_starts_and_the_log_names_the_reason() {
    if without("pgbouncer") {
        return;
    }
    let Some(database) = database().await else { return };
    // The second one hides that it drops the settings of our connections.
    for (name, setting) in [("strict", ""), ("lax", "ignore_startup_parameters = options")] {
        let bouncer = Bouncer::start(shared().await, name, setting).await;
        let launch = Sale::launch(ONSALE).on(database.url_at(bouncer.address));
        for command in [&["serve"][..], &["audit"], &["migrate"], &["events"]] {
            let run = launch.run(command).await;
            let said = String::from_utf8_lossy(&run.stderr);
            assert_eq!(run.status.code(), Some(1), "{name}, {command:?}: {said}");
            assert!(said.contains("PgBouncer, behind which onsale does not work"), "{name}, {command:?}: {said}");
            assert!(run.stdout.is_empty(), "no port is bound");
            println!("{name}: {}", said.lines().last().unwrap_or_default());
        }
    }
    // The same database without it.
    let sale = Sale::start(&Sale::launch(ONSALE).on(database.url())).await;
    sale.charge("ada", 1).await;
}
