//! The draw: the bytes that the guide publishes, and the places that follow from an order.

#![allow(clippy::unwrap_used, reason = "a failed step ends the test")]

use std::collections::HashSet;

use onsale_domain::ids::{ConcertId, Entropy, TokenId};
use onsale_domain::waiting_room::{Digest, DrawKey, ListHash, Places, Seed};
use uuid::Uuid;

use crate::support::Seeded;

const CONCERT: &str = "01938000-0000-7000-8000-000000000001";
const COMMITMENT: &str = "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd";
const ENTRIES_HASH: &str = "8ff8467fdbc5f060c1f8307e9cd68be8983200d5940fa1f7189c55f4092f5d46";

fn token(last: u8) -> TokenId {
    TokenId::parse(&format!("{}{last:02x}", &CONCERT[..34])).unwrap()
}

fn concert() -> ConcertId {
    ConcertId::parse(CONCERT).unwrap()
}

fn seed() -> Seed {
    Seed::new(std::array::from_fn(|index| u8::try_from(index).unwrap()))
}

fn hash(tokens: &[TokenId]) -> Digest {
    let mut hash = ListHash::default();
    hash.add(tokens);
    hash.finish()
}

#[test]
fn the_published_vector() {
    let tokens = [0x0a, 0x0b, 0x0c, 0x0d].map(token);
    assert_eq!(seed().commitment().to_string(), COMMITMENT);
    assert_eq!(hash(&tokens).to_string(), ENTRIES_HASH);
    let table = [
        ("", "e26ad59e4ff4199059d8a592d9b0fd988c8ef21b12b9c6971bcaa3c4fe2fbc41", [0x0c, 0x0a, 0x0b, 0x0d]),
        (
            "3439d92d58e47d342131d446a3abe264396dd264717897af30525c98408c834f",
            "753376f30d4d7e23ef5d6708531f355c8977ed31bf84f089d34c2eadaf5af232",
            [0x0d, 0x0b, 0x0c, 0x0a],
        ),
    ];
    for (beacon, bytes, order) in table {
        let key = DrawKey::of(&seed(), concert(), Digest::parse(ENTRIES_HASH).unwrap(), beacon.as_bytes());
        assert_eq!(key.bytes().to_string(), bytes);
        let drawn: Vec<TokenId> = key.order(&tokens).into_iter().map(|index| tokens[index as usize]).collect();
        assert_eq!(drawn, order.map(token), "{beacon:?}");
    }
}

#[test]
fn a_list_hashed_in_parts_has_the_same_hash() {
    let tokens = [0x0a, 0x0b, 0x0c, 0x0d].map(token);
    let mut parts = ListHash::default();
    for part in tokens.chunks(3) {
        parts.add(part);
    }
    assert_eq!(parts.finish(), hash(&tokens));
    assert_ne!(hash(&tokens[1..]), hash(&tokens));
    assert_eq!(hash(&[]).to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/// Enough tokens that some ranks begin with the same four bytes, which are all that most comparisons read.
#[test]
fn the_order_is_that_of_whole_ranks() {
    let mut bits = Seeded(11);
    let mut tokens: Vec<TokenId> =
        (0..200_000).map(|_| TokenId::new(Uuid::from_u64_pair(bits.next_u64(), bits.next_u64()))).collect();
    tokens.sort_unstable();
    let key = DrawKey::of(&seed(), concert(), hash(&tokens), b"");
    let ranks: Vec<Digest> = tokens.iter().map(|token| key.rank(*token)).collect();
    let starts: HashSet<&[u8]> = ranks.iter().map(|rank| &rank.0[..4]).collect();
    assert!(starts.len() < ranks.len(), "some ranks begin with the same bytes");
    let mut by_rank: Vec<u32> = (0..200_000).collect();
    by_rank.sort_by_key(|index| (ranks[*index as usize], tokens[*index as usize]));
    assert!(key.order(&tokens) == by_rank, "the order differs from that of the ranks");
}

#[test]
fn an_order_depends_on_seed_concert_list_and_beacon() {
    let tokens: Vec<TokenId> = (0..=255).map(token).collect();
    let other = ConcertId::new(token(9).uuid());
    let of = |seed: &Seed, concert, list: &[TokenId], beacon: &[u8]| {
        DrawKey::of(seed, concert, hash(list), beacon).order(&tokens)
    };
    let base = of(&seed(), concert(), &tokens, b"");
    assert_eq!(base, of(&seed(), concert(), &tokens, b""));
    assert_ne!(base, of(&Seed::new([7; 32]), concert(), &tokens, b""));
    assert_ne!(base, of(&seed(), other, &tokens, b""));
    assert_ne!(base, of(&seed(), concert(), &tokens[1..], b""));
    assert_ne!(base, of(&seed(), concert(), &tokens, b"a"));
}

#[test]
fn digests_and_seeds_are_written_in_lower_case() {
    let digest = Digest::parse(COMMITMENT).unwrap();
    assert_eq!((digest.to_string(), format!("{digest:?}")), (COMMITMENT.to_owned(), COMMITMENT.to_owned()));
    assert_eq!(Seed::parse(&seed().reveal().to_string()), Some(seed()));
    let (upper, long) = (COMMITMENT.to_uppercase(), format!("{COMMITMENT}00"));
    for other in ["", "00", &upper, &long, &COMMITMENT[1..], &format!("{}g", &COMMITMENT[1..])] {
        assert_eq!((Digest::parse(other), Seed::parse(other)), (None, None), "{other:?}");
    }
    assert_eq!(format!("{:?}", seed()), "Seed(..)", "no log shows a seed");
}

#[test]
fn each_number_of_the_order_has_its_place() {
    let dense = Places::from_order(&[3, 1, 2]).unwrap();
    assert_eq!([0, 1, 2, 3, 4].map(|number| dense.of(number)), [None, Some(2), Some(3), Some(1), None]);
    let sparse = Places::from_order(&[9, 2, u32::MAX]).unwrap();
    assert_eq!(
        [0, 1, 2, 3, 9, u32::MAX].map(|number| sparse.of(number)),
        [None, None, Some(2), None, Some(1), Some(3)]
    );
    assert_eq!((dense.len(), sparse.len(), sparse.is_empty()), (3, 3, false));
    assert!(Places::from_order(&[]).unwrap().is_empty());
    for unsound in [&[0][..], &[1, 1], &[2, 0], &[7, 7], &[0, 9]] {
        assert_eq!(Places::from_order(unsound), None, "{unsound:?}");
    }
}
