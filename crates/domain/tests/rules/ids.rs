//! User ids as callers write them, and our own: UUIDv7s that rise strictly and cannot be guessed.

use onsale_domain::ids::{ConcertId, Entropy, Ids, Mint, UserId};
use onsale_domain::time::Timestamp;
use uuid::{Uuid, Variant};

use crate::support::{START, Seeded};

/// The milliseconds that a UUIDv7 (RFC 9562, section 5.7) carries in its first 48 bits.
fn millis(id: Uuid) -> i64 {
    i64::try_from(id.as_u64_pair().0 >> 16).expect("48 bits")
}

/// Strictly rising, of version 7, of the RFC's variant.
#[track_caller]
fn assert_sound(ids: &[Uuid]) {
    assert!(ids.is_sorted_by(|one, next| one < next), "ids rise strictly");
    assert!(ids.iter().all(|id| id.get_version_num() == 7 && id.get_variant() == Variant::RFC4122));
}

#[test]
fn a_user_id_is_1_to_64_of_the_allowed_characters() {
    let long = "x".repeat(64);
    for sound in ["4", "42", "a-B_9", "-", "_", "018f3c2e-7b1a-7c3d-9e4f-5a6b7c8d9e0f", &long] {
        let user = UserId::parse(sound).unwrap();
        assert_eq!(user.as_str(), sound);
        assert_eq!((user.to_string(), format!("{user:?}")), (sound.to_owned(), sound.to_owned()));
    }
    let too_long = "x".repeat(65);
    for unsound in ["", " ", "a b", "a.b", "a/b", "ä", "김", "a\n", "a\0", "../a", "a+b", &too_long] {
        assert_eq!(UserId::parse(unsound), None, "{unsound:?}");
    }
}

#[test]
fn our_ids_are_read_in_their_hyphenated_form_alone() {
    let text = "018f3c2e-7b1a-7c3d-9e4f-5a6b7c8d9e0f";
    let id = ConcertId::parse(text).unwrap();
    assert_eq!((id.to_string().as_str(), format!("{id:?}").as_str()), (text, text));
    assert_eq!(ConcertId::new(id.uuid()), id);
    let simple = text.replace('-', "");
    let (braced, urn) = (format!("{{{text}}}"), format!("urn:uuid:{text}"));
    let padded = format!("    {simple}");
    for other in ["", "42", &simple, &braced, &urn, &padded, &text[1..], "018f3c2e-7b1a-7c3d-9e4f-5a6b7c8d9e0g"] {
        assert_eq!(ConcertId::parse(other), None, "{other:?}");
    }
}

#[test]
fn an_id_carries_its_time() {
    let mut mint = Mint::new(Seeded(1));
    for later in [0, 1, 2, 1_000, 86_400_000] {
        let at = START.plus_millis(later);
        assert_eq!(millis(mint.next(at)), at.as_millis());
    }
}

/// More than the 12 bits that count within one millisecond.
#[test]
fn ids_of_one_millisecond_rise_strictly() {
    let mut mint = Mint::new(Seeded(2));
    let ids: Vec<Uuid> = (0..10_000).map(|_| mint.next(START)).collect();
    assert_sound(&ids);
    assert_eq!(millis(ids[0]), START.as_millis());
    assert_eq!(millis(ids[4095]), START.as_millis(), "4,096 ids fit into a millisecond");
    assert_eq!(millis(ids[4096]), START.as_millis() + 1, "then the next one is borrowed");
    assert_eq!(millis(ids[8191]), START.as_millis() + 1, "and used up before another is");
}

#[test]
fn each_millisecond_counts_anew() {
    let mut mint = Mint::new(Seeded(2));
    let at = |index: i64| START.plus_millis(index / 3_000);
    let ids: Vec<Uuid> = (0..9_000).map(|index| mint.next(at(index))).collect();
    assert_sound(&ids);
    assert!(ids.iter().zip(0..).all(|(id, index)| millis(*id) == at(index).as_millis()), "no time is borrowed");
}

#[test]
fn ids_rise_while_the_clock_is_set_back() {
    let mut mint = Mint::new(Seeded(3));
    let clock = [0, 5, 4, 5, -1_000, 5, 6, 6, -2_000_000_000_000, 7];
    let ids: Vec<Uuid> = clock.iter().map(|millis| mint.next(START.plus_millis(*millis))).collect();
    assert_sound(&ids);
    assert_eq!(millis(ids[4]), START.as_millis() + 5, "the last time is kept");
    assert_eq!(millis(ids[9]), START.as_millis() + 7);
    assert_sound(&[Mint::new(Seeded(4)).next(Timestamp::from_millis(-1))]);
}

/// All bits but the time, the count, the version and the variant come from the entropy.
#[test]
fn no_id_can_be_guessed_from_its_neighbour() {
    struct Bits(u64);
    impl Entropy for Bits {
        fn next_u64(&mut self) -> u64 {
            self.0
        }
    }
    let low = |bits: u64| Mint::new(Bits(bits)).next(START).as_u64_pair().1;
    assert_eq!((low(0), low(u64::MAX)), (0x8000_0000_0000_0000, 0xbfff_ffff_ffff_ffff));

    let mut mint = Mint::new(Seeded(5));
    let lows: Vec<u64> = (0..1_000).map(|_| mint.next(START).as_u64_pair().1).collect();
    let ones = |bit: u32| lows.iter().filter(|low| *low >> bit & 1 == 1).count();
    assert!((0..62).all(|bit| (400..600).contains(&ones(bit))), "62 bits are drawn anew for each id");
}
