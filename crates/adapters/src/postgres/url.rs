//! `postgres://` URLs. Parameters mean what they mean to libpq, or are refused with the accepted ones.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls::{self, Check, Roots};

/// Time limit for connecting to one host, if the URL sets none.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Maximum of `connect_timeout` in the URL, in seconds. A higher value is refused.
const CONNECT_SECONDS_MAX: u64 = 10;

/// The accepted parameters, for the error message.
const ACCEPTED: &str = "application_name, channel_binding, connect_timeout, dbname, gssencmode, host, hostaddr, \
    load_balance_hosts, options, password, port, sslcert, sslkey, sslmode, sslnegotiation, sslrootcert, \
    target_session_attrs, user";

/// A valid `postgres://` URL.
#[derive(Clone)]
pub struct PostgresUrl {
    pub(super) config: Arc<Config>,
    pub(super) tls: Option<MakeRustlsConnect>,
    /// Time limit for connecting, over all hosts together.
    pub(super) connect_within: Duration,
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Host, port and database for logs, without user and password.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        let mut hosts: Vec<String> = self.config.get_hosts().iter().map(host).collect();
        if hosts.is_empty() {
            hosts = self.config.get_hostaddrs().iter().map(ToString::to_string).collect();
        }
        let ports: Vec<String> = self.config.get_ports().iter().map(ToString::to_string).collect();
        write!(f, "postgres://{}", hosts.join(","))?;
        if !ports.is_empty() {
            write!(f, ":{}", ports.join(","))?;
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

/// The parameters that this program handles. The driver handles the others, as libpq does.
#[derive(Default)]
struct Parameters {
    application_name: Option<String>,
    connect_timeout: Option<String>,
    sslcert: Option<String>,
    sslkey: Option<String>,
    sslmode: Option<String>,
    sslrootcert: Option<String>,
    target_session_attrs: Option<String>,
}

impl PostgresUrl {
    /// Parses a URL of the form that libpq accepts.
    ///
    /// `sslmode` is `disable`, `prefer`, `require`, `verify-ca` or `verify-full`. `require` checks the server's
    /// certificate as `verify-full` does, against `sslrootcert` (a PEM file, or `system`) or the system's roots.
    ///
    /// # Errors
    /// What is wrong, to be appended to the name of the setting. Never contains the password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        for part in [address, query] {
            decode(part)?;
        }
        let (parameters, left) = sort(query)?;
        let left = if left.is_empty() { String::new() } else { format!("?{}", left.join("&")) };
        let mut config: Config = format!("{address}{left}").parse().map_err(|error: tokio_postgres::Error| {
            let reason = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            format!("is no URL of a Postgres database: {reason}")
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("names no host: postgres://USER@HOST/DATABASE".to_owned());
        }
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err("names no database: postgres://USER@HOST/DATABASE".to_owned());
        }
        config.application_name(parameters.application_name.as_deref().unwrap_or("onsale"));
        config.keepalives_idle(Duration::from_secs(10)).tcp_user_timeout(Duration::from_secs(5));
        writes(parameters.target_session_attrs.as_deref())?;
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        let each = timeout(parameters.connect_timeout.as_deref())?;
        config.connect_timeout(each);
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
        let connect_within = each * (1 + u32::try_from(hosts).unwrap_or(1));
        let tls = secure(&mut config, &parameters)?;
        Ok(Self { config: Arc::new(config), tls, connect_within })
    }
}

/// Splits the query into the parameters that this program handles and the rest, as it was written.
///
/// # Errors
/// Names the first parameter that is unknown, has no value or a wrong one, or occurs twice.
fn sort(query: &str) -> Result<(Parameters, Vec<&str>), String> {
    let (mut known, mut left, mut seen) = (Parameters::default(), Vec::new(), Vec::new());
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("has a parameter without a value: {part}"))?;
        let (name, value) = (decode(name)?, decode(value)?);
        if seen.contains(&name) {
            return Err(format!("has {name} twice"));
        }
        let place = match name.as_str() {
            "application_name" => &mut known.application_name,
            "connect_timeout" => &mut known.connect_timeout,
            "sslcert" => &mut known.sslcert,
            "sslkey" => &mut known.sslkey,
            "sslmode" => &mut known.sslmode,
            "sslrootcert" => &mut known.sslrootcert,
            "target_session_attrs" => &mut known.target_session_attrs,
            // GSS encryption is not supported: values that do not require it are accepted.
            "gssencmode" if matches!(value.as_str(), "disable" | "prefer") => continue,
            "gssencmode" => return Err(bad_value("gssencmode", &value, "disable, prefer")),
            "channel_binding" if !matches!(value.as_str(), "disable" | "prefer" | "require") => {
                return Err(bad_value("channel_binding", &value, "disable, prefer, require"));
            }
            "load_balance_hosts" if !matches!(value.as_str(), "disable" | "random") => {
                return Err(bad_value("load_balance_hosts", &value, "disable, random"));
            }
            "sslnegotiation" if value == "postgres" => continue,
            "sslnegotiation" => return Err(bad_value("sslnegotiation", &value, "postgres")),
            "channel_binding" | "dbname" | "host" | "hostaddr" | "load_balance_hosts" | "options" | "password"
            | "port" | "user" => {
                left.push(part);
                seen.push(name);
                continue;
            }
            _ => return Err(format!("has a parameter that is not accepted: {name} (accepted are {ACCEPTED})")),
        };
        *place = Some(value);
        seen.push(name);
    }
    Ok((known, left))
}

