//! `deploy/backup` makes backups while a sale runs. Each is restored, served from and audited.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use onsale_testing::postgres::{Server, Setup};
use onsale_testing::{Launch, PATIENCE, Sale, Workload, without};
use tokio::process::Command;

use crate::files;
use crate::support::{ONSALE, start, until};

/// The folder of Postgres' programs: the newest that are installed, as the servers of these tests are.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut versions: Vec<u32> = versions.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    versions.sort_unstable();
    Some(Path::new("/usr/lib/postgresql").join(versions.pop()?.to_string()).join("bin"))
}

fn on_path(program: &str) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    let first = programs().map(|folder| format!("{}:", folder.display())).unwrap_or_default();
    command.env("PATH", format!("{first}{path}")).kill_on_drop(true);
    command
}

/// The script with these arguments in this folder, and these variables.
async fn backup(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = on_path(files::path("deploy/backup").to_str().unwrap());
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("ONSALE_DATABASE_URL")
        .env_remove("ONSALE_DATABASE_URL_FILE");
    let run = command.envs(variables.iter().copied()).output();
    tokio::time::timeout(PATIENCE, run).await.expect("an end in time").unwrap()
}

/// The single file that a run named. It is complete, and readable only by its owner.
fn made(folder: &Path, run: &Output) -> PathBuf {
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let path = folder.join(String::from_utf8(run.stdout.clone()).unwrap().trim());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    path
}

