//! TLS to the database: used if the URL requires it, and only with a server whose certificate can be checked.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use onsale_testing::postgres::{Server, Setup, sql};
use onsale_testing::{Sale, without};
use serde_json::json;

use crate::support::{ONSALE, at_once, count};

const EXTENSIONS: &str = "[req]\ndistinguished_name = name\n[name]\n\
    [ca]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\nsubjectKeyIdentifier = hash\n\
    [here]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = IP:127.0.0.1\n\
    [buyer]\nbasicConstraints = critical, CA:FALSE\nextendedKeyUsage = clientAuth\n\
    [elsewhere]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = DNS:elsewhere.example\n";

/// Certificates, made by the openssl command in a folder of a server's.
struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// An authority with a certificate for this address and one for another, and an authority that made none.
    async fn make(server: &Server) -> Self {
        let data = server.sql("postgres").await.query_one("SHOW data_directory", &[]).await.unwrap();
        let data = PathBuf::from(data.get::<_, String>(0));
        let folder = data.parent().unwrap().join("certificates");
        std::fs::create_dir(&folder).unwrap();
        let made = Self { folder };
        std::fs::write(made.file("extensions"), EXTENSIONS).unwrap();
        for authority in ["ca", "other-ca"] {
            made.openssl(&format!(
                "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={authority} -config extensions -extensions ca \
                 -keyout {authority}.key -out {authority}.pem"
            ));
        }
        for name in ["here", "elsewhere", "buyer"] {
            made.openssl(&format!(
                "req -new -newkey rsa:2048 -nodes -subj /CN={name} -config extensions -keyout {name}.key -out {name}.csr"
            ));
            made.openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -set_serial {} -days 2 -extfile extensions \
                 -extensions {name} -out {name}.pem",
                name.len()
            ));
        }
        // Only the server may read a key.
        let owner = std::fs::metadata(&data).unwrap();
        for entry in std::fs::read_dir(&made.folder).unwrap() {
            chown(entry.unwrap().path(), Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        made
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn openssl(&self, arguments: &str) {
        let run = Command::new("openssl").args(arguments.split_whitespace()).current_dir(&self.folder).output();
        let run = run.expect("openssl starts");
        assert!(run.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&run.stderr));
    }

    /// Shows one of them to each client that connects from now on.
    async fn show(&self, server: &Server, name: &str) {
        server.set("ssl_cert_file", &self.file(&format!("{name}.pem")).display().to_string()).await;
        server.set("ssl_key_file", &self.file(&format!("{name}.key")).display().to_string()).await;
        server.set("ssl", "on").await;
    }
}

