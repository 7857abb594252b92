//! Property tests: a signed token decodes to itself, and any other text is refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use onsale_domain::ids::{ConcertId, TokenId, UserId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Token;
use proptest::prelude::*;
use uuid::Uuid;

use super::{HEADER, LENGTH_MAX, TokenCodec};

fn token() -> impl Strategy<Value = Token> {
    let user = "[A-Za-z0-9_-]{1,64}".prop_filter_map("a user id", |text| UserId::parse(&text));
    // Instants of the years 1970 to 2999.
    (any::<u128>(), any::<u128>(), user, any::<u64>(), 0..32_503_680_000_000_i64).prop_map(
        |(id, concert, user, place, issued_at)| Token {
            id: TokenId::new(Uuid::from_u128(id)),
            concert: ConcertId::new(Uuid::from_u128(concert)),
            user,
            place,
            issued_at: Timestamp::from_millis(issued_at),
        },
    )
}

proptest! {
    #![proptest_config(crate::properties::cases(300))]

    #[test]
    fn decoding_reverses_encoding_for_every_token(token in token(), secret in prop::collection::vec(any::<u8>(), 32..80)) {
        let codec = TokenCodec::new(&secret);
        let text = codec.encode(&token);
        prop_assert!(text.len() <= LENGTH_MAX && text.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert_eq!(codec.decode(&text), Some(token));
    }

    #[test]
    fn text_that_was_not_signed_is_refused(text in prop_oneof![any::<String>(), "[A-Za-z0-9._-]{0,600}", "([A-Za-z0-9_-]{0,90}[.]){2}[A-Za-z0-9_-]{43}"]) {
        let codec = TokenCodec::new(&[7; 32]);
        prop_assert_eq!(codec.decode(&text), None);
        prop_assert_eq!(codec.decode(&format!("{HEADER}.{text}")), None);
    }

    #[test]
    fn a_token_with_a_changed_or_added_character_is_refused(token in token(), at in any::<prop::sample::Index>(), put in any::<char>(), insert in any::<bool>()) {
        let codec = TokenCodec::new(&[7; 32]);
        let text = codec.encode(&token);
        let at = at.index(text.len());
        let rest = if insert { &text[at..] } else { &text[at + 1..] };
        let changed = format!("{}{put}{rest}", &text[..at]);
        prop_assume!(changed != text);
        prop_assert!(codec.decode(&changed).is_none());
    }

    #[test]
    fn signed_text_that_is_not_the_claims_of_a_token_is_refused(claims in prop_oneof![
        any::<String>(), r#"[{}\[\]":,a-z0-9.eE+-]{0,200}"#,
        r#"\{"jti":"[0-9a-f-]{36}","sub":".{0,70}","room":"[0-9a-f-]{36}","place":-?[0-9]{1,25},"iat":-?[0-9]{1,20}([.][0-9]{1,5})?(e[0-9]{1,3})?\}"#,
    ]) {
        let codec = TokenCodec::new(&[7; 32]);
        let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(&claims));
        let signature = codec.keyed.clone().chain_update(&signed).finalize().into_bytes();
        let read = codec.decode(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)));
        prop_assert!(read.is_none() || claims.contains("\"jti\""));
    }
}
