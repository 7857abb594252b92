//! The URL of Redis: one server, a cluster, or a primary that sentinels name.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

/// The accepted forms, for the error message.
const FORMS: &str = "redis://[user:password@]host[:port][/db], redis-cluster://[user:password@]host[:port],host[:port] or \
    redis-sentinel://[user:password@]host[:port],host[:port]/service[/db]\
    [?sentinel-user=…&sentinel-password=…]; with TLS rediss, rediss-cluster, rediss-sentinel";

/// The port of a sentinel if the URL names none.
const SENTINEL_PORT: u16 = 26_379;

/// A valid URL of Redis.
#[derive(Clone)]
pub struct RedisUrl {
    /// The URL for logs, without user and password.
    shown: String,
    pub(super) target: Target,
}

/// The servers that a URL names.
#[derive(Clone)]
pub(super) enum Target {
    Server(Box<ConnectionInfo>),
    Cluster(Vec<ConnectionInfo>),
    Sentinels(Box<Sentinels>),
}

/// Sentinels, and the service whose primary they name.
#[derive(Clone)]
pub(super) struct Sentinels {
    pub(super) nodes: Vec<ConnectionAddr>,
    pub(super) service: String,
    /// Login and database at the servers.
    pub(super) server: ConnectionInfo,
    /// Login at the sentinels.
    pub(super) sentinel: ConnectionInfo,
    pub(super) is_tls: bool,
    pub(super) is_insecure: bool,
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Hosts and path, without user and password.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The parts of a URL, still encoded.
struct Parts<'a> {
    /// `redis`, or `rediss` for TLS.
    scheme: &'static str,
    login: &'a str,
    hosts: Vec<&'a str>,
    path: Vec<&'a str>,
    query: Vec<(&'a str, &'a str)>,
    fragment: Option<&'a str>,
}

impl RedisUrl {
    /// Reads a URL of one server, a cluster, or sentinels. User and password may be percent-encoded.
    ///
    /// # Errors
    /// What is wrong and which forms are accepted, to be appended to the name of the setting. Never contains the password.
    pub fn parse(url: &str) -> Result<Self, String> {
        Self::read(url).map_err(|wrong| format!("is not a URL of Redis: {wrong}; accepted forms are {FORMS}"))
    }

    fn read(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("it has no scheme")?;
        let (bare, kind) = match scheme {
            "redis" | "valkey" => ("redis", ""),
            "rediss" | "valkeys" => ("rediss", ""),
            "redis-cluster" => ("redis", "cluster"),
            "rediss-cluster" => ("rediss", "cluster"),
            "redis-sentinel" => ("redis", "sentinel"),
            "rediss-sentinel" => ("rediss", "sentinel"),
            _ => return Err("its scheme is not known".to_owned()),
        };
        let parts = Parts::read(bare, rest)?;
        let target = match kind {
            "cluster" => parts.cluster()?,
            "sentinel" => parts.sentinels()?,
            _ => parts.server()?,
        };
        let path = parts.path.iter().map(|part| format!("/{part}")).collect::<String>();
        let shown = format!("{scheme}://{}{path}", parts.hosts.join(","));
        Ok(Self { shown, target })
    }
}

