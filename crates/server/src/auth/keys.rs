//! Keys that bearers are checked with. The kind of a key fixes its algorithm; the `alg` of a bearer cannot choose another.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::pkcs8::spki::SubjectPublicKeyInfoRef;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPublicKey};
use serde::Deserialize;

/// The most public keys in one setting: enough for a rotation. Each may cost a signature check per bearer.
const PUBLIC_KEYS_MAX: usize = 8;

/// The size of RSA keys, in bits. Smaller keys can be broken (NIST SP 800-131A); the library refuses larger ones.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;

/// The longest key id, in bytes. A key with a longer one is skipped.
const KID_MAX: usize = 256;

/// A key with the only algorithm that it may be used for.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(super) algorithm: Algorithm,
    /// Its id (`kid`) in a JWK Set. A key without an id is tried for every bearer of its algorithm.
    pub(super) id: Option<String>,
    pub(super) decoding: DecodingKey,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let is_same = match (self.decoding.kind(), other.decoding.kind()) {
            (DecodingKeyKind::SecretOrDer(own), DecodingKeyKind::SecretOrDer(other)) => own == other,
            _ => false,
        };
        is_same && (self.algorithm, &self.id) == (other.algorithm, &other.id)
    }
}

impl Key {
    /// An HS256 key of a shared secret.
    pub(super) fn of_secret(secret: &str) -> Self {
        Self { algorithm: Algorithm::HS256, id: None, decoding: DecodingKey::from_secret(secret.as_bytes()) }
    }

    /// An RS256 key.
    ///
    /// # Errors
    /// A phrase that names the key, such as "an RSA key of 1024 bits", if it cannot be used.
    fn of_rsa(key: &RsaPublicKey) -> Result<Self, String> {
        let bits = key.n().bits();
        if !RSA_BITS.contains(&bits) {
            return Err(format!("an RSA key of {bits} bits; 2,048 to 4,096 can be used"));
        }
        let der = key.to_pkcs1_der().map_err(|_| "an RSA key that cannot be read".to_owned())?;
        Ok(Self { algorithm: Algorithm::RS256, id: None, decoding: DecodingKey::from_rsa_der(der.as_bytes()) })
    }

    /// An ES256 key of a P-256 point in SEC1 encoding.
    ///
    /// # Errors
    /// A phrase that names the key, if it is not a point of the curve.
    fn of_p256(point: &[u8]) -> Result<Self, String> {
        let key =
            p256::PublicKey::from_sec1_bytes(point).map_err(|_| "a P-256 key that is not a point of the curve")?;
        let point = key.to_encoded_point(false);
        Ok(Self { algorithm: Algorithm::ES256, id: None, decoding: DecodingKey::from_ec_der(point.as_bytes()) })
    }

    /// Reads a key of a JWK Set (RFC 7517).
    ///
    /// # Errors
    /// The reason why it cannot be used here.
    pub(super) fn of_jwk(jwk: &serde_json::Value) -> Result<Self, String> {
        let jwk = Jwk::deserialize(jwk).map_err(|_| "a member of the wrong type")?;
        let is_for_signatures = jwk.usage.is_none_or(|usage| usage == "sig")
            && jwk.operations.is_none_or(|operations| operations.contains(&"verify"));
        if !is_for_signatures {
            return Err("not for checking signatures".to_owned());
        }
        let bytes = |text: Option<&str>| {
            text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or_else(|| "a number is missing".to_owned())
        };
        let key = match (jwk.kty, jwk.crv) {
            ("RSA", _) => {
                let (n, e) = (bytes(jwk.n)?, bytes(jwk.e)?);
                Self::of_rsa(&rsa_key(BigUint::from_bytes_be(&n), BigUint::from_bytes_be(&e))?)?
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes(jwk.x)?, bytes(jwk.y)?);
                if (x.len(), y.len()) != (32, 32) {
                    return Err("a P-256 key with a coordinate of the wrong length".to_owned());
                }
                Self::of_p256(&[&[4][..], &x, &y].concat())?
            }
            (kty, crv) => return Err(format!("of the unsupported kind {kty} {}", crv.unwrap_or_default())),
        };
        let algorithm = format!("{:?}", key.algorithm);
        if jwk.alg.is_some_and(|alg| alg != algorithm) {
            return Err(format!("for another algorithm than {algorithm}"));
        }
        if jwk.kid.is_some_and(|id| id.len() > KID_MAX) {
            return Err("with an id of more than 256 bytes".to_owned());
        }
        Ok(Self { id: jwk.kid.map(str::to_owned), ..key })
    }
}

