//! `compose.yaml`: settings, secrets and limits fit each other and the other files.

use std::process::Command;

use onsale_testing::without;
use serde_json::{Value, json};

use crate::files;
use crate::tools::missing;

/// The services by name.
async fn services() -> serde_json::Map<String, Value> {
    let found = files::yaml(&["compose.yaml".to_owned()]).await;
    found[0]["services"].as_object().unwrap().clone()
}

#[tokio::test]
async fn the_overlay_for_tls_changes_services_that_exist() {
    if missing("python") {
        return;
    }
    let found = files::yaml(&["compose.tls.yaml".to_owned()]).await;
    let overlay = found[0]["services"].as_object().unwrap();
    let services = services().await;
    assert!(overlay.contains_key("load-balancer"), "{overlay:?}");
    for name in overlay.keys() {
        assert!(services.contains_key(name), "compose.yaml has no service {name}");
    }
}

#[tokio::test]
async fn every_variable_and_secret_of_compose_exists() {
    if missing("python") {
        return;
    }
    let variables = files::variables().await;
    let made = files::text("deploy/secrets");
    for (name, service) in services().await {
        let is_ours = service["image"] == "onsale:local";
        let environment = service["environment"].as_object().cloned().unwrap_or_default();
        let mounted: Vec<&str> =
            service["secrets"].as_array().into_iter().flatten().map(|secret| secret.as_str().unwrap()).collect();
        for secret in &mounted {
            assert!(made.contains(&format!("keep {secret} ")), "{name}: deploy/secrets makes no {secret}");
        }
        for (variable, value) in environment.iter().filter(|_| is_ours) {
            assert!(variables.contains(variable), "{name}: {variable} is no setting");
            if variable.ends_with("_FILE") {
                let file = value.as_str().unwrap().strip_prefix("/run/secrets/").unwrap();
                assert!(mounted.contains(&file), "{name} has no secret {file}");
            }
        }
    }
}

/// The root of a container is read-only. Its temporary files, which CSV exports need, are memory, so they have a limit.
#[tokio::test]
async fn temporary_files_of_servers_are_bounded() {
    if missing("python") {
        return;
    }
    for (name, service) in services().await.iter().filter(|(name, _)| name.starts_with("onsale-")) {
        assert_eq!(
            (&service["read_only"], &service["tmpfs"]),
            (&Value::Bool(true), &json!(["/tmp:size=64m"])),
            "{name}"
        );
    }
}

#[tokio::test]
async fn connection_limits_fit_the_memory_and_the_balancer() {
    if missing("python") {
        return;
    }
    let services = services().await;
    let instance = &services["onsale-1"];
    let max = instance["environment"]["ONSALE_CONNECTIONS_MAX"].as_str().expect("a bound");
    files::assert_fits(max, instance["deploy"]["resources"]["limits"]["memory"].as_str().unwrap());
    for file in ["deploy/haproxy.cfg", "deploy/haproxy-tls.cfg"] {
        let text = files::text(file);
        let lines = text.lines().filter(|line| line.contains("default-server"));
        let numbers = lines.map(|line| line.split("maxconn ").nth(1).unwrap().split(' ').next().unwrap());
        // The balancer queues what an instance would refuse; checks of health need a connection too.
        let per_server: u32 = numbers.map(|number| number.parse::<u32>().unwrap()).sum();
        let max: u32 = max.parse().unwrap();
        assert!(per_server < max, "{file}: {per_server} of {max}");
    }
}

/// One list of proxies, with commas: the instances and HAProxy both read it, each in its own form.
#[tokio::test]
async fn the_addresses_of_proxies_are_written_in_one_place() {
    if missing("python") || without("haproxy") {
        return;
    }
    let services = services().await;
    let trusted = services["onsale-1"]["environment"]["ONSALE_TRUSTED_PROXIES"].as_str().unwrap();
    assert_eq!(trusted, "172.29.8.2${TRUSTED_PROXIES:+,}${TRUSTED_PROXIES:-}");
    let balancer = &services["load-balancer"];
    assert_eq!(balancer["networks"]["default"]["ipv4_address"], "172.29.8.2");
    assert_eq!(balancer["environment"]["TRUSTED_PROXIES"], "${TRUSTED_PROXIES:-}");
    let command: Vec<String> = serde_json::from_value(balancer["command"].clone()).unwrap();
    assert_eq!(command[..2], ["sh", "-c"]);
    let (file, here) = ("/usr/local/etc/haproxy/haproxy.cfg", files::path("deploy/haproxy.cfg"));
    // The same command, but HAProxy only checks its configuration.
    let script = command[2].replace("$$", "$").replace(file, &here.display().to_string()).replace("-W -db", "-c");
    assert!(script.contains("haproxy -c -f "), "{script}");
    for (list, is_valid) in [("", true), ("10.0.0.1", true), ("10.0.0.1,10.1.0.0/16,fd00::/8", true), ("shop", false)] {
        let mut sh = Command::new("sh");
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
        let run = sh.args(["-c", &script]).env("TRUSTED_PROXIES", list).env("PATH", path).output().unwrap();
        assert_eq!(run.status.success(), is_valid, "{list:?}: {}", String::from_utf8_lossy(&run.stderr));
    }
}
