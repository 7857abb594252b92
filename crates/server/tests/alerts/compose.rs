//! The files that `compose.yaml` mounts exist, and scrape targets and backends are its services.

use std::path::{Path, PathBuf};

use crate::watch::shipped;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn compose() -> String {
    std::fs::read_to_string(root().join("compose.yaml")).unwrap()
}

/// Files and folders of this repository, each with its place in a container.
fn mounts(compose: &str) -> Vec<(String, String)> {
    let quoted = compose.split(['"', ' ', '\n']).filter(|word| word.starts_with("./") && word.contains(":/"));
    let mounts = quoted.map(|word| {
        let mut parts = word.split(':');
        (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned())
    });
    mounts.collect()
}

#[test]
fn every_mounted_or_read_file_of_compose_exists() {
    let compose = compose();
    let mounts = mounts(&compose);
    assert!(mounts.len() >= 4, "{mounts:?}");
    for (file, _) in &mounts {
        assert!(root().join(file).exists(), "{file} is mounted and missing");
    }
    let ends = [".cfg", ".yml", ".json"];
    let words = compose.split(['"', ' ', '\n', '=', ',', '[', ']', ':']);
    let read: Vec<&str> =
        words.filter(|word| word.starts_with('/') && ends.iter().any(|end| word.ends_with(end))).collect();
    assert!(read.len() >= 3, "{read:?}");
    for path in read {
        let found =
            mounts.iter().find_map(|(file, place)| Some(format!("{file}{}", path.strip_prefix(place.as_str())?)));
        let file = found.unwrap_or_else(|| panic!("nothing is mounted at {path}"));
        assert!(root().join(&file).exists(), "{path} would be {file}, which is missing");
    }
}

#[test]
fn every_scrape_target_and_backend_is_a_service_on_that_port() {
    let compose = compose();
    let services = compose.split("\nservices:\n").nth(1).expect("services");
    let of = |file: &str| {
        let text = shipped(file);
        let words: Vec<String> = text.split(['"', ' ', '\n', ';', ',', '[', ']']).map(str::to_owned).collect();
        let is_address = |word: &String| {
            word.split_once(':').is_some_and(|(host, port)| {
                host.starts_with(|first: char| first.is_ascii_lowercase()) && port.parse::<u16>().is_ok()
            })
        };
        words.into_iter().filter(is_address).collect::<Vec<_>>()
    };
    for (file, count) in [("prometheus.yml", 5), ("haproxy.cfg", 3), ("nginx.conf", 3)] {
        let addresses = of(file);
        assert!(addresses.len() >= count, "{file}: {addresses:?}");
        for address in addresses {
            let (host, port) = address.split_once(':').unwrap();
            assert!(
                services.contains(&format!("\n  {host}:")) || services.starts_with(&format!("  {host}:")),
                "{file}: {host} is no service"
            );
            let listens = ["ONSALE_LISTEN", "ONSALE_METRICS_LISTEN"];
            let is_set = |name: &str| {
                let lines = compose.lines().filter(|line| line.contains(&format!("{name}:")));
                lines.into_iter().any(|line| line.contains(&format!("0.0.0.0:{port}")))
            };
            assert!(listens.iter().any(|name| is_set(name)), "{file}: no program listens on {address}");
        }
    }
}