fn left(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Backs up a sale while it runs. The audit of the backup passes, and a server sells from it.
async fn beside_a_sale<T>(sale: &Sale, take: impl AsyncFnOnce() -> (String, T)) {
    let load = Workload::prepare(sale, 8, 0xBAC).await.start(&sale.caller);
    let sold = async || {
        let shown = sale.caller.get("/metrics").send().await;
        let shown = String::from_utf8(shown.body.to_vec()).unwrap();
        let commands = shown.lines().filter(|line| line.starts_with("onsale_desk_wait_seconds_count"));
        let commands: u64 = commands.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
        (commands > 100).then_some(())
    };
    until("the sale goes on", sold).await;
    let (copy, _kept) = take().await;
    let load = load.stop().await;
    assert_eq!(load.unanswered(), 0, "the sale went on");
    let launch = Sale::launch(ONSALE).on(copy);
    let audit = launch.run(&["audit"]).await;
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    let restored = Sale::start(&launch).await;
    restored.charge("a-new-user", 5).await;
    let audit = launch.run(&["audit"]).await;
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_backed_up_during_a_sale() {
    if without("sqlite3") {
        return;
    }
    let sale = start(&[]).await;
    let folder = sale.instance.folder();
    beside_a_sale(&sale, async || {
        let run = backup(folder, &[("ONSALE_DATABASE_URL", "sqlite://%6Fnsale.db")], &["kept backups"]).await;
        let path = made(folder, &run);
        assert_eq!(left(&folder.join("kept backups")).len(), 1);
        (format!("sqlite://{}", path.display()), ())
    })
    .await;
}

/// Runs one of Postgres' programs, which must succeed.
async fn postgres(program: &str, arguments: &[&str]) {
    let run = on_path(program).args(arguments).output();
    let run = tokio::time::timeout(PATIENCE, run).await.expect("an end in time").unwrap();
    assert!(run.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_dumped_during_a_sale() {
    if without("postgres") || onsale_testing::absent(programs().is_some(), "Postgres' programs in /usr/lib/postgresql")
    {
        return;
    }
    let (server, other) = (Setup::unsynced().start().await, Setup::unsynced().start().await);
    let database = server.migrated(ONSALE).await;
    let launch = Sale::launch(ONSALE).on(database.url());
    let sale = Sale::start(&launch).await;
    let folder = sale.instance.folder();
    beside_a_sale(&sale, async || {
        // The URL is in a file, as Kubernetes mounts a secret.
        std::fs::write(folder.join("database_url"), format!("{}\n", database.url())).unwrap();
        let run = backup(folder, &[("ONSALE_DATABASE_URL_FILE", "database_url")], &["backups"]).await;
        let path = made(folder, &run);
        // Into another server than that of the sale.
        let target = other.empty_database().await;
        postgres("pg_restore", &["--no-owner", "--exit-on-error", "--dbname", &target.url(), path.to_str().unwrap()])
            .await;
        (target.url(), target)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_backup_holds_the_whole_cluster() {
    if without("postgres") || onsale_testing::absent(programs().is_some(), "Postgres' programs in /usr/lib/postgresql")
    {
        return;
    }
    let server: Server = Setup::unsynced().start().await;
    let launch = Launch::new(ONSALE);
    let url = server.url("postgres");
    let run = backup(launch.folder(), &[("ONSALE_DATABASE_URL", &url)], &["--base", "backups"]).await;
    let path = made(launch.folder(), &run);
    let files = left(&path);
    for file in ["base.tar.gz", "pg_wal.tar.gz"] {
        assert!(files.iter().any(|found| found == file), "{files:?}");
    }
    // A backup in tar files is checked once they are unpacked.
    let data = path.join("data");
    std::fs::create_dir(&data).unwrap();
    for (file, into) in [("base.tar.gz", data.clone()), ("pg_wal.tar.gz", data.join("pg_wal"))] {
        postgres("tar", &["-xzf", path.join(file).to_str().unwrap(), "-C", into.to_str().unwrap()]).await;
    }
    std::fs::copy(path.join("backup_manifest"), data.join("backup_manifest")).unwrap();
    postgres("pg_verifybackup", &[data.to_str().unwrap()]).await;
}

/// Replacements of Postgres' programs that record their arguments.
fn noting(folder: &Path) {
    for program in ["pg_dump", "pg_restore"] {
        let script = "#!/bin/sh\necho \"$0 $*\" >>called\necho \"$PGPASSWORD\" >>passwords\n\
            for word; do case $word in --file=/dev/null) ;; --file=*) echo dump >\"${word#--file=}\" ;; esac; done\n\
            case $* in *--list*) echo '1; 0 1 TABLE DATA public ledger owner' ;; esac\n";
        let path = folder.join(program);
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn backups_pass_no_password_on_a_command_line() {
    let launch = Launch::new(ONSALE);
    let folder = launch.folder();
    noting(folder);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let urls = [
        (
            "postgres://onsale:s%40cr%2Fe%25t@db:5432/sale?sslmode=require",
            "s@cr/e%t",
            "postgres://onsale@db:5432/sale?sslmode=require",
        ),
        ("postgresql://onsale:p:w@a,b/sale", "p:w", "postgresql://onsale@a,b/sale"),
        ("postgres://onsale@db/sale", "", "postgres://onsale@db/sale"),
        ("postgres://db/sale?application_name=a@b", "", "postgres://db/sale?application_name=a@b"),
    ];
    for (url, password, shown) in urls {
        let _ = std::fs::remove_file(folder.join("called"));
        let _ = std::fs::remove_file(folder.join("passwords"));
        let run = backup(folder, &[("ONSALE_DATABASE_URL", url), ("PATH", &path)], &["backups"]).await;
        made(folder, &run);
        let called = std::fs::read_to_string(folder.join("called")).unwrap();
        assert!(called.contains(&format!("--dbname={shown} ")), "{url}: {called}");
        let passwords = std::fs::read_to_string(folder.join("passwords")).unwrap();
        assert_eq!(passwords.lines().next(), Some(password), "{url}");
        assert!(password.is_empty() || !called.contains(password), "{called}");
    }
}

/// Variables and arguments of a refused call, its exit code, and a text of its message.
type Refused<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], i32, &'a str);

#[tokio::test]
async fn a_failed_backup_names_the_cause_and_leaves_no_file() {
    let launch = Launch::new(ONSALE);
    let folder = launch.folder();
    std::fs::write(folder.join("diary.txt"), "Dear diary").unwrap();
    let table: [Refused<'_>; 10] = [
        (&[], &["backups"], 2, "ONSALE_DATABASE_URL"),
        (&[("ONSALE_DATABASE_URL", "sqlite://onsale.db")], &[], 2, "usage"),
        (&[("ONSALE_DATABASE_URL", "sqlite://onsale.db")], &["--base", "backups"], 2, "--base"),
        (&[("ONSALE_DATABASE_URL", "mysql://db/sale")], &["backups"], 2, "postgres://"),
        (&[("ONSALE_DATABASE_URL", "postgres://db/sale?password=x")], &["backups"], 2, "password"),
        (&[("ONSALE_DATABASE_URL_FILE", "missing")], &["backups"], 2, "missing"),
        (
            &[("ONSALE_DATABASE_URL", "sqlite://onsale.db"), ("BACKUP_KEEP_DAYS", "a week")],
            &["backups"],
            2,
            "BACKUP_KEEP_DAYS",
        ),
        (&[("ONSALE_DATABASE_URL", "sqlite://onsale.db?mode=ro")], &["backups"], 2, "parameters"),
        (&[("ONSALE_DATABASE_URL", "sqlite://onsale.db")], &["backups"], 1, "no such file"),
        (&[("ONSALE_DATABASE_URL", "sqlite://diary.txt")], &["backups"], 1, "sqlite3 failed"),
    ];
    for (variables, arguments, code, named) in table {
        let run = backup(folder, variables, arguments).await;
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(code), "{variables:?}: {said}");
        assert!(said.contains(named) && run.stdout.is_empty(), "{variables:?}: {said}");
        assert_eq!(left(&folder.join("backups")), Vec::<String>::new(), "{variables:?}");
    }
    if without("postgres") {
        return;
    }
    let run = backup(folder, &[("ONSALE_DATABASE_URL", "postgres://postgres@127.0.0.1:1/sale")], &["backups"]).await;
    assert_eq!(run.status.code(), Some(1));
    // A database of another program.
    let empty = onsale_testing::postgres::shared().await.empty_database().await;
    let run = backup(folder, &[("ONSALE_DATABASE_URL", &empty.url())], &["backups"]).await;
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.code() == Some(1) && said.contains("ledger"), "{said}");
    assert_eq!(left(&folder.join("backups")), Vec::<String>::new());
}

#[tokio::test]
async fn old_backups_are_deleted_after_a_new_one_is_complete() {
    if without("sqlite3") {
        return;
    }
    let launch = Launch::new(ONSALE).set("ONSALE_DATABASE_URL", "sqlite://onsale.db");
    assert!(launch.run(&["migrate"]).await.status.success());
    let folder = launch.folder();
    let backups = folder.join("backups");
    std::fs::create_dir(&backups).unwrap();
    let (old, young, foreign) = ("onsale-20250101T000000Z.db", "onsale-20250102T000000Z.dump", "diary-20250101.db");
    for (name, days) in [(old, 20), (young, 3), (foreign, 20)] {
        let file = std::fs::File::create(backups.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(days * 86_400)).unwrap();
    }
    let keep = ("BACKUP_KEEP_DAYS", "14");
    let failed = backup(folder, &[("ONSALE_DATABASE_URL", "sqlite://none.db"), keep], &["backups"]).await;
    assert_eq!(failed.status.code(), Some(1));
    assert!(left(&backups).contains(&old.to_owned()), "without a new backup the old ones stay");
    let path =
        made(folder, &backup(folder, &[("ONSALE_DATABASE_URL", "sqlite://onsale.db"), keep], &["backups"]).await);
    let new = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(left(&backups), [foreign, young, new]);
}
