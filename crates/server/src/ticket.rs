//! Codes of tickets: what a QR code at the door contains, signed with Ed25519 (RFC 8032). Below this: how a ticket looks.

mod font;
mod paper;
mod qr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use onsale_app::store::{ShownTicket, SigningKey as KnownKey};
use onsale_domain::ids::{PerformanceId, TicketId};
use onsale_domain::time::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub(crate) use paper::Paper;
pub(crate) use qr::QrCode;

/// The beginning of every code. It names the layout of the bytes after it.
const PREFIX: &str = "T1.";

/// Signed before the bytes of a code, so that no other signature can pass for one of a ticket.
const CONTEXT: &[u8; 16] = b"onsale-ticket-1\0";

/// The version of the layout, the first byte of a code.
const VERSION: u8 = 1;

/// Bytes of a code before the signature.
const SIGNED: usize = 41;

/// Bytes of a code.
const LENGTH: usize = SIGNED + 64;

/// The most keys in the setting: enough for a rotation.
const KEYS_MAX: usize = 8;

/// The private halves of keys that sign tickets. No output shows them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Seeds(Vec<[u8; 32]>);

impl std::fmt::Debug for Seeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl Seeds {
    /// Reads keys of 32 bytes, each in base64 or base64url, separated by commas or white space.
    ///
    /// # Errors
    /// What is wrong with the text, without a part of it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split([',', ' ', '\n', '\r', '\t']).filter(|part| !part.is_empty());
        let read = |part: &str| -> Option<[u8; 32]> {
            let part = part.trim_end_matches('=');
            let bytes = STANDARD_NO_PAD.decode(part).or_else(|_| URL_SAFE_NO_PAD.decode(part)).ok()?;
            bytes.try_into().ok()
        };
        let seeds: Option<Vec<[u8; 32]>> = parts.map(read).collect();
        let seeds = seeds.ok_or("has a key that is not 32 bytes in base64; make one with `openssl rand -base64 32`")?;
        let is_twice = |(index, seed): (usize, &[u8; 32])| seeds[..index].contains(seed);
        match seeds.len() {
            0 => Err("holds no key".to_owned()),
            many if many > KEYS_MAX => Err(format!("holds {many} keys, more than {KEYS_MAX}")),
            _ if seeds.iter().enumerate().any(is_twice) => Err("holds a key twice".to_owned()),
            _ => Ok(Self(seeds)),
        }
    }
}

struct Key {
    id: [u8; 4],
    signing: SigningKey,
    verifying: VerifyingKey,
}

/// Signs and verifies codes of tickets.
pub(crate) struct TicketCodec {
    /// The first signs new tickets.
    keys: Vec<Key>,
}

/// What a code contains, if one of the keys signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadCode {
    pub(crate) ticket: TicketId,
    pub(crate) performance: PerformanceId,
    pub(crate) seat: u32,
}

/// A key as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    pub(crate) id: [u8; 4],
    pub(crate) public: [u8; 32],
    pub(crate) created_at: Timestamp,
    /// Since when another key signs.
    pub(crate) retired_at: Option<Timestamp>,
}

/// The id of a key in codes: the first bytes of the hash of its public half.
fn key_id(public: &[u8; 32]) -> [u8; 4] {
    let hash = Sha256::digest(public);
    [hash[0], hash[1], hash[2], hash[3]]
}

impl TicketCodec {
    /// With the keys of the settings; with the one of the database if there are none, or if it has signed tickets before.
    pub(crate) fn new(settings: Option<&Seeds>, database: [u8; 32], known: &[KnownKey]) -> Self {
        let mut seeds = settings.map_or_else(Vec::new, |seeds| seeds.0.clone());
        let public = SigningKey::from_bytes(&database).verifying_key().to_bytes();
        let has_signed = known.iter().any(|key| key.public == public && key.signs);
        if (seeds.is_empty() || has_signed) && !seeds.contains(&database) {
            seeds.push(database);
        }
        let key = |seed: &[u8; 32]| {
            let signing = SigningKey::from_bytes(seed);
            let verifying = signing.verifying_key();
            Key { id: key_id(verifying.as_bytes()), signing, verifying }
        };
        Self { keys: seeds.iter().map(key).collect() }
    }

