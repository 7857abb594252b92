//! Reads the settings of Kafka.

use onsale_adapters::kafka::{self, Identity, KafkaSettings, Mechanism, Private, Sasl, Security, Tls};

use super::{BadSetting, Sources, parse};

/// Settings that need SASL, and settings that need TLS.
const SASL: [&str; 3] = ["kafka-sasl-mechanism", "kafka-sasl-username", "kafka-sasl-password"];
const TLS: [&str; 3] = ["kafka-ca", "kafka-certificate", "kafka-key"];

/// Reads the settings of Kafka; `None` if no brokers are named.
///
/// # Errors
/// The setting that cannot be used, such as a certificate that does not fit its key.
pub(super) fn kafka(sources: &Sources) -> Result<Option<KafkaSettings>, BadSetting> {
    let partitions = sources.parse("kafka-partitions", parse::between(1, 1_000))?;
    let replication = sources.parse("kafka-replication", parse::between(1, 100))?;
    let group = sources.parse("kafka-group", parse::name)?;
    let brokers = sources.optional("kafka-brokers", parse::brokers)?;
    let security = security(sources)?;
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let (partitions, replication) = (number(partitions), number(replication));
    let Some(brokers) = brokers else { return Ok(None) };
    let settings = KafkaSettings { brokers, partitions, replication, group, security };
    // Checked at start rather than at the first connection: the client library parses certificates and compares keys.
    kafka::check(&settings).map_err(|problem| {
        let names_key = problem.contains("key");
        let name = if problem.contains("ssl.ca") { "kafka-ca" } else { "kafka-certificate" };
        let name = if names_key && name != "kafka-ca" { "kafka-key" } else { name };
        let name = if settings.security.tls.is_some() { name } else { "kafka-brokers" };
        BadSetting { name: sources.name_of(name), problem: format!("cannot be used: {problem}") }
    })?;
    Ok(Some(settings))
}

/// Returns whether the protocol has TLS, and whether it has SASL.
fn protocol(text: &str) -> Result<(bool, bool), String> {
    match text.to_ascii_lowercase().as_str() {
        "plaintext" => Ok((false, false)),
        "ssl" => Ok((true, false)),
        "sasl_plaintext" => Ok((false, true)),
        "sasl_ssl" => Ok((true, true)),
        _ => Err(format!("is not plaintext, ssl, sasl_plaintext or sasl_ssl: {text}")),
    }
}

fn mechanism(text: &str) -> Result<Mechanism, String> {
    let all = [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512];
    let found = all.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| format!("is not PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512: {text}"))
}

fn security(sources: &Sources) -> Result<Security, BadSetting> {
    let (is_encrypted, has_password) = sources.parse("kafka-security", protocol)?;
    let bad =
        |name: &'static str, problem: &str| BadSetting { name: sources.name_of(name), problem: problem.to_owned() };
    let mechanism = sources.optional("kafka-sasl-mechanism", mechanism)?;
    let username = sources.optional("kafka-sasl-username", |text| Ok(text.to_owned()))?;
    let password = sources.optional("kafka-sasl-password", |text| Ok(Private::new(text)))?;
    let ca = sources.optional("kafka-ca", certificates)?;
    let certificate = sources.optional("kafka-certificate", certificates)?;
    let key = sources.optional("kafka-key", key)?;
    let stray = |names: [&'static str; 3]| names.into_iter().find(|name| sources.given(name).is_some());
    if let Some(name) = stray(SASL).filter(|_| !has_password) {
        return Err(bad(name, "has no effect without ONSALE_KAFKA_SECURITY=sasl_ssl (or sasl_plaintext)"));
    }
    if let Some(name) = stray(TLS).filter(|_| !is_encrypted) {
        return Err(bad(name, "has no effect without ONSALE_KAFKA_SECURITY=ssl (or sasl_ssl)"));
    }
    let sasl = match (has_password, mechanism, username, password) {
        (false, ..) => None,
        (true, Some(mechanism), Some(username), Some(password)) => Some(Sasl { mechanism, username, password }),
        (true, None, ..) => {
            return Err(bad("kafka-sasl-mechanism", "is missing: set PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"));
        }
        (true, _, None, _) => return Err(bad("kafka-sasl-username", "is missing")),
        (true, _, _, None) => return Err(bad("kafka-sasl-password", "is missing")),
    };
    let identity = match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        (Some(_), None) => return Err(bad("kafka-key", "is missing: ONSALE_KAFKA_CERTIFICATE needs its key")),
        (None, Some(_)) => return Err(bad("kafka-certificate", "is missing: ONSALE_KAFKA_KEY needs its certificate")),
    };
    Ok(Security { tls: is_encrypted.then_some(Tls { ca, identity }), sasl })
}

/// Returns the text if it is PEM, else the content of the file that it names.
fn pem(text: &str) -> Result<String, String> {
    if text.contains("-----BEGIN") {
        return Ok(text.to_owned());
    }
    std::fs::read_to_string(text.trim())
        .map_err(|error| format!("is not PEM and names a file that cannot be read: {error}"))
}

fn certificates(text: &str) -> Result<String, String> {
    let pem = pem(text)?;
    if pem.contains("-----BEGIN CERTIFICATE-----") { Ok(pem) } else { Err("has no certificate in PEM".to_owned()) }
}

fn key(text: &str) -> Result<Private, String> {
    let pem = pem(text)?;
    if pem.contains("ENCRYPTED") {
        return Err("has an encrypted key; write it without a password: openssl pkey -in FILE".to_owned());
    }
    if pem.contains("PRIVATE KEY-----") { Ok(Private::new(pem)) } else { Err("has no private key in PEM".to_owned()) }
}