fn bad_value(name: &str, value: &str, accepted: &str) -> String {
    format!("has {name}={value}, which is not accepted (accepted are {accepted})")
}

/// Decodes percent-encoding. A `+` stays a plus, as with libpq.
fn decode(text: &str) -> Result<String, String> {
    let bad = || "has a % that does not begin a percent-encoded character (%25 is the character itself)".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16)).ok_or_else(bad);
        let decoded = u8::try_from(digit()? * 16 + digit()?).map_err(|_| bad())?;
        if decoded == 0 {
            return Err("has a percent-encoded zero byte".to_owned());
        }
        bytes.push(decoded);
    }
    String::from_utf8(bytes).map_err(|_| "has a percent-encoded character that is no UTF-8".to_owned())
}

/// Checks `target_session_attrs`. Connections are made to servers that take writes, whatever of the accepted values it is.
fn writes(target_session_attrs: Option<&str>) -> Result<(), String> {
    match target_session_attrs {
        None | Some("any" | "read-write" | "primary") => Ok(()),
        Some(other) => Err(bad_value("target_session_attrs", other, "any, read-write, primary: a sale writes")),
    }
}

fn timeout(seconds: Option<&str>) -> Result<Duration, String> {
    let Some(text) = seconds else { return Ok(CONNECT_WITHIN) };
    match text.parse() {
        Ok(seconds @ 1..=CONNECT_SECONDS_MAX) => Ok(Duration::from_secs(seconds)),
        _ => Err(bad_value("connect_timeout", text, &format!("1 to {CONNECT_SECONDS_MAX} seconds"))),
    }
}