/// Runs a command on the database with this in its URL; its exit code and its standard error.
async fn run(server: &Server, query: &str, command: &str) -> (Option<i32>, String) {
    let launch = Sale::launch(ONSALE).on(format!("{}?{query}", server.url("postgres")));
    let run = launch.run(&[command]).await;
    (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
}

fn roots(file: &Path) -> String {
    roots_in("require", file)
}

fn roots_in(mode: &str, file: &Path) -> String {
    format!("sslmode={mode}&sslrootcert={}", file.display())
}

/// A command on the database works with this in its URL.
async fn works(server: &Server, query: &str) {
    let (code, said) = run(server, query, "migrate").await;
    assert_eq!(code, Some(0), "{query}: {said}");
}

/// It does not, because of a certificate.
async fn fails(server: &Server, query: &str) {
    let (code, said) = run(server, query, "migrate").await;
    println!("{query}: {}", said.lines().last().unwrap_or_default());
    assert!(code == Some(1) && said.contains("certificate"), "{query}: {code:?} {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_known_by_its_certificate() {
    if without("postgres") || without("openssl") {
        return;
    }
    let server = Setup::unsynced().start().await;
    let certificates = Certificates::make(&server).await;
    let ca = certificates.file("ca.pem");

    // A client that requires TLS refuses a server without it.
    let (code, said) = run(&server, &roots(&ca), "migrate").await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("TLS"), "{said}");

    certificates.show(&server, "here").await;
    let launch = Sale::launch(ONSALE).on(format!("{}?{}", server.url("postgres"), roots(&ca)));
    let sales = Sale::start_many(&launch, 2).await;
    let charges = (0..40).map(|number| sales[number % 2].caller.patch("/point/ada/charge").json(&json!({"amount": 1})));
    assert_eq!(count(&at_once(charges.collect::<Vec<_>>()).await, 200, ""), 40);
    let open = "SELECT count(*) FILTER (WHERE ssl), count(*), coalesce(min(version), '') FROM pg_stat_ssl
        JOIN pg_stat_activity USING (pid) WHERE application_name = 'onsale'";
    let row = sql(&server.url("postgres")).await.query_one(open, &[]).await.unwrap();
    let (encrypted, all, version): (i64, i64, String) = (row.get(0), row.get(1), row.get(2));
    println!("{encrypted} of {all} connections are encrypted, with {version}");
    assert!(encrypted == all && all >= 4, "{encrypted} of {all}");
    let audit = launch.run(&["audit"]).await;
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));

    // Without a certificate named, those of the system count, and this one is not among them.
    let not_trusted = [
        roots(&certificates.file("other-ca.pem")),
        "sslmode=require".to_owned(),
        "sslmode=verify-full&sslrootcert=system".to_owned(),
        roots_in("verify-ca", &certificates.file("other-ca.pem")),
        roots_in("verify-full", &certificates.file("other-ca.pem")),
    ];
    for query in not_trusted {
        let (code, said) = run(&server, &query, "serve").await;
        assert!(said.contains("certificate"), "{query}: {said}");
        println!("{query}: {code:?} {}", said.lines().last().unwrap_or_default());
        assert!(code == Some(1) || (code == Some(2) && said.contains("trusts no certificate")), "{query}: {said}");
    }
    certificates.show(&server, "elsewhere").await;
    let (code, said) = run(&server, &roots(&ca), "serve").await;
    println!("a certificate for another name: {code:?} {}", said.lines().last().unwrap_or_default());
    assert!(code == Some(1) && said.contains("certificate"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_cannot_be_read_is_a_bad_setting() {
    let folder = Sale::launch(ONSALE);
    let (none, empty) = (folder.folder().join("none.pem"), folder.folder().join("empty.pem"));
    std::fs::write(&empty, "no certificate").unwrap();
    for file in [none, empty] {
        let url = format!("postgres://postgres@127.0.0.1:1/sale?{}", roots(&file));
        let run = folder.another().on(url).run(&["serve"]).await;
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{said}");
        let named = said.contains("ONSALE_DATABASE_URL names a certificate that cannot be used");
        assert!(named && said.contains(&file.display().to_string()), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mode_checks_the_certificate_as_documented() {
    if without("postgres") || without("openssl") {
        return;
    }
    let server = Setup::unsynced().start().await;
    let certificates = Certificates::make(&server).await;
    let ca = certificates.file("ca.pem");
    // If the server has no TLS, a client that only prefers TLS connects without.
    works(&server, "sslmode=prefer").await;
    works(&server, "sslmode=disable").await;

    certificates.show(&server, "here").await;
    works(&server, &roots_in("verify-ca", &ca)).await;
    works(&server, &roots_in("verify-full", &ca)).await;
    works(&server, "sslmode=prefer").await;

    certificates.show(&server, "elsewhere").await;
    works(&server, &roots_in("verify-ca", &ca)).await;
    fails(&server, &roots_in("verify-full", &ca)).await;
    fails(&server, &roots_in("require", &ca)).await;
    works(&server, "sslmode=prefer").await;

    // A server that signed its own certificate is known by that one.
    certificates.show(&server, "other-ca").await;
    works(&server, &roots_in("verify-ca", &certificates.file("other-ca.pem"))).await;
    fails(&server, &roots_in("verify-full", &certificates.file("other-ca.pem"))).await;
    fails(&server, &roots_in("verify-ca", &ca)).await;
}

/// From now on the role `buyer` has to show a certificate of that name.
async fn require_certificates(server: &Server, certificates: &Certificates) {
    let sql = server.sql("postgres").await;
    sql.batch_execute("CREATE ROLE buyer SUPERUSER LOGIN").await.unwrap();
    let file: String = sql.query_one("SHOW hba_file", &[]).await.unwrap().get(0);
    let rules = "local all all trust\nhostssl all buyer 127.0.0.1/32 trust clientcert=verify-full\n\
        hostnossl all buyer 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 trust\n";
    std::fs::write(file, rules).unwrap();
    server.set("ssl_ca_file", &certificates.file("ca.pem").display().to_string()).await;
    certificates.show(server, "here").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_wants_a_certificate_gets_ours() {
    if without("postgres") || without("openssl") {
        return;
    }
    let server = Setup::unsynced().start().await;
    let certificates = Certificates::make(&server).await;
    require_certificates(&server, &certificates).await;
    let url = server.url("postgres").replace("postgres@", "buyer@");
    let roots = roots_in("verify-full", &certificates.file("ca.pem"));
    let shows = |name: &str| {
        let (certificate, key) = (certificates.file(&format!("{name}.pem")), certificates.file(&format!("{name}.key")));
        format!("{url}?{roots}&sslcert={}&sslkey={}", certificate.display(), key.display())
    };
    for (url, works) in [(shows("buyer"), true), (shows("here"), false), (format!("{url}?{roots}"), false)] {
        let run = Sale::launch(ONSALE).on(url.clone()).run(&["migrate"]).await;
        let said = String::from_utf8_lossy(&run.stderr);
        println!("{works}: {}", said.lines().last().unwrap_or_default());
        assert_eq!(run.status.code(), Some(i32::from(!works)), "{url}: {said}");
        assert!(works || said.contains("certificate") || said.contains("authentication failed"), "{url}: {said}");
    }
    let sale = Sale::start(&Sale::launch(ONSALE).on(shows("buyer"))).await;
    sale.charge("ada", 7).await;
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_with_contradicting_parameters_is_a_bad_setting() {
    for (query, says) in [
        ("sslmode=allow", "accepted are disable, prefer, require, verify-ca, verify-full"),
        ("sslmode=verify-ca", "without sslrootcert"),
        ("sslcert=a.pem", "without sslkey"),
        ("target_session_attrs=standby", "accepted are any, read-write, primary"),
        ("connect_timeout=60", "accepted are 1 to 10 seconds"),
        ("sslpassword=x", "accepted are application_name, channel_binding,"),
    ] {
        for command in ["serve", "migrate", "audit", "events"] {
            let launch = Sale::launch(ONSALE).on(format!("postgres://user:secret@127.0.0.1:1/sale?{query}"));
            let run = launch.run(&[command]).await;
            let said = String::from_utf8_lossy(&run.stderr);
            assert_eq!(run.status.code(), Some(2), "{command} {query}: {said}");
            assert!(said.contains("ONSALE_DATABASE_URL") && said.contains(says), "{command} {query}: {said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