    /// The public halves, the one that signs first.
    pub(crate) fn public_halves(&self) -> Vec<[u8; 32]> {
        self.keys.iter().map(|key| key.verifying.to_bytes()).collect()
    }

    /// The code of a ticket. It is signed by the key that signed when the ticket was issued, so that it is always the same text,
    /// also after another key signs new tickets. Without that key the first one signs.
    pub(crate) fn code(&self, known: &[KnownKey], performance: PerformanceId, ticket: &ShownTicket) -> String {
        let signers = || known.iter().filter(|key| key.signs);
        let signer = signers().rfind(|key| key.since <= ticket.issued_at).or_else(|| signers().next());
        let is_signer = |key: &&Key| signer.is_some_and(|signer| signer.public == *key.verifying.as_bytes());
        let Some(key) = self.keys.iter().find(is_signer).or_else(|| self.keys.first()) else { return String::new() };
        let mut code = Vec::with_capacity(LENGTH);
        code.push(VERSION);
        code.extend_from_slice(&key.id);
        code.extend_from_slice(ticket.id.uuid().as_bytes());
        code.extend_from_slice(performance.uuid().as_bytes());
        code.extend_from_slice(&ticket.seat.to_be_bytes());
        let signature = key.signing.sign(&[CONTEXT.as_slice(), &code].concat());
        code.extend_from_slice(&signature.to_bytes());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(code))
    }

    /// Reads a code. Returns `None` if it is no code, or if none of the keys signed it.
    pub(crate) fn read(&self, code: &str) -> Option<ReadCode> {
        let code: [u8; LENGTH] = URL_SAFE_NO_PAD.decode(code.strip_prefix(PREFIX)?).ok()?.try_into().ok()?;
        let (signed, signature) = code.split_at(SIGNED);
        if signed[0] != VERSION {
            return None;
        }
        let signature = Signature::from_slice(signature).ok()?;
        let message = [CONTEXT.as_slice(), signed].concat();
        let mut named = self.keys.iter().filter(|key| key.id == signed[1..5]);
        named.find(|key| key.verifying.verify_strict(&message, &signature).is_ok())?;
        Some(ReadCode {
            ticket: TicketId::new(Uuid::from_slice(&signed[5..21]).ok()?),
            performance: PerformanceId::new(Uuid::from_slice(&signed[21..37]).ok()?),
            seat: u32::from_be_bytes(signed[37..].try_into().ok()?),
        })
    }

    /// The keys that verify codes, the one that signs first.
    pub(crate) fn listed(&self, known: &[KnownKey]) -> Vec<PublicKey> {
        let signers: Vec<&KnownKey> = known.iter().filter(|key| key.signs).collect();
        let signs_now = signers.last().map(|key| key.public);
        let shown = |key: &Key| {
            let public = key.verifying.to_bytes();
            let created_at = known.iter().filter(|known| known.public == public).map(|known| known.since).min();
            let last = signers.iter().rposition(|signer| signer.public == public);
            let next = last.and_then(|last| signers.get(last + 1)).map(|signer| signer.since);
            PublicKey {
                id: key.id,
                public,
                created_at: created_at.unwrap_or_default(),
                retired_at: next.filter(|_| signs_now != Some(public)),
            }
        };
        self.keys.iter().map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use onsale_app::store::TicketStatus;
    use onsale_domain::ids::PaymentId;
    use onsale_domain::ticket::id_of;

    use super::*;

    fn known(seeds: &[(u8, i64)]) -> Vec<KnownKey> {
        let known = |(seed, since): &(u8, i64)| KnownKey {
            public: SigningKey::from_bytes(&[*seed; 32]).verifying_key().to_bytes(),
            since: Timestamp::from_millis(*since),
            signs: true,
        };
        seeds.iter().map(known).collect()
    }

    fn ticket(issued_at: i64) -> (PerformanceId, ShownTicket) {
        let payment = PaymentId::new(Uuid::from_u128(0x019a_b3c0_a4c7_7b1d_b2d4_0c9e_8f7a_6b04));
        let performance = PerformanceId::new(Uuid::from_u128(0x019a_b3c0_7a11_7c0a_8e21_51d3_a7be_9f02));
        let issued_at = Timestamp::from_millis(issued_at);
        (performance, ShownTicket { id: id_of(payment, 7, 0), seat: 7, status: TicketStatus::Valid, issued_at })
    }

    #[test]
    fn a_code_has_the_bytes_of_the_contract() {
        let codec = TicketCodec::new(None, [7; 32], &[]);
        let (performance, ticket) = ticket(1);
        let code = codec.code(&known(&[(7, 0)]), performance, &ticket);
        let bytes = URL_SAFE_NO_PAD.decode(code.strip_prefix("T1.").unwrap()).unwrap();
        assert_eq!(bytes.len(), 105);
        assert_eq!(bytes[0], 1);
        assert_eq!(&bytes[5..21], ticket.id.uuid().as_bytes());
        assert_eq!(&bytes[21..37], performance.uuid().as_bytes());
        assert_eq!(&bytes[37..41], [0, 0, 0, 7]);
        let message = [b"onsale-ticket-1\0".as_slice(), &bytes[..41]].concat();
        let signature = Signature::from_slice(&bytes[41..]).unwrap();
        let public = VerifyingKey::from_bytes(&codec.public_halves()[0]).unwrap();
        assert!(public.verify_strict(&message, &signature).is_ok());
        assert_eq!(codec.read(&code), Some(ReadCode { ticket: ticket.id, performance, seat: 7 }));
    }

    #[test]
    fn a_code_that_was_changed_is_none() {
        let codec = TicketCodec::new(None, [7; 32], &[]);
        let (performance, ticket) = ticket(1);
        let code = codec.code(&[], performance, &ticket);
        for index in 0..code.len() {
            let mut changed = code.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // The last character has two bits that no byte needs; a code with other ones is not read at all.
            assert_eq!(codec.read(&changed), None, "{index}");
        }
        for other in ["", "T1.", "T2.AAAA", &code[3..], &format!("{code}="), &format!("{code}A")] {
            assert_eq!(codec.read(other), None, "{other}");
        }
        assert_eq!(TicketCodec::new(None, [8; 32], &[]).read(&code), None, "another key");
    }

    #[test]
    fn a_ticket_keeps_its_text_when_another_key_signs() {
        let seeds = |text: &[[u8; 32]]| Seeds(text.to_vec());
        let (performance, old) = ticket(5);
        let before = TicketCodec::new(Some(&seeds(&[[1; 32]])), [9; 32], &[]);
        let code = before.code(&known(&[(1, 10)]), performance, &old);
        let signers = known(&[(1, 10), (2, 20)]);
        let after = TicketCodec::new(Some(&seeds(&[[2; 32], [1; 32]])), [9; 32], &signers);
        assert_eq!(after.code(&signers, performance, &old), code, "issued before any key was noted");
        assert_eq!(after.code(&signers, performance, &ticket(19).1), code);
        let new = after.code(&signers, performance, &ticket(20).1);
        assert_ne!(new, code);
        assert!(after.read(&code).is_some() && after.read(&new).is_some());
        let listed = after.listed(&signers);
        let times: Vec<_> = listed.iter().map(|key| (key.created_at, key.retired_at)).collect();
        let at = Timestamp::from_millis;
        assert_eq!(times, [(at(20), None), (at(10), Some(at(20)))]);
    }

    #[test]
    fn the_key_of_the_database_verifies_what_it_has_signed() {
        let seeds = Seeds(vec![[1; 32]]);
        assert_eq!(TicketCodec::new(Some(&seeds), [9; 32], &[]).public_halves().len(), 1);
        assert_eq!(TicketCodec::new(Some(&seeds), [9; 32], &known(&[(9, 1)])).public_halves().len(), 2);
        assert_eq!(TicketCodec::new(None, [9; 32], &[]).public_halves().len(), 1);
    }

    #[test]
    fn keys_are_read_from_a_setting() {
        let key = STANDARD_NO_PAD.encode([0xff; 32]);
        let url = URL_SAFE_NO_PAD.encode([0xfe; 32]);
        assert_eq!(Seeds::parse(&format!("{key}=, {url}\n")), Ok(Seeds(vec![[0xff; 32], [0xfe; 32]])));
        for wrong in ["", " , ", "short", &format!("{key},short"), &format!("{key},{key}")] {
            assert!(Seeds::parse(wrong).is_err(), "{wrong}");
        }
        let nine: Vec<String> = (0..9).map(|seed| STANDARD_NO_PAD.encode([seed; 32])).collect();
        assert!(Seeds::parse(&nine.join(",")).is_err(), "too many");
    }
}
