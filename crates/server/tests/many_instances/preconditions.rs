//! A database or a server on which a sale cannot work is refused at the start, with the reason.

use onsale_testing::postgres::{Setup, shared, sql, url};
use onsale_testing::{Sale, without};

use crate::support::ONSALE;

/// Everything that would work on a database.
const COMMANDS: [&[&str]; 5] = [&["serve"], &["migrate"], &["audit"], &["events"], &["events", "retry"]];

/// Runs a command that must fail. Returns its standard error.
async fn refused(url: &str, arguments: &[&str]) -> String {
    let run = Sale::launch(ONSALE).on(url.to_owned()).run(arguments).await;
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(1), "{arguments:?}: {said}");
    // How many dead letters were put back is said in any case.
    assert!(run.stdout.is_empty() || arguments.contains(&"retry"), "{arguments:?}: no port is bound");
    said.lines().last().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_not_in_utf8_is_refused() {
    if without("postgres") {
        return;
    }
    let server = shared().await;
    let admin = server.sql("postgres").await;
    for encoding in ["LATIN1", "SQL_ASCII", "EUC_KR"] {
        let name = format!("encoded_in_{}", encoding.to_lowercase());
        let make =
            format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'");
        admin.batch_execute(&make).await.unwrap();
        for command in COMMANDS {
            let said = refused(&server.url(&name), command).await;
            assert!(said.contains(&format!("encoded in {encoding}")) && said.contains("UTF8"), "{command:?}: {said}");
        }
        let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
        let made: i64 = server.sql(&name).await.query_one(tables, &[]).await.unwrap().get(0);
        assert_eq!(made, 0, "{encoding}: nothing was made");
        admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_writes_is_refused() {
    if without("postgres") {
        return;
    }
    let primary = Setup::unsynced().start().await;
    let database = primary.migrated(ONSALE).await;
    let standby = primary.standby("heir").await;
    let there = url(standby.address(), database.name());
    for command in COMMANDS.into_iter().filter(|command| *command != ["audit"]) {
        let said = refused(&there, command).await;
        assert!(said.contains("takes no writes") && said.contains("standby"), "{command:?}: {said}");
    }
    // What only reads may read there, and keeps no dead rows on the primary.
    let audit = Sale::launch(ONSALE).on(there).run(&["audit"]).await;
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    // Of several servers the one that takes writes is found.
    let both = format!("postgres://postgres@{},{}/{}", standby.address(), primary.address(), database.name());
    let run = Sale::launch(ONSALE).on(both).run(&["migrate"]).await;
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    primary.set("default_transaction_read_only", "on").await;
    let said = refused(&database.url(), &["serve"]).await;
    assert!(said.contains("default_transaction_read_only"), "{said}");
    primary.set("default_transaction_read_only", "off").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_the_rights_is_refused() {
    if without("postgres") {
        return;
    }
    let server = shared().await;
    let (database, empty) = (server.migrated(ONSALE).await, server.empty_database().await);
    let role = format!("clerk_{}", database.name());
    let admin = database.sql().await;
    admin.batch_execute(&format!("CREATE ROLE {role} LOGIN")).await.unwrap();
    let at = |url: String| url.replace("postgres@", &format!("{role}@"));
    // It may not make tables, and may not read those that are there.
    let said = refused(&at(empty.url()), &["serve"]).await;
    assert!(said.contains("permission denied for schema"), "{said}");
    let said = refused(&at(database.url()), &["serve"]).await;
    assert!(said.contains("permission denied") || said.contains("may not read"), "{said}");
    // It may do everything but write into one table.
    admin
        .batch_execute(&format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}; REVOKE INSERT ON ledger FROM {role}"
        ))
        .await
        .unwrap();
    let said = refused(&at(database.url()), &["serve"]).await;
    assert!(said.contains("may not read and write the table ledger"), "{said}");
    admin.batch_execute(&format!("GRANT INSERT ON ledger TO {role}")).await.unwrap();
    let sale = Sale::start(&Sale::launch(ONSALE).on(at(database.url()))).await;
    sale.charge("ada", 7).await;
    drop(sale);
    let admin = sql(&server.url("postgres")).await;
    // Its rights keep a role from being dropped; it goes with the server.
    admin.batch_execute(&format!("ALTER ROLE {role} NOLOGIN")).await.unwrap();
}
