//! Proxies in front of one server, with their shipped files, and clients with different addresses.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use onsale_testing::{Balancer, PATIENCE, Sale};
use tokio::process::Command;

use crate::files;

/// The name in the certificate.
pub(crate) const NAME: &str = "shop.example";

/// A certificate for [`NAME`] with its key, which the openssl command made.
pub(crate) struct Certificate {
    folder: PathBuf,
}

impl Certificate {
    /// In the folder of a sale.
    pub(crate) fn make(sale: &Sale) -> Self {
        let folder = sale.instance.folder().join("certificate");
        std::fs::create_dir(&folder).unwrap();
        let subject = format!("/CN={NAME}");
        let names = format!("subjectAltName=DNS:{NAME}");
        let kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
        let out = ["-keyout", "key", "-out", "crt"];
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["req", "-x509"]).args(kind).args(["-subj", &subject, "-addext", &names]).args(out);
        let run = openssl.current_dir(&folder).output().expect("openssl starts");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let both = ["crt", "key"].map(|part| std::fs::read_to_string(folder.join(part)).unwrap()).concat();
        std::fs::write(folder.join("pem"), both).unwrap();
        Self { folder }
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// The text of a shipped file with replacements, each of which must match.
pub(crate) fn replaced(file: &str, replaced: &[(&str, &str)]) -> String {
    replaced.iter().fold(files::text(file), |text, (from, to)| {
        assert!(text.contains(from), "{file} holds {from:?}");
        text.replace(from, to)
    })
}

/// The three instances of a shipped file become this one address.
fn to_one(mut text: String, behind: SocketAddr) -> String {
    for number in 1..=3 {
        text = text.replace(&format!("onsale-{number}:8080"), &behind.to_string());
    }
    text
}

/// HAProxy's shipped file with addresses instead of the names that Docker resolves.
fn haproxy(file: &str, binds: &[(&str, &str)], behind: SocketAddr) -> String {
    let health = Balancer::port().address().to_string();
    let here = [("127.0.0.1:8404", health.as_str()), (" init-addr last,libc,none resolvers docker", "")];
    let here = [&here[..], &[("maxconn 20000", "maxconn 500")], binds].concat();
    to_one(replaced(file, &here), behind)
}

/// HAProxy without TLS, which trusts these proxies.
pub(crate) async fn plain_haproxy(trusted: &str, behind: SocketAddr) -> (Balancer, SocketAddr) {
    let front = Balancer::port();
    let address = front.address();
    let text = haproxy("deploy/haproxy.cfg", &[("bind :8080", &format!("bind {address}"))], behind);
    (Balancer::haproxy_behind(trusted, front, &text).await, address)
}

/// nginx without TLS, which trusts these proxies.
pub(crate) async fn plain_nginx(trusted: &str, behind: SocketAddr) -> (Balancer, SocketAddr) {
    let front = Balancer::port();
    let address = front.address();
    let mut here = vec![("listen 8080", format!("listen {address}"))];
    if !trusted.is_empty() {
        here.push(("# 10.0.0.0/8 1;", format!("{trusted} 1;")));
    }
    let here: Vec<(&str, &str)> = here.iter().map(|(from, to)| (*from, to.as_str())).collect();
    (Balancer::nginx(front, &to_one(replaced("deploy/nginx.conf", &here), behind)).await, address)
}

/// A proxy that ends TLS, and where it redirects plain HTTP from.
pub(crate) struct Edge {
    balancer: Balancer,
    tls: SocketAddr,
    pub(crate) plain: SocketAddr,
    ca: String,
}

/// Programs that end TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Haproxy,
    Nginx,
    Caddy,
}

impl Edge {
    pub(crate) async fn start(kind: Kind, certificate: &Certificate, behind: SocketAddr) -> Self {
        let (front, redirect) = (Balancer::port(), Balancer::port());
        let (tls, plain) = (front.address(), redirect.address());
        let (port, plain_port) = (tls.port().to_string(), plain.to_string());
        let address = tls.to_string();
        drop(redirect);
        let balancer = match kind {
            Kind::Haproxy => {
                let (bind, bind_plain) = (format!("bind {address} ssl"), format!("bind {plain_port}"));
                let pem = certificate.file("pem");
                let file = ("/usr/local/etc/haproxy/onsale.pem", pem.as_str());
                let binds = [("bind :443 ssl", bind.as_str()), ("bind :80\n", &format!("{bind_plain}\n")), file];
                Balancer::haproxy(front, &haproxy("deploy/haproxy-tls.cfg", &binds, behind)).await
            }
            Kind::Nginx => {
                let (crt, key) = (certificate.file("crt"), certificate.file("key"));
                let here = [
                    ("listen 443 ssl", &*format!("listen {address} ssl")),
                    ("listen 80;", &format!("listen {plain_port};")),
                    ("/etc/nginx/onsale.crt", &crt),
                    ("/etc/nginx/onsale.key", &key),
                ];
                Balancer::nginx(front, &to_one(replaced("deploy/nginx-tls.conf", &here), behind)).await
            }
            Kind::Caddy => {
                // By default it requests a certificate from an authority on the internet; here it gets one from the test.
                let mut site = format!("{{\n\tadmin off\n\thttp_port {}\n\thttps_port {port}\n", plain.port());
                write!(site, "}}\n{NAME} {{\n\tbind 127.0.0.1\n").unwrap();
                write!(site, "\ttls {} {}", certificate.file("crt"), certificate.file("key")).unwrap();
                let text = replaced("deploy/Caddyfile", &[("shop.example {", site.as_str())]);
                Balancer::caddy(front, &to_one(text, behind)).await
            }
        };
        Self { balancer, tls, plain, ca: certificate.file("crt") }
    }

    pub(crate) fn log(&self) -> String {
        self.balancer.log()
    }

    /// curl at this path, called from this address of the machine.
    pub(crate) fn curl(&self, from: &str, path: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--interface", from, "--cacert", &self.ca]);
        command.args(["--resolve", &format!("{NAME}:{}:{}", self.tls.port(), self.tls.ip())]);
        command.args(arguments).arg(format!("https://{NAME}:{}{path}", self.tls.port()));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// What curl wrote for this format.
    pub(crate) async fn printed(&self, from: &str, path: &str, format: &str, arguments: &[&str]) -> String {
        let arguments = [&["--output", "/dev/null", "--write-out", format], arguments].concat();
        let run = ran(&mut self.curl(from, path, &arguments)).await;
        assert!(run.status.success(), "{}: {}", String::from_utf8_lossy(&run.stderr), self.log());
        String::from_utf8(run.stdout).unwrap()
    }
}

/// Runs a command to its end.
pub(crate) async fn ran(command: &mut Command) -> Output {
    tokio::time::timeout(PATIENCE, command.output()).await.expect("an end in time").expect("it starts")
}
