//! The file of a sale: URLs that name one, and ways around the lock that one server holds on it.

use std::os::unix::fs::symlink;

use onsale_testing::{Launch, Sale};

use super::support::ONSALE;
use super::{assert_bad, files, launch, said};

const COMMANDS: [&str; 6] = ["serve", "migrate", "seed", "audit", "events", "consume"];

fn on(url: &str) -> Launch {
    launch().set("ONSALE_LISTEN", "127.0.0.1:0").on(url)
}

#[tokio::test]
async fn a_url_that_names_no_file_is_refused_and_makes_none() {
    let urls = [
        "sqlite://",
        "sqlite://:memory:",
        "sqlite::memory:",
        "sqlite://x.db?mode=ro",
        "sqlite://x.db?mode=memory&cache=shared",
        "sqlite://file:x.db",
        "file:x.db",
        "file:x.db?mode=ro",
        "sqlite://x.db#y",
        "sqlite://100%.db",
        "sqlite://%00.db",
        "sqlite://C:\\sale\\x.db",
        "sqlite:///C:/sale/x.db",
        "sqlite://x.db ",
        "sqlite://a-folder/",
        "sqlite://.",
    ];
    for url in urls {
        for command in COMMANDS {
            let launch = on(url);
            std::fs::create_dir(launch.folder().join("a-folder")).unwrap();
            let before = files(&launch);
            assert_bad(&launch.run(&[command]).await, &["ONSALE_DATABASE_URL", "use sqlite://FILE"]);
            assert_eq!(files(&launch), before, "{url}, {command}");
        }
    }
}

#[tokio::test]
async fn names_are_decoded() {
    for (url, name) in [
        ("sqlite://my%20sale.db", "my sale.db"),
        ("sqlite:short.db", "short.db"),
        ("sqlite://what%3F.db", "what?.db"),
        ("SQLITE://%ED%91%9C.db", "표.db"),
    ] {
        let launch = on(url);
        let run = launch.run(&["migrate"]).await;
        assert!(run.status.success(), "{url}: {}", said(&run));
        assert!(files(&launch).contains(&name.to_owned()), "{url}: {:?}", files(&launch));
    }
}

#[tokio::test]
async fn folders_devices_and_hard_links_are_refused() {
    for command in COMMANDS {
        let launch = on("sqlite://sale.db");
        std::fs::create_dir(launch.folder().join("sale.db")).unwrap();
        let before = files(&launch);
        assert_bad(&launch.run(&[command]).await, &["ONSALE_DATABASE_URL", "sale.db", "folder"]);
        assert_eq!(files(&launch), before);
        assert_bad(&on("sqlite:///dev/null").run(&[command]).await, &["ONSALE_DATABASE_URL", "/dev/null"]);
        let launch = on("sqlite://sale.db");
        symlink("nowhere.db", launch.folder().join("sale.db")).unwrap();
        assert_bad(&launch.run(&[command]).await, &["sale.db", "symbolic link"]);
        assert!(!launch.folder().join("nowhere.db").exists());
    }
}

#[tokio::test]
async fn another_name_for_the_file_is_no_way_around_the_lock() {
    let launch = Sale::launch(ONSALE).on("sqlite://sale.db");
    let sale = Sale::start(&launch).await;
    sale.charge("ada", 5).await;
    let folder = launch.folder().to_owned();
    let elsewhere = on("sqlite://x.db");
    symlink(folder.join("sale.db"), elsewhere.folder().join("x.db")).unwrap();
    symlink(&folder, elsewhere.folder().join("folder")).unwrap();
    for url in ["sqlite://x.db", "sqlite://folder/sale.db", "sqlite://./folder/./sale.db"] {
        for command in ["serve", "migrate", "seed"] {
            let run = elsewhere.run(&[command, "--database-url", url]).await;
            assert_eq!(run.status.code(), Some(1), "{url}: {}", said(&run));
            assert!(said(&run).contains("already works on this file"), "{url}: {}", said(&run));
        }
        let audit = elsewhere.run(&["audit", "--database-url", url]).await;
        assert!(audit.status.success(), "beside the server: {}", said(&audit));
    }
    // Through a hard link SQLite would not even find its log.
    std::fs::hard_link(folder.join("sale.db"), folder.join("hard.db")).unwrap();
    for command in COMMANDS {
        assert_bad(&launch.run(&[command, "--database-url=sqlite://hard.db"]).await, &["hard.db", "hard links"]);
    }
    assert_eq!(sale.charge("ada", 5).await["balance"], 10, "the server goes on");
    let left = files(&elsewhere);
    assert!(!left.iter().any(|name| name.ends_with(".lock") || name.ends_with("-wal")), "{left:?}");
}