impl<'a> Parts<'a> {
    fn read(scheme: &'static str, rest: &'a str) -> Result<Self, String> {
        // URL parsers disagree on these characters inside a password: one reads a host or a query where another does not.
        let (login, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        if login.contains(['/', '?', '#', '@']) {
            return Err(
                "user and password must be percent-encoded (`/` as %2F, `?` as %3F, `#` as %23, `@` as %40)".to_owned()
            );
        }
        let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, fragment)| (rest, Some(fragment)));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let pair = |pair: &'a str| {
            pair.split_once('=')
                .ok_or_else(|| "a parameter after `?` has no value (write `&` in a password as %26)".to_owned())
        };
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect::<Result<_, _>>()?;
        if fragment.is_some_and(|fragment| fragment != "insecure" || scheme != "rediss") {
            return Err("after `#` only `insecure` is known, and only with TLS".to_owned());
        }
        let hosts: Vec<&str> = hosts.split(',').collect();
        if hosts.iter().any(|host| host.is_empty()) {
            return Err("a host is missing".to_owned());
        }
        let path = path.split('/').filter(|part| !part.is_empty()).collect();
        Ok(Self { scheme, login, hosts, path, query, fragment })
    }

    /// The driver's settings for one of the hosts, with a login.
    fn info(&self, login: &str, host: &str, rest: &str) -> Result<ConnectionInfo, String> {
        let at = if login.is_empty() { "" } else { "@" };
        let fragment = self.fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
        let url = format!("{}://{login}{at}{host}{rest}{fragment}", self.scheme);
        url.as_str().into_connection_info().map_err(|_| {
            "a host is not understood: HOST or HOST:PORT, after USER:PASSWORD@ if there is a login".to_owned()
        })
    }

    /// Refuses parameters with other names: a typing error must not be ignored.
    ///
    /// # Errors
    /// Names the first parameter that is not known.
    fn knows_only(&self, names: &[&str]) -> Result<(), String> {
        match self.query.iter().find(|(name, _)| !names.contains(name)) {
            Some((name, _)) => Err(format!("`{name}` is not known after `?`")),
            None => Ok(()),
        }
    }

    fn protocol(&self) -> String {
        let protocol = self.query.iter().find(|(name, _)| *name == "protocol");
        protocol.map(|(name, value)| format!("?{name}={value}")).unwrap_or_default()
    }

    fn server(&self) -> Result<Target, String> {
        self.knows_only(&["protocol"])?;
        let ([host], [] | [_]) = (self.hosts.as_slice(), self.path.as_slice()) else {
            return Err("it names several hosts, or more than a database".to_owned());
        };
        let path = self.path.first().map(|db| format!("/{db}")).unwrap_or_default();
        let info = self.info(self.login, host, &format!("{path}{}", self.protocol()))?;
        Ok(Target::Server(Box::new(info)))
    }

    fn cluster(&self) -> Result<Target, String> {
        self.knows_only(&["protocol"])?;
        if !matches!(self.path.as_slice(), [] | ["0"]) {
            return Err("a cluster has the database 0 only".to_owned());
        }
        let protocol = self.protocol();
        let nodes = self.hosts.iter().map(|host| self.info(self.login, host, &protocol));
        Ok(Target::Cluster(nodes.collect::<Result<_, _>>()?))
    }

    fn sentinels(&self) -> Result<Target, String> {
        self.knows_only(&["sentinel-user", "sentinel-password"])?;
        let (service, db) = match self.path.as_slice() {
            [service] => (*service, ""),
            [service, db] => (*service, *db),
            _ => return Err("the name of the service is missing after the hosts".to_owned()),
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if !service.bytes().all(is_plain) {
            return Err(format!("`{service}` is not a name of a service"));
        }
        let named = |name: &str| self.query.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| *value);
        let (user, password) = (named("sentinel-user"), named("sentinel-password"));
        let login = if user.is_empty() && password.is_empty() { String::new() } else { format!("{user}:{password}") };
        let mut nodes = Vec::new();
        for host in &self.hosts {
            // The driver's default port is that of a server, not of a sentinel.
            let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
            let host = if has_port { (*host).to_owned() } else { format!("{host}:{SENTINEL_PORT}") };
            nodes.push(self.info("", &host, "")?.addr().clone());
        }
        let db = if db.is_empty() { String::new() } else { format!("/{db}") };
        Ok(Target::Sentinels(Box::new(Sentinels {
            nodes,
            service: service.to_owned(),
            server: self.info(self.login, self.hosts[0], &db)?,
            sentinel: self.info(&login, self.hosts[0], "")?,
            is_tls: self.scheme == "rediss",
            is_insecure: self.fragment.is_some(),
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        RedisUrl::parse(url).unwrap().target
    }

    #[test]
    fn passwords_are_decoded_and_never_shown() {
        let urls = [
            "redis://ada:p%40ss%2F%3A%23@host:7000/2",
            "rediss://:p%40ss%2F%3A%23@host",
            "redis-cluster://:p%40ss%2F%3A%23@host,other:7001",
            "redis-sentinel://ada:p%40ss%2F%3A%23@one,two:7002/sale/3?sentinel-password=p%40ss%2F%3A%23",
        ];
        for url in urls {
            let shown = RedisUrl::parse(url).unwrap().to_string();
            assert!(!shown.contains("p%40ss") && !shown.contains("ada"), "{shown}");
            let password = match target(url) {
                Target::Server(info) => info.redis_settings().password().map(str::to_owned),
                Target::Cluster(nodes) => nodes[1].redis_settings().password().map(str::to_owned),
                Target::Sentinels(all) => {
                    assert_eq!(all.sentinel.redis_settings().password(), Some("p@ss/:#"));
                    all.server.redis_settings().password().map(str::to_owned)
                }
            };
            assert_eq!(password.as_deref(), Some("p@ss/:#"), "{url}");
        }
    }

    #[test]
    fn sentinels_have_their_own_port_and_a_service() {
        let Target::Sentinels(all) = target("redis-sentinel://one,two:7002,[::1]/sale/3") else { unreachable!() };
        let port = |addr: &ConnectionAddr| match addr {
            ConnectionAddr::Tcp(_, port) => *port,
            _ => 0,
        };
        assert_eq!(all.nodes.iter().map(port).collect::<Vec<_>>(), [26_379, 7_002, 26_379]);
        assert_eq!((all.service.as_str(), all.server.redis_settings().db()), ("sale", 3));
        assert!(!all.is_tls);
    }

    #[test]
    fn invalid_urls_are_refused_with_the_accepted_forms() {
        let wrong = [
            "host:6379",
            "http://host",
            "redis://",
            "redis://host:port",
            "redis://one,two",
            "redis://host/name",
            "redis://host/1/2",
            "redis://host?db=3",
            "redis://host?ssl=true",
            "redis://host#insecure",
            "redis://u:12/34@host",
            "redis://u:12?34@host",
            "redis://u:12#34@host",
            "redis-cluster://one,",
            "redis-cluster://one/3",
            "redis-sentinel://one,two",
            "redis-sentinel://one/sale/name",
            "redis-sentinel://one/sa%20le",
            "redis-sentinel://one/sale?sentinelPassword=x",
            "rediss://host#secure",
        ];
        for url in wrong {
            let error = RedisUrl::parse(url).map(|url| url.to_string()).unwrap_err();
            assert!(error.contains("redis-sentinel://"), "{url}: {error}");
        }
        assert!(!RedisUrl::parse("redis://u:secret/1@host").unwrap_err().contains("secret"));
    }
}
