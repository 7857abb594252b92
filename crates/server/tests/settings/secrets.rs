//! Secrets by file, as containers are handed them; and the health check that needs no other program.

use onsale_testing::Sale;
use serde_json::json;

use super::{assert_bad, launch, said, taken_port, write};
use crate::support::ONSALE;

#[tokio::test]
async fn a_variable_may_name_a_file_with_the_value() {
    let launch = launch();
    write(&launch, "admin_key", "a-key-from-a-file\n");
    let path = launch.folder().join("admin_key");
    let server = launch.set("ONSALE_ADMIN_KEY_FILE", path.display()).start().await;
    let caller = onsale_testing::Caller::new(server.base());
    let body = json!({"title": "A lecture", "startsAt": "2100-01-01T00:00:00.000Z"});
    let made = caller.post("/admin/lectures").json(&body);
    made.bearer("a-key-from-a-file").expect(201).await;
    assert!(!server.log().contains("ONSALE_ADMIN_KEY_FILE"), "it is no unknown variable: {}", server.log());
}

#[tokio::test]
async fn a_file_that_cannot_be_read_or_is_one_too_many_is_named() {
    let (_listener, address) = taken_port();
    let missing = launch().set("ONSALE_LISTEN", &address).set("ONSALE_ADMIN_KEY_FILE", "nowhere/key");
    assert_bad(&missing.run(&["serve"]).await, &["ONSALE_ADMIN_KEY_FILE", "nowhere/key"]);
    let both = launch().set("ONSALE_LISTEN", &address).set("ONSALE_ADMIN_KEY", "one-of-two-keys");
    write(&both, "key", "another");
    let path = both.folder().join("key");
    let run = both.set("ONSALE_ADMIN_KEY_FILE", path.display()).run(&["serve"]).await;
    assert_bad(&run, &["ONSALE_ADMIN_KEY_FILE", "and ONSALE_ADMIN_KEY are both set"]);
    assert!(!said(&run).contains("another"), "a secret is not shown");
    let bad = launch().set("ONSALE_LISTEN", &address);
    write(&bad, "key", "two words");
    let path = bad.folder().join("key");
    let run = bad.set("ONSALE_ADMIN_KEY_FILE", path.display()).run(&["serve"]).await;
    assert_bad(&run, &["ONSALE_ADMIN_KEY_FILE"]);
    assert!(!said(&run).contains("two words"), "a secret is not shown");
}

#[tokio::test]
async fn health_asks_the_server_that_listens_there() {
    let sale = Sale::start(&Sale::launch(ONSALE)).await;
    let address = sale.instance.base().trim_start_matches("http://").to_owned();
    let port = address.rsplit(':').next().unwrap_or_default();
    for listen in [address.as_str(), &format!("0.0.0.0:{port}")] {
        let run = launch().set("ONSALE_AUTH", "open-anywhere").set("ONSALE_LISTEN", listen).run(&["health"]).await;
        assert!(run.status.success(), "{listen}: {}", said(&run));
    }
    drop(sale);
    let run = launch().set("ONSALE_LISTEN", &address).run(&["health"]).await;
    assert_eq!(run.status.code(), Some(1), "{}", said(&run));
    assert!(said(&run).contains(&address), "{}", said(&run));
}