/// Sets the encryption of connections. Returns the TLS connector, if TLS is used.
fn secure(config: &mut Config, parameters: &Parameters) -> Result<Option<MakeRustlsConnect>, String> {
    let Parameters { sslcert, sslkey, sslmode, sslrootcert, .. } = parameters;
    // Unix sockets are never encrypted, as with libpq.
    let is_local =
        !config.get_hosts().is_empty() && config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    let roots = match sslrootcert.as_deref() {
        None | Some("system") => Roots::System,
        Some(path) => Roots::File(path.to_owned()),
    };
    let is_system = sslrootcert.as_deref() == Some("system");
    let (mode, check) = match sslmode.as_deref() {
        Some("disable") => (SslMode::Disable, Check::Nothing),
        // Optional TLS without a certificate check protects against no attacker, so it is not tried.
        None if sslrootcert.is_none() && sslcert.is_none() => (SslMode::Disable, Check::Nothing),
        None => (SslMode::Require, Check::AuthorityAndName),
        Some("prefer") if sslrootcert.is_none() => (SslMode::Prefer, Check::Nothing),
        Some("verify-ca") if is_system => {
            return Err(
                "has sslrootcert=system with sslmode=verify-ca: any host can have a certificate that the system \
                trusts, so the name must be checked (sslmode=verify-full)"
                    .to_owned(),
            );
        }
        Some("verify-ca") if sslrootcert.is_none() => {
            return Err("has sslmode=verify-ca without sslrootcert: name the PEM file of the authority".to_owned());
        }
        Some("verify-ca") => (SslMode::Require, Check::Authority),
        Some("prefer" | "require" | "verify-full") => (SslMode::Require, Check::AuthorityAndName),
        Some(other) => {
            return Err(bad_value("sslmode", other, "disable, prefer, require, verify-ca, verify-full"));
        }
    };
    let identity = match (sslcert, sslkey) {
        (Some(certificate), Some(key)) => Some((certificate.as_str(), key.as_str())),
        (None, None) => None,
        (Some(_), None) => return Err("has sslcert without sslkey: name the PEM file of its private key".to_owned()),
        (None, Some(_)) => return Err("has sslkey without sslcert: name the PEM file of its certificate".to_owned()),
    };
    if mode == SslMode::Disable && identity.is_some() {
        return Err("has sslcert with sslmode=disable: a certificate is shown over TLS only".to_owned());
    }
    let mode = if is_local { SslMode::Disable } else { mode };
    config.ssl_mode(mode);
    if mode == SslMode::Disable {
        if config.get_channel_binding() == tokio_postgres::config::ChannelBinding::Require {
            return Err("has channel_binding=require without TLS: add sslmode=require".to_owned());
        }
        return Ok(None);
    }
    tls::connector(check, &roots, identity).map(Some)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step ends the test")]

    use super::*;

    fn refused(url: &str) -> String {
        PostgresUrl::parse(url).err().unwrap_or_else(|| format!("{url} is accepted"))
    }

    #[test]
    fn parts_are_percent_decoded() {
        let url = "postgres://us%40er:p%2Fa%3As%25s@%2Fvar%2Frun%2Fpostgresql/data%20base?application_name=my%20sale";
        let url = PostgresUrl::parse(url).unwrap();
        assert_eq!(url.config.get_user(), Some("us@er"));
        assert_eq!(url.config.get_password(), Some("p/a:s%s".as_bytes()));
        assert_eq!(url.config.get_dbname(), Some("data base"));
        assert_eq!(url.config.get_hosts(), [Host::Unix("/var/run/postgresql".into())]);
        assert_eq!(url.config.get_application_name(), Some("my sale"));
        assert_eq!(url.to_string(), "postgres:///var/run/postgresql:5432/data base");
        let url = PostgresUrl::parse("postgres:///sale?host=%2Frun%2Fpg&user=a%2Bb&port=6432").unwrap();
        assert_eq!(url.config.get_hosts(), [Host::Unix("/run/pg".into())]);
        assert_eq!((url.config.get_user(), url.config.get_ports()), (Some("a+b"), &[6432][..]));
        let url = PostgresUrl::parse("postgresql://a@[::1]:5433,b.example:5434/sale").unwrap();
        assert_eq!(url.config.get_hosts().len(), 2);
        assert_eq!(url.connect_within, 3 * CONNECT_WITHIN);
    }

    #[test]
    fn a_refused_parameter_is_named_with_the_accepted_values() {
        for (query, says) in [
            (
                "sslmode=allow",
                "has sslmode=allow, which is not accepted (accepted are disable, prefer, require, verify-ca",
            ),
            ("sslmode=", "has sslmode=, which"),
            ("sslmode=require&sslmode=disable", "has sslmode twice"),
            ("sslcrl=x", "has a parameter that is not accepted: sslcrl (accepted are application_name,"),
            ("SSLMODE=require", "not accepted: SSLMODE"),
            ("sslmode=verify-ca", "without sslrootcert"),
            ("sslmode=verify-ca&sslrootcert=system", "sslmode=verify-full"),
            ("sslcert=a.pem", "without sslkey"),
            ("sslkey=a.key", "without sslcert"),
            ("sslmode=disable&sslcert=a.pem&sslkey=a.key", "over TLS only"),
            ("sslmode=require&sslcert=none.pem&sslkey=none.key", "none.pem"),
            ("sslmode=verify-full&sslrootcert=none.pem", "names a certificate that cannot be used (none.pem)"),
            (
                "target_session_attrs=standby",
                "has target_session_attrs=standby, which is not accepted (accepted are any,",
            ),
            ("target_session_attrs=read-only", "a sale writes"),
            ("connect_timeout=0", "has connect_timeout=0, which is not accepted (accepted are 1 to 10 seconds)"),
            ("connect_timeout=ten", "1 to 10 seconds"),
            ("channel_binding=require", "add sslmode=require"),
            ("channel_binding=yes", "disable, prefer, require"),
            ("gssencmode=require", "disable, prefer"),
            ("options=%zz", "has a % that"),
            ("sslmode", "has a parameter without a value: sslmode"),
        ] {
            let said = refused(&format!("postgres://user:secret@host/sale?{query}"));
            assert!(said.contains(says) && !said.contains("secret"), "{query}: {said}");
        }
        assert!(refused("postgres://us%4@host/sale").contains("has a % that"));
        assert!(refused("postgres:///sale").contains("names no host"));
        assert!(refused("postgres://host").contains("names no database"));
    }

    #[test]
    fn parameters_of_libpq_are_accepted() {
        for query in [
            "sslmode=disable",
            "sslmode=prefer",
            "target_session_attrs=any",
            "target_session_attrs=read-write",
            "target_session_attrs=primary",
            "connect_timeout=10",
            "options=-c%20search_path%3Dsale",
            "channel_binding=disable",
            "gssencmode=disable",
            "load_balance_hosts=random",
            "hostaddr=127.0.0.1",
        ] {
            let taken = PostgresUrl::parse(&format!("postgres://user@host/sale?{query}"));
            assert!(taken.is_ok(), "{query}: {taken:?}");
        }
        let local = PostgresUrl::parse("postgres://%2Frun/sale?sslmode=verify-full").unwrap();
        assert!(local.tls.is_none(), "nothing is encrypted over a socket");
        assert!(PostgresUrl::parse("postgres://host/sale?sslmode=prefer").unwrap().tls.is_some());
        assert!(PostgresUrl::parse("postgres://host/sale").unwrap().tls.is_none());
    }
}
