//! The commands of the `Dockerfile` and of the docs' `docker run` lines, run without a container.

use std::collections::BTreeMap;
use std::net::IpAddr;

use onsale_testing::{Caller, Launch};

use crate::files;
use crate::natively::Given;
use crate::support::ONSALE;

/// The defaults of a `Dockerfile` for its containers.
struct Image {
    variables: BTreeMap<String, String>,
    arguments: Vec<String>,
    health: Vec<String>,
    port: u16,
}

/// The words of a JSON array.
fn words(array: &str) -> Vec<String> {
    serde_json::from_str(array).unwrap_or_else(|error| panic!("{array}: {error}"))
}

fn image() -> Image {
    let text = files::text("Dockerfile");
    let last = text.rsplit("\nFROM ").next().unwrap();
    let all = |word: &str| {
        let word = format!("{word} ");
        last.lines().filter_map(move |line| line.strip_prefix(&word).map(str::to_owned)).collect::<Vec<_>>()
    };
    let one = |word: &str| all(word).pop().unwrap_or_else(|| panic!("no {word}"));
    let entry = words(&one("ENTRYPOINT"));
    assert_eq!(entry, ["/usr/local/bin/onsale"]);
    let (_, health) = text.split_once("HEALTHCHECK").and_then(|(_, rest)| rest.split_once("CMD ")).unwrap();
    let health = words(health.lines().next().unwrap());
    assert_eq!(health[0], entry[0]);
    let variables =
        all("ENV").iter().flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>();
    let variables = variables.iter().map(|pair| pair.split_once('=').unwrap());
    Image {
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        arguments: words(&one("CMD")),
        health: health[1..].to_vec(),
        port: one("EXPOSE").parse().unwrap(),
    }
}

#[tokio::test]
async fn a_container_without_settings_exits_and_names_onsale_auth() {
    let image = image();
    let launch = image.variables.iter().fold(Launch::new(ONSALE), |launch, (name, value)| launch.set(name, value));
    let arguments: Vec<&str> = image.arguments.iter().map(String::as_str).collect();
    for more in [&[][..], &["--demo"]] {
        let run = launch.run(&[&arguments[..], more].concat()).await;
        let said = String::from_utf8_lossy(&run.stderr);
        // It does not listen on loopback, which no published port reaches.
        assert_eq!(run.status.code(), Some(2), "{said}");
        assert!(said.contains("ONSALE_AUTH=open-anywhere") && said.contains("ONSALE_AUTH=jwt"), "{said}");
        assert!(run.stdout.is_empty());
    }
    // The health check of such a container fails.
    let health: Vec<&str> = image.health.iter().map(String::as_str).collect();
    let nowhere = Launch::new(ONSALE).set("ONSALE_LISTEN", "0.0.0.0:1").run(&health).await;
    assert_eq!(nowhere.status.code(), Some(1), "{}", String::from_utf8_lossy(&nowhere.stderr));
}

/// The `docker run` lines of a page: each with its `-e` variables, published ports and arguments.
fn lines(page: &str) -> Vec<(Given, Vec<String>)> {
    let text = files::text(page).replace("\\\n", " ");
    let mut found = Vec::new();
    for line in text.lines().filter(|line| line.trim_start().starts_with("docker run ")) {
        let line = line.split('#').next().unwrap().replace('"', "");
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "onsale").unwrap_or_else(|| panic!("the image: {line}"));
        let of = |flag: &'static str| {
            let pairs = words[..at].windows(2).filter(move |pair| pair[0] == flag);
            pairs.map(|pair| pair[1].to_owned()).collect::<Vec<_>>()
        };
        let image = image();
        let arguments: Vec<String> = words[at + 1..].iter().map(|word| (*word).to_owned()).collect();
        let mut given = Given {
            arguments: if arguments.is_empty() { image.arguments } else { arguments },
            variables: image.variables,
        };
        for pair in of("-e") {
            let (name, value) = pair.split_once('=').unwrap();
            given.variables.insert(name.to_owned(), value.to_owned());
        }
        found.push((given, of("-p")));
    }
    found
}

#[tokio::test]
async fn the_docker_commands_of_the_docs_start_reachable_servers() {
    let variables = files::variables().await;
    let lines = lines("docs/guide/deploy.md");
    assert!(lines.len() >= 2, "a demonstration and a production server");
    let image = image();
    for (given, ports) in lines {
        for name in given.variables.keys() {
            assert!(variables.contains(name), "{name} is no setting: {given:?}");
        }
        let listen = given.address("--listen", "ONSALE_LISTEN").unwrap().clone();
        assert_eq!(listen, format!("0.0.0.0:{}", image.port), "{given:?}");
        let [port] = &ports[..] else { panic!("one published port: {ports:?}") };
        let parts: Vec<&str> = port.split(':').collect();
        assert_eq!(parts.last(), Some(&image.port.to_string().as_str()));
        let is_open = given.variables.get("ONSALE_AUTH").is_some_and(|auth| auth == "open-anywhere");
        assert!(!is_open || parts[0] == "127.0.0.1", "open to this machine alone: {port}");

        let started = given.starts("sqlite://onsale.db").await;
        assert_eq!(started.listens.ip(), IpAddr::from([0, 0, 0, 0]), "reachable through the network of a container");
        for path in ["/healthz", "/readyz", "/concerts"] {
            Caller::new(&format!("http://127.0.0.1:{}", started.listens.port())).get(path).expect(200).await;
        }
        // The health check reaches the published port, also if other settings come from flags.
        let health: Vec<&str> = image.health.iter().map(String::as_str).collect();
        let there = Launch::new(ONSALE).set("ONSALE_LISTEN", started.listens);
        let run = there.run(&health).await;
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        started.assert_settings_act();
        started.stops().await;
    }
}
