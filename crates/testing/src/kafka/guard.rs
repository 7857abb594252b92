//! A second listener of a broker that asks who is there: TLS, passwords, rights.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The user of the guarded listener, and its password.
pub const USER: &str = "onsale";
/// See [`USER`].
pub const PASSWORD: &str = "a-password-of-kafka-only";

/// What the guarded listener asks for. Its other listener stays open, for what a test does as an administrator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guard {
    /// Connections are encrypted by TLS.
    pub encrypts: bool,
    /// With TLS: a client certificate.
    pub wants_certificates: bool,
    /// A name and a password: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512.
    pub wants_passwords: bool,
    /// Users may do only what is granted to them ([`super::Kafka::grant`]).
    pub wants_rights: bool,
}

impl Guard {
    /// What the broker's settings say of it.
    pub(super) fn settings(self, keys: Option<&Keys>) -> String {
        let mut text = String::new();
        let protocol = match (self.encrypts, self.wants_passwords) {
            (false, false) => "PLAINTEXT",
            (true, false) => "SSL",
            (false, true) => "SASL_PLAINTEXT",
            (true, true) => "SASL_SSL",
        };
        let map = "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:";
        writeln!(text, "{map}{protocol}").unwrap();
        if let Some(keys) = keys {
            let (server, ca) = (keys.path("server-both.pem"), keys.path("ca.pem"));
            let asks = if self.wants_certificates { "required" } else { "none" };
            writeln!(text, "ssl.keystore.type=PEM\nssl.keystore.location={}", server.display()).unwrap();
            writeln!(text, "ssl.truststore.type=PEM\nssl.truststore.location={}", ca.display()).unwrap();
            writeln!(text, "listener.name.guarded.ssl.client.auth={asks}").unwrap();
        }
        if self.wants_passwords {
            let module = "org.apache.kafka.common.security";
            text.push_str("sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n");
            let of = |mechanism: &str, login: &str| {
                format!("listener.name.guarded.{mechanism}.sasl.jaas.config={module}.{login};\n")
            };
            let plain = format!("plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\"");
            text.push_str(&of("plain", &plain));
            text.push_str(&of("scram-sha-256", "scram.ScramLoginModule required"));
            text.push_str(&of("scram-sha-512", "scram.ScramLoginModule required"));
        }
        if self.wants_rights {
            text.push_str("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n");
            text.push_str("super.users=User:ANONYMOUS\n");
        }
        text
    }

    /// Arguments for the formatting of the broker's folder: passwords are a part of its metadata.
    pub(super) fn format_arguments(self) -> Vec<String> {
        if !self.wants_passwords {
            return Vec::new();
        }
        let add = |mechanism| {
            let record = format!("{mechanism}=[name={USER},password={PASSWORD}]");
            ["--add-scram".to_owned(), record]
        };
        ["SCRAM-SHA-256", "SCRAM-SHA-512"].into_iter().flat_map(add).collect()
    }
}

/// Keys and certificates in a folder, made by openssl.
#[derive(Clone, Debug)]
pub struct Keys(PathBuf);

impl Keys {
    /// Makes an authority (`ca.pem`), certificates of the server and of a client (`client.pem`, `client-key.pem`), and an
    /// authority that has nothing to do with them (`other-ca.pem`).
    ///
    /// # Panics
    /// If openssl fails.
    pub fn make(folder: &Path) -> Self {
        let keys = Self(folder.to_owned());
        for ca in ["ca", "other-ca"] {
            keys.openssl(&format!(
                "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={ca} -keyout {ca}-key.pem -out {ca}.pem"
            ));
        }
        for (name, extension) in [("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")]
        {
            keys.openssl(&format!(
                "req -newkey rsa:2048 -nodes -subj /CN={name} -addext {extension} -keyout {name}-key.pem -out {name}.csr"
            ));
            keys.openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -copy_extensions copy \
                 -out {name}.pem"
            ));
        }
        let read = |name: &str| std::fs::read_to_string(keys.path(name)).expect("a file of openssl");
        let both = read("server-key.pem") + &read("server.pem");
        std::fs::write(keys.path("server-both.pem"), both).expect("a file");
        keys
    }

    fn openssl(&self, arguments: &str) {
        let run = Command::new("openssl").args(arguments.split_whitespace()).current_dir(&self.0).output();
        let run = run.expect("openssl starts");
        assert!(run.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&run.stderr));
    }

    /// One of the files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