/// The members of a JWK that are read here.
#[derive(Deserialize)]
struct Jwk<'a> {
    kty: &'a str,
    #[serde(rename = "use")]
    usage: Option<&'a str>,
    #[serde(rename = "key_ops")]
    operations: Option<Vec<&'a str>>,
    alg: Option<&'a str>,
    kid: Option<&'a str>,
    crv: Option<&'a str>,
    n: Option<&'a str>,
    e: Option<&'a str>,
    x: Option<&'a str>,
    y: Option<&'a str>,
}

/// Reads all PEM blocks of a text as public keys.
///
/// # Errors
/// What the first unusable block is, to be read after the setting's name. Never shows the text, as it may be a private key.
pub(crate) fn public_keys(text: &str) -> Result<Vec<Key>, String> {
    let blocks = pem::parse_many(text).map_err(|_| "has a PEM block that cannot be parsed".to_owned())?;
    if blocks.is_empty() || blocks.len() != text.matches("-----BEGIN ").count() {
        return Err("is not PEM, or has a PEM block without its end".to_owned());
    }
    if blocks.len() > PUBLIC_KEYS_MAX {
        return Err(format!("has {} keys, more than {PUBLIC_KEYS_MAX}", blocks.len()));
    }
    let read = |(index, block): (usize, &pem::Pem)| {
        let place = if blocks.len() == 1 { String::new() } else { format!(" (PEM block {})", index + 1) };
        public_key(block).map_err(|found| format!("has {found}{place}; use a public key in PEM, RSA or P-256"))
    };
    blocks.iter().enumerate().map(read).collect()
}

/// Reads one PEM block.
///
/// # Errors
/// A phrase that names the block, if it is not a usable public key.
fn public_key(block: &pem::Pem) -> Result<Key, String> {
    match block.tag() {
        "PUBLIC KEY" => of_spki(block.contents()),
        "RSA PUBLIC KEY" => of_pkcs1(block.contents()),
        tag if tag.ends_with("PRIVATE KEY") => {
            Err("a private key, which only the issuer of the bearers may have".to_owned())
        }
        "CERTIFICATE" => Err("a certificate; `openssl x509 -pubkey -noout` prints the public key in it".to_owned()),
        tag => Err(format!("a {:?} block", tag.chars().take(40).collect::<String>())),
    }
}

/// Checks the numbers of an RSA key. The limit on its size comes later, in [`Key::of_rsa`], so that the error can name the
/// size.
fn rsa_key(n: BigUint, e: BigUint) -> Result<RsaPublicKey, String> {
    const SIZE_MAX: usize = 65_536;
    RsaPublicKey::new_with_max_size(n, e, SIZE_MAX).map_err(|error| format!("an RSA key that cannot be used ({error})"))
}

/// Reads an `RSAPublicKey` in DER (RFC 8017, appendix A.1.1).
fn of_pkcs1(der: &[u8]) -> Result<Key, String> {
    let key = rsa::pkcs1::RsaPublicKey::try_from(der).map_err(|_| "an RSA key that cannot be read")?;
    let number = |number: rsa::pkcs1::UintRef<'_>| BigUint::from_bytes_be(number.as_bytes());
    Key::of_rsa(&rsa_key(number(key.modulus), number(key.public_exponent))?)
}

/// Reads a `SubjectPublicKeyInfo` in DER (RFC 5280).
fn of_spki(der: &[u8]) -> Result<Key, String> {
    let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| "a public key that cannot be read")?;
    let unreadable = || "a public key that cannot be read".to_owned();
    let bits = info.subject_public_key.as_bytes().ok_or_else(unreadable)?;
    match info.algorithm.oid.to_string().as_str() {
        "1.2.840.113549.1.1.1" => of_pkcs1(bits),
        "1.2.840.113549.1.1.10" => Err("an RSA-PSS key".to_owned()),
        "1.2.840.10045.2.1" => match info.algorithm.parameters_oid().map(|curve| curve.to_string()).as_deref() {
            Ok("1.2.840.10045.3.1.7") => Key::of_p256(bits),
            Ok("1.3.132.0.34") => Err("a P-384 key".to_owned()),
            Ok("1.3.132.0.35") => Err("a P-521 key".to_owned()),
            Ok("1.3.132.0.10") => Err("a secp256k1 key".to_owned()),
            _ => Err("an elliptic-curve key of another curve than P-256".to_owned()),
        },
        "1.3.101.112" => Err("an Ed25519 key".to_owned()),
        "1.3.101.113" => Err("an Ed448 key".to_owned()),
        "1.3.101.110" => Err("an X25519 key".to_owned()),
        oid => Err(format!("a key of an unsupported kind ({oid})")),
    }
}
