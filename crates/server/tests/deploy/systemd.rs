//! The units: accepted by `systemd-analyze verify`, hardened, and each command line runs as written.

use std::path::Path;
use std::process::Command;

use onsale_testing::postgres::shared;
use onsale_testing::{Launch, without};

use crate::files;
use crate::natively::Given;
use crate::support::{ONSALE, until};

const FOLDER: &str = "deploy/systemd";
const PROGRAM: &str = "/usr/local/bin/onsale";
const BACKUP: &str = "/usr/local/lib/onsale/backup";

/// The worst exposure that `systemd-analyze security` may find, of 10.
const EXPOSURE_MAX: f64 = 2.0;

/// A unit: its lines of settings.
struct Unit(Vec<(String, String)>);

impl Unit {
    fn read(name: &str) -> Self {
        let text = files::text(&format!("{FOLDER}/{name}"));
        let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        Self(lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    fn all(&self, key: &'static str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(found, _)| found == key).map(|(_, value)| value.as_str())
    }

    fn one(&self, key: &'static str) -> &str {
        self.all(key).last().unwrap_or_else(|| panic!("no {key}"))
    }

    /// What the program is given: the file of settings counts more than `Environment`, as systemd reads it.
    fn given(&self, instance: &str) -> Given {
        let mut given = Given::default();
        let pairs = self.all("Environment").flat_map(str::split_whitespace).map(str::to_owned);
        let file = self
            .all("EnvironmentFile")
            .map(|file| files::text(&format!("{FOLDER}/{}", file.strip_prefix("/etc/onsale/").unwrap())));
        let lines = file.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        for pair in pairs.chain(lines.filter(|line| !line.is_empty() && !line.starts_with('#'))) {
            let (name, value) = pair.split_once('=').unwrap_or_else(|| panic!("{pair}"));
            given.variables.insert(name.to_owned(), value.replace("%i", instance));
        }
        let mut words = self.one("ExecStart").split(' ').map(|word| word.replace("%i", instance));
        let program = words.next().unwrap();
        assert!(program == PROGRAM || program == BACKUP, "{program}");
        given.arguments = words.collect();
        given
    }
}

/// Copies of the units in which the programs are those that are there.
fn installed(folder: &Path) -> Vec<std::path::PathBuf> {
    let names = [files::names(FOLDER, ".service"), files::names(FOLDER, ".timer")].concat();
    let copies = names.iter().map(|name| {
        let text = files::text(&format!("{FOLDER}/{name}"));
        let backup = files::path("deploy/backup").display().to_string();
        let copy = folder.join(name.replace("@.", "@8081."));
        std::fs::write(&copy, text.replace(PROGRAM, ONSALE).replace(BACKUP, &backup)).unwrap();
        copy
    });
    copies.collect()
}

#[test]
fn systemd_accepts_every_unit_without_a_warning() {
    if without("systemd") {
        return;
    }
    let launch = Launch::new(ONSALE);
    let units = installed(launch.folder());
    let run = Command::new("systemd-analyze").arg("verify").args(&units).env("LC_ALL", "C").output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    // Units of the machine itself are not ours.
    let folder = launch.folder().display().to_string();
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("onsale") || line.contains(&folder)).collect();
    assert!(run.status.success() && ours.is_empty(), "{said}");
    // The check works: a misspelt setting is a warning.
    let faulty = launch.folder().join("onsale-faulty.service");
    let text = std::fs::read_to_string(&units[0]).unwrap();
    std::fs::write(&faulty, text.replace("NoNewPrivileges", "NoNewPriviledges")).unwrap();
    let run = Command::new("systemd-analyze").arg("verify").arg(&faulty).output().unwrap();
    assert!(String::from_utf8_lossy(&run.stderr).contains("NoNewPriviledges"), "{run:?}");

    for unit in units.iter().filter(|unit| unit.extension().is_some_and(|end| end == "service")) {
        let mut analyze = Command::new("systemd-analyze");
        let run =
            analyze.args(["security", "--no-pager", "--offline=true"]).arg(unit).env("LC_ALL", "C").output().unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        let level = said.split("exposure level for ").nth(1).and_then(|rest| rest.split(": ").nth(1));
        let level: f64 =
            level.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{run:?}"));
        assert!(level <= EXPOSURE_MAX, "{}: {level}", unit.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_units_runs() {
    if without("postgres") {
        return;
    }
    let database = shared().await.migrated(ONSALE).await;
    let variables = files::variables().await;
    for name in files::names(FOLDER, ".service") {
        let unit = Unit::read(&name);
        let given = unit.given("8081");
        let credentials: Vec<&str> = unit
            .all("LoadCredential")
            .map(|line| line.split_once(':').unwrap())
            .map(|(id, path)| {
                assert_eq!(path, format!("/etc/onsale/secrets/{id}"));
                id
            })
            .collect();
        for (variable, value) in &given.variables {
            assert!(variables.contains(variable) || !variable.starts_with("ONSALE_"), "{name}: {variable}");
            let file = variable.ends_with("_FILE").then(|| value.strip_prefix("%d/").unwrap());
            assert!(file.is_none_or(|file| credentials.contains(&file)), "{name}: {variable}={value}");
        }
        if unit.one("ExecStart").starts_with(BACKUP) {
            continue;
        }
        let mut given = given;
        if given.arguments[0] == "relay" {
            // By the comment in the file, a separate relay is for servers with Kafka.
            given.variables.insert("ONSALE_KAFKA_BROKERS".to_owned(), "127.0.0.1:9092".to_owned());
        }
        let running = given.starts(&database.url()).await;
        until(&format!("{name} answers"), async || {
            (running.caller.get("/healthz").try_send().await.ok()?.status == 200).then_some(())
        })
        .await;
        assert!(running.listens.ip().is_loopback(), "{name}");
        running.assert_settings_act();
        running.stops().await;
        assert_eq!(unit.one("RestartPreventExitStatus"), "2", "{name}: a bad setting does not mend itself");
    }
    // One server on SQLite: the same unit, another secret.
    let running = Unit::read("onsale.service").given("").starts("sqlite://onsale.db").await;
    running.caller.get("/readyz").expect(200).await;
    running.stops().await;
}

/// CSV exports write temporary files, although the file system is read-only for a service.
#[test]
fn a_server_has_a_folder_for_temporary_files() {
    for name in ["onsale.service", "onsale@.service"] {
        let unit = Unit::read(name);
        assert_eq!((unit.one("ProtectSystem"), unit.one("PrivateTmp")), ("strict", "true"), "{name}");
    }
}

#[test]
fn the_units_of_two_servers_differ_only_in_the_port() {
    let lines = |name: &str| {
        let Unit(lines) = Unit::read(name);
        let same = |(key, _): &(String, String)| !["Description", "ExecStart"].contains(&key.as_str());
        lines.into_iter().filter(same).collect::<Vec<_>>()
    };
    assert_eq!(lines("onsale.service"), lines("onsale@.service"));
    let unit = Unit::read("onsale@.service");
    assert_eq!(unit.given("8081").arguments, ["serve", "--listen", "127.0.0.1:8081"]);
    let given = Unit::read("onsale.service").given("");
    let drain: u64 = given.variables["ONSALE_DRAIN_SECONDS"].parse().unwrap();
    assert!(unit.one("TimeoutStopSec").parse::<u64>().unwrap() >= drain + 20);
    files::assert_fits("20000", unit.one("MemoryMax"));
    assert!(unit.one("LimitNOFILE").parse::<u32>().unwrap() >= 20_512);
}
