//! The log of `consume` names why a post got no answer.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use axum::http::StatusCode;
use onsale_testing::{PATIENCE, Port, Sale, without};

use crate::platform::Platform;
use crate::scene::{Work, charge};
use crate::support::ONSALE;

/// A TLS server with a certificate that no authority signed. Killed when it is dropped.
struct Untrusted(Child);

impl Untrusted {
    fn start(folder: &Path, port: u16) -> Self {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(folder)
            .output()
            .expect("openssl starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut serve = Command::new("openssl");
        serve.args(["s_server", "-quiet", "-key", "key.pem", "-cert", "cert.pem", "-accept", &port.to_string()]);
        serve.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(serve.spawn().expect("openssl starts"))
    }
}

impl Drop for Untrusted {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_names_the_cause_of_a_failed_post() {
    if without("openssl") {
        return;
    }
    let mut launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    charge(&sale, 0, 1).await;

    let platform = Platform::start().await;
    let location = "https://me:pw@login.example/sign-in?token=secret";
    platform.told.lock().unwrap().down = Some((StatusCode::MOVED_PERMANENTLY, 0));
    platform.told.lock().unwrap().location = Some(location.to_owned());
    // Both stay reserved: no process listens at the first one, and no other one at the second.
    let ports = [Port::free(), Port::free()];
    let [closed, untrusted] = [&ports[0], &ports[1]].map(|port| port.address().port());
    let _server = Untrusted::start(launch.folder(), untrusted);
    let listens = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", untrusted)).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, listens).await.expect("it listens");

    let table = [
        (platform.url(), "301 Moved Permanently, a redirect to https://login.example/sign-in; set"),
        (format!("http://me:pw@127.0.0.1:{closed}/in?key=secret"), "Connection refused"),
        (platform.url().replace("http:", "https:"), "TLS: "),
        (format!("https://localhost:{untrusted}/in"), "TLS: invalid peer certificate: "),
        ("http://no-such-host.invalid/in".to_owned(), "no-such-host.invalid:80: client error (Connect): dns error: "),
    ];
    for (url, cause) in table {
        launch = launch.set("ONSALE_DATA_PLATFORM_URL", &url);
        let consumer = Work::start(&launch, "consume");
        consumer.has_logged(cause).await;
        let log = consumer.log();
        assert!(!log.contains("secret") && !log.contains("me:pw"), "no secret is shown: {log}");
    }
}
