//! TLS to the server: how its certificate is checked, and the certificate that this client presents.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What the server's certificate must prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Nothing: the connection is encrypted, but the server is not identified.
    Nothing,
    /// A trusted authority signed it.
    Authority,
    /// A trusted authority signed it, and it names the host.
    AuthorityAndName,
}

/// The authorities whose certificates are trusted.
#[derive(Clone, Debug)]
pub(super) enum Roots {
    /// Those of the operating system.
    System,
    /// Those in the PEM file with this path.
    File(String),
}

/// Makes the connector. `identity` names the PEM files of this client's certificate and its key.
///
/// # Errors
/// What is wrong, to be appended to the name of the setting.
pub(super) fn connector(
    check: Check,
    roots: &Roots,
    identity: Option<(&str, &str)>,
) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Verifier::new(check, roots, &provider)?);
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| format!("asks for TLS, which does not work here: {error}"))?;
    let config = config.dangerous().with_custom_certificate_verifier(verifier);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let bad = |file: &str, problem: String| format!("names a file that cannot be used ({file}): {problem}");
            let chain = certificates(certificate).map_err(|problem| bad(certificate, problem))?;
            let read = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
                rustls::pki_types::pem::Error::NoItemsFound => {
                    bad(key, "it holds no private key (one with a passphrase is not taken)".to_owned())
                }
                other => bad(key, other.to_string()),
            })?;
            config.with_client_auth_cert(chain, read).map_err(|error| bad(key, error.to_string()))?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    let read: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if read.is_empty() { Err("it holds none".to_owned()) } else { Ok(read) }
}

/// Checks a server's certificate as far as [`Check`] demands.
#[derive(Debug)]
struct Verifier {
    check: Check,
    /// Certificates that are trusted themselves. A server with a self-signed certificate presents one of them.
    trusted: Vec<CertificateDer<'static>>,
    /// `None` if nothing is checked.
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(check: Check, roots: &Roots, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let provider = provider.clone();
        if check == Check::Nothing {
            return Ok(Self { check, trusted: Vec::new(), chain: None, provider });
        }
        let (mut store, mut trusted) = (RootCertStore::empty(), Vec::new());
        match roots {
            Roots::File(path) => {
                let bad = |problem: String| format!("names a certificate that cannot be used ({path}): {problem}");
                trusted = certificates(path).map_err(bad)?;
                for certificate in &trusted {
                    store.add(certificate.clone()).map_err(|error| bad(error.to_string()))?;
                }
            }
            Roots::System => {
                let _ = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if store.is_empty() {
                    let problem = "asks for TLS, and this system trusts no certificate: name one with sslrootcert";
                    return Err(problem.to_owned());
                }
            }
        }
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone()).build();
        let chain = chain.map_err(|error| format!("asks for TLS, which does not work here: {error}"))?;
        Ok(Self { check, trusted, chain: Some(chain), provider })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        let verified = chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let Err(Error::InvalidCertificate(error)) = verified else { return verified };
        match &error {
            // The library checks the name last, so the chain is valid here.
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
                if self.check == Check::Authority =>
            {
                Ok(ServerCertVerified::assertion())
            }
            // The library refuses an authority's own certificate as that of a server. It has checked the dates before.
            CertificateError::UnknownIssuer | CertificateError::Other(_)
                if self.trusted.iter().any(|trusted| trusted.as_ref() == end_entity.as_ref()) =>
            {
                if self.check == Check::AuthorityAndName {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            _ => Err(Error::InvalidCertificate(error)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
